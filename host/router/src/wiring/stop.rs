//! Stopping a router: every stage, from the first to the last, whatever one of them says.
//!
//! Each stage has a bound in time, so that the stop ends also when one of them hangs. **Nothing that goes wrong in one
//! stage keeps a later one from being stopped**: it is noted, and said in the end.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use weir_ingest::{IngestError, Requests};
use weir_journal::Journal;

use super::Router;
use crate::limits;

/// What was left when a router had stopped.
pub struct Stopped {
    /// Requests whose connection was closed without an answer.
    pub cut_off: usize,
    /// Stages that did not end as they should, a line each.
    pub failures: Vec<String>,
    /// What each sink took, and what it has not.
    pub sinks: Vec<weir_sinks::Stopped>,
    /// The last sequence in the journal.
    pub last_sequence: u64,
}

/// What a stop still has to do, for whoever ends it early.
pub struct Remaining {
    requests: Requests,
    journal: Journal,
}

impl Remaining {
    /// What is left undone now, a line each.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match self.requests.open() {
            0 => {}
            1 => lines.push("1 request is not answered; its sender will retry".to_owned()),
            open => lines.push(format!("{open} requests are not answered; their senders will retry")),
        }
        // Copies for another sink are of records that the sink itself has not had either.
        let readers = self
            .journal
            .readers()
            .into_iter()
            .filter(|reader| reader.lag_records > 0 && weir_sinks::falls_back_for(&reader.name).is_none());
        lines.extend(readers.map(|reader| {
            let records = records(reader.lag_records);
            format!("sink `{}` has {records} undelivered; it continues with them after the next start", reader.name)
        }));
        lines
    }
}

impl Router {
    /// What a stop has to do.
    pub fn remaining(&self) -> Remaining {
        Remaining { requests: self.requests.clone(), journal: self.journal.clone() }
    }

    /// Answers what is under way, drains, and makes everything durable.
    pub async fn stop(self) -> Stopped {
        let mut failures = Vec::new();
        // A sink that has ended by now is not started again.
        self.watching.abort();
        // A version that is compiled now would never run.
        self.shared.engine.stop_compiling();
        // An error: it has stopped already.
        let _ = self.stop_serving.send(());
        let cut_off = match self.serving {
            Some(serving) => end_of_serving(serving, &mut failures).await,
            None => 0,
        };
        let pipeline = self.pipeline;
        run_out("the pipeline", limits::PIPELINE_END, move || pipeline.stop(), &mut failures).await;
        drop((self.filters, self.shared));
        let sinks = self.sink_set.lock().await.stop(limits::DRAIN).await;
        let (journal, last_sequence) = (self.journal.clone(), self.journal.last_sequence());
        run_out("the journal", limits::JOURNAL_END, move || journal.close(), &mut failures).await;
        Stopped { cut_off, failures, sinks, last_sequence }
    }
}

fn records(count: u64) -> String {
    format!("{count} record{}", if count == 1 { "" } else { "s" })
}

/// How many requests were cut off when the server ended.
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

/// Waits for a stage that blocks until it has ended, but not longer than `within`.
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
