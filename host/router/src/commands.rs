//! What each command of the command line does.

mod compile;
mod completions;
mod filter;
mod journal;
mod quarantine;
mod run;
pub mod show;
mod sinks;
mod validate;
mod when;

use std::process::ExitCode;

use rustix::fs::Mode;
use weir_engine::CompileBounds;

pub use quarantine::settings as stored_settings;

use crate::cli::{Command, ConfigCommand};

/// What this process makes from here on is for its owner alone, whatever the umask was: the data folder, its databases
/// with their write-ahead logs, compiled filters. Log files and their folders say themselves what they are.
fn keep_to_owner() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Performs a command; the code is what the process exits with.
pub fn perform(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::run(&args),
        Command::Validate(args) => return validate::run(&args),
        Command::Filter(command) => return filter::run(command),
        Command::Sinks(args) => return sinks::run(&args),
        Command::Journal(command) => {
            keep_to_owner();
            return journal::run(command);
        }
        Command::Quarantine(command) => {
            keep_to_owner();
            quarantine::run(command)?;
        }
        Command::Config(ConfigCommand::Init) => show::text(crate::config::START)?,
        Command::Config(ConfigCommand::Schema) => show::json(&crate::config::schema())?,
        Command::Bench(args) => crate::bench::run(&args)?,
        Command::Compile { cache, memory_bytes, seconds } => {
            return compile::run(&cache, CompileBounds { memory_bytes, seconds });
        }
        Command::Completions { shell } => completions::run(shell),
        Command::BenchFloor { folder } => {
            tokio::runtime::Runtime::new()?.block_on(crate::bench::floor::serve(&folder))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
