//! What a record costs in each protocol: the same records, without filters, to a file; in one run beside `/ingest` and
//! the floor.
//!
//! All protocols go to one router, in turn and in several rounds, because a machine is not equally fast for long.

mod encode;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use fastrand::Rng;
use serde_json::Value;

use crate::arrived::Destination;
use crate::child::Child;
use crate::load::{self, ANSWER, Plan};
use crate::records::{self, Body, Encoding, Secrets};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "protocols";

/// Rounds after the one for warming up.
const ROUNDS: usize = 5;

/// Records of each protocol in a round.
const ROUND_RECORDS: u64 = 200_000;

/// Records in a request.
const BATCHES: [usize; 2] = [100, 1000];

/// Different bodies of each protocol.
const BODIES: usize = 32;

const CONNECTIONS: usize = 4;

/// A protocol, and how its bodies are sent.
struct Spoken {
    name: &'static str,
    encode: fn(&[Value]) -> Vec<u8>,
    way: Way,
}

enum Way {
    /// Posted to a path, with a content type.
    Http(&'static str, &'static str),
    /// Written to the listener for Fluent Forward, which acknowledges.
    Forward,
    /// Written to the listener for syslog.
    Syslog,
    /// Posted to the floor.
    Floor,
}

const SPOKEN: [Spoken; 7] = [
    Spoken { name: "floor", encode: json, way: Way::Floor },
    Spoken { name: "JSON on /ingest", encode: json, way: Way::Http("/ingest", "application/json") },
    Spoken { name: "OTLP protobuf", encode: encode::otlp, way: Way::Http("/v1/logs", "application/x-protobuf") },
    Spoken { name: "Elasticsearch bulk", encode: encode::bulk, way: Way::Http("/_bulk", "application/x-ndjson") },
    Spoken {
        name: "Loki protobuf",
        encode: encode::loki,
        way: Way::Http("/loki/api/v1/push", "application/x-protobuf"),
    },
    Spoken { name: "Fluent Forward", encode: encode::forward, way: Way::Forward },
    Spoken { name: "syslog over TCP", encode: encode::syslog, way: Way::Syslog },
];

fn json(records: &[Value]) -> Vec<u8> {
    let records: Vec<String> = records.iter().map(Value::to_string).collect();
    format!("[{}]", records.join(",")).into_bytes()
}

/// The processes, and where they listen.
struct Servers {
    router: Child,
    floor: Child,
    forward: SocketAddr,
    syslog: SocketAddr,
    /// Records that must be in the router's file.
    sent: u64,
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let (folder, floor) = (crate::folder(args)?, crate::folder(args)?);
    let [forward, syslog] = [free_address()?, free_address()?];
    let configuration = format!(
        "data = \"data\"\nfilter = []\n[[listen]]\nprotocol = \"forward\"\naddress = \"{forward}\"\n\
         [[listen]]\nprotocol = \"syslog\"\naddress = \"tcp://{syslog}\"\n[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n"
    );
    let (router, floor) = (Child::weir(folder.path(), &configuration)?, Child::floor(floor.path())?);
    let mut servers = Servers { router, floor, forward, syslog, sent: 0 };
    let mut text = format!(
        "\nmicroseconds of CPU per record, without filters, to a file: median of {ROUNDS} rounds\n  {:<20}",
        ""
    );
    for batch in BATCHES {
        // Writing to a String can't fail.
        _ = write!(text, " {:>30}", format!("batches of {batch}"));
    }
    text.push('\n');
    let mut columns = Vec::new();
    for batch in BATCHES {
        columns.push(measure(batch, &mut servers)?);
    }
    for (at, spoken) in SPOKEN.iter().enumerate() {
        _ = write!(text, "  {:<20}", spoken.name);
        for costs in &columns {
            let (median, least, most) = costs[at];
            let ratio = median / costs[1].0;
            _ = write!(text, " {median:>8.2} ({least:.2}–{most:.2}) {ratio:>5.2} × JSON");
        }
        text.push('\n');
    }
    servers.router.stop()?;
    servers.floor.stop()?;
    Ok(text)
}

/// The cost of each protocol: median, least and most.
fn measure(batch: usize, servers: &mut Servers) -> anyhow::Result<Vec<(f64, f64, f64)>> {
    let mut random = Rng::with_seed(0x5EED);
    let all: Vec<Vec<Value>> = (0..BODIES).map(|_| records_of(batch, &mut random)).collect();
    let mut costs = vec![Vec::new(); SPOKEN.len()];
    let bodies: Vec<Vec<Body>> = SPOKEN
        .iter()
        .map(|spoken| all.iter().map(|records| Body::fixed((spoken.encode)(records), batch as u64)).collect())
        .collect();
    for round in 0..=ROUNDS {
        eprintln!("weir · {NAME} · batches of {batch} · round {round} of {ROUNDS}");
        for (at, spoken) in SPOKEN.iter().enumerate() {
            let cost = servers.round(spoken, &bodies[at])?;
            // The first round is a warm-up.
            if round > 0 {
                costs[at].push(cost);
            }
        }
    }
    let median = |mut costs: Vec<f64>| {
        costs.sort_unstable_by(f64::total_cmp);
        (costs[costs.len() / 2], costs[0], costs[costs.len() - 1])
    };
    Ok(costs.into_iter().map(median).collect())
}

fn records_of(batch: usize, random: &mut Rng) -> Vec<Value> {
    let record = |_| {
        let mut json = String::new();
        records::write_record(&mut json, random, Secrets::Some);
        serde_json::from_str(&json).expect("our own JSON")
    };
    (0..batch).map(record).collect()
}

impl Servers {
    /// Sends the records of a round. Returns the CPU time per record in microseconds.
    fn round(&mut self, spoken: &Spoken, bodies: &[Body]) -> anyhow::Result<f64> {
        let child = if matches!(spoken.way, Way::Floor) { &self.floor } else { &self.router };
        let before = child.usage()?;
        let records = match spoken.way {
            Way::Floor => {
                load::drive(&Plan::full_load(child, Encoding::Json, bodies, CONNECTIONS), ROUND_RECORDS)?.records
            }
            Way::Http(path, content_type) => {
                let plan = Plan::full_load(child, Encoding::Json, bodies, CONNECTIONS);
                load::drive(&Plan { path: path.to_owned(), content_type, ..plan }, ROUND_RECORDS)?.records
            }
            Way::Forward => write(self.forward, bodies, encode::ACKNOWLEDGEMENT)?,
            Way::Syslog => write(self.syslog, bodies, 0)?,
        };
        if !matches!(spoken.way, Way::Floor) {
            self.sent += records;
            let arrived = child.wait_for(Destination::Lines, self.sent)?;
            if arrived != self.sent {
                bail!("{}: of {} records, {arrived} arrived", spoken.name, self.sent);
            }
        }
        Ok(child.usage()?.since(&before) * 1e6 / records as f64)
    }
}

/// Writes the records of a round on several connections. If this many bytes are read after each body, that ends with an
/// id, which is another one for each.
fn write(address: SocketAddr, bodies: &[Body], answer_bytes: usize) -> anyhow::Result<u64> {
    static IDS: AtomicU64 = AtomicU64::new(0);
    let (next, sent) = (AtomicU64::new(0), AtomicU64::new(0));
    let connection = || -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut answer = vec![0; answer_bytes];
        loop {
            let body = &bodies[next.fetch_add(1, Ordering::Relaxed) as usize % bodies.len()];
            if sent.fetch_add(body.records, Ordering::Relaxed) >= ROUND_RECORDS {
                sent.fetch_sub(body.records, Ordering::Relaxed);
                return Ok(());
            }
            let end = if answer_bytes == 0 { 0 } else { encode::CHUNK };
            let (before, _) = body.bytes.split_at(body.bytes.len() - end);
            stream.write_all(before)?;
            if answer_bytes > 0 {
                let id = format!("{:0width$}", IDS.fetch_add(1, Ordering::Relaxed), width = end);
                stream.write_all(id.as_bytes())?;
                stream.read_exact(&mut answer)?;
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|_| scope.spawn(connection)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a connection panicked")))
    })?;
    Ok(sent.into_inner())
}

/// An address that is free now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
