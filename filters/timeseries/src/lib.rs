//! `timeseries`: turns numbers in records into measurements for time-series
//! databases.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `rules` | required | how measurements are made, see below |
//! | `mode` | `"emit"` | `emit`: each measurement is a new record after the original; `replace`: measurements replace the original; `annotate`: the first rule that applies writes into the original |
//! | `routes` | none | labels of new records; by default those of the original |
//!
//! # Rules
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `measurement` | required | the name, or `{ path = "context.operation", default = "other" }` |
//! | `fields` | none | paths of numbers, which may contain `*` and `**`: `["context.duration_ms", "metadata.*"]`; or names and paths: `{ took = "context.duration_ms" }` |
//! | `tags` | none | paths of values that identify a series: `["source"]`, or `{ region = "context.region" }` |
//! | `count` | none | the name of a field that is always 1, to count records |
//! | `when` | none | values that the record must have: `{ source = "shop", "context.kind" = ["a", "b"], "context.user" = { exists = true } }` |
//! | `at_least` | none | the minimum level of the record |
//! | `numeric_texts` | `false` | whether numeric text counts as a number, at paths without a star |
//!
//! - In a list, a field or tag is named after the last key of its path. A value found
//!   by a pattern is named after its keys from the first star on: `metadata.**` finds
//!   `metadata.db.rows` as `db.rows`. Patterns find only numbers, and don't look
//!   into lists.
//! - A rule that finds no number, or no name at its measurement's path, makes no
//!   measurement. Tags without a value are left out.
//!
//! # The measurement
//!
//! A measurement has the `timestamp`, `level`, `source` and `routes` of the original,
//! its name as `message`, and `measurement`, `tags` (a map of text) and `fields` (a
//! map of numbers). Sinks for time series take every record that has these.
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
//! | module | purpose |
//! |---|---|
//! | `options` | the options as they are written |
//! | `rule` | the compiled rules, and what a rule makes of a record |
//! | `condition` | when a rule applies |
//! | `pattern` | paths with stars |
//! | `limits` | all limits |

mod condition;
mod limits;
mod options;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;

use weir_guest::{Description, Edit, Filter, NewRecord, Record, Verdict};

use options::Mode;
use rule::{Point, Rule};

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
                "option `routes`: it applies only to new records; leave it out with mode = \"annotate\"".to_owned()
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
    /// Builds the record of a measurement.
    fn record(&self, of: &Record<'_>, made: Point) -> NewRecord {
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

fn write(made: Point, edit: &mut Edit) {
    edit.set("measurement", made.measurement);
    edit.set("tags", made.tags);
    edit.set("fields", made.fields);
}

weir_guest::export!(Timeseries);
