//! Runs all steps for one file: from bytes to a typed value and its tree, or to a list of problems.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::check::check;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::environment::{self, Environment};
use crate::limits::MAX_FILE_BYTES;
use crate::tree::{Node, Value};
use crate::units::Size;
use crate::{hidden, json, tree};

/// The syntax of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    Toml,
    Json,
}

/// A parsed file.
pub struct Document<T> {
    /// The typed value, with defaults for refused values.
    pub value: T,
    /// The tree, for checks that a schema can't express.
    pub root: Node,
    /// Problems found so far; the caller can add its own.
    pub problems: Vec<Diagnostic>,
    file: String,
    source: String,
    /// The source without secrets, for reports.
    shown: String,
    syntax: Syntax,
}

/// Parses `bytes` and checks them against `schema`. Messages refer to the file as `file`. If `environment` is given,
/// strings can refer to its variables.
///
/// Fails if nothing can be checked: the file is too large, not UTF-8, or has a syntax error.
pub fn read<T: DeserializeOwned>(
    file: &str,
    bytes: &[u8],
    syntax: Syntax,
    schema: &Json,
    environment: Option<Environment<'_>>,
) -> Result<Document<T>, Diagnostics> {
    let has_secrets = hidden::has_secrets(schema);
    let source = text_of(file, bytes, has_secrets)?;
    let mut problems = Vec::new();
    let root = match syntax {
        Syntax::Toml => tree::parse(source, &mut problems),
        Syntax::Json => json::parse(source, &mut problems),
    };
    let refused = |shown, problems| Diagnostics::new(file.to_owned(), shown, problems);
    let Some(mut root) = root else { return Err(refused(without_values(source, has_secrets), problems)) };
    let shown = if has_secrets { without_secrets(source, &mut root, schema, &problems) } else { source.to_owned() };
    if let Some(environment) = environment {
        environment::expand(&mut root, source, environment, &mut problems);
    }
    problems.extend(check(&mut root, schema));
    match serde_json::from_value(root.to_json()) {
        Ok(value) => {
            let (file, source) = (file.to_owned(), source.to_owned());
            Ok(Document { value, root, problems, file, source, shown, syntax })
        }
        Err(error) => {
            // The schema accepted a value that the type refuses. The error quotes values, which may be secrets.
            let reason = if environment.is_some() { String::new() } else { format!(": {error}") };
            problems.push(Diagnostic::of_file(format!(
                "this file doesn't match its type although it matches the schema{reason}"
            )));
            Err(refused(shown, problems))
        }
    }
}

/// The source without its secrets. Of a key that is set twice, the tree has only one value, so the lines of problems are
/// hidden, too.
fn without_secrets(source: &str, root: &mut Node, schema: &Json, problems: &[Diagnostic]) -> String {
    let mut spans = hidden::spans(root, schema);
    spans.extend(problems.iter().filter_map(Diagnostic::end).map(|end| hidden::rest_of_line(source, end)));
    hidden::masked(source, &spans)
}

/// The source without any values, if some of them may be secrets.
fn without_values(source: &str, has_secrets: bool) -> String {
    if has_secrets { hidden::masked(source, &hidden::values(source)) } else { source.to_owned() }
}

/// Decodes the file as UTF-8.
fn text_of<'a>(file: &str, bytes: &'a [u8], has_secrets: bool) -> Result<&'a str, Diagnostics> {
    let refused = |source: String, problem| Diagnostics::new(file.to_owned(), source, vec![problem]);
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let most = Size::from_bytes(MAX_FILE_BYTES);
        let problem = Diagnostic::of_file(format!("the file is larger than {most}")).help("is this the right file?");
        return Err(refused(String::new(), problem));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(source) => Ok(source),
        Err(error) => {
            let at = error.valid_up_to();
            let mut problem = Diagnostic::at(at..at + 1, "the file is not UTF-8");
            if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
                problem = problem.help("it is UTF-16: save it as UTF-8");
            }
            let shown = String::from_utf8_lossy(bytes).into_owned();
            Err(refused(without_values(&shown, has_secrets), problem))
        }
    }
}

impl<T> fmt::Debug for Document<T> {
    /// The tree may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<T> Document<T> {
    /// Returns the value, or all problems if there are any.
    pub fn finish(self) -> Result<T, Diagnostics> {
        if self.problems.is_empty() { Ok(self.value) } else { Err(self.report(self.problems.clone())) }
    }

    /// Makes a report of problems in this file.
    pub fn report(&self, problems: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics::new(self.file.clone(), self.shown.clone(), problems)
    }

    /// The 1-based line on which a node starts.
    pub fn line(&self, node: &Node) -> usize {
        let start = node.span.start.min(self.source.len());
        self.source.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// A node as JSON; for a JSON file, the exact source text.
    pub fn json(&self, node: &Node) -> String {
        match self.syntax {
            Syntax::Json => self.source[node.span.clone()].to_owned(),
            Syntax::Toml => {
                let mut text = String::new();
                write_json(node, &mut text);
                text
            }
        }
    }
}

/// Keeps the order of the file, which `serde_json::Map` doesn't.
fn write_json(node: &Node, out: &mut String) {
    match &node.value {
        Value::Text { text, .. } | Value::Date(text) => {
            out.push_str(&serde_json::Value::from(text.as_str()).to_string());
        }
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&serde_json::Value::from(*number).to_string()),
        Value::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::List(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Table(entries) => {
            out.push('{');
            for (number, entry) in entries.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::Value::from(entry.key.as_str()).to_string());
                out.push(':');
                write_json(&entry.node, out);
            }
            out.push('}');
        }
        Value::Unusable => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::{Secret, schema_of};

    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Order {
        /// The dishes.
        dishes: Vec<serde_json::Map<String, serde_json::Value>>,
        table: Option<u64>,
    }

    fn read_order(text: &str, syntax: Syntax) -> Result<Document<Order>, Diagnostics> {
        read("order", text.as_bytes(), syntax, &schema_of::<Order>(), None)
    }

    #[test]
    fn toml_and_json_read_alike_and_keep_their_order() {
        let toml = "table = 7\n[[dishes]]\nzucchini = 1.5\napples = [true, 2026-01-02T03:04:05Z]\n";
        let json = r#"{"table": 7, "dishes": [{"zucchini":1.5,"apples":[true,"2026-01-02T03:04:05Z"]}]}"#;
        for (text, syntax) in [(toml, Syntax::Toml), (json, Syntax::Json)] {
            let document = read_order(text, syntax).expect("it is right");
            assert_eq!(document.problems, []);
            assert_eq!(document.value.table, Some(7));
            let dish = &document.root.entry("dishes").expect("it is there").node.items()[0];
            assert_eq!(document.json(dish), r#"{"zucchini":1.5,"apples":[true,"2026-01-02T03:04:05Z"]}"#);
        }
    }

    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Server {
        password: Option<Secret>,
        headers: std::collections::BTreeMap<String, Secret>,
        port: u16,
    }

    #[test]
    fn no_report_shows_a_secret() {
        for (line, problem) in [
            ("password = 'hunter2", "this is not TOML"),
            ("password = hunter2", "this is not TOML"),
            ("headers = { a = 'hunter2', b }", "this is not TOML"),
            ("passwrod = 'hunter2'", "did you mean `password`?"),
            ("password = ['hunter2']", "expected a string, found a list"),
            ("password = 'a'\npassword = 'hunter2'", "`password` is set twice"),
            ("password = '${hunter2'", "`${` without its `}`"),
            ("password = '${a hunter2}'", "this does not name a variable"),
            ("headers = 'hunter2'", "expected a table, found other text"),
            ("headers = { a = 'hunter2', b = 1 }", "expected a string, found an integer"),
            ("port = 'x' # 1\nheaders = { a = 'hunter2' }\nport = 2", "`port` is set twice"),
        ] {
            let read = read::<Server>("server", line.as_bytes(), Syntax::Toml, &schema_of::<Server>(), Some(&|_| None));
            let problems = read.and_then(Document::finish).expect_err(line);
            for shown in [problems.to_string(), problems.lines().collect(), format!("{problems:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            assert!(problems.to_string().contains(problem), "{problems}");
        }
        let read = |text: &str| {
            read::<Server>("server", text.as_bytes(), Syntax::Toml, &schema_of::<Server>(), None)
                .and_then(Document::finish)
                .expect_err(text)
                .to_string()
        };
        // What is no secret is still shown.
        let shown = read("password = 'hunter2'\nport = 'high'");
        assert!(shown.contains("port = 'high'"), "{shown}");
        let shown = read("headers = { 'x' = 'hunter2' }\nprot = 81");
        assert!(shown.contains("prot = **") && shown.contains("server:2:1"), "{shown}");
    }

    #[test]
    fn an_unknown_key_is_refused_in_both_with_its_line_and_a_hint() {
        let toml = "\ntabel = 7\n";
        let json = "{\n\"tabel\": 7}";
        for (text, syntax) in [(toml, Syntax::Toml), (json, Syntax::Json)] {
            let document = read_order(text, syntax).expect("it can be read");
            let problems = document.finish().expect_err("it is wrong").to_string();
            assert!(problems.contains("order:2:1") && problems.contains("did you mean `table`?"), "{problems}");
        }
    }
}
