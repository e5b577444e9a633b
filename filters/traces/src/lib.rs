//! `traces`: keeps every trace in which something failed or was slow, and a fraction
//! of the others (tail sampling).
//!
//! The records of a trace are held until it is decided. A record of `keep_level` or
//! higher, or a slow one, decides at once: the held records and all that follow go
//! on. If no such record arrives within the window, a hash of the id decides, equally
//! on every machine.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `id` | `"context.trace_id"` | the path of the trace's id |
//! | `window` | `10` | seconds from a trace's first record to its decision, by Weir's clock: 1 to 600 |
//! | `rate` | `0.1` | the fraction of the other traces to keep; less than 1 |
//! | `keep_level` | `"ERROR"` | a record of this level or higher keeps its trace; `"off"`: none does |
//! | `slow` | none | `{ field = "context.duration_ms", at_least = 1000 }`: a number that keeps the trace |
//! | `without_id` | `"keep"` | what happens to records without an id: `keep`, `drop`, or `sample` each on its own |
//! | `weight` | `"sample_weight"` | the path for the number of traces that a sampled one represents, 1 / `rate`; `""`: none |
//! | `max_traces` | `10000` | how many traces may be held at once, 1 to 50000 |
//!
//! # Costs
//!
//! - **Records are delayed**: by up to a window and one second. With `weight = ""`, a
//!   trace that the hash keeps need not wait and goes on at once.
//! - **Held records survive a crash**: Weir holds them in its journal until their
//!   trace is decided. After a crash, undecided traces are held again for a whole
//!   window. Decisions are forgotten: late records of a decided trace are then
//!   decided on their own.
//! - **When Weir stops or the filter is removed**, all held traces are decided as if
//!   their window had ended; a new version takes them over.
//!
//! # Limits
//!
//! With more than `max_traces` traces or 8 MiB (each record counts 160 bytes extra),
//! the oldest trace is decided early, and so is a trace larger than 1 MiB; the
//! counter `decided_early` goes up. The decisions about the last 50,000 traces are
//! remembered: late records follow the decision about their trace, except that a
//! record of `keep_level` and those after it are kept.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "traces"
//! module = "bundled:traces"
//!
//! [filter.options]
//! rate = 0.05
//! slow = { field = "context.duration_ms", at_least = 1000 }
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `held` | undecided and decided traces |
//! | `state` | the state for the next version of the filter |
//! | `limits` | all limits |

mod held;
mod limits;
mod options;
mod state;
#[cfg(test)]
mod tests;

use weir_guest::hash::hash;
use weir_guest::{
    Description, Edit, Emitter, Encode, HoldingFilter, HoldingVerdict, Level, NewRecord, Path, Record, Value, host,
};

use held::{Due, HeldTraces, RecentDecisions};
use limits::{MAX_ID_BYTES, MAX_WEIGHED_BYTES};
use options::{Slow, WithoutId};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Traces {
    id: Path,
    /// Hashes below this, out of 2^64, are kept.
    below: u64,
    weight: Option<(Path, f64)>,
    keep_level: Option<Level>,
    slow: Option<Slow>,
    without_id: WithoutId,
    held: HeldTraces,
    decided: RecentDecisions,
    /// The id of the current record, kept to reuse its memory.
    key: Vec<u8>,
}

impl HoldingFilter for Traces {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "traces",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        options.check().map_err(|error| error.to_string())?;
        let weighs = !options.weight.is_empty() && options.rate > 0.0;
        Ok(Traces {
            id: options.id,
            // Less than 2^64, as the rate is less than 1.
            below: (options.rate * 2_f64.powi(64)) as u64,
            weight: weighs.then(|| (Path::parse(&options.weight), 1.0 / options.rate)),
            keep_level: options.keep_level.0,
            slow: options.slow,
            without_id: options.without_id,
            // At most ten minutes, so it fits.
            held: HeldTraces::new(options.window as i64 * 1_000_000_000, options.max_traces, host::now() as u64),
            decided: RecentDecisions::default(),
            key: Vec::new(),
        })
    }

    fn process(&mut self, record: &Record<'_>, id: u64, edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict {
        let now_ns = host::now();
        let due = self.held.due(now_ns);
        self.decide(due, out);
        let keeps = self.keeps_its_trace(record);
        if !self.read_id(record) {
            return self.without_id(record, keeps, edit);
        }
        let hash = hash(&self.key);
        if keeps {
            self.decided.remember(hash, true);
            if let Some((_, trace)) = self.held.take(&self.key) {
                trace.ids.iter().for_each(|id| out.release(*id));
                records(&trace.records).for_each(|record| out.emit(NewRecord::copy(&record)));
            }
            return HoldingVerdict::Keep;
        }
        match self.decided.get(hash) {
            Some(true) => return HoldingVerdict::Keep,
            Some(false) => return HoldingVerdict::Drop,
            None => {}
        }
        if self.weight.is_none() && hash < self.below {
            return HoldingVerdict::Keep;
        }
        let early = self.held.hold(&self.key, record.as_bytes(), id, now_ns);
        if !early.is_empty() {
            host::counter("decided_early", early.len() as u64);
            // The record's own trace may be among them: then it is released at
            // once.
            self.decide(early, out);
        }
        HoldingVerdict::Hold
    }

    fn tick(&mut self, closing: bool, out: &mut Emitter) {
        let due = if closing { self.held.all() } else { self.held.due(host::now()) };
        self.decide(due, out);
    }

    fn save(&self) -> Vec<u8> {
        state::write(&self.held, &self.decided)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let state = state::read(state)?;
        for (hash, kept) in state.decided {
            self.decided.remember(hash, kept);
        }
        // If there are more than this version may hold, its first record sends
        // them on.
        for (id, trace) in state.traces {
            if self.held.take(&id).is_some() {
                return Err("the state names a trace twice: it is damaged".to_owned());
            }
            self.held.insert(&id, trace);
        }
        Ok(())
    }
}

impl Traces {
    fn without_id(&self, record: &Record<'_>, keeps: bool, edit: &mut Edit) -> HoldingVerdict {
        let goes_on = match self.without_id {
            WithoutId::Keep => true,
            _ if keeps => true,
            WithoutId::Drop => false,
            WithoutId::Sample => {
                let kept = hash(record.as_bytes()) < self.below;
                if kept {
                    self.weigh(record, edit);
                }
                kept
            }
        };
        if goes_on { HoldingVerdict::Keep } else { HoldingVerdict::Drop }
    }

    /// Decides traces without an error or a slow record. Their records are
    /// released, and go on if their trace is kept.
    fn decide(&mut self, due: Vec<Due>, out: &mut Emitter) {
        for (id, trace) in due {
            let hash = hash(&id);
            let is_kept = hash < self.below;
            self.decided.remember(hash, is_kept);
            trace.ids.iter().for_each(|id| out.release(*id));
            if is_kept {
                for record in records(&trace.records) {
                    let mut new = NewRecord::copy(&record);
                    self.weigh(&record, new.edit());
                    out.emit(new);
                }
            }
        }
    }

    fn weigh(&self, record: &Record<'_>, edit: &mut Edit) {
        if let Some((path, weight)) = &self.weight
            && record.as_bytes().len() <= MAX_WEIGHED_BYTES
        {
            edit.set_at(path, *weight);
        }
    }

    fn keeps_its_trace(&self, record: &Record<'_>) -> bool {
        let slow = |slow: &Slow| {
            record.at(&slow.field).and_then(|value| value.as_f64()).is_some_and(|number| number >= slow.at_least)
        };
        self.keep_level.is_some_and(|least| record.level() >= least) || self.slow.as_ref().is_some_and(slow)
    }

    /// Reads the id into `key`. Returns false if there is none.
    fn read_id(&mut self, record: &Record<'_>) -> bool {
        self.key.clear();
        match record.at(&self.id) {
            Some(Value::Str("")) | Some(Value::Nil) | Some(Value::Array(_)) | Some(Value::Map(_)) | None => false,
            Some(id) => {
                id.encode(&mut self.key);
                self.key.len() <= MAX_ID_BYTES
            }
        }
    }
}

/// Iterates over the records of a trace.
fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (record, len) = Record::read(rest)?;
        rest = &rest[len..];
        Some(record)
    })
}

weir_guest::export!(holding Traces);
