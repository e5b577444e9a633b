//! Parses a query by recursive descent:
//!
//! ```text
//! or    = and { "OR" and }
//! and   = not { [ "AND" ] not }
//! not   = { "NOT" | "-" } ( "(" or ")" | term )
//! term  = field operator value | word | quoted
//! ```

use weir_record::Level;

use crate::expression::{Expression, Number, Relation, Scalar, Test};
use crate::limits::{MAX_DEPTH, MAX_QUERY_BYTES, MAX_TERMS};
use crate::moment;
use crate::pattern::Pattern;

/// Why a text is not a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct QueryError {
    /// The character at which the error is, counted from 1.
    pub column: usize,
    /// What is wrong, and what was expected.
    pub message: String,
}

/// The operators, longer ones before their beginnings. `took:>250` is the same as `took>250`.
const OPERATORS: [(&str, Operator); 13] = [
    (":>=", Operator::Is(Relation::AtLeast)),
    (":<=", Operator::Is(Relation::AtMost)),
    (":>", Operator::Is(Relation::Greater)),
    (":<", Operator::Is(Relation::Less)),
    (">=", Operator::Is(Relation::AtLeast)),
    ("<=", Operator::Is(Relation::AtMost)),
    ("!=", Operator::IsNot),
    ("!~", Operator::MatchesNot),
    (">", Operator::Is(Relation::Greater)),
    ("<", Operator::Is(Relation::Less)),
    ("=", Operator::Is(Relation::Equal)),
    ("~", Operator::Matches),
    (":", Operator::Has),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Has,
    Is(Relation),
    IsNot,
    Matches,
    MatchesNot,
}

/// A word or value, and where it is.
struct Text {
    at: usize,
    text: String,
    /// Quoted, so that wildcards have no meaning.
    is_literal: bool,
}

struct Parser<'q> {
    query: &'q str,
    /// The byte that is read next.
    at: usize,
    now_ns: Option<i64>,
    terms: usize,
    depth: usize,
}

pub(crate) fn parse(query: &str, now_ns: Option<i64>) -> Result<Expression, QueryError> {
    let mut parser = Parser { query, at: 0, now_ns, terms: 0, depth: 0 };
    if query.len() > MAX_QUERY_BYTES {
        return Err(parser.error(0, format!("the query is longer than {MAX_QUERY_BYTES} bytes")));
    }
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expression::All(Vec::new()));
    }
    let expression = parser.or()?;
    match parser.rest().is_empty() {
        true => Ok(expression),
        false => Err(parser.error(parser.at, "this `)` has no `(`")),
    }
}

impl<'q> Parser<'q> {
    fn rest(&self) -> &'q str {
        &self.query[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.query.len() - self.rest().trim_start().len();
    }

    fn error(&self, at: usize, message: impl Into<String>) -> QueryError {
        QueryError { column: self.query[..at].chars().count() + 1, message: message.into() }
    }

    /// Takes a keyword, if it is next. Keywords are upper case, so that they can be searched for as words.
    fn keyword(&mut self, keyword: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(keyword) else { return false };
        let ends = after.is_empty() || after.starts_with(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        if ends {
            self.at += keyword.len();
            self.skip_space();
        }
        ends
    }

    fn or(&mut self) -> Result<Expression, QueryError> {
        let mut any = vec![self.and()?];
        while self.keyword("OR") {
            any.push(self.and()?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Expression::Any(any) })
    }

    fn and(&mut self) -> Result<Expression, QueryError> {
        let mut all = vec![self.not()?];
        loop {
            let is_said = self.keyword("AND");
            let goes_on = !self.rest().is_empty() && !self.rest().starts_with(')') && !self.is_at_or();
            if !is_said && !goes_on {
                return Ok(if all.len() == 1 { all.remove(0) } else { Expression::All(all) });
            }
            all.push(self.not()?);
        }
    }

    fn is_at_or(&mut self) -> bool {
        let before = self.at;
        let is_or = self.keyword("OR");
        self.at = before;
        is_or
    }

    fn not(&mut self) -> Result<Expression, QueryError> {
        let at = self.at;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(at, format!("the query is nested more than {MAX_DEPTH} deep")));
        }
        let is_minus = self.rest().starts_with('-') && !self.rest()[1..].starts_with(char::is_whitespace);
        let expression = if self.keyword("NOT") {
            Expression::Not(Box::new(self.not()?))
        } else if is_minus && self.rest().len() > 1 {
            self.at += 1;
            Expression::Not(Box::new(self.not()?))
        } else if self.rest().starts_with('(') {
            self.group()?
        } else {
            self.term()?
        };
        self.depth -= 1;
        self.skip_space();
        Ok(expression)
    }

    fn group(&mut self) -> Result<Expression, QueryError> {
        let open = self.at;
        self.at += 1;
        self.skip_space();
        let inside = self.or()?;
        if !self.rest().starts_with(')') {
            return Err(self.error(open, "this `(` has no `)`"));
        }
        self.at += 1;
        Ok(inside)
    }

    fn term(&mut self) -> Result<Expression, QueryError> {
        let at = self.at;
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(self.error(at, format!("the query has more than {MAX_TERMS} words and comparisons")));
        }
        if self.rest().is_empty() || self.rest().starts_with(')') || self.is_at_keyword() {
            return Err(self.error(at, "expected a word, a comparison such as `source:api`, or `(`"));
        }
        if self.rest().starts_with('"') {
            let words = self.quoted()?;
            return self.words("message", &words);
        }
        let field = self.field();
        let Some((sign, operator)) = self.operator() else {
            // No operator follows, so it is a word.
            let words = Text { at, text: self.query[at..self.at].to_owned(), is_literal: false };
            return self.words("message", &words);
        };
        if field.is_empty() {
            return Err(self.error(at, format!("expected the name of a field before `{sign}`; quote text with `\"`")));
        }
        let value = self.value(sign)?;
        match operator {
            Operator::IsNot => Ok(Expression::Not(Box::new(self.compare(field, Relation::Equal, "!=", &value)?))),
            Operator::MatchesNot => Ok(Expression::Not(Box::new(self.regex(field, &value)?))),
            Operator::Matches => self.regex(field, &value),
            Operator::Is(relation) => self.compare(field, relation, sign, &value),
            Operator::Has => self.has(field, &value),
        }
    }

    fn is_at_keyword(&mut self) -> bool {
        let before = self.at;
        let is_keyword = ["AND", "OR", "NOT"].into_iter().any(|keyword| self.keyword(keyword));
        self.at = before;
        is_keyword
    }

    /// Reads up to an operator or the end of the word. A backslash escapes a character, as in every path.
    fn field(&mut self) -> &'q str {
        let start = self.at;
        let mut chars = self.rest().char_indices();
        let mut end = self.query.len();
        while let Some((offset, c)) = chars.next() {
            let at = start + offset;
            let is_operator = OPERATORS.iter().any(|(sign, _)| self.query[at..].starts_with(sign));
            if is_operator || c.is_whitespace() || matches!(c, '(' | ')' | '"') {
                end = at;
                break;
            }
            if c == '\\' {
                chars.next();
            }
        }
        self.at = end;
        &self.query[start..end]
    }

    fn operator(&mut self) -> Option<(&'static str, Operator)> {
        let found = OPERATORS.into_iter().find(|(sign, _)| self.rest().starts_with(sign))?;
        self.at += found.0.len();
        Some(found)
    }

    /// Reads a value: quoted, or up to white space or a `)` that no `(` in it opened.
    fn value(&mut self, sign: &str) -> Result<Text, QueryError> {
        let at = self.at;
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let mut open = 0_usize;
        let end = self.rest().find(|c: char| {
            match c {
                '(' => open += 1,
                ')' if open == 0 => return true,
                ')' => open -= 1,
                _ => {}
            }
            c.is_whitespace()
        });
        self.at = end.map_or(self.query.len(), |end| at + end);
        if self.at == at {
            return Err(self.error(at, format!("expected a value after `{sign}`, without a space between")));
        }
        Ok(Text { at, text: self.query[at..self.at].to_owned(), is_literal: false })
    }

    fn quoted(&mut self) -> Result<Text, QueryError> {
        let at = self.at;
        let mut text = String::new();
        let mut chars = self.rest()[1..].char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += 1 + offset + 1;
                    return Ok(Text { at, text, is_literal: true });
                }
                // Only quotes and backslashes are escaped, so that `"\d+"` is an expression for digits.
                '\\' if chars.as_str().starts_with(['"', '\\']) => text.extend(chars.next().map(|(_, c)| c)),
                c => text.push(c),
            }
        }
        Err(self.error(at, "this quote is not closed"))
    }

    /// Words in the message, in another field that is named `message`, or anywhere.
    fn words(&self, path: &str, words: &Text) -> Result<Expression, QueryError> {
        if words.text.trim_matches('*').is_empty() && !words.is_literal {
            return Ok(Expression::All(Vec::new()));
        }
        let pattern = self.pattern(words, Pattern::words(&words.text, words.is_literal))?;
        Ok(match path {
            "*" => Expression::AnyField(pattern),
            path => Expression::Field { path: path.to_owned(), test: Test::Matches(pattern) },
        })
    }

    /// `field:value`
    fn has(&self, field: &str, value: &Text) -> Result<Expression, QueryError> {
        match field {
            "since" => return Ok(Expression::Time { since_ns: self.time(value)?, until_ns: None }),
            "until" => return Ok(Expression::Time { since_ns: i64::MIN, until_ns: Some(self.time(value)?) }),
            "message" | "*" => return self.words(field, value),
            _ => {}
        }
        if value.text == "*" && !value.is_literal {
            return Ok(Expression::Field { path: field.to_owned(), test: Test::Exists });
        }
        if matches!(field, "level" | "timestamp") {
            return self.compare(field, Relation::Equal, ":", value);
        }
        let pattern = if value.is_literal { Pattern::value(&value.text) } else { Pattern::glob(&value.text) };
        let like = Expression::Field { path: field.to_owned(), test: Test::Matches(self.pattern(value, pattern)?) };
        // `5` is also the number 5.0.
        Ok(match number(&value.text) {
            Some(_) => Expression::Any(vec![like, equals(field, &value.text)]),
            None => like,
        })
    }

    fn compare(&self, field: &str, relation: Relation, sign: &str, value: &Text) -> Result<Expression, QueryError> {
        match field {
            "*" => return Err(self.error(value.at, format!("`*{sign}` is not possible: search any field with `*:`"))),
            "level" => {
                let level = Level::parse(&value.text).ok_or_else(|| {
                    let message =
                        format!("`{}` is not a level: {}", value.text, Level::ALL.map(Level::as_str).join(", "));
                    self.error(value.at, message)
                })?;
                return Ok(Expression::Level(relation, level));
            }
            "timestamp" => return self.timestamp(relation, value),
            _ if relation == Relation::Equal => return Ok(equals(field, &value.text)),
            _ => {}
        }
        let number = value.text.parse::<f64>().ok().filter(|number| number.is_finite());
        let test = match number {
            Some(number) => Test::Number(relation, number),
            None => Test::Time(
                relation,
                self.moment(value)?.ok_or_else(|| {
                    let message = format!("`{sign}` compares numbers, times and `level`; `{}` is not one", value.text);
                    self.error(value.at, message)
                })?,
            ),
        };
        Ok(Expression::Field { path: field.to_owned(), test })
    }

    fn timestamp(&self, relation: Relation, value: &Text) -> Result<Expression, QueryError> {
        let ns = self.time(value)?;
        let after = ns.checked_add(1);
        Ok(match relation {
            Relation::Equal => Expression::Time { since_ns: ns, until_ns: after },
            Relation::Less => Expression::Time { since_ns: i64::MIN, until_ns: Some(ns) },
            Relation::AtMost => Expression::Time { since_ns: i64::MIN, until_ns: after },
            Relation::AtLeast => Expression::Time { since_ns: ns, until_ns: None },
            Relation::Greater => match after {
                Some(after) => Expression::Time { since_ns: after, until_ns: None },
                None => Expression::Any(Vec::new()),
            },
        })
    }

    fn time(&self, value: &Text) -> Result<i64, QueryError> {
        let forms = if self.now_ns.is_some() { moment::FORMS } else { moment::FORMS_WITHOUT_AGE };
        let message = || format!("`{}` is not a time: write {forms}", value.text);
        self.moment(value)?.ok_or_else(|| self.error(value.at, message()))
    }

    /// The time that a value means, if it is one.
    fn moment(&self, value: &Text) -> Result<Option<i64>, QueryError> {
        if self.now_ns.is_none() && moment::is_age(&value.text) {
            let message = format!(
                "`{}` is an age, and there is no time here to count it back from: write {}",
                value.text,
                moment::FORMS_WITHOUT_AGE
            );
            return Err(self.error(value.at, message));
        }
        Ok(moment::time_ns(&value.text, self.now_ns.unwrap_or_default()))
    }

    fn regex(&self, field: &str, value: &Text) -> Result<Expression, QueryError> {
        let pattern = self.pattern(value, Pattern::regex(&value.text))?;
        Ok(match field {
            "*" => Expression::AnyField(pattern),
            field => Expression::Field { path: field.to_owned(), test: Test::Matches(pattern) },
        })
    }

    fn pattern(&self, value: &Text, pattern: Result<Pattern, regex::Error>) -> Result<Pattern, QueryError> {
        pattern.map_err(|error| {
            // The error shows the expression and a mark over several lines; the last one says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.error(value.at, format!("`{}` is not a valid regular expression: {reason}", value.text))
        })
    }
}

fn equals(field: &str, value: &str) -> Expression {
    let scalar = Scalar { text: value.to_owned(), number: number(value) };
    Expression::Field { path: field.to_owned(), test: Test::Equals(scalar) }
}

/// The number that a text is.
pub(crate) fn number(text: &str) -> Option<Number> {
    let integer = text.parse().map(Number::Int).or_else(|_| text.parse().map(Number::UInt));
    let float = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Number::Float);
    integer.ok().or_else(float)
}
