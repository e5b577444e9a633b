//! Tries a new version of a filter on recent records, next to the running version.
//!
//! Both use separate instances and stores, and their results are discarded: only failures count. **A version that fails
//! on a record that the running one accepts is refused, whatever the kind of failure.** A record that the running
//! version fails on too is no reason to refuse the new one, which may fix something else.

use std::ops::Range;
use std::time::Instant;

use weir_record::Batch;

use crate::error::{CallError, FailureKind, LoadError, LoadErrorKind};
use crate::filter::Filter;
use crate::holds::ids;
use crate::instance::Instance;
use crate::limits::MAX_CHECK_TIME;
use crate::pieces::pieces;
use crate::rewrite::Part;

/// The result of a check that accepted the version.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Number of records tried.
    pub records: usize,
    /// How many of them it failed on.
    pub failed: usize,
    /// The last failure.
    pub reason: String,
}

impl CheckReport {
    /// Whether there were records and it failed on all of them.
    pub fn failed_on_all(&self) -> bool {
        self.failed > 0 && self.failed == self.records
    }
}

impl Filter {
    /// Tries the filter on records, next to the running version. Without a running version, traps, timeouts and invalid
    /// output refuse the filter; errors that it returns itself are only counted.
    pub fn check(&self, sample: &Batch, running: Option<&Filter>) -> Result<CheckReport, LoadError> {
        self.try_on(sample, running).map_err(|problem| self.error(problem))
    }

    /// Whether the filter takes at least one of these records.
    pub fn accepts_any(&self, sample: &Batch) -> bool {
        self.check(sample, None).is_ok_and(|checked| !checked.failed_on_all())
    }

    fn try_on(&self, sample: &Batch, running: Option<&Filter>) -> Result<CheckReport, LoadErrorKind> {
        let began = Instant::now();
        let mut new = Candidate::of(self);
        new.start()?;
        let mut old = running.map(Candidate::of);
        let mut checked = CheckReport { records: sample.len(), ..CheckReport::default() };
        for piece in pieces(sample) {
            let Err(error) = new.call(sample, piece.clone()) else { continue };
            if old.is_none() && error.kind != FailureKind::Refused {
                return Err(LoadErrorKind::Trial(error.reason));
            }
            let failed_before = checked.failed;
            for record in piece.clone() {
                if began.elapsed() > MAX_CHECK_TIME {
                    // Both fail, and slowly: there is no reason to prefer either.
                    return Ok(checked);
                }
                let Err(error) = new.call(sample, record..record + 1) else { continue };
                checked.failed += 1;
                refuse_if_worse(old.as_mut(), sample, record..record + 1, &error)?;
                checked.reason = error.reason;
            }
            if checked.failed == failed_before {
                // It fails on these records only together.
                refuse_if_worse(old.as_mut(), sample, piece, &error)?;
            }
        }
        Ok(checked)
    }
}

/// Refuses a new version that failed on records which the running one accepts.
fn refuse_if_worse(
    old: Option<&mut Candidate<'_>>,
    sample: &Batch,
    records: Range<usize>,
    error: &CallError,
) -> Result<(), LoadErrorKind> {
    match old.map(|old| old.call(sample, records)) {
        Some(Ok(())) => Err(LoadErrorKind::Worse(error.reason.clone())),
        _ => Ok(()),
    }
}

/// A filter with an instance for the trial.
struct Candidate<'a> {
    filter: &'a Filter,
    instance: Option<Instance>,
    part: Part,
}

impl<'a> Candidate<'a> {
    fn of(filter: &'a Filter) -> Self {
        Self { filter, instance: None, part: Part::default() }
    }

    fn start(&mut self) -> Result<&mut Instance, LoadErrorKind> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.filter.start_for_trial()?,
        };
        Ok(self.instance.insert(instance))
    }

    fn call(&mut self, sample: &Batch, records: Range<usize>) -> Result<(), CallError> {
        let timeout = self.filter.spec().timeout;
        let mut part = std::mem::take(&mut self.part);
        let Instance { guest, exports, .. } =
            self.start().map_err(|problem| CallError::new(FailureKind::Start, problem.to_string()))?;
        // Held records are discarded, so the ids don't matter.
        let ids = ids(0, 0..sample.len());
        let outcome = exports.process(guest, sample, records, &ids, timeout, &mut part).map(drop);
        if outcome.as_ref().is_err_and(|error| !error.leaves_instance_sound()) {
            self.instance = None;
        }
        self.part = part;
        outcome
    }
}
