//! `weir validate`: is a configuration right, and do its filters load?

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use weir_engine::Engine;

use crate::cli::ValidateArgs;
use crate::commands::show;
use crate::config::{Problems, Refusal, Settings};
use crate::{config, filters, logging, paths, wiring};

pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.as_ref().or(args.config.as_ref()).context("which file? write: weir validate weir.toml")?;
    // Filters warn of options that are right in the log.
    logging::for_command();
    let settings = match check(file)? {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    for note in settings.warnings.iter().chain(&settings.notes).chain(&paths::unwritable(&settings)) {
        eprintln!("warning: {note}");
    }
    let filters = show::count(settings.filters.len() as u64, "filter", "filters");
    let sinks = show::count(settings.sinks.len() as u64, "sink", "sinks");
    println!("{} is right: {filters}, {sinks}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration and loads its filters. The inner error has everything that is wrong.
pub fn check(file: &Path) -> anyhow::Result<Result<Settings, Problems>> {
    let engine = Engine::new(wiring::engine_options(None))?;
    Ok(config::load_and_ask(file, &|name| std::env::var(name).ok(), &mut |settings, filter| {
        let wanted = filters::named(settings, filter);
        let module = match wanted.source.read() {
            Ok(module) => module,
            Err(reason) => return Some(Refusal::Filter(reason)),
        };
        let error = engine.load(&wanted.spec, &module).err()?;
        Some(match error.problem {
            weir_engine::Problem::Options(mistakes) => Refusal::Options(mistakes),
            _ => Refusal::Filter(error.to_string()),
        })
    }))
}
