//! `route`: rules that give records labels, set their level, or drop them.
//!
//! A label is what a sink's `routes = […]` selects by: a sink with `routes`
//! takes only records that have one of them; a sink without takes every record.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rules` | none, must be given | what to do with which records, in order |
//! | `match` | `"all"` | `"all"`: every rule that holds acts; `"first"`: only the first one |
//!
//! A rule:
//!
//! | key | meaning |
//! |---|---|
//! | `when` | the condition; without it the rule always holds |
//! | `routes` | labels to add, each once |
//! | `level` | the level to set; of several rules that hold the last one's stays |
//! | `drop` | `true` ends the record here, and its rules with it |
//!
//! Conditions see the record as it came to the filter, never what an earlier
//! rule made of it. With `match = "first"` a rule without an action leaves its
//! records as they are.
//!
//! A condition is a table of paths and what must hold there; all of its entries
//! must hold. Nested paths are written in quotes: `"context.user.id"`. Beside
//! paths it may have `all = [{…}, {…}]`, `any = [{…}, {…}]` and `not = {…}`
//! (a field that has such a name is `'\any'`). At a path stands a value that the
//! field must be equal to, or a table of these, which must all hold:
//!
//! | test | holds when the field is |
//! |---|---|
//! | `equals = value` | that text, number, or truth value |
//! | `in = [value, …]` | equal to one of them |
//! | `glob = "api-*"` | a text of that shape, as a whole: `*` any run, `?` one character, `[a-z]`, `[!a-z]`, `\` takes a meaning away |
//! | `regex = "…"` | a text in which the expression is found; `^` and `$` bind it to the ends, `(?i)` ignores case; takes linear time |
//! | `above`, `at_least`, `below`, `at_most` | a number in that relation |
//! | `exists = true` or `false` | there, or not; null counts as not |
//!
//! - **Lists**: a test holds when it holds for one of the values.
//! - **Numbers** compare by value, `5` with `5.0`, and also when they were sent
//!   as text.
//! - **`level`** compares by severity with a level's name: `{ at_least = "ERROR" }`.
//! - An absent field holds for nothing but `exists = false`, and so for `not`.
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
//!     { when = { level = { at_least = "ERROR" } }, routes = ["alerts"] },
//!     { when = { source = { glob = "api-*" }, "context.status" = { at_least = 500 } }, level = "ERROR" },
//!     { when = { any = [{ message = "ping" }, { "context.path" = "/health" }] }, drop = true },
//! ]
//! ```
//!
//! # How it works
//!
//! | module | what it is for |
//! |---|---|
//! | `options` | the options as they are written |
//! | `compile`, `checks` | their meaning, worked out once |
//! | `condition` | deciding about a record |
//! | `glob`, `pattern`, `number` | shapes of texts, regular expressions, comparison of numbers |
//! | `limits` | every bound |
//!
//! Deciding allocates nothing; a record that changes costs its patch.

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
use condition::Seen;
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
        let mut seen = Seen::new(*record, &self.rules.paths);
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

/// Asked before the edit is, so that a record with all its labels costs nothing.
fn has_label(record: &Record<'_>, label: &str) -> bool {
    record.routes().any(|known| known == label)
}

weir_guest::export!(Route);
