//! Reports results of cases as JUnit XML, in the form that CI servers read.

use super::judge::CaseResult;
use super::report;

/// Renders the report. `suite` is the filter's name.
pub fn render(suite: &str, file: &str, all: &[CaseResult]) -> String {
    let failed = all.iter().filter(|judged| !judged.passed()).count();
    let seconds: f64 = all.iter().map(|judged| judged.seconds).sum();
    let numbers =
        format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.6}\"", all.len());
    let suite = escaped(suite);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"weir filter test\" {numbers}>\n  \
         <testsuite name=\"{suite}\" file=\"{}\" {numbers}>\n",
        escaped(file)
    );
    for judged in all {
        text.push_str(&format!(
            "    <testcase classname=\"{suite}\" name=\"{}\" file=\"{}\" line=\"{}\" time=\"{:.6}\"",
            escaped(&judged.name),
            escaped(file),
            judged.line,
            judged.seconds
        ));
        match judged.mismatches.first() {
            None => text.push_str("/>\n"),
            Some(first) => text.push_str(&format!(
                ">\n      <failure type=\"mismatch\" message=\"{}\">{}</failure>\n    </testcase>\n",
                escaped(&first.what),
                escaped(&report::reasons(judged, false))
            )),
        }
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Escapes text for an attribute or an element, and replaces characters that XML does not allow.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // In an attribute these would be read as spaces.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_forbids_are_replaced() {
        assert_eq!(escaped("<a b=\"c\">&\n\t\0\u{ffff}é"), "&lt;a b=&quot;c&quot;&gt;&amp;&#10;&#9;\u{fffd}\u{fffd}é");
    }
}
