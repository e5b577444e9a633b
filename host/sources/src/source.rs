//! What a kind of source implements.

use async_trait::async_trait;

use crate::destination::{Destination, Stopping};

/// A source of records, ready to run.
#[async_trait]
pub trait Source: Send + Sync {
    /// Fetches records and delivers them until `to` says that the source is to stop, or until there is nothing more. It
    /// continues from the positions that `to` has. What was read and is not durable by the end is read again by the next
    /// run.
    ///
    /// The future may be dropped at any await if the source doesn't stop in time.
    ///
    /// # Errors
    /// Why it can't go on. The router runs it again after a pause, which grows.
    async fn run(&self, to: Destination) -> Result<(), String>;
}

/// Why a run ends, within a source.
pub(crate) enum End {
    Stopping,
    Failed(String),
}

impl End {
    /// What [`Source::run`] returns.
    pub fn into_result(self) -> Result<(), String> {
        match self {
            End::Stopping => Ok(()),
            End::Failed(reason) => Err(reason),
        }
    }
}

impl From<Stopping> for End {
    fn from(Stopping: Stopping) -> End {
        End::Stopping
    }
}

impl From<String> for End {
    fn from(reason: String) -> End {
        End::Failed(reason)
    }
}
