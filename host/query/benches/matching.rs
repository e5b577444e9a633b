//! Nanoseconds per record of typical queries, compared with writing the record as JSON in the same run. Absolute figures
//! depend on the machine; the ratios can be compared between machines and days.
//!
//! `cargo bench -p weir-query`

use std::hint::black_box;
use std::time::{Duration, Instant};

use fastrand::Rng;
use weir_bench::records::{Secrets, write_record};
use weir_query::Query;
use weir_record::{Aliases, Batch, Defaults, Level, read_json, write_json};

const RECORDS: usize = 1000;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(60);

/// 2026-11-20T01:00:00Z, an hour after the records.
const NOW_NS: i64 = 1_795_136_400_000_000_000;

const QUERIES: [&str; 11] = [
    "",
    "level>=WARN",
    "source:checkout",
    "source:inv*",
    "paid",
    "\"card 4111\"",
    "*:team",
    "context.user.id=42",
    "metadata.amount>250",
    "message~\"after \\d ms\"",
    "level>=WARN source:checkout* \"card 4111\" metadata.attempt:* -metadata.path:/health since:1d",
];

fn sample() -> Batch {
    let mut random = Rng::with_seed(1);
    let mut json = String::new();
    for _ in 0..RECORDS {
        write_record(&mut json, &mut random, Secrets::Some);
        json.push('\n');
    }
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 0,
        source: "bench",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    read_json(json.as_bytes(), &defaults, &mut batch).expect("our own JSON");
    batch
}

/// The median of several rounds, in nanoseconds per record.
fn measure(mut work: impl FnMut()) -> f64 {
    work();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (start, mut times) = (Instant::now(), 0);
            while start.elapsed() < ROUND {
                work();
                times += 1;
            }
            start.elapsed().as_nanos() as f64 / f64::from(times) / RECORDS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn main() {
    let batch = sample();
    let mut json = Vec::new();
    let floor = measure(|| {
        for record in batch.iter() {
            json.clear();
            write_json(record, &mut json);
            black_box(&json);
        }
    });
    println!("{:>9} {:>8} {:>6}  query", "ns/record", "× JSON", "found");
    println!("{floor:9.1} {:8.2} {:>6}  (writing the record as JSON)", 1.0, "");
    for text in QUERIES {
        let query = Query::parse(text, NOW_NS).expect(text);
        let found = batch.iter().filter(|record| query.matches(*record)).count();
        let ns = measure(|| {
            black_box(batch.iter().filter(|record| query.matches(*record)).count());
        });
        println!("{ns:9.1} {:8.2} {found:6}  {}", ns / floor, if text.is_empty() { "(empty)" } else { text });
    }
}
