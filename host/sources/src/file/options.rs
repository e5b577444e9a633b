//! The options of a `file` source, and what they mean.

use std::time::Duration;

use regex::bytes::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::units::{Size, TimeSpan};

use super::container::Engine;
use super::glob::Globs;
use super::grouping::Grouping;
use super::lines::Encoding;
use crate::limits;
use crate::registry::BuildContext;

/// The options as written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// The files, as globs: `*` and `?` within a name, `**` for any number of folders, `[a-z]`, `{a,b}`. A `*` doesn't
    /// match a dot at the start of a name.
    #[schemars(length(min = 1))]
    pub paths: Vec<String>,
    /// Files that are not read, as globs. One without a slash is compared with the name only.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where files are read from that exist when the source starts for the first time, or when a glob is new. Files that
    /// appear later are always read from their beginning.
    #[serde(default)]
    pub start: Start,
    /// `auto`: a line that is a JSON object becomes a record with its fields, any other line a message. `json`: any other
    /// line goes to quarantine. `text`: every line is a message. `docker`, `cri`: the file is what Docker's logging driver
    /// `json-file` or a container runtime of Kubernetes keeps of a container.
    #[serde(default)]
    pub format: Format,
    /// How the text is encoded. A byte order mark at the beginning is skipped; it decides nothing.
    #[serde(default)]
    pub encoding: Encoding,
    /// Joins lines to one record, such as a message and its stack trace.
    #[serde(default)]
    pub multiline: Option<Multiline>,
    /// A longer line becomes several records of up to this size, numbered in their field `piece`.
    #[serde(default = "default_max_line")]
    pub max_line: Size,
    /// A last line without an end is read as it is after this time without a change. Before, it is waited for: many
    /// programs write lines in parts.
    #[serde(default = "default_partial_line")]
    pub partial_line: TimeSpan,
    /// The field with the path of the file; empty: none. A field of the same name in a line of JSON replaces it.
    #[serde(default = "default_file_key")]
    pub file_key: String,
    /// How often new and renamed files are looked for, and files looked at that didn't change for some time.
    #[serde(default = "default_scan")]
    pub scan: TimeSpan,
}

/// Where files that exist at first are read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Start {
    /// From their beginning.
    #[default]
    Beginning,
    /// From their end, as `tail -F` does.
    End,
}

/// What a line may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// JSON objects and text.
    #[default]
    Auto,
    /// Text.
    Text,
    /// JSON objects.
    Json,
    /// Entries of Docker's logging driver `json-file`.
    Docker,
    /// Entries of containerd and CRI-O.
    Cri,
}

/// Joining of lines.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Multiline {
    /// A line that this regular expression matches begins a record; lines after it belong to it.
    #[serde(default)]
    pub start: Option<String>,
    /// A line that this regular expression matches belongs to the record before. With both, a line continues a record if
    /// this matches and `start` doesn't.
    #[serde(default, rename = "continue")]
    pub continues: Option<String>,
    /// A record ends if no line follows within this time.
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
    /// Lines of a record at most; a further one begins the next record.
    #[serde(default = "default_max_lines")]
    #[schemars(range(min = 2, max = 10_000))]
    pub max_lines: usize,
}

fn default_max_line() -> Size {
    Size::from_bytes(limits::LINE_BYTES)
}

fn default_partial_line() -> TimeSpan {
    TimeSpan::from_duration(limits::PARTIAL_LINE)
}

fn default_file_key() -> String {
    "file".to_owned()
}

fn default_scan() -> TimeSpan {
    TimeSpan::from_duration(limits::SCAN)
}

fn default_timeout() -> TimeSpan {
    TimeSpan::from_duration(limits::GROUP_TIMEOUT)
}

fn default_max_lines() -> usize {
    limits::GROUP_LINES
}

/// The options, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub globs: Globs,
    pub start: Start,
    pub format: Format,
    /// Of a format of containers.
    pub engine: Option<Engine>,
    pub file_key: Option<String>,
    pub encoding: Encoding,
    pub grouping: Option<Grouping>,
    pub max_line: usize,
    pub partial_line: Duration,
    pub scan: Duration,
}

impl Settings {
    /// Checks options.
    pub fn new(given: &Options, context: &BuildContext) -> Result<Settings, String> {
        if given.paths.is_empty() {
            return Err("`paths` is empty; name at least one file".to_owned());
        }
        let globs = Globs::new(&context.base, &given.paths, &given.exclude)?;
        if globs.text().len() > limits::MAX_POSITION_BYTES {
            return Err(format!("`paths` and `exclude` are longer than {} bytes", limits::MAX_POSITION_BYTES));
        }
        let line = given.max_line.bytes();
        if !(limits::SHORTEST_LINE_BYTES..=limits::LONGEST_LINE_BYTES).contains(&line) {
            let (least, most) = (limits::SHORTEST_LINE_BYTES, limits::LONGEST_LINE_BYTES >> 10);
            return Err(format!("`max_line` must be between {least} bytes and {most} KiB"));
        }
        let scan = given.scan.duration();
        if scan < limits::SHORTEST_SCAN {
            return Err(format!("`scan` must be at least {:?}", limits::SHORTEST_SCAN));
        }
        let engine = match given.format {
            Format::Docker => Some(Engine::Docker),
            Format::Cri => Some(Engine::Cri),
            Format::Auto | Format::Text | Format::Json => None,
        };
        if engine.is_some() && given.encoding != Encoding::Utf8 {
            return Err("with this `format`, `encoding` can only be `utf-8`".to_owned());
        }
        if engine.is_some() && given.multiline.is_some() {
            return Err("this `format` has no `multiline`; the filters `exceptions` and `join` join lines".to_owned());
        }
        let grouping = given.multiline.as_ref().map(|multiline| grouping(multiline, line as usize)).transpose()?;
        Ok(Settings {
            globs,
            start: given.start,
            format: given.format,
            engine,
            file_key: Some(given.file_key.clone()).filter(|key| !key.is_empty()),
            encoding: given.encoding,
            grouping,
            max_line: line as usize,
            partial_line: given.partial_line.duration(),
            scan,
        })
    }
}

fn grouping(given: &Multiline, max_bytes: usize) -> Result<Grouping, String> {
    let regex = |name: &str, text: &Option<String>| {
        let regex = text.as_ref().map(|text| Regex::new(text)).transpose();
        regex.map_err(|error| format!("`multiline.{name}`: {error}"))
    };
    let (start, continues) = (regex("start", &given.start)?, regex("continue", &given.continues)?);
    if start.is_none() && continues.is_none() {
        return Err("`multiline` needs `start` or `continue`".to_owned());
    }
    if !(2..=10_000).contains(&given.max_lines) {
        return Err("`multiline.max_lines` must be between 2 and 10000".to_owned());
    }
    Ok(Grouping { start, continues, timeout: given.timeout.duration(), max_lines: given.max_lines, max_bytes })
}
