//! `exceptions`: recognises stack traces and gives each kind of failure a
//! fingerprint.
//!
//! It reads traces of Python, Java (and Kotlin, Scala …), Node, Go and Rust, as a
//! program or its logger writes them. A trace must be in one record: if every line
//! is a record of its own, put the filter `join` before this one.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `fields` | `message`, `exception`, `stack`, `stack_trace`, `stacktrace`, `traceback`, `error.stack`, `err.stack`, `error`, `exc_info`, `context.exception`, `context.stack` | where to look for a trace; the first one found is used |
//! | `into` | `"error"` | the path of the result |
//! | `in_app` | none | prefixes of functions, or parts of file names, that belong to the program itself |
//! | `library` | none | the same for code that does not, in addition to what is known for each language; the longest match in either list wins |
//! | `frames` | `8` | how many frames go into the fingerprint, 1 to 64 |
//! | `level` | none | the minimum level of a record with a trace |
//!
//! # The result
//!
//! | field | content |
//! |---|---|
//! | `error.type`, `error.message` | of the outermost error; the type of a Go or Rust panic is `panic` |
//! | `error.language` | `python`, `java`, `node`, `go`, `rust` |
//! | `error.cause` | the type of the first error, if there is a chain |
//! | `error.frame` | `function`, `file`, `line` of the innermost frame in the program's own code |
//! | `error.fingerprint` | 16 hexadecimal digits: the same for the same kind of failure |
//!
//! The fingerprint is a hash of the language, the types, and the innermost frames of
//! the program's own code: functions and file names without folders. Line numbers,
//! addresses and compiler-generated numbers don't count. The message counts only if
//! a trace names no function, and then without numbers and quoted parts.
//!
//! If there is text at `into`, it moves to `error.text`. If there is anything else
//! but a map, the record goes on unchanged and the counter `in_the_way` goes up.
//! Only the first 128 KiB of a text are read.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "exceptions"
//! module = "bundled:exceptions"
//!
//! [filter.options]
//! in_app = ["com.example."]
//! level = "ERROR"
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `trace` | the parsed trace, and which language it is in |
//! | `python`, `java`, `node`, `go`, `rust` | traces of these languages |
//! | `own` | which frames are in the program's own code |
//! | `fingerprint` | the hash that is equal for equal failures |
//! | `limits` | all limits |

mod fingerprint;
mod go;
mod java;
mod limits;
mod node;
mod options;
mod own;
mod python;
mod rust;
#[cfg(test)]
mod tests;
mod trace;

use weir_guest::{Description, Edit, Filter, Level, Path, Record, Value, Verdict, host};

use limits::{MAX_TEXT_BYTES, MAX_WRITTEN_BYTES};
use own::InAppRules;
use trace::Trace;

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Exceptions {
    fields: Vec<Path>,
    into: Path,
    places: Places,
    own: InAppRules,
    frames: usize,
    level: Option<Level>,
}

/// The paths of the result.
#[derive(Debug)]
struct Places {
    kind: Path,
    message: Path,
    language: Path,
    cause: Path,
    function: Path,
    file: Path,
    line: Path,
    fingerprint: Path,
    text: Path,
}

impl Places {
    fn under(into: &Path) -> Self {
        let below = |keys: &[&str]| {
            let keys = keys.iter().map(ToString::to_string);
            Path::of(into.keys().iter().cloned().chain(keys))
        };
        Places {
            kind: below(&["type"]),
            message: below(&["message"]),
            language: below(&["language"]),
            cause: below(&["cause"]),
            function: below(&["frame", "function"]),
            file: below(&["frame", "file"]),
            line: below(&["frame", "line"]),
            fingerprint: below(&["fingerprint"]),
            text: below(&["text"]),
        }
    }
}

impl Filter for Exceptions {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "exceptions",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        options.check().map_err(|error| error.to_string())?;
        Ok(Exceptions {
            fields: options.fields,
            places: Places::under(&options.into),
            into: options.into,
            own: InAppRules { in_app: options.in_app, library: options.library },
            frames: options.frames,
            level: options.level,
        })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        let found = self.fields.iter().find_map(|field| {
            let text = record.at(field)?.as_str()?;
            trace::find(&text[..text.floor_char_boundary(MAX_TEXT_BYTES)])
        });
        let Some(trace) = found else {
            return Verdict::Keep;
        };
        match record.at(&self.into) {
            None | Some(Value::Nil | Value::Map(_)) => {}
            Some(Value::Str(text)) => edit.set_at(&self.places.text, text),
            Some(_) => {
                host::counter("in_the_way", 1);
                return Verdict::Keep;
            }
        }
        self.write(&trace, edit);
        if let Some(level) = self.level.filter(|least| record.level() < *least) {
            edit.level(level);
        }
        Verdict::Keep
    }
}

impl Exceptions {
    fn write(&self, trace: &Trace<'_>, edit: &mut Edit) {
        let places = &self.places;
        edit.set_at(&places.kind, cut(trace.kind));
        edit.set_at(&places.message, cut(trace.message));
        edit.set_at(&places.language, trace.language.as_str());
        if let Some(cause) = trace.cause {
            edit.set_at(&places.cause, cut(cause));
        }
        let own = trace.frames.iter().find(|frame| self.own.is_own(trace.language, frame));
        if let Some(frame) = own.or(trace.frames.first()) {
            if !frame.function.is_empty() {
                edit.set_at(&places.function, cut(frame.function));
            }
            if !frame.file.is_empty() {
                edit.set_at(&places.file, cut(frame.file));
            }
            if let Some(line) = frame.line {
                edit.set_at(&places.line, line);
            }
        }
        let fingerprint = fingerprint::of(trace, &self.own, self.frames);
        edit.set_at(&places.fingerprint, format!("{fingerprint:016x}"));
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_WRITTEN_BYTES)]
}

weir_guest::export!(Exceptions);
