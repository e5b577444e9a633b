//! `weir filter` and its subcommands.

mod build;
mod list;
mod rollback;
mod sign;

use std::process::ExitCode;

use crate::cli::{Colour, FilterCommand, FilterTestArgs};
use crate::parts;

pub fn run(command: FilterCommand) -> anyhow::Result<ExitCode> {
    match command {
        FilterCommand::List(args) => list::run(&args),
        FilterCommand::Rollback(args) => {
            super::keep_to_owner();
            rollback::run(&args)
        }
        FilterCommand::New(args) => build::new(&args),
        FilterCommand::Build { project, bundled: true, output, .. } => build::bundled(&project, output.as_deref()),
        FilterCommand::Build { project, watch: true, into, .. } => build::watch(&project, into.as_deref()),
        FilterCommand::Build { project, into, .. } => build::once(&project, into.as_deref()),
        FilterCommand::NewKey { file } => sign::new_key(&file),
        FilterCommand::Sign { file, key, output } => sign::sign(&file, &key, output.as_deref()),
        FilterCommand::Test(args) => test(&args),
    }
}

fn test(args: &FilterTestArgs) -> anyhow::Result<ExitCode> {
    let colours = match args.colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => weir_terminal::colours(),
    };
    let journal = || {
        let settings = super::quarantine::settings(&args.stored)?;
        Ok((parts::journal_folder(&settings), crate::encryption::keys(&settings)?))
    };
    weir_filter_kit::test::run(&args.test, colours, &journal)
}
