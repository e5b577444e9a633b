//! Decides whether a line starts a record or continues the previous one.
//!
//! Without expressions from the operator, the patterns of stack traces decide.
//! Most of their lines are indented. For the others it matters which trace a
//! stream is in: after the frames of a Python traceback comes the line that names
//! the exception, and in a Go trace function names are not indented.

use regex_lite::Regex;

use crate::limits::MAX_SEARCHED_BYTES;

/// How lines are classified.
#[derive(Debug)]
pub enum LineRules {
    /// By the patterns of stack traces.
    Traces,
    /// A line that matches one of these starts a record.
    Start(Vec<Regex>),
    /// A line that matches one of these continues the record.
    Continues(Vec<Regex>),
}

/// The position of a stream in a stack trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// Outside of traces, or where the position does not matter.
    #[default]
    Nothing,
    /// In the frames of a Python traceback.
    Python,
    /// After the exception that ends a traceback; another one may follow.
    PythonEnd,
    /// In a Go trace.
    Go,
    /// After `thread 'main' panicked at …`; the message follows.
    RustMessage,
    /// In a Rust trace.
    Rust,
    /// After the location of an uncaught JavaScript error; the source line
    /// follows.
    NodeSource,
    /// Before the error, or in its stack.
    Node,
}

impl Position {
    /// As a number, for the state.
    pub fn number(self) -> u8 {
        Self::ALL.iter().position(|position| *position == self).unwrap_or_default() as u8
    }

    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    const ALL: [Position; 8] = [
        Position::Nothing,
        Position::Python,
        Position::PythonEnd,
        Position::Go,
        Position::RustMessage,
        Position::Rust,
        Position::NodeSource,
        Position::Node,
    ];
}

impl LineRules {
    /// Whether a line continues the record, and the new position of the stream.
    pub fn read(&self, line: &str, position: Position) -> (bool, Position) {
        let searched = &line[..line.floor_char_boundary(MAX_SEARCHED_BYTES)];
        match self {
            LineRules::Start(patterns) => {
                (!patterns.iter().any(|pattern| pattern.is_match(searched)), Position::Nothing)
            }
            LineRules::Continues(patterns) => {
                (patterns.iter().any(|pattern| pattern.is_match(searched)), Position::Nothing)
            }
            LineRules::Traces => match goes_on(line, position) {
                Some(position) => (true, position),
                None => (false, begins(line)),
            },
        }
    }
}

/// The position after a line that starts a record.
fn begins(line: &str) -> Position {
    if line.starts_with("Traceback (most recent call last)") {
        Position::Python
    } else if line.starts_with("panic: ") || line.starts_with("fatal error: ") || is_goroutine(line) {
        Position::Go
    } else if is_rust_panic(line) {
        Position::RustMessage
    } else if is_node_place(line) {
        Position::NodeSource
    } else {
        Position::Nothing
    }
}

/// The position after a line that continues the record; `None` if it does not.
fn goes_on(line: &str, position: Position) -> Option<Position> {
    if line.starts_with("Traceback (most recent call last)") {
        return Some(Position::Python);
    }
    if line.trim().is_empty() {
        return (position != Position::Nothing).then_some(position);
    }
    match position {
        // Any text: a source line or a message.
        Position::NodeSource => return Some(Position::Node),
        Position::RustMessage => return Some(Position::Rust),
        _ => {}
    }
    if line.starts_with([' ', '\t']) {
        return Some(position);
    }
    let starts = |beginnings: &[&str]| beginnings.iter().any(|beginning| line.starts_with(beginning));
    if starts(&["Caused by: ", "Suppressed: ", "... "]) {
        return Some(position);
    }
    match position {
        Position::Python => Some(Position::PythonEnd),
        Position::PythonEnd => {
            starts(&["During handling of the above exception", "The above exception was the direct cause"])
                .then_some(position)
        }
        Position::Go => {
            let function = line.ends_with(')') && line.contains('(') && !line.contains(": ");
            let known = starts(&["[signal ", "created by ", "panic: ", "exit status ", "runtime."]);
            (function || known || is_goroutine(line)).then_some(position)
        }
        Position::Rust => starts(&["stack backtrace:", "note: ", "Stack backtrace:"]).then_some(position),
        Position::Node => {
            let error = line.split_once(": ").is_some_and(|(name, _)| name.ends_with("Error"));
            (error || starts(&["Node.js v", "}", "Thrown at:"])).then_some(position)
        }
        // Node prints a closing brace after the fields of an error.
        Position::Nothing => (line == "}").then_some(position),
        Position::NodeSource | Position::RustMessage => None,
    }
}

fn is_goroutine(line: &str) -> bool {
    line.strip_prefix("goroutine ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_rust_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ") && line.ends_with(':')
}

/// `/srv/app.js:2`, the first line of an uncaught error in Node.
fn is_node_place(line: &str) -> bool {
    let Some((file, number)) = line.rsplit_once(':') else {
        return false;
    };
    let script = [".js", ".mjs", ".cjs", ".ts"].iter().any(|ending| file.ends_with(ending));
    (script || file.starts_with("node:internal/"))
        && !file.contains(' ')
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}
