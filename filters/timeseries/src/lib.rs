//! `timeseries`: makes measurements of the numbers in records, for databases of
//! time series.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rules` | must be given | what measurements are made of, see below |
//! | `mode` | `"emit"` | `emit`: each measurement is a record of its own, behind the one it is made of, which goes on as it is; `replace`: it goes on instead; `annotate`: the first rule that applies writes into the record itself |
//! | `routes` | none | labels that measurements of their own get; without it those of the record |
//!
//! # Rules
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `measurement` | must be given | its name, or `{ path = "context.operation", default = "other" }` |
//! | `fields` | none | paths of numbers, with `*` and `**` if need be: `["context.duration_ms", "metadata.*"]`; or names and paths: `{ took = "context.duration_ms" }` |
//! | `tags` | none | paths of texts by which series are told apart: `["source"]`, or `{ region = "context.region" }` |
//! | `count` | none | the name of a field that is always 1, to count records |
//! | `when` | none | what must stand where: `{ source = "shop", "context.kind" = ["a", "b"], "context.user" = { exists = true } }` |
//! | `at_least` | none | from which level on |
//! | `numeric_texts` | `false` | whether a text that is a number counts as one, at paths without a star |
//!
//! - A list names a field or tag by the last key of its path. What a pattern finds
//!   is named by its keys from the first star on: `metadata.**` finds
//!   `metadata.db.rows` as `db.rows`. Only numbers are found; lists are not gone
//!   through.
//! - A rule that finds no number, or nothing at its measurement's path, makes
//!   nothing. Tags without a value are left out.
//!
//! # What a measurement is
//!
//! A record with `timestamp`, `level`, `source` and `routes` of the one it is made
//! of, its name as `message`, and `measurement`, `tags` (a map of texts), `fields`
//! (a map of numbers). A sink for time series takes every record that has these.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "timeseries"
//! module = "bundled:timeseries"
//!
//! [filter.options]
//! routes = ["metrics"]
//!
//! [[filter.options.rules]]
//! when = { source = "shop" }
//! measurement = { path = "context.operation", default = "shop" }
//! tags = ["source", "context.region"]
//! fields = ["context.duration_ms", "metadata.*"]
//! ```
//!
//! # How it works
//!
//! | module | what it is for |
//! |---|---|
//! | `options` | the options as they are written |
//! | `rule` | their meaning, and what a rule makes of a record |
//! | `pattern` | paths with stars |
//! | `limits` | every bound |

mod limits;
mod options;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use weir_guest::{Description, Edit, Filter, NewRecord, Record, Verdict};

use options::Mode;
use rule::{Made, Rule};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Timeseries {
    rules: Vec<Rule>,
    mode: Mode,
    routes: Vec<String>,
}

impl Filter for Timeseries {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "timeseries",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &["measurement", "tags", "fields"],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let (mode, routes) = (options.mode, options.routes.clone());
        if mode == Mode::Annotate && !routes.is_empty() {
            return Err(
                "option `routes`: they are for measurements of their own; leave it out with mode = \"annotate\""
                    .to_owned(),
            );
        }
        let rules = rule::compile(options).map_err(|error| error.to_string())?;
        Ok(Timeseries { rules, mode, routes })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        let mut made = self.rules.iter().filter_map(|rule| rule.apply(record)).peekable();
        if made.peek().is_none() {
            return Verdict::Keep;
        }
        if self.mode == Mode::Annotate {
            if let Some(made) = made.next() {
                write(made, edit);
            }
            return Verdict::Keep;
        }
        let measurements = made.map(|made| self.record(record, made));
        let own = (self.mode == Mode::Emit).then(|| NewRecord::copy(record));
        Verdict::Expand(own.into_iter().chain(measurements).collect())
    }
}

impl Timeseries {
    /// The record of a measurement.
    fn record(&self, of: &Record<'_>, made: Made) -> NewRecord {
        let mut new = NewRecord::new(of.level(), of.source(), &made.measurement).timestamp(of.timestamp());
        if self.routes.is_empty() {
            for label in of.routes() {
                new = new.route(label);
            }
        }
        for label in &self.routes {
            new = new.route(label);
        }
        write(made, new.edit());
        new
    }
}

fn write(made: Made, edit: &mut Edit) {
    edit.set("measurement", made.measurement);
    edit.set("tags", made.tags);
    edit.set("fields", made.fields);
}

weir_guest::export!(Timeseries);
