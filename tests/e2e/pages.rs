//! The Markdown of this repository, and of the heads of the bundled filters, as needed by `docs.rs` and
//! `docs_configuration.rs`: links, headings, code spans and code blocks.
//!
//! Not a complete parser: it supports only fenced and indented code, and code spans with any number of backticks.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::clients::run;
use super::router::repository;

/// All files in the repository that are tracked or would be: relative paths.
pub fn files() -> Vec<PathBuf> {
    let listing = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = run(Command::new("git").current_dir(repository()).args(listing)).stdout;
    let files: Vec<PathBuf> = String::from_utf8(listed).unwrap().lines().map(PathBuf::from).collect();
    files.into_iter().filter(|file| repository().join(file).exists()).collect()
}

/// A Markdown file.
pub struct Page {
    /// Relative to the repository.
    pub path: PathBuf,
    text: String,
}

/// A part of a page, with its first line.
pub struct Part {
    pub line: usize,
    pub text: String,
}

/// A code block.
pub struct Block {
    pub line: usize,
    /// The text after the fence; empty for indented code.
    pub language: String,
    /// The heading above it, without `#`.
    pub heading: String,
    pub text: String,
}

/// Fails with all errors at once.
pub fn found_nothing_wrong(problems: Vec<String>) {
    assert!(problems.is_empty(), "wrong in the documentation:\n{}", problems.join("\n"));
}

/// All Markdown files.
pub fn pages() -> Vec<Page> {
    let pages = files().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| Page::read(&path)).collect()
}

/// What the bundled filters say of themselves: the `//!` head of each one's source.
pub fn heads() -> Vec<Page> {
    let is_head = |path: &PathBuf| path.starts_with("filters") && path.ends_with("src/lib.rs");
    let head = |path: PathBuf| {
        let page = Page::read(&path);
        let lines = page.text.lines().map_while(|line| line.strip_prefix("//!"));
        let text = lines.flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect();
        Page { path, text }
    };
    files().into_iter().filter(is_head).map(head).collect()
}

impl Page {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(repository().join(path)).unwrap();
        Self { path: path.to_owned(), text }
    }

    /// The folder to which its links are relative.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    /// The page with empty code blocks.
    fn prose(&self) -> String {
        let mut is_code = false;
        let lines = self.text.lines().map(|line| {
            let is_fence = line.starts_with("```");
            is_code ^= is_fence;
            if is_code || is_fence || line.starts_with("    ") { "" } else { line }
        });
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// The code spans. A span ends within its paragraph.
    pub fn spans(&self) -> Vec<Part> {
        let prose = self.prose();
        let (mut spans, mut rest, mut line) = (Vec::new(), prose.as_str(), 1);
        while let Some(start) = rest.find('`') {
            line += newlines(&rest[..start]);
            let inside = rest[start..].trim_start_matches('`');
            let fence = &rest[start..rest.len() - inside.len()];
            let paragraph = inside.split("\n\n").next().unwrap_or_default();
            let Some(end) = closing(paragraph, fence) else {
                panic!("{}: a backtick without its other one", self.at(line));
            };
            let words: Vec<&str> = inside[..end].split_whitespace().collect();
            spans.push(Part { line, text: words.join(" ") });
            line += newlines(&inside[..end]);
            rest = &inside[end + fence.len()..];
        }
        spans
    }

    /// The targets of its links.
    pub fn links(&self) -> Vec<Part> {
        let prose = self.prose();
        let lines = prose.lines().enumerate().flat_map(|(index, line)| {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            targets.map(move |target| Part { line: index + 1, text: target.to_owned() })
        });
        lines.collect()
    }

    /// The possible targets of `#…`, as GitHub names headings.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchor = |line: &str| -> String {
            let letters = line.trim_start_matches('#').trim().to_lowercase();
            letters.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
        };
        headings.map(anchor).collect()
    }

    pub fn blocks(&self) -> Vec<Block> {
        let (mut blocks, mut heading, mut is_open) = (Vec::<Block>::new(), String::new(), false);
        for (index, line) in self.text.lines().enumerate() {
            let start = |language: &str, text: &str| {
                let (language, text) = (language.to_owned(), format!("{text}\n"));
                Block { line: index + 1, language, heading: heading.clone(), text }
            };
            match (line.strip_prefix("```"), line.strip_prefix("    ")) {
                (Some(language), _) => {
                    is_open = !is_open;
                    if is_open {
                        blocks.push(start(language, ""));
                    }
                }
                (None, _) if is_open => blocks.last_mut().unwrap().text += &format!("{line}\n"),
                (None, Some(code)) => blocks.push(start("", code)),
                (None, None) => {
                    if let Some(title) = line.strip_prefix('#') {
                        heading = title.trim_start_matches('#').trim().to_owned();
                    }
                }
            }
        }
        blocks
    }

    /// The names in the first column of each table whose first column has the heading `head`, with the heading above.
    pub fn first_column(&self, head: &str) -> Vec<(String, Vec<String>)> {
        let (mut found, mut heading, mut is_inside) = (Vec::<(String, Vec<String>)>::new(), "", false);
        for line in self.text.lines() {
            if let Some(title) = line.strip_prefix('#') {
                heading = title.trim_start_matches('#').trim();
            }
            let cell = line.strip_prefix("| ").and_then(|row| row.split(" |").next());
            match cell {
                Some(cell) if cell == head => {
                    is_inside = true;
                    found.push((heading.to_owned(), Vec::new()));
                }
                Some(cell) if is_inside => {
                    let names = cell.split('`').skip(1).step_by(2).map(str::to_owned);
                    found.last_mut().unwrap().1.extend(names);
                }
                _ => is_inside &= line.starts_with("|---"),
            }
        }
        found
    }
}

fn newlines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The start of a run of exactly as many backticks as `fence`.
fn closing(text: &str, fence: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = text[start..].len() - text[start..].trim_start_matches('`').len();
        if run == fence.len() {
            return Some(start);
        }
        at = start + run;
    }
    None
}
