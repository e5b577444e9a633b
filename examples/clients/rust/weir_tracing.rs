//! Sends what is logged with `tracing` to Weir. Copy this file into your project; besides `tracing` and
//! `tracing-subscriber` (its `registry`), it needs only the standard library.
//!
//! ```ignore
//! // Also reads WEIR_URL and WEIR_TOKEN.
//! let (layer, guard) = weir_tracing::layer(weir_tracing::Options::named("shop"));
//! tracing_subscriber::registry().with(layer).init();
//! let _guard = guard; // sends what is left when it is dropped, at the end of `main`
//!
//! let request = tracing::info_span!("request", request_id = "r-17").entered();
//! tracing::info!(order = 1234, "order is paid");
//! ```
//!
//! The fields of an event are fields of the record; the fields of its spans are in `context`.
//!
//! Logging puts a record into a queue in memory, and a thread sends what waits there, in batches:
//!
//! - Nothing that the router does makes a call that logs wait or panic.
//! - A batch is sent until the router acknowledges it. All attempts have the same key, so the router stores it once, if
//!   it is back within its `repeat_window` (10 minutes).
//! - While the router is away, records wait, and are printed on standard error. When `capacity` records wait, new ones
//!   are lost. So are records that the router refuses, and what the guard could not send within `deadline`. What is
//!   lost is counted ([`Guard::lost`]), and a record tells how many when the router is back.
//! - A process that ends without dropping the guard, as by `exit`, loses what waits: at most `capacity` records.
//!
//! It speaks `http` only. For a router on another machine, send to one on this machine, or to a proxy that adds TLS.

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::fmt::{self, Write as _};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// A batch has up to so many bytes, unless a single record has more. The router takes 16 MiB.
const BATCH_BYTES: usize = 1 << 20;
/// How long a batch waits for more records.
const LINGER: Duration = Duration::from_millis(100);
/// Pauses between attempts: doubled each time, up to the second. One that the router asks for counts up to the third.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_ASKED: Duration = Duration::from_secs(300);
/// Records that found no room while the router is away, and are kept to be printed.
const OVERFLOW: usize = 1000;
/// How much of an answer is read.
const ANSWER_BYTES: u64 = 16 << 10;

/// Where records go, and how many may wait.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the router is; by default `WEIR_URL`.
    pub url: String,
    /// By default `WEIR_TOKEN`.
    pub token: Option<String>,
    /// The source of all records; without, it is an event's target.
    pub source: Option<String>,
    /// How many records may wait, those on their way included.
    pub capacity: usize,
    /// How many records are sent at once.
    pub batch: usize,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How long dropping the guard may take.
    pub deadline: Duration,
    /// Whether records are printed on standard error while the router is away.
    pub print: bool,
}

impl Default for Options {
    fn default() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            url: variable("WEIR_URL").unwrap_or_else(|| DEFAULT_URL.to_owned()),
            token: variable("WEIR_TOKEN"),
            source: None,
            capacity: 10_000,
            batch: 500,
            timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(5),
            print: true,
        }
    }
}

impl Options {
    /// The defaults, with a source.
    pub fn named(source: &str) -> Self {
        Self { source: Some(source.to_owned()), ..Self::default() }
    }
}

/// A layer that sends events, and the guard that sends what is left when it is dropped.
///
/// # Panics
/// If the URL is none of a router, or if the system has no thread for it.
pub fn layer(options: Options) -> (WeirLayer, Guard) {
    let target = Target::parse(&options).unwrap_or_else(|| panic!("{} is no http://HOST:PORT", options.url));
    let queue = Arc::new(Queue {
        options,
        state: Mutex::default(),
        changed: Condvar::new(),
        lost: AtomicU64::new(0),
        closed: AtomicBool::new(false),
    });
    let sender = Sender { queue: queue.clone(), target, connection: None, said: HashSet::new() };
    std::thread::Builder::new().name("weir".to_owned()).spawn(move || sender.run()).expect("a thread");
    (WeirLayer(queue.clone()), Guard(queue))
}

/// Sends events to Weir.
pub struct WeirLayer(Arc<Queue>);

/// The fields of a span, as members of a JSON object.
struct SpanFields(Vec<(&'static str, String)>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for WeirLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            // Another layer of this kind may have put the same there.
            span.extensions_mut().replace(SpanFields(fields.0));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let Some(span) = context.span(id) else { return };
        if let Some(known) = span.extensions_mut().get_mut::<SpanFields>() {
            fields.0.into_iter().for_each(|(name, value)| set(&mut known.0, name, value));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut inherited = Vec::new();
        let mut spans = Vec::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            spans.push(json_text(span.name()));
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                fields.0.iter().for_each(|(name, value)| set(&mut inherited, name, value.clone()));
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.send(self.line(event, fields.0, &inherited, &spans));
    }
}

impl WeirLayer {
    fn line(
        &self,
        event: &Event<'_>,
        fields: Vec<(&'static str, String)>,
        inherited: &[(&'static str, String)],
        spans: &[String],
    ) -> String {
        let about = event.metadata();
        let mut metadata = vec![("target", json_text(about.target()))];
        metadata.extend(about.file().map(|file| ("file", json_text(file))));
        metadata.extend(about.line().map(|line| ("line", line.to_string())));
        if !spans.is_empty() {
            metadata.push(("spans", format!("[{}]", spans.join(","))));
        }
        let source = self.0.options.source.as_deref().unwrap_or(about.target());
        let mut record = vec![
            ("timestamp", now_ns().to_string()),
            ("level", json_text(level_name(about.level()))),
            ("source", json_text(source)),
            ("message", json_text(about.name())),
        ];
        if !inherited.is_empty() {
            record.push(("context", object(inherited)));
        }
        for (name, value) in fields {
            match name {
                "message" => record[3].1 = value,
                // These have a meaning in a record.
                "timestamp" | "level" | "source" | "context" | "metadata" => metadata.push((name, value)),
                _ => set(&mut record, name, value),
            }
        }
        record.push(("metadata", object(&metadata)));
        object(&record)
    }
}

/// Counts what was lost, and sends what is left when it is dropped.
pub struct Guard(Arc<Queue>);

impl Guard {
    /// How many records were lost.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::SeqCst)
    }

    /// Waits until nothing is unsent, for so long at most. Tells whether that is so.
    pub fn flush(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut state = self.0.lock();
        state.hurry = true;
        self.0.changed.notify_all();
        while state.unsent() > 0 || self.0.has_news(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.0.wait(state, left);
        }
        state.hurry = false;
        state.unsent() == 0
    }

    /// Sends what is left, for the time that the options give. What is left then is lost, and printed.
    pub fn close(&self) {
        self.flush(self.0.options.deadline);
        let mut state = self.0.lock();
        if self.0.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.0.changed.notify_all();
        let mut lines = std::mem::take(&mut state.sending);
        lines.extend(state.waiting.drain(..));
        self.0.lost.fetch_add(lines.len() as u64, Ordering::SeqCst);
        let unprinted: Vec<_> = lines.iter().skip(state.printed).chain(&state.overflow).cloned().collect();
        drop(state);
        if !lines.is_empty() {
            say(&format!("{} records were not acknowledged before the end", lines.len()));
        }
        self.0.print(&unprinted);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}

/// What waits to be sent.
struct Queue {
    options: Options,
    state: Mutex<State>,
    changed: Condvar,
    lost: AtomicU64,
    closed: AtomicBool,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<String>,
    /// The batch on its way.
    sending: Vec<String>,
    /// Found no room while the router was away: they are only printed.
    overflow: VecDeque<String>,
    /// How many of `sending` and `waiting` have been printed.
    printed: usize,
    /// How many of the lost records a record has told of.
    told: u64,
    away: bool,
    refused: bool,
    hurry: bool,
}

impl State {
    fn unsent(&self) -> usize {
        self.sending.len() + self.waiting.len()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether a record should tell of what was lost. Not while the router refuses everything.
    fn has_news(&self, state: &State) -> bool {
        self.lost.load(Ordering::SeqCst) != state.told && !state.refused && !self.is_closed()
    }

    fn send(&self, line: String) {
        let mut state = self.lock();
        if self.is_closed() {
            self.lost.fetch_add(1, Ordering::SeqCst);
            drop(state);
            self.print(&[line]);
        } else if state.unsent() >= self.options.capacity {
            self.lost.fetch_add(1, Ordering::SeqCst);
            if state.away && state.overflow.len() < OVERFLOW {
                state.overflow.push_back(line);
            }
        } else {
            state.waiting.push_back(line);
            let count = state.waiting.len();
            if count == 1 || count == self.options.batch {
                self.changed.notify_all();
            }
        }
    }

    fn print(&self, lines: &[String]) {
        if self.options.print && !lines.is_empty() {
            let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            // There is nobody to tell of an error here.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }
}

fn say(what: &str) {
    // There is nobody to tell of an error here.
    let _ = writeln!(io::stderr(), "weir: {what}");
}

/// What runs in the thread.
struct Sender {
    queue: Arc<Queue>,
    target: Target,
    connection: Option<BufReader<TcpStream>>,
    /// Statuses of refusals that were printed.
    said: HashSet<u16>,
}

struct Answer {
    status: u16,
    text: String,
    asked: Duration,
}

impl Sender {
    fn run(mut self) {
        while !self.queue.is_closed() {
            let lines = self.take();
            self.deliver(&lines);
        }
    }

    /// Waits for records, then a moment for more, and takes a batch of them.
    fn take(&self) -> Vec<String> {
        let Queue { options, .. } = &*self.queue;
        let mut state = self.queue.lock();
        while state.waiting.is_empty() && !self.queue.has_news(&state) && !self.queue.is_closed() {
            state = self.queue.wait(state, LONGEST_PAUSE);
        }
        let until = Instant::now() + LINGER;
        while state.waiting.len() < options.batch && !state.hurry && !self.queue.is_closed() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.queue.wait(state, left);
        }
        if self.queue.is_closed() {
            return Vec::new();
        }
        let (mut count, mut bytes) = (0, 0);
        for line in state.waiting.iter().take(options.batch) {
            bytes += line.len() + 1;
            if bytes > BATCH_BYTES && count > 0 {
                break;
            }
            count += 1;
        }
        state.sending = state.waiting.drain(..count).collect();
        state.sending.clone()
    }

    fn deliver(&mut self, lines: &[String]) {
        let told = self.queue.lock().told;
        let lost = self.queue.lost.load(Ordering::SeqCst);
        let report = (lost != told).then(|| self.report(lost - told, lost));
        if lines.is_empty() && report.is_none() {
            return;
        }
        let acknowledged = self.deliver_parts(lines, report.as_deref());
        let mut state = self.queue.lock();
        state.refused = !acknowledged;
        if acknowledged && report.is_some() {
            state.told = lost;
        }
        self.queue.changed.notify_all();
    }

    fn report(&self, count: u64, all: u64) -> String {
        let source = self.queue.options.source.as_deref().unwrap_or("weir_tracing");
        let process = std::process::id().to_string();
        let told = [("lost", count.to_string()), ("lost_all_time", all.to_string()), ("process", process)];
        object(&[
            ("timestamp", now_ns().to_string()),
            ("level", json_text("WARNING")),
            ("source", json_text(source)),
            ("message", json_text(&format!("{count} records were lost before this one"))),
            ("metadata", object(&told)),
        ])
    }

    /// Sends lines until they are acknowledged or refused. Tells whether all were acknowledged.
    fn deliver_parts(&mut self, lines: &[String], report: Option<&str>) -> bool {
        let all: Vec<&str> = lines.iter().map(String::as_str).chain(report).collect();
        let Some(answer) = self.post_until_answered(&format!("[{}]", all.join(",")), &new_key()) else { return false };
        if answer.status == 413 && all.len() > 1 {
            // Those in front are settled first, as they are the first of `sending`.
            let (front, back) = lines.split_at(lines.len() / 2);
            let first = front.is_empty() || self.deliver_parts(front, None);
            let rest = back.is_empty() || self.deliver_parts(back, None);
            return first && rest && (report.is_none() || self.deliver_parts(&[], report));
        }
        if answer.status != 200 && self.said.insert(answer.status) {
            let url = &self.queue.options.url;
            say(&format!("{url} refuses records, which are lost: {} {}", answer.status, answer.text));
        }
        let mut state = self.queue.lock();
        if self.queue.is_closed() {
            return false;
        }
        if answer.status != 200 {
            self.queue.lost.fetch_add(lines.len() as u64, Ordering::SeqCst);
        }
        state.sending.drain(..lines.len());
        state.printed = state.printed.saturating_sub(lines.len());
        answer.status == 200
    }

    /// The final answer, unless the queue was closed meanwhile.
    fn post_until_answered(&mut self, body: &str, key: &str) -> Option<Answer> {
        let mut pause = FIRST_PAUSE;
        for attempt in 0_u64.. {
            if self.queue.is_closed() {
                return None;
            }
            let answer = self.post(body, key).unwrap_or_else(|error| Answer {
                status: 0,
                text: error.to_string(),
                asked: Duration::ZERO,
            });
            if (1..500).contains(&answer.status) && ![408, 425, 429].contains(&answer.status) {
                self.is_back();
                return Some(answer);
            }
            if ![429, 503].contains(&answer.status) || attempt >= 3 {
                self.is_away(&answer);
            }
            let jittered = pause.mul_f64(0.5 + (random() % 1000) as f64 / 2000.0);
            self.pause(jittered.max(answer.asked.min(LONGEST_ASKED)));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        None
    }

    /// Waits, and prints what is logged meanwhile.
    fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        while !self.queue.is_closed() {
            self.print_waiting();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            drop(self.queue.wait(self.queue.lock(), left.min(Duration::from_millis(200))));
        }
    }

    fn print_waiting(&self) {
        let mut state = self.queue.lock();
        if !state.away || self.queue.is_closed() {
            return;
        }
        let mut lines: Vec<_> = state.sending.iter().chain(&state.waiting).skip(state.printed).cloned().collect();
        state.printed += lines.len();
        lines.extend(state.overflow.drain(..));
        // Without the lock: a standard error that is stalled must not hold up those who log.
        drop(state);
        self.queue.print(&lines);
    }

    fn is_away(&self, answer: &Answer) {
        let was = std::mem::replace(&mut self.queue.lock().away, true);
        if !was && !self.queue.is_closed() {
            let Options { url, capacity, print, .. } = &self.queue.options;
            let printed = if *print { " and are printed here" } else { "" };
            let reason = if answer.status == 0 { String::new() } else { format!("{} ", answer.status) };
            say(&format!("{url} is away ({reason}{}); up to {capacity} records wait{printed}", answer.text));
        }
    }

    fn is_back(&self) {
        let mut state = self.queue.lock();
        if std::mem::replace(&mut state.away, false) {
            let lost = self.queue.lost.load(Ordering::SeqCst) - state.told;
            drop(state);
            let lost = if lost == 0 { String::new() } else { format!("; {lost} records were lost") };
            say(&format!("{} is back{lost}", self.queue.options.url));
        }
    }

    /// One attempt.
    fn post(&mut self, body: &str, key: &str) -> io::Result<Answer> {
        let timeout = self.queue.options.timeout;
        if let Some(connection) = self.connection.take() {
            match self.exchange(connection, body, key) {
                // The router may have closed a connection that was idle. Another is tried at once: the key is the same.
                Err(error) if !is_timeout(&error) => {}
                answered => return told(answered, timeout),
            }
        }
        let connect = || {
            let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
            for address in self.target.authority.as_str().to_socket_addrs()? {
                match TcpStream::connect_timeout(&address, timeout) {
                    Ok(stream) => return Ok(stream),
                    Err(error) => failed = error,
                }
            }
            Err(failed)
        };
        let connected = connect().and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(timeout))?;
            self.exchange(BufReader::new(stream), body, key)
        });
        told(connected, timeout)
    }

    fn exchange(&mut self, mut connection: BufReader<TcpStream>, body: &str, key: &str) -> io::Result<Answer> {
        let Target { authority, path, authorization } = &self.target;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\n\
             content-length: {}\r\n{authorization}\r\n{body}",
            body.len()
        );
        connection.get_mut().write_all(request.as_bytes())?;
        connection.get_ref().set_read_timeout(Some(self.queue.options.timeout))?;
        let mut limited = (&mut connection).take(ANSWER_BYTES);
        let mut status = None;
        let (mut length, mut asked, mut is_kept) = (None, 0, true);
        loop {
            let mut line = String::new();
            if limited.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
            }
            let line = line.trim_end();
            if status.is_none() {
                let code =
                    line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
                status =
                    Some(code.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer that isn't HTTP"))?);
            } else if let Some((name, value)) = line.split_once(':') {
                match (name.to_ascii_lowercase().as_str(), value.trim()) {
                    ("content-length", value) => length = value.parse::<u64>().ok(),
                    ("retry-after", value) => asked = value.parse().unwrap_or(0),
                    ("connection", value) => is_kept = !value.eq_ignore_ascii_case("close"),
                    _ => {}
                }
            } else if line.is_empty() {
                break;
            }
        }
        let mut text = Vec::new();
        if let Some(length) = length {
            limited.take(length).read_to_end(&mut text)?;
        }
        // Anything else than an answer that was read whole would be taken for the beginning of the next.
        if is_kept && length == Some(text.len() as u64) {
            self.connection = Some(connection);
        }
        let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.chars().take(200).collect();
        Ok(Answer { status: status.expect("set by the first line"), text, asked: Duration::from_secs(asked) })
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn told(answered: io::Result<Answer>, timeout: Duration) -> io::Result<Answer> {
    answered.map_err(|error| match is_timeout(&error) {
        true => io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", timeout.as_secs_f64())),
        false => error,
    })
}

/// The router's address, as a request needs it.
struct Target {
    /// Host and port.
    authority: String,
    path: String,
    /// A header, or nothing.
    authorization: String,
}

impl Target {
    fn parse(options: &Options) -> Option<Self> {
        let rest = options.url.strip_prefix("http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_safe = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let token = options.token.as_deref().unwrap_or_default();
        if host.is_empty() || ![host, path, token].into_iter().all(is_safe) {
            return None;
        }
        let path = path.trim_end_matches('/').trim_end_matches("ingest").trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Some(Self {
            authority: if has_port { host.to_owned() } else { format!("{host}:80") },
            path: format!("/{path}{slash}ingest"),
            authorization: if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") },
        })
    }
}

/// Collects fields as members of a JSON object.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        set(&mut self.0, field.name(), json_text(&shown(|| format!("{value:?}"))));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        set(&mut self.0, field.name(), json_text(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        set(&mut self.0, field.name(), value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        set(&mut self.0, field.name(), value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        set(&mut self.0, field.name(), value.to_string());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        set(&mut self.0, field.name(), if value.is_finite() { text } else { json_text(&text) });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| (*error).source()).take(8);
        let text = shown(|| causes.map(ToString::to_string).collect::<Vec<_>>().join(": "));
        set(&mut self.0, field.name(), json_text(&text));
    }
}

/// The text of a value. One that panics must not end the program.
fn shown(text: impl FnOnce() -> String) -> String {
    catch_unwind(AssertUnwindSafe(text)).unwrap_or_else(|_| "a value that can't be shown".to_owned())
}

/// Sets a member of an object; the name is there once.
fn set(members: &mut Vec<(&'static str, String)>, name: &'static str, value: String) {
    // Macros write a name that is a keyword this way.
    let name = name.strip_prefix("r#").unwrap_or(name);
    match members.iter_mut().find(|(known, _)| *known == name) {
        Some(member) => member.1 = value,
        None => members.push((name, value)),
    }
}

fn object(members: &[(&'static str, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", json_text(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn json_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            // Writing to a String never fails.
            control @ '\0'..='\x1f' => drop(write!(json, "\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

fn level_name(level: &Level) -> &'static str {
    match *level {
        Level::TRACE => "TRACE",
        Level::DEBUG => "DEBUG",
        Level::INFO => "INFO",
        Level::WARN => "WARNING",
        Level::ERROR => "ERROR",
    }
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Different in each call, each process and each machine: the standard library seeds its maps from the system.
fn random() -> u64 {
    RandomState::new().hash_one(now_ns())
}

fn new_key() -> String {
    format!("{:016x}{:016x}-{:x}", random(), random(), now_ns())
}
