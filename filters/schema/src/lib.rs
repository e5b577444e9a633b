//! `schema`: checks records against a JSON Schema.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `schema` | must be given | the schema, as a table or as JSON in a text |
//! | `field` | the whole record | the path of what is checked |
//! | `optional` | `false` | whether `field` may be absent |
//! | `on_fail` | `"tag"` | what becomes of a record that does not fit, see below |
//! | `route` | none | with `on_fail = "route"`: the label that it gets |
//! | `level` | none | the level that it gets, with `tag` and `route` |
//! | `errors` | `"schema_errors"` | where the reasons go, a list of texts, with `tag` and `route`; `""`: nowhere |
//! | `max_errors` | `5` | how many reasons, 1 to 32 |
//!
//! | `on_fail` | what becomes of the record |
//! |---|---|
//! | `tag` | it goes on with the reasons |
//! | `route` | and with a label, by which a sink can take it |
//! | `reject` | the filter fails it; `on_error` of the `[[filter]]` says what that means: quarantine, where it can be replayed from, or an error to the sender |
//! | `drop` | it ends here |
//!
//! `reject` is for few bad records: Weir runs the records around each one again to
//! find it. Counter `invalid` counts those that were tagged, routed or dropped.
//!
//! # The schema
//!
//! Of JSON Schema, draft 2020-12, these keywords are followed:
//!
//! | about | keywords |
//! |---|---|
//! | all values | `type`, `enum`, `const` |
//! | numbers | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf` |
//! | texts | `minLength`, `maxLength`, `pattern` |
//! | lists | `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems` |
//! | maps | `properties`, `patternProperties`, `additionalProperties`, `required`, `dependentRequired`, `minProperties`, `maxProperties` |
//! | other schemas | `allOf`, `anyOf`, `oneOf`, `not`, `if`, `then`, `else`, `$ref` within the document, `$defs` |
//!
//! - **Other keywords are refused**, since without them the schema would be another
//!   one. Those that only describe are passed over: `title`, `description`,
//!   `default`, `examples`, `$comment`, `$id`, and `format`, which is not checked.
//! - **Expressions** take time in proportion to the text: no look-around and no
//!   back-references. `\d` and `\w` mean ASCII, as in JavaScript. A text of more than
//!   64 KiB matches none.
//! - **A record as Weir has it** is checked: every one has `timestamp`, an integer of
//!   nanoseconds, `level`, `source` and `message`. Bytes have no type of JSON.
//! - **A record may take 250,000 steps**, each a schema that a value is held against; one that takes more does not fit.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "schema"
//! module = "bundled:schema"
//!
//! [filter.options]
//! field = "context"
//! on_fail = "route"
//! route = "invalid"
//!
//! [filter.options.schema]
//! type = "object"
//! required = ["order"]
//! properties.order = { type = "integer", minimum = 1 }
//! properties.currency = { enum = ["EUR", "SEK"] }
//! ```
//!
//! # How it works
//!
//! | module | what it is for |
//! |---|---|
//! | `options` | the options and their check |
//! | `compile`, `node` | from the schema as it is written to what it means |
//! | `check` | holding a value against it |
//! | `number`, `canonical` | when numbers and values are the same |
//! | `limits` | every bound |

mod canonical;
mod check;
mod compile;
mod limits;
mod node;
mod number;
mod options;
#[cfg(test)]
mod tests;

use weir_guest::{Description, Edit, Filter, Level, Path, Record, Value, Verdict, host};

use check::Check;
use node::Schema;
use options::OnFail;

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct SchemaFilter {
    schema: Schema,
    field: Option<Path>,
    optional: bool,
    on_fail: OnFail,
    route: Option<String>,
    level: Option<Level>,
    errors: Option<Path>,
    max_errors: usize,
}

impl Filter for SchemaFilter {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "schema",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let schema = options.check().map_err(|error| error.to_string())?;
        Ok(SchemaFilter {
            schema,
            field: options.field,
            optional: options.optional,
            on_fail: options.on_fail,
            route: options.route,
            level: options.level,
            errors: (!options.errors.is_empty()).then(|| Path::parse(&options.errors)),
            max_errors: options.max_errors,
        })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        let errors = self.errors_of(record);
        if errors.is_empty() {
            return Verdict::Keep;
        }
        match self.on_fail {
            OnFail::Reject => return Verdict::Fail(format!("it does not fit the schema: {}", errors.join("; "))),
            OnFail::Drop => {
                host::counter("invalid", 1);
                return Verdict::Drop;
            }
            OnFail::Tag | OnFail::Route => host::counter("invalid", 1),
        }
        if let Some(path) = &self.errors {
            edit.set_at(path, errors);
        }
        if let Some(level) = self.level {
            edit.level(level);
        }
        if let Some(label) = &self.route {
            edit.route(label);
        }
        Verdict::Keep
    }
}

impl SchemaFilter {
    fn errors_of(&self, record: &Record<'_>) -> Vec<String> {
        let Some(field) = &self.field else {
            return Check::run(&self.schema, Value::Map(record.map()), &[], self.max_errors);
        };
        match record.at(field) {
            Some(value) => Check::run(&self.schema, value, &[field.to_string()], self.max_errors),
            None if self.optional => Vec::new(),
            None => vec![format!("`{field}` is not there")],
        }
    }
}

weir_guest::export!(SchemaFilter);
