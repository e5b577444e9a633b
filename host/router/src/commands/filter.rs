//! `weir filter`: new, build, test, list.

mod build;

use std::process::ExitCode;

use crate::cli::{FilterCommand, RunArgs};
use crate::commands::{run, show};
use crate::{filter_test, filters, wiring};

pub fn run(command: FilterCommand) -> anyhow::Result<ExitCode> {
    match command {
        FilterCommand::List(args) => list(&args),
        FilterCommand::New(args) => build::new(&args),
        FilterCommand::Build { project, bundled: true, output, .. } => build::bundled(&project, output.as_deref()),
        FilterCommand::Build { project, watch: true, into, .. } => build::watch(&project, into.as_deref()),
        FilterCommand::Build { project, into, .. } => build::once(&project, into.as_deref()),
        FilterCommand::Test(args) => filter_test::run(&args),
    }
}

/// Loads every filter that would run and says what it says of itself.
fn list(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = run::settings(args)?;
    let engine = weir_engine::Engine::new(wiring::engine_options(None))?;
    let mut code = ExitCode::SUCCESS;
    for wanted in filters::wanted(&settings) {
        let name = &wanted.spec.name;
        let loaded =
            wanted.source.read().and_then(|bytes| engine.load(&wanted.spec, &bytes).map_err(|e| e.to_string()));
        match loaded {
            Ok(filter) => {
                let about = filter.description();
                show::text(&format!(
                    "{name:<16} {:<8} {:<22} {}\n{:<16} reads {}, may change {}; from {}\n",
                    about.version,
                    filter.world(),
                    about.description,
                    "",
                    paths(&about.reads),
                    paths(&about.writes),
                    wanted.source,
                ))?;
            }
            Err(reason) => {
                code = ExitCode::FAILURE;
                show::text(&format!("{name:<16} can't be loaded: {reason}\n"))?;
            }
        }
    }
    if args.config.is_none() {
        let others: Vec<_> = crate::bundled::names().collect();
        show::text(&format!("\nbundled: {}\n", others.join(", ")))?;
    }
    Ok(code)
}

fn paths(paths: &[String]) -> String {
    match paths.is_empty() {
        true => "everything".to_string(),
        false => paths.join(", "),
    }
}
