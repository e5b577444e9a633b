//! A filter as the operator configured it: its options, its bounds, and what becomes of records that it fails on.

use std::time::Duration;

use crate::error::LoadErrorKind;
use crate::limits::MAX_MEMORY_BYTES;

/// What becomes of records that a filter fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// They are set aside, with the reason.
    #[default]
    Quarantine,
    /// They go on as they are.
    Pass,
    /// Their sender gets an error.
    Reject,
}

/// A filter as the operator configured it.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSpec {
    /// Its name in the configuration; versions of a filter are those of one name.
    pub name: String,
    /// Its options: an object, or null for none.
    pub options: serde_json::Value,
    /// The deadline for one batch.
    pub timeout: Duration,
    /// Memory of one instance.
    pub memory_bytes: u64,
    /// What it may return for one batch.
    pub output_bytes: u64,
    /// What becomes of records that it fails on.
    pub on_error: OnError,
    /// The paths that it may see; `None`: what it says that it reads.
    pub reads: Option<Vec<String>>,
    /// The paths that it may change; `None`: any.
    pub writes: Option<Vec<String>>,
}

impl FilterSpec {
    /// The defaults: 250 ms, 64 MiB, 32 MiB, quarantine, and no bounds to what it sees and changes.
    pub fn new(name: &str) -> FilterSpec {
        FilterSpec {
            name: name.into(),
            options: serde_json::Value::Null,
            timeout: Duration::from_millis(250),
            memory_bytes: 64 << 20,
            output_bytes: 32 << 20,
            on_error: OnError::Quarantine,
            reads: None,
            writes: None,
        }
    }

    /// The options as the filter is given them.
    pub(crate) fn options_text(&self) -> Result<String, LoadErrorKind> {
        match &self.options {
            serde_json::Value::Null => Ok("{}".to_owned()),
            options @ serde_json::Value::Object(_) => Ok(options.to_string()),
            _ => Err(LoadErrorKind::of_options("`options` must be a table")),
        }
    }

    pub(crate) fn bounds(&self) -> Result<Bounds, LoadErrorKind> {
        if !(64 << 10..=MAX_MEMORY_BYTES).contains(&self.memory_bytes) {
            return Err(LoadErrorKind::Limit(format!(
                "`memory` is {} bytes; give it between 64 KiB and 4 GiB",
                self.memory_bytes
            )));
        }
        if self.output_bytes == 0 || self.timeout.is_zero() {
            return Err(LoadErrorKind::Limit("`output` and `timeout` must be more than nothing".into()));
        }
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        Ok(Bounds { memory_bytes: size(self.memory_bytes), output_bytes: size(self.output_bytes) })
    }
}

/// The bounds of one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub memory_bytes: usize,
    /// What it may return, or hand to the host, in one call.
    pub output_bytes: usize,
}
