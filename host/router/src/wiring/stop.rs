//! Stops a router: all stages, from first to last, even if one of them fails.
//!
//! Each stage has a time limit, so that the stop also ends if a stage hangs. **A failure in one stage doesn't keep
//! later ones from being stopped**; failures are reported at the end.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use weir_ingest::{IngestError, Requests};
use weir_journal::Journal;

use super::{Router, Servers};
use crate::limits;

/// The result of a stop.
pub struct Stopped {
    /// Requests whose connection was closed without an answer.
    pub cut_off: usize,
    /// Stages that did not stop properly, one line each.
    pub failures: Vec<String>,
    /// What each sink delivered, and what it has left.
    pub sinks: Vec<weir_sinks::Stopped>,
    /// The last sequence number in the journal.
    pub last_sequence: u64,
}

/// The remaining work of a stop, reported if the stop is cut short.
pub struct Remaining {
    requests: Requests,
    journal: Journal,
}

impl Remaining {
    /// The remaining work, one line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.requests.open() {
            0 => {}
            1 => lines.push("1 request is not answered; its sender will retry".to_owned()),
            open => lines.push(format!("{open} requests are not answered; their senders will retry")),
        }
        // Records copied to a fallback are still pending for the sink itself, so count them once.
        let readers = self
            .journal
            .readers()
            .into_iter()
            .filter(|reader| reader.lag_records > 0 && weir_sinks::sink_of_fallback_reader(&reader.name).is_none());
        lines.extend(readers.map(|reader| {
            let records = records(reader.lag_records);
            format!("sink `{}` has {records} undelivered; it continues with them after the next start", reader.name)
        }));
        lines
    }
}

impl Router {
    /// A handle on the remaining work.
    pub fn remaining(&self) -> Remaining {
        Remaining { requests: self.requests.clone(), journal: self.journal.clone() }
    }

    /// Answers running requests, drains all stages, and makes everything durable.
    pub async fn stop(self) -> Stopped {
        let mut failures = Vec::new();
        // Sinks are no longer restarted.
        self.watching.abort();
        self.watching_tokens.abort();
        self.watching_certificates.iter().for_each(JoinHandle::abort);
        // A version compiled from now on would never run.
        self.shared.engine.stop_compiling();
        let Servers { serving, streaming, stop } = self.servers;
        drop(stop);
        self.source_set.lock().await.stop().await;
        self.listeners.lock().await.stop().await;
        // Streams last until they are ended.
        self.api.close(limits::STREAMS_END).await;
        drop(self.reading);
        let mut cut_off = 0;
        for server in [serving, streaming].into_iter().flatten() {
            cut_off += end_of_serving(server, &mut failures).await;
        }
        let pipeline = self.pipeline;
        run_out("the pipeline", limits::PIPELINE_END, move || pipeline.stop(), &mut failures).await;
        drop((self.filters, self.shared, self.source_set));
        let sinks = self.sink_set.lock().await.stop(limits::DRAIN).await;
        let (journal, last_sequence) = (self.journal.clone(), self.journal.last_sequence());
        run_out("the journal", limits::JOURNAL_END, move || journal.close(), &mut failures).await;
        Stopped { cut_off, failures, sinks, last_sequence }
    }
}

fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

/// Waits for the server to end; returns the number of requests that were cut off.
async fn end_of_serving(serving: JoinHandle<Result<(), IngestError>>, failures: &mut Vec<String>) -> usize {
    match serving.await {
        Ok(Ok(())) => 0,
        Ok(Err(IngestError::Unanswered { requests, .. })) => requests,
        Ok(Err(error)) => {
            failures.push(error.to_string());
            0
        }
        Err(error) => {
            failures.push(format!("the server failed: {error}"));
            0
        }
    }
}

/// Waits until a blocking stage has ended, but at most `within`.
pub(super) async fn run_out(
    stage: &str,
    within: Duration,
    end: impl FnOnce() + Send + 'static,
    failures: &mut Vec<String>,
) {
    match timeout(within, spawn_blocking(end)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => failures.push(format!("{stage} failed while stopping: {error}")),
        Err(_) => failures.push(format!("{stage} did not stop within {} s and was abandoned", within.as_secs())),
    }
}
