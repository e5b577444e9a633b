//! Nanoseconds per record of the paths that every record takes, compared with a value tree doing the same work in the
//! same run. Absolute figures depend on the machine; the ratios can be compared between machines and days.
//!
//! `cargo bench -p weir-record`

use std::hint::black_box;
use std::time::{Duration, Instant};

use weir_record::{
    Aliases, Batch, Change, Defaults, Level, Record, Value, apply_changes, merge_patch, read_json, read_msgpack, write,
    write_json,
};

const RECORDS: usize = 1000;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(60);

/// A thousand records of about 385 bytes, like those of a service.
fn sample() -> Vec<u8> {
    let mut body = String::from("[");
    for n in 0..RECORDS {
        if n > 0 {
            body.push(',');
        }
        let level = ["INFO", "DEBUG", "WARN", "ERROR"][n % 4];
        body.push_str(&format!(
            "{{\"timestamp\":\"2026-11-20T10:{:02}:{:02}.{:06}Z\",\"level\":\"{level}\",\"service\":\"checkout-{}\",\
             \"message\":\"payment for order {} by user{n}@example.com declined after {} ms, retrying\",\
             \"context\":{{\"request_id\":\"req-{:016x}\",\"user\":{{\"id\":{n},\"email\":\"user{n}@example.com\"}},\
             \"ip\":\"10.0.{}.{}\"}},\"metadata\":{{\"attempt\":{},\"amount\":{}.25,\"currency\":\"EUR\",\
             \"card\":\"4111 1111 1111 1111\",\"cached\":false}}}}",
            n / 60 % 60,
            n % 60,
            n * 997 % 1_000_000,
            n % 7,
            n * 31,
            n % 900,
            n as u64 * 0x9e37_79b9_7f4a,
            n / 256,
            n % 256,
            n % 5,
            n % 1000,
        ));
    }
    body.push(']');
    body.into_bytes()
}

/// CPU time of this thread where the system provides it, so that other load matters little; wall time otherwise.
fn cpu_time_ns(start_of_clock: Instant) -> f64 {
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = on_cpu.and_then(|line| line.split(' ').next()?.parse().ok());
    on_cpu.unwrap_or_else(|| start_of_clock.elapsed().as_nanos() as f64)
}

/// The median of several rounds, in nanoseconds of CPU time per record.
fn measure(name: &str, mut work: impl FnMut()) {
    let start_of_clock = Instant::now();
    work();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let (start, cpu_start) = (Instant::now(), cpu_time_ns(start_of_clock));
            let mut times = 0;
            while start.elapsed() < ROUND {
                work();
                times += 1;
            }
            (cpu_time_ns(start_of_clock) - cpu_start) / (times * RECORDS) as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:44} {:8.1}   (best {:.1})", rounds[ROUNDS / 2], rounds[0]);
}

fn main() {
    let body = sample();
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
    read_json(&body, &defaults, &mut batch).expect("the sample is JSON");
    println!(
        "{RECORDS} records, {} bytes of JSON and {} canonical each; ns a record, median",
        body.len() / RECORDS,
        batch.byte_len() / RECORDS
    );
    readers(&body, &defaults, &batch);
    views(&batch);
}

fn readers(body: &[u8], defaults: &Defaults<'_>, batch: &Batch) {
    let mut read = Batch::new();
    measure("JSON list to batch", || {
        read.clear();
        black_box(read_json(body, defaults, &mut read)).expect("the sample is JSON");
    });
    let lines = [&body[1..body.len() - 1], b"\n"].concat();
    let lines = String::from_utf8(lines).expect("the sample is text").replace("}},{", "}}\n{");
    measure("JSON lines to batch", || {
        read.clear();
        black_box(read_json(lines.as_bytes(), defaults, &mut read)).expect("the sample is JSON");
    });
    let mut packed = Vec::new();
    weir_record::json_to_msgpack(body, &mut packed).expect("the sample is JSON");
    measure("MessagePack list to batch", || {
        read.clear();
        black_box(read_msgpack(&packed, defaults, &mut read)).expect("the sample is MessagePack");
    });
    measure("  beside it: JSON list to value tree", || {
        black_box(serde_json::from_slice::<serde_json::Value>(body)).expect("the sample is JSON");
    });
    let mut out = Vec::new();
    measure("batch to JSON lines", || {
        out.clear();
        for record in batch.iter() {
            write_json(record, &mut out);
            out.push(b'\n');
        }
        black_box(&out);
    });
    let tree: Vec<serde_json::Value> = serde_json::from_slice(body).expect("the sample is JSON");
    measure("  beside it: value trees to JSON lines", || {
        out.clear();
        for record in &tree {
            serde_json::to_writer(&mut out, record).expect("a vector takes everything");
            out.push(b'\n');
        }
        black_box(&out);
    });
}

fn views(batch: &Batch) {
    measure("head of a record", || {
        for record in batch.iter() {
            black_box(record.head());
        }
    });
    measure("one field by path", || {
        for record in batch.iter() {
            black_box(record.get("context.user.email"));
        }
    });
    let mut patch = Vec::new();
    write::map_header(&mut patch, 1);
    write::str(&mut patch, "message");
    write::str(&mut patch, "payment for order ******** declined");
    let mut out = Vec::new();
    measure("merge patch of one key", || {
        for record in batch.iter() {
            out.clear();
            merge_patch(record.as_bytes(), &patch, &mut out).expect("the patch is a map");
            black_box(&out);
        }
    });
    let change = [Change::Set("context.user.email", Value::Str("********"))];
    measure("one change by path", || {
        for record in batch.iter() {
            out.clear();
            apply_changes(record.as_bytes(), &change, &mut out).expect("the change is possible");
            black_box(Record::new(&out));
        }
    });
}
