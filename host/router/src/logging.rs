//! Weir's own log, on standard error, so that standard output is the console sink's alone.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts the log. `WEIR_LOG` overrides the configured level, in the syntax of `RUST_LOG`.
pub fn start(settings: &LogSettings) {
    let filter = std::env::var("WEIR_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        // What clients do to HTTP/2 is logged by ingest, in measure. The watcher of files would say twice a second that one
        // is missing; the reload says it once.
        .unwrap_or_else(|| EnvFilter::new(format!("{},h2=error,notify=error", settings.level.as_str())));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    // A second start in one process (tests) keeps the first.
    let _ = match settings.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.compact().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", in_one_line(panic))));
}

/// A panic as a line of the log, like any other failure.
fn in_one_line(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let message = panic.payload_as_str().unwrap_or("no message").replace(char::is_control, " ");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("thread `{}` panicked{place}: {message}", thread.name().unwrap_or("without a name"))
}

/// The log of a command that ends soon: warnings alone, without times.
pub fn for_command() {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time();
    let _ = log.compact().try_init();
}
