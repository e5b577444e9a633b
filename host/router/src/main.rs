//! The `weir` binary: everything that knows all the parts.
//!
//! | file | purpose |
//! |---|---|
//! | `cli.rs` | the command line and its help |
//! | `commands/` | what each command does |
//! | `config/` | the configuration file: what it says, then what it means |
//! | `condition.rs` | conditions on records, as people type them |
//! | `wiring.rs` | builds the parts from the last to the first, stops them from the first to the last |
//! | `pipeline.rs` | deliveries through the filters into the journal, and the answers back |
//! | `chains.rs` | the chain that runs, and its exchange |
//! | `held.rs` | records that filters hold back, into the journal and back |
//! | `filters.rs` | which filters run: loading, swapping, the filters folder |
//! | `descriptors.rs` | the limit of open files, and what of it connections may take |
//! | `versions.rs` | the versions of each filter that ran, to go back to |
//! | `canary.rs` | a new version on trial in the shadow of the running one |
//! | `parts.rs` | what the configuration means to each part |
//! | `paths.rs` | whether what the configuration wants written can be written |
//! | `sink_set.rs` | which sinks run |
//! | `reload.rs` | watches configuration and filters folder; SIGHUP |
//! | `intake.rs` | what ingest asks of the router: submit, health, metrics |
//! | `health.rs` | how the router is as a whole, and why |
//! | `stages.rs` | the threads that records depend on, watched and started again |
//! | `refused.rs` | configuration and modules that were refused and wait to be mended |
//! | `quarantine.rs` | where records go that nobody could take |
//! | `identity.rs` | the journal's name, which makes positions ids |
//! | `place.rs` | where the data folder is, so that a copy is known |
//! | `sample.rs` | recent records that a new filter is tried on |
//! | `logging.rs` | Weir's own log |
//! | `limits.rs` | the bounds |

mod canary;
mod chains;
mod cli;
mod commands;
mod condition;
mod config;
mod descriptors;
mod filters;
mod health;
mod held;
mod identity;
mod intake;
mod limits;
mod logging;
mod parts;
mod paths;
mod pipeline;
mod place;
mod quarantine;
mod refused;
mod reload;
mod sample;
mod sink_set;
mod stages;
mod versions;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let command = cli.command.unwrap_or_else(|| cli::Command::Run(cli::RunArgs::default()));
    match commands::perform(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("weir: {error:#}");
            ExitCode::FAILURE
        }
    }
}
