//! The cost of each sink: microseconds of CPU time per record, for all threads of this process together, compared with
//! a floor measured in the same run. Absolute figures are noise; the ratio can be compared between machines and days.
//!
//! `cargo bench --workspace --bench cost [-- NAME]`, where NAME picks the cases whose name contains it
//!
//! The floor of the file and the console is writing the same bytes. The floor of SQLite is the `sqlite3` shell that
//! `.import`s the same rows into the same tables and indexes in one transaction, without a search index.
//! The floor of the sinks that post is posting the same bytes (`web/mod.rs`), that of NATS publishing them
//! (`nats/mod.rs`), and that of PostgreSQL `psql \copy` of the same rows (`postgres/mod.rs`).
//! Each case is measured twice: one frame per delivery, as when the sink keeps up with one sender, and as many frames
//! as the runner reads at once, as when it lags. At the end follows the memory that each sink needs (`memory/mod.rs`).

mod memory;
mod nats;
mod postgres;
#[path = "../../../tests/servers/mod.rs"]
mod servers;
mod web;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use weir_record::{Aliases, Batch, Defaults, Level, Record, read_json, write_json};
use weir_sinks::{BuildContext, Indexes, Selected, Sink, kind, limits};

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: usize = 100_000;
/// Rounds of a cheap case, so that it runs long enough to be measured.
const CHEAP_ROUNDS: usize = 5;

/// CPU time and wall-clock time per record.
#[derive(Clone, Copy)]
struct Cost {
    cpu_us: f64,
    rows_per_second: f64,
}

/// Records like those of a service after masking by filters, about 350 bytes as JSON.
fn batch(frame: usize, records: usize) -> Batch {
    let mut body = String::from("[");
    for n in frame * records..(frame + 1) * records {
        let random = |salt: u64| (n as u64 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (salt << 17);
        let separator = if body.len() > 1 { "," } else { "" };
        body.push_str(&format!(
            "{separator}{{\"timestamp\":\"2026-11-20T10:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",\"source\":\"{}\",\
             \"message\":\"order {:016x} paid by ******** with card ******** after {} ms\",\"context\":{{\
             \"request_id\":\"{:016x}{:016x}\",\"user\":{{\"id\":{},\"plan\":\"team\"}}}},\"metadata\":{{\
             \"api_key\":\"********\",\"attempt\":{},\"cached\":false,\"amount\":{}.{:02},\"path\":\"/v1/orders/{}\"}}}}",
            n / 300_000 % 60,
            n / 5000 % 60,
            (n / 5 + random(3) as usize % 50) % 1000,
            ["INFO", "INFO", "WARNING", "INFO", "ERROR"][n % 5],
            ["checkout", "auth", "search", "inventory"][random(4) as usize % 4],
            random(5),
            random(6) % 1000,
            random(7),
            random(8),
            random(9) % 90_000,
            n % 3,
            random(10) % 500,
            random(11) % 100,
            random(12) % 100_000,
        ));
    }
    body.push(']');
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 0,
        source: "none",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    let mut batch = Batch::new();
    read_json(body.as_bytes(), &defaults, &mut batch).expect("our own JSON");
    batch
}

fn frames(records: usize) -> Vec<Selected> {
    let frame = |n: usize| Selected {
        sequence: n as u64 + 1,
        time_ns: 0,
        batch: Arc::new(batch(n, records)),
        indexes: Indexes::All,
        complete: true,
    };
    (0..RECORDS / records).map(frame).collect()
}

/// Nanoseconds of CPU time, by thread. A thread that ends during the measurement is not counted.
fn on_cpu_ns() -> HashMap<OsString, u64> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let line = |task: &fs::DirEntry| fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
    tasks.filter_map(|task| Some((task.file_name(), line(&task).split(' ').next()?.parse().ok()?))).collect()
}

fn measured(records: usize, work: impl FnOnce()) -> Cost {
    let (before, clock) = (on_cpu_ns(), Instant::now());
    work();
    let seconds = clock.elapsed().as_secs_f64();
    let spent_ns: u64 = on_cpu_ns().iter().map(|(task, ns)| ns - before.get(task).unwrap_or(&0)).sum();
    Cost { cpu_us: spent_ns as f64 / 1e3 / records as f64, rows_per_second: records as f64 / seconds }
}

fn built(name: &str, options: Value, folder: &Path) -> Box<dyn Sink> {
    let out = folder.join("console");
    let context = BuildContext {
        data: folder.join("data"),
        base: folder.into(),
        stdout: Some(Arc::new(move || Box::new(File::create(&out).expect("a file")))),
        ..BuildContext::default()
    };
    kind(name).expect("known").create("bench", options, &context).expect("builds")
}

/// Delivers everything, at most `bytes` of payload and as many records as the sink wants per delivery, but at least one
/// frame.
fn deliver(name: &str, options: &Value, frames: &[Selected], bytes: usize, rounds: usize) -> Cost {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut sink = built(name, options.clone(), folder.path());
    let most = sink.batching().records;
    runtime.block_on(sink.start(u64::MAX)).expect("starts");
    measured(RECORDS * rounds, || {
        for _ in 0..rounds {
            let mut rest = frames;
            while !rest.is_empty() {
                let (mut taken, mut records) = (0, 0);
                let fitting = rest.iter().take_while(|frame| {
                    taken += frame.batch.byte_len();
                    records += frame.len();
                    taken <= bytes && records <= most
                });
                let (now, later) = rest.split_at(fitting.count().max(1));
                runtime.block_on(sink.deliver(now)).expect("delivers");
                rest = later;
            }
            runtime.block_on(sink.flush()).expect("flushes");
        }
    })
}

fn plain_write(frames: &[Selected]) -> Cost {
    let mut lines = Vec::new();
    for (_, record) in frames.iter().flat_map(Selected::iter) {
        write_json(record, &mut lines);
        lines.push(b'\n');
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let mut file = File::create(folder.path().join("out")).expect("a file");
    measured(RECORDS * CHEAP_ROUNDS, || {
        for _ in 0..CHEAP_ROUNDS {
            lines.chunks(1 << 20).for_each(|part| file.write_all(part).expect("writes"));
            file.sync_data().expect("syncs");
        }
    })
}

/// The JSON of a field, quoted by SQLite's rules for CSV.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn rest_of(record: Record<'_>) -> String {
    let mut json = Vec::new();
    write_json(record, &mut json);
    let mut value: Value = serde_json::from_slice(&json).expect("JSON");
    let map = value.as_object_mut().expect("an object");
    ["timestamp", "level", "source", "message"].iter().for_each(|key| drop(map.remove(*key)));
    value.to_string()
}

/// CPU time of ended child processes, in µs.
fn children_us() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // After the name in brackets: state is field 3, cutime and cstime are 16 and 17, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().expect("a number") * 1e4).sum()
}

/// The shell's `.import` into a database that a sink has created.
fn import(frames: &[Selected]) -> Cost {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut sink = built("sqlite", json!({ "search": false }), folder.path());
    runtime.block_on(sink.start(u64::MAX)).expect("makes the tables");
    drop(sink);
    let mut csv = String::new();
    for (n, (at, record)) in frames.iter().flat_map(Selected::iter).enumerate() {
        let head = record.head();
        let (message, fields) = (quoted(head.message), quoted(&rest_of(record)));
        let (level, time) = (head.level.as_str(), head.timestamp);
        csv += &format!("{},{},{},{time},{level},{},{message},{fields}\n", n + 1, at.sequence, at.index, head.source);
    }
    let rows = folder.path().join("rows.csv");
    fs::write(&rows, csv).expect("writes");
    let script = format!(
        "PRAGMA synchronous = NORMAL;\n.mode csv\nBEGIN;\n.import {} logs\nCOMMIT;\nPRAGMA wal_checkpoint;\n",
        rows.display()
    );
    let (cpu, clock) = (children_us(), Instant::now());
    let mut shell = Command::new("sqlite3")
        .arg(folder.path().join("data/logs.db"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the sqlite3 shell");
    shell.stdin.take().expect("piped").write_all(script.as_bytes()).expect("takes the script");
    assert!(shell.wait().expect("ends").success());
    let seconds = clock.elapsed().as_secs_f64();
    Cost { cpu_us: (children_us() - cpu) / RECORDS as f64, rows_per_second: RECORDS as f64 / seconds }
}

/// The sinks that post: one frame per delivery.
fn posting(wanted: &str, records: usize, frames: &[Selected]) {
    let server = web::Server::start();
    let floor = web::floor(&server, frames, CHEAP_ROUNDS);
    println!("{:<24}{records:>8}{:>12}{:>12.2}{:>12.0}", "post", "", floor.cpu_us, floor.rows_per_second);
    for (name, kind, options) in web::cases(&server).iter().filter(|(name, ..)| name.contains(wanted)) {
        let cost = web::deliver(kind, options, frames, CHEAP_ROUNDS);
        println!(
            "{name:<24}{records:>8}{:>12}{:>12.2}{:>12.0}{:>12.2}{:>12.2}",
            "a frame",
            cost.cpu_us,
            cost.rows_per_second,
            cost.cpu_us / floor.cpu_us,
            cost.rows_per_second / floor.rows_per_second,
        );
    }
}

/// The memory of every sink, with the same deliveries as the table above.
fn memory(wanted: &str, cases: &[(&str, &str, Value, usize)]) {
    let (server, servers) = (web::Server::start(), memory::Servers::start());
    let remote = servers.cases(&server);
    let local = cases.iter().map(|(name, kind, options, _)| (*name, *kind, options));
    let all = local.chain(remote.iter().map(|(name, kind, options)| (*name, *kind, options)));
    println!("\n{:<24}{:>8}{:>12}{:>12}", "MiB", "frame", "a frame", "a round");
    for (name, kind, options) in all.filter(|(name, ..)| name.contains(wanted)) {
        let [frame, round] = [0, limits::READ_BYTES].map(|bytes| memory::of(kind, options, 1000, bytes));
        println!("{name:<24}{:>8}{frame:>12.1}{round:>12.1}", 1000);
    }
}

fn main() {
    web::serve_if_asked();
    if memory::answer_if_asked() {
        return;
    }
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let cases = [
        ("file, json", "file", json!({ "path": "out.jsonl" }), CHEAP_ROUNDS),
        ("file, day and source", "file", json!({ "path": "{source}/%Y-%m-%d.jsonl" }), CHEAP_ROUNDS),
        ("console, json", "console", json!({ "format": "json" }), 1),
        ("console, human", "console", json!({ "format": "human", "color": "always" }), 1),
        ("sqlite", "sqlite", json!({ "search": false }), 1),
        ("sqlite, search", "sqlite", json!({ "search": true }), 1),
        (
            "prometheus",
            "prometheus",
            json!({ "rule": [
            { "name": "seen_total", "type": "counter", "labels": { "source": "source", "level": "level" } },
            { "name": "amount", "type": "histogram", "value": "metadata.amount", "labels": { "source": "source" } },
        ] }),
            CHEAP_ROUNDS,
        ),
    ];
    println!(
        "{:<24}{:>8}{:>12}{:>12}{:>12}{:>12}{:>12}",
        "", "frame", "delivery", "µs CPU", "rows/s", "CPU ×", "rows/s ×"
    );
    for records in [100, 1000] {
        let frames = frames(records);
        if records == 1000 && "postgres".contains(&wanted) {
            postgres::compare(&frames);
        }
        if wanted == "postgres" {
            continue;
        }
        let floors = [("write", plain_write(&frames)), ("sqlite3 .import", import(&frames))];
        for (name, cost) in floors {
            println!("{name:<24}{records:>8}{:>12}{:>12.2}{:>12.0}", "", cost.cpu_us, cost.rows_per_second);
        }
        for (name, kind, options, rounds) in cases.iter().filter(|(name, ..)| name.contains(&wanted)) {
            let floor = floors[usize::from(*kind == "sqlite")].1;
            for (delivery, bytes) in [("a frame", 0), ("a round", limits::READ_BYTES)] {
                let cost = deliver(kind, options, &frames, bytes, *rounds);
                println!(
                    "{name:<24}{records:>8}{delivery:>12}{:>12.2}{:>12.0}{:>12.2}{:>12.2}",
                    cost.cpu_us,
                    cost.rows_per_second,
                    cost.cpu_us / floor.cpu_us,
                    cost.rows_per_second / floor.rows_per_second,
                );
            }
        }
        posting(&wanted, records, &frames);
        if "nats".contains(&wanted) {
            let [floor, sink] = nats::measure(&frames);
            for (name, cost) in [floor, sink] {
                println!(
                    "{name:<24}{records:>8}{:>12}{:>12.2}{:>12.0}{:>12.2}{:>12.2}",
                    "a frame",
                    cost.cpu_us,
                    cost.rows_per_second,
                    cost.cpu_us / floor.1.cpu_us,
                    cost.rows_per_second / floor.1.rows_per_second,
                );
            }
        }
    }
    memory(&wanted, &cases);
}
