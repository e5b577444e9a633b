//! Regular expressions of the operator, whose named groups become fields.

use std::cell::RefCell;

use regex_lite::{CaptureLocations, Regex, RegexBuilder};
use thiserror::Error;

use crate::fields::{Fields, ParseError};
use crate::limits::{MAX_PATTERN_BYTES, MAX_PATTERN_TEXT_BYTES, MAX_REGEX_BYTES};

/// An invalid expression.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    #[error("it has {0} bytes, more than the {MAX_PATTERN_BYTES} allowed")]
    TooLong(usize),
    #[error("`{pattern}` is not a valid regular expression: {reason}")]
    Syntax { pattern: String, reason: String },
    #[error("`{0}` has no named group; add one, such as (?<user>\\w+)")]
    NoGroup(String),
}

/// An expression, the names of its groups, and its reusable search memory.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    groups: Box<[(usize, String)]>,
    places: RefCell<CaptureLocations>,
}

impl Pattern {
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(PatternError::TooLong(pattern.len()));
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build();
        let regex =
            regex.map_err(|error| PatternError::Syntax { pattern: pattern.to_owned(), reason: error.to_string() })?;
        let named = regex.capture_names().enumerate();
        let groups: Box<[_]> = named.filter_map(|(index, name)| Some((index, name?.to_owned()))).collect();
        if groups.is_empty() {
            return Err(PatternError::NoGroup(pattern.to_owned()));
        }
        let places = RefCell::new(regex.capture_locations());
        Ok(Pattern { regex, groups, places })
    }

    /// If the text matches, adds its named groups to the fields and returns true.
    fn read(&self, text: &str, fields: &mut Fields) -> Result<bool, ParseError> {
        let mut places = self.places.borrow_mut();
        if self.regex.captures_read(&mut places, text).is_none() {
            return Ok(false);
        }
        for (index, name) in &self.groups {
            if let Some((start, end)) = places.get(*index) {
                fields.guess(name, &text[start..end])?;
            }
        }
        Ok(true)
    }
}

/// Parses a text with the first expression that matches.
pub fn read(patterns: &[Pattern], text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    if text.len() > MAX_PATTERN_TEXT_BYTES {
        return Err("it is too long for expressions");
    }
    for pattern in patterns {
        if pattern.read(text, fields)? {
            return Ok(());
        }
    }
    Err("no expression of `patterns` matches it")
}
