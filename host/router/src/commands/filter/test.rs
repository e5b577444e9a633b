//! `weir filter test`: runs a module over sample records and shows what became of each.

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};
use weir_engine::{Chain, FilterSpec, Worker};
use weir_record::{Aliases, Batch, Defaults, Level, Record};

use super::diff;
use crate::cli::{Colour, FilterTestArgs};
use crate::commands::show;
use crate::filters::Source;
use crate::wiring;

/// What is shown when the user gives no samples: something to mask, something to drop, something odd.
const SAMPLES: &str = r#"
{"level":"INFO","source":"shop","message":"alice@example.com paid with 4111 1111 1111 1111","context":{"user":{"id":7,"email":"alice@example.com"}},"api_key":"sk-12345"}
{"level":"DEBUG","source":"shop","message":"cache miss","metadata":{"tries":[1,2,3]}}
{"level":"ERROR","source":"auth","message":"token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl refused","metadata":{"password":"hunter2"}}
"#;

pub fn run(args: &FilterTestArgs) -> anyhow::Result<ExitCode> {
    let mut spec = FilterSpec::new("test");
    spec.options = serde_json::from_str(&args.options)
        .context("--options must be a JSON object, such as '{\"default\":\"INFO\"}'")?;
    let samples = samples(args)?;
    let bytes = Source::parse(&args.module).read().map_err(anyhow::Error::msg)?;
    let engine = weir_engine::Engine::new(wiring::engine_options(None))?;
    let filter = engine.load(&spec, &bytes)?;
    let about = filter.description().clone();
    show::text(&format!("{} {}: {}\n", about.name, about.version, about.description))?;
    let colours = match args.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => show::colours(),
    };
    let chain = Chain(vec![filter]);
    let mut worker = Worker::new(engine);
    let mut failed = 0;
    for (number, record) in samples.iter().enumerate() {
        let mut alone = Batch::new();
        alone.push(record.as_bytes());
        let outcome = worker.run(&chain, alone);
        failed += outcome.failed.len();
        let after: Vec<String> = outcome.batch.iter().map(pretty).collect();
        let verdict = match (&outcome.failed[..], &outcome.batch) {
            ([failure, ..], _) => format!("failed: {}", failure.reason),
            ([], batch) if batch.is_empty() => "dropped".to_string(),
            ([], batch) if batch.len() > 1 => format!("became {} records", batch.len()),
            ([], batch) if batch.get(0) == record.as_bytes() => "kept as it is".to_string(),
            _ => "changed".to_string(),
        };
        let text = diff::render(&pretty(record), &after, colours);
        show::text(&format!("\nrecord {}: {verdict}\n{text}", number + 1))?;
    }
    let said = worker.tick(&chain, true);
    for record in said.batch.iter() {
        show::text(&format!("\nat the end the filter said:\n{}\n", pretty(record)))?;
    }
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn samples(args: &FilterTestArgs) -> anyhow::Result<Batch> {
    let bytes = match args.samples.as_deref() {
        None => SAMPLES.as_bytes().to_vec(),
        Some(path) if path.as_os_str() == "-" => {
            if std::io::stdin().is_terminal() {
                eprintln!("reading records from the terminal; end with Ctrl-D");
            }
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            bytes
        }
        Some(path) => std::fs::read(path).with_context(|| format!("can't read {}", path.display()))?,
    };
    let mut batch = Batch::new();
    let defaults = Defaults {
        received_ns: weir_record::time::now_ns(),
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &Aliases::default(),
    };
    let bad = weir_record::read_json(&bytes, &defaults, &mut batch)?;
    if let Some(bad) = bad.first() {
        bail!("sample {}: {}", bad.index + 1, bad.error);
    }
    if batch.is_empty() {
        bail!("there are no samples");
    }
    Ok(batch)
}

/// A record as indented JSON.
fn pretty(record: Record<'_>) -> String {
    let mut json = Vec::new();
    weir_record::write_json(record, &mut json);
    // What was just written as JSON can be read; should it not, it is shown as it is.
    match serde_json::from_slice::<serde_json::Value>(&json) {
        Ok(value) => format!("{value:#}"),
        Err(_) => String::from_utf8_lossy(&json).into_owned(),
    }
}
