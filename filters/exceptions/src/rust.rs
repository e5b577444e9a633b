//! Parses panics of Rust programs, with or without a backtrace.

use crate::limits::MAX_FRAMES;
use crate::trace::{Frame, Language, Trace, place};

pub fn read(text: &str) -> Option<Trace<'_>> {
    let mut lines = text.lines();
    let line = lines.find(|line| line.contains("panicked at "))?;
    let (_, at) = line.split_once("panicked at ")?;
    // Before 1.73, the message was on the same line.
    let (message, location) = match at.strip_prefix('\'').and_then(|rest| rest.rsplit_once("', ")) {
        Some((message, location)) => (message, location),
        None => (lines.next().unwrap_or_default(), at.trim_end_matches(':')),
    };
    let (file, line) = place(location);
    let mut frames = Vec::new();
    let mut function = None;
    for line in lines {
        let line = line.trim_start();
        if let Some(place_text) = line.strip_prefix("at ") {
            if let Some(function) = function.take() {
                let (file, line) = place(place_text);
                push(&mut frames, Frame { function, file, line });
            }
        } else if let Some((number, name)) = line.split_once(": ")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            // A frame without a location.
            if let Some(function) = function.take() {
                push(&mut frames, Frame { function, file: "", line: None });
            }
            // In full backtraces, an address precedes the name.
            let name = name.trim_start();
            let own = name.split_once(" - ").filter(|(address, _)| address.starts_with("0x"));
            function = Some(own.map_or(name, |(_, own)| own));
        }
    }
    if let Some(function) = function {
        push(&mut frames, Frame { function, file: "", line: None });
    }
    if frames.is_empty() {
        frames.push(Frame { function: "", file, line });
    }
    Some(Trace { language: Language::Rust, kind: "panic", message, cause: None, frames })
}

fn push<'t>(frames: &mut Vec<Frame<'t>>, frame: Frame<'t>) {
    if frames.len() < MAX_FRAMES {
        frames.push(frame);
    }
}
