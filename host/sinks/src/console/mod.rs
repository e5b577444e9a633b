//! The `console` sink: shows records on a terminal, or writes them as JSON lines to a pipe.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, the writing thread |
//! | `human.rs` | the format for people |
//! | `fold.rs` | shortens long values and multi-line text |
//!
//! Guarantee: best effort. A paused terminal (Ctrl-S, a pager) must not block the journal, so after
//! [`limits::CONSOLE_STALL_TIME`] lines are dropped, and their number is shown once output resumes. A dedicated thread
//! writes.
//!
//! A record can't control the terminal: control characters, escape sequences and direction overrides are escaped.

mod fold;
mod human;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use async_trait::async_trait;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use weir_record::{Record, write_json};

use self::human::HumanStyle;
use crate::limits;
use crate::registry::{BuildContext, Guarantee, Kind, options, schema_of};
use crate::sink::{Delivered, Selected, Sink, SinkError};
use crate::text::push_escaped_json;

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "console",
    summary: "shows records on standard output, aligned and coloured for people or as JSON lines",
    guarantee: Guarantee::BestEffort,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.console]
type = "console"
format = "human"    # "human" | "json"
color = "auto"      # "auto" | "always" | "never"
time = "utc"        # "utc" | "local"
min_level = "INFO"
"#,
    schema: schema_of::<ConsoleOptions>,
    variables: &[],
    min_level: None,
    build,
    search: None,
};

/// How a record is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line with columns, and indented lines for multi-line text.
    #[default]
    Human,
    /// One JSON object per line.
    Json,
}

/// When lines are coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The time zone of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// UTC, marked with `Z`.
    #[default]
    Utc,
    /// The system's time zone (`TZ`, `/etc/localtime`), with its offset.
    Local,
}

/// Options of a `console` sink.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsoleOptions {
    /// `human` for aligned lines with stack traces below them; `json` for one JSON object per line.
    #[serde(default)]
    pub format: Format,
    /// Colours: `auto` on a terminal unless `NO_COLOR` is set, `always`, `never`.
    #[serde(default)]
    pub color: Color,
    /// Times of `human`: `utc`, marked with `Z`, or `local`, in the system's time zone and with its offset.
    #[serde(default)]
    pub time: Clock,
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
    let style = match options.format {
        Format::Human => ConsoleStyle::human(color, options.time),
        Format::Json => ConsoleStyle::json(),
    };
    Ok(Box::new(ConsoleSink::new(style, out)))
}

/// The output format.
pub struct ConsoleStyle(Style);

enum Style {
    Human(HumanStyle),
    Json,
}

impl ConsoleStyle {
    /// Aligned lines for people.
    pub fn human(color: bool, clock: Clock) -> ConsoleStyle {
        let zone = (clock == Clock::Local).then(TimeZone::system);
        ConsoleStyle(Style::Human(HumanStyle { color, zone }))
    }

    /// One JSON object per line.
    pub fn json() -> ConsoleStyle {
        ConsoleStyle(Style::Json)
    }

    /// Appends a record, with a line end.
    pub fn push(&self, record: Record<'_>, out: &mut Vec<u8>) {
        match &self.0 {
            Style::Human(look) => look.push(record, out),
            Style::Json => {
                let mut json = Vec::with_capacity(512);
                write_json(record, &mut json);
                push_escaped_json(&json, out);
                out.push(b'\n');
            }
        }
    }
}

enum Job {
    Lines(Vec<u8>),
    Flush(oneshot::Sender<()>),
}

struct ConsoleSink {
    style: ConsoleStyle,
    out: Option<Box<dyn Write + Send>>,
    jobs: Option<mpsc::Sender<Job>>,
    broken: Arc<AtomicBool>,
    left_out: u64,
}

impl ConsoleSink {
    fn new(style: ConsoleStyle, out: Box<dyn Write + Send>) -> ConsoleSink {
        ConsoleSink { style, out: Some(out), jobs: None, broken: Arc::default(), left_out: 0 }
    }

    async fn send(&mut self, job: Job) -> bool {
        let Some(jobs) = &self.jobs else { return false };
        matches!(timeout(limits::CONSOLE_STALL_TIME, jobs.send(job)).await, Ok(Ok(())))
    }
}

/// Writes until the sink is dropped. If the reader goes away (`weir run | head`), output stops, but the router keeps
/// running.
fn write_jobs(mut out: Box<dyn Write + Send>, mut jobs: mpsc::Receiver<Job>, broken: &AtomicBool) {
    while let Some(job) = jobs.blocking_recv() {
        let written = match job {
            Job::Lines(lines) => out.write_all(&lines).and_then(|()| out.flush()),
            Job::Flush(done) => {
                // Nobody receives if the flush took too long.
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
                format!("… {} records not shown: the terminal was paused\n", self.left_out).as_bytes(),
            );
        }
        for (_, record) in batches.iter().flat_map(Selected::iter) {
            self.style.push(record, &mut lines);
            count += 1;
        }
        if self.send(Job::Lines(lines)).await {
            self.left_out = 0;
        } else {
            self.left_out += count;
        }
        // Not durable: it was shown, or never will be.
        Ok(Delivered { rejected: Vec::new(), durable: Some(0) })
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let (done, written) = oneshot::channel();
        if self.send(Job::Flush(done)).await {
            // A flush also gives up on a paused terminal.
            let _ = timeout(limits::CONSOLE_STALL_TIME, written).await;
        }
        Ok(())
    }
}
