//! The `weir` binary: the command line, and the wiring of all crates.
//!
//! | file | purpose |
//! |---|---|
//! | `cli.rs` | the command line and its help |
//! | `commands/` | the implementation of each command |
//! | `config/` | the configuration: parsing and validation |
//! | `wiring.rs` | starts the stages from last to first, and stops them from first to last |
//! | `pipeline.rs` | runs deliveries through the filters and into the journal, then answers the senders |
//! | `chains.rs` | the running chain, and replacing it |
//! | `held.rs` | stores records held by filters in the journal, and restores them |
//! | `filters.rs` | the running filters: loading, swapping, the filters folder |
//! | `descriptors.rs` | the limit on open files, and the share of connections |
//! | `versions.rs` | earlier versions of each filter, for rollbacks |
//! | `canary.rs` | trials of new filter versions on copies of live batches |
//! | `parts.rs` | converts settings to the options of each crate |
//! | `paths.rs` | checks that configured paths are writable |
//! | `sink_set.rs` | the running sinks |
//! | `source_set.rs` | the running sources |
//! | `positions.rs` | how far sources have read, in the journal |
//! | `live.rs` | feeds the live stream from the journal |
//! | `reading.rs` | connects the HTTP server with the API for reading |
//! | `reload.rs` | reloads the configuration and the filters, on changes and SIGHUP |
//! | `repeats.rs` | deliveries with a key arrive once |
//! | `intake.rs` | the interface for ingest: submit, health, metrics |
//! | `health.rs` | the overall health state and its reasons |
//! | `stages.rs` | supervises and restarts threads |
//! | `refused.rs` | the refused configuration and modules |
//! | `quarantine.rs` | storage for records that could not be processed |
//! | `encryption.rs` | the keys that the journal and the quarantine are encrypted with |
//! | `identity.rs` | the journal's unique id and the replay key |
//! | `rights.rs` | tightens the permissions of a data folder that others may use |
//! | `place.rs` | detects a data folder that was copied or moved |
//! | `certificates.rs` | the certificate of the servers, and changes of its files |
//! | `tokens.rs` | the tokens of the configuration and of the data folder |
//! | `levels.rs` | minimum levels, changed while the router runs |
//! | `listeners.rs` | the listeners of `[[listen]]` |
//! | `control.rs`, `control/` | what the API reports about the router and changes in it |
//! | `erase.rs`, `erase/` | erases records from everything that Weir keeps |
//! | `sample.rs` | recent records on which new filters are tested |
//! | `logging.rs` | Weir's own log |
//! | `limits.rs` | limits |

/// In place of the standard library's, here and in all modules: that one panics if standard error can't be written to,
/// and neither the router nor an application under `weir exec` may end because a disk is full or a reader has ended.
macro_rules! eprint {
    ($($text:tt)*) => {{
        _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!($($text)*));
    }};
}

/// The same, with the end of the line.
macro_rules! eprintln {
    ($($text:tt)*) => {
        eprint!("{}\n", format_args!($($text)*))
    };
}

mod canary;
mod certificates;
mod chains;
mod cli;
mod commands;
mod config;
mod control;
mod descriptors;
mod encryption;
mod erase;
mod filters;
mod health;
mod held;
mod identity;
mod intake;
mod levels;
mod limits;
mod listeners;
mod live;
mod logging;
mod parts;
mod paths;
mod pipeline;
mod place;
mod positions;
mod quarantine;
mod reading;
mod refused;
mod reload;
mod repeats;
mod rights;
mod sample;
mod sink_set;
mod source_set;
mod stages;
mod tokens;
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
