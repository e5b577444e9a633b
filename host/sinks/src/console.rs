//! The `console` sink: records for people on a terminal, or as JSON lines for a pipe.
//!
//! Guarantee: none beyond trying. A terminal that stands still (Ctrl-S, a pager) must not hold the journal back, so
//! after [`limits::CONSOLE_PATIENCE`] lines are left out and their number is shown once it moves again. Writing happens
//! on a thread of its own.
//!
//! A record can't drive the terminal: control characters, escape sequences and direction overrides are written out.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use weir_record::time::format_rfc3339;
use weir_record::{Level, Record, write_json};

use crate::limits;
use crate::registry::{BuildContext, Guarantee, Kind, options, schema_of};
use crate::sink::{Delivered, Selected, Sink, SinkError};
use crate::text::{is_harmful, is_head, push_escaped, push_escaped_json, push_value};

/// The kind's line in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "console",
    summary: "shows records on standard output, aligned and coloured for people or as JSON lines",
    guarantee: Guarantee::BestEffort,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.console]
type = "console"
format = "human"    # "human" | "json"
color = "auto"      # "auto" | "always" | "never"
min_level = "INFO"
"#,
    schema: schema_of::<ConsoleOptions>,
    variables: &[],
    min_level: None,
    build,
};

/// How a record is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line with columns.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// When lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless the environment says `NO_COLOR`.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// Options of a `console` sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleOptions {
    /// `human` for aligned lines, `json` for one JSON object a line.
    #[serde(default)]
    pub format: Format,
    /// Colours: `auto` on a terminal unless `NO_COLOR` is set, `always`, `never`.
    #[serde(default)]
    pub color: Color,
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: ConsoleOptions = options(name, given)?;
    let color = match options.color {
        Color::Auto => context.stdout_is_terminal && !context.no_color,
        Color::Always => true,
        Color::Never => false,
    };
    let out: Box<dyn Write + Send> = match &context.stdout {
        Some(open) => open(),
        None => Box::new(io::stdout()),
    };
    Ok(Box::new(ConsoleSink::new(Style { format: options.format, color }, out)))
}

/// How lines look.
#[derive(Clone, Copy)]
struct Style {
    format: Format,
    color: bool,
}

enum Job {
    Lines(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

struct ConsoleSink {
    style: Style,
    out: Option<Box<dyn Write + Send>>,
    jobs: Option<mpsc::Sender<Job>>,
    broken: Arc<AtomicBool>,
    left_out: u64,
}

impl ConsoleSink {
    fn new(style: Style, out: Box<dyn Write + Send>) -> ConsoleSink {
        ConsoleSink { style, out: Some(out), jobs: None, broken: Arc::default(), left_out: 0 }
    }

    async fn send(&mut self, job: Job) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        matches!(timeout(limits::CONSOLE_PATIENCE, jobs.send(job)).await, Ok(Ok(())))
    }
}

/// Writes until the sink is gone. A reader that went away (`weir run | head`) ends the showing, not the router.
fn write_jobs(mut out: Box<dyn Write + Send>, mut jobs: mpsc::Receiver<Job>, broken: &AtomicBool) {
    while let Some(job) = jobs.blocking_recv() {
        let written = match job {
            Job::Lines(lines) => out.write_all(&lines).and_then(|()| out.flush()),
            Job::Flush(done) => {
                // Nobody waits any more when the flush took too long.
                let _ = done.send(());
                Ok(())
            }
        };
        if written.is_err() && !broken.swap(true, Ordering::Relaxed) {
            tracing::warn!("standard output was closed; records are no longer shown");
        }
    }
}

#[async_trait]
impl Sink for ConsoleSink {
    async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
        if let Some(out) = self.out.take() {
            let (jobs, waiting) = mpsc::channel(limits::CONSOLE_QUEUE);
            let broken = self.broken.clone();
            thread::Builder::new()
                .name("console".into())
                .spawn(move || write_jobs(out, waiting, &broken))
                .map_err(|error| SinkError::Fatal(format!("can't start the console's thread: {error}")))?;
            self.jobs = Some(jobs);
        }
        Ok(None)
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        if self.broken.load(Ordering::Relaxed) {
            return Ok(Delivered::default());
        }
        let mut lines = Vec::new();
        let mut count = 0;
        if self.left_out > 0 {
            lines.extend_from_slice(
                format!("… {} records not shown: the terminal stood still\n", self.left_out).as_bytes(),
            );
        }
        for (_, record) in batches.iter().flat_map(Selected::iter) {
            push_line(self.style, record, &mut lines);
            count += 1;
        }
        if self.send(Job::Lines(lines)).await {
            self.left_out = 0;
        } else {
            self.left_out += count;
        }
        // Durable in the only sense there is: it was shown, or never will be.
        Ok(Delivered { rejected: Vec::new(), durable: Some(0) })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let (done, written) = oneshot::channel();
        if self.send(Job::Flush(done)).await {
            // A terminal that stands still is given up on here too.
            let _ = timeout(limits::CONSOLE_PATIENCE, written).await;
        }
        Ok(())
    }
}

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

fn color_of(level: Level) -> &'static str {
    match level {
        Level::Trace => "\x1b[2m",
        Level::Debug => "\x1b[36m",
        Level::Info => "\x1b[32m",
        Level::Warning => "\x1b[33m",
        Level::Error => "\x1b[31m",
        Level::Critical => "\x1b[1;37;41m",
    }
}

fn push_line(style: Style, record: Record<'_>, out: &mut Vec<u8>) {
    let mut line = Vec::with_capacity(256);
    match style.format {
        Format::Json => {
            let mut json = Vec::with_capacity(512);
            write_json(record, &mut json);
            push_escaped_json(&json, &mut line);
        }
        Format::Human => push_human(style.color, record, &mut line),
    }
    if style.format == Format::Human && line.len() > limits::CONSOLE_LINE_BYTES {
        let text = String::from_utf8_lossy(&line);
        let end = text.floor_char_boundary(limits::CONSOLE_LINE_BYTES);
        out.extend_from_slice(&text.as_bytes()[..end]);
        out.extend_from_slice(if style.color { "…\x1b[0m\n".as_bytes() } else { "…\n".as_bytes() });
        return;
    }
    out.extend_from_slice(&line);
    out.push(b'\n');
}

fn push_human(color: bool, record: Record<'_>, out: &mut Vec<u8>) {
    let head = record.head();
    let paint = |code: &'static str| if color { code } else { "" };
    let mut time = Vec::with_capacity(30);
    format_rfc3339(head.timestamp, &mut time);
    // `2026-11-20T10:00:00.123456789Z`: milliseconds are enough for the eye.
    let time = String::from_utf8_lossy(&time);
    let shown = time.get(..time.len().saturating_sub(7)).unwrap_or_default().replace('T', " ");
    out.extend_from_slice(format!("{}{shown}{} ", paint(DIM), paint(RESET)).as_bytes());
    out.extend_from_slice(
        format!("{}{:8}{} ", paint(color_of(head.level)), head.level.as_str(), paint(RESET)).as_bytes(),
    );
    let width = head.source.chars().count();
    push_escaped(head.source, out);
    out.resize(out.len() + 16usize.saturating_sub(width) + 1, b' ');
    push_escaped(head.message, out);
    let mut value = Vec::new();
    for (key, found) in record.entries().filter(|(key, _)| !is_head(key)) {
        out.push(b' ');
        out.extend_from_slice(paint(DIM).as_bytes());
        push_escaped(key, out);
        out.push(b'=');
        value.clear();
        push_value(found, &mut value);
        let text = String::from_utf8_lossy(&value);
        if found.as_str().is_some()
            && (text.is_empty() || text.contains(|c: char| c == ' ' || c == '"' || c == '=' || is_harmful(c)))
        {
            let mut quoted = Vec::new();
            weir_record::write_json_value(found, &mut quoted);
            push_escaped_json(&quoted, out);
        } else {
            push_escaped(&text, out);
        }
        out.extend_from_slice(paint(RESET).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::testing::{frame, numbered, record, record_at};

    fn line(format: Format, color: bool, fields: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        push_line(Style { format, color }, Record::new(&record_at(1_700_000_000_123_456_789, fields, &[])), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_line_is_aligned_and_shows_every_field() {
        let fields =
            [("level", "WARNING"), ("source", "api"), ("message", "slow"), ("zone", "eu"), ("note", "two words")];
        assert_eq!(
            line(Format::Human, false, &fields),
            "2023-11-14 22:13:20.123 WARNING  api              slow zone=eu note=\"two words\"\n"
        );
    }

    #[test]
    fn colours_come_only_when_asked_for() {
        assert!(!line(Format::Human, false, &[("k", "v")]).contains('\x1b'));
        assert!(line(Format::Human, true, &[("level", "ERROR")]).contains("\x1b[31mERROR   \x1b[0m"));
    }

    #[test]
    fn a_hostile_record_can_not_drive_the_terminal() {
        let evil = "\x1b]0;owned\x07\r\n\u{9b}2J\u{202e}";
        let fields = [("source", evil), ("message", evil), (evil, evil)];
        for format in [Format::Human, Format::Json] {
            let text = line(format, false, &fields);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(!text.trim_end_matches('\n').contains(is_harmful), "{text:?}");
        }
    }

    #[test]
    fn a_very_long_record_is_cut_for_people_and_whole_as_json() {
        let long = "é".repeat(limits::CONSOLE_LINE_BYTES);
        assert!(line(Format::Human, true, &[("message", &long)]).len() < limits::CONSOLE_LINE_BYTES + 16);
        assert!(line(Format::Json, false, &[("message", &long)]).contains(&long));
    }

    /// Writes nothing until told to.
    struct Stuck {
        go: Receiver<()>,
        shown: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the sender is gone it goes on for good.
            let _ = self.go.recv();
            self.shown.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_terminal_that_stands_still_holds_nobody_back_and_is_told_what_it_missed() {
        let (go, wait) = channel();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let out = Stuck { go: wait, shown: shown.clone() };
        let mut sink = ConsoleSink::new(Style { format: Format::Human, color: false }, Box::new(out));
        sink.start(0).await.expect("starts");
        for sequence in 0..100 {
            sink.deliver(&[frame(sequence, numbered(sequence..sequence + 1))]).await.expect("never fails");
        }
        let missed = sink.left_out;
        assert!(missed > 0);
        drop(go);
        sink.left_out = 0;
        let jobs = sink.jobs.clone().expect("started");
        while jobs.capacity() < limits::CONSOLE_QUEUE {
            std::thread::yield_now();
        }
        sink.left_out = missed;
        sink.deliver(&[frame(100, numbered(100..101))]).await.expect("never fails");
        drop(jobs);
        let (done, written) = oneshot::channel();
        assert!(sink.send(Job::Flush(done)).await);
        written.await.expect("flushed");
        let text = String::from_utf8(shown.lock().expect("not poisoned").clone()).expect("text");
        assert!(text.contains(&format!("… {missed} records not shown")), "{text}");
        assert!(text.contains("n=100"));
    }

    #[tokio::test]
    async fn a_reader_that_went_away_does_not_fail_the_sink() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sink = ConsoleSink::new(Style { format: Format::Json, color: false }, Box::new(Closed));
        sink.start(0).await.expect("starts");
        for sequence in 0..10 {
            let mut batch = weir_record::Batch::new();
            batch.push(&record(&[], &[]));
            sink.deliver(&[frame(sequence, batch)]).await.expect("goes on");
            sink.flush().await.expect("goes on");
        }
    }
}
