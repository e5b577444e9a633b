//! `dedup`: lets a repeated record through once in a while and counts the others.
//!
//! Records are the same when the values of the key fields are. The first one
//! goes on and opens a window; those that follow until it closes end here and
//! are counted. When it closes, a count record says how many they were, if there
//! was any. The next record of that key goes on again and opens a new window.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `window` | `30` | seconds that a window is open, 1 to 86400, by Weir's clock |
//! | `fields` | `["source", "level", "message"]` | the paths whose values make the key; absent and null are alike |
//! | `max_keys` | `10000` | windows open at once, 1 to 20000 |
//!
//! # The count record
//!
//! | field | what it holds |
//! |---|---|
//! | `level`, `source`, `message`, `routes` | those of the record that opened the window; a message that is not part of the key is cut at 4 KiB |
//! | the key fields | their values |
//! | `repeated` | how many records ended here; the first, which went on, is not among them |
//! | `first_time`, `last_time` | `timestamp` of the first record and the latest one counted, as RFC 3339 |
//! | `timestamp` | the same as `last_time` |
//!
//! It appears within about a second after the window closes, or as soon as the
//! next record comes.
//!
//! # When there is too much
//!
//! - **More keys than `max_keys`**, or 8 MiB of them: the window that opened
//!   first closes early, and its count appears before the record that took its
//!   place. Nothing is lost; a record may only go on more often than once a
//!   window. The counter `closed_early` says how often.
//! - **A key of more than 16 KiB**: the record goes on uncounted; counter
//!   `too_long`.
//! - **The clock set back** by more than a second: all windows close.
//! - **Stopping, or taking the filter out** closes all windows and emits their
//!   counts. A new version takes the windows over; where its `fields` are
//!   others, it closes them at once.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "dedup"
//! module = "bundled:dedup"
//! options = { window = 60, fields = ["source", "message", "context.user.id"] }
//! ```
//!
//! # How it works
//!
//! | module | what it is for |
//! |---|---|
//! | `options` | the options and their check |
//! | `shape` | from a record to its key, from a key to the count record |
//! | `windows` | the open windows, their times and bounds |
//! | `state` | what the next version of the filter is given |
//! | `limits` | every bound |
//!
//! Counting a repeated record allocates nothing.

mod limits;
mod options;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod windows;

use weir_guest::{Description, Edit, Filter, NewRecord, Record, StatefulFilter, Verdict, host};

use shape::{Shape, Tally};
use windows::{Closed, NS_PER_SECOND, Window, Windows};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Dedup {
    shape: Shape,
    windows: Windows,
    /// The key of the record at hand; kept for its memory.
    key: Vec<u8>,
    /// Counts of windows that were closed where none could be emitted, as
    /// MessagePack. The next tick does.
    left: Vec<Vec<u8>>,
}

impl Filter for Dedup {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "dedup",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &["repeated", "first_time", "last_time"],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        options.check().map_err(|error| error.to_string())?;
        // At most a day, so it fits.
        let length_ns = options.window as i64 * NS_PER_SECOND;
        let seed = host::now() as u64;
        Ok(Dedup {
            shape: Shape::new(options.fields),
            windows: Windows::new(length_ns, options.max_keys, seed),
            key: Vec::new(),
            left: Vec::new(),
        })
    }

    fn process(&mut self, record: &Record<'_>, _edit: &mut Edit) -> Verdict {
        let now_ns = host::now();
        let mut closed = self.windows.expired(now_ns);
        let time_ns = record.timestamp();
        let goes_on = if !self.shape.key(record, &mut self.key) {
            host::counter("too_long", 1);
            true
        } else if self.windows.count(&self.key, time_ns) {
            false
        } else {
            let carried = self.shape.carried(record);
            let tally = Tally { first_ns: time_ns, last_ns: time_ns, repeated: 0 };
            let early = self.windows.open(&self.key, Window { opened_ns: now_ns, tally, carried });
            if !early.is_empty() {
                host::counter("closed_early", early.len() as u64);
            }
            closed.extend(early);
            true
        };
        let mut counts = self.counts(closed);
        match (counts.is_empty(), goes_on) {
            (true, true) => Verdict::Keep,
            (true, false) => Verdict::Drop,
            (false, goes_on) => {
                counts.extend(goes_on.then(|| NewRecord::copy(record)));
                Verdict::Expand(counts)
            }
        }
    }
}

impl StatefulFilter for Dedup {
    fn tick(&mut self, closing: bool) -> Vec<NewRecord> {
        let left = std::mem::take(&mut self.left);
        let closed = if closing { self.windows.close_all() } else { self.windows.expired(host::now()) };
        let mut counts: Vec<NewRecord> = left.iter().filter_map(|bytes| compact(bytes)).collect();
        counts.extend(self.counts(closed));
        counts
    }

    fn save(&self) -> Vec<u8> {
        state::write(self.shape.fields(), &self.windows, &self.left)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let state = state::read(state)?;
        self.left = state.left;
        let shape = Shape::new(state.fields);
        let same = shape == self.shape;
        for (key, window) in state.windows {
            let closed = if same { self.windows.open(&key, window) } else { vec![(key.into(), window)] };
            self.left.extend(closed.iter().filter_map(|closed| count(&shape, closed)));
        }
        Ok(())
    }
}

impl Dedup {
    /// The count records of closed windows.
    fn counts(&self, closed: Vec<Closed>) -> Vec<NewRecord> {
        let counts = closed.into_iter().filter_map(|closed| count(&self.shape, &closed));
        counts.filter_map(|bytes| compact(&bytes)).collect()
    }
}

/// The count record of a closed window as MessagePack, if anything was counted.
fn count(shape: &Shape, (key, window): &Closed) -> Option<Vec<u8>> {
    let tally = window.tally;
    let mut bytes = Vec::new();
    (tally.repeated > 0).then(|| shape.count(key, &window.carried, tally).write(&mut bytes))?;
    Some(bytes)
}

/// A record to emit that takes no more memory than its bytes: thousands may
/// close in one tick.
fn compact(bytes: &[u8]) -> Option<NewRecord> {
    Record::read(bytes, 0).map(|(record, _)| NewRecord::copy(&record))
}

weir_guest::export!(stateful Dedup);
