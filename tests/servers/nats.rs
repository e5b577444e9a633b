//! A NATS server with JetStream. Streams are read over the plain protocol, with no code that Weir publishes with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{PATIENCE, Process, free_port};

/// A server on its own port.
pub struct Nats {
    program: &'static str,
    folder: PathBuf,
    port: u16,
    configuration: String,
    process: Process,
}

/// Debian's version, which is some years old.
const STABLE: &str = "nats-server";
/// The newest version from PyPI, where `tests/run` installs it.
const NEWEST: &str = "nats-server-newest";

/// One message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    /// The headers as they were sent, without the first line.
    pub headers: String,
    pub payload: String,
}

impl Nats {
    /// Starts a server that stores its streams in `folder`.
    pub fn start(folder: &Path) -> Nats {
        Nats::start_with(folder, "")
    }

    /// The same, with additional configuration: `max_payload: 1KB`.
    pub fn start_with(folder: &Path, configuration: &str) -> Nats {
        Nats::start_program(STABLE, folder, configuration)
    }

    /// The newest server.
    pub fn start_newest(folder: &Path) -> Nats {
        Nats::start_program(NEWEST, folder, "")
    }

    fn start_program(program: &'static str, folder: &Path, configuration: &str) -> Nats {
        let port = free_port();
        let process = launch(program, folder, port, configuration);
        Nats { program, folder: folder.into(), port, configuration: configuration.into(), process }
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Stops it cleanly.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, on the same port and streams.
    pub fn restart(&mut self) {
        self.process = launch(self.program, &self.folder, self.port, &self.configuration);
    }

    /// The payloads of all messages of a stream, in order.
    pub fn held(&self, stream: &str) -> Vec<String> {
        self.messages(stream).into_iter().map(|message| message.payload).collect()
    }

    /// All messages of a stream, in order; none if the stream does not exist.
    pub fn messages(&self, stream: &str) -> Vec<Message> {
        let mut session = Session::open(self.port);
        let info = session.request(&format!("$JS.API.STREAM.INFO.{stream}"), "");
        let Some(count) = info["state"]["messages"].as_u64() else { return Vec::new() };
        if count == 0 {
            return Vec::new();
        }
        // A separate subject, because the consumers of earlier reads live on for a while.
        static READINGS: AtomicU32 = AtomicU32::new(0);
        let reader = format!("reader.{}.{}", std::process::id(), READINGS.fetch_add(1, Ordering::Relaxed));
        let consumer = serde_json::json!({
            "stream_name": stream,
            "config": {
                "deliver_subject": reader, "deliver_policy": "all", "ack_policy": "none", "replay_policy": "instant"
            }
        });
        session.send(&format!("SUB {reader} 2\r\n"));
        let created = session.request(&format!("$JS.API.CONSUMER.CREATE.{stream}"), &consumer.to_string());
        assert!(created["error"].is_null(), "{created}");
        let mut messages = std::mem::take(&mut session.early);
        while (messages.len() as u64) < count {
            let (subscription, message) = session.next();
            assert_eq!(subscription, "2");
            messages.push(message);
        }
        messages
    }

    /// Publishes to a subject. Returns whether a stream has acknowledged it; the server may be killed meanwhile.
    pub fn publish(&self, subject: &str, payload: &str) -> bool {
        let publish = || -> Option<serde_json::Value> {
            let out = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            out.set_read_timeout(Some(PATIENCE)).ok()?;
            let mut session = Session { lines: BufReader::new(out.try_clone().ok()?), out, early: Vec::new() };
            let length = payload.len();
            let text = format!(
                "CONNECT {{\"verbose\":false,\"headers\":true}}\r\nSUB answers 1\r\nPUB {subject} answers {length}\r\n"
            );
            session.out.write_all(format!("{text}{payload}\r\n").as_bytes()).ok()?;
            serde_json::from_str(&session.try_next()?.1.payload).ok()
        };
        publish().is_some_and(|answer| answer["seq"].is_u64())
    }

    /// Publishes to a subject that no stream takes.
    pub fn publish_only(&self, subject: &str, payload: &str) {
        Session::open(self.port).send(&format!("PUB {subject} {}\r\n{payload}\r\n", payload.len()));
    }

    /// Publishes many messages to a stream over one connection.
    pub fn bulk(&self) -> Bulk {
        Bulk { session: Session::open(self.port), waiting: 0 }
    }

    /// Sends a request to the JetStream API, such as `STREAM.CREATE.LOGS`; null means no body.
    pub fn ask(&self, what: &str, body: &serde_json::Value) -> serde_json::Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Session::open(self.port).request(&format!("$JS.API.{what}"), &body)
    }
}

/// A connection for many messages.
pub struct Bulk {
    session: Session,
    /// Messages that the stream has not acknowledged yet.
    waiting: usize,
}

impl Bulk {
    /// Publishes messages, and waits until the stream has acknowledged most of them.
    pub fn publish(&mut self, subject: &str, payloads: impl Iterator<Item = String>) {
        for payload in payloads {
            self.session.send(&format!("PUB {subject} answers {}\r\n{payload}\r\n", payload.len()));
            self.waiting += 1;
            if self.waiting == 500 {
                self.flush();
            }
        }
    }

    /// Waits until the stream has acknowledged all of them.
    pub fn flush(&mut self) {
        for _ in 0..std::mem::take(&mut self.waiting) {
            let (_, answer) = self.session.next();
            assert!(answer.payload.contains("\"seq\""), "{}", answer.payload);
        }
    }
}

fn launch(program: &'static str, folder: &Path, port: u16, configuration: &str) -> Process {
    let path = folder.join("nats.conf");
    let store = folder.join("jetstream");
    let text =
        format!("host: 127.0.0.1\nport: {port}\njetstream {{ store_dir: \"{}\" }}\n{configuration}\n", store.display());
    std::fs::write(&path, text).expect("a configuration");
    let log = folder.join("nats.log");
    let mut command = Command::new(program);
    let file = std::fs::File::create(&log).expect("a log");
    command.arg("-c").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut process = Process::start(program, "nats-server", &mut command);
    process.wait_for_port(port, &log);
    process
}

/// A connection that speaks the text protocol.
struct Session {
    out: TcpStream,
    lines: BufReader<TcpStream>,
    /// Messages for the reader that arrived before an answer.
    early: Vec<Message>,
}

impl Session {
    fn open(port: u16) -> Session {
        let out = TcpStream::connect(("127.0.0.1", port)).expect("connects");
        out.set_read_timeout(Some(PATIENCE)).expect("a bound");
        let lines = BufReader::new(out.try_clone().expect("a second handle"));
        let mut session = Session { out, lines, early: Vec::new() };
        session.send("CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\nSUB answers 1\r\nPING\r\n");
        session
    }

    fn send(&mut self, text: &str) {
        self.out.write_all(text.as_bytes()).expect("sends");
    }

    fn request(&mut self, subject: &str, body: &str) -> serde_json::Value {
        self.send(&format!("PUB {subject} answers {}\r\n{body}\r\n", body.len()));
        loop {
            let (subscription, message) = self.next();
            if subscription == "1" {
                // Without JetStream nobody answers, which the server reports in a header.
                return serde_json::from_str(&message.payload).unwrap_or_default();
            }
            self.early.push(message);
        }
    }

    /// The next message and its subscription.
    fn next(&mut self) -> (String, Message) {
        self.try_next().expect("the server answers")
    }

    /// `None`: the server hung up.
    fn try_next(&mut self) -> Option<(String, Message)> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let sizes = |headers: &str, total: &str| -> (usize, usize) {
                (headers.parse().expect("a size"), total.parse().expect("a size"))
            };
            // MSG subject sid [reply] size; HMSG subject sid [reply] headers total.
            let (headers, total) = match words[..] {
                ["MSG", _, _, .., total] => sizes("0", total),
                ["HMSG", _, _, .., headers, total] => sizes(headers, total),
                ["PING"] => {
                    self.send("PONG\r\n");
                    continue;
                }
                ["-ERR", ..] => panic!("the server says {line}"),
                _ => continue,
            };
            let mut bytes = vec![0; total + 2];
            self.lines.read_exact(&mut bytes).ok()?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers_text = text(&bytes[..headers]);
            let headers_text = headers_text.split_once("\r\n").map_or("", |(_, rest)| rest).trim().to_string();
            let message =
                Message { subject: words[1].into(), headers: headers_text, payload: text(&bytes[headers..total]) };
            return Some((words[2].to_string(), message));
        }
    }
}
