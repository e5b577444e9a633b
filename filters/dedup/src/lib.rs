//! `dedup`: passes the first of repeated records in each time window and counts
//! the rest.
//!
//! Two records are the same if the values of their key fields are equal. The first
//! one goes on and opens a window. Equal records that arrive before the window
//! closes are dropped and counted. When the window closes, a count record reports
//! their number, if there were any. The next record with that key goes on and
//! opens a new window.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `window` | `30` | how long a window stays open, in seconds of Weir's clock: 1 to 86400 |
//! | `fields` | `["source", "level", "message"]` | the paths whose values form the key; absent and null are equal |
//! | `max_keys` | `10000` | how many windows may be open at once, 1 to 20000 |
//!
//! # The count record
//!
//! | field | content |
//! |---|---|
//! | `level`, `source`, `message`, `routes` | those of the record that opened the window; a message that is not part of the key is cut at 4 KiB |
//! | the key fields | their values |
//! | `repeated` | how many records were dropped; the first one, which went on, is not counted |
//! | `first_time`, `last_time` | `timestamp` of the first record and of the last one counted, as RFC 3339 |
//! | `timestamp` | the same as `last_time` |
//!
//! It is emitted within about a second of the window's end, or as soon as the next
//! record arrives.
//!
//! # After a crash
//!
//! Counts survive a crash. While a window is open, Weir holds a record with the
//! count so far. The filter replaces it after each batch in which it counted
//! something, and gets it back when it restarts; the window then closes at its
//! original time. A window without a count is lost: the next record with its key
//! goes on again. The held record has one key more than a count record,
//! `weir_dedup`.
//!
//! # Limits
//!
//! - **More than `max_keys` keys**, or 8 MiB of them: the oldest window closes
//!   early, and its count is emitted before the record that took its place. Nothing
//!   is lost, but a record may go on more than once per window. The counter
//!   `closed_early` shows how often this happened.
//! - **A key longer than 16 KiB**: the record goes on and is not counted; the
//!   counter `too_long` goes up.
//! - **The clock is set back** by more than a second: all windows close.
//! - **Weir stops or the filter is removed**: all windows close and their counts
//!   are emitted. A new version takes over the windows; if its `fields` differ, it
//!   closes them at once.
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
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `shape` | from a record to its key, from a key to the count record, and back |
//! | `windows` | the open windows, their times and bounds |
//! | `state` | the state for the next version of the filter |
//! | `limits` | all limits |
//!
//! Counting a repeated record does not allocate; the count so far is written once
//! per batch and window.

mod limits;
mod options;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod windows;

use weir_guest::{Description, Edit, Emitter, HoldingFilter, HoldingVerdict, NewRecord, Record, host};

use shape::{RestoredSummary, Shape, Tally};
use windows::{Closed, NS_PER_SECOND, Window, Windows};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Dedup {
    shape: Shape,
    windows: Windows,
    /// The key of the current record, kept to reuse its memory.
    key: Vec<u8>,
    /// Counts of windows that were closed outside a tick. The next tick emits
    /// them.
    left: Vec<Count>,
    /// Whether the only records so far are summaries that Weir gave again.
    begins: bool,
}

/// A count record as MessagePack, and the id under which its summary is held.
#[derive(Debug)]
struct Count {
    record: Vec<u8>,
    summary: Option<u64>,
}

impl HoldingFilter for Dedup {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "dedup",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &["repeated", "first_time", "last_time", shape::BOOKKEEPING_KEY],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        options.check().map_err(|error| error.to_string())?;
        // At most a day, so it fits.
        let length_ns = options.window as i64 * NS_PER_SECOND;
        let seed = host::now() as u64;
        let shape = Shape::new(options.fields);
        Ok(Dedup {
            windows: Windows::new(length_ns, options.max_keys, shape.names_bytes(), seed),
            shape,
            key: Vec::new(),
            left: Vec::new(),
            begins: true,
        })
    }

    fn process(&mut self, record: &Record<'_>, id: u64, _edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict {
        let now_ns = host::now();
        if self.begins {
            if let Some(again) = self.shape.read_summary(record, id, now_ns) {
                return self.take_again(again, id, out);
            }
            self.end_beginning();
        }
        let expired = self.windows.expired(now_ns);
        self.emit(expired, out);
        let time_ns = record.timestamp();
        if !self.shape.key(record, &mut self.key) {
            host::counter("too_long", 1);
            return HoldingVerdict::Keep;
        }
        if let Some(counted) = self.windows.count(&self.key, time_ns, id) {
            counted.released.into_iter().for_each(|id| out.release(id));
            // At the end of the batch, the summary is held under the latest id.
            return HoldingVerdict::Drop;
        }
        let tally = Tally { first_ns: time_ns, last_ns: time_ns, repeated: 0 };
        let window = Window { carried: self.shape.carried(record), ..Window::open(now_ns, tally) };
        let early = self.windows.open(&self.key, window);
        if !early.is_empty() {
            host::counter("closed_early", early.len() as u64);
            self.emit(early, out);
        }
        HoldingVerdict::Keep
    }

    fn end_batch(&mut self) -> Vec<(u64, NewRecord)> {
        let shape = &self.shape;
        let summary = |id, key: &[u8], window: &_| Some((id, record(&shape.summary(id, key, window))?));
        self.windows.take_counted(summary).into_iter().flatten().collect()
    }

    fn tick(&mut self, closing: bool, out: &mut Emitter) {
        self.end_beginning();
        for count in std::mem::take(&mut self.left) {
            count.summary.into_iter().for_each(|id| out.release(id));
            record(&count.record).into_iter().for_each(|record| out.emit(record));
        }
        let closed = if closing { self.windows.close_all() } else { self.windows.expired(host::now()) };
        self.emit(closed, out);
    }

    fn save(&self) -> Vec<u8> {
        state::write(self.shape.fields(), &self.windows, &self.left)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let state = state::read(state)?;
        self.begins = false;
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
    /// Handles a summary that Weir gives again.
    fn take_again(&mut self, again: RestoredSummary, id: u64, out: &mut Emitter) -> HoldingVerdict {
        match again {
            RestoredSummary::Window(key, window) if !self.windows.has(&key) => {
                let early = self.windows.open(&key, Window { summary: Some(id), ..window });
                self.emit(early, out);
                HoldingVerdict::Hold
            }
            RestoredSummary::Window(key, window) => {
                record(&self.shape.count(&key, &window)).into_iter().for_each(|record| out.emit(record));
                HoldingVerdict::Drop
            }
            RestoredSummary::Count(record) => {
                out.emit(record);
                HoldingVerdict::Drop
            }
        }
    }

    /// Stops looking for summaries among the records.
    fn end_beginning(&mut self) {
        if std::mem::take(&mut self.begins) {
            self.windows.sort();
        }
    }

    /// Emits the counts of closed windows and releases their summaries.
    fn emit(&self, closed: Vec<Closed>, out: &mut Emitter) {
        for closed in &closed {
            closed.1.summary.into_iter().for_each(|id| out.release(id));
            let count = count(&self.shape, closed).and_then(|count| record(&count.record));
            count.into_iter().for_each(|record| out.emit(record));
        }
    }
}

/// The count record of a closed window, if anything was counted.
fn count(shape: &Shape, (key, window): &Closed) -> Option<Count> {
    (window.tally.repeated > 0).then(|| Count { record: shape.count(key, window), summary: window.summary })
}

/// An already encoded record.
fn record(bytes: &[u8]) -> Option<NewRecord> {
    Record::read(bytes).map(|(record, _)| NewRecord::copy(&record))
}

weir_guest::export!(holding Dedup);
