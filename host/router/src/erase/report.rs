//! What became of an erasure, place by place.

use serde_json::{Value, json};
use weir_sinks::Erased;

use super::Job;

/// What became of it in one place.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many records are erased, or would be.
    Erased { records: u64, detail: Option<String> },
    /// They must be erased where they are.
    OutOfReach(String),
    /// It should have been possible.
    Failed(String),
}

impl Outcome {
    /// What a sink of this type has answered.
    pub fn of(kind: &str, answer: Result<Erased, String>) -> Outcome {
        match answer {
            Ok(Erased::Records(records)) => Outcome::Erased { records, detail: None },
            Ok(Erased::OutOfReach(Some(reason))) => Outcome::OutOfReach(reason),
            Ok(Erased::OutOfReach(None)) => {
                Outcome::OutOfReach(format!("a sink of type {kind} gives records away; erase them there"))
            }
            Err(reason) => Outcome::Failed(reason),
        }
    }
}

/// All places.
#[derive(Debug, Default)]
pub struct Report {
    places: Vec<(String, Outcome)>,
}

impl Report {
    pub fn add(&mut self, place: impl Into<String>, outcome: Outcome) {
        self.places.push((place.into(), outcome));
    }

    pub fn to_json(&self, job: &Job) -> Value {
        let place = |(place, outcome): &(String, Outcome)| match outcome {
            Outcome::Erased { records, detail } => json!({ "place": place, "erased": records, "detail": detail }),
            Outcome::OutOfReach(reason) => json!({ "place": place, "out_of_reach": reason }),
            Outcome::Failed(reason) => json!({ "place": place, "failed": reason }),
        };
        let is_complete = self.places.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Failed(_)));
        json!({
            "query": job.text,
            "dry_run": job.erasure.dry_run,
            "complete": is_complete,
            "places": self.places.iter().map(place).collect::<Vec<_>>(),
        })
    }
}
