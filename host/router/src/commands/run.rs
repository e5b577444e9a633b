//! `weir run`: runs the router until it is stopped.

mod signals;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::validate;
use crate::cli::RunArgs;
use crate::config::{self, Overrides, Settings};
use crate::reload::{self, Changed, Reload, Watch};
use crate::source_set::SourceSet;
use crate::wiring::{Router, Stopped, engine};
use crate::{descriptors, encryption, limits, logging, paths};
use signals::StopSignals;

/// The type of the source that `--stdin` adds, and its name.
const STDIN: &str = "stdin";

/// Exit code after an interrupt: 128 plus the signal number.
const INTERRUPTED: u8 = 130;

/// Histogram buckets, in seconds.
const SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = settings(args)?;
    logging::start(&settings.log);
    descriptors::raise_limit();
    let warnings = [paths::unwritable(&settings), encryption::warnings(&settings)].concat();
    settings.warnings.iter().chain(&warnings).for_each(|warning| tracing::warn!("{warning}"));
    // Before anything is changed in the data folder.
    encryption::check(&settings)?;
    // Created with the user's umask, because people copy modules there.
    if let Err(error) = std::fs::create_dir_all(&settings.filters_folder) {
        tracing::warn!("can't make the filters folder {}: {error}", settings.filters_folder.display());
    }
    super::keep_to_owner();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("weir-network").build()?;
    let code = runtime.block_on(serve(args, settings))?;
    // Tasks that are still waiting now have not been acknowledged to anyone.
    runtime.shutdown_background();
    Ok(code)
}

/// Loads the settings: the file or the defaults, then the command-line overrides.
pub fn settings(args: &RunArgs) -> anyhow::Result<Settings> {
    let environment: weir_document::Environment<'_> = &|name| std::env::var(name).ok();
    let settings = match &args.config {
        Some(file) => config::load(file, environment)?,
        None => Settings::default_for(Path::new(""), environment)?,
    };
    Ok(settings.with_overrides(&overrides(args)))
}

fn overrides(args: &RunArgs) -> Overrides {
    Overrides {
        listen: args.listen,
        data: args.data.clone(),
        filters_folder: args.filters.clone(),
        insecure_open: args.insecure_open,
        sources: [(args.demo, "demo"), (args.stdin, STDIN)]
            .into_iter()
            .filter_map(|(is_wanted, kind)| is_wanted.then_some(kind))
            .collect(),
    }
}

/// Completes at the end of the input of `--stdin`.
async fn end_of_input(args: &RunArgs, source_set: &Mutex<SourceSet>) {
    if !args.stdin {
        return std::future::pending().await;
    }
    while !source_set.lock().await.has_ended(STDIN) {
        sleep(limits::SOURCE_LOOK).await;
    }
}

async fn serve(args: &RunArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::new()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let prometheus = record_metrics()?;
    // Watch before loading, so that no change is missed in between.
    let mut watch = Watch::new(args.config.clone())?;
    watch.over(&reload::folders(&settings));
    let started = tokio::select! {
        started = Router::start(&settings, prometheus, args.adopt) => started,
        () = signals.stop() => {
            // No records were accepted yet. A running compilation ends with this process.
            eprintln!("weir was stopped during startup");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let mut router = match started {
        Ok(router) => router,
        Err(error) => return Err(with_option_errors(args, &settings, error)),
    };
    watch.over(&reload::folders(&settings));
    print_banner(&router, &settings);
    let mut reloading = Reload::new(&router, args.config.clone(), overrides(args), settings);
    let source_set = router.source_set.clone();
    let broken = loop {
        let changed = tokio::select! {
            () = signals.stop() => break None,
            () = end_of_input(args, &source_set) => break None,
            _ = hangup.recv() => Changed::Asked,
            changed = watch.next() => changed,
            error = router.broken() => break Some(error),
        };
        tokio::select! {
            // A running compilation doesn't delay a stop.
            () = signals.stop() => break None,
            () = reloading.apply(changed) => {}
        }
        watch.over(&reloading.folders());
    };
    drop((reloading, source_set));
    match &broken {
        None => eprintln!("weir drains and stops; signal it again after a second to stop immediately"),
        Some(error) => tracing::error!("weir can't continue and is stopping: {error:#}"),
    }
    let remaining = router.remaining();
    let stopped = tokio::select! {
        stopped = router.stop() => stopped,
        () = signals.stop_at_once() => {
            eprintln!("weir stops immediately; records in the journal are delivered after the next start");
            remaining.lines().iter().for_each(|line| eprintln!("  {line}"));
            // Exit rather than return, which would wait for running threads.
            std::process::exit(INTERRUPTED.into())
        }
    };
    print_summary(&stopped);
    match broken {
        Some(error) => Err(error),
        None if stopped.failures.is_empty() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

/// If filters refuse their options, reports all of that with line numbers; otherwise returns the original error.
fn with_option_errors(args: &RunArgs, settings: &Settings, error: anyhow::Error) -> anyhow::Error {
    let Some(file) = &args.config else { return error };
    match engine::in_data_folder(&settings.data).and_then(|engine| validate::check(file, &engine)) {
        Ok(Err(problems)) => problems.into(),
        _ => error,
    }
}

fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let prometheus = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .install_recorder()
        .context("can't install the metrics recorder")?;
    weir_access::describe_metrics();
    weir_engine::describe_metrics();
    weir_ingest::describe_metrics();
    weir_journal::describe_metrics();
    weir_sinks::describe_metrics();
    weir_sources::describe_metrics();
    crate::refused::describe_metrics();
    crate::certificates::describe_metrics();
    metrics::describe_counter!("weir_thread_restarts_total", "Threads that ended unexpectedly and were restarted");
    metrics::describe_counter!("weir_filter_swaps_total", "Filters replaced by another version while running");
    metrics::describe_counter!("weir_filter_canaries_total", "Finished trials of new filter versions, by outcome");
    metrics::describe_counter!("weir_quarantined_records_total", "Quarantined records, by origin");
    Ok(prometheus)
}

/// Prints addresses and folders, and an example request.
fn print_banner(router: &Router, settings: &Settings) {
    let filters: Vec<String> =
        router.filter_infos().iter().map(|f| format!("{} {} ({})", f.name, f.version, f.source)).collect();
    let sinks: Vec<String> = settings.sinks.iter().map(|sink| format!("{} ({})", sink.name, sink.kind)).collect();
    let or_none = |list: Vec<String>| match list.is_empty() {
        true => "none".to_string(),
        false => list.join(", "),
    };
    let (scheme, sockets, trusting) = match &settings.tls {
        None => ("http", "ws", String::new()),
        Some(tls) => ("https", "wss", format!("--cacert {} ", tls.certificate.display())),
    };
    eprintln!("weir {} listens on {scheme}://{}", env!("CARGO_PKG_VERSION"), router.address);
    eprintln!("  data     {}", absolute(&settings.data));
    eprintln!("  filters  {}", or_none(filters));
    let folder = absolute(&settings.filters_folder);
    match settings.auto_load {
        true => eprintln!("           copy a .wasm file into {folder} to add one"),
        false => eprintln!("           modules are read from {folder}"),
    }
    if !settings.sources.is_empty() {
        let sources = settings.sources.iter().map(|source| format!("{} ({})", source.name, source.kind));
        eprintln!("  sources  {}", or_none(sources.collect()));
    }
    eprintln!("  sinks    {}", or_none(sinks));
    if let Some(address) = router.stream_address {
        eprintln!("  stream   {sockets}://{address}");
    }
    eprintln!("  watch    {scheme}://{} in a browser", router.address);
    eprintln!("  try      curl {trusting}{scheme}://{}/ingest --json \\", router.address);
    eprintln!(
        "           '{{\"source\":\"shop\",\"message\":\"alice@example.com signed in\",\"api_key\":\"sk-12345\"}}'"
    );
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

fn print_summary(stopped: &Stopped) {
    let pending: Vec<_> = stopped.sinks.iter().filter(|sink| sink.pending_records > 0).collect();
    let taken: Vec<_> = stopped.sinks.iter().map(|sink| format!("{} {}", sink.name, sink.delivered_records)).collect();
    eprintln!("weir stopped; records delivered by each sink: {}", taken.join(", "));
    match stopped.cut_off {
        0 => {}
        1 => eprintln!("1 request was cut off without an answer; its sender will retry"),
        many => eprintln!("{many} requests were cut off without an answer; their senders will retry"),
    }
    stopped.failures.iter().for_each(|failure| eprintln!("{failure}"));
    if pending.is_empty() {
        eprintln!("everything up to batch {} is flushed and delivered", stopped.last_sequence);
        return;
    }
    eprintln!("everything up to batch {} is flushed; after the next start", stopped.last_sequence);
    for sink in pending {
        let why = sink.error.as_ref().map_or(String::new(), |error| format!(" ({error})"));
        eprintln!("  sink `{}` continues with {} undelivered records{why}", sink.name, sink.pending_records);
    }
}
