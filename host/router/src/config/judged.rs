//! Other files that people write, read and judged the way the configuration is: TOML or JSON against the schema of the
//! type that they become, unknown keys refused with a hint, every mistake at once with file and line.
//!
//! Nothing in them is taken from the environment.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::document::{Node, Value};
use super::problems::{Problem, Problems};
use super::{check, document, json, schema, text_of};

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    Toml,
    Json,
}

/// A file that is right as far as its schema goes.
#[derive(Debug)]
pub struct Judged<T> {
    pub value: T,
    /// The same as a tree, for what no schema can state.
    pub root: Node,
    file: String,
    source: String,
    syntax: Syntax,
}

/// Reads a file in memory, called `file` in messages.
pub fn judge<T: DeserializeOwned + JsonSchema>(
    file: &str,
    bytes: &[u8],
    syntax: Syntax,
) -> Result<Judged<T>, Problems> {
    let source = text_of(file, bytes)?;
    let mut problems = Vec::new();
    let root = match syntax {
        Syntax::Toml => document::parse(source, &mut problems),
        Syntax::Json => json::parse(source, &mut problems),
    };
    let refused = |problems| Problems::new(file.to_owned(), source.to_owned(), problems);
    let Some(mut root) = root else { return Err(refused(problems)) };
    let mut schema = schemars::schema_for!(T).to_value();
    schema::without_null(&mut schema);
    problems.extend(check::check(&mut root, &schema));
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    match serde_json::from_value(root.to_json()) {
        Ok(value) => Ok(Judged { value, root, file: file.to_owned(), source: source.to_owned(), syntax }),
        Err(error) => Err(refused(vec![Problem::of_file(format!("this file does not read: {error}"))])),
    }
}

impl<T> Judged<T> {
    /// What is wrong beyond the schema, as a report.
    pub fn refuse(&self, problems: Vec<Problem>) -> Problems {
        Problems::new(self.file.clone(), self.source.clone(), problems)
    }

    /// The line, from 1, on which a part of the file begins.
    pub fn line(&self, node: &Node) -> usize {
        let start = node.span.start.min(self.source.len());
        self.source.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// A part of the file as JSON: of a JSON file, to the letter.
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

/// In the order of the file, which a table of `serde_json` would not keep.
fn write_json(node: &Node, out: &mut String) {
    match &node.value {
        Value::Text { text, .. } | Value::Date(text) => {
            out.push_str(&serde_json::Value::from(text.as_str()).to_string())
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
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Order {
        /// What is wanted.
        dishes: Vec<serde_json::Map<String, serde_json::Value>>,
        table: Option<u64>,
    }

    #[test]
    fn toml_and_json_read_alike_and_keep_their_order() {
        let toml = "table = 7\n[[dishes]]\nzucchini = 1.5\napples = [true, 2026-01-02T03:04:05Z]\n";
        let json = r#"{"table": 7, "dishes": [{"zucchini":1.5,"apples":[true,"2026-01-02T03:04:05Z"]}]}"#;
        for (text, syntax) in [(toml, Syntax::Toml), (json, Syntax::Json)] {
            let judged: Judged<Order> = judge("order", text.as_bytes(), syntax).expect("it is right");
            assert_eq!(judged.value.table, Some(7));
            let dish = &judged.root.entry("dishes").expect("it is there").node.items()[0];
            assert_eq!(judged.json(dish), r#"{"zucchini":1.5,"apples":[true,"2026-01-02T03:04:05Z"]}"#);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_in_both_with_its_line_and_a_hint() {
        let toml = "\ntabel = 7\n";
        let json = "{\n\"tabel\": 7}";
        for (text, syntax) in [(toml, Syntax::Toml), (json, Syntax::Json)] {
            let problems = judge::<Order>("order", text.as_bytes(), syntax).expect_err("it is wrong").to_string();
            assert!(problems.contains("order:2:1") && problems.contains("did you mean `table`?"), "{problems}");
        }
    }
}
