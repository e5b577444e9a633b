//! Parses panics of Go programs.

use crate::limits::MAX_FRAMES;
use crate::trace::{Frame, Language, Trace, place};

pub fn read(text: &str) -> Option<Trace<'_>> {
    let (kind, message) = text.lines().find_map(header).unwrap_or(("panic", ""));
    let mut lines = text.lines().skip_while(|line| !line.starts_with("goroutine "));
    lines.next()?;
    let mut frames = Vec::new();
    let mut function = None;
    for line in lines {
        // The first goroutine is the one that failed.
        if line.trim().is_empty() || line.starts_with("created by ") {
            break;
        }
        match (function.take(), line.strip_prefix('\t')) {
            (Some(function), Some(place_text)) => {
                let (place_text, _) = place_text.split_once(" +0x").unwrap_or((place_text, ""));
                let (file, line) = place(place_text);
                if frames.len() < MAX_FRAMES {
                    frames.push(Frame { function, file, line });
                }
            }
            (_, None) => function = Some(line.rfind('(').map_or(line, |at| &line[..at])),
            (None, Some(_)) => {}
        }
    }
    // The frames above the panicking function belong to the panic itself.
    let panic = frames.iter().rposition(|frame| matches!(frame.function, "panic" | "runtime.gopanic"));
    frames.drain(..panic.map_or(0, |at| at + 1));
    (!frames.is_empty()).then_some(Trace { language: Language::Go, kind, message, cause: None, frames })
}

/// `panic: runtime error: index out of range [3] with length 1`, also after the
/// prefix that `net/http` writes.
fn header(line: &str) -> Option<(&str, &str)> {
    if let Some(message) = line.strip_prefix("fatal error: ") {
        return Some(("fatal error", message));
    }
    let message = match line.strip_prefix("panic: ") {
        Some(message) => message,
        None => line.split_once("panic serving ")?.1.split_once(": ")?.1,
    };
    let message = message.strip_suffix(" [recovered]").unwrap_or(message);
    Some(match message.strip_prefix("runtime error: ") {
        Some(message) => ("runtime error", message),
        None => ("panic", message),
    })
}
