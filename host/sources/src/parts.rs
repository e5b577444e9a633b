//! Lines of containers that were kept in parts: engines split lines at 16 KiB.

use crate::limits::{CONTAINER_PART_BYTES, MAX_LINE_BYTES};

/// Which stream of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// The stream of that name.
    pub fn of(name: &[u8]) -> Option<Stream> {
        [Stream::Stdout, Stream::Stderr].into_iter().find(|stream| stream.name().as_bytes() == name)
    }
}

/// What an engine keeps as one entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'e> {
    pub stream: Stream,
    pub at_ns: i64,
    /// Without the line end.
    pub text: &'e [u8],
    /// Whether it ends its line.
    pub ends: bool,
}

/// A line of a container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub stream: Stream,
    /// The time of its first part.
    pub at_ns: i64,
    pub text: Vec<u8>,
    /// The next line continues it.
    pub is_partial: bool,
}

impl Line {
    /// The text; empty if there is nothing to be seen.
    pub fn shown(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"\r").unwrap_or(&self.text);
        if text.trim_ascii().is_empty() { b"" } else { text }
    }
}

/// Joins the parts of lines, of both streams.
#[derive(Default)]
pub(crate) struct Joiner {
    open: [Option<Line>; 2],
}

impl Joiner {
    /// Adds an entry. Returns the line that it ends, or that is too long to go on.
    pub fn add(&mut self, entry: &Entry<'_>) -> Option<Line> {
        let open = &mut self.open[entry.stream as usize];
        let line = open.get_or_insert_with(|| Line {
            stream: entry.stream,
            at_ns: entry.at_ns,
            text: Vec::new(),
            is_partial: false,
        });
        line.text.extend_from_slice(entry.text);
        line.is_partial = !entry.ends;
        if entry.ends || line.text.len() + CONTAINER_PART_BYTES > MAX_LINE_BYTES { open.take() } else { None }
    }

    /// Whether a line is not complete.
    pub fn is_open(&self) -> bool {
        self.open.iter().any(Option::is_some)
    }

    /// What there is of incomplete lines.
    pub fn flush(&mut self) -> impl Iterator<Item = Line> {
        self.open.iter_mut().filter_map(Option::take)
    }
}
