//! Conditions on records, as typed on the command line: `level>=ERROR`, `source=api`, `context.user.id!=7`,
//! `message~time ?out`.

use regex::Regex;
use weir_record::{Level, Record, Value, write_json_value};

/// One condition.
#[derive(Debug, Clone)]
pub struct Condition {
    path: String,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Is(String),
    IsNot(String),
    Matches(Regex),
    Level(Order, Level),
    Number(Order, f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl std::str::FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Condition, String> {
        let wrong = |why: &str| format!("`{text}`: {why}; write `level>=ERROR`, `source=api`, `message~time ?out`");
        let at = text.find(['=', '!', '~', '<', '>']).ok_or_else(|| wrong("it has no comparison operator"))?;
        let (path, rest) = text.split_at(at);
        let operators = ["!=", ">=", "<=", "=", "~", ">", "<"];
        let operator = operators
            .into_iter()
            .find(|op| rest.starts_with(op))
            .ok_or_else(|| wrong("it has no comparison operator"))?;
        let (path, value) = (path.trim(), rest[operator.len()..].trim());
        if path.is_empty() {
            return Err(wrong("there is no field before the operator"));
        }
        let order = match operator {
            "=" => return Ok(Condition { path: path.into(), test: Test::Is(value.into()) }),
            "!=" => return Ok(Condition { path: path.into(), test: Test::IsNot(value.into()) }),
            "~" => {
                let regex =
                    Regex::new(value).map_err(|error| format!("`{value}` is not a regular expression: {error}"))?;
                return Ok(Condition { path: path.into(), test: Test::Matches(regex) });
            }
            "<" => Order::Less,
            "<=" => Order::LessOrEqual,
            ">" => Order::Greater,
            _ => Order::GreaterOrEqual,
        };
        let test = match path {
            "level" => Test::Level(order, level(value).ok_or_else(|| wrong("the value is not a level"))?),
            _ => Test::Number(
                order,
                value.parse().map_err(|_| wrong("only levels and numbers can be compared with `<` and `>`"))?,
            ),
        };
        Ok(Condition { path: path.into(), test })
    }
}

fn level(text: &str) -> Option<Level> {
    Level::parse(text)
}

impl Condition {
    /// Whether the record matches. A missing field equals nothing.
    pub fn holds(&self, record: Record<'_>) -> bool {
        match &self.test {
            Test::Level(order, least) => order.holds(record.level().cmp(least)),
            Test::Number(order, bound) => number(record.get(&self.path))
                .and_then(|number| number.partial_cmp(bound))
                .is_some_and(|ordering| order.holds(ordering)),
            Test::Is(text) => self.text(record).is_some_and(|found| self.same(&found, text)),
            Test::IsNot(text) => !self.text(record).is_some_and(|found| self.same(&found, text)),
            Test::Matches(regex) => self.text(record).is_some_and(|found| regex.is_match(&found)),
        }
    }

    fn same(&self, found: &str, text: &str) -> bool {
        found == text || (self.path == "level" && level(text).is_some_and(|level| level.as_str() == found))
    }

    fn text(&self, record: Record<'_>) -> Option<String> {
        match record.get(&self.path)? {
            Value::Str(text) => Some(text.to_owned()),
            other => {
                let mut json = Vec::new();
                write_json_value(other, &mut json);
                Some(String::from_utf8_lossy(&json).into_owned())
            }
        }
    }
}

impl Order {
    fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

fn number(value: Option<Value<'_>>) -> Option<f64> {
    match value? {
        Value::Int(number) => Some(number as f64),
        Value::UInt(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        Value::Str(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str) -> bool {
        let json = br#"{"level":"ERROR","source":"api","message":"timeout after 3 s","n":5,"context":{"user":"u1"}}"#;
        let aliases = weir_record::Aliases::default();
        let defaults = weir_record::Defaults {
            received_ns: 0,
            source: "none",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = weir_record::Batch::new();
        weir_record::read_json(json, &defaults, &mut batch).expect("JSON");
        condition.parse::<Condition>().expect(condition).holds(batch.record(0))
    }

    #[test]
    fn conditions_match_as_written() {
        for yes in [
            "level>=ERROR",
            "level>=warn",
            "level=error",
            "level<CRITICAL",
            "source=api",
            "source!=web",
            "n=5",
            "n>4.5",
            "n<=5",
            "context.user=u1",
            "message~time ?out",
            "nothing!=x",
            "message = timeout after 3 s",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in
            ["level>ERROR", "level<=INFO", "source=web", "n<5", "nothing=x", "message>3", "message~^after", "nothing>0"]
        {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn invalid_conditions_are_refused_with_an_example() {
        for wrong in ["", "level", "=x", "level>=loud", "source>api", "message~(", "!x"] {
            let error = wrong.parse::<Condition>().expect_err(wrong);
            assert!(error.contains('`'), "{error}");
        }
    }
}
