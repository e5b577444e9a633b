//! Servers in place of a router: one that answers as a test wants, and one that takes connections and never answers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A request that sends records.
#[derive(Clone, Debug)]
pub struct Request {
    pub at: Instant,
    /// The request line and the headers, in lower case.
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head)).trim()
    }

    /// The records, and the ids of those that have one.
    pub fn records(&self) -> Vec<Value> {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub fn ids(&self) -> Vec<String> {
        ids(&self.records())
    }
}

pub fn ids(records: &[Value]) -> Vec<String> {
    records.iter().filter_map(|record| record["id"].as_str()).map(str::to_owned).collect()
}

/// The ids that a driver gives to its records.
pub fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// An address where nothing listens.
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

type Answer = dyn Fn(&Request) -> Option<String> + Send + Sync;

/// A server. Without an answer, it closes the connection.
pub struct Scripted {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: Accepting,
}

impl Scripted {
    pub fn start(answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen): (Arc<Answer>, _) = (Arc::new(answer), requests.clone());
        let accepting = Accepting::start("127.0.0.1:0", move |stream| {
            let (answer, seen) = (answer.clone(), seen.clone());
            // It ends with the connection.
            std::thread::spawn(move || serve(&stream, &*answer, &seen));
        });
        Self { url: format!("http://{}", accepting.address), requests, accepting }
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn stop(self) {
        drop(self.accepting);
    }
}

/// An answer with a status, headers and a body of JSON.
pub fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\n{headers}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

fn serve(stream: &TcpStream, answer: &Answer, seen: &Mutex<Vec<Request>>) {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(request) = read(&mut reader) {
        if request.head.contains("expect: 100-continue") {
            let _ = writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        seen.lock().unwrap().push(request.clone());
        let Some(said) = answer(&request) else { return };
        if writer.write_all(said.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request of a connection, if it is whole.
fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.trim().parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { at: Instant::now(), head, body: String::from_utf8(body).expect("records are UTF-8") })
}

/// Takes connections, and never reads or answers. When it is dropped, its connections are closed.
pub struct Hung {
    pub address: String,
    accepting: Accepting,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Hung {
    pub fn start() -> Self {
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = streams.clone();
        let accepting = Accepting::start("127.0.0.1:0", move |stream| kept.lock().unwrap().push(stream));
        Self { address: accepting.address.to_string(), accepting, streams }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn stop(self) {
        drop(self.accepting);
        drop(self.streams);
    }
}

struct Accepting {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Accepting {
    fn start(address: &str, each: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let stops = stopping.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stops.load(Ordering::Relaxed) {
                    return;
                }
                each(stream.unwrap());
            }
        });
        Self { address, stopping, thread: Some(thread) }
    }
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(10));
        let _ = self.thread.take().expect("once").join();
    }
}
