//! `weir validate`: is a configuration right, and do its filters load?

use std::process::ExitCode;

use crate::cli::ValidateArgs;
use crate::filters;
use crate::{config, wiring};

pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let settings = match config::load(&args.config, &|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let engine = weir_engine::Engine::new(wiring::engine_options(None))?;
    let mut wrong = 0;
    for wanted in filters::wanted(&settings) {
        let loaded =
            wanted.source.read().and_then(|bytes| engine.load(&wanted.spec, &bytes).map_err(|e| e.to_string()));
        if let Err(reason) = loaded {
            eprintln!("{}: {reason}", args.config.display());
            wrong += 1;
        }
    }
    if wrong > 0 {
        return Ok(ExitCode::FAILURE);
    }
    println!("{} is right: {} filters, {} sinks", args.config.display(), settings.filters.len(), settings.sinks.len());
    Ok(ExitCode::SUCCESS)
}
