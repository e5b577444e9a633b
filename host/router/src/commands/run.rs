//! `weir run`: the router itself, until it is told to stop.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::RunArgs;
use crate::config::{self, Overrides, Settings};
use crate::logging;
use crate::reload::{self, Changed, Reload, Watch};
use crate::wiring::{Router, Stopped};

/// What a process exits with that an interrupt ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Bounds of the histograms of times, in seconds.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(args)?;
    logging::start(&settings.log);
    settings.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("weir-network").build()?;
    let code = runtime.block_on(serve(args, settings))?;
    // Whatever still waits for something by now is nothing that was promised to anybody.
    runtime.shutdown_background();
    Ok(code)
}

/// What to run with: the file or the defaults, then what the command line says.
pub fn settings(args: &RunArgs) -> anyhow::Result<Settings> {
    let environment: config::Environment<'_> = &|name| std::env::var(name).ok();
    let settings = match &args.config {
        Some(file) => config::load(file, environment)?,
        None => Settings::default_for(Path::new(""), environment)?,
    };
    Ok(settings.with_overrides(&overrides(args)))
}

fn overrides(args: &RunArgs) -> Overrides {
    Overrides { listen: args.listen, data: args.data.clone(), filters_folder: args.filters.clone() }
}

async fn serve(args: &RunArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let numbers = record_metrics()?;
    if let Err(error) = std::fs::create_dir_all(&settings.filters_folder) {
        tracing::warn!("can't make the filters folder {}: {error}", settings.filters_folder.display());
    }
    // Before anything is loaded, so that no change falls between loading and watching.
    let mut watch = Watch::new(args.config.clone())?;
    watch.over(&reload::folders(&settings));
    let mut router = Router::start(&settings, numbers, args.adopt).await?;
    watch.over(&reload::folders(&settings));
    greet(&router, &settings);
    let mut reloading = Reload::new(&router, args.config.clone(), overrides(args), settings);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hangup.recv() => reloading.take_up(Changed::Configuration).await,
            changed = watch.next() => reloading.take_up(changed).await,
            error = router.broken() => return Err(error),
        }
        watch.over(&reloading.folders());
    }
    drop(reloading);
    eprintln!("weir drains and stops; once more stops at once");
    tokio::select! {
        stopped = router.stop() => {
            say_goodbye(&stopped?);
            Ok(ExitCode::SUCCESS)
        }
        _ = second(&mut interrupt, &mut terminate) => {
            eprintln!("weir stops at once; what is in the journal is delivered at the next start");
            // Not a return: threads that still work would be waited for.
            std::process::exit(INTERRUPTED.into())
        }
    }
}

async fn second(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let numbers = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()
        .context("can't keep metrics")?;
    weir_engine::describe_metrics();
    weir_ingest::describe_metrics();
    weir_journal::describe_metrics();
    weir_sinks::describe_metrics();
    metrics::describe_counter!("weir_filter_swaps_total", "Filters replaced by another version while running");
    metrics::describe_counter!("weir_filter_canaries_total", "Trials of new versions of a filter, by how they ended");
    metrics::describe_counter!("weir_quarantined_records_total", "Records set aside, by who did it");
    Ok(numbers)
}

/// Says where everything is, and what to try.
fn greet(router: &Router, settings: &Settings) {
    let filters: Vec<String> =
        router.shown_filters().iter().map(|f| format!("{} {} ({})", f.name, f.version, f.source)).collect();
    let sinks: Vec<String> = settings.sinks.iter().map(|sink| format!("{} ({})", sink.name, sink.kind)).collect();
    let or_none = |list: Vec<String>| match list.is_empty() {
        true => "none".to_string(),
        false => list.join(", "),
    };
    eprintln!("weir {} listens on http://{}", env!("CARGO_PKG_VERSION"), router.address);
    eprintln!("  data     {}", absolute(&settings.data));
    eprintln!("  filters  {}", or_none(filters));
    let folder = absolute(&settings.filters_folder);
    match settings.auto_load {
        true => eprintln!("           copy a .wasm file into {folder} to add one"),
        false => eprintln!("           modules are read from {folder}"),
    }
    eprintln!("  sinks    {}", or_none(sinks));
    eprintln!("  try      curl http://{}/ingest --json \\", router.address);
    eprintln!(
        "           '{{\"source\":\"shop\",\"message\":\"alice@example.com signed in\",\"api_key\":\"sk-12345\"}}'"
    );
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn say_goodbye(stopped: &Stopped) {
    let pending: Vec<_> = stopped.sinks.iter().filter(|sink| sink.pending_records > 0).collect();
    let taken: Vec<_> = stopped.sinks.iter().map(|sink| format!("{} {}", sink.name, sink.delivered_records)).collect();
    eprintln!("weir stopped; records that each sink took: {}", taken.join(", "));
    if pending.is_empty() {
        eprintln!("everything up to batch {} is flushed and delivered", stopped.last_sequence);
        return;
    }
    eprintln!("everything up to batch {} is flushed; at the next start", stopped.last_sequence);
    for sink in pending {
        let why = sink.error.as_ref().map_or(String::new(), |error| format!(" ({error})"));
        eprintln!("  sink `{}` goes on with {} records that it has not taken{why}", sink.name, sink.pending_records);
    }
}
