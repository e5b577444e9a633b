//! Erases records in the data folder of a stopped router, and from its sinks.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use weir_api::AuditEntry;
use weir_journal::erase::count;
use weir_journal::storage::Storage;
use weir_journal::{Disk, Journal, Keys, Ledger, OpenError};
use weir_record::time::now_ns;
use weir_sinks::BuildContext;

use super::{Job, Outcome, Report, release_held};
use crate::config::{Settings, SinkSettings};
use crate::place::DataLocation;
use crate::quarantine::QuarantineFolder;
use crate::{control, encryption, identity, parts};

/// Erases, or counts. `audit` makes the entry that is recorded about it from the report. `None`: a router is running.
pub fn erase_in_folder(
    settings: &Settings,
    job: &Job,
    audit: impl FnOnce(&Value) -> AuditEntry,
) -> anyhow::Result<Option<Value>> {
    let folder = parts::journal_folder(settings);
    if !folder.is_dir() {
        bail!("there is no journal in {}; give the router's data folder with --data", folder.display());
    }
    // A copied data folder must not touch the files of the original.
    DataLocation::check(&settings.data, false)?;
    let disk = Disk::new(&folder);
    let keys = encryption::keys(settings)?;
    if job.erasure.dry_run {
        // Held until the end, so that no router starts meanwhile.
        let Some(_lock) = disk.lock().with_context(|| format!("can't lock {}", folder.display()))? else {
            return Ok(None);
        };
        let report = counted(settings, job, &disk, keys)?;
        return Ok(Some(report.to_json(job)));
    }
    let journal = match Journal::open(Arc::new(disk), parts::journal(settings, keys.clone())) {
        Ok((journal, _)) => journal,
        Err(OpenError::Locked { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let report = erased(settings, job, &journal, keys)?.to_json(job);
    record(&journal, audit(&report));
    journal.close();
    Ok(Some(report))
}

fn counted(settings: &Settings, job: &Job, disk: &Disk, keys: Keys) -> anyhow::Result<Report> {
    let mut report = Report::default();
    report
        .add("journal", job.erase_from_journal(|chosen| count(disk, &keys, chosen).map_err(|error| error.to_string())));
    add_the_rest(settings, job, 0, keys, &mut report)?;
    Ok(report)
}

fn erased(settings: &Settings, job: &Job, journal: &Journal, keys: Keys) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let up_to = journal.close_segment()?;
    let released = release_held(journal, &job.erasure.query);
    let outcome = match released {
        Ok(_) => job.erase_from_journal(|chosen| Ok(journal.erase(up_to, chosen))),
        Err(reason) => Outcome::Failed(reason),
    };
    report.add("journal", outcome);
    add_the_rest(settings, job, journal.last_sequence(), keys, &mut report)?;
    Ok(report)
}

/// Quarantine and sinks.
fn add_the_rest(
    settings: &Settings,
    job: &Job,
    last_sequence: u64,
    keys: Keys,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = parts::journal_folder(settings);
    for name in set_aside(&folder) {
        report.add(name, Outcome::OutOfReach("it is damaged and was set aside; delete the file".into()));
    }
    let quarantine = QuarantineFolder { path: parts::quarantine_folder(settings), keys };
    report.add("quarantine", job.erase_from_quarantine(&quarantine, i64::MAX));
    let context = BuildContext {
        data: settings.data.clone(),
        base: settings.folder.clone(),
        journal_id: identity::of_journal(&folder)?,
        started_ns: now_ns(),
        ..BuildContext::default()
    };
    context.owners.configure(parts::sinks_with_files(&settings.sinks));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // All are built first, since each reserves its files.
    let built: Vec<_> = settings.sinks.iter().map(|sink| (sink, build(sink, &context))).collect();
    for (sink, built) in built {
        job.begin(&format!("sink `{}`", sink.name));
        let answer = match built {
            Ok(mut built) => {
                let erasing = built.erase(&job.erasure, last_sequence);
                runtime.block_on(erasing).map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason),
        };
        report.add(format!("sink `{}`", sink.name), Outcome::of(&sink.kind, answer));
    }
    Ok(())
}

fn build(sink: &SinkSettings, context: &BuildContext) -> Result<Box<dyn weir_sinks::Sink>, String> {
    let kind = weir_sinks::kind(&sink.kind).ok_or_else(|| format!("unknown type `{}`", sink.kind))?;
    kind.create(&sink.name, sink.options.clone(), context)
}

/// Records it in the journal, from where the sinks get it after the next start.
fn record(journal: &Journal, entry: AuditEntry) {
    let Some(batch) = control::audit_record(&entry) else { return };
    if journal.append_and_wait(batch.encode(), batch.len() as u32, Ledger::default()).is_err() {
        eprintln!("weir: this could not be recorded: {entry:?}");
    }
}

/// Damaged segments that were set aside: Weir never changes them.
pub fn set_aside(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.path()).filter(|path| is_set_aside(path)).collect();
    names.sort();
    names.iter().map(|path| path.display().to_string()).collect()
}

fn is_set_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".damaged"))
}
