//! A filter with state for the typed world that uses only the generated bindings.
//!
//! It splits a message of several lines into one record per line, numbered in
//! `line`, and counts them. Before Weir stops, and when the filter is removed from
//! the chain, it emits their number. A new version of the filter continues
//! counting where the old one stopped.
//!
//! ```toml
//! [[filter]]
//! name = "lines"
//! module = "typed_stateful.wasm"
//! options = { max_lines = 100 }
//! ```
//!
//! `process` expands records, `tick` emits a record, `save` and `restore` pass on
//! the counts. Build it with
//! `weir filter build examples/filters/typed-stateful`.

// In your own project, copy `wit/v1` into it and use `path: "wit"`.
wit_bindgen::generate!({ path: "../../../wit/v1", world: "stateful-filter" });

use std::cell::Cell;

use exports::weir::filter::lifecycle::{self, Description};
use exports::weir::filter::{typed, typed_state};
use serde::Deserialize;
use weir::filter::types::{Field, Level, Value, Verdict, View};

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Maximum number of records made from one; the last contains all remaining lines.
    max_lines: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { max_lines: 100 }
    }
}

/// The state of the filter.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Counts {
    records: u64,
    lines: u64,
}

impl Counts {
    fn save(self) -> Vec<u8> {
        [self.records.to_le_bytes(), self.lines.to_le_bytes()].concat()
    }

    fn restore(state: &[u8]) -> Result<Self, String> {
        let number = |at| state.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        match (state.len(), number(0), number(8)) {
            (16, Some(records), Some(lines)) => Ok(Counts { records, lines }),
            (other, ..) => Err(format!("the state has {other} bytes, but this filter's has 16")),
        }
    }
}

thread_local! {
    // Set once by `configure`, before the first batch.
    static MAX_LINES: Cell<usize> = const { Cell::new(1) };
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { records: 0, lines: 0 }) };
}

struct Lines;

impl lifecycle::Guest for Lines {
    fn describe() -> Description {
        Description {
            name: "lines".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "makes a record of each line of a message".to_owned(),
            // A new record contains what the filter was shown, so it must be shown everything.
            reads: Vec::new(),
            writes: Vec::new(),
        }
    }

    fn configure(options: String) -> Result<(), String> {
        let options: Options = serde_json::from_str(&options).map_err(|error| error.to_string())?;
        if options.max_lines < 2 {
            return Err("option `max_lines`: give at least 2".to_owned());
        }
        MAX_LINES.set(options.max_lines);
        Ok(())
    }
}

impl typed::Guest for Lines {
    fn process(batch: Vec<View>) -> Result<Vec<Verdict>, String> {
        let mut counts = COUNTS.get();
        let verdicts = batch.into_iter().map(|view| verdict(view, MAX_LINES.get(), &mut counts)).collect();
        COUNTS.set(counts);
        Ok(verdicts)
    }
}

impl typed_state::Guest for Lines {
    fn tick(closing: bool) -> Vec<View> {
        if closing { summary(COUNTS.get(), weir::filter::host::now()).into_iter().collect() } else { Vec::new() }
    }

    fn save() -> Vec<u8> {
        COUNTS.get().save()
    }

    fn restore(state: Vec<u8>) -> Result<(), String> {
        COUNTS.set(Counts::restore(&state)?);
        Ok(())
    }
}

/// Decides about one record, in plain Rust that native tests can call.
fn verdict(view: View, max_lines: usize, counts: &mut Counts) -> Verdict {
    if !view.message.contains('\n') {
        return Verdict::Keep;
    }
    let lines: Vec<&str> = view.message.splitn(max_lines, '\n').collect();
    counts.records += 1;
    counts.lines += lines.len() as u64;
    let made = lines.iter().enumerate().map(|(index, line)| {
        let mut made = View { message: (*line).to_owned(), ..view.clone() };
        made.fields.push(Field { path: "line".to_owned(), value: Value::Integer(index as i64 + 1) });
        made
    });
    Verdict::Expand(made.collect())
}

/// The record with the counts, unless they are zero.
fn summary(counts: Counts, now: i64) -> Option<View> {
    let field = |path: &str, number: u64| Field { path: path.to_owned(), value: Value::Integer(number as i64) };
    (counts.records > 0).then(|| View {
        time: now,
        level: Level::Info,
        source: "lines".to_owned(),
        message: format!("{} records were split into {} lines", counts.records, counts.lines),
        fields: vec![field("records", counts.records), field("lines", counts.lines)],
    })
}

#[cfg(target_arch = "wasm32")]
export!(Lines);

#[cfg(test)]
mod tests {
    use super::*;

    fn view(message: &str) -> View {
        let user = Field { path: "context.user".to_owned(), value: Value::Text("Ada".to_owned()) };
        View { time: 7, level: Level::Error, source: "web".to_owned(), message: message.to_owned(), fields: vec![user] }
    }

    #[test]
    fn each_line_becomes_a_record_with_all_fields_of_the_original() {
        let mut counts = Counts::default();
        let Verdict::Expand(made) = verdict(view("a\nb"), 100, &mut counts) else { panic!("not expanded") };
        let messages: Vec<&str> = made.iter().map(|view| view.message.as_str()).collect();
        assert_eq!(messages, ["a", "b"]);
        assert!(made.iter().all(|view| view.time == 7 && view.fields[0].path == "context.user"));
        assert!(matches!(&made[1].fields[1], Field { path, value: Value::Integer(2) } if path == "line"));
        assert_eq!(counts, Counts { records: 1, lines: 2 });
    }

    #[test]
    fn the_last_record_contains_the_remaining_lines() {
        let Verdict::Expand(made) = verdict(view("a\nb\nc"), 2, &mut Counts::default()) else { panic!("not expanded") };
        assert_eq!((made.len(), made[1].message.as_str()), (2, "b\nc"));
    }

    #[test]
    fn a_single_line_is_kept_and_not_counted() {
        let mut counts = Counts::default();
        assert!(matches!(verdict(view("a"), 100, &mut counts), Verdict::Keep));
        assert!(summary(counts, 0).is_none());
    }

    #[test]
    fn counts_survive_a_swap_and_foreign_state_is_refused() {
        let counts = Counts { records: 3, lines: 1 << 40 };
        assert_eq!(Counts::restore(&counts.save()), Ok(counts));
        assert!(Counts::restore(&[0; 15]).is_err());
    }
}
