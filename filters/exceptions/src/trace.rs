//! What is found in a text: an error, and where it came from.
//!
//! Everything borrows from the text. Each language has a file that reads its
//! traces; this one says in which of them to look.

use crate::{go, java, node, python, rust};

/// A language whose traces are known.
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

/// An error with its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace<'t> {
    pub language: Language,
    /// Such as `ValueError`.
    pub kind: &'t str,
    pub message: &'t str,
    /// The type of the error that all began with, if there is a chain of them.
    pub cause: Option<&'t str>,
    /// The innermost first.
    pub frames: Vec<Frame<'t>>,
}

/// A place in a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'t> {
    /// Empty if it has no name.
    pub function: &'t str,
    /// Empty if it is not known.
    pub file: &'t str,
    pub line: Option<u32>,
}

/// The stack trace in a text, if there is one.
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

/// `file:12:5` or `file:12` as file and line.
pub fn place(text: &str) -> (&str, Option<u32>) {
    let mut file = text;
    let mut line = None;
    for _ in 0..2 {
        match file.rsplit_once(':') {
            Some((rest, number)) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => {
                // The last one read is the first one written: the line.
                line = number.parse().ok();
                file = rest;
            }
            _ => break,
        }
    }
    (file, line)
}

/// Whether it is a name with dots as types have: `a.b.C$D`.
pub fn is_type(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$');
    begins && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$'))
}
