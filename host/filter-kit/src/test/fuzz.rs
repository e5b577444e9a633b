//! `--fuzz`: runs generated records through a filter, and finds the smallest records that reproduce each fault.
//!
//! There are two stages. First, for the given time, one instance processes generated records, and one example of each
//! kind of fault is kept: failed calls, refusals, and calls that are slow for their size. Then each is examined with
//! new instances ([`probe`]): whether it can be reproduced, with which of the records, how small they can become, and
//! whether memory grows without bound. The clock is simulated and advances a millisecond per call, so a seed always
//! gives the same result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::{CallFailure, Clock, Compiled, FailureKind, FilterSpec, LoadError, TestInstance};
use weir_record::Batch;

use super::generate::Generator;
use super::judge::START_NS;
use super::probe::{self, Prober};
use super::random::Random;
use super::speed::Speeds;
use super::tree::{self, Tree};
use crate::limits::{FUZZ_HISTORY, FUZZ_KINDS, FUZZ_TICK_CALLS, GROWTH_BYTES};

/// What to fuzz, and for how long.
pub struct Plan<'a> {
    pub compiled: Arc<Compiled>,
    pub spec: FilterSpec,
    pub module: &'a [u8],
    pub samples: &'a Batch,
    pub time: Duration,
    pub seed: u64,
}

/// A kind of fault.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// A call failed.
    Failed(FailureKind),
    /// A call was slow for the size of its records.
    Slow { least: Duration },
    /// Memory grows with every call.
    Grows,
}

impl Fault {
    /// Its name in reports and file names.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Failed(kind) => kind.as_str(),
            Self::Slow { .. } => "slow",
            Self::Grows => "growth",
        }
    }

    /// Whether such a filter should not be used. Refusing records is allowed, and times depend on the machine.
    pub fn is_failure(&self) -> bool {
        !matches!(self, Self::Failed(FailureKind::Refused) | Self::Slow { .. })
    }
}

/// A fault when it was first seen.
#[derive(Debug, Clone)]
pub struct Occurrence {
    pub fault: Fault,
    pub reason: String,
    /// The records of the failing call.
    pub records: Vec<Tree>,
    /// Records that the instance had processed before.
    pub before: Vec<Tree>,
    /// Number of records until it was first seen.
    pub after_records: u64,
    pub times: u64,
}

/// A fault, and the smallest records that reproduce it.
#[derive(Debug)]
pub struct Finding {
    pub seen: Occurrence,
    pub records: Vec<Tree>,
    /// Whether they reproduce it in a new instance.
    pub is_reproducible: bool,
}

/// The results of fuzzing.
#[derive(Debug, Default)]
pub struct FuzzReport {
    pub findings: Vec<Finding>,
    pub calls: u64,
    pub records: u64,
    /// Number of faults of kinds beyond the limit.
    pub not_kept: u64,
    /// Memory of the instance: initial and maximum.
    pub memory_bytes: (usize, usize),
}

/// Runs both stages.
pub fn run(plan: &Plan<'_>) -> Result<FuzzReport, LoadError> {
    let trial = TestInstance::start(&plan.compiled, &plan.spec, Clock::Set(START_NS))?;
    let about = trial.description().clone();
    let generator = Generator::new(plan.seed, plan.module, about.reads.iter().chain(&about.writes), plan.samples);
    let memory = trial.memory_bytes();
    let mut fuzz = Fuzz {
        is_stateful: plan.compiled.world().is_stateful(),
        trial,
        generator,
        speeds: Speeds::default(),
        before: VecDeque::new(),
        grew: Vec::new(),
        taken: Vec::new(),
        chance: Random::new(plan.seed),
        seen: Vec::new(),
        fuzzed: FuzzReport { memory_bytes: (memory, memory), ..FuzzReport::default() },
    };
    let until = Instant::now() + plan.time;
    while Instant::now() < until {
        fuzz.round();
    }
    Ok(fuzz.examine(plan))
}

struct Fuzz {
    is_stateful: bool,
    trial: TestInstance,
    generator: Generator,
    speeds: Speeds,
    before: VecDeque<Tree>,
    /// Records after which memory had grown.
    grew: Vec<Tree>,
    /// A random sample of the records processed successfully.
    taken: Vec<Tree>,
    chance: Random,
    seen: Vec<Occurrence>,
    fuzzed: FuzzReport,
}

impl Fuzz {
    fn round(&mut self) {
        let trees = self.generator.batch();
        let Some(batch) = tree::batch(&trees) else { return };
        let start = Instant::now();
        let failure = self.trial.call(&batch, 0..batch.len()).err();
        let elapsed = start.elapsed();
        self.trial.advance(Duration::from_millis(1));
        self.fuzzed.calls += 1;
        self.fuzzed.records += batch.len() as u64;
        match failure {
            Some(failure) => self.failed(&failure, &trees),
            None => {
                self.succeeded(&batch, elapsed, &trees);
                self.before.extend(trees);
            }
        }
        while self.before.len() > FUZZ_HISTORY {
            self.before.pop_front();
        }
        if self.is_stateful && self.fuzzed.calls.is_multiple_of(FUZZ_TICK_CALLS) {
            self.trial.advance(Duration::from_secs(1));
            if let Err(failure) = self.trial.tick(false) {
                self.failed(&failure, &[]);
            }
        }
    }

    fn succeeded(&mut self, batch: &Batch, elapsed: Duration, trees: &[Tree]) {
        let memory = self.trial.memory_bytes();
        if memory > self.fuzzed.memory_bytes.1 {
            self.fuzzed.memory_bytes.1 = memory;
            if self.grew.len() < FUZZ_HISTORY && batch.byte_len() <= GROWTH_BYTES {
                self.grew.extend(trees.iter().cloned());
            }
        }
        self.remember(batch, trees);
        let Some(slow) = self.speeds.is_slow(batch.byte_len(), elapsed) else { return };
        // Other load of the machine is unlikely to slow down three more calls.
        let again = (0..3).filter_map(|_| {
            let start = Instant::now();
            self.trial.call(batch, 0..batch.len()).ok().map(|_| start.elapsed())
        });
        let Some(least) = again.min().filter(|least| *least >= slow.threshold) else { return };
        let times = least.as_secs_f64() / slow.usual.as_secs_f64();
        let reason =
            format!("{} bytes took {least:.1?}, {times:.0} times what is usual for that size", batch.byte_len());
        self.note(Fault::Slow { least: slow.threshold / 2 }, reason, trees);
    }

    /// Adds records to the sample, each with the same probability. Large ones would make the check for growth slow.
    fn remember(&mut self, batch: &Batch, trees: &[Tree]) {
        if batch.byte_len() > GROWTH_BYTES {
            return;
        }
        for tree in trees {
            let at = self.chance.below(self.fuzzed.records as usize);
            match self.taken.len() < FUZZ_HISTORY {
                true => self.taken.push(tree.clone()),
                false if at < FUZZ_HISTORY => self.taken[at] = tree.clone(),
                false => {}
            }
        }
    }

    fn failed(&mut self, failure: &CallFailure, trees: &[Tree]) {
        self.note(Fault::Failed(failure.kind), failure.reason.clone(), trees);
        if failure.kind != FailureKind::Refused {
            // The next instance has not seen these.
            self.before.clear();
        }
    }

    fn note(&mut self, fault: Fault, reason: String, trees: &[Tree]) {
        let key = probe::key(&fault, &reason);
        if let Some(seen) = self.seen.iter_mut().find(|seen| probe::key(&seen.fault, &seen.reason) == key) {
            seen.times += 1;
            return;
        }
        if self.seen.len() >= FUZZ_KINDS {
            self.fuzzed.not_kept += 1;
            return;
        }
        self.seen.push(Occurrence {
            fault,
            reason,
            records: trees.to_vec(),
            before: self.before.iter().cloned().collect(),
            after_records: self.fuzzed.records,
            times: 1,
        });
    }

    /// Runs the second stage.
    fn examine(mut self, plan: &Plan<'_>) -> FuzzReport {
        let prober = Prober { compiled: plan.compiled.clone(), spec: plan.spec.clone() };
        let mut suspects = self.grew;
        suspects.extend(self.taken);
        for seen in self.seen {
            let finding = prober.examine(seen);
            if matches!(finding.seen.fault, Fault::Slow { .. }) && !finding.is_reproducible {
                // The machine was slow, not the filter.
                continue;
            }
            let is_memory = finding.seen.fault == Fault::Failed(FailureKind::Memory);
            if is_memory && !finding.is_reproducible {
                // No call needs that much memory, so earlier calls leaked it.
                suspects.splice(0..0, finding.seen.records.iter().cloned());
            }
            self.fuzzed.findings.push(finding);
        }
        self.fuzzed.findings.extend(prober.growth(&suspects, self.fuzzed.records));
        if self.fuzzed.findings.iter().any(|finding| finding.seen.fault == Fault::Grows) {
            let leaked = |finding: &Finding| {
                finding.seen.fault == Fault::Failed(FailureKind::Memory) && !finding.is_reproducible
            };
            self.fuzzed.findings.retain(|finding| !leaked(finding));
        }
        self.fuzzed
    }
}
