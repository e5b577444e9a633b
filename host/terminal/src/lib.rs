//! Output of the `weir` commands on standard output: text, JSON, times, counts, sizes.
//!
//! A reader that closes the pipe early (`| head`) is not an error.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

/// Prints a value as indented JSON.
pub fn json(value: &impl Serialize) -> io::Result<()> {
    text(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints text.
pub fn text(text: &str) -> io::Result<()> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Formats a time as RFC 3339, without fractions of a second.
pub fn time(ns: i64) -> String {
    let mut bytes = Vec::new();
    weir_record::time::format_rfc3339(ns, &mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    match text.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text.into_owned(),
    }
}

/// Formats a count with its noun.
pub fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Formats a size in the largest fitting unit.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} B"),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// Whether to use colours on standard output.
pub fn colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
