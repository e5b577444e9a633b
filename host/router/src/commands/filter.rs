//! `weir filter`: list, build, test.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::{FilterCommand, RunArgs};
use crate::commands::{run, show};
use crate::{filter_build, filter_test, filters, wiring};

pub fn run(command: FilterCommand) -> anyhow::Result<ExitCode> {
    match command {
        FilterCommand::List(args) => list(&args),
        FilterCommand::Build { project, bundled, output } => build(&project, bundled, output.as_deref()),
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

fn build(project: &Path, bundled: bool, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    match bundled {
        true => {
            let folder = output.map_or_else(|| project.join("filters/bundled"), Path::to_path_buf);
            filter_build::build_bundled(project, &folder)?;
        }
        false => {
            let built = filter_build::build(project)?;
            let module = project.join(built.file_name().context("a module has a name")?);
            std::fs::copy(&built, &module).with_context(|| format!("can't write {}", module.display()))?;
            eprintln!("built {}; copy it into the filters folder of a running weir", module.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
