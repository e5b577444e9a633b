//! Files that people write, TOML or JSON: read, checked against a JSON Schema, and every mistake shown at once with its
//! line.
//!
//! Weir's configuration and a filter's test cases are such files. A file goes through these steps in order, and each
//! works on what the steps before it accepted:
//!
//! | file | purpose |
//! |---|---|
//! | `document` | all the steps: bytes to a typed value and its tree, or every problem |
//! | `tree` | TOML to a tree in which every key and value knows its place |
//! | `json` | JSON to the same tree |
//! | `environment` | `${NAME}` inside strings |
//! | `check` | the tree against a schema: unknown keys, types, bounds |
//! | `schema` | a schema without `null`, which TOML doesn't have |
//! | `problems` | what is wrong, and how it is shown |
//! | `suggest` | "did you mean" |
//! | `units` | sizes and durations as people write them |
//! | `limits` | the bounds |
//!
//! Rules that no schema can state are the caller's: it looks them up in the tree, which has their places, and adds its
//! own [`Problem`]s.
//!
//! Invariants: nothing here opens a file; a value that comes from the environment is never quoted in a message, since it
//! may be a secret.

mod check;
mod document;
mod environment;
mod json;
pub mod limits;
mod problems;
mod schema;
mod suggest;
mod tree;
pub mod units;

pub use check::{keywords::KEYWORDS, quoted};
pub use document::{Document, Syntax, read};
pub use environment::Environment;
pub use problems::{Problem, Problems};
pub use schema::{schema_of, without_null};
pub use suggest::{list, nearest};
pub use tree::{Entry, Node, Value};
