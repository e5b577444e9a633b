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

use std::process::ExitCode;

pub use quarantine::settings as stored_settings;

use crate::cli::{Command, ConfigCommand};

/// Performs a command; the code is what the process exits with.
pub fn perform(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::run(&args),
        Command::Validate(args) => return validate::run(&args),
        Command::Filter(command) => return filter::run(command),
        Command::Sinks(args) => return sinks::run(&args),
        Command::Journal(command) => return journal::run(command),
        Command::Quarantine(command) => quarantine::run(command)?,
        Command::Config(ConfigCommand::Schema) => {
            show::json(&crate::config::schema())?;
        }
        Command::Bench(args) => crate::bench::run(&args)?,
        Command::Compile { cache } => return compile::run(&cache),
        Command::Completions { shell } => completions::run(shell),
        Command::BenchFloor { folder } => {
            tokio::runtime::Runtime::new()?.block_on(crate::bench::floor::serve(&folder))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
