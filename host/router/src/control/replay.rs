//! Processes entries of the quarantine again: what a sink refused goes to that sink alone, everything else through the
//! filters.
//!
//! An entry is deleted once its record is stored elsewhere, so a crash in between repeats a record, and loses none.

use std::collections::{BTreeMap, HashSet};
use std::io;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_ingest::{Delivery, Receipt, Refusal};
use weir_record::Batch;

use super::Control;
use crate::limits;
use crate::quarantine::browse::{self, Choice, Place};
use crate::quarantine::{QuarantineEntry, delete};

/// What became of the entries so far.
#[derive(Default)]
struct Outcome {
    /// Entries whose record is stored elsewhere now.
    done: HashSet<Place>,
    /// Those of them that are in quarantine again.
    again: usize,
    left: usize,
    errors: Vec<String>,
}

/// Records to be processed together, with the places of their entries.
#[derive(Default)]
struct Group {
    batch: Batch,
    places: Vec<Place>,
}

impl Control {
    /// Replays the chosen entries.
    pub fn replay_entries(&self, choice: &Choice) -> io::Result<Value> {
        let folder = self.shared.quarantine.folder();
        let mut outcome = Outcome::default();
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        browse::each(folder, |place, entry| {
            if choice.has(&place, &entry) {
                self.take(place, &entry, &mut groups, &mut outcome);
            }
        })?;
        for (from, group) in groups {
            self.replay_group(&from, group, &mut outcome);
        }
        delete::delete(folder, |place, _| outcome.done.contains(place), false)?;
        let replayed = outcome.done.len() - outcome.again;
        tracing::info!("{replayed} entries of the quarantine were replayed over the API");
        let left = outcome.left + outcome.again;
        Ok(json!({ "replayed": replayed, "left": left, "errors": outcome.errors }))
    }

    /// Adds a record to its group, and replays that when it is large.
    fn take(&self, place: Place, entry: &QuarantineEntry, groups: &mut BTreeMap<String, Group>, outcome: &mut Outcome) {
        let Some(record) = entry.record.as_ref().filter(|_| !entry.raw) else {
            outcome.left += 1;
            return;
        };
        let group = groups.entry(entry.from.clone()).or_default();
        group.batch.push(record);
        group.places.push(place);
        let is_many = entry.from.starts_with("sink:") && group.places.len() >= limits::REPLAY_SINK_RECORDS;
        if group.batch.byte_len() >= limits::REPLAY_BYTES || is_many {
            let group = std::mem::take(group);
            self.replay_group(&entry.from, group, outcome);
        }
    }

    fn replay_group(&self, from: &str, group: Group, outcome: &mut Outcome) {
        match from.strip_prefix("sink:") {
            Some(sink) => self.to_sink(sink, &group, outcome),
            None => self.through_filters(&group, outcome),
        }
    }

    /// Gives records to one sink.
    fn to_sink(&self, sink: &str, group: &Group, outcome: &mut Outcome) {
        match self.runtime.block_on(self.queues.give(sink, group.batch.clone())) {
            Ok(refused) => {
                if !refused.is_empty() {
                    outcome.note(format!("sink `{sink}` refuses records again"));
                }
                outcome.stored(&group.places, &refused.into_iter().collect());
            }
            // Which of them it has is not known.
            Err(error) => {
                let again = "the records that it took before that arrive again with the next replay";
                outcome.keep(group.places.len(), format!("sink `{sink}`: {error}; {again}"));
            }
        }
    }

    fn through_filters(&self, group: &Group, outcome: &mut Outcome) {
        match self.submit(group.batch.clone()) {
            Ok(Receipt { quarantined, rejected }) => {
                outcome.again += quarantined.len();
                let errors = quarantined.iter().take(1).map(|record| record.error.clone());
                errors.for_each(|error| outcome.note(error));
                outcome.stored(&group.places, &rejected.iter().map(|record| record.index as usize).collect());
            }
            Err(error) => outcome.keep(group.places.len(), error),
        }
    }

    /// Passes records to the pipeline, and waits until they are durable.
    fn submit(&self, batch: Batch) -> Result<Receipt, String> {
        let (reply, answer) = oneshot::channel();
        let refusal = |refusal| match refusal {
            Refusal::Busy(reason) | Refusal::Full(reason) | Refusal::Conflict(reason) | Refusal::Failed(reason) => {
                reason
            }
        };
        self.sender.submit(Delivery { batch, bad: Vec::new(), key: None, reply }).map_err(refusal)?;
        match self.runtime.block_on(async { timeout(limits::REPLAY_ANSWER, answer).await }) {
            Ok(Ok(outcome)) => outcome.map_err(refusal),
            Ok(Err(_)) => Err("the pipeline ended before it confirmed the records".to_owned()),
            Err(_) => Err("the records were not stored in time and may still be".to_owned()),
        }
    }
}

impl Outcome {
    /// The records of these entries are stored elsewhere, except those with the indexes in `refused`, which stay.
    fn stored(&mut self, places: &[Place], refused: &HashSet<usize>) {
        self.left += refused.len();
        let stored = places.iter().enumerate().filter(|(index, _)| !refused.contains(index));
        self.done.extend(stored.map(|(_, place)| place.clone()));
    }

    /// Some entries stay.
    fn keep(&mut self, count: usize, error: String) {
        self.left += count;
        self.note(error);
    }

    /// Keeps a few different errors.
    fn note(&mut self, error: String) {
        if self.errors.len() < limits::REPLAY_ERRORS && !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }
}
