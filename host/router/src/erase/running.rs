//! Erases records while the router runs.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Instant;

use futures::future::join_all;
use hyper::StatusCode;
use serde_json::{Value, json};
use weir_api::ApiError;
use weir_journal::Disk;
use weir_journal::erase::count;
use weir_live::Edit;
use weir_sinks::HeldSink;

use super::{Job, Outcome, Report, Request, RequestError};
use crate::control::Control;
use crate::held;
use crate::wiring::lock;

/// The erasure that runs now, and since when.
pub type Erasing = Arc<Mutex<Option<(Job, Instant)>>>;

impl Control {
    /// Erases, or counts. Blocks until it is done, its time is over, or it is cancelled.
    pub fn erase_records(&self, request: Request, cancelled: Arc<AtomicBool>) -> Result<Value, ApiError> {
        let job = Job::new(request, cancelled).map_err(|error| match error {
            RequestError::Query(error) => ApiError::from(error),
            other => ApiError::bad(other.to_string()),
        })?;
        let _alone = self.alone()?;
        *lock(&self.erasing) = Some((job.clone(), Instant::now()));
        let report = self.erase_everywhere(&job);
        *lock(&self.erasing) = None;
        let report = report.to_json(&job);
        let verb = if job.erasure.dry_run { "counted for an erasure" } else { "erased" };
        tracing::info!("records were {verb} over the API: {}", report["places"]);
        Ok(report)
    }

    /// How far an erasure is.
    pub fn erasure_status(&self) -> Value {
        match &*lock(&self.erasing) {
            None => json!({ "running": false }),
            Some((job, since)) => json!({
                "running": true,
                "seconds": since.elapsed().as_secs(),
                "doing": job.doing(),
                "records": job.erasure.counted(),
            }),
        }
    }

    /// Keeps records from being erased while others are replayed, which would then arrive again.
    pub fn alone(&self) -> Result<std::sync::MutexGuard<'_, ()>, ApiError> {
        match self.alone.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(ApiError::new(
                StatusCode::CONFLICT,
                "records are being erased or replayed; retry when that is over",
            )),
        }
    }

    fn erase_everywhere(&self, job: &Job) -> Report {
        let mut report = Report::default();
        // Until the end: no sink is started or replaced meanwhile.
        let sink_set = self.runtime.block_on(self.sink_set.lock());
        let sinks = sink_set.kinds();
        let held = self.hold(job, &sinks);
        let up_to = match self.erase_from_stores(job, &mut report) {
            Ok(up_to) => up_to,
            Err(reason) => {
                report.add("journal", Outcome::Failed(reason));
                return report;
            }
        };
        job.begin(if sinks.len() == 1 { "1 sink" } else { "sinks" });
        let erasing = held.into_iter().map(|held| async move {
            match held {
                Ok(held) => held.erase(up_to).await,
                Err(reason) => Err(reason),
            }
        });
        let answers = self.runtime.block_on(join_all(erasing));
        for ((name, kind), answer) in sinks.iter().zip(answers) {
            report.add(format!("sink `{name}`"), Outcome::of(kind, answer));
        }
        drop(sink_set);
        report
    }

    /// Holds all sinks.
    fn hold(&self, job: &Job, sinks: &[(String, String)]) -> Vec<Result<HeldSink, String>> {
        job.begin("waiting for the deliveries in progress");
        self.runtime.block_on(join_all(sinks.iter().map(|(name, _)| self.queues.hold(name, &job.erasure))))
    }

    /// Erases from all that the router itself has. Returns the last frame that this is about.
    fn erase_from_stores(&self, job: &Job, report: &mut Report) -> Result<u64, String> {
        let (shared, query) = (&self.shared, &job.erasure.query);
        let (up_to, until_ns) = match job.erasure.dry_run {
            true => (shared.journal.last_sequence(), i64::MAX),
            false => held::let_go(shared, query)?,
        };
        let journal = job.erase_from_journal(|chosen| match job.erasure.dry_run {
            true => count(&Disk::new(&self.journal_folder), &shared.quarantine.folder().keys, chosen)
                .map_err(|error| error.to_string()),
            false => Ok(shared.journal.erase(up_to, chosen)),
        });
        report.add("journal", journal);
        for name in super::stopped::set_aside(&self.journal_folder) {
            report.add(name, Outcome::OutOfReach("it is damaged and was set aside; delete the file".into()));
        }
        if let Err(error) = shared.quarantine.sync() {
            report.add("quarantine", Outcome::Failed(error.to_string()));
        } else {
            report.add("quarantine", job.erase_from_quarantine(shared.quarantine.folder(), until_ns));
        }
        if !job.erasure.dry_run {
            let query = query.clone();
            let edit: Edit = Arc::new(move |batch: &[u8]| weir_sinks::without(batch, &query).map(|(rest, _)| rest));
            self.live.erase(up_to, &edit);
            shared.sample.clear();
        }
        Ok(up_to)
    }
}
