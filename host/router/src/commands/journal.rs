//! `weir journal`: inspects, replays and repairs the journal, and makes keys for it.

mod replay;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use weir_journal::inspect::Inspection;
use weir_journal::{Disk, Journal, OnDamage, Options};

use super::quarantine::settings;
use crate::cli::JournalCommand;
use crate::config::Settings;
use crate::encryption;
use crate::parts;

pub fn run(command: JournalCommand) -> anyhow::Result<ExitCode> {
    match command {
        JournalCommand::Inspect { stored, json } => inspect(&settings(&stored)?, json),
        JournalCommand::Replay(args) => replay::run(&args),
        JournalCommand::Salvage { stored } => salvage(&settings(&stored)?),
        JournalCommand::NewKey { file } => {
            encryption::new_key(file.as_deref())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn inspect(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let folder = parts::journal_folder(settings);
    if !folder.is_dir() {
        bail!("there is no journal in {}; give the router's data folder with --data", folder.display());
    }
    let found = weir_journal::inspect::inspect(&Disk::new(&folder), &encryption::keys(settings)?)?;
    match json {
        true => weir_terminal::json(&found)?,
        false => weir_terminal::text(&table(&found))?,
    }
    Ok(match found.is_sound() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Segments, readers and problems as text.
fn table(found: &Inspection) -> String {
    let mut text =
        format!("{:<28} {:>10} {:>9} {:>11}  {:<8}  sequences\n", "segment", "size", "batches", "records", "key");
    for segment in &found.segments {
        let sequences = segment.sequences.map_or("none".into(), |(first, last)| format!("{first} to {last}"));
        text.push_str(&format!(
            "{:<28} {:>10} {:>9} {:>11}  {:<8}  {sequences}\n",
            segment.name,
            weir_terminal::size(segment.size_bytes),
            segment.frames,
            segment.records,
            segment.key.as_deref().unwrap_or("none")
        ));
    }
    text.push_str(&format!("\n{:<28} {:>20} {:>11}\n", "reader", "delivered up to", "to deliver"));
    for cursor in &found.cursors {
        text.push_str(&format!("{:<28} {:>20} {:>11}\n", cursor.name, cursor.committed, cursor.lag_records));
    }
    for file in &found.set_aside {
        text.push_str(&format!("\nset aside earlier: {file}\n"));
    }
    let problems = found.segments.iter().flat_map(|segment| &segment.problems).chain(&found.problems);
    for problem in problems {
        text.push_str(&format!("\ndamaged: {problem}\n"));
    }
    text
}

fn salvage(settings: &Settings) -> anyhow::Result<ExitCode> {
    let disk = Disk::new(parts::journal_folder(settings));
    let options = Options { on_damage: OnDamage::SetAside, ..parts::journal(settings, encryption::keys(settings)?) };
    let (journal, recovery) = Journal::open(Arc::new(disk), options)?;
    journal.close();
    weir_terminal::text(&format!(
        "{}\n",
        recovery.summary().unwrap_or_else(|| "the journal is intact: nothing to do".to_string())
    ))?;
    Ok(ExitCode::SUCCESS)
}
