//! Reads and checks `cases.toml` or `cases.json`.
//!
//! The types here are the only definition of the keys: the check for unknown keys is derived from them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use weir_document::units::TimeSpan;
use weir_document::{Diagnostic, Diagnostics, Document, Node, Syntax, Value, schema_of};
use weir_record::Batch;

use super::run::Verdict;
use super::samples;
use crate::limits::CASES_FILE_BYTES;

/// The cases of a filter.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Options for all cases.
    options: Map<String, Json>,
    /// The cases, in order.
    case: Vec<RawCase>,
}

/// A case as written in the file.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCase {
    /// Name of the case, unique in the file.
    #[schemars(required, example = &"masks the address")]
    name: Option<String>,
    /// Options for this case, which override those of the file.
    #[serde(default)]
    options: Map<String, Json>,
    /// Input records, as a sender would write them, but with any `routes` that earlier filters set.
    #[serde(default)]
    records: Vec<Map<String, Json>>,
    /// The expected outcome of each record.
    #[schemars(example = ["keep", "drop"])]
    #[serde(default)]
    verdicts: Option<Vec<Verdict>>,
    /// The expected output records, in order.
    #[serde(default)]
    expect: Option<Vec<Map<String, Json>>>,
    /// Whether output records may contain only the expected keys.
    #[serde(default)]
    exact: bool,
    /// Paths that must be absent from the output.
    #[serde(default)]
    absent: Vec<String>,
    /// Texts that must not occur anywhere in the output.
    #[serde(default)]
    never: Vec<String>,
    /// The expected counters of the filter after the case.
    #[serde(default)]
    counters: Option<BTreeMap<String, u64>>,
    /// The records that a stateful filter is expected to emit after the input.
    #[serde(default)]
    tick: Option<Vec<Map<String, Json>>>,
    /// Time between the input and the tick. Without it, the tick is the final one.
    #[serde(default)]
    after: Option<TimeSpan>,
    /// Time between two records, which are then passed one by one.
    #[serde(default)]
    every: Option<TimeSpan>,
    /// Part of the error that the filter is expected to fail with, or to refuse its options with.
    #[schemars(example = &"must be")]
    #[serde(default)]
    error: Option<String>,
}

/// A file of cases.
#[derive(Debug)]
pub struct Cases {
    /// Its name in messages.
    pub file: String,
    /// Options for all cases.
    pub options: Map<String, Json>,
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// The line where it starts.
    pub line: usize,
    /// Options that override those of the file.
    pub options: Map<String, Json>,
    pub records: Batch,
    pub verdicts: Option<Vec<Verdict>>,
    pub expect: Option<Vec<Json>>,
    pub exact: bool,
    pub absent: Vec<String>,
    pub never: Vec<String>,
    pub counters: Option<BTreeMap<String, u64>>,
    pub tick: Option<Vec<Json>>,
    pub after: Option<Duration>,
    pub every: Option<Duration>,
    pub error: Option<String>,
}

/// Reads a file of cases, as JSON or TOML depending on its extension.
pub fn read(path: &Path) -> anyhow::Result<Cases> {
    let bytes = samples::read_bounded(path, CASES_FILE_BYTES)?;
    let syntax = match path.extension().is_some_and(|ending| ending == "json") {
        true => Syntax::Json,
        false => Syntax::Toml,
    };
    Ok(parse(&path.display().to_string(), &bytes, syntax)?)
}

/// Parses the content of a file, which messages call `file`.
pub fn parse(file: &str, bytes: &[u8], syntax: Syntax) -> Result<Cases, Diagnostics> {
    let mut document: Document<File> = weir_document::read(file, bytes, syntax, &schema_of::<File>(), None)?;
    if !document.problems.is_empty() {
        return Err(document.report(document.problems.clone()));
    }
    let written = std::mem::take(&mut document.value.case);
    let nodes = document.root.entry("case").map(|entry| entry.node.items()).unwrap_or_default();
    let mut reader = Reader { document: &document, problems: Vec::new() };
    if written.is_empty() {
        reader.problems.push(Diagnostic::of_file("there are no cases").help("begin one with `[[case]]`"));
    }
    let mut cases: Vec<Case> = Vec::with_capacity(written.len());
    for (written, node) in written.into_iter().zip(nodes) {
        let case = reader.case(written, node);
        if let Some(before) = cases.iter().find(|before| before.name == case.name) {
            let problem =
                Diagnostic::at(span(node, "name"), format!("the case of line {} has this name too", before.line));
            reader.problems.push(problem);
        }
        cases.push(case);
    }
    let problems = reader.problems;
    if !problems.is_empty() {
        return Err(document.report(problems));
    }
    Ok(Cases { file: file.to_owned(), options: document.value.options, cases })
}

struct Reader<'a> {
    document: &'a Document<File>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn case(&mut self, written: RawCase, node: &Node) -> Case {
        let before = self.problems.len();
        let mut case = Case {
            name: written.name.unwrap_or_default(),
            line: self.document.line(node),
            options: written.options,
            records: self.records(node),
            verdicts: written.verdicts,
            expect: self.values(node, "expect"),
            exact: written.exact,
            absent: written.absent,
            never: written.never,
            counters: written.counters,
            tick: self.values(node, "tick"),
            after: written.after.map(TimeSpan::duration),
            every: written.every.map(TimeSpan::duration),
            error: written.error,
        };
        // Keys that have an effect only together with another, missing one.
        let mut odd = |key: &str, is_odd: bool, help: &str| {
            if is_odd {
                let problem = Diagnostic::at(span(node, key), format!("`{key}` has no effect here")).help(help);
                self.problems.push(problem);
            }
        };
        let is_silent = case.expect.is_none() && case.tick.is_none();
        odd("exact", case.exact && is_silent, "it changes how `expect` and `tick` are compared; add one of them");
        odd(
            "after",
            case.after.is_some() && case.tick.is_none(),
            "it is the time before `tick`; add the expected records",
        );
        if let Some(verdicts) = &case.verdicts
            && verdicts.len() != case.records.len()
            // Report only the error of an invalid record.
            && self.problems.len() == before
        {
            let (verdicts, records) = (verdicts.len(), case.records.len());
            let what = format!("there are {verdicts} verdicts on {records} records; give one for each, in order");
            self.problems.push(Diagnostic::at(span(node, "verdicts"), what));
            case.verdicts = None;
        }
        if case.records.is_empty() && case.error.is_none() && case.tick.is_none() && node.entry("records").is_none() {
            let problem = Diagnostic::at(node.span.clone(), format!("the case `{}` has no records", case.name));
            self.problems.push(problem.help("for example `records = [{ message = \"hello\" }]`"));
        }
        case
    }

    /// Reads the records like ingest.
    fn records(&mut self, case: &Node) -> Batch {
        let mut batch = Batch::new();
        let nodes = case.entry("records").map(|entry| entry.node.items()).unwrap_or_default();
        for node in nodes {
            let reason = match node.value {
                Value::Table(_) => samples::read_json(self.document.json(node).as_bytes(), &mut batch).err(),
                _ => Some("a record is a table".to_owned()),
            };
            if let Some(reason) = reason {
                self.problems.push(Diagnostic::at(node.span.clone(), format!("this is not a valid record: {reason}")));
            }
        }
        batch
    }

    fn values(&mut self, case: &Node, key: &str) -> Option<Vec<Json>> {
        let nodes = case.entry(key).filter(|entry| !entry.node.is_unusable())?.node.items();
        let value = |node: &Node| serde_json::from_str(&self.document.json(node)).unwrap_or_else(|_| node.to_json());
        Some(nodes.iter().map(value).collect())
    }
}

/// Where a key of a case is in the file; the case itself if it has no such key.
fn span(case: &Node, key: &str) -> std::ops::Range<usize> {
    case.entry(key).map_or_else(|| case.span.clone(), |entry| entry.node.span.clone())
}

/// All keys of a case.
#[cfg(test)]
pub fn keys() -> Vec<String> {
    let schema = schemars::schema_for!(RawCase).to_value();
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}
