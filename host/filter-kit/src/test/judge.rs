//! Runs a case: starts the filter with its options, passes it the records, and compares the output with what is
//! expected.
//!
//! Each case has its own instance, store and counters, and a clock that starts at [`START_NS`] and stands still unless
//! the case advances it, so the result is the same in every run.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value as Json};
use weir_engine::{Clock, Compiled, FilterSpec, TestInstance};
use weir_record::Batch;

use super::cases::{Case, Cases};
use super::compare::{self, Mismatch};
use super::run::{self, RunResult, Verdict};

/// 2026-01-01T00:00:00Z: the start of every case, and the time of records without one.
pub const START_NS: i64 = 1_767_225_600_000_000_000;

/// The result of a case.
#[derive(Debug)]
pub struct CaseResult {
    pub name: String,
    pub line: usize,
    pub seconds: f64,
    /// Empty if it passed.
    pub mismatches: Vec<Mismatch>,
    /// The filter's log lines.
    pub logged: Vec<String>,
}

impl CaseResult {
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }
}

/// Runs all cases. `options` override those of the file and are overridden by those of a case.
pub fn all(compiled: &Arc<Compiled>, spec: &FilterSpec, cases: &Cases, options: &Map<String, Json>) -> Vec<CaseResult> {
    cases
        .cases
        .iter()
        .map(|case| judge(compiled, &with_options(spec, [&cases.options, options, &case.options]), case))
        .collect()
}

/// A specification with options, later ones overriding earlier ones.
pub fn with_options<'a>(spec: &FilterSpec, options: impl IntoIterator<Item = &'a Map<String, Json>>) -> FilterSpec {
    let merged: Map<String, Json> = options.into_iter().flat_map(|part| part.clone()).collect();
    FilterSpec { options: Json::Object(merged), ..spec.clone() }
}

fn judge(compiled: &Arc<Compiled>, spec: &FilterSpec, case: &Case) -> CaseResult {
    let start = Instant::now();
    let mut mismatches = Vec::new();
    let mut logged = Vec::new();
    match TestInstance::start(compiled, spec, Clock::Set(START_NS)) {
        Ok(mut trial) => {
            let mut trying = CaseRun { case, trial: &mut trial, mismatches: &mut mismatches };
            trying.all(compiled.world().is_stateful());
            logged = trial.logged().into_iter().map(|(level, line)| format!("{} {line}", level.as_str())).collect();
        }
        Err(error) => {
            let reason = error.kind.to_string();
            match &case.error {
                Some(text) if reason.contains(text.as_str()) => {}
                Some(text) => mismatches.push(Mismatch::new(format!("{reason}; an error with {text:?} was expected"))),
                None => mismatches.push(Mismatch::new(reason)),
            }
        }
    }
    CaseResult { name: case.name.clone(), line: case.line, seconds: start.elapsed().as_secs_f64(), mismatches, logged }
}

struct CaseRun<'a> {
    case: &'a Case,
    trial: &'a mut TestInstance,
    mismatches: &'a mut Vec<Mismatch>,
}

impl CaseRun<'_> {
    fn all(&mut self, is_stateful: bool) {
        let ran = self.run();
        self.failures(&ran);
        self.verdicts(&ran);
        let mut out: Vec<Json> =
            ran.outcomes.iter().flat_map(|outcome| outcome.records.iter().map(run::value)).collect();
        if let Some(expected) = &self.case.expect {
            self.mismatches.extend(compare::records(expected, &out, self.case.exact, "came out"));
        }
        out.extend(self.tick(is_stateful));
        self.check_absent(&out);
        self.counters();
    }

    fn run(&mut self) -> RunResult {
        let Some(every) = self.case.every else { return run::run(self.trial, &self.case.records) };
        let mut all = RunResult::default();
        for (at, record) in self.case.records.iter().enumerate() {
            if at > 0 {
                self.trial.advance(every);
            }
            let mut alone = Batch::new();
            alone.push(record.as_bytes());
            all.outcomes.extend(run::run(self.trial, &alone).outcomes);
        }
        all
    }

    /// Checks that failures were expected, and that expected ones occurred.
    fn failures(&mut self, ran: &RunResult) {
        let alone = ran.outcomes.iter().enumerate().filter_map(|(at, outcome)| Some((at, outcome.failure.as_ref()?)));
        if let Some(text) = &self.case.error {
            let mut reasons = alone.map(|(_, failure)| failure).chain(&ran.together).map(|failure| &failure.reason);
            if !reasons.clone().any(|reason| reason.contains(text.as_str())) {
                let what = match reasons.next() {
                    Some(reason) => format!("it failed with another error: {reason}"),
                    None => "nothing failed".to_owned(),
                };
                self.mismatches.push(Mismatch::new(format!("{what}; an error with {text:?} was expected")));
            }
            return;
        }
        let expected =
            |at: usize| self.case.verdicts.as_ref().is_some_and(|verdicts| verdicts.get(at) == Some(&Verdict::Fail));
        let unexpected = alone.filter(|(at, _)| !expected(*at));
        let mut found: Vec<Mismatch> = unexpected
            .map(|(at, failure)| Mismatch::new(format!("record {}: it failed: {}", at + 1, failure.reason)))
            .collect();
        if let Some(failure) = &ran.together {
            found.push(Mismatch::new(format!(
                "the records failed together, and none of them alone: {}",
                failure.reason
            )));
        }
        self.mismatches.extend(found);
    }

    fn verdicts(&mut self, ran: &RunResult) {
        let Some(verdicts) = &self.case.verdicts else { return };
        for (at, (expected, outcome)) in verdicts.iter().zip(&ran.outcomes).enumerate() {
            // An unexpected failure has been reported already.
            if outcome.verdict == *expected || (outcome.failure.is_some() && self.case.error.is_none()) {
                continue;
            }
            let what = format!("record {}: the verdict is `{}`, expected `{expected}`", at + 1, outcome.verdict);
            self.mismatches.push(Mismatch::new(what));
        }
    }

    fn tick(&mut self, is_stateful: bool) -> Vec<Json> {
        let Some(expected) = &self.case.tick else { return Vec::new() };
        if !is_stateful {
            self.mismatches
                .push(Mismatch::new("the filter is stateless, so it emits nothing at a tick: remove `tick`"));
            return Vec::new();
        }
        if let Some(after) = self.case.after {
            self.trial.advance(after);
        }
        match self.trial.tick(self.case.after.is_none()) {
            Ok(said) => {
                let said: Vec<Json> = said.iter().map(run::value).collect();
                self.mismatches.extend(compare::records(expected, &said, self.case.exact, "came from the tick"));
                said
            }
            Err(failure) => {
                self.mismatches.push(Mismatch::new(format!("`tick` failed: {}", failure.reason)));
                Vec::new()
            }
        }
    }

    /// Checks that forbidden paths and texts are absent.
    fn check_absent(&mut self, out: &[Json]) {
        for (at, record) in out.iter().enumerate() {
            let which = format!("record {} of those that came out", at + 1);
            for path in self.case.absent.iter().filter(|path| compare::has(record, path)) {
                self.mismatches.push(Mismatch::new(format!("{which}: it has a value at `{path}`")));
            }
            for text in &self.case.never {
                if let Some(place) = place_of(record, text, "") {
                    self.mismatches.push(Mismatch::new(format!("{which}: {text:?} occurs in `{place}`")));
                }
            }
        }
    }

    fn counters(&mut self) {
        let Some(expected) = &self.case.counters else { return };
        let counted = self.trial.counters();
        for (name, expected) in expected {
            let found = counted.get(name).copied().unwrap_or(0);
            if found != *expected {
                let what = format!("the counter `{name}` is {found}, expected {expected}");
                self.mismatches.push(Mismatch::new(what));
            }
        }
    }
}

/// Finds a text in a key or a value of a record.
fn place_of(value: &Json, text: &str, path: &str) -> Option<String> {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Json::Object(map) => map.iter().find_map(|(key, value)| match key.contains(text) {
            true => Some(join(key)),
            false => place_of(value, text, &join(key)),
        }),
        Json::Array(items) => {
            items.iter().enumerate().find_map(|(at, value)| place_of(value, text, &join(&at.to_string())))
        }
        Json::String(held) => held.contains(text).then(|| path.to_owned()),
        other => other.to_string().contains(text).then(|| path.to_owned()),
    }
}
