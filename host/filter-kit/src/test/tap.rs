//! Reports results of cases as TAP, version 13, which every TAP consumer supports.

use super::judge::CaseResult;
use super::report;

/// Renders the report.
pub fn render(file: &str, all: &[CaseResult]) -> String {
    let mut text = format!("TAP version 13\n1..{}\n", all.len());
    for (number, judged) in all.iter().enumerate() {
        let ok = if judged.passed() { "ok" } else { "not ok" };
        text.push_str(&format!("{ok} {} - {}\n", number + 1, description(&judged.name)));
        if !judged.passed() {
            text.push_str(&format!("  ---\n  at: {}\n  message: |\n", quoted(&format!("{file}:{}", judged.line))));
            for line in report::reasons(judged, false).lines() {
                text.push_str(&format!("    {}\n", printable(line)));
            }
            text.push_str("  ...\n");
        }
    }
    text
}

/// A name as one line without TAP directives.
fn description(name: &str) -> String {
    printable(name).replace('\\', "\\\\").replace('#', "\\#")
}

fn quoted(text: &str) -> String {
    // JSON strings are valid YAML.
    serde_json::Value::from(printable(text)).to_string()
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::compare::Mismatch;
    use super::*;

    #[test]
    fn failed_cases_have_reasons_and_names_are_not_directives() {
        let judged = |name: &str, mismatches| CaseResult {
            name: name.into(),
            line: 7,
            seconds: 0.5,
            mismatches,
            logged: vec![],
        };
        let all = [judged("good # TODO", vec![]), judged("bad\nline", vec![Mismatch::new("no\u{1b}thing")])];
        assert_eq!(
            render("a.toml", &all),
            "TAP version 13\n1..2\nok 1 - good \\# TODO\nnot ok 2 - bad\u{fffd}line\n  ---\n  at: \"a.toml:7\"\n  \
             message: |\n    no\u{fffd}thing\n  ...\n"
        );
    }
}
