//! Options without the parts that can't be read.
//!
//! When an item of a list is removed, the following ones move up, so errors in the rest refer to other positions than
//! the operator's: [`PartialOptions::place`] converts them.

use std::fmt;

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// A position in the original options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// The remaining options.
pub struct PartialOptions<'v> {
    whole: &'v Value,
    left_out: Vec<Place>,
}

impl<'v> PartialOptions<'v> {
    pub fn new(whole: &'v Value) -> Self {
        PartialOptions { whole, left_out: Vec::new() }
    }

    /// The remaining value.
    pub fn value(&self) -> Value {
        self.copy(self.whole, &mut Place::default())
    }

    fn copy(&self, value: &Value, place: &mut Place) -> Value {
        let mut inside = |step: Step, value: &Value| {
            place.0.push(step);
            let copied = (!self.left_out.contains(place)).then(|| self.copy(value, place));
            place.0.pop();
            copied
        };
        match value {
            Value::Object(map) => {
                let entries = map
                    .iter()
                    .filter_map(|(key, value)| inside(Step::Key(key.clone()), value).map(|value| (key.clone(), value)));
                Value::Object(entries.collect())
            }
            Value::Array(items) => {
                items.iter().enumerate().filter_map(|(at, item)| inside(Step::Item(at), item)).collect()
            }
            other => other.clone(),
        }
    }

    /// Whether an option is given.
    pub fn has(&self, option: &str) -> bool {
        self.whole.get(option).is_some()
    }

    /// Converts a path in the rest to the position in the original, as far as it exists.
    pub fn place(&self, path: &Path) -> Place {
        let mut place = Place::default();
        let mut value = self.whole;
        for segment in path.iter() {
            let inside = match (segment, value) {
                (Segment::Map { key } | Segment::Enum { variant: key }, Value::Object(map)) => {
                    map.get(key).map(|value| (Step::Key(key.clone()), value))
                }
                (Segment::Seq { index }, Value::Array(items)) => self.item(&place, items, *index),
                _ => None,
            };
            let Some((step, inner)) = inside else { break };
            place.0.push(step);
            value = inner;
        }
        place
    }

    /// The original index of an item in the remaining list.
    fn item<'i>(&self, list: &Place, items: &'i [Value], index: usize) -> Option<(Step, &'i Value)> {
        let is_left = |at: usize| {
            let mut place = list.clone();
            place.0.push(Step::Item(at));
            !self.left_out.contains(&place)
        };
        items.iter().enumerate().filter(|(at, _)| is_left(*at)).nth(index).map(|(at, item)| (Step::Item(at), item))
    }

    /// Removes the value at a position; false if that is everything.
    pub fn leave_out(&mut self, place: Place) -> bool {
        let is_part = !place.0.is_empty();
        self.left_out.push(place);
        is_part
    }
}

impl Place {
    /// The option that it is in.
    pub fn first_key(&self) -> Option<&str> {
        match self.0.first()? {
            Step::Key(key) => Some(key),
            Step::Item(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Item(at) => write!(f, "[{at}]")?,
            }
        }
        Ok(())
    }
}
