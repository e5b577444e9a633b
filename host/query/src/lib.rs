//! The query language, and the matcher of records. Its page for users:
//!
#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! | file | purpose |
//! |---|---|
//! | `parse` | text to an expression, or an error with its column |
//! | `expression` | the expression |
//! | `pattern` | words, globs and regular expressions, compiled |
//! | `matches` | evaluates an expression on a record |
//! | `moment` | times and ages |
//! | [`search`] | the interface of stores that can be searched |
//! | [`literals`] | the text that the JSON of every matching record contains |
//! | [`whole_words`] | the words that the JSON of every matching record contains |
//! | [`sql`] | queries as SQL |
//! | `limits` | all limits |
//!
//! Invariants: a parsed query is valid; evaluating it reads the record in place, takes linear time, and never fails.

mod expression;
mod limits;
pub mod literals;
mod matches;
pub mod moment;
mod parse;
mod pattern;
pub mod search;
pub mod sql;
#[cfg(test)]
mod tests;
pub mod whole_words;

use weir_record::Record;

use self::expression::{Expression, Test};
pub use self::parse::QueryError;
use self::pattern::Pattern;
pub use self::search::EntryId;

/// A parsed query.
#[derive(Clone, Debug)]
pub struct Query(Expression);

impl Query {
    /// Parses a query. Ages such as `since:1h` count back from `now_ns`; with `None`, they are errors. An empty query
    /// selects every record.
    pub fn parse(text: &str, now_ns: impl Into<Option<i64>>) -> Result<Query, QueryError> {
        parse::parse(text, now_ns.into()).map(Query)
    }

    /// Selects records whose field has one of these values, in any case; `*` is any text, and `?` is one character.
    ///
    /// # Errors
    /// A value is too long.
    pub fn one_of(path: &str, values: &[String]) -> Result<Query, String> {
        let field = |value: &String| {
            let test = Test::Matches(Pattern::glob(value).map_err(|error| error.to_string())?);
            Ok(Expression::Field { path: path.to_owned(), test })
        };
        values.iter().map(field).collect::<Result<_, String>>().map(|fields| Query(Expression::Any(fields)))
    }

    /// Selects what both queries select.
    #[must_use]
    pub fn and(&self, other: &Query) -> Query {
        Query(Expression::All(vec![self.0.clone(), other.0.clone()]))
    }

    /// The paths of the fields that it tests, in its order, except level and time.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.0.add_fields(&mut fields);
        fields
    }

    /// Whether it tests the time of records with `since:` or `until:`.
    pub fn has_times(&self) -> bool {
        self.0.has_times()
    }

    /// Whether it selects a record.
    pub fn matches(&self, record: Record<'_>) -> bool {
        self.0.matches(record)
    }
}

/// A text as a query writes it literally, in quotes.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

/// A path as a query writes it as a field: with a backslash before what would end it or mean something else.
pub fn field(path: &str) -> String {
    let mut field = String::with_capacity(path.len());
    let mut chars = path.chars();
    // `since:` and `until:` are times, and `-` negates; with a backslash they are the beginning of a key.
    if path.starts_with(['-', '*']) || matches!(path, "since" | "until") {
        field.push('\\');
    }
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                field.push(c);
                field.extend(chars.next().or(Some('\\')));
            }
            ':' | '=' | '~' | '<' | '>' | '!' | '(' | ')' | '"' => field.extend(['\\', c]),
            c if c.is_whitespace() => field.extend(['\\', c]),
            c => field.push(c),
        }
    }
    field
}
