//! Parses Python tracebacks, including chains and exception groups.
//!
//! The outermost error comes last, and so does the innermost frame of a
//! traceback. The traceback of a group is indented by bars.

use crate::limits::MAX_FRAMES;
use crate::trace::{Frame, Language, Trace, is_type, place};

const BEGINS: &str = "Traceback (most recent call last)";

pub fn read(text: &str) -> Option<Trace<'_>> {
    let mut first = None;
    let mut last = None;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(at) = line.find(BEGINS) else {
            continue;
        };
        let is_group = line[..at].trim_start().starts_with('+');
        let Some(one) = block(&mut lines, if is_group { at - "Exception Group ".len() } else { 0 }, is_group) else {
            continue;
        };
        first = first.or(Some(one.kind));
        last = Some(one);
        // The exceptions inside a group are not its causes.
        if is_group {
            break;
        }
    }
    let last = last?;
    let cause = first.filter(|cause| *cause != last.kind);
    Some(Trace { cause, ..last })
}

/// Parses one traceback, from the line after its header to the one that names the
/// error. `width` is the length of the prefix of every line.
fn block<'t>(lines: &mut std::iter::Peekable<std::str::Lines<'t>>, width: usize, is_group: bool) -> Option<Trace<'t>> {
    let mut frames = Vec::new();
    for line in lines.by_ref() {
        let line = if is_group { line.get(width..)?.trim_start_matches("| ") } else { line };
        if let Some(frame) = frame(line) {
            // In a deep recursion, the innermost frames count; they come last.
            if frames.len() == MAX_FRAMES {
                frames.remove(0);
            }
            frames.push(frame);
        } else if !line.starts_with(' ') && !line.trim().is_empty() {
            let (kind, message) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
            if !is_type(kind) {
                return None;
            }
            frames.reverse();
            return Some(Trace { language: Language::Python, kind, message, cause: None, frames });
        }
    }
    None
}

/// `  File "/srv/app.py", line 8, in charge`.
fn frame(line: &str) -> Option<Frame<'_>> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (file, rest) = rest.split_once("\", line ")?;
    let (line, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    let (_, line) = place_of(line);
    Some(Frame { function: function.trim_end(), file, line })
}

fn place_of(line: &str) -> (&str, Option<u32>) {
    let (rest, number) = place(line);
    (rest, number.or_else(|| line.parse().ok()))
}
