//! The cost of TLS: the same records with and without it in turn, and new connections.
//!
//! Two routers run next to each other, one of them with a certificate as `weir tls self-signed` creates it. The router's CPU
//! time per record and per connection doesn't include what encryption costs this process.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use weir_ingest::client::Trust;

use crate::cases::MASKING;
use crate::child::Child;
use crate::load::{self, ANSWER, Plan, read_answer};
use crate::records::{self, Encoding};
use crate::{BenchArgs, Module};

/// Name of the case.
pub const NAME: &str = "tls";

/// Records per request.
const BATCH: usize = 100;

/// Records of each kind in a round.
const RECORDS: u64 = 300_000;

/// How long connections are opened, for each kind in a round.
const TIME: Duration = Duration::from_secs(2);

/// A connection to a router, encrypted or not.
pub enum Stream {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects. The handshake takes place with the first bytes.
    pub fn connect(plan: &Plan<'_>) -> anyhow::Result<Stream> {
        let stream = load::connect(plan)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(match &plan.tls {
            None => Stream::Plain(stream),
            Some(tls) => {
                let name = ServerName::from(plan.address.ip());
                Stream::Encrypted(Box::new(StreamOwned::new(ClientConnection::new(tls.clone(), name)?, stream)))
            }
        })
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer),
            Stream::Encrypted(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Encrypted(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Encrypted(stream) => stream.flush(),
        }
    }
}

/// What a router did in all rounds.
#[derive(Default)]
struct Sum {
    count: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Sum {
    fn add(&mut self, count: u64, seconds: f64, cpu_seconds: f64) {
        self.count += count;
        self.seconds += seconds;
        self.cpu_seconds += cpu_seconds;
    }

    fn rate(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.count as f64
    }
}

/// Runs the case.
pub fn report(args: &BenchArgs, _: Module) -> anyhow::Result<String> {
    let [plain_folder, folder] = [crate::folder(args)?, crate::folder(args)?];
    let plain = Child::weir(plain_folder.path(), MASKING)?;
    let certificate = create_certificate(folder.path())?;
    let encrypted = Child::weir(folder.path(), &format!("{MASKING}\n{certificate}"))?;
    let known = folder.path().join("certificate.pem");
    let resuming = Trust { known: Some(&known), ..Trust::default() }.load()?;
    let mut full = (*resuming).clone();
    full.resumption = Resumption::disabled();
    let bodies = records::bodies(BATCH, Encoding::Json);
    let plan = |child: &Child, tls: Option<Arc<ClientConfig>>| Plan {
        tls,
        ..Plan::full_load(child, Encoding::Json, &bodies, args.connections)
    };
    let mut plans = [plan(&plain, None), plan(&encrypted, Some(Arc::new(full))), plan(&encrypted, Some(resuming))];
    let children = [&plain, &encrypted, &encrypted];
    let [mut records, mut connections] = [(); 2].map(|()| [(); 3].map(|()| Sum::default()));
    // The first round warms up.
    for round in 0..=args.runs {
        eprintln!("{NAME} · round {round} of {}", args.runs);
        for kind in 0..3 {
            let (plan, child) = (&mut plans[kind], children[kind]);
            if kind < 2 {
                let before = child.usage()?;
                let loaded = load::drive(plan, args.records.unwrap_or(RECORDS))?;
                plan.sent += loaded.requests();
                if round > 0 {
                    records[kind].add(loaded.records, loaded.seconds, child.usage()?.since(&before));
                }
            }
            let before = child.usage()?;
            let begun = Instant::now();
            let opened = open(plan)?;
            if round > 0 {
                connections[kind].add(opened, begun.elapsed().as_secs_f64(), child.usage()?.since(&before));
            }
        }
    }
    plain.stop()?;
    encrypted.stop()?;
    Ok(shown(&records, &connections))
}

fn shown(records: &[Sum; 3], connections: &[Sum; 3]) -> String {
    let mut text = format!("\n{NAME}: JSON arrays of {BATCH}, masked in WASM, fsynced, to a file; TLS 1.3, P-256\n");
    let table = |text: &mut String, unit: &str, sums: &[Sum]| {
        // Writing to a string can't fail; the same applies below.
        _ = writeln!(
            text,
            "  {:<14} {:>14} {:>16} {:>9}",
            "",
            format!("{unit}s/s"),
            format!("µs CPU/{unit}"),
            "× plain"
        );
        for (name, sum) in ["plain", "TLS", "TLS, resumed"].iter().zip(sums) {
            let ratio = sum.cpu_micros() / sums[0].cpu_micros();
            _ = writeln!(text, "  {name:<14} {:>14.0} {:>16.2} {ratio:>9.2}", sum.rate(), sum.cpu_micros());
        }
    };
    table(&mut text, "record", &records[..2]);
    text.push_str("  new connections with one request each:\n");
    table(&mut text, "connection", connections);
    text
}

/// Creates a certificate, and returns its section of a configuration.
fn create_certificate(folder: &Path) -> anyhow::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    let made = command.args(["tls", "self-signed", "--out"]).arg(folder).output()?;
    if !made.status.success() {
        bail!("no certificate was created: {}", String::from_utf8_lossy(&made.stderr));
    }
    String::from_utf8(made.stdout).context("not a configuration")
}

/// Opens connections one after the other on each thread, with a request on each. Returns how many.
fn open(plan: &Plan<'_>) -> anyhow::Result<u64> {
    let until = Instant::now() + TIME;
    let opened = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.connections)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let request = format!("GET /ready HTTP/1.1\r\nHost: {}\r\n\r\n", plan.address);
                    let mut answer = Vec::new();
                    while Instant::now() < until {
                        let mut stream = Stream::connect(plan)?;
                        stream.write_all(request.as_bytes())?;
                        read_answer(&mut stream, &mut answer)?;
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(ended) => ended,
            Err(_) => bail!("a connection panicked"),
        })
    })?;
    Ok(opened.into_inner())
}
