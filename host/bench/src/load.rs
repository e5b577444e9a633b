//! The load driver: a few connections, each sending a request and waiting for its answer.
//!
//! Requests are built before the clock starts, and answers are read no further than needed, so that the driver uses
//! little of the machine that it shares with the router.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use rustls::ClientConfig;
use tokio::net::TcpSocket;

use crate::child::Child;
use crate::records::{Body, Encoding};
use crate::tls::Stream;

/// Timeout for an answer. The run fails if it is exceeded.
pub const ANSWER: Duration = Duration::from_secs(30);

/// Pause before a refused request is sent again.
const RETRY: Duration = Duration::from_millis(100);

/// The load to generate.
pub struct Plan<'a> {
    pub address: SocketAddr,
    pub path: String,
    pub content_type: &'static str,
    pub bodies: &'a [Body],
    /// Number of requests sent before.
    pub sent: u64,
    pub connections: usize,
    /// Interval between two requests of a connection; `None`: as fast as possible.
    pub pause: Option<Duration>,
    /// The address of this machine to connect from; `None`: the usual one.
    pub from: Option<IpAddr>,
    /// The token to send.
    pub token: Option<&'a str>,
    /// Whether requests that the router is too busy for are sent again.
    pub retries: bool,
    /// The priority of the connections' threads, from 0 to 19.
    pub niceness: i32,
    /// `None`: without TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl<'a> Plan<'a> {
    /// Bodies sent as fast as they are answered.
    pub fn full_load(child: &Child, encoding: Encoding, bodies: &'a [Body], connections: usize) -> Plan<'a> {
        Plan {
            address: child.address,
            path: child.path.clone(),
            content_type: encoding.content_type(),
            bodies,
            sent: 0,
            connections,
            pause: None,
            from: None,
            token: None,
            retries: false,
            niceness: 0,
            tls: None,
        }
    }

    /// The same load at half the rate of an earlier run.
    pub fn at_half(&self, full: &LoadResult) -> Plan<'a> {
        let each = full.seconds / full.requests() as f64;
        Plan {
            address: self.address,
            path: self.path.clone(),
            sent: self.sent + full.requests(),
            pause: Some(Duration::from_secs_f64(each * 2.0 * self.connections as f64)),
            tls: self.tls.clone(),
            ..*self
        }
    }
}

/// The result of a run.
pub struct LoadResult {
    pub records: u64,
    pub seconds: f64,
    /// For each body, how often it was sent and acknowledged.
    pub sent: Vec<u64>,
    /// How often the router was too busy.
    pub refused: u64,
    /// Latencies of requests in microseconds, until they are acknowledged.
    pub latencies: Histogram<u64>,
}

impl LoadResult {
    /// Number of requests sent.
    pub fn requests(&self) -> u64 {
        self.sent.iter().sum()
    }

    /// Number of records that must arrive.
    pub fn expected(&self, bodies: &[Body], drops_debug: bool) -> u64 {
        let each = |b: &Body| if drops_debug { b.kept } else { b.records };
        self.sent.iter().zip(bodies).map(|(n, b)| n * each(b)).sum()
    }
}

/// Sends about `records` records and waits for all answers.
pub fn drive(plan: &Plan<'_>, records: u64) -> anyhow::Result<LoadResult> {
    drive_until(plan, records, &AtomicBool::new(false))
}

/// The same, but sends nothing more once it is `over`.
pub fn drive_until(plan: &Plan<'_>, records: u64, over: &AtomicBool) -> anyhow::Result<LoadResult> {
    let requests: Vec<Vec<u8>> = plan.bodies.iter().map(|b| request(plan, b)).collect();
    let per_request = plan.bodies[0].records;
    let end = plan.sent + records.div_ceil(per_request).max(plan.connections as u64);
    let next = AtomicU64::new(plan.sent);
    let start = Instant::now();
    let parts: Vec<anyhow::Result<LoadResult>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..plan.connections).map(|_| scope.spawn(|| connection(plan, &requests, &next, end, over))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| bail!("a connection panicked"))).collect()
    });
    let mut all = empty(requests.len())?;
    for part in parts {
        let part = part?;
        all.records += part.records;
        all.refused += part.refused;
        all.latencies.add(&part.latencies)?;
        all.sent.iter_mut().zip(&part.sent).for_each(|(a, b)| *a += b);
    }
    all.seconds = start.elapsed().as_secs_f64();
    Ok(all)
}

fn connection(
    plan: &Plan<'_>,
    requests: &[Vec<u8>],
    next: &AtomicU64,
    end: u64,
    over: &AtomicBool,
) -> anyhow::Result<LoadResult> {
    rustix::process::nice(plan.niceness)?;
    let mut stream = Stream::connect(plan)?;
    let mut loaded = empty(requests.len())?;
    let mut answer = Vec::with_capacity(4096);
    let mut asking = Vec::new();
    let mut due = Instant::now();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end || over.load(Ordering::Relaxed) {
            return Ok(loaded);
        }
        if let Some(pause) = plan.pause {
            due += pause;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let which = number as usize % requests.len();
        asking.clear();
        asking.extend_from_slice(&requests[which]);
        let head = asking.len() - plan.bodies[which].bytes.len();
        plan.bodies[which].set_times(&mut asking[head..], number);
        let asked = Instant::now();
        stream.write_all(&asking)?;
        while let Err(error) = read_answer(&mut stream, &mut answer) {
            if !plan.retries || !answer.starts_with(b"HTTP/1.1 503") {
                return Err(error);
            }
            loaded.refused += 1;
            std::thread::sleep(RETRY);
            stream.write_all(&asking)?;
        }
        loaded.latencies.saturating_record(asked.elapsed().as_micros() as u64);
        loaded.sent[which] += 1;
        loaded.records += plan.bodies[which].records;
    }
}

/// Connects without TLS.
pub fn connect(plan: &Plan<'_>) -> anyhow::Result<TcpStream> {
    let Some(from) = plan.from else { return Ok(TcpStream::connect(plan.address)?) };
    let connect = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(plan.address).await?.into_std()
    };
    let stream = tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(connect)?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn empty(bodies: usize) -> anyhow::Result<LoadResult> {
    Ok(LoadResult {
        records: 0,
        seconds: 0.0,
        sent: vec![0; bodies],
        refused: 0,
        latencies: Histogram::new_with_bounds(1, ANSWER.as_micros() as u64, 3)?,
    })
}

fn request(plan: &Plan<'_>, body: &Body) -> Vec<u8> {
    let token = plan.token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut bytes = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\n{token}Content-Type: {}\r\nContent-Length: {}\r\n\r\n",
        plan.path,
        plan.address,
        plan.content_type,
        body.bytes.len()
    )
    .into_bytes();
    bytes.extend_from_slice(&body.bytes);
    bytes
}

/// Reads one answer. Fails unless it is a success.
pub fn read_answer(stream: &mut impl Read, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    answer.clear();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).context("no answer")?;
        if read == 0 {
            bail!("the connection was closed before the answer");
        }
        answer.extend_from_slice(&chunk[..read]);
        let Some(head) = answer.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        if !answer.starts_with(b"HTTP/1.1 2") {
            bail!("refused: {}", String::from_utf8_lossy(answer));
        }
        if answer.len() >= head + 4 + content_length(&answer[..head])? {
            return Ok(());
        }
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    // Without a length, there is no body.
    Ok(0)
}
