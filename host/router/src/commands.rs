//! The implementation of each command.

mod bench_search;
mod compile;
mod completions;
mod erase;
mod exec;
mod filter;
mod journal;
mod levels;
mod quarantine;
mod query;
mod run;
mod sinks;
mod tail;
mod tls;
mod token;
mod validate;

use std::process::ExitCode;

use crate::cli::{Command, ConfigCommand};
use anyhow::Context;
use rustix::fs::Mode;
use weir_engine::CompileBounds;

/// Makes everything that this process creates accessible only to its owner, regardless of the umask: the data folder,
/// databases with their write-ahead logs, compiled filters. Log files and their folders set their own mode.
fn keep_to_owner() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Runs a command and returns the exit code.
pub fn perform(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::run(&args),
        Command::Exec(args) => return exec::run(&args),
        Command::Validate(args) => return validate::run(&args),
        Command::Filter(command) => return filter::run(command),
        Command::Sinks(args) => return sinks::run(&args),
        Command::Tail(args) => tail::run(&args)?,
        Command::Levels(args) => levels::run(&args)?,
        Command::Token(args) => {
            keep_to_owner();
            token::run(&args)?;
        }
        Command::Tls(command) => {
            keep_to_owner();
            tls::run(&command)?;
        }
        Command::Query(args) => {
            keep_to_owner();
            query::run(&args)?;
        }
        Command::Erase(args) => {
            keep_to_owner();
            return erase::run(&args);
        }
        Command::Journal(command) => {
            keep_to_owner();
            return journal::run(command);
        }
        Command::Quarantine(command) => {
            keep_to_owner();
            quarantine::run(command)?;
        }
        Command::Config(ConfigCommand::Init) => weir_terminal::text(crate::config::START)?,
        Command::Config(ConfigCommand::Schema) => weir_terminal::json(&crate::config::schema())?,
        Command::Bench(args) => {
            let redact = weir_filter_kit::bundled::module("redact").context("the filter `redact` is not bundled")?;
            // A case has a thousand connections.
            crate::descriptors::raise_limit();
            if args.cases.iter().any(|case| case == weir_bench::SEARCH) {
                bench_search::run(&args)?;
            }
            weir_bench::run(&args, redact)?;
        }
        Command::Compile { cache, memory_bytes, seconds } => {
            return compile::run(&cache, CompileBounds { memory_bytes, seconds });
        }
        Command::Completions { shell } => completions::run(shell)?,
        Command::BenchFloor { folder } => {
            tokio::runtime::Runtime::new()?.block_on(weir_bench::floor::serve(&folder))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
