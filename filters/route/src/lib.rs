//! `route`: rules that add labels to records, set their level, or drop them.
//!
//! Sinks select records by label: a sink with `routes = […]` takes only records
//! that have one of these labels; a sink without `routes` takes every record.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rules` | required | what to do with which records, in order |
//! | `match` | `"all"` | `"all"`: every rule that matches is applied; `"first"`: only the first one |
//!
//! A rule:
//!
//! | key | meaning |
//! |---|---|
//! | `when` | the condition; without it the rule matches every record |
//! | `routes` | labels to add |
//! | `level` | the level to set; if several rules match, the last one wins |
//! | `drop` | `true` drops the record; no further rule is applied |
//!
//! Conditions see the original record, not the changes of earlier rules. With
//! `match = "first"`, a rule without an action leaves its records unchanged.
//!
//! A condition is a query, such as `"level>=WARN source:api-*"`, or a table. The page
//! of the crate `weir-query` describes queries; in a filter, they can't contain an age
//! such as `since:1h`, or a Unicode class such as `\p{Greek}`.
//!
//! A table has paths and tests; all of them must be true. Write nested paths in
//! quotes: `"context.user.id"`. It may also have `all = […]` and `any = […]`, lists of
//! conditions, and `not = …`, a condition (write a field with such a name as
//! `'\any'`). A test is a value that the field must be equal to, or a table of these,
//! all of which must be true:
//!
//! | test | true if the field is |
//! |---|---|
//! | `equals = value` | that text, number, or truth value |
//! | `in = [value, …]` | equal to one of them |
//! | `glob = "api-*"` | text that matches as a whole: `*` any characters, `?` one character, `[a-z]`, `[!a-z]`; `\` escapes |
//! | `regex = "…"` | text that contains a match; `^` and `$` anchor it, `(?i)` ignores case; takes linear time |
//! | `above`, `at_least`, `below`, `at_most` | a number in that relation |
//! | `exists = true` or `false` | present, or absent; null counts as absent |
//!
//! - **Lists**: a test is true if it is true for one of the values.
//! - **Numbers** compare by value: `5` equals `5.0`, and the text `"5"`.
//! - **`level`** compares by severity with the name of a level:
//!   `{ at_least = "ERROR" }`.
//! - **Absent fields** pass only `exists = false`, and `not`.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "route"
//! module = "bundled:route"
//!
//! [filter.options]
//! match = "all"
//! rules = [
//!     { when = { source = { in = ["auth", "billing"] } }, routes = ["audit"] },
//!     { when = "level>=ERROR", routes = ["alerts"] },
//!     { when = "source:api-* context.status>=500", level = "ERROR" },
//!     { when = "context.path:/health* OR message=ping", drop = true },
//! ]
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options as they are written |
//! | `compile`, `checks` | the compiled rules |
//! | `condition` | evaluating a condition |
//! | `glob`, `pattern`, `number` | in tables: globs, regular expressions, comparison of numbers |
//! | `limits` | all limits |
//!
//! Evaluating a table does not allocate; a changed record costs its patch.

mod checks;
mod compile;
mod condition;
mod glob;
mod limits;
mod number;
mod options;
mod pattern;
#[cfg(test)]
mod tests;

use weir_guest::{Description, Edit, Filter, Record, Verdict};

use compile::{Action, Rules};
use condition::FieldCache;
use options::Matching;

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Route {
    rules: Rules,
}

impl Filter for Route {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "route",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &["routes", "level"],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let rules = Rules::compile(options).map_err(|error| error.to_string())?;
        Ok(Route { rules })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        let mut seen = FieldCache::new(*record, &self.rules.paths);
        let mut new_level = None;
        for rule in &self.rules.rules {
            if !rule.when.as_ref().is_none_or(|when| when.holds(&mut seen)) {
                continue;
            }
            match &rule.action {
                Action::Drop => return Verdict::Drop,
                Action::Change { level, routes } => {
                    new_level = level.or(new_level);
                    for label in routes.iter().filter(|label| !has_label(record, label)) {
                        edit.route(label);
                    }
                }
            }
            if self.rules.matching == Matching::First {
                break;
            }
        }
        if let Some(level) = new_level.filter(|level| *level != seen.level()) {
            edit.level(level);
        }
        Verdict::Keep
    }
}

/// Checked before the edit is made, so that a record with all its labels costs
/// nothing.
fn has_label(record: &Record<'_>, label: &str) -> bool {
    record.routes().any(|known| known == label)
}

weir_guest::export!(Route);
