//! `weir tail`: records of the running router as they arrive, as the console sink shows them.

use std::io::{self, ErrorKind, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context;
use weir_ingest::client::{self, ClientError, RunningRouter};
use weir_query::Query;
use weir_record::time::now_ns;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};
use weir_sinks::{Clock, ConsoleStyle};

use crate::cli::TailArgs;
use crate::commands::quarantine;

/// Pause before connecting again to a router that has stopped.
const RETRY: Duration = Duration::from_secs(1);

pub fn run(args: &TailArgs) -> anyhow::Result<()> {
    let query = args.query.join(" ");
    // Refused here, too, so that a mistake is reported without a router.
    Query::parse(&query, now_ns())?;
    let settings = quarantine::settings(&args.stored)?;
    let router = args.running.router(&settings)?;
    let mut shown = Shown::new(args);
    let mut was_connected = false;
    loop {
        let path = path(args, &query, shown.last_id.as_deref());
        let ended = client::get_lines(&router, &path, |line| shown.line(line));
        match shown.closed.take() {
            // Nobody reads it any more.
            Some(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            Some(error) => return Err(error).context("can't write to standard output"),
            None => {}
        }
        was_connected |= ended.is_ok() || shown.last_id.is_some();
        match ended {
            _ if !args.follow => return Ok(ended?),
            Err(error @ (ClientError::Refused { .. } | ClientError::Request(_))) => return Err(error.into()),
            Err(error) if !was_connected => return Err(error.into()),
            _ => wait_for(&router),
        }
    }
}

/// Waits until a router answers.
fn wait_for(router: &RunningRouter) {
    eprintln!("weir: the router at {router} has ended the stream; waiting for it");
    while client::get(router, "/ready").is_err() {
        std::thread::sleep(RETRY);
    }
}

fn path(args: &TailArgs, query: &str, after: Option<&str>) -> String {
    let begin = match after {
        Some(id) => format!("after={id}"),
        None => format!("backlog={}", args.records),
    };
    format!("/api/tail?aliases=false&follow={}&{begin}&query={}", args.follow, encoded(query))
}

/// A text as the value of a parameter.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// What was printed.
struct Shown {
    style: ConsoleStyle,
    aliases: Aliases,
    last_id: Option<String>,
    /// The event that the next data belongs to; empty for a record.
    event: String,
    /// Why standard output takes nothing more.
    closed: Option<io::Error>,
}

impl Shown {
    fn new(args: &TailArgs) -> Self {
        let clock = if args.local { Clock::Local } else { Clock::Utc };
        let style = match args.json {
            true => ConsoleStyle::json(),
            false => ConsoleStyle::human(weir_terminal::colours(), clock),
        };
        Self { style, aliases: Aliases::none(), last_id: None, event: String::new(), closed: None }
    }

    /// Takes a line of the stream.
    fn line(&mut self, line: &str) -> ControlFlow<()> {
        match line.split_once(": ") {
            Some(("id", id)) => self.last_id = Some(id.to_owned()),
            Some(("event", event)) => event.clone_into(&mut self.event),
            Some(("data", data)) => {
                if std::mem::take(&mut self.event).is_empty() {
                    return self.record(data);
                }
                let notice: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
                eprintln!("weir: {}", notice["message"].as_str().unwrap_or(data));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, json: &str) -> ControlFlow<()> {
        // The id is the stream's, and comes first.
        let own = json.strip_prefix("{\"entry_id\":\"").and_then(|rest| rest.split_once("\","));
        let own = own.map_or_else(|| json.to_owned(), |(_, rest)| format!("{{{rest}"));
        let defaults = Defaults {
            received_ns: 0,
            source: "",
            level: Level::Info,
            context: &[],
            aliases: &self.aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        if read_json(own.as_bytes(), &defaults, &mut batch).is_err() || batch.is_empty() {
            eprintln!("weir: not a record: {json}");
            return ControlFlow::Continue(());
        }
        let mut out = Vec::new();
        self.style.push(batch.record(0), &mut out);
        let written = io::stdout().lock().write_all(&out).and_then(|()| io::stdout().flush());
        self.closed = written.err();
        if self.closed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_encoded() {
        assert_eq!(encoded("level>=WARN \"é\""), "level%3E%3DWARN%20%22%C3%A9%22");
    }
}
