//! Erases the records that a query selects from everything that Weir keeps and can reach: the journal, held records, the
//! quarantine, the memory of the live stream, and the sinks of types that can erase.
//!
//! | file | purpose |
//! |---|---|
//! | `erase.rs` | a request; the journal and the quarantine |
//! | `erase/report.rs` | what became of it, place by place |
//! | `erase/running.rs` | in a running router |
//! | `erase/stopped.rs` | in the data folder of a stopped router |
//!
//! **Exactly the records acknowledged before the start are erased.** The start is when the segment being written is
//! closed. Before that, every sink is held (`runner/erase.rs` of the sinks): it has only records of earlier frames, and
//! nothing in memory. Then the journal is rewritten, so a sink that is let go reads nothing that was erased; records that
//! arrive meanwhile are accepted, stored, and delivered afterwards.
//!
//! Erasing can be repeated, and each step leaves the old or the new state of a file or transaction. So after a crash, a
//! cancellation or the end of its time, another run finishes the work.

mod report;
mod running;
mod stopped;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use weir_journal::erase::{Erase, Erased};
use weir_journal::{Journal, Ledger};
use weir_query::{Query, QueryError};
use weir_record::time::now_ns;
use weir_record::{Aliases, Batch, Defaults, Level, Record, read_json};
use weir_sinks::Erasure;

use crate::control::AUDIT;
use crate::quarantine::{QuarantineEntry, QuarantineFolder, delete};
use crate::wiring::lock;
use crate::{held, limits};
pub use report::{Outcome, Report};
pub use running::Erasing;
pub use stopped::erase_in_folder;

/// What is to be erased.
pub struct Request {
    /// The query as it was given.
    pub text: String,
    pub dry_run: bool,
    /// Records may be selected whatever they contain.
    pub all: bool,
    pub within: Duration,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(
        "the query selects records whatever they contain: if all of those are to be erased, say so with `--all`, or `\"all\": true` over HTTP"
    )]
    Everything,
    #[error("the time for an erasure must be between 1 s and {} h", limits::MAX_ERASE_TIME.as_secs() / 3600)]
    Time,
}

/// A request that was accepted.
#[derive(Clone)]
pub struct Job {
    pub text: String,
    pub erasure: Erasure,
    /// What is being done, for people who wait.
    doing: Arc<Mutex<String>>,
}

impl Job {
    /// Its time begins now. It ends early once `cancelled` is set.
    pub fn new(request: Request, cancelled: Arc<AtomicBool>) -> Result<Job, RequestError> {
        let Request { text, dry_run, all, within } = request;
        if within < Duration::from_secs(1) || within > limits::MAX_ERASE_TIME {
            return Err(RequestError::Time);
        }
        let query = Query::parse(&text, now_ns())?;
        if !all && matches_text(&query, "") {
            return Err(RequestError::Everything);
        }
        // Or the second of two erasures with the same words would erase the proof of the first.
        let others = Query::parse(&format!("-source={AUDIT}"), None)?;
        let erasure = Erasure::new(query.and(&others), dry_run, Instant::now() + within).cancelled_by(cancelled);
        Ok(Job { text, erasure, doing: Arc::default() })
    }

    pub fn doing(&self) -> String {
        lock(&self.doing).clone()
    }

    fn begin(&self, place: &str) {
        place.clone_into(&mut lock(&self.doing));
    }

    /// Counts in the journal's folder, or erases from the journal.
    fn erase_from_journal(&self, work: impl FnOnce(&mut dyn Erase) -> Result<Erased, String>) -> Outcome {
        let mut chosen = Chosen { job: self, records: 0, held: 0 };
        let erased = match work(&mut chosen) {
            Ok(erased) => erased,
            Err(reason) => return Outcome::Failed(reason),
        };
        let Chosen { records, held, .. } = chosen;
        if let Some(failure) = erased.failures.first() {
            return Outcome::Failed(format!("{failure} ({records} records in {} segments are done)", erased.segments));
        }
        if erased.is_partial
            && let Err(reason) = self.erasure.go_on()
        {
            return Outcome::Failed(reason);
        }
        let segments = weir_terminal::count(erased.segments, "segment", "segments");
        let copies = if held == 0 { String::new() } else { format!(", and {held} that filters held back") };
        Outcome::Erased { records, detail: Some(format!("in {segments}{copies}")) }
    }

    /// `until_ns`: later entries stay.
    fn erase_from_quarantine(&self, folder: &QuarantineFolder, until_ns: i64) -> Outcome {
        self.begin("quarantine");
        if let Err(reason) = self.erasure.go_on() {
            return Outcome::Failed(reason);
        }
        let query = &self.erasure.query;
        match delete::delete(
            folder,
            |_, entry| entry.time <= until_ns && is_selected(query, entry),
            self.erasure.dry_run,
        ) {
            Ok(deleted) => {
                self.erasure.count(deleted.entries);
                Outcome::Erased { records: deleted.entries, detail: None }
            }
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }
}

/// Selects from the journal.
struct Chosen<'j> {
    job: &'j Job,
    records: u64,
    held: u64,
}

impl Erase for Chosen<'_> {
    fn batch(&mut self, batch: &Bytes) -> Option<Vec<u8>> {
        let (rest, records) = weir_sinks::without(batch, &self.job.erasure.query)?;
        self.records += records;
        self.job.erasure.count(records);
        Some(rest)
    }

    fn hold(&mut self, payload: &Bytes) -> bool {
        let is_selected = held::is_selected(&self.job.erasure.query, payload);
        self.held += u64::from(is_selected);
        is_selected
    }

    fn go_on(&mut self, segment: usize, of: usize) -> bool {
        self.job.begin(&format!("journal, segment {segment} of {of}"));
        self.job.erasure.go_on().is_ok()
    }
}

/// Releases held records that are erased, so that nothing copies them to later segments.
pub fn release_held(journal: &Journal, query: &Query) -> Result<u64, String> {
    let held = journal.held().into_iter().filter(|hold| held::is_selected(query, &hold.payload));
    let releases: Vec<u64> = held.map(|hold| hold.token).collect();
    let count = releases.len() as u64;
    if count == 0 {
        return Ok(0);
    }
    let ledger = Ledger { holds: Vec::new(), releases };
    journal.append_and_wait(Vec::new(), 0, ledger).map(|_| count).map_err(|error| error.to_string())
}

/// Whether an entry of the quarantine is selected. What is no record is compared as the message of one.
fn is_selected(query: &Query, entry: &QuarantineEntry) -> bool {
    match &entry.record {
        Some(record) if !entry.raw => query.matches(Record::new(record)),
        Some(text) => matches_text(query, &String::from_utf8_lossy(text)),
        None => matches_text(query, &entry.reason),
    }
}

/// Whether a record with this message and nothing else would be selected.
fn matches_text(query: &Query, text: &str) -> bool {
    let aliases = Aliases::none();
    let defaults = Defaults {
        received_ns: now_ns(),
        source: "",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    let mut batch = Batch::new();
    let written = read_json(json!({ "message": text }).to_string().as_bytes(), &defaults, &mut batch);
    written.is_ok() && batch.iter().any(|record| query.matches(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str, all: bool) -> Result<Job, RequestError> {
        let within = Duration::from_secs(60);
        Job::new(Request { text: text.into(), dry_run: false, all, within }, Arc::default())
    }

    #[test]
    fn what_selects_records_whatever_they_contain_must_be_asked_for() {
        for text in ["", "level>=INFO", "-context.user_id=42", "since:1h", "-a OR b"] {
            assert!(matches!(job(text, false), Err(RequestError::Everything)), "{text}");
            assert!(job(text, true).is_ok(), "{text}");
        }
        for text in ["context.user_id=42", "alice since:1h", "level>=ERROR", "source:shop -a"] {
            assert!(job(text, false).is_ok(), "{text}");
        }
        assert!(matches!(job("level>=LOUD", false), Err(RequestError::Query(_))));
    }

    #[test]
    fn records_about_erasures_are_not_erased() {
        let job = job("alice", false).expect("accepted");
        let mut batch = Batch::new();
        let aliases = Aliases::none();
        for source in ["weir.audit", "shop"] {
            let (level, context) = (Level::Info, &[][..]);
            let defaults = Defaults { received_ns: 1, source, level, context, aliases: &aliases, keeps_routes: false };
            read_json(br#"{"message":"alice"}"#, &defaults, &mut batch).expect("JSON");
        }
        let (rest, records) = weir_sinks::without(&batch.encode(), &job.erasure.query).expect("one");
        let rest = Batch::decode(&rest).expect("a batch");
        assert_eq!((records, rest.len(), rest.get(0)), (1, 2, batch.get(0)));
        assert_eq!(rest.get(1), [0xde, 0, 0]);
    }

    #[test]
    fn entries_of_the_quarantine_are_selected_by_record_or_text() {
        let entry = |raw, text: Option<&[u8]>| QuarantineEntry {
            time: 1,
            from: "ingest".into(),
            reason: "alice is no object".into(),
            raw,
            record: text.map(|text| text.to_vec().into()),
        };
        let has =
            |query: &str, entry: &QuarantineEntry| is_selected(&Query::parse(query, None).expect("a query"), entry);
        let raw = entry(true, Some(b"[17, \"bob\"]"));
        assert!(has("bob", &raw) && !has("alice", &raw) && !has("context.user=bob", &raw));
        let reason = entry(true, None);
        assert!(has("alice", &reason) && !has("bob", &reason));
    }
}
