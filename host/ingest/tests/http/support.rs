//! The server under test on a free loopback port, an intake that records what it is given, and a client that sends raw
//! bytes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use weir_ingest::{Delivery, HttpOptions, IngestError, Intake, Receipt, Refusal, Requests, serve};

/// Long enough for any of these tests on a busy machine. Only failing tests wait for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What to do with a delivery.
type Decide = Box<dyn Fn(Delivery) -> Result<(), Refusal> + Send + Sync>;

/// An intake that records deliveries and answers them with `Decide`.
pub struct Fake {
    decide: Decide,
    records: Mutex<Vec<Value>>,
    bad: Mutex<Vec<Vec<u8>>>,
    pub not_ready: Mutex<Option<String>>,
    /// Additional text for `/metrics`.
    pub page: Mutex<String>,
}

impl Fake {
    pub fn new(decide: impl Fn(Delivery) -> Result<(), Refusal> + Send + Sync + 'static) -> Arc<Fake> {
        let (records, bad) = (Mutex::default(), Mutex::default());
        Arc::new(Fake { decide: Box::new(decide), records, bad, not_ready: Mutex::default(), page: Mutex::default() })
    }

    /// Confirms everything immediately.
    pub fn confirming() -> Arc<Fake> {
        Fake::new(|delivery| {
            _ = delivery.reply.send(Ok(Receipt::default()));
            Ok(())
        })
    }

    /// Confirms nothing. Deliveries are sent to the returned receiver, still waiting for their answer.
    pub fn holding() -> (Arc<Fake>, tokio::sync::mpsc::UnboundedReceiver<Delivery>) {
        let (sender, deliveries) = tokio::sync::mpsc::unbounded_channel();
        let fake = Fake::new(move |delivery| sender.send(delivery).map_err(|_| Refusal::Failed("gone".to_owned())));
        (fake, deliveries)
    }

    /// The accepted records as JSON.
    pub fn records(&self) -> Vec<Value> {
        self.records.lock().unwrap().clone()
    }

    pub fn messages(&self) -> Vec<String> {
        self.records().iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The raw bytes of the bad records.
    pub fn bad(&self) -> Vec<Vec<u8>> {
        self.bad.lock().unwrap().clone()
    }
}

impl Intake for Fake {
    fn submit(&self, delivery: Delivery) -> Result<(), Refusal> {
        for record in delivery.batch.iter() {
            let mut line = Vec::new();
            weir_record::write_json(record, &mut line);
            self.records.lock().unwrap().push(serde_json::from_slice(&line).unwrap());
        }
        self.bad.lock().unwrap().extend(delivery.bad.iter().map(|bad| bad.bytes.clone()));
        (self.decide)(delivery)
    }

    fn ready(&self) -> Result<(), String> {
        self.not_ready.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn health(&self) -> Value {
        json!({"status": "ok", "sinks": {}})
    }

    fn metrics(&self) -> String {
        let more = self.page.lock().unwrap();
        format!("# HELP weir_up Whether it runs.\n# TYPE weir_up gauge\nweir_up 1\n{more}")
    }
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub requests: Requests,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), IngestError>>,
}

impl Server {
    pub async fn start(options: HttpOptions, intake: Arc<Fake>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = Box::pin(async {
            _ = stopped.await;
        });
        let requests = Requests::default();
        let task = tokio::spawn(serve(listener, options, intake, requests.clone(), shutdown));
        Server { address, requests, stop, task }
    }

    /// A server with default options whose intake confirms everything.
    pub async fn plain() -> (Server, Arc<Fake>) {
        let fake = Fake::confirming();
        (Server::start(HttpOptions::default(), Arc::clone(&fake)).await, fake)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn connect(&self) -> Raw {
        Raw { stream: TcpStream::connect(self.address).await.unwrap() }
    }

    /// Sends bytes on a new connection and reads until the server closes it.
    pub async fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut raw = self.connect().await;
        raw.send(bytes).await;
        raw.rest().await
    }

    /// Posts a body with additional header lines, each ending in CRLF.
    pub async fn post(&self, path: &str, head: &str, body: impl AsRef<[u8]>) -> Reply {
        let mut bytes = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n",
            self.address,
            body.as_ref().len()
        )
        .into_bytes();
        bytes.extend_from_slice(body.as_ref());
        Reply::parse(&self.exchange(bytes).await)
    }

    /// Starts the stop, and returns the task that ends when it is complete.
    pub fn stop(self) -> JoinHandle<Result<(), IngestError>> {
        _ = self.stop.send(());
        self.task
    }
}

/// A raw connection.
pub struct Raw {
    pub stream: TcpStream,
}

impl Raw {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything until the server closes the connection.
    pub async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("the server closes in time").unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits until the server has closed the connection in any way.
    pub async fn closed(&mut self) {
        let mut bytes = Vec::new();
        // A reset counts as well.
        _ = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("the server closes in time");
    }

    /// Everything up to and including `end`.
    pub async fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let read = async {
            while !String::from_utf8_lossy(&bytes).contains(end) {
                let mut piece = [0; 4096];
                let count = self.stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "closed before {end:?} came: {}", String::from_utf8_lossy(&bytes));
                bytes.extend_from_slice(&piece[..count]);
            }
        };
        timeout(PATIENCE, read).await.expect("the answer comes in time");
        String::from_utf8(bytes).unwrap()
    }
}

/// A parsed answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn parse(text: &str) -> Reply {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer in {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The text of a JSON error.
    pub fn error(&self) -> String {
        let body = self.json();
        body["error"].as_str().unwrap_or_else(|| panic!("no error in {body}")).to_owned()
    }
}

/// Waits for a condition. The timeout only ends failing tests.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(PATIENCE, wait).await.is_ok(), "never: {what}");
}
