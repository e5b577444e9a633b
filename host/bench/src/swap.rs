//! Filters replaced under load: measures the effect on latency, and whether records are lost or duplicated.
//!
//! Every replacement differs in a custom section that contains a number, so each is compiled like a new version.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_ingest::client;

use crate::arrived::Destination;
use crate::child::Child;
use crate::load::{self, LoadResult, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "swap";

/// Replacements per run.
const SWAPS: u64 = 100;

/// Time limit for one replacement.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often the router is polled for the replacement.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Records in one round of load. Rounds are repeated until the last replacement is done.
const ROUND_RECORDS: u64 = 20_000;

/// A router with one filter from the filters folder.
pub const CONFIGURATION: &str = r#"
data = "data"
filters_folder = "filters"
auto_load = true
[[filter]]
name = "redact"
module = "redact.wasm"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// Measures half load with and without replacements, and reports the difference.
pub fn report(args: &BenchArgs, redact: Module) -> anyhow::Result<String> {
    let folder = crate::folder(args)?;
    let filters = folder.path().join("filters");
    std::fs::create_dir(&filters)?;
    put(&filters, redact, 0)?;
    let child = Child::weir(folder.path(), CONFIGURATION)?;
    let bodies = records::bodies(100, Encoding::Json);
    let plan = Plan::full_load(&child, Encoding::Json, &bodies, args.connections);
    let warm = load::drive(&plan, ROUND_RECORDS * 4)?;
    let half = plan.at_half(&warm);
    let mut expected = warm.records;

    eprintln!("weir · swap · without");
    let steady = load::drive(&half, ROUND_RECORDS * 10)?;
    expected += steady.records;

    eprintln!("weir · swap · {SWAPS} replacements");
    let done = AtomicBool::new(false);
    let mut rounds: Vec<LoadResult> = Vec::new();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let swapping = scope.spawn(|| swap(&filters, redact, &child, &done));
        while !done.load(Ordering::Acquire) {
            rounds.push(load::drive(&half, ROUND_RECORDS)?);
        }
        swapping.join().ok().context("the swapping thread panicked")?
    })?;
    expected += rounds.iter().map(|r| r.records).sum::<u64>();
    let arrived = child.wait_for(Destination::Lines, expected)?;
    let mut during = rounds.pop().context("no load ran while filters were replaced")?.latencies;
    for round in &rounds {
        during.add(&round.latencies)?;
    }
    child.stop()?;
    let ms = |h: &hdrhistogram::Histogram<u64>, q| h.value_at_quantile(q) as f64 / 1000.0;
    Ok(format!(
        "\nfilter replaced {SWAPS} times under half load; \
         records sent {expected}, arrived {arrived}\n\
         {:<10} p50 {:6.2} ms   p99 {:6.2} ms   max {:6.2} ms\n\
         {:<10} p50 {:6.2} ms   p99 {:6.2} ms   max {:6.2} ms\n",
        "without",
        ms(&steady.latencies, 0.5),
        ms(&steady.latencies, 0.99),
        ms(&steady.latencies, 1.0),
        "swapping",
        ms(&during, 0.5),
        ms(&during, 0.99),
        ms(&during, 1.0),
    ))
}

/// Replaces the filter repeatedly, each time after the router has loaded the previous version.
fn swap(filters: &Path, redact: Module, child: &Child, done: &AtomicBool) -> anyhow::Result<()> {
    let result = (1..=SWAPS).try_for_each(|number| {
        put(filters, redact, number)?;
        let until = Instant::now() + TIMEOUT;
        while replacement_count(child)? < number {
            if Instant::now() > until {
                bail!("the router did not load replacement {number}");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    });
    done.store(true, Ordering::Release);
    result
}

/// Writes version `number` of the filter.
pub fn put(filters: &Path, redact: Module, number: u64) -> anyhow::Result<()> {
    write(filters, "redact", &numbered(redact, number))
}

/// The same module with different bytes.
pub fn numbered(module: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = module.to_vec();
    let text = format!("{number:08}");
    // A custom section: id, length, length of the name, name, content.
    bytes.extend([0, 1 + 5 + text.len() as u8, 5]);
    bytes.extend(b"bench");
    bytes.extend(text.as_bytes());
    bytes
}

/// Writes a module atomically, by renaming a temporary file.
pub fn write(filters: &Path, name: &str, module: &[u8]) -> anyhow::Result<()> {
    let beside = filters.join("module.new");
    std::fs::write(&beside, module)?;
    std::fs::rename(beside, filters.join(format!("{name}.wasm")))?;
    Ok(())
}

/// The number of replacements that the router reports.
fn replacement_count(child: &Child) -> anyhow::Result<u64> {
    let text = client::get(&child.address.into(), "/metrics")?;
    let total = text
        .lines()
        .filter(|l| l.starts_with("weir_filter_swaps_total"))
        .filter_map(|l| l.rsplit_once(' '))
        .filter_map(|(_, n)| n.parse::<u64>().ok())
        .sum();
    Ok(total)
}
