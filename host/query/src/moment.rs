//! Times as people type them.

use weir_record::time;

/// The forms, for messages.
pub const FORMS: &str = "2026-11-24T10:00:00Z, 2026-11-24, or an age such as 2h";

/// The forms where there is no current time, for messages.
pub(crate) const FORMS_WITHOUT_AGE: &str = "2026-11-24T10:00:00Z or 2026-11-24";

/// Whether a text is an age, which is a time only together with a current time.
pub(crate) fn is_age(text: &str) -> bool {
    age_ns(text).is_some()
}

fn age_ns(text: &str) -> Option<i64> {
    let ago_ns = time::parse_duration(text.trim_end_matches(" ago")).ok()?;
    Some(i64::try_from(ago_ns).unwrap_or(i64::MAX))
}

/// A time, a date, or an age, in nanoseconds since 1970. Without an offset, times are UTC.
pub fn time_ns(text: &str, now_ns: i64) -> Option<i64> {
    if let Some(age_ns) = age_ns(text) {
        return Some(now_ns.saturating_sub(age_ns));
    }
    let is_date = text.len() == "2026-11-24".len();
    let full = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    time::parse_rfc3339(full.as_bytes())
}
