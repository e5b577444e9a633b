//! The `file` sink: writes JSON or text lines to one file or many.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options; the sink |
//! | `gather.rs` | groups a delivery's lines by file, in reused buffers |
//! | `path.rs` | the path of a record's file, safe whatever the record contains |
//! | `line.rs` | the format of a line |
//! | `store.rs` | open files, the position, and **why each record is written exactly once** |
//! | `records.rs` | the position record on disk |
//! | `file_list.rs` | the files that the sink has created |
//! | `rotate.rs` | names of rotated files |
//! | `erase.rs` | erases lines, and rewrites the files without them |
//! | `rewrites.rs` | tells searches that files were rewritten |
//! | `tidy.rs` | compression, file count and retention, in the background |
//! | `search/` | searches the files, also while the sink writes |
//!
//! Guarantee: exactly once, through kill -9 and power cuts, including rotation. Files are synced and the position is
//! written at most once a second and at a flush; the journal keeps everything until then.
//!
//! # Which files
//! - **A file belongs to one sink** (`owners.rs`). A configuration in which two sinks would always write to the same
//!   file is refused. If a value of a record makes the path of a file that belongs to another sink (`{source}.jsonl`
//!   beside `audit.jsonl`, and the source is `audit`), the line goes to a file with this sink's name in it
//!   (`audit.all.jsonl`). If that file is taken too, or the path leads into Weir's own folders, the record goes to
//!   quarantine.
//! - **Only files that this sink has created are compressed or removed** (`file_list.rs`); no value of a record can make
//!   the name of a rotated file.
//! - **Values of records create at most `max_new_files` files a day**; further lines go to one file, with `_overflow`
//!   in place of each value.
//! - **Only regular files are written**, directly or through links. A record with any other path goes to quarantine; if
//!   the path is fixed, the sink fails and retries. `/dev/stdout`, `/dev/null` and everything else below `/dev`,
//!   `/proc` and `/sys` is refused: a position can't be kept there, and a redirected `/dev/stdout` would be truncated.
//!
//! # Searching
//! With `format = "json"`, what is in the files can be searched, the rotated and compressed ones included, with the
//! answers and the order of a database (`search/`). Text is searched for in the files themselves; a router that is
//! searched summarises them in the background, so that later searches skip what has not the words of the query. A path
//! with the time in it, such as the default one, also helps, since then only the files of the days in question are read.
//! Compressed files are read from their beginning, so each page of results from one takes the time to decompress it.

mod erase;
mod file_list;
mod gather;
mod line;
mod path;
mod records;
mod rewrites;
mod rotate;
mod search;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_ownership;
mod tidy;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::file_list::FileList;
use self::gather::LineCollector;
use self::line::{LineFormat, TextTemplate};
use self::path::PathTemplate;
pub use self::records::release_files;
use self::records::{FILE_LIST, POSITION};
pub(crate) use self::rewrites::Rewrites;
use self::store::{Store, StoreError, StoreOptions};
use self::tidy::{TidyJob, TidyThread};
use crate::disk::Disk;
use crate::erasure::{Erased, Erasure};
use crate::limits;
use crate::owners::Reserves;
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Delivered, Position, Selected, Sink, SinkError};
use crate::units::{Size, TimeSpan};

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "file",
    summary: "writes JSON lines or text lines into files named by time and fields, with rotation and retention",
    guarantee: Guarantee::ExactlyOnce,
    reach: crate::registry::Reach::OneProcess,
    example: r#"[sink.archive]
type = "file"
path = "logs/{source}/%Y-%m-%d.jsonl"   # %… is the record's time in UTC, {…} any of its fields
rotate_size = "100MiB"                  # then {filename}.{timestamp}.log
rotate_keep = 20
retention = "30d"
compress = true                         # zstd, for rotated files
routes = ["audit"]
min_level = "INFO"
"#,
    schema: schema_of::<FileOptions>,
    variables: &[Variable { name: "WEIR_FILE_PATH", option: "path" }],
    min_level: None,
    build,
    search: Some(search::open),
};

/// The format of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line.
    #[default]
    Json,
    /// A text line, formatted by `template`.
    Text,
}

/// Options of a `file` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// The file, with the record's time in UTC (`%Y-%m-%d`, or `{week_start}` and `{week_end}` for the Monday and
    /// Sunday of its week), its fields (`{source}`, `{level}`, `{context.tenant}`), and `{session}`, the start of this
    /// run.
    #[serde(default = "default_path")]
    pub path: String,
    /// `json` for one JSON object per line, `text` for lines formatted by `template`.
    #[serde(default)]
    pub format: Format,
    /// The text line: `{timestamp}`, `{timestamp:%H:%M:%S}`, `{level:8}` padded to a width, any field by its path,
    /// `{fields}` for all others as JSON.
    #[serde(default = "default_template")]
    pub template: String,
    /// A file is rotated before it grows beyond this size; absent: never.
    #[serde(default)]
    pub rotate_size: Option<Size>,
    /// How many rotated files are kept per file; absent: all.
    #[serde(default)]
    pub rotate_keep: Option<usize>,
    /// Files are removed this long after their last change; absent: never.
    #[serde(default)]
    pub retention: Option<TimeSpan>,
    /// Compresses rotated files with zstd, in the background.
    #[serde(default)]
    pub compress: bool,
    /// How many files are kept open.
    #[serde(default = "default_open_files")]
    #[schemars(range(min = 1, max = 10000))]
    pub open_files: usize,
    /// How many files values of records may create per day (UTC). Further lines go to one file, with `_overflow` in
    /// place of each value.
    #[serde(default = "default_new_files")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_new_files: usize,
}

fn default_path() -> String {
    "logs/%Y-%m-%d.jsonl".into()
}

fn default_template() -> String {
    "[{timestamp}] {level:8} {source:20} {message}".into()
}

fn default_open_files() -> usize {
    limits::OPEN_FILES
}

fn default_new_files() -> usize {
    limits::NEW_FILES
}

/// Files that the options name, with the names of values in place of values: two sinks that have one of these in common
/// always write to the same file.
pub(crate) fn outlines(given: &FileOptions, context: &BuildContext) -> Result<Vec<PathBuf>, String> {
    let template = PathTemplate::parse(&given.path, &context.base, context.started_ns)?;
    Ok(limits::SAMPLE_TIMES_NS.map(|at| template.outline(at)).to_vec())
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    FileSink::new(name, options(name, given)?, context, Disk::default().with_private(&context.data))
        .map(|sink| Box::new(sink) as Box<dyn Sink>)
        .map_err(|error| format!("sink `{name}`: {error}"))
}

type Rejected = Vec<(Position, String)>;

struct FileSink {
    name: String,
    format: LineFormat,
    lines: LineCollector,
    options: FileOptions,
    store: Store,
    tidier: Option<TidyThread>,
    delivered: u64,
    /// Summaries of the files, for searches.
    summaries: PathBuf,
    rewrites: Rewrites,
}

impl FileSink {
    fn new(name: &str, options: FileOptions, context: &BuildContext, disk: Disk) -> Result<FileSink, String> {
        if options.rotate_size.is_some_and(|size| size.bytes() == 0)
            || options.open_files == 0
            || options.max_new_files == 0
        {
            return Err(
                "`rotate_size`, `open_files` and `max_new_files` must be more than 0; leave them out for the default"
                    .into(),
            );
        }
        let format = match options.format {
            Format::Json => LineFormat::Json,
            Format::Text => LineFormat::Text(TextTemplate::parse(&options.template)?),
        };
        let template = PathTemplate::parse(&options.path, &context.base, context.started_ns)?;
        let reserves = match template.depends_on_records() {
            true => Reserves::Nothing,
            false if template.is_fixed() => Reserves::Exactly(template.files()?),
            false => Reserves::ByTime(template.files()?),
        };
        let store_options = StoreOptions {
            record: context.own_file(name, POSITION),
            file_list: FileList::new(context.own_file(name, FILE_LIST), disk.clone()),
            owner: context.owners.register(name, &context.data, reserves),
            template: template.identity(),
            files: template.files()?,
            root: template.root().into(),
            open_files: options.open_files,
            max_new_files: options.max_new_files,
            retention: options.retention.map(TimeSpan::duration),
        };
        Ok(FileSink {
            name: name.into(),
            format,
            lines: LineCollector::new(template, options.rotate_size.map(Size::bytes)),
            store: Store::new(store_options, disk),
            options,
            tidier: None,
            delivered: 0,
            summaries: context.own_search_folder(name),
            rewrites: context.owners.rewrites(),
        })
    }

    fn start_tidying(&mut self) -> Result<(), SinkError> {
        if self.tidier.is_none() {
            let tidy = TidyJob {
                sink: self.name.clone(),
                file_list: self.store.file_list(),
                claimant: self.store.claimant(),
                compress: self.options.compress,
                keep: self.options.rotate_keep,
                max_age: self.options.retention.map(TimeSpan::duration),
                unsettled: self.store.unsettled(),
                ending: Arc::default(),
            };
            self.tidier = TidyThread::start(tidy).map_err(|error| self.retry(&error))?;
        }
        Ok(())
    }

    /// Writes a delivery's lines, pass by pass.
    fn write(&mut self, batches: &[Selected]) -> Result<Rejected, SinkError> {
        // After a failed delivery, `start` has undone its lines on disk but not in the buffers.
        self.lines.clear();
        let mut rejected = Vec::new();
        for (position, record) in batches.iter().flat_map(Selected::iter) {
            match self.lines.push(record, &mut self.store, |out| self.format.push_line(record, out)) {
                Ok(()) => {}
                Err(error) if error.is_about_the_path() && self.lines.path().depends_on_records() => {
                    rejected.push((position, error.to_string()));
                }
                Err(error) => return Err(self.retry(&error)),
            }
            if self.lines.is_full() {
                self.write_pass()?;
            }
        }
        self.write_pass()?;
        Ok(rejected)
    }

    fn write_pass(&mut self) -> Result<(), SinkError> {
        self.store.append(self.lines.chunks()).map_err(|error| self.failed(&error))?;
        self.lines.clear();
        Ok(())
    }

    fn retry(&self, error: &dyn std::fmt::Display) -> SinkError {
        SinkError::Retry(format!("sink `{}`: {error}", self.name))
    }

    fn fatal(&self, error: &dyn std::fmt::Display) -> SinkError {
        SinkError::Fatal(format!("sink `{}`: {error}", self.name))
    }

    fn failed(&self, error: &StoreError) -> SinkError {
        match error {
            StoreError::Disk(_) => self.retry(error),
            StoreError::Record { .. } => self.fatal(error),
        }
    }

    fn position(&mut self) -> Result<(), SinkError> {
        // Before the first frame there is no position yet; the journal's cursor applies.
        let sequence = if self.delivered > 0 { Some(self.delivered) } else { self.store.sequence() };
        match self.store.position(sequence) {
            Ok(rotated) => {
                if let (true, Some(tidier)) = (rotated, &self.tidier) {
                    tidier.wake();
                }
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        }
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        let held = self.store.restore(last_sequence).map_err(|error| self.failed(&error))?;
        self.delivered = self.store.sequence().unwrap_or(0);
        self.start_tidying()?;
        Ok(held)
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        if self.store.is_position_due() && self.delivered > 0 {
            self.position()?;
        }
        let rejected = self.write(batches)?;
        if let Some(last) = batches.iter().rev().find(|frame| frame.complete) {
            self.delivered = self.delivered.max(last.sequence);
        }
        Ok(Delivered { rejected, durable: Some(self.store.sequence().unwrap_or(0)) })
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let rejected = self.write(batches)?;
        self.position()?;
        Ok(Delivered { rejected, durable: None })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.position()
    }

    async fn maintain(&mut self) -> Result<bool, SinkError> {
        if self.store.has_expired() {
            self.position()?;
        }
        Ok(false)
    }

    async fn erase(&mut self, erasure: &Erasure, last_sequence: u64) -> Result<Erased, SinkError> {
        self.erase_lines(erasure, last_sequence)
    }
}
