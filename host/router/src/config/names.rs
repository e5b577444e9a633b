//! The one rule for the names of filters and sinks: they become labels of metrics and parts of file names, and stand in
//! every line about their bearer, so few characters are allowed.

use super::limits::MAX_NAME_CHARS;

/// Whether a filter or a sink can have a name.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts_well && name.chars().all(allowed) && name.len() <= MAX_NAME_CHARS
}

/// The rule in words.
pub fn name_rule() -> String {
    format!(
        "a name has 1 to {MAX_NAME_CHARS} characters: letters a to z, digits, `-`, `_` and `.`, \
         starting with a letter or digit"
    )
}
