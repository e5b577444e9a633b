//! Error reports: all problems in the order of the file, each with file, line and column, the source line and a marker.
//!
//! Invariants: spans are byte ranges of the source stored here; values from the environment are never printed, because
//! they may be secrets; control characters in the file never reach the terminal.

use std::fmt::{self, Write as _};
use std::ops::Range;

use weir_record::escape::is_harmful;

use crate::limits::{MAX_PROBLEMS, SHOWN_LINE_CHARS};

/// One problem. Without a span, it concerns the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    span: Option<Range<usize>>,
    label: String,
    help: Option<String>,
}

impl Problem {
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), label: String::new(), help: None }
    }

    pub fn of_file(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, label: String::new(), help: None }
    }

    /// Adds text next to the marker.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Adds a help line: what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The byte offset at which the problem starts.
    pub fn start(&self) -> Option<usize> {
        self.span.as_ref().map(|span| span.start)
    }

    /// The message, a single line.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// All problems of one file, with the source to show them.
#[derive(Debug, Clone)]
pub struct Problems {
    file: String,
    source: String,
    list: Vec<Problem>,
}

impl Problems {
    pub fn new(file: String, source: String, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        list.dedup();
        Self { file, source, list }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// Line and column of a problem, both 1-based; the column counts characters.
    pub fn position(&self, problem: &Problem) -> Option<(usize, usize)> {
        let span = problem.span.as_ref()?;
        let place = LinePosition::of(&self.source, span);
        Some((place.line, place.column))
    }

    /// One line per problem with its position, in the order of the file.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|problem| {
            let place = problem.span.as_ref().map(|span| LinePosition::of(&self.source, span));
            let place = place.map_or(String::new(), |place| format!(":{}:{}", place.line, place.column));
            let help = problem.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
            printable(&format!("{}{place}: {}{help}", self.file, problem.message))
        })
    }

    /// The report as text; `colour` adds terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let paint = Paint { colour };
        let mut out = String::new();
        for problem in self.list.iter().take(MAX_PROBLEMS) {
            self.render_one(problem, paint, &mut out);
            out.push('\n');
        }
        if self.list.len() > MAX_PROBLEMS {
            let more = self.list.len() - MAX_PROBLEMS;
            _ = writeln!(out, "… and {more} more\n");
        }
        out.push_str(&self.summary());
        out
    }

    /// The number of problems, in one line that doesn't quote the file.
    pub fn summary(&self) -> String {
        let plural = if self.list.len() == 1 { "" } else { "s" };
        format!("{} problem{plural} in {}", self.list.len(), self.file)
    }

    fn render_one(&self, problem: &Problem, paint: Paint, out: &mut String) {
        let error = paint.red("error");
        _ = writeln!(out, "{error}: {}", paint.bold(&printable(&problem.message)));
        let mut gutter = " ".to_owned();
        if let Some(span) = &problem.span {
            let place = LinePosition::of(&self.source, span);
            let number = place.line.to_string();
            gutter = " ".repeat(number.len());
            let arrow = paint.blue("-->");
            let bar = paint.blue("|");
            let shown = PrintableLine::of(&place);
            let mark = paint.red(&"^".repeat(shown.width));
            let label = paint.red(&printable(&problem.label));
            let number = paint.blue(&number);
            let indent = " ".repeat(shown.indent);
            _ = writeln!(out, "{gutter}{arrow} {}:{}:{}", self.file, place.line, place.column);
            _ = writeln!(out, "{gutter} {bar}");
            _ = writeln!(out, "{}", format!("{number} {bar} {}", shown.text).trim_end());
            _ = writeln!(out, "{}", format!("{gutter} {bar} {indent}{mark} {label}").trim_end());
        } else {
            _ = writeln!(out, "{gutter}{} {}", paint.blue("-->"), self.file);
        }
        if let Some(help) = &problem.help {
            let equals = paint.blue("=");
            _ = writeln!(out, "{gutter} {equals} help: {}", printable(help));
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// The line on which a span starts, and the part of the span on that line.
struct LinePosition<'a> {
    line: usize,
    column: usize,
    text: &'a str,
    /// Characters of `text` before the span, and within it.
    before: usize,
    within: usize,
}

impl<'a> LinePosition<'a> {
    fn of(source: &'a str, span: &Range<usize>) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let text = source[line_start..line_end].trim_end_matches('\r');
        let before = source[line_start..start].chars().count();
        let last = end.min(line_start + text.len()).max(start);
        Self {
            line: source[..start].matches('\n').count() + 1,
            column: before + 1,
            text,
            before,
            within: source[start..last].chars().count(),
        }
    }
}

/// A printable line: truncated around the marker if long, with tabs and control characters replaced by one visible
/// column each, so that the marker aligns.
struct PrintableLine {
    text: String,
    indent: usize,
    width: usize,
}

impl PrintableLine {
    fn of(place: &LinePosition<'_>) -> Self {
        let length = place.text.chars().count();
        let skipped = if length <= SHOWN_LINE_CHARS { 0 } else { place.before.saturating_sub(SHOWN_LINE_CHARS / 3) };
        let mut text = String::new();
        if skipped > 0 {
            text.push('…');
        }
        let cut = place.text.chars().skip(skipped).take(SHOWN_LINE_CHARS);
        text.extend(cut.map(printable_char));
        if skipped + SHOWN_LINE_CHARS < length {
            text.push('…');
        }
        let indent = place.before - skipped + usize::from(skipped > 0);
        let room = (skipped + SHOWN_LINE_CHARS).saturating_sub(place.before);
        Self { text, indent, width: place.within.min(room).max(1) }
    }
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

fn printable_char(c: char) -> char {
    match c {
        '\t' => ' ',
        // Includes bidirectional control characters, which could disguise the text of a line.
        c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Terminal colours, or nothing.
#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn red(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn blue(self, text: &str) -> String {
        self.wrap("1;34", text)
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }
}
