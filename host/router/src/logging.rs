//! Weir's own log. It goes to standard error, because the console sink uses standard output. What can't be written
//! there, on a full disk or when its reader has ended, is lost: the router goes on.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// The client of NATS logs what servers say, even if they repeat a password. The sink reports the same without it.
const SILENCED: &str = "async_nats=off";

/// Starts the log. `WEIR_LOG` overrides the configured level, in the syntax of `RUST_LOG`.
pub fn start(settings: &LogSettings) {
    let filter = std::env::var("WEIR_LOG")
        .ok()
        .and_then(|text| EnvFilter::try_new(format!("{text},{SILENCED}")).ok())
        // Ingest logs HTTP/2 errors of clients, with a rate limit. The file watcher would log a missing file twice a
        // second; the reload logs it once.
        .unwrap_or_else(|| EnvFilter::new(format!("{},h2=error,notify=error,{SILENCED}", settings.level.as_str())));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        // It would report a failed write to standard error, and panic because that fails, too.
        .log_internal_errors(false);
    // Ignored if a log is already set up, as in tests.
    let _ = match settings.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.compact().try_init(),
    };
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", in_one_line(panic))));
}

/// Formats a panic as one log line.
fn in_one_line(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let message = panic.payload_as_str().unwrap_or("no message").replace(char::is_control, " ");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    format!("thread `{}` panicked{place}: {message}", thread.name().unwrap_or("without a name"))
}

/// The log for short-lived commands: warnings only, without times.
pub fn for_command() {
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("warn,{SILENCED}")))
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .log_internal_errors(false)
        .without_time();
    let _ = log.compact().try_init();
}
