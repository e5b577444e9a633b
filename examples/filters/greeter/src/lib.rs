//! Greets the user of a record, masks their address, and drops records that interest only developers.
//!
//! Build it with `weir filter build`, try it with `weir filter test greeter.wasm`, and copy it into the filters folder
//! of a running router.

use weir_guest::{Description, Edit, Filter, Level, Record, Verdict, export, host};

/// The options that the operator can set.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    shout: bool,
}

/// The filter.
pub struct Greeter {
    mark: &'static str,
}

impl Filter for Greeter {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "greeter",
            version: env!("CARGO_PKG_VERSION"),
            description: "greets the user of a record",
            ..Description::default()
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        Ok(Self { mark: if options.shout { "!" } else { "" } })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        if record.level() <= Level::Debug {
            return Verdict::Drop;
        }
        if record.get("context.email").is_some() {
            edit.set("context.email", "********");
            host::counter("addresses masked", 1);
        }
        if let Some(name) = record.get("context.user").and_then(|user| user.as_str()) {
            edit.set("context.greeting", format!("hello {name}{}", self.mark));
        }
        Verdict::Keep
    }
}

export!(Greeter);

#[cfg(test)]
mod tests {
    use weir_guest::testing::{Bench, json};

    use super::*;

    #[test]
    fn it_greets_and_masks_and_leaves_the_rest() {
        let mut bench = Bench::<Greeter>::new(json!({ "shout": true })).unwrap();
        let outcome = bench.run_one(json!({ "n": 7, "context": { "user": "Ada", "email": "ada@example.com" } }));
        let record = outcome.record();
        assert_eq!(record["context"]["greeting"], "hello Ada!");
        assert_eq!(record["context"]["email"], "********");
        assert_eq!(record["n"], 7);
        assert_eq!(bench.counter("addresses masked"), 1);
    }

    #[test]
    fn an_option_that_does_not_exist_is_refused() {
        assert!(Bench::<Greeter>::new(json!({ "shuot": true })).is_err());
    }
}
