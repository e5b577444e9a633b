//! The description that a filter returns, in every version of the contract.

#![allow(unsafe_code, reason = "the derives implement unsafe traits of the runtime, and check what they implement")]

use wasmtime::component::{ComponentType, Lift};

use crate::error::bounded_line;
use crate::limits::{MAX_OWN_DESCRIPTION_BYTES, MAX_OWN_NAME_BYTES, MAX_OWN_PATH_BYTES, MAX_OWN_PATHS};

/// The description that a filter returns.
#[derive(ComponentType, Lift, Clone, Debug, Default, PartialEq, Eq)]
#[component(record)]
pub struct Description {
    /// Its name, such as `redact`.
    pub name: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
    /// What it does, in one sentence.
    pub description: String,
    /// The paths it reads; empty means all.
    pub reads: Vec<String>,
    /// The paths it may change; empty means all.
    pub writes: Vec<String>,
}

impl Description {
    /// Shortens and escapes the texts so that they can be shown anywhere. Paths can't be shortened: fails if there are
    /// too many or one is too long.
    pub(crate) fn bounded(self) -> Result<Self, String> {
        for (paths, verb) in [(&self.reads, "reads"), (&self.writes, "writes")] {
            if paths.len() > MAX_OWN_PATHS || paths.iter().any(|path| path.len() > MAX_OWN_PATH_BYTES) {
                return Err(format!(
                    "it says that it {verb} more than {MAX_OWN_PATHS} paths, or one of more than {MAX_OWN_PATH_BYTES} bytes"
                ));
            }
        }
        Ok(Self {
            name: bounded_line(&self.name, MAX_OWN_NAME_BYTES),
            version: bounded_line(&self.version, MAX_OWN_NAME_BYTES),
            description: bounded_line(&self.description, MAX_OWN_DESCRIPTION_BYTES),
            ..self
        })
    }
}
