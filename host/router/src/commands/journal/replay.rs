//! `weir journal replay`: delivers records from the journal to a sink again.
//!
//! Reads the journal's files while a router may be writing them, and delivers with its own instance of the sink.
//! Neither the router nor the sink's position in the journal is affected.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use weir_journal::{Disk, Entry, Journal, Keys, OpenError, inspect};
use weir_query::{Query, moment};
use weir_record::escape::escaped;
use weir_record::{Batch, time};
use weir_sinks::{BuildContext, Indexes, Kind, Reach, Replay, Replayed, Selected, SinkError};

use crate::cli::ReplayArgs;
use crate::commands::quarantine::settings;
use crate::config::{Settings, SinkSettings};
use crate::place::DataLocation;
use crate::{encryption, identity, limits, parts};

/// A position in the journal.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Position {
    Sequence(u64),
    TimeNs(i64),
}

impl Position {
    /// Parses a sequence number, a time, a date or an age.
    fn read(text: &str, now_ns: i64) -> anyhow::Result<Position> {
        if let Ok(sequence) = text.parse() {
            return Ok(Position::Sequence(sequence));
        }
        match moment::time_ns(text, now_ns) {
            Some(ns) => Ok(Position::TimeNs(ns)),
            None => bail!("`{text}` is not a time or sequence number; write {}, or a sequence number", moment::FORMS),
        }
    }

    /// Whether the entry is before this position.
    fn is_after(self, entry: &Entry) -> bool {
        match self {
            Position::Sequence(sequence) => entry.sequence < sequence,
            Position::TimeNs(ns) => entry.time_ns < ns,
        }
    }

    /// Whether the entry is after this position.
    fn is_before(self, entry: &Entry) -> bool {
        match self {
            Position::Sequence(sequence) => entry.sequence > sequence,
            Position::TimeNs(ns) => entry.time_ns > ns,
        }
    }
}

pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.stored)?;
    let now_ns = time::now_ns();
    let from = Position::read(&args.from, now_ns)?;
    let to = args.to.as_deref().map(|to| Position::read(to, now_ns)).transpose()?;
    let folder = parts::journal_folder(&settings);
    if !folder.is_dir() {
        bail!("there is no journal in {}; give the router's data folder with --data", folder.display());
    }
    let (sink, kind) = find(&settings, &args.sink)?;
    // A copied data folder must not touch the files of the original.
    DataLocation::check(&settings.data, false)?;
    if kind.reach == Reach::Router {
        bail!(
            "sink `{}` of type `{}` keeps its counts in the router: records can't be replayed to it",
            sink.name,
            kind.name
        );
    }
    let disk = Disk::new(&folder);
    let keys = encryption::keys(&settings)?;
    // Held until the end, so that no router starts in the meantime.
    let _lock =
        (kind.reach == Reach::OneProcess).then(|| lock_journal(&settings, &args.sink, keys.clone())).transpose()?;
    let context = BuildContext {
        data: settings.data.clone(),
        base: settings.folder.clone(),
        journal_id: identity::of_journal(&folder)?,
        started_ns: now_ns,
        ..BuildContext::default()
    };
    context.owners.configure(parts::sinks_with_files(&settings.sinks));
    let built = kind.create(&sink.name, sink.options.clone(), &context).map_err(anyhow::Error::msg)?;
    let replay = Replay::new(&sink.name, parts::sink(sink).selection, built);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut work = ReplayRun {
        replay,
        runtime,
        queries: &args.queries,
        waiting: Vec::new(),
        waiting_bytes: 0,
        bar: bar(last_of(&disk, &keys, to)?),
        first_seen: None,
        found: 0,
        taken: 0,
        refused: 0,
        is_started: false,
        dry_run: args.dry_run,
    };
    let mut outcome = Ok(());
    let after = match from {
        Position::Sequence(sequence) => sequence.saturating_sub(1),
        Position::TimeNs(_) => 0,
    };
    inspect::entries(&disk, &keys, after, |entry| {
        if from.is_after(&entry) {
            return true;
        }
        if to.is_some_and(|to| to.is_before(&entry)) {
            return false;
        }
        outcome = work.take(entry);
        outcome.is_ok()
    })?;
    outcome.and_then(|()| work.deliver())?;
    work.bar.finish_and_clear();
    weir_terminal::text(&work.summary(&args.sink))?;
    Ok(if work.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn find<'s>(settings: &'s Settings, name: &str) -> anyhow::Result<(&'s SinkSettings, &'static Kind)> {
    let Some(sink) = settings.sinks.iter().find(|sink| sink.name == name) else {
        let names: Vec<_> = settings.sinks.iter().map(|sink| sink.name.as_str()).collect();
        bail!("there is no sink `{name}`; there are {}", names.join(", "));
    };
    let kind = weir_sinks::kind(&sink.kind).with_context(|| format!("unknown sink type `{}`", sink.kind))?;
    Ok((sink, kind))
}

/// Takes the journal's lock, for a sink that only one process may write to.
fn lock_journal(settings: &Settings, sink: &str, keys: Keys) -> anyhow::Result<Journal> {
    let disk = Disk::new(parts::journal_folder(settings));
    match Journal::open(Arc::new(disk), parts::journal(settings, keys)) {
        Ok((journal, _)) => Ok(journal),
        Err(OpenError::Locked { .. }) => bail!(
            "a router is running on this journal and owns the files of sink `{sink}`; stop it first, or replay to a \
             sink of another type"
        ),
        Err(error) => Err(error.into()),
    }
}

/// The end of the progress bar: the requested or the newest sequence number.
fn last_of(disk: &Disk, keys: &Keys, to: Option<Position>) -> anyhow::Result<u64> {
    if let Some(Position::Sequence(sequence)) = to {
        return Ok(sequence);
    }
    Ok(inspect::newest(disk, keys, 1)?.last().map_or(0, |entry| entry.sequence))
}

/// The progress bar, which is shown only on a terminal.
fn bar(last: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} batch {pos} of {len}, {msg}, {elapsed}, {eta} to go")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(last).with_style(style)
}

struct ReplayRun<'a> {
    replay: Replay,
    runtime: tokio::runtime::Runtime,
    queries: &'a [Query],
    waiting: Vec<Selected>,
    waiting_bytes: usize,
    bar: ProgressBar,
    first_seen: Option<u64>,
    found: u64,
    taken: u64,
    refused: u64,
    is_started: bool,
    dry_run: bool,
}

impl ReplayRun<'_> {
    fn take(&mut self, entry: Entry) -> anyhow::Result<()> {
        let Ok(batch) = Batch::decode(&entry.payload) else {
            eprintln!("weir: batch {} can't be decoded and is skipped", entry.sequence);
            return Ok(());
        };
        // The bar covers only the replayed range.
        let first = *self.first_seen.get_or_insert(entry.sequence);
        self.bar.set_length(self.bar.length().unwrap_or(0).max(entry.sequence).max(first));
        let wanted = |index: &usize| {
            let record = batch.record(*index);
            self.replay.selection().takes(record) && self.queries.iter().all(|query| query.matches(record))
        };
        // The journal's payload limit keeps a frame far below 2^32 records.
        let indexes: Vec<u32> = (0..batch.len()).filter(wanted).map(|index| index as u32).collect();
        self.found += indexes.len() as u64;
        if indexes.is_empty() {
            return Ok(());
        }
        self.waiting_bytes += entry.payload.len();
        self.waiting.push(Selected {
            sequence: entry.sequence,
            time_ns: entry.time_ns,
            batch: Arc::new(batch),
            indexes: Indexes::These(indexes),
            complete: true,
        });
        if self.waiting_bytes >= weir_sinks::limits::READ_BYTES { self.deliver() } else { Ok(()) }
    }

    fn attempt(&mut self, frames: &[Selected]) -> Result<Replayed, SinkError> {
        let outcome = self.runtime.block_on(async {
            if !self.is_started {
                self.replay.start().await?;
            }
            self.replay.deliver(frames.to_vec()).await
        });
        self.is_started = outcome.is_ok();
        outcome
    }

    fn deliver(&mut self) -> anyhow::Result<()> {
        let frames = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        let Some((first, last)) = frames.first().zip(frames.last()).map(|(f, l)| (f.sequence, l.sequence)) else {
            return Ok(());
        };
        if self.dry_run {
            return Ok(());
        }
        for attempt in 0.. {
            let failed = match self.attempt(&frames) {
                Ok(done) => {
                    self.taken += done.taken;
                    self.refused += done.refused;
                    break;
                }
                Err(failed) => failed,
            };
            let wait = match &failed {
                SinkError::Later(_, wait) => *wait,
                _ => Duration::from_secs(1 << attempt.min(5)),
            };
            // It may repeat what a server has answered.
            let said = failed.to_string();
            let said = escaped(&said);
            if !failed.is_temporary() || attempt + 1 == limits::REPLAY_ATTEMPTS {
                self.bar.abandon();
                let taken = self.taken;
                bail!("{taken} records were delivered; fix the cause, then continue with --from {first}: {said}");
            }
            self.bar.println(format!("{said}; retrying in {} s", wait.as_secs()));
            if self.bar.is_hidden() {
                eprintln!("weir: {said}; retrying in {} s", wait.as_secs());
            }
            std::thread::sleep(wait);
        }
        self.bar.set_position(last);
        self.bar.set_message(format!("{} records", self.taken));
        Ok(())
    }

    fn summary(&self, sink: &str) -> String {
        if self.dry_run {
            return format!("{} records would go to sink `{sink}`\n", self.found);
        }
        let mut text = format!("{} records replayed to sink `{sink}`\n", self.taken);
        if self.refused > 0 {
            text.push_str(&format!("{} records were refused and stay in the journal\n", self.refused));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_number_a_time_a_date_or_an_age() {
        let now = 1_764_000_000_000_000_000;
        let read = |text| Position::read(text, now).expect(text);
        assert_eq!(read("17"), Position::Sequence(17));
        assert_eq!(read("2h"), Position::TimeNs(now - 7_200_000_000_000));
        assert_eq!(read("1970-01-02"), Position::TimeNs(86_400_000_000_000));
        assert_eq!(read("1970-01-01T00:00:01Z"), Position::TimeNs(1_000_000_000));
        for wrong in ["", "yesterday", "-1", "1970-13-01"] {
            assert!(
                Position::read(wrong, now).expect_err(wrong).to_string().contains("is not a time or sequence number")
            );
        }
    }
}
