//! Changes the router on request: other versions of filters, entries of the quarantine, minimum levels.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hyper::StatusCode;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use weir_api::{Acts, ApiError, AuditEntry, Entries, ErasedRecords, LevelChange, Outcome};
use weir_ingest::Delivery;
use weir_record::time::now_ns;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use super::Control;
use crate::erase;
use crate::filters::SwapError;
use crate::limits;
use crate::quarantine::browse::Choice;
use crate::quarantine::delete;
use crate::wiring::lock;

/// The source of records about what was changed.
pub const AUDIT: &str = "weir.audit";

/// Who changed something, in the histories of versions. The audit record has the name.
const BY: &str = "api";

impl Acts for Control {
    fn try_filter(&self, name: &str, module: &[u8]) -> Result<Value, ApiError> {
        let preview = lock(&self.filters).preview(name).map_err(refused)?;
        preview.run(module).map_err(refused)
    }

    fn swap_filter(&self, name: &str, digest: &str) -> Result<Value, ApiError> {
        let version = lock(&self.filters).swap(name, digest, BY, "swapped").map_err(refused)?;
        tracing::info!("filter `{name}`: {version} was swapped in over the API");
        Ok(json!({ "name": name, "digest": digest, "version": version }))
    }

    fn roll_filter_back(&self, name: &str, to: Option<&str>) -> Result<Value, ApiError> {
        let (version, digest) = lock(&self.filters).roll_back(name, to, BY).map_err(refused)?;
        tracing::info!("filter `{name}` was rolled back to {version} over the API");
        Ok(json!({ "name": name, "digest": digest, "version": version }))
    }

    fn replay(&self, entries: &Entries) -> Result<Value, ApiError> {
        let _alone = self.alone()?;
        self.replay_entries(&Choice::of(entries)).map_err(unreadable)
    }

    fn delete(&self, entries: &Entries) -> Result<Value, ApiError> {
        let choice = Choice::of(entries);
        let chosen = |place: &_, entry: &_| choice.has(place, entry);
        let deleted = delete::delete(self.shared.quarantine.folder(), chosen, false).map_err(unreadable)?;
        tracing::info!("{} entries of the quarantine were deleted over the API", deleted.entries);
        Ok(json!({ "deleted": deleted.entries }))
    }

    fn set_levels(&self, change: &LevelChange) -> Result<Value, ApiError> {
        self.shared.levels.change(&change.levels, change.duration).map_err(ApiError::bad)?;
        tracing::info!("minimum levels were changed over the API: {}", self.shared.levels.to_json());
        Ok(self.shared.levels.to_json())
    }

    fn erase(&self, records: ErasedRecords, cancelled: Arc<AtomicBool>) -> Result<Value, ApiError> {
        let ErasedRecords { query: text, dry_run, all, within } = records;
        let within = within.unwrap_or(limits::ERASE_TIME);
        self.erase_records(erase::Request { text, dry_run, all, within }, cancelled)
    }

    fn audit(&self, entry: AuditEntry) {
        // Nobody waits for the answer: the act is done or refused already.
        let (reply, _) = oneshot::channel();
        let submitted = audit_record(&entry)
            .is_some_and(|batch| self.sender.submit(Delivery { batch, bad: Vec::new(), key: None, reply }).is_ok());
        if !submitted {
            tracing::error!("this could not be recorded: {entry:?}");
        }
    }
}

/// The record about an act.
pub fn audit_record(entry: &AuditEntry) -> Option<Batch> {
    let (level, outcome, reason) = match &entry.outcome {
        Outcome::Done => ("INFO", "done", None),
        Outcome::Refused(reason) => ("WARNING", "refused", Some(reason)),
        Outcome::Failed(reason) => ("WARNING", "failed", Some(reason)),
    };
    let who = entry.who.as_deref().unwrap_or("somebody");
    let about = if entry.about.is_empty() { String::new() } else { format!(" `{}`", entry.about) };
    let record = json!({
        "level": level, "source": AUDIT,
        "message": format!("{who} from {}: {}{about}: {outcome}", entry.address, entry.act),
        "act": entry.act, "about": entry.about, "who": entry.who, "address": entry.address.to_string(),
        "outcome": outcome, "reason": reason, "details": entry.details,
    });
    let mut batch = Batch::new();
    let (aliases, received_ns) = (Aliases::none(), now_ns());
    let defaults = Defaults {
        received_ns,
        source: AUDIT,
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    read_json(record.to_string().as_bytes(), &defaults, &mut batch).ok()?;
    (batch.len() == 1).then_some(batch)
}

fn refused(error: SwapError) -> ApiError {
    let status = match error {
        SwapError::NoFilter(_) => StatusCode::NOT_FOUND,
        SwapError::NotKept(_) => StatusCode::CONFLICT,
        SwapError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    ApiError::new(status, error.to_string())
}

fn unreadable(error: std::io::Error) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, format!("the quarantine can't be read or written: {error}"))
}
