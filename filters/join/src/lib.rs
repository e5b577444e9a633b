//! `join`: joins the lines of a stack trace into one record.
//!
//! Programs that log to standard output produce one record per line. This filter
//! holds each record until the next line of the same stream shows whether it
//! continues, or until no line arrives for a while.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `field` | `"message"` | the path of the line |
//! | `key` | `["source"]` | the paths whose values identify a stream; name what identifies a process, such as `context.container` |
//! | `start` | none | regular expressions; a line that matches one starts a record, all others continue it |
//! | `continues` | none | regular expressions; a line that matches one continues a record, all others start one |
//! | `timeout` | `2` | how long a record waits for its next line, in seconds: 1 to 60 |
//! | `max_lines`, `max_bytes` | `500`, `131072` | a longer record is split |
//! | `max_streams` | `1000` | how many streams may hold a record at once, 1 to 20000 |
//! | `lines` | `"joined_lines"` | the path for the number of lines, if there are several; `""`: none |
//!
//! Without `start` and `continues`, stack traces of Python, JVM languages, Node, Go
//! and Rust are recognised; every other line starts a record unless it is indented.
//! Expressions see the first KiB of a line.
//!
//! # The joined record
//!
//! It is the record of the first line, with all lines in `field`, their highest
//! level, and `lines`. A record of one line goes on unchanged. Order is kept within a
//! stream, but not between streams.
//!
//! # Costs
//!
//! - **Records are delayed** until the next line of their stream arrives, at most by
//!   `timeout` and one second. When Weir stops or the filter is removed, waiting
//!   records go on; a new version takes them over.
//! - **Waiting lines survive a crash**: Weir holds each line in its journal until its
//!   record goes on. After a crash the lines are joined again and wait for the next
//!   one. Only the last piece of a trace that was split is read as if the trace
//!   started there.
//!
//! # Limits
//!
//! - **More than `max_streams` streams**, 8 MiB of lines (each counts 160 bytes
//!   extra), or a key longer than 4 KiB: further lines go on unjoined; the counter
//!   `no_room` goes up.
//! - **More than `max_lines` or `max_bytes`**: the record goes on as it is, and the
//!   next line starts another piece; the counter `cut` goes up.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "join"
//! module = "bundled:join"
//!
//! [filter.options]
//! key = ["source", "context.container"]
//! start = ['^\d{4}-\d{2}-\d{2} ']
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `lines` | whether a line starts or continues a record |
//! | `streams` | the waiting records |
//! | `state` | the state for the next version of the filter |
//! | `limits` | all limits |

mod limits;
mod lines;
mod options;
mod state;
mod streams;
#[cfg(test)]
mod tests;

use weir_guest::{
    Description, Edit, Emitter, Encode, HoldingFilter, HoldingVerdict, NewRecord, Path, Record, Value, encode, host,
};

use limits::{MAX_JOINED_BYTES, MAX_KEY_BYTES};
use lines::{LineRules, Position};
use streams::{Line, Streams, Waiting};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Join {
    field: Path,
    key_fields: Vec<Path>,
    lines: LineRules,
    timeout_ns: i64,
    max_lines: usize,
    max_bytes: usize,
    lines_at: Option<Path>,
    streams: Streams,
    /// Restored records for which there was no room, with their keys. The next tick
    /// sends them on.
    left: Vec<(Vec<u8>, Waiting)>,
    /// The key of the current record, kept to reuse its memory.
    key: Vec<u8>,
}

impl HoldingFilter for Join {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "join",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let lines = options.check().map_err(|error| error.to_string())?;
        Ok(Join {
            field: options.field,
            key_fields: options.key,
            lines,
            // At most a minute, so it fits.
            timeout_ns: options.timeout as i64 * 1_000_000_000,
            max_lines: options.max_lines,
            max_bytes: options.max_bytes,
            lines_at: (!options.lines.is_empty()).then(|| Path::parse(&options.lines)),
            streams: Streams::new(options.max_streams, host::now() as u64),
            left: Vec::new(),
            key: Vec::new(),
        })
    }

    fn process(&mut self, record: &Record<'_>, id: u64, _edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict {
        let has_key = self.read_key(record);
        let Some(Value::Str(text)) = record.at(&self.field).filter(|_| has_key) else {
            self.end_waiting(out);
            return HoldingVerdict::Keep;
        };
        let line = Line { id, text: without_line_end(text), record_bytes: record.as_bytes().len() };
        let waiting = self.streams.get(&self.key);
        let (goes_on, position) =
            self.lines.read(line.text, waiting.map_or(Position::Nothing, |waiting| waiting.position));
        if goes_on && waiting.is_some() && self.add(record, line, position) {
            return HoldingVerdict::Hold;
        }
        self.end_waiting(out);
        let own = Waiting {
            latest_ns: host::now(),
            position,
            record: record.as_bytes().to_vec(),
            ids: vec![id],
            record_bytes: line.record_bytes,
            text: String::new(),
            level: record.level(),
        };
        match self.streams.hold(&self.key, own) {
            None => HoldingVerdict::Hold,
            Some(_no_room) => {
                host::counter("no_room", 1);
                HoldingVerdict::Keep
            }
        }
    }

    fn tick(&mut self, closing: bool, out: &mut Emitter) {
        let now_ns = host::now();
        let timeout_ns = self.timeout_ns;
        let left = std::mem::take(&mut self.left);
        let mut due: Vec<Waiting> = left.into_iter().map(|(_, waiting)| waiting).collect();
        due.extend(self.streams.take_if(|waiting| {
            let waited_ns = now_ns.saturating_sub(waiting.latest_ns);
            // Negative if the clock was set back: then the age is unknown.
            closing || waited_ns >= timeout_ns || waited_ns < 0
        }));
        due.into_iter().for_each(|waiting| self.send(waiting, out));
    }

    fn save(&self) -> Vec<u8> {
        state::write(&self.left, &self.streams)
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        for (key, waiting) in state::read(state)? {
            self.left.extend(self.streams.take(&key).map(|earlier| (key.clone(), earlier)));
            self.left.extend(self.streams.hold(&key, waiting).map(|no_room| (key, no_room)));
        }
        Ok(())
    }
}

impl Join {
    /// Adds a line to the record of its stream. Returns false if that is full.
    fn add(&mut self, record: &Record<'_>, line: Line<'_>, position: Position) -> bool {
        let Some(waiting) = self.streams.get(&self.key) else {
            return false;
        };
        // The first line is copied only now, because most records have no second
        // line.
        let first = match waiting.ids.len() {
            1 => first_line(&waiting.record, &self.field),
            _ => String::new(),
        };
        let bytes = waiting.text.len() + first.len() + line.text.len() + 1;
        let is_full = waiting.ids.len() >= self.max_lines || bytes > self.max_bytes;
        if is_full || waiting.record.len() + bytes > MAX_JOINED_BYTES {
            host::counter("cut", 1);
            return false;
        }
        let now_ns = host::now();
        self.streams.add(&self.key, line, &first, |waiting| {
            waiting.latest_ns = now_ns;
            waiting.position = position;
            waiting.level = waiting.level.max(record.level());
        })
    }

    /// Sends on the waiting record of the current stream.
    fn end_waiting(&mut self, out: &mut Emitter) {
        if let Some(waiting) = self.streams.take(&self.key) {
            self.send(waiting, out);
        }
    }

    /// Sends on the joined record and releases its lines.
    fn send(&self, waiting: Waiting, out: &mut Emitter) {
        waiting.ids.iter().for_each(|id| out.release(*id));
        let Some((record, _)) = Record::read(&waiting.record) else {
            return;
        };
        let mut new = NewRecord::copy(&record);
        if waiting.ids.len() > 1 {
            new.edit().set_at(&self.field, waiting.text);
            if waiting.level > record.level() {
                new.edit().level(waiting.level);
            }
            if let Some(path) = &self.lines_at {
                new.edit().set_at(path, waiting.ids.len());
            }
        }
        out.emit(new);
    }

    /// Writes the concatenated values of the key fields, with null for absent
    /// ones. If they are too long, returns false and leaves the key empty.
    fn read_key(&mut self, record: &Record<'_>) -> bool {
        self.key.clear();
        for field in &self.key_fields {
            match record.at(field) {
                Some(value) => value.encode(&mut self.key),
                None => encode::nil(&mut self.key),
            }
            if self.key.len() > MAX_KEY_BYTES {
                self.key.clear();
                host::counter("no_room", 1);
                return false;
            }
        }
        true
    }
}

fn first_line(record: &[u8], field: &Path) -> String {
    let line = Record::read(record).and_then(|(record, _)| record.at(field)?.as_str());
    without_line_end(line.unwrap_or_default()).to_owned()
}

/// Strips a trailing line end, which would add an empty line.
fn without_line_end(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

weir_guest::export!(holding Join);
