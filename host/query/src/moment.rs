//! Times as people type them.

use weir_record::time;

/// The forms, for messages.
pub const FORMS: &str = "2026-11-24T10:00:00Z, 2026-11-24, or an age such as 2h";

/// A time, a date, or an age, in nanoseconds since 1970. Without an offset, times are UTC.
pub fn time_ns(text: &str, now_ns: i64) -> Option<i64> {
    if let Ok(ago_ns) = time::parse_duration(text.trim_end_matches(" ago")) {
        return Some(now_ns.saturating_sub(i64::try_from(ago_ns).unwrap_or(i64::MAX)));
    }
    let is_date = text.len() == "2026-11-24".len();
    let full = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    time::parse_rfc3339(full.as_bytes())
}
