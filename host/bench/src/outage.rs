//! One sink is down for a minute under full load: measures the effect on the other sink and on memory, and how fast it
//! catches up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use weir_ingest::client;

use crate::arrived::Destination;
use crate::child::Child;
use crate::load::{self, Plan};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// The name of the case.
pub const NAME: &str = "outage";

/// How long the sink is down.
const OUTAGE: Duration = Duration::from_secs(60);

/// Time limit for catching up.
const CATCH_UP: Duration = Duration::from_secs(600);

/// How often the router's health is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Records in one round of load. Rounds are repeated while the sink is down.
const ROUND_RECORDS: u64 = 50_000;

fn configuration(receiver: &Receiver) -> String {
    format!(
        "data = \"data\"\nfilters_folder = \"filters\"\n[[filter]]\nname = \"redact\"\nmodule = \"bundled:redact\"\n\
         [sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n\
         [sink.away]\ntype = \"http\"\nurl = \"http://{}/\"\nformat = \"ndjson\"\ncompression = \"none\"\nbatch = 10000\nmax_body = \"16MiB\"\n\
         linger = \"100ms\"\n",
        receiver.address
    )
}

/// Runs the case and reports the results.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let folder = crate::folder(args)?;
    let receiver = Receiver::start()?;
    let child = Child::weir(folder.path(), &configuration(&receiver))?;
    let bodies = records::bodies(100, Encoding::Json);
    let mut plan = Plan::full_load(&child, Encoding::Json, &bodies, args.connections);
    eprintln!("weir · outage · both sinks work");
    let (mut sent, before) = under_load(&mut plan, &child, Duration::ZERO)?;
    receiver.wait_for(sent, Instant::now() + CATCH_UP)?;

    eprintln!("weir · outage · one is down for {} s", OUTAGE.as_secs());
    receiver.up.store(false, Ordering::SeqCst);
    let begun = Instant::now();
    let (more, during) = under_load(&mut plan, &child, OUTAGE)?;
    let load_rate = more as f64 / begun.elapsed().as_secs_f64();
    sent += more;

    eprintln!("weir · outage · it is up again");
    let missing = sent - receiver.received.load(Ordering::SeqCst);
    receiver.up.store(true, Ordering::SeqCst);
    let back = Instant::now();
    let first = receiver.wait_for(sent - missing + 1, back + CATCH_UP)?;
    let all = receiver.wait_for(sent, back + CATCH_UP)?;
    let rate = missing as f64 / all.duration_since(first).as_secs_f64();
    let arrived = child.wait_for(Destination::Lines, sent)?;
    let peak = child.peak_memory()?;
    child.stop()?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(format!(
        "\none of two sinks down for {} s under full load ({load_rate:.0} records/s); records sent {sent}, \
         arrived in the other {arrived}, in this one {}\n\
         the other's lag   at most {:.2} s; {:.2} s while both worked\n\
         memory            at most {:.0} MB; {:.0} MB while both worked\n\
         back              tried again after {:.1} s; then {rate:.0} records/s, {:.1} times the load\n",
        OUTAGE.as_secs(),
        receiver.received.load(Ordering::SeqCst),
        during.lag_seconds,
        before.lag_seconds,
        mb(peak),
        mb(before.memory_bytes),
        first.duration_since(back).as_secs_f64(),
        rate / load_rate,
    ))
}

/// The worst values observed.
#[derive(Default)]
struct Worst {
    lag_seconds: f64,
    memory_bytes: u64,
}

/// Sends at full speed for a time, at least one round, and polls the file sink meanwhile.
fn under_load(plan: &mut Plan<'_>, child: &Child, time: Duration) -> anyhow::Result<(u64, Worst)> {
    let done = AtomicBool::new(false);
    let begun = Instant::now();
    let mut sent = 0;
    let seen = std::thread::scope(|scope| -> anyhow::Result<Worst> {
        let looking = scope.spawn(|| poll(child, &done));
        let loaded = loop {
            match load::drive(plan, ROUND_RECORDS) {
                Ok(loaded) => {
                    sent += loaded.records;
                    plan.sent += loaded.requests();
                }
                Err(error) => break Err(error),
            }
            if begun.elapsed() >= time {
                break Ok(());
            }
        };
        done.store(true, Ordering::Release);
        let seen = looking.join().ok().context("the thread that looks panicked")?;
        loaded.and(seen)
    })?;
    Ok((sent, seen))
}

fn poll(child: &Child, done: &AtomicBool) -> anyhow::Result<Worst> {
    let mut seen = Worst::default();
    while !done.load(Ordering::Acquire) {
        let health = client::get_json(&child.address.into(), "/health")?;
        let sinks = health["sinks"].as_array().context("no sinks in /health")?;
        let out = sinks.iter().find(|sink| sink["name"] == "out").context("no sink `out` in /health")?;
        seen.lag_seconds = seen.lag_seconds.max(out["lag_seconds"].as_f64().unwrap_or_default());
        std::thread::sleep(POLL_INTERVAL);
    }
    seen.memory_bytes = child.peak_memory()?;
    Ok(seen)
}

/// The server behind the sink. Counts lines, or closes every connection.
struct Receiver {
    address: SocketAddr,
    up: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
}

impl Receiver {
    fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver =
            Self { address: listener.local_addr()?, up: Arc::new(AtomicBool::new(true)), received: Arc::default() };
        let (up, received) = (receiver.up.clone(), receiver.received.clone());
        // Both kinds of thread end with the process, like the sockets.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (up, received) = (up.clone(), received.clone());
                // A broken connection is not an error: the router opens another.
                std::thread::spawn(move || serve(&stream, &up, &received).ok());
            }
        });
        Ok(receiver)
    }

    /// Waits until this many lines have arrived. Returns when.
    fn wait_for(&self, lines: u64, until: Instant) -> anyhow::Result<Instant> {
        while self.received.load(Ordering::SeqCst) < lines {
            if Instant::now() > until {
                bail!("only {} of {lines} records came", self.received.load(Ordering::SeqCst));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Instant::now())
    }
}

fn serve(stream: &TcpStream, up: &AtomicBool, received: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut answering = stream;
    while up.load(Ordering::SeqCst) {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end().to_ascii_lowercase().split_once(':') {
                Some(("content-length", value)) => length = value.trim().parse().unwrap_or(0),
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if !up.load(Ordering::SeqCst) {
            return Ok(());
        }
        let lines = body.iter().filter(|byte| **byte == b'\n').count() as u64;
        answering.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        received.fetch_add(lines, Ordering::SeqCst);
    }
    Ok(())
}
