//! Texts that the JSON of every matching record contains, so that a store of JSON lines parses few of them.
//!
//! Every test of a query contributes what [`write_json_value`] certainly writes for a value that passes: a piece of the
//! text without characters that JSON escapes, the digits of a number, the name of a field, also with the numbers that may
//! follow it. Of tests that must all pass, the one whose texts are likely to be the rarest is used.

use weir_record::{Level, Value, write_json_value};

use crate::Query;
use crate::expression::{Expression, Number, Relation, Scalar, Test};
use crate::pattern::{Form, Pattern};
use crate::sql::{around, may_be_of, required};

/// More alternatives find too much to be worth it.
const MAX_LITERALS: usize = 32;
/// Shorter texts, in bytes, are in almost every line.
const MIN_BYTES: usize = 2;
/// Longer numbers are not read, in bytes.
const MAX_NUMBER_BYTES: usize = 40;
/// Beyond this, the integers that are floats are no longer written with all their digits.
const MAX_PLAIN_INTEGER: i64 = 1_000_000_000_000_000;

/// A text in JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    pub text: String,
    /// It is there in any case, as regular expressions ignore it.
    pub any_case: bool,
    /// What a number that follows must be like.
    pub number: Option<NumberTest>,
}

/// A comparison of a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NumberTest {
    relation: Relation,
    number: f64,
}

impl NumberTest {
    /// False if the value that begins here is a number that doesn't pass.
    pub fn may_pass(&self, json: &[u8]) -> bool {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let json = &json[..json.len().min(MAX_NUMBER_BYTES)];
        let len = json.iter().take_while(|byte| is_part(byte)).count();
        let number = std::str::from_utf8(&json[..len]).ok().and_then(|text| text.parse::<f64>().ok());
        // What an integer loses when it becomes a float doesn't matter.
        let (least, most) = around(self.number);
        number.filter(|_| len < MAX_NUMBER_BYTES).is_none_or(|number| match self.relation {
            Relation::Less | Relation::AtMost => number <= most,
            Relation::Greater | Relation::AtLeast => number >= least,
            Relation::Equal => true,
        })
    }
}

impl Literal {
    fn of(text: impl Into<String>, any_case: bool) -> Literal {
        Literal { text: text.into(), any_case, number: None }
    }
}

/// Texts of which a record contains one, and how rare they probably are.
struct Requirement {
    literals: Vec<Literal>,
    rarity: usize,
}

impl Query {
    /// Texts of which the JSON of every matching record contains at least one, as
    /// [`write_json`](weir_record::write_json) writes it. `None` if there are no such texts; an empty list if no record
    /// matches.
    pub fn json_literals(&self) -> Option<Vec<Literal>> {
        of(&self.0).map(|found| found.literals)
    }
}

fn of(expression: &Expression) -> Option<Requirement> {
    match expression {
        Expression::All(all) => all.iter().filter_map(of).max_by_key(|found| found.rarity),
        Expression::Any(any) => {
            let mut joined = Requirement { literals: Vec::new(), rarity: usize::MAX };
            for one in any {
                let one = of(one)?;
                joined.rarity = joined.rarity.min(one.rarity);
                joined.literals.extend(one.literals);
            }
            joined.literals.dedup();
            (joined.literals.len() <= MAX_LITERALS).then_some(joined)
        }
        Expression::Field { path, test } => of_field(path, test),
        // The time is a number for a pattern, but not in JSON.
        Expression::AnyField(pattern) if may_be_time(pattern) => None,
        Expression::AnyField(pattern) => of_pattern(pattern),
        Expression::Level(relation, level) => Some(of_level(*relation, *level)),
        Expression::Not(_) | Expression::Time { .. } => None,
    }
}

/// Like [`Query::json_literals`], for the test of one field.
pub(crate) fn in_field(path: &str, test: &Test) -> Option<Vec<Literal>> {
    of_field(path, test).map(|found| found.literals)
}

fn of_field(path: &str, test: &Test) -> Option<Requirement> {
    let [value, mut name] = [of_value(path, test), of_name(path)];
    if let (Some(name), Test::Number(relation, number)) = (&mut name, test) {
        let number = NumberTest { relation: *relation, number: *number };
        name.literals.iter_mut().for_each(|literal| literal.number = Some(number));
    }
    value.into_iter().chain(name).max_by_key(|found| found.rarity)
}

fn of_level(relation: Relation, level: Level) -> Requirement {
    let passing = Level::ALL.into_iter().filter(|found| relation.holds(found.cmp(&level)));
    let literals = passing.map(|level| Literal::of(format!("\"{level}\""), false)).collect();
    Requirement { literals, rarity: MIN_BYTES }
}

/// The last key of a path, unless it may be the index of a list or is written in another way.
fn of_name(path: &str) -> Option<Requirement> {
    let key = path.rsplit('.').next().unwrap_or_default();
    let is_plain = !path.contains('\\')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && key.chars().any(|c| !c.is_ascii_digit());
    if !is_plain || matches!(path, "timestamp" | "level" | "source" | "message") {
        return None;
    }
    let literal = Literal::of(format!("{key}\":"), false);
    // A name is mostly less rare than a value.
    Some(Requirement { rarity: MIN_BYTES + 1, literals: vec![literal] })
}

fn of_value(path: &str, test: &Test) -> Option<Requirement> {
    if path.replace('\\', "") == "timestamp" {
        return None;
    }
    match test {
        Test::Matches(pattern) => of_pattern(pattern),
        Test::Equals(scalar) => of_scalar(scalar),
        Test::Exists | Test::Number(..) | Test::Time(..) => None,
    }
}

fn of_pattern(pattern: &Pattern) -> Option<Requirement> {
    let (pieces, any_case): (Vec<&str>, bool) = match pattern.form() {
        Form::Words { text, is_literal: false } => (text.split('*').collect(), true),
        Form::Value { text, is_literal: false } => (text.split(['*', '?']).collect(), true),
        Form::Words { text, .. } | Form::Value { text, .. } => (vec![text], true),
        Form::Regex { source } => (vec![required(source)?], source.contains("(?")),
    };
    let text = pieces.into_iter().filter_map(longest_plain).max_by_key(|piece| piece.len())?;
    Some(Requirement { rarity: text.len(), literals: vec![Literal::of(text, any_case)] })
}

/// The longest piece that JSON doesn't escape.
fn longest_plain(text: &str) -> Option<&str> {
    let pieces = text.split(|c: char| c.is_ascii_control() || matches!(c, '"' | '\\'));
    pieces.max_by_key(|piece| piece.len()).filter(|piece| piece.len() >= MIN_BYTES)
}

/// Whether the time, as a number of nanoseconds, may have a match.
pub(crate) fn may_be_time(pattern: &Pattern) -> bool {
    may_be_of(pattern, |c| c.is_ascii_digit() || c == '-')
}

fn of_scalar(scalar: &Scalar) -> Option<Requirement> {
    let mut texts = vec![longest_plain(&scalar.text)?.to_owned()];
    if let Some(number) = scalar.number {
        texts.push(digits(number).filter(|text| text.len() >= MIN_BYTES)?);
    }
    // What contains another one is found by that.
    texts.sort_by_key(String::len);
    let mut least: Vec<String> = Vec::new();
    for text in texts {
        if !least.iter().any(|found| text.contains(found.as_str())) {
            least.push(text);
        }
    }
    let rarity = least.first().map_or(0, String::len);
    let literals = least.into_iter().map(|text| Literal::of(text, false)).collect();
    Some(Requirement { literals, rarity })
}

/// What every form of a number has in common in JSON: the integer and the float that are equal to it.
pub(crate) fn digits(number: Number) -> Option<String> {
    let integer = match number {
        Number::Int(integer) => Some(integer),
        Number::UInt(_) => return None,
        Number::Float(float) if float.fract() == 0.0 => Some(float as i64),
        Number::Float(_) => None,
    };
    match (integer, number) {
        (Some(integer), _) if integer.saturating_abs() > MAX_PLAIN_INTEGER => None,
        (Some(integer), _) => Some(integer.to_string()),
        (None, number) => {
            let mut json = Vec::new();
            write_json_value(Value::Float(number.as_f64()), &mut json);
            String::from_utf8(json).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Option<Vec<(String, bool)>> {
        let query = Query::parse(text, 0).expect("a query");
        query.json_literals().map(|found| found.into_iter().map(|found| (found.text, found.any_case)).collect())
    }

    fn one(text: &str, any_case: bool) -> Option<Vec<(String, bool)>> {
        Some(vec![(text.to_owned(), any_case)])
    }

    #[test]
    fn the_rarest_text_of_a_query_is_required() {
        assert_eq!(literals("timeout level:ERROR"), one("timeout", true));
        assert_eq!(literals("level:ERROR"), one("\"ERROR\"", false));
        assert_eq!(literals("level>=ERROR").map(|found| found.len()), Some(2));
        assert_eq!(literals("user=47110 slow"), one("47110", false));
        assert_eq!(literals("context.user:*"), one("user\":", false));
        assert_eq!(literals("context.took>250"), one("took\":", false));
        assert_eq!(literals("message~\"took \\d+\""), one("took ", false));
        assert_eq!(literals("conn*refused"), one("refused", true));
        assert_eq!(literals("\"say \\\"hello\\\"\""), one("hello", true));
        assert_eq!(literals("one OR two").map(|found| found.len()), Some(2));
    }

    #[test]
    fn a_number_that_follows_a_name_is_compared() {
        let literals = |text: &str| Query::parse(text, 0).expect("a query").json_literals().expect("has literals");
        let passes = |text: &str, json: &str| literals(text)[0].number.expect("compares").may_pass(json.as_bytes());
        for (query, passing, failing) in [
            ("took>250", ["251,", "250.5}", "1e3"], ["249", "-300.5", "2.4e2"]),
            ("took>=250", ["250}", "25e1", "9999999999999999"], ["249.9", "-0", "1"]),
            ("a.took<-1.5", ["-2", "-1.6}", "-1e300"], ["-1", "0", "3.5"]),
            ("took<=9007199254740993", ["9007199254740993", "0", "-1"], ["9007199254999999", "1e20", "9.1e15"]),
        ] {
            passing.iter().for_each(|json| assert!(passes(query, json), "{query}: {json}"));
            failing.iter().for_each(|json| assert!(!passes(query, json), "{query}: {json}"));
        }
        // No number, or none that is read.
        for json in ["\"7\"", "[1,300]", "null", "{", "", " 7", &"7".repeat(50), "1-2"] {
            assert!(passes("took>250", json) && passes("took<250", json), "{json}");
        }
        assert_eq!(literals("took:5")[0].number, None);
    }

    #[test]
    fn nothing_is_required_where_it_may_be_written_in_another_way() {
        for text in
            ["", "NOT timeout", "timeout OR NOT slow", "since:1h", "*:1700000000", "timestamp~170", "a.0=5", "x"]
        {
            assert_eq!(literals(text), None, "{text}");
        }
        // The numbers 500 and 500.0, and the text.
        assert_eq!(literals("0=5e2"), Some(vec![("5e2".into(), false), ("500".into(), false)]));
    }
}
