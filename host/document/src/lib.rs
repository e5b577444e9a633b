//! Reads TOML and JSON files that people write, checks them against a JSON Schema, and reports all errors at once with
//! their lines.
//!
//! Weir's configuration and the test cases of filters are such files. Each step works on the values that the previous
//! steps accepted:
//!
//! | file | purpose |
//! |---|---|
//! | `document` | runs all steps: bytes to a typed value and its tree, or to problems |
//! | `tree` | TOML to a tree with the span of every key and value |
//! | `json` | JSON to the same tree |
//! | `environment` | expands `${NAME}` in strings |
//! | `check` | validates the tree against a schema: unknown keys, types, bounds |
//! | `schema` | removes `null` from a schema, since TOML has none |
//! | `diagnostics` | error reports |
//! | `secret`, `hidden` | values that are never shown, and where a file has them |
//! | `suggest` | "did you mean" suggestions |
//! | `units` | sizes and durations such as `10MiB` and `1h30m` |
//! | `limits` | the bounds |
//!
//! The caller checks rules that a schema can't express. It finds the values in the tree and adds its own [`Diagnostic`]s.
//!
//! Invariants: this crate opens no files, and messages and reports show neither secrets nor values from the
//! environment, because they may be secrets.

mod check;
mod diagnostics;
mod document;
mod environment;
mod hidden;
mod json;
pub mod limits;
mod schema;
pub mod secret;
mod suggest;
mod tree;
pub mod units;

pub use check::{keywords::KEYWORDS, quoted};
pub use diagnostics::{Diagnostic, Diagnostics};
pub use document::{Document, Syntax, read};
pub use environment::Environment;
pub use schema::{schema_of, without_null};
pub use secret::Secret;
pub use suggest::{list, nearest};
pub use tree::{Node, TableEntry, Value};
