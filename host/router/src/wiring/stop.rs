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
            1 => lines.push("1 request is not answered; its sender will send again".to_owned()),
            open => lines.push(format!("{open} requests are not answered; their senders will send again")),
        }
        // Copies for another sink are of records that the sink itself has not had either.
        let readers = self
            .journal
            .readers()
            .into_iter()
            .filter(|reader| reader.lag_records > 0 && weir_sinks::falls_back_for(&reader.name).is_none());
        lines.extend(readers.map(|reader| {
            let records = records(reader.lag_records);
            format!("sink `{}` has not had {records}; it goes on with them at the next start", reader.name)
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
        // An error: it has stopped already.
        let _ = self.stop_serving.send(());
        let cut_off = match self.serving {
            Some(serving) => end_of_serving(serving, &mut failures).await,
            None => 0,
        };
        let pipeline = self.pipeline;
        run_out("the pipeline", limits::PIPELINE_END, move || pipeline.stop(), &mut failures).await;
        drop(self.filters);
        let sinks = self.outlets.lock().await.stop(limits::DRAIN).await;
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
async fn run_out(stage: &str, within: Duration, end: impl FnOnce() + Send + 'static, failures: &mut Vec<String>) {
    match timeout(within, spawn_blocking(end)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => failures.push(format!("{stage} failed while it ended: {error}")),
        Err(_) => failures.push(format!("{stage} did not end within {} s and was left as it was", within.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use weir_journal::{Disk, Journal};

    use super::*;
    use crate::config::Settings;
    use crate::parts;

    /// A router in a folder of its own, without the sink on standard output.
    async fn router(folder: &std::path::Path) -> (Router, Settings) {
        let mut settings = Settings::default_for(folder, &|_| None).unwrap();
        settings.sinks.retain(|sink| sink.kind == "sqlite");
        settings.http.listen = "127.0.0.1:0".parse().unwrap();
        let numbers = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        (Router::start(&settings, numbers).await.unwrap(), settings)
    }

    /// The journal is closed: another may open it.
    fn assert_closed(settings: &Settings) {
        let disk = Disk::new(parts::journal_folder(settings));
        assert!(Journal::open(Arc::new(disk), parts::journal(settings)).is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn requests_that_are_cut_off_are_counted_and_every_later_stage_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (mut router, settings) = router(folder.path()).await;
        // The server itself goes on, and with it the entrance that the pipeline's threads wait for.
        let grace = Duration::ZERO;
        let _going_on =
            router.serving.replace(tokio::spawn(async move { Err(IngestError::Unanswered { requests: 2, grace }) }));
        let stopped = router.stop().await;
        assert_eq!((stopped.cut_off, stopped.failures.as_slice()), (2, [].as_slice()));
        assert_eq!(stopped.sinks.len(), 1);
        assert_closed(&settings);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stage_that_fails_is_said_and_every_later_one_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let (mut router, settings) = router(folder.path()).await;
        let _going_on = router.serving.replace(tokio::spawn(async { panic!("on purpose") }));
        // Somebody who looks at the sinks is no reason not to stop them.
        let _looking = router.outlets.clone();
        let stopped = router.stop().await;
        assert_eq!(stopped.failures.len(), 1, "{:?}", stopped.failures);
        assert!(stopped.failures[0].contains("the server failed"), "{:?}", stopped.failures);
        assert_eq!(stopped.sinks.len(), 1);
        assert_closed(&settings);
    }

    #[tokio::test]
    async fn a_stage_that_hangs_or_panics_is_left_after_its_time_with_a_line() {
        let mut failures = Vec::new();
        run_out("the first", Duration::from_secs(60), || panic!("on purpose"), &mut failures).await;
        let (release, held) = std::sync::mpsc::channel::<()>();
        run_out("the second", Duration::ZERO, move || while held.recv().is_ok() {}, &mut failures).await;
        run_out("the third", Duration::from_secs(60), || {}, &mut failures).await;
        drop(release);
        assert_eq!(failures.len(), 2, "{failures:?}");
        assert!(
            failures[0].starts_with("the first failed") && failures[1].starts_with("the second did not end within 0 s")
        );
    }
}
