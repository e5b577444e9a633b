//! Parses times that users type.

use weir_document::units::TimeSpan;
use weir_record::time;

/// The accepted formats, for messages.
pub const FORMS: &str = "2026-11-24T10:00:00Z, 2026-11-24, or 2h (ago)";

/// Parses a time, a date or an age to nanoseconds since 1970.
pub fn time_ns(text: &str, now_ns: i64) -> Option<i64> {
    if let Ok(ago) = text.trim_end_matches(" ago").parse::<TimeSpan>() {
        let ago_ns = i64::try_from(ago.duration().as_nanos()).unwrap_or(i64::MAX);
        return Some(now_ns.saturating_sub(ago_ns));
    }
    let full = if text.len() == "2026-11-24".len() { format!("{text}T00:00:00Z") } else { text.to_owned() };
    time::parse_rfc3339(full.as_bytes())
}
