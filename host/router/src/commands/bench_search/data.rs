//! The records of the bench, which every sink gets.

use std::sync::Arc;

use weir_bench::records;
use weir_record::time::format_rfc3339;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};
use weir_sinks::{Indexes, Selected, Sink};

use super::Bench;

/// Records delivered at once.
pub const BATCH: u64 = 1000;
/// One in so many is a refund.
const RARE: u64 = 5000;
/// 2026-11-20T00:00:00Z
const START_NS: i64 = 1_795_132_800_000_000_000;
/// The records are spread over three days.
const SPAN_NS: i64 = 3 * 86_400_000_000_000;

/// Writes the records to all sinks. Returns these, and the id of a request in the middle.
pub async fn fill(bench: &Bench, count: u64) -> anyhow::Result<(Vec<Box<dyn Sink>>, String)> {
    let mut sinks = Vec::new();
    for kind in bench.kinds() {
        let mut sink = bench.sink(kind)?;
        sink.start(0).await?;
        sinks.push(sink);
    }
    let (mut random, mut id) = (fastrand::Rng::with_seed(1), String::new());
    let mut number = 0;
    while number < count {
        let mut lines = String::new();
        for _ in 0..BATCH.min(count - number) {
            let from = lines.len();
            write_line(&mut lines, number, count, &mut random);
            if number == count / 2 {
                let line: serde_json::Value = serde_json::from_str(&lines[from..])?;
                id = line["context"]["request_id"].as_str().unwrap_or_default().to_owned();
            }
            number += 1;
        }
        let batch = Arc::new(batch(&lines)?);
        let sequence = number.div_ceil(BATCH);
        for sink in &mut sinks {
            sink.deliver(&[frame(sequence, batch.clone())]).await?;
        }
        if sequence.is_multiple_of(100) {
            eprintln!("{number} records written");
        }
    }
    for sink in &mut sinks {
        sink.flush().await?;
    }
    Ok((sinks, id))
}

/// Records as a frame of the journal.
pub fn frame(sequence: u64, batch: Arc<Batch>) -> Selected {
    Selected { sequence, time_ns: START_NS, batch, indexes: Indexes::All, complete: true }
}

/// Some records later than all others.
pub fn later() -> anyhow::Result<Batch> {
    let (mut lines, mut random) = (String::new(), fastrand::Rng::with_seed(2));
    (BATCH..2 * BATCH).for_each(|number| write_line(&mut lines, number, BATCH, &mut random));
    batch(&lines)
}

/// Appends a record as a line of JSON: one of `weir bench`, with its time; a few are refunds.
fn write_line(lines: &mut String, number: u64, count: u64, random: &mut fastrand::Rng) {
    let mut line = String::new();
    records::write_record(&mut line, random, records::Secrets::Some);
    let ago = i128::from(SPAN_NS) * i128::from(number) / i128::from(count.max(1));
    let mut time = Vec::new();
    format_rfc3339(START_NS.saturating_add(i64::try_from(ago).unwrap_or_default()), &mut time);
    line = line.replacen("2026-11-20T00:00:00.000Z", &String::from_utf8_lossy(&time), 1);
    if number % RARE == RARE / 2 {
        line =
            line.replacen(" paid by ", " refunded to ", 1).replacen("\"context\":", "\"refund\":true,\"context\":", 1);
    }
    lines.push_str(&line);
    lines.push('\n');
}

fn batch(lines: &str) -> anyhow::Result<Batch> {
    let aliases = Aliases::none();
    let defaults = Defaults {
        received_ns: START_NS,
        source: "bench",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    let mut batch = Batch::new();
    read_json(lines.as_bytes(), &defaults, &mut batch)?;
    Ok(batch)
}
