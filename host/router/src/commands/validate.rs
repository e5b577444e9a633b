//! `weir validate`: checks a configuration and loads its filters.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use weir_engine::{Engine, Filter};

use crate::cli::ValidateArgs;
use crate::config::{FilterError, Settings};
use crate::{config, filters, logging, paths};
use weir_document::Diagnostics;
use weir_filter_kit::loader::Loader;

/// Name of the bundled filter that masks secrets.
const REDACT: &str = "redact";

pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let file = args.file.as_ref().or(args.config.as_ref()).context("no file given; run: weir validate weir.toml")?;
    // Filters write warnings about their options to the log.
    logging::for_command();
    let settings = match check(file, &Loader::start()?.engine)? {
        Ok(settings) => settings,
        Err(problems) => {
            eprintln!("{problems}");
            return Ok(ExitCode::FAILURE);
        }
    };
    // The router may be on another machine.
    let tls: Option<String> = settings.tls.as_ref().and_then(|files| Some(files.load().err()?.to_string()));
    for note in settings.warnings.iter().chain(&settings.notes).chain(&paths::unwritable(&settings)).chain(&tls) {
        eprintln!("warning: {note}");
    }
    let filters = weir_terminal::count(settings.filters.len() as u64, "filter", "filters");
    let sinks = weir_terminal::count(settings.sinks.len() as u64, "sink", "sinks");
    weir_terminal::text(&format!("{} is valid: {filters}, {sinks}\n", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads a configuration and loads its filters. The inner error contains all problems.
pub fn check(file: &Path, engine: &Arc<Engine>) -> anyhow::Result<Result<Settings, Diagnostics>> {
    let mut loaded = Vec::new();
    let mut checked =
        config::load_and_check_filters(file, &|name| std::env::var(name).ok(), &mut |settings, filter| {
            let wanted = filters::named(settings, filter);
            let module = match wanted.source.read() {
                Ok(module) => module,
                Err(reason) => return Some(FilterError::Filter(reason)),
            };
            match engine.load(&wanted.spec, &module) {
                Ok(filter) => {
                    loaded.push(filter);
                    None
                }
                Err(error) => Some(match error.kind {
                    weir_engine::LoadErrorKind::Options(mistakes) => FilterError::Options(mistakes),
                    _ => FilterError::Filter(error.to_string()),
                }),
            }
        });
    if let Ok(settings) = &mut checked {
        settings.warnings.extend(held_unmasked(&loaded));
    }
    Ok(checked)
}

/// Warns if a filter holds records before they are masked, because held records are stored in the journal.
fn held_unmasked(filters: &[Arc<Filter>]) -> Option<String> {
    let masks = filters.iter().rposition(|filter| filter.description().name == REDACT)?;
    let holder = filters[..masks].iter().find(|filter| filter.holds_records())?;
    let (holder, redact) = (holder.name(), filters[masks].name());
    Some(format!(
        "filter `{holder}` runs before `{redact}` and holds records, which are stored unmasked in the journal; put \
         `{redact}` before it, unless the text to mask spans several lines"
    ))
}
