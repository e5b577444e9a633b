//! Real servers for tests, each started on a free port in a temporary folder and stopped with the test.
//!
//! A missing server is a failure that names its package.

#![allow(dead_code, reason = "no test uses every server")]

pub mod certificates;
pub mod docker;
pub mod influx;
pub mod intake;
pub mod kafka;
pub mod mosquitto;
pub mod nats;
pub mod postgres;
pub mod redis;
pub mod vendors;
pub mod victoria;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Timeout of everything that must happen: long enough for any machine; it only ends a test that would hang.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// One request over HTTP 1.0: status and body.
pub fn http(port: u16, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
    let head = format!(
        "{method} {target} HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer in time");
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_string())
}

/// Percent-encodes a text for a URL.
pub fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A process that ends with the test.
pub struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a program; if it is missing, the error names `package`.
    pub fn start(name: &'static str, package: &str, command: &mut Command) -> Process {
        match command.spawn() {
            Ok(child) => Process { name, child },
            Err(error) => panic!("can't start {name}: {error}; install `{package}`"),
        }
    }

    /// Waits until something listens on the port; on timeout, the error has the server's log.
    pub fn wait_for_port(&mut self, port: u16, log: &Path) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = self.child.try_wait() {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                panic!("{} ended with {status} before it listened on port {port}:\n{log}", self.name);
            }
            assert!(Instant::now() < deadline, "{} never listened on port {port}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The id of the process, for signals.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Terminates it, and waits for its end.
    pub fn stop(&mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.id().to_string()).status();
        assert!(asked.is_ok_and(|status| status.success()), "{} is not there to be stopped", self.name);
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            assert!(Instant::now() < deadline, "{} never stopped", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
