//! CPU time of the server process per request over loopback, compared with a floor.
//!
//! `cargo bench -p weir-ingest [-- REQUESTS]`. Two servers run in turn as child processes: ingest with an intake that
//! confirms immediately, and the floor, which only finds the end of each request and sends a fixed answer. The
//! difference is the cost of HTTP and parsing. Figures are the CPU time of all threads of the child as counted by the
//! kernel (Linux only), because wall time depends on the machine's other load.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use weir_ingest::{Delivery, HttpOptions, Intake, Receipt, Refusal, serve};

const CONNECTIONS: usize = 4;
const RUNS: usize = 3;
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"accepted\":1}";

fn main() {
    match env::args().nth(1).as_deref() {
        Some("serve-weir") => serve_here(true),
        Some("serve-floor") => serve_here(false),
        // Cargo adds its own argument.
        _ => compare(env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000)),
    }
}

fn compare(requests: usize) {
    println!("{CONNECTIONS} connections, median of {RUNS} runs, microseconds of CPU");
    println!(
        "{:>8} {:>10} {:>16} {:>16} {:>16} {:>16}",
        "batch", "requests", "floor/request", "weir/request", "difference", "weir/record"
    );
    for batch in [1, 100, 1000] {
        let requests = (requests / batch).max(1000);
        let floor = median(|| run("serve-floor", batch, requests));
        let weir = median(|| run("serve-weir", batch, requests));
        let per_record = weir / batch as f64;
        println!("{batch:>8} {requests:>10} {floor:>16.2} {weir:>16.2} {:>16.2} {per_record:>16.3}", weir - floor);
    }
}

fn median(mut run: impl FnMut() -> f64) -> f64 {
    let mut figures: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    figures.sort_by(f64::total_cmp);
    figures[RUNS / 2]
}

/// Microseconds of CPU time per request.
fn run(server: &str, batch: usize, requests: usize) -> f64 {
    let this = env::current_exe().expect("a running program has a path");
    let mut child =
        Command::new(this).arg(server).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("is piped")).read_line(&mut line).expect("says where it listens");
    let address: SocketAddr = line.trim().parse().expect("an address");
    let request = request(batch);
    drive(address, &request, requests / 10);
    let before = cpu_ns(&child);
    drive(address, &request, requests);
    let used = cpu_ns(&child) - before;
    // The child exits when its standard input closes.
    drop(child.stdin.take());
    child.wait().expect("ends");
    used as f64 / 1000.0 / requests as f64
}

/// Total CPU time of the child's threads in nanoseconds.
fn cpu_ns(child: &Child) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("Linux shows a process's threads");
    let figures = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
    figures.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

fn request(batch: usize) -> Vec<u8> {
    let record = |n: usize| {
        format!(
            r#"{{"timestamp":"2026-11-20T10:00:00.{n:06}Z","level":"INFO","source":"checkout","message":"order {n} paid by card in 3 parts","context":{{"user":{{"id":{n},"email":"user{n}@example.com"}},"request_id":"req-{n:08}","ip":"10.0.0.{}"}},"metadata":{{"duration_ms":{},"status":200,"path":"/api/v1/orders","agent":"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101","tags":["a","b"]}}}}"#,
            n % 256,
            n % 97
        )
    };
    let records: Vec<String> = (0..batch).map(record).collect();
    let body = if batch == 1 { records.concat() } else { format!("[{}]", records.join(",")) };
    format!(
        "POST /ingest HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\naccept: */*\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends the request repeatedly on all connections, each waiting for its answers.
fn drive(address: SocketAddr, request: &[u8], requests: usize) {
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("the server listens");
                stream.set_nodelay(true).expect("is a socket");
                let mut answer = [0; 4096];
                for _ in 0..requests / CONNECTIONS {
                    stream.write_all(request).expect("the server reads");
                    let count = stream.read(&mut answer).expect("the server answers");
                    assert!(
                        answer[..count].starts_with(b"HTTP/1.1 200"),
                        "{}",
                        String::from_utf8_lossy(&answer[..count])
                    );
                }
            });
        }
    });
}

struct Confirming;

impl Intake for Confirming {
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        _ = delivery.reply.send(Ok(Receipt::default()));
        Ok(())
    }
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
    fn health(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn metrics(&self) -> String {
        String::new()
    }
}

fn serve_here(weir: bool) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        println!("{}", listener.local_addr().expect("is bound"));
        let parent_gone = Box::pin(async {
            _ = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0; 1])).await;
        });
        if weir {
            serve(
                listener,
                HttpOptions::default(),
                Arc::new(Confirming),
                weir_ingest::Requests::default(),
                parent_gone,
            )
            .await
            .expect("serves");
        } else {
            tokio::select! {
                () = serve_floor(listener) => {}
                () = parent_gone => {}
            }
        }
    });
}

/// Reads requests, looking only at their length.
async fn serve_floor(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("is a socket");
        tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 20];
            let (mut filled, mut needed) = (0, usize::MAX);
            while let Ok(count @ 1..) = stream.read(&mut buffer[filled..]).await {
                filled += count;
                if needed == usize::MAX
                    && let Some(end) = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n")
                {
                    let head = String::from_utf8_lossy(&buffer[..end]);
                    let length = head.rsplit(' ').next().and_then(|length| length.parse::<usize>().ok());
                    needed = end + 4 + length.expect("the length comes last");
                }
                if filled >= needed {
                    (filled, needed) = (0, usize::MAX);
                    if stream.write_all(ANSWER).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}
