//! The second half of `compile`: the checks of the value at one path.
//!
//! The level has only six values, so a test of it is evaluated here with each of
//! them, and a record's level is only looked up in the resulting set.

use regex::Regex;
use weir_guest::{Level, OptionError};

use crate::compile::wrong;
use crate::condition::{Check, Comparison, LevelSet, Values};
use crate::glob::Glob;
use crate::limits::MAX_VALUES;
use crate::number::Number;
use crate::options::{Scalar, Test};
use crate::pattern;

const NO_TEST: &str =
    "no test is given; write a value, or one of equals, in, glob, regex, above, at_least, below, at_most, exists";

/// Compiles the checks of a field other than the level. `exists` is ignored.
pub fn of_field(place: &str, test: Test) -> Result<Box<[Check]>, OptionError> {
    let mut checks = Vec::new();
    // Cheap checks come first, because the first one that fails decides.
    for (key, how, operand) in comparisons(&test) {
        let with = number(&format!("{place}.{key}"), operand)?;
        checks.push(Check::Compare { with, how });
    }
    if let Some(value) = test.equals {
        let place = format!("{place}.equals");
        checks.push(Check::OneOf(values(&place, vec![value])?));
    }
    if let Some(list) = test.one_of {
        let place = format!("{place}.in");
        checks.push(Check::OneOf(values(&place, list)?));
    }
    if let Some(pattern) = test.glob {
        checks.push(Check::Glob(glob(&format!("{place}.glob"), &pattern)?));
    }
    if let Some(pattern) = test.regex {
        checks.push(Check::Regex(regex(&format!("{place}.regex"), &pattern)?));
    }
    if checks.is_empty() {
        return wrong(place, NO_TEST);
    }
    Ok(checks.into_boxed_slice())
}

/// The levels for which a test of `level` is true.
pub fn levels(place: &str, test: &Test) -> Result<LevelSet, OptionError> {
    if *test == Test::default() {
        return wrong(place, NO_TEST);
    }
    if test.exists.is_some() {
        return wrong(place, "every record has a level; leave `exists` out");
    }
    let mut sets = Vec::new();
    for (key, how, operand) in comparisons(test) {
        let with = level(&format!("{place}.{key}"), operand)?;
        sets.push(LevelSet::of(|level| how.holds(level.cmp(&with))));
    }
    if let Some(value) = &test.equals {
        let with = level(&format!("{place}.equals"), value)?;
        sets.push(LevelSet::of(|level| level == with));
    }
    if let Some(list) = &test.one_of {
        let one_of = |(index, value)| level(&format!("{place}.in[{index}]"), value);
        let listed: Vec<Level> = list.iter().enumerate().map(one_of).collect::<Result<_, _>>()?;
        sets.push(LevelSet::of(|level| listed.contains(&level)));
    }
    if let Some(pattern) = &test.glob {
        let glob = glob(&format!("{place}.glob"), pattern)?;
        sets.push(LevelSet::of(|level| glob.is_match(level.as_str())));
    }
    if let Some(pattern) = &test.regex {
        let regex = regex(&format!("{place}.regex"), pattern)?;
        sets.push(LevelSet::of(|level| regex.is_match(level.as_str())));
    }
    let all = LevelSet::of(|level| sets.iter().all(|set| set.contains(level)));
    if all == LevelSet::of(|_| false) {
        return wrong(
            place,
            "no level satisfies it; the levels are TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL, in this order",
        );
    }
    Ok(all)
}

/// Parses a level.
pub fn level_named(place: &str, word: &str) -> Result<Level, OptionError> {
    Level::parse(word).map_or_else(
        || wrong(place, format!("`{word}` is not a level; use TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL")),
        Ok,
    )
}

fn level(place: &str, value: &Scalar) -> Result<Level, OptionError> {
    match value {
        Scalar::Text(word) => level_named(place, word),
        _ => {
            wrong(place, "a level is compared with the name of a level: TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL")
        }
    }
}

/// The order comparisons of a test.
fn comparisons(test: &Test) -> impl Iterator<Item = (&'static str, Comparison, &Scalar)> {
    [
        ("above", Comparison::Above, &test.above),
        ("at_least", Comparison::AtLeast, &test.at_least),
        ("below", Comparison::Below, &test.below),
        ("at_most", Comparison::AtMost, &test.at_most),
    ]
    .into_iter()
    .filter_map(|(key, how, operand)| Some((key, how, operand.as_ref()?)))
}

fn number(place: &str, value: &Scalar) -> Result<Number, OptionError> {
    match value {
        Scalar::Integer(integer) => Ok(Number::Integer(*integer)),
        Scalar::Float(float) if !float.is_nan() => Ok(Number::Float(*float)),
        _ => {
            wrong(place, "it compares numbers; write one without quotes (names of levels are ordered only at `level`)")
        }
    }
}

fn values(place: &str, list: Vec<Scalar>) -> Result<Values, OptionError> {
    if list.is_empty() {
        return wrong(place, "an empty list never matches; give it values");
    }
    if list.len() > MAX_VALUES {
        let count = list.len();
        return wrong(place, format!("{count} values are more than the {MAX_VALUES} allowed"));
    }
    let mut values = Values::default();
    for scalar in list {
        match scalar {
            Scalar::Text(text) => {
                values.texts.insert(text.into_boxed_str());
            }
            Scalar::Boolean(boolean) => values.booleans.push(boolean),
            Scalar::Integer(integer) => {
                values.integers.insert(integer);
            }
            Scalar::Float(float) => match Number::Float(float).whole() {
                Some(integer) => {
                    values.integers.insert(integer);
                }
                None => values.floats.push(float),
            },
        }
    }
    Ok(values)
}

fn glob(place: &str, pattern: &str) -> Result<Glob, OptionError> {
    Glob::parse(pattern).or_else(|error| wrong(place, error.to_string()))
}

fn regex(place: &str, pattern: &str) -> Result<Regex, OptionError> {
    pattern::parse(pattern).or_else(|error| wrong(place, error.to_string()))
}
