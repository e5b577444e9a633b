//! `enrich`: adds fields, the host name and values from lookup tables; copies,
//! renames and removes fields; writes messages from templates.
//!
//! # Options
//!
//! All are optional. They are applied in the order of this table.
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `copy` | none | `{ "from.path" = "to.path" }`: copies the value |
//! | `rename` | none | `{ "from.path" = "to.path" }`: moves the value |
//! | `fields` | none | `{ "path" = value }`: sets the same value in every record; nested tables are paths |
//! | `host_name` | none | the name of this machine, see below |
//! | `host_path` | `"context.host"` | the path of the host name |
//! | `tables` | none | lookup tables, applied in order, see below |
//! | `message` | none | a template for the message, see below |
//! | `remove` | none | `["path", …]`: removes these fields last |
//! | `overwrite` | `false` | whether `fields`, `host_name` and `tables` replace existing values |
//!
//! - **`copy` and `rename`** read the original record, so two fields can be
//!   swapped. They replace the value at the target, and do nothing if the source is
//!   absent or null. At `message` and `source` any value becomes text; at `level` a
//!   value that is not a level is ignored.
//! - **Without `overwrite`** the sender's values stay, even if one is in the way:
//!   `context.host` is not added if `context` is text.
//! - **`timestamp`, `level`, `source`, `message`** exist in every record and can't
//!   be renamed or removed.
//! - **Paths** are dotted: `context.user.id`. A dot inside a key is written `\.`.
//!
//! # The host name
//!
//! A filter can't see the machine that it runs on, so set the name in Weir's
//! configuration: `host_name = "${HOSTNAME}"` takes it from Weir's environment.
//! Containers have that variable. Shells don't export it: start Weir with
//! `HOSTNAME=$(hostname) weir run`, or under systemd with
//! `Environment=HOSTNAME=%H`.
//!
//! # Lookup tables
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `field` | required | the path whose value is looked up; numbers as they are written |
//! | `csv` | required | the table as CSV, up to 4 MiB; the first line has the column names |
//! | `key` | the first column | the column to search; its values must be unique |
//! | `prefix` | `"context"` | the path under which columns are added |
//! | `columns` | all but the key | the columns to add |
//!
//! Cells are added as text; empty cells are skipped. A value that is not in the
//! table adds nothing.
//!
//! # Message templates
//!
//! `"{source}: {message} ({context.user.id|nobody})"`: `{path}` is replaced with the
//! value at that path, after all the changes above; the text after `|` is used if
//! there is none. `{{` and `}}` are literal braces. `{timestamp}` is written as RFC
//! 3339; lists and maps as JSON, as they arrived. Messages are cut at 64 KiB.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "enrich"
//! module = "bundled:enrich"
//!
//! [filter.options]
//! fields = { "context.region" = "eu-west-1" }
//! host_name = "${HOSTNAME}"
//! rename = { "usr" = "context.user.id" }
//! remove = ["metadata.debug"]
//! message = "{message} (user {context.user.name|unknown})"
//!
//! [[filter.options.tables]]
//! field = "context.user.id"
//! prefix = "context.user"
//! csv = """
//! id,name,team
//! u-7,"Lovelace, Ada",engines
//! """
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options as they are written |
//! | `plan` | the compiled options |
//! | `csv`, `table` | lookup tables |
//! | `template`, `text` | messages |
//! | `limits` | all limits |

mod csv;
mod limits;
mod options;
mod plan;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod text;

use weir_guest::{Description, Edit, Filter, Path, Record, Value, Verdict, time};

use limits::MAX_MESSAGE_BYTES;
use plan::{Place, Plan, Target};
use template::Template;

pub use options::{Options, TableOptions};

/// The filter.
#[derive(Debug)]
pub struct Enrich {
    plan: Plan,
}

impl Filter for Enrich {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "enrich",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let plan = Plan::make(options).map_err(|error| error.to_string())?;
        Ok(Enrich { plan })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        self.make_moves(record, edit);
        for addition in &self.plan.additions {
            if self.may_write(record, edit, &addition.place) {
                edit.set_at(&addition.place.path, &addition.value);
            }
        }
        self.look_up(record, edit);
        if let Some(template) = &self.plan.message {
            write_message(template, record, edit);
        }
        for path in &self.plan.removals {
            edit.remove_at(path);
        }
        Verdict::Keep
    }
}

impl Enrich {
    /// Copies and renames. All sources are read first, so the target of one may
    /// be the source of another.
    fn make_moves(&self, record: &Record<'_>, edit: &mut Edit) {
        let moved = |from: &Path| record.at(from).filter(|value| !value.is_nil());
        let renames = self.plan.moves.iter().filter(|one| one.rename);
        for origin in renames {
            if moved(&origin.from).is_some_and(|value| origin.to.takes(value)) {
                edit.remove_at(&origin.from);
            }
        }
        for one in &self.plan.moves {
            if let Some(value) = moved(&one.from) {
                one.to.put(value, edit);
            }
        }
    }

    fn look_up(&self, record: &Record<'_>, edit: &mut Edit) {
        let mut key = String::new();
        for lookup in &self.plan.lookups {
            let row = match edit.get(record, &lookup.field) {
                Some(Value::Str(text)) => lookup.table.find(text),
                Some(value) => {
                    key.clear();
                    text::write(value, &mut key).then(|| lookup.table.find(&key)).flatten()
                }
                None => None,
            };
            let Some(row) = row else {
                continue;
            };
            for (place, cell) in lookup.places.iter().zip(lookup.table.cells(row)) {
                if !cell.is_empty() && self.may_write(record, edit, place) {
                    edit.set_at(&place.path, cell);
                }
            }
        }
    }

    /// Whether a value may be added at a path: always with `overwrite`, otherwise
    /// only if the path is free and its parents are maps or absent.
    fn may_write(&self, record: &Record<'_>, edit: &Edit, place: &Place) -> bool {
        self.plan.overwrite
            || place
                .parents
                .iter()
                .all(|parent| edit.get(record, parent).is_none_or(|value| value.is_nil() || value.as_map().is_some()))
                && edit.get(record, &place.path).is_none_or(|value| value.is_nil())
    }
}

impl Target {
    /// Whether the target accepts this value.
    fn takes(&self, value: Value<'_>) -> bool {
        match self {
            Target::Any(_) | Target::Text(_) => true,
            Target::Map(_) => value.as_map().is_some(),
            Target::Level => level(value).is_some(),
        }
    }

    fn put(&self, value: Value<'_>, edit: &mut Edit) {
        match self {
            Target::Map(_) if value.as_map().is_none() => {}
            Target::Any(path) | Target::Map(path) => edit.set_at(path, value),
            Target::Text(path) => {
                let mut text = String::new();
                if text::write(value, &mut text) {
                    edit.set_at(path, text);
                }
            }
            Target::Level => {
                if let Some(level) = level(value) {
                    edit.level(level);
                }
            }
        }
    }
}

fn level(value: Value<'_>) -> Option<weir_guest::Level> {
    value.as_str().and_then(weir_guest::Level::parse)
}

fn write_message(template: &Template, record: &Record<'_>, edit: &mut Edit) {
    let mut message = String::new();
    template.render(&mut message, |path, out| {
        let value = edit.get(record, path);
        match (path.keys(), value) {
            ([key], Some(Value::Int(ns))) if key == "timestamp" => {
                time::rfc3339(ns, out);
                true
            }
            (_, Some(value)) => text::write(value, out),
            (_, None) => false,
        }
    });
    message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
    if message != record.message() {
        edit.message(&message);
    }
}

weir_guest::export!(Enrich);
