//! An HTTP intake in place of vendors' servers, which nobody can run: it refuses what the real one would refuse by its
//! published limits, stores what it accepts, and answers by a script when a test needs failures.
//!
//! `Intake::start(Kind::Datadog)` listens on a free port; `script` sets the answers to the next requests; `stop` closes
//! everything, `again` listens on the same port again. Stored requests are kept.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::vendors::{self, WEBHOOK};

/// The vendor whose limits are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A generic intake: accepts bodies of up to 64 MiB.
    Http,
    /// The same, with bodies of up to [`SMALL_BODY`] bytes.
    SmallHttp,
    /// Datadog's logs intake, version 2. The key is [`vendors::API_KEY`].
    Datadog,
    /// A Slack webhook: at most one message per second.
    Slack,
    /// The same without the rate limit, for tests that post more than anyone would read.
    FastSlack,
}

/// Maximum length of a body for [`Kind::SmallHttp`] in bytes.
pub const SMALL_BODY: usize = 4 << 10;

/// How a request is answered instead of being accepted as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// As usual.
    Take,
    /// With a status; it is not accepted.
    Status(u16),
    /// With a status and `Retry-After` in seconds; it is not accepted.
    Later(u16, u64),
    /// No answer; the connection stays open until the client or the test closes it.
    Hang,
    /// The connection is reset before the request is read.
    Reset,
    /// Accepted, but the connection is closed without an answer.
    TakeAndClose,
    /// Accepted, but the answer is truncated.
    TakeAndCut,
}

/// An accepted request.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body after decompression.
    pub body: Vec<u8>,
    /// The length of the body as received.
    pub sent_bytes: usize,
    pub at: Instant,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The records of a JSON array, of JSON lines, or of a single object.
    pub fn records(&self) -> Vec<Value> {
        let mut out = Vec::new();
        for value in serde_json::Deserializer::from_slice(&self.body).into_iter::<Value>() {
            match value {
                Ok(Value::Array(items)) => out.extend(items),
                Ok(value) => out.push(value),
                Err(_) => break,
            }
        }
        out
    }
}

/// A connection, plain or with TLS.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}
/// Wraps a connection in TLS, or leaves it as it is.
pub type Connector = Arc<dyn Fn(TcpStream) -> io::Result<Box<dyn Stream>> + Send + Sync>;

#[derive(Default)]
struct Held {
    taken: Vec<Request>,
    /// Statuses and reasons of requests refused by the limits.
    refused: Vec<(u16, String)>,
    script: VecDeque<Next>,
    requests: usize,
    last: Option<Instant>,
}

struct Shared {
    kind: Kind,
    wrap: Option<Connector>,
    held: Mutex<Held>,
    stopping: AtomicBool,
    stopped: Condvar,
    /// By the client's address.
    open: Mutex<HashMap<SocketAddr, TcpStream>>,
}

/// The intake.
pub struct Intake {
    shared: Arc<Shared>,
    port: u16,
    listening: Option<JoinHandle<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Intake {
    /// Starts on a free port.
    pub fn start(kind: Kind) -> Intake {
        Intake::start_with(kind, None)
    }

    /// The same, with each connection wrapped.
    pub fn start_with(kind: Kind, wrap: Option<Connector>) -> Intake {
        let shared = Arc::new(Shared {
            kind,
            wrap,
            held: Mutex::default(),
            stopping: AtomicBool::new(false),
            stopped: Condvar::new(),
            open: Mutex::default(),
        });
        let mut intake = Intake { shared, port: 0, listening: None };
        intake.again();
        intake
    }

    /// Listens again after `stop`, on the same port.
    pub fn again(&mut self) {
        assert!(self.listening.is_none(), "the intake listens already");
        let listener = bind(self.port);
        self.port = listener.local_addr().expect("an address").port();
        self.shared.stopping.store(false, Ordering::SeqCst);
        let shared = self.shared.clone();
        self.listening = Some(std::thread::spawn(move || listen(&listener, &shared)));
    }

    /// Closes the port and all connections, whatever they are doing.
    pub fn stop(&mut self) {
        let Some(listening) = self.listening.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        {
            let _held = lock(&self.shared.held);
            self.shared.stopped.notify_all();
        }
        for stream in lock(&self.shared.open).values() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener.
        let _ = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port)));
        listening.join().expect("the intake doesn't panic");
    }

    /// The URL to which a sink of this kind posts.
    pub fn url(&self) -> String {
        let scheme = if self.shared.wrap.is_some() { "https" } else { "http" };
        let path = match self.shared.kind {
            Kind::Http | Kind::SmallHttp => "/logs",
            Kind::Datadog => "/api/v2/logs",
            Kind::Slack | Kind::FastSlack => WEBHOOK,
        };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// The answers to the next requests; after that as usual.
    pub fn script(&self, next: impl IntoIterator<Item = Next>) {
        lock(&self.shared.held).script.extend(next);
    }

    /// All accepted requests, in order.
    pub fn taken(&self) -> Vec<Request> {
        lock(&self.shared.held).taken.clone()
    }

    /// The records of all accepted requests.
    pub fn records(&self) -> Vec<Value> {
        self.taken().iter().flat_map(Request::records).collect()
    }

    /// The requests refused by the limits, which a correct sender never causes.
    pub fn refused(&self) -> Vec<(u16, String)> {
        lock(&self.shared.held).refused.clone()
    }

    /// Number of received requests, whatever the answer.
    pub fn requests(&self) -> usize {
        lock(&self.shared.held).requests
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A client may use the port for a moment, as the local end of a connection.
fn bind(port: u16) -> TcpListener {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "port {port}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let (Ok(client), Ok(copy)) = (stream.peer_addr(), stream.try_clone()) else { continue };
        lock(&shared.open).insert(client, copy);
        let shared = shared.clone();
        threads.push(std::thread::spawn(move || {
            // The error is the client's, which disconnected, or the test's, which stopped the intake.
            let _ = converse(stream, &shared);
            // The last owner of the connection: this closes it.
            lock(&shared.open).remove(&client);
        }));
    }
    for stream in lock(&shared.open).values() {
        let _ = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        thread.join().expect("a connection's thread doesn't panic");
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let peek = stream.try_clone()?;
    let mut stream: Box<dyn Stream> = match &shared.wrap {
        Some(wrap) => wrap(stream)?,
        None => Box::new(stream),
    };
    loop {
        if peek.peek(&mut [0])? == 0 {
            return Ok(());
        }
        {
            let mut held = lock(&shared.held);
            if held.script.front() == Some(&Next::Reset) {
                held.script.pop_front();
                held.requests += 1;
                // With unread input, the kernel resets the connection instead of closing it.
                return Ok(());
            }
        }
        let Some((path, headers)) = read_head(&mut stream)? else { return Ok(()) };
        let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, n)| n.parse().ok());
        let mut sent = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut sent)?;
        let next = {
            let mut held = lock(&shared.held);
            held.requests += 1;
            held.script.pop_front().unwrap_or(Next::Take)
        };
        let answer = match next {
            Next::Hang => return hang(shared),
            Next::Reset => return Ok(()),
            Next::Status(status) => answer(status, None, "scripted"),
            Next::Later(status, seconds) => answer(status, Some(seconds), "scripted"),
            Next::Take | Next::TakeAndClose | Next::TakeAndCut => take(shared, path, headers, &sent),
        };
        match next {
            Next::TakeAndClose => return Ok(()),
            Next::TakeAndCut => return stream.write_all(&answer[..answer.len() / 2]).and_then(|()| stream.flush()),
            _ => stream.write_all(&answer).and_then(|()| stream.flush())?,
        }
    }
}

/// Until the intake stops; the client gives up earlier.
fn hang(shared: &Shared) -> io::Result<()> {
    let mut held = lock(&shared.held);
    while !shared.stopping.load(Ordering::SeqCst) {
        held = match shared.stopped.wait_timeout(held, Duration::from_secs(1)) {
            Ok((held, _)) => held,
            Err(poisoned) => poisoned.into_inner().0,
        };
    }
    Ok(())
}

type Head = (String, Vec<(String, String)>);

/// The path of the request line and the headers; `None` at the end of the connection.
fn read_head(stream: &mut dyn Stream) -> io::Result<Option<Head>> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
        if head.len() > 64 << 10 {
            return Err(io::Error::other("a head of more than 64 KiB"));
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut lines = text.lines();
    let path = lines.next().and_then(|line| line.strip_prefix("POST ")).and_then(|line| line.split(' ').next());
    let path = path.ok_or_else(|| io::Error::other("no POST"))?.to_string();
    let header = |line: &str| line.split_once(':').map(|(k, v)| (k.to_ascii_lowercase(), v.trim().to_string()));
    Ok(Some((path, lines.filter_map(header).collect())))
}

fn answer(status: u16, retry_after: Option<u64>, body: &str) -> Vec<u8> {
    let wait = retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n{wait}\r\n{body}", body.len()).into_bytes()
}

fn take(shared: &Shared, path: String, headers: Vec<(String, String)>, sent: &[u8]) -> Vec<u8> {
    let now = Instant::now();
    let mut request = Request { path, headers, body: Vec::new(), sent_bytes: sent.len(), at: now };
    let judged = decompressed(request.header("content-encoding"), sent).and_then(|body| {
        request.body = body;
        match shared.kind {
            Kind::Http if request.body.len() > 64 << 20 => Err((413, "too large".into())),
            Kind::SmallHttp if request.body.len() > SMALL_BODY => Err((413, "too large".into())),
            Kind::Http | Kind::SmallHttp => Ok((200, "{}")),
            Kind::Datadog => vendors::datadog(&request),
            Kind::Slack | Kind::FastSlack => vendors::slack(&request),
        }
    });
    let mut held = lock(&shared.held);
    let too_soon = shared.kind == Kind::Slack && held.last.is_some_and(|last| now < last + Duration::from_secs(1));
    let judged = if too_soon { Err((429, "rate_limited".to_string())) } else { judged };
    match judged {
        Ok((status, body)) => {
            held.last = Some(now);
            held.taken.push(request);
            answer(status, None, body)
        }
        Err((status, reason)) => {
            held.refused.push((status, reason.clone()));
            answer(status, (status == 429).then_some(1), &reason)
        }
    }
}

fn decompressed(encoding: Option<&str>, sent: &[u8]) -> Result<Vec<u8>, (u16, String)> {
    let bad = |error: io::Error| (400, format!("can't decompress: {error}"));
    match encoding {
        None | Some("identity") => Ok(sent.to_vec()),
        Some("gzip") => {
            let mut body = Vec::new();
            flate2::read::GzDecoder::new(sent).read_to_end(&mut body).map_err(bad)?;
            Ok(body)
        }
        Some("zstd") => zstd::decode_all(sent).map_err(bad),
        Some(other) => Err((415, format!("unknown encoding {other}"))),
    }
}
