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
//! # After a crash
//!
//! Counts survive: while a window is open Weir holds its count so far, anew after
//! each batch in which a record was counted, and gives it to the filter when that
//! starts again. The window then closes when it would have closed. One in which
//! nothing had been counted yet is forgotten: the next record of its key goes on
//! again. What Weir holds has one key more than a count, `weir_dedup`.
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
//! | `shape` | from a record to its key, from a key to the count record, and back |
//! | `windows` | the open windows, their times and bounds |
//! | `state` | what the next version of the filter is given |
//! | `limits` | every bound |
//!
//! Counting a repeated record allocates nothing but, once a batch for each window,
//! the count so far.

mod limits;
mod options;
mod shape;
mod state;
#[cfg(test)]
mod tests;
mod windows;

use weir_guest::{Description, Edit, Emitter, HoldingFilter, HoldingVerdict, NewRecord, Record, host};

use shape::{Again, Shape, Tally};
use windows::{Closed, NS_PER_SECOND, Window, Windows};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Dedup {
    shape: Shape,
    windows: Windows,
    /// The key of the record at hand; kept for its memory.
    key: Vec<u8>,
    /// Counts of windows that were closed where none could be emitted. The next
    /// tick does.
    left: Vec<Count>,
    /// Whether nothing came yet but summaries that are given again.
    begins: bool,
}

/// A count record, as MessagePack, and the id that its summary is held under.
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
            writes: &["repeated", "first_time", "last_time", shape::OWN_KEY],
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
            // At the end of the batch a summary is held under the id of the latest.
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
        let summary = |id, key: &[u8], window: &_| Some((id, compact(shape.summary(id, key, window))?));
        self.windows.take_counted(summary).into_iter().flatten().collect()
    }

    fn tick(&mut self, closing: bool, out: &mut Emitter) {
        self.end_beginning();
        for Count { record, summary } in std::mem::take(&mut self.left) {
            summary.into_iter().for_each(|id| out.release(id));
            if let Some((record, _)) = Record::read(&record, 0) {
                out.emit(NewRecord::copy(&record));
            }
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
    /// A summary of a window is given again.
    fn take_again(&mut self, again: Again, id: u64, out: &mut Emitter) -> HoldingVerdict {
        match again {
            Again::Window(key, window) if !self.windows.has(&key) => {
                let early = self.windows.open(&key, Window { summary: Some(id), ..window });
                self.emit(early, out);
                HoldingVerdict::Hold
            }
            Again::Window(key, window) => {
                out.emit(self.shape.count(&key, &window.carried, window.tally));
                HoldingVerdict::Drop
            }
            Again::Count(record) => {
                out.emit(record);
                HoldingVerdict::Drop
            }
        }
    }

    /// From now on no summary is given again.
    fn end_beginning(&mut self) {
        if std::mem::take(&mut self.begins) {
            self.windows.sort();
        }
    }

    /// Emits the counts of closed windows, in place of their summaries.
    fn emit(&self, closed: Vec<Closed>, out: &mut Emitter) {
        for (key, window) in closed {
            window.summary.into_iter().for_each(|id| out.release(id));
            if window.tally.repeated > 0 {
                out.emit(self.shape.count(&key, &window.carried, window.tally));
            }
        }
    }
}

/// The count of a closed window, if anything was counted.
fn count(shape: &Shape, (key, window): &Closed) -> Option<Count> {
    let mut record = Vec::new();
    (window.tally.repeated > 0).then(|| shape.count(key, &window.carried, window.tally).write(&mut record))?;
    Some(Count { record, summary: window.summary })
}

/// The record with no more memory than its bytes: a batch may count in thousands
/// of windows.
fn compact(record: NewRecord) -> Option<NewRecord> {
    let mut bytes = Vec::new();
    record.write(&mut bytes);
    Record::read(&bytes, 0).map(|(record, _)| NewRecord::copy(&record))
}

weir_guest::export!(holding Dedup);
