//! Sends records to the router, in order, one request at a time: whatever has arrived while the last was on its way is
//! the next. A request has a key, so that the router takes it once however often it is repeated.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use anyhow::Context;
use serde_json::json;
use weir_document::units::Size;
use weir_ingest::client::{self, ClientError, RunningRouter};
use weir_record::time::{format_rfc3339, now_ns};

use super::queue::{Chunk, Queue};
use crate::commands::tail::encoded;
use crate::limits;
use crate::wiring::lock;

/// The thread that sends.
pub struct Sender {
    shared: Arc<Shared>,
    ended: mpsc::Receiver<()>,
}

struct Shared {
    router: RunningRouter,
    path: String,
    buffer: Size,
    queue: Arc<Queue>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Records of the request that is on its way.
    sending: usize,
    dropped: u64,
    refused: usize,
    /// Why the request on its way has failed so far.
    error: Option<String>,
}

impl Sender {
    pub fn start(router: RunningRouter, source: &str, buffer: Size, queue: Arc<Queue>) -> anyhow::Result<Sender> {
        let path = format!("/ingest?source={}", encoded(source));
        let shared = Arc::new(Shared { router, path, buffer, queue, progress: Mutex::default() });
        let (done, ended) = mpsc::channel();
        let own = shared.clone();
        let send = move || {
            while let Some(chunk) = own.queue.next() {
                own.send(&chunk);
            }
            // An error: nobody waits any more.
            _ = done.send(());
        };
        thread::Builder::new().name("weir-sender".into()).spawn(send).context("can't start a thread")?;
        Ok(Sender { shared, ended })
    }

    /// Waits until everything is sent, but not long, and says what is missing.
    pub fn finish(self) {
        // An error: the time is over.
        _ = self.ended.recv_timeout(limits::EXEC_FLUSH);
        let progress = lock(&self.shared.progress);
        let (left, dropped) = self.shared.queue.left();
        let (router, within) = (&self.shared.router, limits::EXEC_FLUSH.as_secs());
        if progress.dropped + dropped > 0 {
            let (dropped, buffer) = (records(progress.dropped + dropped), self.shared.buffer);
            eprintln!("weir exec: {dropped} dropped: the router did not take them, and {buffer} of memory were full");
        }
        if progress.refused > 0 {
            eprintln!("weir exec: {} refused by {router}", records(progress.refused as u64));
        }
        let left = progress.sending + left;
        if left > 0 {
            let error = progress.error.as_deref().unwrap_or("the router is too slow");
            eprintln!("weir exec: {} not delivered within {within} s of the end: {error}", records(left as u64));
        }
    }
}

impl Shared {
    /// Sends a chunk, however long that takes, unless the router refuses it.
    fn send(&self, chunk: &Chunk) {
        {
            let mut progress = lock(&self.progress);
            progress.sending = chunk.records.len();
            progress.dropped += chunk.dropped;
        }
        let body = body(chunk);
        let key = format!("{:032x}", fastrand::u128(..));
        let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
        let mut pause = limits::EXEC_RETRY_FIRST;
        loop {
            let sent = client::post(&self.router, &self.path, &headers, body.clone());
            if self.is_done(chunk, sent.map(drop)).is_break() {
                return;
            }
            thread::sleep(pause);
            pause = (2 * pause).min(limits::EXEC_RETRY_LONGEST);
        }
    }

    /// Notes how a request has ended, and says each failure once.
    fn is_done(&self, chunk: &Chunk, sent: Result<(), ClientError>) -> ControlFlow<()> {
        let mut progress = lock(&self.progress);
        let error = match sent {
            Ok(()) => {
                progress.sending = 0;
                if progress.error.take().is_some() {
                    eprintln!("weir exec: {} takes records again", self.router);
                }
                return ControlFlow::Break(());
            }
            Err(error) => error,
        };
        if is_for_good(&error) {
            if progress.refused == 0 {
                eprintln!("weir exec: {error}");
            }
            progress.sending = 0;
            progress.refused += chunk.records.len();
            return ControlFlow::Break(());
        }
        if progress.error.is_none() {
            eprintln!("weir exec: {error}; up to {} of output are kept for it", self.buffer);
        }
        progress.error = Some(error.to_string());
        ControlFlow::Continue(())
    }
}

/// Whether the same request would be refused again.
fn is_for_good(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status, .. } => {
            status.is_client_error() && ![408, 409, 425, 429].contains(&status.as_u16())
        }
        ClientError::NoHost { .. } | ClientError::Request(_) => true,
        _ => false,
    }
}

/// An array of the records. A count of dropped ones is a record of its own, before them.
fn body(chunk: &Chunk) -> Vec<u8> {
    let mut notice = Vec::new();
    if chunk.dropped > 0 {
        let mut time = Vec::new();
        format_rfc3339(now_ns(), &mut time);
        let notice_of_drop = json!({
            "timestamp": String::from_utf8_lossy(&time), "level": "WARNING", "dropped": chunk.dropped,
            "message": format!("weir exec has dropped {}: the router did not take them", records(chunk.dropped)),
        });
        notice.push(notice_of_drop.to_string().into_bytes());
    }
    let mut body = vec![b'['];
    for (index, record) in notice.iter().chain(&chunk.records).enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record);
    }
    body.push(b']');
    body
}

fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    #[test]
    fn a_count_of_dropped_records_goes_before_the_next() {
        let chunk = Chunk { records: vec![b"{\"a\":1}".to_vec(), b"{\"a\":2}".to_vec()], dropped: 3 };
        let sent: Vec<serde_json::Value> = serde_json::from_slice(&body(&chunk)).expect("an array");
        assert_eq!((sent.len(), &sent[0]["dropped"], &sent[1]["a"]), (3, &json!(3), &json!(1)));
        let chunk = Chunk { records: vec![b"{}".to_vec()], dropped: 0 };
        assert_eq!(body(&chunk), b"[{}]");
    }

    #[test]
    fn only_what_would_be_refused_again_is_given_up() {
        let refused = |code| ClientError::Refused {
            router: String::new(),
            status: StatusCode::from_u16(code).expect("a status"),
            text: String::new(),
        };
        for code in [400, 401, 403, 413, 422] {
            assert!(is_for_good(&refused(code)), "{code}");
        }
        for code in [408, 429, 500, 503] {
            assert!(!is_for_good(&refused(code)), "{code}");
        }
    }
}
