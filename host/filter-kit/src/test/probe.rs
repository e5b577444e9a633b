//! Examines faults, each time with a new instance: whether they can be reproduced, and with how small records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::{Clock, Compiled, FailureKind, FilterSpec, TestInstance};

use super::fuzz::{Fault, Finding, Occurrence};
use super::judge::START_NS;
use super::shrink::{Budget, shrink};
use super::tree::{self, Tree};
use crate::limits::{GROWTH_RECORDS, GROWTH_TIME, SHRINK_DEADLINE_DIVISOR, SHRINK_TESTS, SHRINK_TIME};

/// Starts instances of a filter.
pub struct Prober {
    pub compiled: Arc<Compiled>,
    pub spec: FilterSpec,
}

/// Identifies a kind of fault: by the kind of failure and the reason without numbers, which differ from record to
/// record, or the first words of an error that the filter returned.
pub fn key(fault: &Fault, reason: &str) -> String {
    let plain: String = match fault {
        Fault::Slow { .. } | Fault::Grows => String::new(),
        Fault::Failed(kind) => {
            let length = if *kind == FailureKind::Refused { 32 } else { usize::MAX };
            reason.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).take(length).collect()
        }
    };
    format!("{} {plain}", fault.name())
}

impl Prober {
    /// Finds the smallest records that reproduce a fault: those of the call, or those before it as well.
    pub fn examine(&self, seen: Occurrence) -> Finding {
        let mut with_earlier = seen.before.clone();
        with_earlier.extend(seen.records.iter().cloned());
        let found = [&seen.records, &with_earlier].into_iter().find(|records| self.shows(&seen, records));
        if let Some(records) = found.map(|records| self.smallest(&seen, records)) {
            return Finding { seen, records, is_reproducible: true };
        }
        Finding { seen, records: with_earlier, is_reproducible: false }
    }

    /// Minimises records that reproduce a fault.
    fn smallest(&self, seen: &Occurrence, records: &[Tree]) -> Vec<Tree> {
        let mut spec = self.spec.clone();
        if seen.fault == Fault::Failed(FailureKind::Timeout) {
            // A test that reproduces an endless loop takes a whole deadline.
            spec.timeout /= SHRINK_DEADLINE_DIVISOR;
        }
        let hurried = Prober { compiled: self.compiled.clone(), spec };
        let budget = Budget { tests: SHRINK_TESTS, time: SHRINK_TIME };
        // A record without a message gets its JSON as message, which makes the result harder to read.
        let spoken: Vec<Tree> = records.iter().cloned().map(with_message).collect();
        let small = if hurried.shows(seen, &spoken) {
            let mut shows = |records: &[Tree]| records.iter().all(has_message) && hurried.shows(seen, records);
            let small = shrink(spoken, budget, &mut shows);
            message_only(&small, &mut shows).unwrap_or(small)
        } else {
            shrink(records.to_vec(), budget, &mut |records| hurried.shows(seen, records))
        };
        if self.shows(seen, &small) { small } else { records.to_vec() }
    }

    fn shows(&self, seen: &Occurrence, records: &[Tree]) -> bool {
        match seen.fault {
            Fault::Failed(_) => self.fails_alike(seen, records),
            Fault::Slow { least } => self.is_slow(records, least),
            Fault::Grows => self.grows(records),
        }
    }

    fn start(&self) -> Option<TestInstance> {
        TestInstance::start(&self.compiled, &self.spec, Clock::Set(START_NS)).ok()
    }

    fn fails_alike(&self, seen: &Occurrence, records: &[Tree]) -> bool {
        let (Some(batch), Some(mut trial)) = (tree::batch(records), self.start()) else { return false };
        // A router never calls a filter without records, but may tick one that has had none.
        let called = if batch.is_empty() { None } else { trial.call(&batch, 0..batch.len()).err() };
        let failure = called.or_else(|| trial.tick(true).err());
        failure
            .is_some_and(|failure| key(&Fault::Failed(failure.kind), &failure.reason) == key(&seen.fault, &seen.reason))
    }

    fn is_slow(&self, records: &[Tree], least: Duration) -> bool {
        let (Some(batch), Some(mut trial)) = (tree::batch(records), self.start()) else { return false };
        !batch.is_empty()
            && (0..3).all(|_| {
                let start = Instant::now();
                trial.call(&batch, 0..batch.len()).is_ok() && start.elapsed() >= least
            })
    }

    /// Checks whether memory grows without bound with one of these records, or with all of them.
    pub fn growth(&self, suspects: &[Tree], after_records: u64) -> Option<Finding> {
        let suspects: Vec<Tree> = suspects.iter().filter(|suspect| self.takes(suspect)).cloned().collect();
        if !self.grows(&suspects) {
            return None;
        }
        let alone = suspects.iter().find(|suspect| self.grows(std::slice::from_ref(suspect)));
        let records = alone.map_or_else(|| suspects.to_vec(), |alone| vec![alone.clone()]);
        let seen = Occurrence {
            fault: Fault::Grows,
            reason: String::new(),
            records: records.clone(),
            before: Vec::new(),
            after_records,
            times: 1,
        };
        let records = self.smallest(&seen, &records);
        let (from, to) = self.memory(&records).map_or((0, 0), |[_, from, _, to]| (from, to));
        let reason =
            format!("its memory kept growing, by {} KiB over {} records", (to - from) >> 10, GROWTH_RECORDS / 2);
        Some(Finding { seen: Occurrence { reason, ..seen }, records, is_reproducible: true })
    }

    /// Whether a record can be processed without a failure.
    fn takes(&self, record: &Tree) -> bool {
        let (Some(batch), Some(mut trial)) = (tree::batch(std::slice::from_ref(record)), self.start()) else {
            return false;
        };
        trial.call(&batch, 0..1).is_ok()
    }

    /// Whether memory grows in each of the last three quarters of many calls. Caches and garbage collectors stop
    /// growing before.
    fn grows(&self, records: &[Tree]) -> bool {
        self.memory(records).is_some()
    }

    /// The memory of an instance after each quarter, if it grew from each to the next.
    fn memory(&self, records: &[Tree]) -> Option<[usize; 4]> {
        if records.is_empty() {
            return None;
        }
        let (batch, mut trial) = (tree::batch(records)?, self.start()?);
        let is_stateful = self.compiled.world().is_stateful();
        let calls = (GROWTH_RECORDS / records.len() / 4).max(16);
        let until = Instant::now() + GROWTH_TIME;
        let mut quarters: Vec<usize> = Vec::with_capacity(4);
        for _ in 0..4 {
            for number in 0..calls {
                trial.call(&batch, 0..batch.len()).ok()?;
                trial.advance(Duration::from_millis(10));
                // A second has passed, like between two ticks of a router.
                if is_stateful && number % 100 == 99 {
                    trial.tick(false).ok()?;
                }
                if Instant::now() > until {
                    return None;
                }
            }
            let bytes = trial.memory_bytes();
            if quarters.last().is_some_and(|before| bytes <= *before) {
                return None;
            }
            quarters.push(bytes);
        }
        quarters.try_into().ok()
    }
}

/// A record with only one of the texts as its message, if that reproduces the fault: it is the easiest to read.
fn message_only(records: &[Tree], shows: &mut dyn FnMut(&[Tree]) -> bool) -> Option<Vec<Tree>> {
    let [record] = records else { return None };
    let mut texts = record.texts();
    texts.sort_by_key(|text| text.len());
    let said = |text: String| vec![Tree::Map(vec![("message".to_owned(), Tree::Text(text))])];
    texts.into_iter().take(PLAIN_TEXTS).map(said).find(|record| shows(record))
}

/// Maximum number of texts to try.
const PLAIN_TEXTS: usize = 50;

fn has_message(record: &Tree) -> bool {
    matches!(record, Tree::Map(entries) if entries.iter().any(|(key, _)| key == "message"))
}

fn with_message(mut record: Tree) -> Tree {
    if !has_message(&record) {
        record.set(&["message".to_owned()], Tree::Text(String::new()));
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_differ_only_in_numbers_are_grouped() {
        let trap = Fault::Failed(FailureKind::Trap);
        assert_eq!(key(&trap, "it gave 3 verdicts"), key(&trap, "it gave 7 verdicts"));
        assert_ne!(key(&trap, "it trapped in `a`"), key(&trap, "it trapped in `b`"));
        assert_ne!(key(&trap, "x"), key(&Fault::Failed(FailureKind::Nonsense), "x"));
    }
}
