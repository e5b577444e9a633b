//! A program that logs with a client of `examples/clients` as a test tells it.
//!
//! It is started with URL, CAPACITY, TIMEOUT_S and DEADLINE_S, and with a token as `WEIR_TOKEN`. A line
//! `log PREFIX COUNT` on its standard input makes it log COUNT records with the message `record` and the ids `PREFIX-0`
//! and so on. After each line, and at its end, it prints `lost N`. It ends, as the client says it should, when its
//! standard input is closed.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::router::{PATIENCE, eventually};

/// How a client is used in a test.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    pub capacity: u32,
    pub timeout_s: u32,
    pub deadline_s: u32,
    pub token: &'a str,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { capacity: 1_000_000, timeout_s: 10, deadline_s: 60, token: "" }
    }
}

pub struct Driver {
    process: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts a program that logs to `url`.
    pub fn start(mut command: Command, url: &str, options: Options) -> Self {
        let Options { capacity, timeout_s, deadline_s, token } = options;
        command.arg(url).args([capacity, timeout_s, deadline_s].map(|number| number.to_string()));
        command.env("WEIR_TOKEN", token).env_remove("WEIR_URL");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let said = Arc::new(Mutex::new(String::new()));
        let (into, mut errors) = (said.clone(), process.stderr.take().expect("piped"));
        let reading = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut bytes) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        });
        let input = process.stdin.take();
        Self { process, input, lines, said, reading: Some(reading) }
    }

    /// Logs records; returns how many have been lost so far.
    pub fn log(&mut self, prefix: &str, count: usize) -> u64 {
        writeln!(self.input.as_mut().expect("it runs"), "log {prefix} {count}").expect("it reads");
        self.lost()
    }

    fn lost(&self) -> u64 {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{e}: {}", self.said()));
            // A line may begin with what a test program prints.
            if let Some((_, lost)) = line.split_once("lost ") {
                return lost.parse().unwrap();
            }
        }
    }

    /// How many have been lost after another look.
    pub fn lost_now(&mut self) -> u64 {
        self.log("none", 0)
    }

    /// Everything on standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it says this on standard error.
    pub fn wait_until_it_says(&self, text: &str) {
        eventually(text, || self.said().contains(text));
    }

    /// Closes its standard input and waits for its end. Returns how many were lost, and all of its standard error.
    pub fn end(mut self) -> (u64, String) {
        drop(self.input.take());
        let lost = self.lost();
        let mut status = None;
        eventually("it ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        self.reading.take().expect("once").join().unwrap();
        assert!(status.unwrap().success(), "{}", self.said());
        (lost, self.said())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Both fail if it has ended already, which is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
