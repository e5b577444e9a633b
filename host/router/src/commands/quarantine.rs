//! `weir quarantine`: lists, replays and deletes quarantined records.

mod choice;
mod delete;
mod list;
mod replay;

use anyhow::ensure;

use super::run;
use crate::cli::{DataArgs, QuarantineCommand, RunArgs};
use crate::config::Settings;
use crate::quarantine::QuarantineFolder;
use crate::{encryption, parts};

pub fn run(command: QuarantineCommand) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::List(args) => list::run(&args),
        QuarantineCommand::Delete(args) => delete::run(&args),
        QuarantineCommand::Replay { stored, running } => {
            let settings = settings(&stored)?;
            ensure!(
                running.is_here(&settings),
                "a replay shows the router the key of the data folder, which only a router on this machine may have; \
                 give an address of this machine, such as 127.0.0.1:8080"
            );
            replay::replay(&settings, &running.router(&settings)?)
        }
    }
}

/// The quarantine of these settings.
pub fn folder(settings: &Settings) -> anyhow::Result<QuarantineFolder> {
    Ok(QuarantineFolder { path: parts::quarantine_folder(settings), keys: encryption::keys(settings)? })
}

/// Loads the settings of the router whose data a command reads.
pub fn settings(stored: &DataArgs) -> anyhow::Result<Settings> {
    run::settings(&RunArgs { config: stored.config.clone(), data: stored.data.clone(), ..RunArgs::default() })
}
