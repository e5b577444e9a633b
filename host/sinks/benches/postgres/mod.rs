//! PostgreSQL: Weir writing to the default table with all its indexes but those for searches, compared with `psql \copy`
//! of the same rows into another such table of the same server in one transaction, and with one INSERT per row.
//!
//! CPU time is that of the client, Weir or psql; the server's is the larger part, and shows in rows/s.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::json;
use weir_sinks::{Selected, Sink, limits};

use super::{Cost, RECORDS, built, children_us, measured};
use crate::servers::postgres::Postgres;

/// Number of measurements.
const TURNS: usize = 3;

/// Rows for single inserts: each waits for an fsync.
const SINGLE: usize = 2000;

const COLUMNS: &str = "timestamp, level, logger_name, process_id, thread_id, thread_name, hostname, message, exception, \
                       function_name, module, filename, lineno, pathname, extra_data";

/// Alternating, since a server's speed varies with other load; the median ratio counts.
pub fn compare(frames: &[Selected]) {
    let server = Postgres::start_with(&["max_wal_size=4GB"], None);
    let records = frames[0].len();
    for turn in 0..TURNS {
        let prefixes = ["weir", "copied", "frame", "single"].map(|name| format!("{name}{turn}"));
        let [weir, copied, frame, single] = &prefixes;
        let ours = self::weir(&server, weir, frames, limits::POSTGRES_BATCH / records);
        let floor = copy(&server, weir, copied);
        let small = self::weir(&server, frame, frames, 1);
        let inserts = inserts(&server, weir, single);
        let show = |name: &str, delivery: &str, cost: Cost| {
            println!(
                "{name:<24}{records:>8}{delivery:>12}{:>12.2}{:>12.0}{:>12.2}{:>12.2}",
                cost.cpu_us,
                cost.rows_per_second,
                cost.cpu_us / floor.cpu_us,
                cost.rows_per_second / floor.rows_per_second,
            );
        };
        show("psql \\copy", "all", floor);
        show("psql INSERT", "a row", inserts);
        show("postgres", "a frame", small);
        show("postgres", &format!("{}", limits::POSTGRES_BATCH), ours);
        prefixes.iter().for_each(|prefix| drop(server.ask(&format!("DROP TABLE {prefix}_logs"))));
    }
}

/// Delivers everything, a number of frames per delivery, split as the runner does.
fn weir(server: &Postgres, prefix: &str, frames: &[Selected], at_once: usize) -> Cost {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut sink = started(&runtime, server, prefix);
    measured(RECORDS, || {
        for frames in frames.chunks(at_once) {
            runtime.block_on(sink.deliver(frames)).expect("delivers");
        }
    })
}

fn started(runtime: &tokio::runtime::Runtime, server: &Postgres, prefix: &str) -> Box<dyn Sink> {
    let options = json!({ "url": server.url(), "prefix": prefix, "search": false });
    let mut sink = built("postgres", options, server.folder());
    runtime.block_on(sink.start(u64::MAX)).expect("starts");
    sink
}

fn empty(server: &Postgres, prefix: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    drop(started(&runtime, server, prefix));
}

/// `psql \copy` of the rows of a table into another one that a sink has created.
fn copy(server: &Postgres, from: &str, into: &str) -> Cost {
    empty(server, into);
    let rows = server.folder().join("rows");
    psql(server, &format!("\\copy (SELECT {COLUMNS} FROM {from}_logs ORDER BY id) TO '{}'", rows.display()));
    let (cpu, clock) = (children_us(), Instant::now());
    psql(server, &format!("\\copy {into}_logs({COLUMNS}) FROM '{}'", rows.display()));
    cost(cpu, clock, RECORDS)
}

/// One INSERT per row, each in its own transaction.
fn inserts(server: &Postgres, from: &str, into: &str) -> Cost {
    empty(server, into);
    let names: Vec<&str> = COLUMNS.split(", ").collect();
    let holes = vec!["%L"; names.len()].join(",");
    let statements = server.ask(&format!(
        "SELECT format('INSERT INTO {into}_logs({COLUMNS}) VALUES ({holes});', {COLUMNS}) FROM {from}_logs ORDER BY id LIMIT {SINGLE}"
    ));
    let script = server.folder().join("inserts.sql");
    fs::write(&script, statements).expect("written");
    let (cpu, clock) = (children_us(), Instant::now());
    psql(server, &format!("\\i '{}'", script.display()));
    cost(cpu, clock, SINGLE)
}

fn cost(cpu: f64, clock: Instant, rows: usize) -> Cost {
    let seconds = clock.elapsed().as_secs_f64();
    Cost { cpu_us: (children_us() - cpu) / rows as f64, rows_per_second: rows as f64 / seconds }
}

fn psql(server: &Postgres, command: &str) {
    let mut psql = Command::new("psql");
    psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", "postgres", "-c", command]);
    psql.arg("-h").arg(server.folder()).arg("-p").arg(server.port().to_string()).stdout(Stdio::null());
    assert!(psql.status().expect("psql; install `postgresql-client`").success(), "{command}");
}
