//! What the search indexes of a PostgreSQL table can find: rows whose message has certain words or parts of words, rows
//! with a value in a field, and rows that have a field. A condition here selects every row that the query matches, and
//! more.
//!
//! **A word of the index is a run of ASCII letters, digits and `_` in the message**, in lower case. Everything else
//! separates words, in the message as in the query. If a query asks for a text, each run in it that the text bounds on
//! both sides is a word of every message that matches: patterns ignore case by replacing one character by one, a
//! separator by a separator, and the only characters beyond ASCII that they take for a letter of ASCII are `ſ` and the
//! Kelvin sign, which the index takes for `s` and `k`, too. The collation `C` makes the expression independent of the
//! database's language.

use std::borrow::Cow;

use weir_record::{Value, path};

use super::clause::{Clause, Parameter};
use super::literal::{like, required};
use super::postgres::{INTEGER_COLUMNS, TEXT_COLUMNS, equal_values, json, same_in_any_case};
use crate::expression::{Expression, Test};
use crate::pattern::Form;
use crate::whole_words::bounded_words;

/// The indexed expression: the words of a message. Longer ones are cut, since an entry of an index has a limited size.
pub const WORDS: &str = "(regexp_split_to_array(replace(replace(lower(message COLLATE \"C\"), '\u{17f}', 's'), \
                         '\u{212a}', 'k'), '[^a-z0-9_]+')::varchar(64)[])";
const WORD_CHARS: usize = 64;
/// Looking up more words of one text makes nothing faster.
const MAX_WORDS: usize = 16;
/// `pg_trgm` finds a text by each three of its letters and digits in a row.
const TRIGRAM: usize = 3;

/// The search indexes that a table has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexes {
    /// Of [`WORDS`].
    pub words: bool,
    /// Of three characters in a row in the message.
    pub trigrams: bool,
    /// Of the values in `extra_data`.
    pub values: bool,
    /// Of the keys in `extra_data`.
    pub keys: bool,
}

/// A condition that the indexes can look up.
pub(super) fn condition(expression: &Expression, indexes: Indexes) -> Option<Clause> {
    match expression {
        Expression::All(all) => {
            let mut found = all.iter().filter_map(|one| condition(one, indexes)).peekable();
            found.peek()?;
            Some(Clause::all(found))
        }
        Expression::Any(any) => {
            let found: Option<Vec<_>> = any.iter().map(|one| condition(one, indexes)).collect();
            found.filter(|found| !found.is_empty()).map(|found| Clause::any(found.into_iter()))
        }
        Expression::Field { path, test } => field(path, test, indexes),
        Expression::Not(_) | Expression::AnyField(_) | Expression::Time { .. } | Expression::Level(..) => None,
    }
}

fn field(path: &str, test: &Test, indexes: Indexes) -> Option<Clause> {
    let keys: Vec<_> = path::keys(path).collect();
    match (keys[0].as_ref(), keys.len()) {
        ("message", 1) => {
            let words = || words_of(test).filter(|_| indexes.words).and_then(having);
            words().or_else(|| part_of(test).filter(|_| indexes.trigrams))
        }
        ("message" | "source" | "level" | "timestamp", _) => None,
        // Its column has an index of its own.
        ("hostname", 1) => {
            let column = Clause::exact("hostname = ?", vec![Parameter::Text(value_of(test)?.to_owned())]);
            Some(Clause::any([column, in_json(&keys, test, indexes)?].into_iter()))
        }
        (column, 1) if TEXT_COLUMNS.contains(&column) || INTEGER_COLUMNS.contains(&column) => None,
        _ => in_json(&keys, test, indexes),
    }
}

fn having(words: Vec<String>) -> Option<Clause> {
    // In an array, `null` without quotes is no word.
    let quoted: Vec<_> = words.iter().map(|word| if word == "null" { "\"null\"" } else { word }).collect();
    let array = format!("{{{}}}", quoted.join(","));
    let found = || Clause::superset(format!("{WORDS} @> ?::varchar(64)[]"), vec![Parameter::Text(array)]);
    (!words.is_empty()).then(found)
}

/// The words of every message that passes.
fn words_of(test: &Test) -> Option<Vec<String>> {
    match test {
        Test::Equals(scalar) => Some(words(&scalar.text, |_| false, true)),
        Test::Matches(pattern) => match pattern.form() {
            Form::Words { text, is_literal } => Some(words(text, |c| c == '*' && !is_literal, true)),
            Form::Value { text, is_literal } => Some(words(text, |c| matches!(c, '*' | '?') && !is_literal, true)),
            Form::Regex { source } => required(source).map(|text| words(text, |_| false, false)),
        },
        Test::Exists | Test::Number(..) | Test::Time(..) => None,
    }
}

/// The words that a text certainly contributes.
fn words(text: &str, is_wildcard: impl Fn(char) -> bool, is_bounded: bool) -> Vec<String> {
    let folded = text.chars().map(|c| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c,
    });
    let mut words = bounded_words(folded, is_wildcard, is_bounded);
    words.iter_mut().for_each(|word| word.truncate(WORD_CHARS));
    words.sort_unstable();
    words.dedup();
    words.truncate(MAX_WORDS);
    words
}

/// Messages with a part that the pattern needs.
fn part_of(test: &Test) -> Option<Clause> {
    let Test::Matches(pattern) = test else { return None };
    let part = like(pattern)?;
    let has_trigram = part.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= TRIGRAM);
    has_trigram.then(|| Clause::superset("message ILIKE ?", vec![Parameter::Text(part)]))
}

/// The text that a value is equal to, unless it may be in another case.
fn value_of(test: &Test) -> Option<&str> {
    match test {
        Test::Equals(scalar) => Some(scalar.text.as_str()),
        Test::Matches(pattern) => same_in_any_case(pattern),
        Test::Exists | Test::Number(..) | Test::Time(..) => None,
    }
    .filter(|text| !text.contains('\0'))
}

/// A value in `extra_data`, or in a list there: in JSON paths, the test of a list is that of its items.
fn in_json(keys: &[Cow<'_, str>], test: &Test, indexes: Indexes) -> Option<Clause> {
    // A key that is a number may be the index of a list, which the index does not have.
    if keys.iter().any(|key| key.contains('\0')) || keys[1..].iter().any(|key| key.parse::<usize>().is_ok()) {
        return None;
    }
    let values = match test {
        // The index finds keys on the top level only.
        Test::Exists if indexes.keys => {
            return Some(Clause::superset("extra_data ?? ?", vec![Parameter::Text(keys[0].to_string())]));
        }
        _ if indexes.values => equal_values(value_of(test)?)?,
        _ => return None,
    };
    let mut path = String::from("$");
    keys.iter().for_each(|key| path.push_str(&format!(".{}", json(Value::Str(key)))));
    let tests: Vec<_> = values.iter().map(|value| format!("{path} == {value}")).collect();
    Some(Clause::superset("extra_data @@ ?::jsonpath", vec![Parameter::Text(tests.join(" || "))]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Query;

    /// Those that a sink creates.
    const DEFAULT: Indexes = Indexes { words: true, trigrams: false, values: true, keys: false };

    fn found(text: &str) -> Option<(String, Vec<String>)> {
        found_by(DEFAULT, text)
    }

    fn found_by(indexes: Indexes, text: &str) -> Option<(String, Vec<String>)> {
        let query = Query::parse(text, 0).expect("a query");
        let found = condition(&query.0, indexes)?;
        let shown = |parameter| match parameter {
            Parameter::Text(text) => text,
            other => panic!("{other:?}"),
        };
        let sql = found.sql.replace(WORDS, "words").replace("::varchar(64)[]", "").replace("::jsonpath", "");
        Some((sql, found.parameters.into_iter().map(shown).collect()))
    }

    fn one(sql: &str, parameter: &str) -> Option<(String, Vec<String>)> {
        Some((sql.into(), vec![parameter.into()]))
    }

    #[test]
    fn only_words_that_the_text_bounds_are_looked_up() {
        for (text, words) in [
            ("Timeout", "{timeout}"),
            ("\"a null\"", "{a,\"null\"}"),
            ("\u{17f}OURCE \u{212a}elvin", "{source} {kelvin}"),
            ("\"conn reset by\"", "{by,conn,reset}"),
            ("conn*refused-now", "{now}"),
            ("\"a-user_id\"", "{a,user_id}"),
            ("Zürich", "{rich,z}"),
            ("message~\"took 5 ms|x\"", ""),
            ("message~\"took 5 ms\"", "{5}"),
            ("message=\"took 5\"", "{5,took}"),
            ("time*", ""),
            ("*out", ""),
            ("\"- -\"", ""),
        ] {
            let words: Vec<_> = words.split_terminator(' ').map(str::to_owned).collect();
            assert_eq!(found(text).map(|found| found.1).unwrap_or_default(), words, "{text}");
        }
        let long = "x".repeat(70);
        assert_eq!(found(&long), one("words @> ?", &format!("{{{}}}", "x".repeat(64))));
    }

    #[test]
    fn values_are_looked_up_in_every_form_that_they_are_equal_in() {
        let of = |parameter: &str| one("extra_data @@ ?", parameter);
        assert_eq!(found("context.id=aB"), of(r#"$."context"."id" == "aB""#));
        assert_eq!(found("user=47"), of(r#"$."user" == "47" || $."user" == 47"#));
        assert_eq!(found("ok=true"), of(r#"$."ok" == "true" || $."ok" == true"#));
        assert_eq!(found("ip:10.0.0.1"), of(r#"$."ip" == "10.0.0.1""#));
        let host = found("hostname=web").expect("found");
        assert_eq!(host.0, "(hostname = ? OR extra_data @@ ?)");
        for text in
            ["id:aB", "a.0=x", "x=1.5", "x=18446744073709551615", "x>5", "x:*", "lineno=5", "NOT x=a", "*:x", ""]
        {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_words_and_keys_are_looked_up_if_there_are_indexes_for_them() {
        let all = Indexes { trigrams: true, keys: true, ..DEFAULT };
        let part = |like: &str| one("message ILIKE ?", like);
        assert_eq!(found_by(all, "message~\"user47\\d@\""), part("%u_er47%"));
        assert_eq!(found_by(all, "reconn*"), part("%reconn%"));
        assert_eq!(found_by(all, "*out"), part("%out%"));
        assert_eq!(found_by(all, "conn*refused-now"), one("words @> ?", "{now}"), "a whole word is looked up sooner");
        assert_eq!(found_by(all, "a.b:*"), one("extra_data ?? ?", "a"));
        for text in ["sky*", "message~\"a.b.c\"", "a.0:*", "hostname:*", "took>5"] {
            assert_eq!(found_by(all, text), None, "{text}");
        }
    }

    #[test]
    fn alternatives_are_looked_up_only_if_all_of_them_can_be() {
        assert_eq!(found("one OR level:ERROR"), None);
        assert_eq!(found("one level:ERROR"), one("words @> ?", "{one}"));
        assert_eq!(found("one OR x=y").expect("found").0, "(words @> ? OR extra_data @@ ?)");
        assert_eq!(found("one x=y").expect("found").0, "(words @> ? AND extra_data @@ ?)");
    }
}
