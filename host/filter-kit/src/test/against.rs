//! `--against`: compares two versions of a filter, before a swap.
//!
//! Both process the same records, each with its own instance, store and clock. Only the output is compared, not the
//! verdicts that express it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail};
use weir_engine::TestInstance;
use weir_journal::{Disk, Keys, inspect};
use weir_record::Batch;

use super::diff;
use super::run::{self, RecordOutcome, RunResult, pretty};
use crate::limits::SHOWN_DIFFERENCES;

/// The comparison of two versions on the same records.
pub struct Compared {
    pub text: String,
    /// Records on which the new version fails and the old one does not.
    pub newly_failed: usize,
}

/// Runs both versions and reports the differences.
pub fn compare(old: &mut TestInstance, new: &mut TestInstance, records: &Batch, colours: bool) -> Compared {
    let (before, after) = (timed(old, records), timed(new, records));
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut same, mut newly_failed, mut shown) = (0, 0, String::new());
    let pairs = before.ran.outcomes.iter().zip(&after.ran.outcomes);
    for (number, (was, is)) in pairs.enumerate() {
        let Some(difference) = difference(was, is) else {
            same += 1;
            continue;
        };
        newly_failed += usize::from(is.failure.is_some() && was.failure.is_none());
        if counts.values().sum::<usize>() < SHOWN_DIFFERENCES {
            shown.push_str(&one(number, &records.record(number), was, is, &difference, colours));
        }
        *counts.entry(difference).or_default() += 1;
    }
    let mut text = format!("\n{:>8} of {} records: the same\n", same, records.len());
    for (difference, count) in &counts {
        // Writing to a string can't fail; the same applies below.
        let _ = writeln!(text, "{count:>8} {difference}");
    }
    let _ = writeln!(text, "\nns a record: {:.0}, now {:.0}", before.ns(records.len()), after.ns(records.len()));
    let _ = writeln!(text, "memory in KiB: {}, now {}", old.memory_bytes() >> 10, new.memory_bytes() >> 10);
    text.push_str(&counters(&old.counters(), &new.counters()));
    text.push_str(&ticks(old, new, colours));
    for (which, ran) in [("the old", &before.ran), ("the new", &after.ran)] {
        if let Some(failure) = &ran.together {
            let _ = writeln!(text, "\n{which} version failed on records together: {}", failure.reason);
        }
    }
    text.push_str(&shown);
    let differ: usize = counts.values().sum();
    if differ > SHOWN_DIFFERENCES {
        let _ = writeln!(text, "\nand {} more that differ", differ - SHOWN_DIFFERENCES);
    }
    Compared { text, newly_failed }
}

struct Timed {
    ran: RunResult,
    seconds: f64,
}

impl Timed {
    fn ns(&self, records: usize) -> f64 {
        self.seconds * 1e9 / records.max(1) as f64
    }
}

fn timed(trial: &mut TestInstance, records: &Batch) -> Timed {
    let start = Instant::now();
    let ran = run::run(trial, records);
    Timed { ran, seconds: start.elapsed().as_secs_f64() }
}

/// Describes how two outcomes of a record differ. Equal texts are counted together.
fn difference(was: &RecordOutcome, is: &RecordOutcome) -> Option<String> {
    match (&was.failure, &is.failure) {
        (Some(_), Some(_)) => None,
        _ if was.verdict != is.verdict => Some(format!("{}, now {}", was.verdict, is.verdict)),
        _ if was.records != is.records => Some(format!("{} in both, to something else", was.verdict)),
        _ => None,
    }
}

fn one(
    number: usize,
    record: &weir_record::Record<'_>,
    was: &RecordOutcome,
    is: &RecordOutcome,
    difference: &str,
    colours: bool,
) -> String {
    let mut text = format!("\nrecord {}: {difference}\n", number + 1);
    for (which, outcome) in [("before", was), ("now", is)] {
        if let Some(failure) = &outcome.failure {
            text.push_str(&format!("  {which}: {}\n", failure.reason));
        }
    }
    let came = |outcome: &RecordOutcome| outcome.records.iter().map(pretty).collect::<Vec<_>>();
    if was.records.is_empty() && is.records.is_empty() {
        text.push_str(&diff::render(&pretty(*record), &[pretty(*record)], colours));
    } else {
        text.push_str(&diff::render(&came(was).join("\n"), &came(is), colours));
    }
    text
}

fn counters(was: &BTreeMap<String, u64>, is: &BTreeMap<String, u64>) -> String {
    let mut text = String::new();
    let names: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        let [was, is] = [was, is].map(|counters| counters.get(name).copied().unwrap_or(0));
        if was != is {
            let _ = writeln!(text, "counter {name}: {was}, now {is}");
        }
    }
    text
}

/// Compares what each emits at the final tick.
fn ticks(old: &mut TestInstance, new: &mut TestInstance, colours: bool) -> String {
    let [was, is] = [old, new].map(|trial| match trial.tick(true) {
        Ok(said) => said.iter().map(pretty).collect(),
        Err(failure) => vec![format!("failed: {}", failure.reason)],
    });
    match was == is {
        true => String::new(),
        false => format!("\nemitted at the final tick:\n{}", diff::render(&was.join("\n"), &is, colours)),
    }
}

/// The newest records of a journal, oldest first. A router may be writing it.
pub fn last_records(folder: &Path, keys: &Keys, count: usize) -> anyhow::Result<Batch> {
    if !folder.is_dir() {
        bail!("there is no journal in {}; give the router's data folder with --data", folder.display());
    }
    let entries = inspect::newest(&Disk::new(folder), keys, count as u64)?;
    let mut all = Batch::new();
    for entry in entries {
        let batch =
            Batch::decode(&entry.payload).with_context(|| format!("frame {} of the journal", entry.sequence))?;
        // Erased ones are empty maps.
        batch.iter().filter(|record| !record.map().is_empty()).for_each(|record| all.push(record.as_bytes()));
    }
    let mut last = Batch::new();
    last.extend_range(&all, all.len().saturating_sub(count)..all.len());
    if last.is_empty() {
        bail!("the journal in {} holds no records", folder.display());
    }
    Ok(last)
}
