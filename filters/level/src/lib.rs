//! `level`: drops records below a minimum level, which may differ by source.
//!
//! ```toml
//! [[filter]]
//! name = "level"
//! module = "bundled:level"
//! options = { default = "INFO", sources = { auth = "DEBUG", "auth.cache" = "ERROR" } }
//! ```
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `default` | `INFO` | the minimum level for sources that are not listed |
//! | `sources` | none | minimum levels by source |
//!
//! Sources are hierarchical, like loggers in Python: `auth` applies to `auth`,
//! `auth.login` and `auth.login.oauth`, but not to `authority`. If several names
//! apply, the longest wins. Names are case-sensitive.
//!
//! Dropped records are counted by level: `dropped_debug` and so on.
//!
//! The filter works on whole batches, because it sees every record but needs only
//! two of its fields: it walks over each record once and does nothing else with one
//! that is kept.

mod fields;

use std::collections::HashMap;

use fields::Fields;
use serde::Deserialize;
use weir_guest::{BatchFilter, Description, Level, Output, host};

/// The options.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The minimum level of unlisted sources. INFO if absent.
    default: Level,
    /// Minimum levels by source.
    sources: HashMap<String, Level>,
}

/// The filter.
pub struct MinimumLevel {
    options: Options,
}

impl MinimumLevel {
    /// The minimum level of a source: that of its longest listed prefix.
    fn minimum(&self, source: &[u8]) -> Level {
        if self.options.sources.is_empty() {
            return self.options.default;
        }
        let mut name = std::str::from_utf8(source).unwrap_or_default();
        loop {
            if let Some(level) = self.options.sources.get(name) {
                return *level;
            }
            match name.rfind('.') {
                Some(dot) => name = &name[..dot],
                None => return self.options.default,
            }
        }
    }
}

impl BatchFilter for MinimumLevel {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "level",
            version: env!("CARGO_PKG_VERSION"),
            description: "drops records below a minimum level, which may differ by source",
            reads: &["level", "source"],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        match options.sources.keys().find(|source| source.trim().is_empty()) {
            Some(_) => Err("option `sources`: a source has no name; use `default` for the \
                            level of all others"
                .to_owned()),
            None => Ok(MinimumLevel { options }),
        }
    }

    fn process_batch(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        let mut dropped = [0_u64; Level::ALL.len()];
        let mut at = 0;
        while at < batch.len() {
            let Some((fields, end)) = Fields::read(batch, at) else {
                return Err(format!("no MessagePack map at byte {at} of the batch"));
            };
            at = end;
            if fields.level >= self.minimum(fields.source) {
                output.keep();
            } else {
                dropped[fields.level as usize] += 1;
                output.discard();
            }
        }
        for (level, count) in Level::ALL.into_iter().zip(dropped).filter(|(_, count)| *count > 0) {
            host::counter(counter(level), count);
        }
        Ok(())
    }
}

/// The counter for dropped records of a level.
fn counter(level: Level) -> &'static str {
    match level {
        Level::Trace => "dropped_trace",
        Level::Debug => "dropped_debug",
        Level::Info => "dropped_info",
        Level::Warning => "dropped_warning",
        Level::Error => "dropped_error",
        Level::Critical => "dropped_critical",
    }
}

weir_guest::export!(MinimumLevel);

#[cfg(test)]
mod tests {
    use weir_guest::testing::{Bench, json};

    use super::*;

    fn kept(options: weir_guest::testing::Json, source: &str, level: &str) -> bool {
        let mut bench = Bench::<MinimumLevel>::new(options).unwrap();
        let outcome = bench.run_one(json!({ "source": source, "level": level }));
        assert!(outcome.is_kept() || outcome.is_dropped());
        outcome.is_kept()
    }

    #[test]
    fn without_options_everything_from_info_upwards_passes() {
        assert!(!kept(json!({}), "web", "DEBUG"));
        assert!(kept(json!({}), "web", "INFO"));
        assert!(kept(json!({}), "web", "CRITICAL"));
    }

    #[test]
    fn the_longest_named_prefix_of_a_source_decides() {
        let options = json!({
            "default": "WARNING",
            "sources": { "auth": "DEBUG", "auth.cache": "ERROR" },
        });
        for (source, level, passes) in [
            ("web", "INFO", false),
            ("web", "WARNING", true),
            ("auth", "DEBUG", true),
            ("auth.login.oauth", "DEBUG", true),
            ("auth.login", "TRACE", false),
            ("auth.cache", "WARNING", false),
            ("auth.cache.lru", "ERROR", true),
            ("authority", "INFO", false),
        ] {
            assert_eq!(kept(options.clone(), source, level), passes, "{source} {level}");
        }
    }

    #[test]
    fn levels_in_options_are_read_in_any_case() {
        assert!(!kept(json!({ "default": "warn" }), "web", "INFO"));
    }

    #[test]
    fn dropped_records_are_counted_by_level() {
        let mut bench = Bench::<MinimumLevel>::new(json!({})).unwrap();
        bench.run([json!({ "level": "DEBUG" }), json!({ "level": "TRACE" }), json!({})]);
        assert_eq!(bench.counter("dropped_debug"), 1);
        assert_eq!(bench.counter("dropped_trace"), 1);
        assert_eq!(bench.counter("dropped_info"), 0);
    }

    #[test]
    fn wrong_options_are_refused_by_name() {
        let refused = |options| Bench::<MinimumLevel>::new(options).err().unwrap();
        let error = refused(json!({ "sources": { "auth": "LOUD" } }));
        assert!(error.contains("`sources.auth`") && error.contains("LOUD"), "{error}");
        let error = refused(json!({ "source": {} }));
        assert!(error.contains("`source`") && error.contains("`sources`"), "{error}");
        let error = refused(json!({ "sources": { "": "INFO" } }));
        assert!(error.contains("`sources`"), "{error}");
    }
}
