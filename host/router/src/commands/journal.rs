//! `weir journal`: what the journal holds, and the way on when it is damaged.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use weir_journal::{Disk, Journal, OnDamage, Options};

use super::quarantine::settings;
use super::show;
use crate::cli::JournalCommand;
use crate::config::Settings;
use crate::parts;

pub fn run(command: JournalCommand) -> anyhow::Result<ExitCode> {
    match command {
        JournalCommand::Inspect { stored, json } => inspect(&settings(&stored)?, json),
        JournalCommand::Salvage { stored } => salvage(&settings(&stored)?),
    }
}

fn inspect(settings: &Settings, json: bool) -> anyhow::Result<ExitCode> {
    let folder = parts::journal_folder(settings);
    let found = weir_journal::inspect::inspect(&folder)
        .with_context(|| format!("can't read the journal {}", folder.display()))?;
    match json {
        true => show::json(&found)?,
        false => show::text(&found.to_string())?,
    }
    Ok(match found.is_damaged() {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn salvage(settings: &Settings) -> anyhow::Result<ExitCode> {
    let disk = Disk::new(parts::journal_folder(settings))?;
    let options = Options {
        on_damage: OnDamage::SetAside,
        ..parts::journal(settings)
    };
    let (journal, recovery) = Journal::open(Arc::new(disk), options)?;
    journal.close();
    show::text(&format!(
        "{}\n",
        recovery
            .summary()
            .unwrap_or_else(|| "the journal is whole: there was nothing to do".to_string())
    ))?;
    Ok(ExitCode::SUCCESS)
}
