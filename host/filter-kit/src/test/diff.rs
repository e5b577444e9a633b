//! Shows the effect of a filter on a record as a diff.

use similar::{Algorithm, ChangeTag, capture_diff_slices};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Diffs the lines of `before` with those of every record in `after`.
pub fn render(before: &str, after: &[String], colours: bool) -> String {
    let before: Vec<&str> = before.lines().collect();
    let after: Vec<&str> = after.iter().flat_map(|record| record.lines()).collect();
    let changes = capture_diff_slices(Algorithm::Myers, &before, &after);
    let mut text = String::new();
    for change in changes.iter().flat_map(|change| change.iter_changes(&before, &after)) {
        let (sign, colour) = match change.tag() {
            ChangeTag::Delete => ('-', RED),
            ChangeTag::Insert => ('+', GREEN),
            ChangeTag::Equal => (' ', ""),
        };
        let line = change.value();
        match colours && !colour.is_empty() {
            true => text.push_str(&format!("  {colour}{sign} {line}{PLAIN}\n")),
            false => text.push_str(&format!("  {sign} {line}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_adjacent_and_other_lines_are_kept() {
        let text = render("{\n  \"a\": 1,\n  \"b\": 2\n}", &["{\n  \"a\": 1,\n  \"b\": 3\n}".into()], false);
        assert_eq!(text, "    {\n      \"a\": 1,\n  -   \"b\": 2\n  +   \"b\": 3\n    }\n");
    }

    #[test]
    fn a_dropped_record_is_all_red() {
        let text = render("{\n}", &[], true);
        assert_eq!(text, "  \x1b[31m- {\x1b[0m\n  \x1b[31m- }\x1b[0m\n");
    }
}
