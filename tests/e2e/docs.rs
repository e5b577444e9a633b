//! The documentation names only what exists: links, files, commands and their options. `docs_configuration.rs` checks
//! configurations and their keys.
//!
//! Reads every Markdown file of the repository. In prose, only names in backticks count.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use super::clients::run;
use super::pages::{self, Page, found_nothing_wrong};
use super::router::{repository, weir};

/// Files and folders that the documentation names although they are not in the repository, and what creates them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("weir-data/logs.db", "a sink"),
    ("versions/", "the router, in its data folder"),
    ("versions/NAME.pinned", "`weir filter rollback`, a swap over the API, a rejected trial"),
    ("compiled/", "the router, in its data folder"),
    ("cache/", "the router, in its data folder"),
    ("levels.json", "the router, in its data folder"),
    ("cases.json", "a filter's author"),
];

/// Names that look like files but are not: media types, file extensions.
const NO_FILE: &str = r"^(application|text)/|^\.\w+$";

/// Options of other programs.
const FOREIGN_OPTIONS: &[(&str, &str)] = &[("--workspace", "cargo")];

#[test]
fn every_link_has_a_target() {
    let mut problems = Vec::new();
    for page in pages::pages() {
        for link in page.links() {
            if let Err(reason) = follow(&page, &link.text) {
                problems.push(format!("{}: the link `{}` {reason}", page.at(link.line), link.text));
            }
        }
    }
    found_nothing_wrong(problems);
}

fn follow(page: &Page, link: &str) -> Result<(), String> {
    if link.contains("://") {
        return Ok(());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { page.path.clone() } else { page.folder().join(path) };
    if !repository().join(&target).exists() {
        return Err("leads nowhere".to_owned());
    }
    if !anchor.is_empty() && !Page::read(&target).anchors().iter().any(|known| known == anchor) {
        return Err(format!("leads to a heading that {} doesn't have", target.display()));
    }
    Ok(())
}

#[test]
fn every_named_file_exists() {
    let path = Regex::new(r"^[\w.*-]+(/[\w.*-]+)*/?$").unwrap();
    let file = Regex::new(r"/|\.(rs|md|toml|wit|wasm|jsonl?|c|h|zig|go|m?js|ts|py|sh)$").unwrap();
    let no_file = Regex::new(NO_FILE).unwrap();
    let is_file = |name: &str| path.is_match(name) && file.is_match(name) && !no_file.is_match(name);
    let (tree, mut problems, mut elsewhere) = (tree(), Vec::new(), BTreeSet::new());
    for page in pages::pages() {
        for span in page.spans().into_iter().filter(|span| is_file(&span.text)) {
            if ELSEWHERE.iter().any(|(name, _)| *name == span.text) {
                elsewhere.insert(span.text);
            } else if !tree.iter().any(|entry| is_meant(&page, &span.text, entry)) {
                problems.push(format!("{}: there is no `{}`", page.at(span.line), span.text));
            }
        }
    }
    for (name, _) in ELSEWHERE {
        if !elsewhere.contains(*name) {
            problems.push(format!("`{name}` is named nowhere: take it out of the list"));
        }
    }
    found_nothing_wrong(problems);
}

/// Every file and folder of the repository.
fn tree() -> BTreeSet<PathBuf> {
    pages::files().iter().flat_map(|file| file.ancestors()).map(Path::to_owned).collect()
}

/// Whether `entry` is the file that a page means by `name`: relative to the top, to `host/`, or to any folder below the
/// page's. A name without a folder may be anywhere. `*` matches anything in a name, and capitals any name.
fn is_meant(page: &Page, name: &str, entry: &Path) -> bool {
    let entry: Vec<&str> = entry.iter().map(|part| part.to_str().unwrap()).collect();
    let wanted: Vec<&str> = name.trim_end_matches('/').split('/').collect();
    let Some(above) = entry.len().checked_sub(wanted.len()) else { return false };
    let (above, named) = entry.split_at(above);
    let folder: Vec<&str> = page.folder().iter().map(|part| part.to_str().unwrap()).collect();
    let is_in_reach = above.is_empty() || above == ["host"] || wanted.len() == 1 || above.starts_with(&folder);
    is_in_reach && wanted.iter().zip(named).all(|(pattern, part)| stands_for(pattern, part))
}

fn stands_for(pattern: &str, part: &str) -> bool {
    let regex = regex::escape(pattern).replace(r"\*", ".*").replace("NAME", ".+").replace("VERSION", ".+");
    Regex::new(&format!("^{regex}$")).unwrap().is_match(part)
}

#[test]
fn every_command_and_option_of_weir_is_in_its_help() {
    let mut help = Help::default();
    let every = help.every_option();
    let (option, mut problems, mut commands) = (Regex::new("^--[a-z]").unwrap(), Vec::new(), 0);
    for page in pages::pages() {
        for (line, command) in written_commands(&page) {
            if let Some(arguments) = arguments_of("weir", &command) {
                commands += 1;
                // What follows belongs to another program.
                let arguments = arguments.split(|word| word == "--").next().unwrap_or_default();
                if let Err(reason) = help.check(arguments) {
                    problems.push(format!("{}: `{command}`: {reason}", page.at(line)));
                }
            }
        }
        for span in page.spans().into_iter().filter(|span| option.is_match(&span.text)) {
            let name = option_name(&span.text);
            if !every.contains(name) && !FOREIGN_OPTIONS.iter().any(|(foreign, _)| *foreign == name) {
                problems.push(format!("{}: no command of weir has `{name}`", page.at(span.line)));
            }
        }
    }
    assert!(commands > 50, "only {commands} commands were found");
    found_nothing_wrong(problems);
}

/// Text that a reader might type: code spans, and lines of code blocks.
fn written_commands(page: &Page) -> Vec<(usize, String)> {
    let spans = page.spans().into_iter().map(|span| (span.line, span.text));
    let blocks = page.blocks().into_iter().filter(|block| ["", "console", "sh"].contains(&block.language.as_str()));
    let lines = blocks.flat_map(|block| {
        let joined = block.text.replace("\\\n", " ");
        joined.lines().map(|line| (block.line, line.to_owned())).collect::<Vec<_>>()
    });
    spans.chain(lines).collect()
}

/// The words after `program`, up to a comment, a pipe or the next command.
fn arguments_of(program: &str, command: &str) -> Option<Vec<String>> {
    let command = command.trim_start_matches("$ ").split(" #").next().unwrap_or_default();
    let mut words = command.split_whitespace().skip_while(|word| word.contains('=') && !word.starts_with('-'));
    if words.next() != Some(program) {
        return None;
    }
    let ends = |word: &&str| !["|", ">", "&&", ";"].contains(word);
    Some(words.take_while(ends).map(str::to_owned).collect())
}

fn option_name(word: &str) -> &str {
    word.split(['=', ' ']).next().unwrap_or(word)
}

/// The output of `weir … --help`, read once per command.
#[derive(Default)]
struct Help {
    texts: HashMap<Vec<String>, String>,
}

impl Help {
    fn of(&mut self, command: &[String]) -> &str {
        let ask = || String::from_utf8(run(weir().args(command).arg("--help")).stdout).unwrap();
        self.texts.entry(command.to_vec()).or_insert_with(ask)
    }

    fn subcommands(&mut self, command: &[String]) -> Vec<String> {
        let help = self.of(command);
        let (_, listed) = help.split_once("Commands:\n").unwrap_or_default();
        let lines = listed.lines().take_while(|line| !line.is_empty());
        let named = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        named.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    }

    fn options(&mut self, command: &[String]) -> BTreeSet<String> {
        let option = Regex::new(r"(?m)^ +(-\w)?(?:, )?(--[a-z-]+)?").unwrap();
        let found = option.captures_iter(self.of(command));
        let names = found.flat_map(|found| [found.get(1), found.get(2)]).flatten();
        names.map(|name| name.as_str().to_owned()).collect()
    }

    fn check(&mut self, arguments: &[String]) -> Result<(), String> {
        let mut command = Vec::new();
        for word in arguments {
            let subcommands = self.subcommands(&command);
            if word.starts_with('-') && word != "-" {
                let name = option_name(word);
                if !self.options(&command).contains(name) {
                    return Err(format!("`weir {}` has no `{name}`", command.join(" ")));
                }
            } else if subcommands.contains(word) {
                command.push(word.clone());
            } else if !subcommands.is_empty() && word != "…" {
                return Err(format!("`weir {}` has no command `{word}`", command.join(" ")));
            }
        }
        Ok(())
    }

    fn every_option(&mut self) -> BTreeSet<String> {
        let (mut found, mut commands) = (BTreeSet::new(), vec![Vec::new()]);
        while let Some(command) = commands.pop() {
            found.extend(self.options(&command));
            for inner in self.subcommands(&command).into_iter().filter(|inner| inner != "help") {
                commands.push([command.clone(), vec![inner]].concat());
            }
        }
        found
    }
}

#[test]
fn every_package_test_and_bench_passed_to_cargo_exists() {
    let cargo = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let metadata = run(Command::new(env!("CARGO")).current_dir(repository()).args(cargo)).stdout;
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let has_target = |kind: &str, name: &str| {
        let targets = packages.iter().flat_map(|package| package["targets"].as_array().unwrap());
        targets.into_iter().any(|target| target["kind"][0] == kind && target["name"] == name)
    };
    let mut problems = Vec::new();
    for page in pages::pages() {
        for (line, command) in written_commands(&page) {
            let Some(arguments) = arguments_of("cargo", &command) else { continue };
            for pair in arguments.windows(2) {
                let is_there = match pair[0].as_str() {
                    "-p" => packages.iter().any(|package| package["name"] == pair[1].as_str()),
                    "--test" => has_target("test", &pair[1]),
                    "--bench" => has_target("bench", &pair[1]),
                    _ => true,
                };
                if !is_there {
                    problems.push(format!("{}: `{command}`: there is no `{}`", page.at(line), pair[1]));
                }
            }
        }
    }
    found_nothing_wrong(problems);
}

#[test]
fn every_key_option_and_metric_with_an_underscore_is_in_the_sources() {
    let (name, word) = (Regex::new(r"^[a-z]+(_[a-z0-9]+)+$").unwrap(), Regex::new(r"\w+").unwrap());
    let mut words = BTreeSet::new();
    let is_source = |path: &&PathBuf| !path.starts_with("tests/e2e") && path.extension().is_some_and(|end| end != "md");
    for path in pages::files().iter().filter(is_source) {
        let text = std::fs::read_to_string(repository().join(path)).unwrap_or_default();
        words.extend(word.find_iter(&text).map(|found| found.as_str().to_owned()));
    }
    let mut problems = Vec::new();
    for page in pages::pages() {
        for span in page.spans() {
            let bare = span.text.split(['{', '(']).next().unwrap_or_default();
            if name.is_match(bare) && !words.contains(bare) {
                problems.push(format!("{}: no source has `{bare}`", page.at(span.line)));
            }
        }
    }
    found_nothing_wrong(problems);
}
