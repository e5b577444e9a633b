//! The sinks that post, compared with posting the same bytes with the same client. The server is another process that
//! only reads and answers, so that its CPU time is not counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use weir_record::write_json;
use weir_sinks::Selected;

use super::{Cost, RECORDS, built, measured};

/// Set in the process that is the server.
const SERVER: &str = "WEIR_BENCH_SERVER";

/// A server that accepts everything.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub fn start() -> Server {
        let mut child = Command::new(std::env::current_exe().expect("this bench"))
            .env(SERVER, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("says its port");
        Server { child, port: line.trim().parse().expect("a port") }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// If this process is the server, serves until it is killed.
pub fn serve_if_asked() {
    if std::env::var_os(SERVER).is_none() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    for stream in listener.incoming().flatten() {
        // Ends with the client's connection.
        std::thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone()?);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}")?;
    }
}

/// Posts the JSON of each frame, encoded in advance.
pub fn floor(server: &Server, frames: &[Selected], rounds: usize) -> Cost {
    let body = |frame: &Selected| {
        let mut out = vec![b'['];
        for (_, record) in frame.iter() {
            write_json(record, &mut out);
            out.push(b',');
        }
        out.pop();
        out.push(b']');
        out
    };
    let bodies: Vec<Vec<u8>> = frames.iter().map(body).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // An error means that one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    measured(RECORDS * rounds, || {
        for body in (0..rounds).flat_map(|_| &bodies) {
            let sent = runtime.block_on(async {
                let answer = client.post(server.url()).body(body.clone()).send().await?;
                answer.bytes().await
            });
            sent.expect("answered");
        }
    })
}

/// Name, kind and options of each case.
pub fn cases(server: &Server) -> Vec<(&'static str, &'static str, Value)> {
    let url = server.url();
    let http = |format: &str, compression: &str| json!({ "url": url, "format": format, "compression": compression });
    vec![
        ("http, json", "http", http("json", "none")),
        ("http, msgpack", "http", http("msgpack", "none")),
        ("http, json, zstd", "http", http("json", "zstd")),
        ("http, json, gzip", "http", http("json", "gzip")),
        ("datadog", "datadog", json!({ "url": url, "api_key": "0" })),
        ("influxdb", "influxdb", json!({ "url": url, "database": "logs", "gzip": false })),
        ("influxdb, gzip", "influxdb", json!({ "url": url, "database": "logs" })),
        ("slack", "slack", json!({ "url": url, "interval": "0s" })),
    ]
}

/// One frame per delivery, as the runner passes them.
pub fn deliver(kind: &str, options: &Value, frames: &[Selected], rounds: usize) -> Cost {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut sink = built(kind, options.clone(), folder.path());
    runtime.block_on(sink.start(u64::MAX)).expect("starts");
    measured(RECORDS * rounds, || {
        for frame in (0..rounds).flat_map(|_| frames) {
            runtime.block_on(sink.deliver(std::slice::from_ref(frame))).expect("delivers");
        }
    })
}
