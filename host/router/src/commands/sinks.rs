//! `weir sinks`: each configured sink with its delivery guarantee and its state in the running router.

use std::process::ExitCode;

use serde_json::{Value, json};
use weir_sinks::Guarantee;

use crate::cli::SinksArgs;
use crate::commands::quarantine;
use crate::config::SinkSettings;
use weir_ingest::client;

/// Indentation of the details below a sink.
const INDENT: usize = 17;

pub fn run(args: &SinksArgs) -> anyhow::Result<ExitCode> {
    let settings = quarantine::settings(&args.stored)?;
    let router = args.running.router(&settings)?;
    let health = client::get_json(&router, "/health");
    let none = Vec::new();
    let running = health.as_ref().ok().and_then(|health| health["sinks"].as_array()).unwrap_or(&none);
    let of = |sink: &SinkSettings| running.iter().find(|one| one["name"] == sink.name.as_str());
    if args.json {
        let all: Vec<Value> = settings.sinks.iter().map(|sink| as_json(sink, of(sink))).collect();
        weir_terminal::json(&all)?;
    } else {
        for sink in &settings.sinks {
            weir_terminal::text(&about(sink, of(sink)))?;
        }
        if let Err(error) = &health {
            weir_terminal::text(&format!("\nthe state of the sinks is unknown: {error:#}\n"))?;
        }
    }
    let all_well = settings.sinks.iter().all(|sink| of(sink).is_some_and(|one| one["state"] == "ok"));
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn guarantee(sink: &SinkSettings) -> &'static str {
    match weir_sinks::kind(&sink.kind).map(|kind| kind.guarantee) {
        Some(Guarantee::ExactlyOnce) => "exactly once",
        Some(Guarantee::AtLeastOnce) => "at least once",
        Some(Guarantee::BestEffort) | None => "best effort",
    }
}

fn as_json(sink: &SinkSettings, running: Option<&Value>) -> Value {
    let mut shown = running.cloned().unwrap_or_else(|| json!({ "name": sink.name, "state": "unknown" }));
    shown["type"] = sink.kind.as_str().into();
    shown["guarantee"] = guarantee(sink).into();
    shown
}

/// The sink as a few lines of text.
fn about(sink: &SinkSettings, running: Option<&Value>) -> String {
    let mut text = format!("{:<16} {:<12} {:<14} {}\n", sink.name, sink.kind, guarantee(sink), state(running));
    let mut line = |content: String| text.push_str(&format!("{:INDENT$}{content}\n", ""));
    if let Some(routes) = &sink.routes {
        line(match routes.is_empty() {
            true => "standby: receives records that other sinks can't deliver".into(),
            false => format!("accepts the routes {}", routes.join(", ")),
        });
    }
    if !sink.fallback.is_empty() {
        line(format!("falls back to {}", sink.fallback.join(", then ")));
    }
    let Some(running) = running else { return text };
    let number = |key: &str| running[key].as_u64().unwrap_or_default();
    line(format!(
        "{} records{}, {} refused, {} failed attempts; {} batches pending{}",
        number("records"),
        match number("for_others") {
            0 => String::new(),
            others => format!(" ({others} for other sinks)"),
        },
        number("rejected"),
        number("errors"),
        number("lag_frames"),
        match running["lag_seconds"].as_f64() {
            Some(lag) if lag > 0.0 => format!(", {lag:.1} s behind"),
            _ => String::new(),
        },
    ));
    if let Some(to) = running["fallback"]["to"].as_str() {
        line(format!("{} records went to `{to}`", running["fallback"]["records"]));
    }
    if let Some(error) = running["last_error"].as_str() {
        let at =
            running["last_error_ns"].as_i64().map_or(String::new(), |ns| format!(" at {}", weir_terminal::time(ns)));
        line(format!("last error{at}: {error}"));
    }
    text
}

fn state(running: Option<&Value>) -> String {
    let Some(running) = running else { return "not running".into() };
    match running["state"].as_str().unwrap_or("unknown") {
        "retrying" => {
            format!("retrying since {}", weir_terminal::time(running["since_ns"].as_i64().unwrap_or_default()))
        }
        other => other.to_owned(),
    }
}
