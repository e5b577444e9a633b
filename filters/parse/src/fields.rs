//! The fields parsed from one text: names and values, in order, each name once.
//!
//! Values are stored as MessagePack, the format in which they go on. The memory
//! is reused for the next text.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use weir_guest::Value;
use weir_guest::encode::{self, Encode};

use crate::limits::MAX_FIELDS;

/// Why a text can't be parsed.
pub type ParseError = &'static str;

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Text,
    Integer,
    Float,
    Boolean,
}

/// How values are typed in formats that have only text.
#[derive(Debug, Default)]
pub struct FieldTypes {
    /// Whether numbers, true and false are recognised.
    pub guess: bool,
    /// The types that the operator set, by name.
    pub known: BTreeMap<String, FieldType>,
}

/// The fields of one text.
#[derive(Debug, Default)]
pub struct Fields {
    names: String,
    values: Vec<u8>,
    entries: Vec<(Range<usize>, Range<usize>)>,
    kinds: FieldTypes,
}

impl Fields {
    pub fn new(kinds: FieldTypes) -> Self {
        Fields { kinds, ..Fields::default() }
    }

    /// Removes all fields.
    pub fn clear(&mut self) {
        self.names.clear();
        self.values.clear();
        self.entries.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'_>)> {
        (0..self.entries.len()).filter_map(|index| Some((self.name(index), self.value(index)?)))
    }

    /// Adds text unchanged.
    pub fn text(&mut self, name: &str, text: &str) -> Result<(), ParseError> {
        self.add(name, text)
    }

    /// Adds text that may represent a number or a boolean.
    pub fn guess(&mut self, name: &str, text: &str) -> Result<(), ParseError> {
        match self.kinds.known.get(name) {
            Some(kind) => self.of_kind(name, text, *kind),
            None if self.kinds.guess => match guessed(text) {
                Some(Guess::Integer(n)) => self.add(name, n),
                Some(Guess::Float(n)) => self.add(name, n),
                Some(Guess::Boolean(b)) => self.add(name, b),
                None => self.add(name, text),
            },
            None => self.add(name, text),
        }
    }

    /// Adds a value, which replaces one of the same name.
    pub fn add(&mut self, name: &str, value: impl Encode) -> Result<(), ParseError> {
        self.write(name, |out| {
            value.encode(out);
            Ok(())
        })
    }

    /// Adds the value that `write` appends.
    pub fn write<E: From<ParseError>>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.values.len();
        write(&mut self.values)?;
        let range = start..self.values.len();
        if let Some(known) = (0..self.entries.len()).find(|index| self.name(*index) == name) {
            self.entries[known].1 = range;
            return Ok(());
        }
        if self.entries.len() == MAX_FIELDS {
            return Err("it has too many fields".into());
        }
        let start = self.names.len();
        self.names.push_str(name);
        self.entries.push((start..self.names.len(), range));
        Ok(())
    }

    /// Removes a field.
    pub fn remove(&mut self, index: usize) {
        self.entries.remove(index);
    }

    /// The position of a name.
    pub fn find(&self, name: &str) -> Option<usize> {
        (0..self.entries.len()).find(|index| self.name(*index) == name)
    }

    /// The value at a position that `find` returned.
    pub fn value(&self, index: usize) -> Option<Value<'_>> {
        let (_, range) = self.entries.get(index)?;
        Value::peek(&self.values[range.clone()])
    }

    fn name(&self, index: usize) -> &str {
        &self.names[self.entries[index].0.clone()]
    }

    /// Text that does not have the type stays text, so nothing is lost.
    fn of_kind(&mut self, name: &str, text: &str, kind: FieldType) -> Result<(), ParseError> {
        match kind {
            FieldType::Text => self.add(name, text),
            FieldType::Integer => match text.parse::<i64>() {
                Ok(n) => self.add(name, n),
                Err(_) => self.add(name, text),
            },
            FieldType::Float => match text.parse::<f64>() {
                Ok(n) if n.is_finite() => self.add(name, n),
                _ => self.add(name, text),
            },
            FieldType::Boolean => match text {
                "true" | "yes" | "on" | "1" => self.add(name, true),
                "false" | "no" | "off" | "0" => self.add(name, false),
                _ => self.add(name, text),
            },
        }
    }
}

/// Writes all fields as one map.
impl Encode for Fields {
    fn encode(&self, out: &mut Vec<u8>) {
        encode::map_header(out, self.entries.len());
        for (name, value) in &self.entries {
            encode::str(out, &self.names[name.clone()]);
            out.extend_from_slice(&self.values[value.clone()]);
        }
    }
}

enum Guess {
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

/// Guesses the type of a text, if the value is written as the same text or nearly
/// so: `007` and `+1` are names rather than numbers.
fn guessed(text: &str) -> Option<Guess> {
    match text {
        "true" => return Some(Guess::Boolean(true)),
        "false" => return Some(Guess::Boolean(false)),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    match fraction {
        None if text == "-0" => None,
        None => text.parse().ok().map(Guess::Integer),
        // More digits than a float can hold are likely a name.
        Some(fraction) if all_digits(fraction) && digits.len() <= 17 => text.parse().ok().map(Guess::Float),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_guest::testing::{json, to_json};

    fn guess(text: &str) -> serde_json::Value {
        let mut fields = Fields::new(FieldTypes { guess: true, known: BTreeMap::new() });
        fields.guess("x", text).expect("there is room");
        to_json(fields.value(0).expect("it was just added"))
    }

    #[test]
    fn numbers_are_recognised_and_what_only_looks_like_one_stays_a_text() {
        for (text, expected) in [
            ("42", json!(42)),
            ("-7", json!(-7)),
            ("0", json!(0)),
            ("0.25", json!(0.25)),
            ("-1.5", json!(-1.5)),
            ("true", json!(true)),
            ("007", json!("007")),
            ("+1", json!("+1")),
            ("-0", json!("-0")),
            ("1.", json!("1.")),
            (".5", json!(".5")),
            ("1e5", json!("1e5")),
            ("nan", json!("nan")),
            ("99999999999999999999", json!("99999999999999999999")),
            ("0.12345678901234567890", json!("0.12345678901234567890")),
            ("1.2.3.4", json!("1.2.3.4")),
            ("True", json!("True")),
            ("", json!("")),
        ] {
            assert_eq!(guess(text), expected, "{text}");
        }
    }

    #[test]
    fn of_two_fields_of_a_name_the_last_stays_in_the_place_of_the_first() {
        let mut fields = Fields::default();
        for (name, value) in [("a", 1), ("b", 2), ("a", 3)] {
            fields.add(name, value).expect("there is room");
        }
        let all: Vec<_> = fields.iter().map(|(name, value)| (name.to_owned(), to_json(value))).collect();
        assert_eq!(all, [("a".to_owned(), json!(3)), ("b".to_owned(), json!(2))]);
    }

    #[test]
    fn more_fields_than_allowed_are_refused() {
        let mut fields = Fields::default();
        for n in 0..MAX_FIELDS {
            fields.add(&n.to_string(), n).expect("there is room");
        }
        assert!(fields.add("one more", true).is_err());
        assert!(fields.add("0", true).is_ok(), "a known name needs no room");
    }
}
