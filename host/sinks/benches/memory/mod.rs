//! The memory that a sink needs for deliveries as long as the runner makes them: how far the resident memory of a
//! process that does nothing else rises above its level before the sink was built. Memory that the process had before,
//! freed and kept for later use (the records come from JSON), is not counted again: about a megabyte.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{deliver, frames};
use crate::servers::nats::Nats;
use crate::servers::postgres::Postgres;
use crate::web;

/// Set in a process that is measured: kind, options, records per frame and bytes per delivery.
const CASE: &str = "WEIR_BENCH_MEMORY";

/// If this process is a measured one, delivers and prints how far its memory rose.
pub fn answer_if_asked() -> bool {
    let Ok(case) = std::env::var(CASE) else { return false };
    let (kind, options, records, bytes): (String, Value, usize, usize) = serde_json::from_str(&case).expect("a case");
    let frames = frames(records);
    let before = peak_kib();
    deliver(&kind, &options, &frames, bytes, 1);
    println!("{}", peak_kib() - before);
    true
}

/// The peak resident memory.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// MiB that a sink needs.
pub fn of(kind: &str, options: &Value, records: usize, bytes: usize) -> f64 {
    let case = json!([kind, options, records, bytes]).to_string();
    let mut child = Command::new(std::env::current_exe().expect("this bench"));
    let said = child.env(CASE, case).output().expect("runs");
    assert!(said.status.success(), "{kind}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().parse::<u64>().expect("a number") as f64 / 1024.0
}

/// The servers for measured sinks, and the options for them.
pub struct Servers {
    postgres: Postgres,
    nats: Nats,
    _folder: tempfile::TempDir,
}

impl Servers {
    pub fn start() -> Servers {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on a disk");
        Servers { postgres: Postgres::start(), nats: Nats::start(folder.path()), _folder: folder }
    }

    /// Name, kind and options of the sinks that need a server.
    pub fn cases(&self, posting: &web::Server) -> Vec<(&'static str, &'static str, Value)> {
        let mut cases = web::cases(posting);
        cases.push(("postgres", "postgres", json!({ "url": self.postgres.url() })));
        cases.push(("nats", "nats", json!({ "url": self.nats.url(), "stream": "LOGS", "create_stream": true })));
        cases
    }
}
