//! The options and their validation.

use serde::Deserialize;
use thiserror::Error;
use weir_guest::{Level, LevelOrOff, Path};

use crate::limits::{DEFAULT_MAX_TRACES, MAX_MAX_TRACES, MAX_WINDOW_SECONDS};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The path of the trace's id.
    pub id: Path,
    /// Seconds from the first record of a trace to its decision.
    pub window: u64,
    /// The fraction of the other traces to keep, 0 to 1.
    pub rate: f64,
    /// The level from which on a record keeps its trace.
    pub keep_level: LevelOrOff,
    /// What makes a trace slow.
    pub slow: Option<Slow>,
    /// What happens to records without an id.
    pub without_id: WithoutId,
    /// The path for the number of traces that a kept one represents.
    pub weight: String,
    /// Maximum number of held traces.
    pub max_traces: usize,
}

/// A minimum value with which a record keeps its trace.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slow {
    pub field: Path,
    pub at_least: f64,
}

/// What happens to records without an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WithoutId {
    Keep,
    Drop,
    /// Each is sampled on its own.
    Sample,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            id: Path::parse("context.trace_id"),
            window: 10,
            rate: 0.1,
            keep_level: LevelOrOff(Some(Level::Error)),
            slow: None,
            without_id: WithoutId::Keep,
            weight: "sample_weight".to_owned(),
            max_traces: DEFAULT_MAX_TRACES,
        }
    }
}

/// An invalid option.
#[derive(Debug, Error, PartialEq)]
pub enum OptionError {
    #[error("option `rate`: {0}; it must be 0 to 1, and 0.1 keeps one in ten")]
    Rate(f64),
    #[error("option `window`: {0} seconds; it must be 1 to {MAX_WINDOW_SECONDS}")]
    Window(u64),
    #[error("option `slow.at_least`: it must be a number")]
    Slow,
    #[error("option `max_traces`: {0}; it must be 1 to {MAX_MAX_TRACES}")]
    MaxTraces(usize),
    #[error("option `weight`: `{0}` is a reserved field; name another path, or \"\" for none")]
    Weight(String),
    #[error("option `rate`: at 1 every trace is kept, so the filter would only add delay; remove it")]
    KeepsAll,
}

impl Options {
    /// Validates the options.
    pub fn check(&self) -> Result<(), OptionError> {
        // NaN is in no range.
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(OptionError::Rate(self.rate));
        }
        if self.rate >= 1.0 {
            return Err(OptionError::KeepsAll);
        }
        if !(1..=MAX_WINDOW_SECONDS).contains(&self.window) {
            return Err(OptionError::Window(self.window));
        }
        if self.slow.as_ref().is_some_and(|slow| slow.at_least.is_nan()) {
            return Err(OptionError::Slow);
        }
        if !(1..=MAX_MAX_TRACES).contains(&self.max_traces) {
            return Err(OptionError::MaxTraces(self.max_traces));
        }
        match self.weight.as_str() {
            "timestamp" | "level" | "source" | "message" | "routes" => Err(OptionError::Weight(self.weight.clone())),
            _ => Ok(()),
        }
    }
}
