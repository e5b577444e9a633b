//! `weir filter`: list, build, test.

mod diff;
mod list;
mod rollback;
mod test;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::cli::FilterCommand;
use crate::filter_build;

pub fn run(command: FilterCommand) -> anyhow::Result<ExitCode> {
    match command {
        FilterCommand::List(args) => list::run(&args),
        FilterCommand::Rollback(args) => rollback::run(&args),
        FilterCommand::Build { project, bundled, output } => build(&project, bundled, output.as_deref()),
        FilterCommand::Test(args) => test::run(&args),
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
