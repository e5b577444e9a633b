//! A filter for the typed world that uses only the generated bindings.
//!
//! It marks slow requests: a record whose `context.duration_ms` is at or above
//! `threshold_ms` becomes at least a WARNING, gets `context.slow = true` and the
//! route `slow`; health checks are dropped.
//!
//! ```toml
//! [[filter]]
//! name = "slow"
//! module = "typed_rust.wasm"
//! options = { threshold_ms = 500 }
//! ```
//!
//! The typed world works in any language. In Rust, the crate `weir-guest` needs less
//! code and is faster; this example shows the contract itself. Build it with
//! `weir filter build examples/filters/typed-rust`.

// In your own project, copy `wit/v1` into it and use `path: "wit"`.
wit_bindgen::generate!({ path: "../../../wit/v1", world: "filter" });

use std::cell::Cell;

use exports::weir::filter::lifecycle::{self, Description};
use exports::weir::filter::typed;
use serde::Deserialize;
use weir::filter::types::{Change, Field, Level, Value, Verdict, View};

const DURATION: &str = "context.duration_ms";

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    threshold_ms: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { threshold_ms: 1000.0 }
    }
}

thread_local! {
    // Set once by `configure`, before the first batch.
    static THRESHOLD_MS: Cell<f64> = const { Cell::new(f64::INFINITY) };
}

struct Slow;

impl lifecycle::Guest for Slow {
    fn describe() -> Description {
        Description {
            name: "slow".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "marks slow requests and drops health checks".to_owned(),
            // The filter sees only this path, which makes it cheap.
            reads: vec![DURATION.to_owned()],
            writes: ["level", "context.slow", "routes"].map(str::to_owned).to_vec(),
        }
    }

    fn configure(options: String) -> Result<(), String> {
        let options: Options = serde_json::from_str(&options).map_err(|error| error.to_string())?;
        if options.threshold_ms.is_nan() || options.threshold_ms < 0.0 {
            return Err("option `threshold_ms`: milliseconds can't be negative".to_owned());
        }
        THRESHOLD_MS.set(options.threshold_ms);
        Ok(())
    }
}

impl typed::Guest for Slow {
    fn process(batch: Vec<View>) -> Result<Vec<Verdict>, String> {
        let threshold_ms = THRESHOLD_MS.get();
        Ok(batch.iter().map(|view| verdict(view, threshold_ms)).collect())
    }
}

/// Decides about one record, in plain Rust that native tests can call.
fn verdict(view: &View, threshold_ms: f64) -> Verdict {
    if view.message.starts_with("GET /health") {
        return Verdict::Drop;
    }
    let duration_ms = view.fields.iter().find(|field| field.path == DURATION).and_then(|field| match field.value {
        Value::Integer(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    });
    if duration_ms.is_none_or(|duration_ms| duration_ms < threshold_ms) {
        return Verdict::Keep;
    }
    let slow = Field { path: "context.slow".to_owned(), value: Value::Boolean(true) };
    let mut changes = vec![Change::Set(slow), Change::Route("slow".to_owned())];
    if matches!(view.level, Level::Trace | Level::Debug | Level::Info) {
        changes.push(Change::Level(Level::Warning));
    }
    Verdict::Change(changes)
}

#[cfg(target_arch = "wasm32")]
export!(Slow);

#[cfg(test)]
mod tests {
    use super::*;

    fn view(message: &str, level: Level, duration: Option<Value>) -> View {
        let fields = duration.map(|value| Field { path: DURATION.to_owned(), value });
        View {
            time: 0,
            level,
            source: "web".to_owned(),
            message: message.to_owned(),
            fields: fields.into_iter().collect(),
        }
    }

    #[test]
    fn slow_requests_become_warnings_with_a_route() {
        let slow = view("GET /", Level::Info, Some(Value::Integer(500)));
        let Verdict::Change(changes) = verdict(&slow, 500.0) else { panic!("not changed") };
        assert!(matches!(&changes[0], Change::Set(field) if field.path == "context.slow"));
        assert!(matches!(&changes[1], Change::Route(route) if route == "slow"));
        assert!(matches!(&changes[2], Change::Level(Level::Warning)));
    }

    #[test]
    fn a_level_above_warning_stays() {
        let slow = view("GET /", Level::Critical, Some(Value::Float(9e9)));
        let Verdict::Change(changes) = verdict(&slow, 500.0) else { panic!("not changed") };
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn quick_requests_and_records_without_a_duration_are_kept() {
        assert!(matches!(verdict(&view("GET /", Level::Info, Some(Value::Integer(499))), 500.0), Verdict::Keep));
        assert!(matches!(verdict(&view("GET /", Level::Info, None), 0.0), Verdict::Keep));
    }

    #[test]
    fn health_checks_are_dropped() {
        assert!(matches!(verdict(&view("GET /health 200", Level::Info, None), 500.0), Verdict::Drop));
    }
}
