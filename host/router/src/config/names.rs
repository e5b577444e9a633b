//! The rule for names of filters and sinks. Names become metric labels and parts of file names, so few characters are
//! allowed.

use super::limits::MAX_NAME_CHARS;

/// Whether the name is valid for a filter or a sink.
pub fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    starts_well && name.chars().all(allowed) && name.len() <= MAX_NAME_CHARS
}

/// The rule as text.
pub fn name_rule() -> String {
    format!(
        "a name has 1 to {MAX_NAME_CHARS} characters: letters a to z, digits, `-`, `_` and `.`, \
         starting with a letter or digit"
    )
}
