//! Reads sample records, and shows what a filter does to each.

use std::io::{IsTerminal, Read};
use std::path::Path;

use anyhow::{Context, bail};
use weir_engine::TestInstance;
use weir_record::{Aliases, Batch, Defaults, Level, RejectedRecord, SyntaxError};

use super::diff;
use super::judge::START_NS;
use super::run::{self, RecordOutcome, Verdict, pretty};
use crate::limits::SAMPLES_FILE_BYTES;

/// Samples if the user gives none: something to mask, something to drop, something unusual.
const BUILT_IN: &str = r#"
{"level":"INFO","source":"shop","message":"alice@example.com paid with 4111 1111 1111 1111","context":{"user":{"id":7,"email":"alice@example.com"}},"api_key":"sk-12345"}
{"level":"DEBUG","source":"shop","message":"cache miss","metadata":{"tries":[1,2,3]}}
{"level":"ERROR","source":"auth","message":"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl refused","metadata":{"password":"hunter2"}}
"#;

/// Reads the records of a file; `-` is standard input. Without a file, returns a few built-in ones.
pub fn read(path: Option<&Path>) -> anyhow::Result<Batch> {
    let mut batch = Batch::new();
    let Some(path) = path else {
        read_json(BUILT_IN.as_bytes(), &mut batch).map_err(anyhow::Error::msg)?;
        return Ok(batch);
    };
    let bytes = match path.as_os_str() == "-" {
        true => {
            if std::io::stdin().is_terminal() {
                eprintln!("reading records from the terminal; end with Ctrl-D");
            }
            let mut bytes = Vec::new();
            std::io::stdin().take(SAMPLES_FILE_BYTES).read_to_end(&mut bytes)?;
            bytes
        }
        false => read_bounded(path, SAMPLES_FILE_BYTES)?,
    };
    let read = match path.extension().is_some_and(|ending| ending == "msgpack") {
        true => taken(weir_record::read_msgpack(&bytes, &defaults(&Aliases::default()), &mut batch)),
        false => read_json(&bytes, &mut batch),
    };
    read.map_err(anyhow::Error::msg).with_context(|| path.display().to_string())?;
    if batch.is_empty() {
        bail!("there are no samples in {}", path.display());
    }
    Ok(batch)
}

/// Adds JSON records like ingest.
pub fn read_json(json: &[u8], batch: &mut Batch) -> Result<(), String> {
    taken(weir_record::read_json(json, &defaults(&Aliases::default()), batch))
}

/// Adds MessagePack records like ingest.
pub fn read_msgpack(bytes: &[u8], batch: &mut Batch) -> Result<(), String> {
    taken(weir_record::read_msgpack(bytes, &defaults(&Aliases::default()), batch))
}

fn taken(read: Result<Vec<RejectedRecord>, SyntaxError>) -> Result<(), String> {
    let bad = read.map_err(|error| error.to_string())?;
    match bad.first() {
        Some(bad) => Err(format!("record {}: {}", bad.index + 1, bad.error)),
        None => Ok(()),
    }
}

/// Unlike for a sender's records, `routes` are kept: filters before the one under test may have set them.
fn defaults(aliases: &Aliases) -> Defaults<'_> {
    Defaults { received_ns: START_NS, source: "test", level: Level::Info, context: &[], aliases, keeps_routes: true }
}

/// Reads a whole file, up to a size limit.
pub fn read_bounded(path: &Path, most_bytes: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(most_bytes + 1).read_to_end(&mut bytes));
    read.with_context(|| format!("can't read {}", path.display()))?;
    if bytes.len() as u64 > most_bytes {
        bail!("{} is larger than {}", path.display(), weir_terminal::size(most_bytes));
    }
    Ok(bytes)
}

/// Shows the outcome of each record, and what the filter emits at the final tick. Returns true if it failed on none.
pub fn show(trial: &mut TestInstance, samples: &Batch, colours: bool) -> anyhow::Result<bool> {
    let ran = run::run(trial, samples);
    for (number, (record, outcome)) in samples.iter().zip(&ran.outcomes).enumerate() {
        let after: Vec<String> = outcome.records.iter().map(pretty).collect();
        let text = diff::render(&pretty(record), &after, colours);
        weir_terminal::text(&format!("\nrecord {}: {}\n{text}", number + 1, verdict(outcome)))?;
    }
    if let Some(failure) = &ran.together {
        weir_terminal::text(&format!("\nthe records failed together, and none of them alone: {}\n", failure.reason))?;
    }
    let said = trial.tick(true);
    if let Ok(said) = &said {
        for record in said.iter() {
            weir_terminal::text(&format!("\nthe final tick emitted:\n{}\n", pretty(record)))?;
        }
    }
    if let Err(failure) = &said {
        weir_terminal::text(&format!("\nthe final tick failed: {}\n", failure.reason))?;
    }
    for (name, count) in trial.counters() {
        weir_terminal::text(&format!("\ncounted {name}: {count}"))?;
    }
    for (level, line) in trial.logged() {
        weir_terminal::text(&format!("\nlogged {}: {line}", level.as_str()))?;
    }
    weir_terminal::text("\n")?;
    Ok(said.is_ok() && ran.together.is_none() && ran.outcomes.iter().all(|outcome| outcome.failure.is_none()))
}

fn verdict(outcome: &RecordOutcome) -> String {
    match (outcome.verdict, &outcome.failure) {
        (_, Some(failure)) => format!("failed: {}", failure.reason),
        (Verdict::Keep, _) => "kept unchanged".to_owned(),
        (Verdict::Drop, _) => "dropped".to_owned(),
        (Verdict::Expand, _) => format!("became {} records", outcome.records.len()),
        (Verdict::Change | Verdict::Fail, _) => "changed".to_owned(),
    }
}
