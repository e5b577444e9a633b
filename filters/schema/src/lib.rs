//! `schema`: validates records against a JSON Schema.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `schema` | required | the schema, as a table or as a string of JSON |
//! | `field` | the whole record | the path of the value to validate |
//! | `optional` | `false` | whether `field` may be absent |
//! | `on_fail` | `"tag"` | what happens to an invalid record, see below |
//! | `route` | none | with `on_fail = "route"`: the label to add |
//! | `level` | none | the level to set, with `tag` and `route` |
//! | `errors` | `"schema_errors"` | the path for the list of errors, with `tag` and `route`; `""`: none |
//! | `max_errors` | `5` | how many errors are listed, 1 to 32 |
//!
//! | `on_fail` | what happens to the record |
//! |---|---|
//! | `tag` | it goes on with the errors |
//! | `route` | it goes on with the errors and a label that a sink can select by |
//! | `reject` | the filter fails it; what follows depends on `on_error` of the `[[filter]]`: quarantine, from which it can be replayed, or an error to the sender |
//! | `drop` | it is dropped |
//!
//! Use `reject` only if invalid records are rare: to find one, Weir runs the records
//! around it again. The counter `invalid` counts those that were tagged, routed or
//! dropped.
//!
//! # The schema
//!
//! These keywords of JSON Schema, draft 2020-12, are supported:
//!
//! | about | keywords |
//! |---|---|
//! | all values | `type`, `enum`, `const` |
//! | numbers | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf` |
//! | strings | `minLength`, `maxLength`, `pattern` |
//! | arrays | `items`, `prefixItems`, `minItems`, `maxItems`, `uniqueItems` |
//! | objects | `properties`, `patternProperties`, `additionalProperties`, `required`, `dependentRequired`, `minProperties`, `maxProperties` |
//! | other schemas | `allOf`, `anyOf`, `oneOf`, `not`, `if`, `then`, `else`, `$ref` within the document, `$defs` |
//!
//! - **Other keywords are refused**, because ignoring them would change the meaning
//!   of the schema. Annotations are ignored: `title`, `description`, `default`,
//!   `examples`, `$comment`, `$id`, and `format`, which is not checked.
//! - **Regular expressions** run in linear time, so they have no look-around and no
//!   back-references. `\d` and `\w` mean ASCII, as in JavaScript. A text longer than
//!   64 KiB matches no expression.
//! - **The canonical record** is validated: it always has `timestamp` (an integer of
//!   nanoseconds), `level`, `source` and `message`. Binary values have no JSON type.
//! - **A record may take 250,000 steps**, one for each schema that a value is
//!   compared with. A record that needs more is invalid.
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
//! | module | purpose |
//! |---|---|
//! | `options` | the options and their validation |
//! | `compile`, `node` | compiles the schema |
//! | `check` | validates a value |
//! | `number`, `canonical` | equality of numbers and values |
//! | `limits` | all limits |

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

use check::Validation;
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
            OnFail::Reject => return Verdict::Fail(format!("it does not match the schema: {}", errors.join("; "))),
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
            return Validation::run(&self.schema, Value::Map(record.map()), &[], self.max_errors);
        };
        match record.at(field) {
            Some(value) => Validation::run(&self.schema, value, &[field.to_string()], self.max_errors),
            None if self.optional => Vec::new(),
            None => vec![format!("`{field}` is missing")],
        }
    }
}

weir_guest::export!(SchemaFilter);
