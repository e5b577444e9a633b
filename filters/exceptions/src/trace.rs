//! A parsed stack trace: an error and its frames.
//!
//! Everything borrows from the text. Each language has its own file; this one
//! selects the language.

use crate::{go, java, node, python, rust};

/// A supported language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Python,
    Java,
    Node,
    Go,
    Rust,
}

impl Language {
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Python => "python",
            Language::Java => "java",
            Language::Node => "node",
            Language::Go => "go",
            Language::Rust => "rust",
        }
    }
}

/// An error with its stack trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace<'t> {
    pub language: Language,
    /// The type of the error, such as `ValueError`.
    pub kind: &'t str,
    pub message: &'t str,
    /// The type of the root cause, if there is a chain.
    pub cause: Option<&'t str>,
    /// The frames, innermost first.
    pub frames: Vec<Frame<'t>>,
}

/// A frame of a stack trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'t> {
    /// Empty if unnamed.
    pub function: &'t str,
    /// Empty if unknown.
    pub file: &'t str,
    pub line: Option<u32>,
}

/// Finds the stack trace in a text.
pub fn find(text: &str) -> Option<Trace<'_>> {
    // Few texts have several lines, and no trace has only one.
    if !text.contains('\n') {
        return None;
    }
    if text.contains("Traceback (most recent call last)") {
        return python::read(text);
    }
    if text.contains("panicked at ") {
        return rust::read(text);
    }
    if text.contains("\ngoroutine ") || text.starts_with("goroutine ") {
        return go::read(text);
    }
    let frame = text.lines().find(|line| line.trim_start().starts_with("at "))?;
    if java::frame(frame).is_some() { java::read(text) } else { node::read(text) }
}

/// Splits `file:12:5` or `file:12` into file and line.
pub fn place(text: &str) -> (&str, Option<u32>) {
    let mut file = text;
    let mut line = None;
    for _ in 0..2 {
        match file.rsplit_once(':') {
            Some((rest, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                // The last number read is the first one written: the line.
                line = number.parse().ok();
                file = rest;
            }
            _ => break,
        }
    }
    (file, line)
}

/// Whether it is a dotted name, as types have: `a.b.C$D`.
pub fn is_type(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$');
    begins && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$'))
}
