//! Clients of the live stream under full load: measures what a thousand of them cost the pipeline, and checks that each
//! of them received every matching record or was told exactly how many it missed.
//!
//! Fifty clients read nothing until the load is over. All clients run in this process, on a thread of low priority,
//! because they would otherwise take the processor from the router that is measured.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arrived::Destination;
use crate::child::Child;
use crate::load::{self, LoadResult, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "stream";

const CLIENTS: usize = 1000;

/// Clients that read nothing under load.
const SLOW: usize = 50;

/// Records in one round of load, before the clients connect, while they are connected, and after that. A round must not
/// take the 30 s after which a client that reads nothing is disconnected.
const ROUND_RECORDS: u64 = 500_000;

/// Time for all clients to get what is left.
const FINISH: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One record in forty.
const REQUEST: &str = "GET /api/tail?aliases=false&query=level%3E%3DERROR+source:checkout HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";

const CONFIGURATION: &str = r#"
data = "data"
filters_folder = "filters"
[[filter]]
name = "redact"
module = "bundled:redact"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

/// What one client got.
#[derive(Default)]
struct Counts {
    is_open: AtomicBool,
    received: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    fn all(&self) -> u64 {
        self.received.load(Ordering::Relaxed) + self.missed.load(Ordering::Relaxed)
    }
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let folder = crate::folder(args)?;
    let child = Child::weir(folder.path(), CONFIGURATION)?;
    let bodies = records::bodies(100, Encoding::Json);
    let mut plan = Plan::full_load(&child, Encoding::Json, &bodies, args.connections);
    let matching = bodies.iter().map(|body| matching(&body.bytes)).collect::<anyhow::Result<Vec<u64>>>()?;
    let mut round = |what: &str, records| -> anyhow::Result<LoadResult> {
        eprintln!("weir · {NAME} · {what}");
        let loaded = load::drive(&plan, records)?;
        plan.sent += loaded.requests();
        Ok(loaded)
    };
    let warm = round("warming up", ROUND_RECORDS / 4)?;
    let before = round("without clients", ROUND_RECORDS)?;
    let memory_before = child.peak_memory()?;
    let go = Arc::new(AtomicBool::new(false));
    let clients = connect(child.address, &go)?;
    let during = round(&format!("with {CLIENTS} clients"), ROUND_RECORDS)?;
    let memory = child.peak_memory()?;
    go.store(true, Ordering::Release);
    let matched: u64 = during.sent.iter().zip(&matching).map(|(times, matching)| times * matching).sum();
    wait(&clients, matched)?;
    let received: u64 = clients.iter().map(|client| client.received.load(Ordering::Relaxed)).sum();
    let missed: u64 = clients.iter().map(|client| client.missed.load(Ordering::Relaxed)).sum();
    let after = round("with clients that have nothing to do", ROUND_RECORDS)?;
    let sent = warm.records + before.records + during.records + after.records;
    let arrived = child.wait_for(Destination::Lines, sent)?;
    child.stop()?;
    let rate = |loaded: &LoadResult| loaded.records as f64 / loaded.seconds;
    Ok(format!(
        "\n{CLIENTS} clients of the live stream, {SLOW} of them not reading; records sent {sent}, arrived {arrived}\n\
         throughput  without {:.0}/s   with {:.0}/s   ratio {:.3}\n\
         each client {matched} records matched; all together received {received} and were told of {missed} missed: {}\n\
         memory      peak {:.0} MB, {:.0} MB before\n",
        rate(&before),
        rate(&during),
        rate(&during) / rate(&before),
        if received + missed == matched * CLIENTS as u64 { "exact" } else { "WRONG" },
        memory as f64 / 1e6,
        memory_before as f64 / 1e6,
    ))
}

/// Connects all clients, and waits until each is connected.
fn connect(address: SocketAddr, go: &Arc<AtomicBool>) -> anyhow::Result<Vec<Arc<Counts>>> {
    let clients: Vec<Arc<Counts>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let (started, go) = (clients.clone(), go.clone());
    std::thread::Builder::new().name("clients".into()).spawn(move || {
        // At normal priority, the result says more about this process.
        let _ = rustix::process::nice(15);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut reading = tokio::task::JoinSet::new();
            for (number, counts) in started.into_iter().enumerate() {
                let waits_for = (number < SLOW).then(|| go.clone());
                reading.spawn(client(address, counts, waits_for));
            }
            reading.join_all().await;
        });
        std::io::Result::Ok(())
    })?;
    let until = Instant::now() + FINISH;
    while !clients.iter().all(|client| client.is_open.load(Ordering::Acquire)) {
        if Instant::now() > until {
            bail!("the clients can't connect");
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(clients)
}

/// Reads a stream to its end, which is that of the router.
async fn client(address: SocketAddr, counts: Arc<Counts>, waits_for: Option<Arc<AtomicBool>>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(REQUEST.as_bytes()).await?;
    let mut buffer = vec![0; 64 << 10];
    let mut rest = Vec::new();
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        rest.extend_from_slice(&buffer[..length]);
        let end = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in rest[..end].split(|byte| *byte == b'\n') {
            counts.line(line);
        }
        rest.drain(..end);
        while let Some(go) = &waits_for
            && counts.is_open.load(Ordering::Acquire)
            && !go.load(Ordering::Acquire)
        {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

impl Counts {
    fn line(&self, line: &[u8]) {
        if line.starts_with(b"data: {\"entry_id\"") {
            self.received.fetch_add(1, Ordering::Relaxed);
        } else if let Some(json) = line.strip_prefix(b"data: ") {
            let notice: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
            self.missed.fetch_add(notice["missed"].as_u64().unwrap_or_default(), Ordering::Relaxed);
        } else if line.starts_with(b":") {
            // The first comment says that the stream is open.
            self.is_open.store(true, Ordering::Release);
        }
    }
}

/// Waits until every client has received all matching records, or knows what it missed.
fn wait(clients: &[Arc<Counts>], matched: u64) -> anyhow::Result<()> {
    let until = Instant::now() + FINISH;
    while let Some(client) = clients.iter().find(|client| client.all() < matched) {
        if Instant::now() > until {
            bail!("a client knows of {} of {matched} records; a machine this slow can't run this case", client.all());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// How many records of a body the query selects.
fn matching(body: &[u8]) -> anyhow::Result<u64> {
    let records: Vec<serde_json::Value> = serde_json::from_slice(body)?;
    let matches = |record: &&serde_json::Value| record["level"] == "ERROR" && record["source"] == "checkout";
    Ok(records.iter().filter(matches).count() as u64)
}
