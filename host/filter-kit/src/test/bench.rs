//! `--bench`: measures the cost of a record in a filter, by size of record and batch, compared with a filter that does
//! nothing.
//!
//! Both run in turn, and the fastest of several rounds is reported. The ratio is what matters: absolute times depend on
//! the machine and its other load.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_engine::{Clock, Compiled, Engine, FilterSpec, LoadError, PASS_THROUGH, TestInstance};
use weir_record::Batch;

use super::random::Random;
use super::{run, samples};
use crate::limits::{TEST_BENCH_ROUND, TEST_BENCH_ROUNDS, TEST_BENCH_TIMEOUT};

/// Sizes of records in memory, in bytes.
const SIZES: [usize; 4] = [100, 400, 2 << 10, 16 << 10];
/// Records per batch.
const BATCHES: [usize; 3] = [1, 100, 1000];
const WORDS: [&str; 8] = ["order", "paid", "after", "retry", "user", "queue", "worker", "cache"];

/// Measures, and reports the results.
pub fn report(
    engine: &Arc<Engine>,
    compiled: &Arc<Compiled>,
    spec: &FilterSpec,
    samples: Option<&Batch>,
) -> Result<String, LoadError> {
    let spec = FilterSpec { timeout: TEST_BENCH_TIMEOUT, ..spec.clone() };
    let mut filter = TestInstance::start(compiled, &spec, Clock::Real)?;
    let mut floor = TestInstance::start(
        &engine.compile("floor", PASS_THROUGH)?,
        &FilterSpec { options: serde_json::Value::Null, ..spec },
        Clock::Real,
    )?;
    let start_bytes = filter.memory_bytes();
    let mut text =
        format!("ns a record, the quickest of {TEST_BENCH_ROUNDS} rounds; floor: a filter that keeps everything\n\n");
    // Writing to a string can't fail; the same applies below.
    let _ = writeln!(
        text,
        "{:>12} {:>8} {:>12} {:>10} {:>9} {:>12}",
        "record", "batch", "filter", "floor", "× floor", "memory"
    );
    let mut row = |name: &str, batch: &Batch| {
        let measured = measure(&mut filter, &mut floor, batch);
        let figures = match measured {
            Ok((ours, floor)) => format!("{ours:>12.0} {floor:>10.0} {:>9.1}", ours / floor),
            Err(reason) => format!("  failed: {reason}"),
        };
        let memory = weir_terminal::size(filter.memory_bytes() as u64);
        let _ = writeln!(text, "{name:>12} {:>8} {figures} {memory:>12}", batch.len());
    };
    for size in SIZES {
        for count in BATCHES {
            row(&weir_terminal::size(size as u64), &records(size, count));
        }
    }
    if let Some(samples) = samples {
        row("samples", samples);
    }
    let _ =
        writeln!(text, "\nmemory of the instance: {} before the first record", weir_terminal::size(start_bytes as u64));
    Ok(text)
}

/// Nanoseconds per record, for the filter and for the floor.
fn measure(filter: &mut TestInstance, floor: &mut TestInstance, batch: &Batch) -> Result<(f64, f64), String> {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let repeat = [times(filter, batch)?, times(floor, batch)?];
    for _ in 0..TEST_BENCH_ROUNDS {
        ours.push(round(filter, batch, repeat[0])?);
        theirs.push(round(floor, batch, repeat[1])?);
    }
    Ok((least(&ours), least(&theirs)))
}

/// How often to run a batch per round, so that a round is long enough to measure.
fn times(trial: &mut TestInstance, batch: &Batch) -> Result<usize, String> {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < TEST_BENCH_ROUND {
        pass(trial, batch)?;
        times += 1;
    }
    Ok(times)
}

fn round(trial: &mut TestInstance, batch: &Batch, times: usize) -> Result<f64, String> {
    let start = Instant::now();
    for _ in 0..times {
        pass(trial, batch)?;
    }
    Ok(start.elapsed().max(Duration::from_nanos(1)).as_nanos() as f64 / (times * batch.len()) as f64)
}

fn pass(trial: &mut TestInstance, batch: &Batch) -> Result<(), String> {
    for piece in run::pieces(batch) {
        trial.call(batch, piece).map_err(|failure| failure.reason)?;
    }
    Ok(())
}

fn least(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Typical records of about this size, the same in every run.
fn records(bytes: usize, count: usize) -> Batch {
    let mut random = Random::new(bytes as u64);
    let mut batch = Batch::new();
    for _ in 0..count {
        // The message and the fields each fill half of the missing size, like stack traces do.
        let mut record = serde_json::json!({
            "timestamp": "2026-01-01T00:00:00Z", "level": "INFO", "source": "shop",
            "message": format!("order {:08x}", random.next() as u32),
        });
        if bytes >= 300 {
            record["context"] = serde_json::json!({
                "request_id": format!("{:016x}", random.next()),
                "user": { "id": random.below(100_000), "email": "ada@example.com" },
            });
            record["metadata"] = serde_json::json!({ "path": "/v1/orders", "cached": false, "amount": 12.5 });
        }
        let mut field = 0;
        while size(&record) * 2 < bytes && bytes >= 1000 {
            record["metadata"][format!("line_{field}")] = words(&mut random, 60).into();
            field += 1;
        }
        let missing = bytes.saturating_sub(size(&record));
        let message = format!("{} {}", record["message"].as_str().unwrap_or_default(), words(&mut random, missing));
        record["message"] = message.into();
        // Our own JSON. If it were rejected, there would be one record less.
        let _ = samples::read_json(record.to_string().as_bytes(), &mut batch);
    }
    batch
}

/// The size of a record in memory.
fn size(record: &serde_json::Value) -> usize {
    let mut batch = Batch::new();
    let _ = samples::read_json(record.to_string().as_bytes(), &mut batch);
    batch.byte_len()
}

fn words(random: &mut Random, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 8);
    while text.len() < bytes {
        text.push_str(random.pick(&WORDS).copied().unwrap_or_default());
        text.push(' ');
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_records_have_about_the_requested_size() {
        for bytes in SIZES {
            let mean = records(bytes, 50).byte_len() / 50;
            assert!(mean.abs_diff(bytes) * 20 <= bytes, "{mean} bytes instead of {bytes}");
        }
    }
}
