//! Parses stack traces of Java and other JVM languages.

use crate::limits::{MAX_FRAMES, MAX_HEADER_LINES};
use crate::trace::{Frame, Language, Trace, is_type, place};

pub fn read(text: &str) -> Option<Trace<'_>> {
    let mut above: [&str; MAX_HEADER_LINES] = [""; MAX_HEADER_LINES];
    let mut count = 0;
    let mut frames = Vec::new();
    let mut cause = None;
    // Frames end at the first cause; the last cause is the root cause.
    let mut own = true;
    for line in text.lines() {
        if let Some(frame) = frame(line) {
            if own && frames.len() < MAX_FRAMES {
                frames.push(frame);
            }
        } else if let Some(caused) = line.trim_start().strip_prefix("Caused by: ") {
            own = false;
            cause = header(caused).map(|(kind, _)| kind).or(cause);
        } else if frames.is_empty() {
            above[count % MAX_HEADER_LINES] = line;
            count += 1;
        }
    }
    let lines = (count.saturating_sub(MAX_HEADER_LINES)..count).rev().map(|index| above[index % MAX_HEADER_LINES]);
    // The closest line above that names an error; the message may have several
    // lines.
    let (kind, message) = lines.clone().find_map(header).or_else(|| lines.clone().find_map(header_within))?;
    (!frames.is_empty()).then_some(Trace { language: Language::Java, kind, message, cause, frames })
}

/// `at java.base/java.lang.Integer.parseInt(Integer.java:668)`, possibly with a
/// suffix from logback: `~[app.jar:1.0]`.
pub fn frame(line: &str) -> Option<Frame<'_>> {
    let rest = line.trim_start().strip_prefix("at ")?;
    let (function, rest) = rest.split_once('(')?;
    let (place_text, after) = rest.split_once(')')?;
    let after = after.trim();
    // JavaScript has a space before the parenthesis, or none.
    if function.contains(' ') || function.is_empty() || !(after.is_empty() || after.contains('[')) {
        return None;
    }
    // The module or class loader precedes the class.
    let function =
        function.rsplit_once('/').filter(|_| !function.contains("$$Lambda")).map_or(function, |(_, own)| own);
    let (file, line) = place(place_text);
    let file = if matches!(file, "Native Method" | "Unknown Source") { "" } else { file };
    Some(Frame { function, file, line })
}

/// `Exception in thread "main" com.example.PaymentException: order 17 declined`.
fn header(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = match line.strip_prefix("Exception in thread \"") {
        Some(rest) => rest.split_once("\" ")?.1,
        None => line,
    };
    let (kind, message) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
    let named = kind.contains('.') || ["Exception", "Error", "Throwable"].iter().any(|ending| kind.ends_with(ending));
    (is_type(kind) && named).then_some((kind, message))
}

/// Finds an error after other text, as some log layouts write it.
fn header_within(line: &str) -> Option<(&str, &str)> {
    line.match_indices(' ').find_map(|(at, _)| {
        let (kind, message) = header(&line[at + 1..])?;
        ["Exception", "Error", "Throwable"].iter().any(|ending| kind.ends_with(ending)).then_some((kind, message))
    })
}
