//! Runs another version of a filter on request, by a pin. The module in the filters folder stays as it is; as soon as it
//! changes, it is loaded as usual.

use super::FilterSet;
use crate::versions::{Pin, sha256};

/// Why another version doesn't run.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    #[error("there is no filter `{0}`")]
    NoFilter(String),
    /// The version is not there.
    #[error("{0}")]
    NotKept(String),
    /// It can't run.
    #[error("{0}")]
    Refused(String),
}

impl FilterSet {
    /// Runs the kept module with this digest, and returns its version. If that fails, everything is as before.
    pub fn swap(&mut self, name: &str, digest: &str, by: &str, why: &str) -> Result<String, SwapError> {
        let wanted = self.wanted.iter().find(|wanted| wanted.spec.name == name);
        let wanted = wanted.ok_or_else(|| SwapError::NoFilter(name.to_owned()))?;
        let instead_of = sha256(&wanted.source.read().map_err(SwapError::Refused)?);
        self.versions.module(name, digest).map_err(SwapError::NotKept)?;
        let before = self.versions.pin(name);
        let pin = Pin { instead_of, run: digest.to_owned(), by: by.to_owned(), why: why.to_owned() };
        // The module of the folder needs no pin.
        let pin = (pin.instead_of != pin.run).then_some(pin);
        self.versions.replace_pin(name, pin.as_ref()).map_err(SwapError::Refused)?;
        let outcome = self.run_pinned(name, digest);
        if outcome.is_err()
            && let Err(error) = self.versions.replace_pin(name, before.as_ref())
        {
            tracing::error!("filter `{name}`: the next start may load the version that was refused: {error}");
        }
        outcome
    }

    /// Runs the version whose digest begins with `to`, or the previous one. Returns its version and digest.
    pub fn roll_back(&mut self, name: &str, to: Option<&str>, by: &str) -> Result<(String, String), SwapError> {
        let history = self.versions.history(name);
        let digest = history.rollback_target(name, to).map_err(SwapError::NotKept)?.digest.clone();
        let version = self.swap(name, &digest, by, "rollback")?;
        Ok((version, digest))
    }

    fn run_pinned(&mut self, name: &str, digest: &str) -> Result<String, SwapError> {
        let prepared = self.prepare(self.wanted.clone());
        let is_ready = prepared.ready.iter().any(|ready| ready.wanted.spec.name == name && ready.digest == digest);
        if !is_ready {
            let reason =
                prepared.failures.into_iter().find(|failure| failure.filter == name).map(|failure| failure.reason);
            return Err(SwapError::Refused(reason.unwrap_or_else(|| format!("filter `{name}` can't be loaded"))));
        }
        let is_published = self.publish(prepared);
        debug_assert!(is_published, "nobody else can have published: the set is borrowed");
        let running = self.find(name).filter(|running| running.digest == digest);
        let kept =
            || format!("filter `{name}`: this version does not accept the state of the running one, which stays");
        running.map(|running| running.filter.description().version.clone()).ok_or_else(|| SwapError::Refused(kept()))
    }
}
