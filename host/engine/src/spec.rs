//! The operator's configuration of a filter: options, limits, and the policy for records that it fails on.

use std::sync::Arc;
use std::time::Duration;

use crate::error::LoadErrorKind;
use crate::limits::MAX_MEMORY_BYTES;
use crate::signature::TrustedKeys;

/// The policy for records that a filter fails on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// They go to quarantine, with the reason.
    #[default]
    Quarantine,
    /// They continue unchanged.
    Pass,
    /// Their sender gets an error.
    Reject,
}

/// The configuration of a filter.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSpec {
    /// Its name in the configuration. All versions of a filter have the same name.
    pub name: String,
    /// Its options: an object, or null for none.
    pub options: serde_json::Value,
    /// The deadline for one batch.
    pub timeout: Duration,
    /// Memory limit of one instance.
    pub memory_bytes: u64,
    /// Limit on the output for one batch.
    pub output_bytes: u64,
    /// The policy for records that it fails on.
    pub on_error: OnError,
    /// The paths that it may see; `None`: those that its description declares.
    pub reads: Option<Vec<String>>,
    /// The paths that it may change; `None`: any.
    pub writes: Option<Vec<String>>,
    /// Whose modules may run; `None`: everyone's.
    pub trusted: Option<Arc<TrustedKeys>>,
}

impl FilterSpec {
    /// The defaults: 250 ms, 64 MiB of memory, 32 MiB of output, quarantine, no limits on paths, and no
    /// signatures.
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
            trusted: None,
        }
    }

    /// The options as passed to the filter.
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

/// The limits of one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub memory_bytes: usize,
    /// Limit on what it may return, or pass to the host, in one call.
    pub output_bytes: usize,
}
