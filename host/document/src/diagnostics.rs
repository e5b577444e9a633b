//! Error reports: all problems in the order of the file, each with file, line and column, the source line and a marker.
//!
//! Invariants: spans are byte ranges of the source stored here, in which secrets are hidden already; values from the
//! environment are never printed, because they may be secrets; control characters in the file never reach the terminal.

use std::fmt::{self, Write as _};
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use weir_record::escape::needs_escape;

use crate::limits::{MAX_PROBLEMS, SHOWN_LINE_CHARS};

/// One problem. Without a span, it concerns the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    span: Option<Range<usize>>,
    label: String,
    help: Option<String>,
}

impl Diagnostic {
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

    /// The byte offset at which the problem ends.
    pub(crate) fn end(&self) -> Option<usize> {
        self.span.as_ref().map(|span| span.end)
    }

    /// The message, a single line.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// All problems of one file, with the source to show them.
#[derive(Debug, Clone)]
pub struct Diagnostics {
    file: String,
    source: String,
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    pub fn new(file: String, source: String, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        list.dedup();
        Self { file, source, list }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Line and column of a problem, both 1-based; the column counts characters.
    pub fn position(&self, problem: &Diagnostic) -> Option<(usize, usize)> {
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
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() }.term_width(SHOWN_LINE_CHARS);
        let mut out = String::new();
        for problem in self.list.iter().take(MAX_PROBLEMS) {
            _ = writeln!(out, "{}\n", self.render_one(problem, &renderer));
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

    fn render_one(&self, problem: &Diagnostic, renderer: &Renderer) -> String {
        let (message, help) = (printable(&problem.message), problem.help.as_deref().map(printable));
        let (label, place) =
            (printable(&problem.label), problem.span.as_ref().map(|span| LinePosition::of(&self.source, span)));
        let title = Level::ERROR.primary_title(message);
        let mut report = match &place {
            Some(place) => title.element(place.snippet(&self.file, &label)),
            None => title.element(Origin::path(&self.file)),
        };
        if let Some(help) = help {
            report = report.element(Level::HELP.message(help));
        }
        renderer.render(&[report])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

/// The line on which a span starts, and the part of the span on that line.
struct LinePosition {
    line: usize,
    column: usize,
    /// The line as it is shown.
    text: String,
    /// The span within `text`, in bytes.
    span: Range<usize>,
}

impl LinePosition {
    fn of(source: &str, span: &Range<usize>) -> Self {
        let start = floor_boundary(source, span.start);
        let end = floor_boundary(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let line_end = line_start + source[line_start..line_end].trim_end_matches('\r').len();
        let before = printable(&source[line_start..start]);
        let within = printable(&source[start..end.min(line_end).max(start)]);
        Self {
            line: source[..start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            text: printable(&source[line_start..line_end.max(start)]),
            span: before.len()..before.len() + within.len(),
        }
    }

    fn snippet<'a>(&'a self, file: &'a str, label: &'a str) -> Snippet<'a, Annotation<'a>> {
        let mark = AnnotationKind::Primary.span(self.span.clone());
        let mark = if label.is_empty() { mark } else { mark.label(label) };
        Snippet::source(&self.text).line_start(self.line).path(file).annotation(mark)
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
        // Among others marks that reorder text, which could make a line read as something else than it is.
        c if needs_escape(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
