//! Parses stack traces of Node and other JavaScript runtimes.

use crate::limits::{MAX_FRAMES, MAX_HEADER_LINES};
use crate::trace::{Frame, Language, Trace, is_type, place};

pub fn read(text: &str) -> Option<Trace<'_>> {
    let mut above: [&str; MAX_HEADER_LINES] = [""; MAX_HEADER_LINES];
    let mut count = 0;
    let mut frames = Vec::new();
    let mut cause = None;
    let mut own = true;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if let Some(caused) = trimmed.strip_prefix("[cause]: ").or_else(|| trimmed.strip_prefix("Caused by: ")) {
            own = false;
            cause = header(caused).map(|(kind, _)| kind).or(cause);
        } else if let Some(frame) = frame(line) {
            if own && frames.len() < MAX_FRAMES {
                frames.push(frame);
            }
        } else if frames.is_empty() {
            above[count % MAX_HEADER_LINES] = line;
            count += 1;
        } else if !trimmed.starts_with("... ") {
            own = false;
        }
    }
    let mut lines = (count.saturating_sub(MAX_HEADER_LINES)..count).rev().map(|index| above[index % MAX_HEADER_LINES]);
    let (kind, message) = lines.find_map(header)?;
    (!frames.is_empty()).then_some(Trace { language: Language::Node, kind, message, cause, frames })
}

/// `    at Shop.sell (/srv/app.js:4:37)`, `    at /srv/app.js:3:15`,
/// `    at async charge (file:///srv/app.mjs:3:1)`.
fn frame(line: &str) -> Option<Frame<'_>> {
    let rest = line.trim_start().strip_prefix("at ")?.trim_end().trim_end_matches(" {");
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    match rest.rsplit_once(" (") {
        Some((function, place_text)) => {
            let (file, line) = place(place_text.strip_suffix(')')?);
            // `Function.run [as main]`: the first name is that of the function.
            let function = function.split_once(" [as ").map_or(function, |(function, _)| function);
            Some(Frame { function: function.strip_prefix("new ").unwrap_or(function), file, line })
        }
        None => {
            let (file, line) = place(rest);
            line.is_some().then_some(Frame { function: "", file, line })
        }
    }
}

/// `TypeError: x is not a function`, `Error [ERR_X]: …`.
fn header(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let (name, message) = line.split_once(": ").unwrap_or((line, ""));
    let name = name.split_once(" [").filter(|(_, code)| code.ends_with(']')).map_or(name, |(name, _)| name);
    let named = name.ends_with("Error") || name.ends_with("Exception") || !message.is_empty();
    let capital = name.starts_with(|c: char| c.is_uppercase());
    (is_type(name) && capital && named).then_some((name, message))
}
