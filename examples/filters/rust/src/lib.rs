//! Masks e-mail addresses in `context`, drops DEBUG, counts what it masked.

use weir_guest::{Description, Edit, Filter, Level, Record, Verdict, export, host};

/// The options that the operator can set.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The text that replaces an address.
    mask: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { mask: "********".to_owned() }
    }
}

/// The filter.
pub struct MyFilter {
    options: Options,
}

impl Filter for MyFilter {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "my-filter",
            version: env!("CARGO_PKG_VERSION"),
            description: "masks e-mail addresses, drops DEBUG",
            ..Description::default()
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        Ok(Self { options })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        if record.level() <= Level::Debug {
            return Verdict::Drop;
        }
        if record.get("context.email").is_some() {
            edit.set("context.email", self.options.mask.as_str());
            host::counter("masked", 1);
        }
        Verdict::Keep
    }
}

export!(MyFilter);

#[cfg(test)]
mod tests {
    use weir_guest::testing::{Bench, json};

    use super::*;

    #[test]
    fn an_address_is_masked_and_counted() {
        let mut bench = Bench::<MyFilter>::new(json!({ "mask": "[hidden]" })).unwrap();
        let outcome = bench.run_one(json!({ "n": 7, "context": { "user": "Ada", "email": "ada@example.com" } }));
        assert_eq!(outcome.record()["context"]["email"], "[hidden]");
        assert_eq!(outcome.record()["n"], 7);
        assert_eq!(bench.counter("masked"), 1);
    }
}
