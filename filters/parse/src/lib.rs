//! `parse`: parses the text of a record into fields.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `field` | `"message"` | the path of the text |
//! | `format` | `"auto"` | the format of the text, or a list of formats to try in order, see below |
//! | `patterns` | none | regular expressions with named groups, for `regex` and `auto`; the first one that matches is used |
//! | `into` | the record itself | the path under which the fields are put |
//! | `prefix` | none | a prefix for every field name |
//! | `overwrite` | `false` | whether a field replaces an existing value |
//! | `set` | `["time", "level", "message"]` | which parts of the record are set from fields; may include `source` |
//! | `remove_text` | `false` | whether the text is removed after parsing; not for `message`, which every record has |
//! | `guess_types` | `true` | whether numbers, `true` and `false` are recognised in formats that have only text |
//! | `types` | none | types of fields: `{ id = "text", took = "float" }`; also `integer`, `boolean` |
//! | `time_formats` | common formats | how times are written, see below |
//! | `time_zone` | `"UTC"` | the zone of times without one: an offset such as `+02:00` |
//! | `pair_separators`, `key_separator` | white space, `,`, `;` and `=` | for `key_value`: what separates pairs, and what separates key and value |
//! | `on_fail` | `"keep"` | what happens to a record whose text is in none of the formats: `keep`, `tag`, `drop` |
//! | `error_path`, `fail_route` | `"parse_error"`, none | with `tag`: the path for the reason, and a label to add |
//!
//! # Formats
//!
//! | format | fields |
//! |---|---|
//! | `json` | those of the object; up to 256 keys, nested up to 32 levels |
//! | `logfmt` | `key=value key="a value" flag`; a key without a value is true |
//! | `key_value` | every `key=value` in the text, whatever is between them |
//! | `common` | `client`, `ident`, `user`, `time`, `method`, `path`, `protocol`, `status`, `bytes`; `request` if it can't be split |
//! | `combined` | the same plus `referrer`, `user_agent`; `forwarded_for` and `rest` if the server appends more |
//! | `nginx_error` | `time`, `level`, `pid`, `tid`, `connection`, `message`, `client`, `server`, `request`, `upstream`, `host`, … |
//! | `apache_error` | `time`, `level`, `module`, `pid`, `tid`, `client`, `code`, `message` |
//! | `syslog3164` | `facility`, `level`, `time`, `host`, `app`, `pid`, `message`; the priority may be missing |
//! | `syslog5424` | the same plus `msg_id` and `structured`, a map of maps |
//! | `syslog` | either of these two |
//! | `regex` | the named groups of the expression |
//! | `time` | the whole text is a time |
//! | `auto` | `patterns`, `json`, `syslog`, access logs, `nginx_error`, `apache_error`, `logfmt` if the text is only pairs |
//!
//! # Parts of the record
//!
//! - **Time** from `timestamp`, `time`, `ts`, `@timestamp` …, if it can be parsed.
//!   Without `time_formats`, these are RFC 3339 and its variants, numbers since 1970
//!   in the unit that their size suggests, and the times of the formats above.
//!   `time_formats` are written as for `strptime` (`"%d.%m.%Y %H:%M:%S%.f"`), or
//!   `rfc3339`, `unix`, `unix_s`, `unix_ms`, `unix_us`, `unix_ns`. A time without a
//!   year gets the year that brings it closest to the record's time.
//! - **Level** from `level`, `severity`, `lvl` …, by word or number.
//! - **Message** from `message`, `msg`, `log` …, which replaces the parsed text.
//!   Without such a field the text stays.
//! - **Source**, if `set` includes it, from `source`, `service`, `app`, `logger` …
//!
//! A field that sets a part of the record is not kept as a field. Directly in the
//! record, `timestamp`, `level`, `source`, `message` and `routes` are set in this way
//! or not at all.
//!
//! # Failures
//!
//! - **No text at `field`**: the record goes on unchanged.
//! - **None of the formats**: the counter `unparsed` goes up, and `on_fail` decides.
//! - **A value other than a map at `into`**: the record goes on unchanged, and the
//!   counter `in_the_way` goes up.
//!
//! # Example
//!
//! ```toml
//! [[filter]]
//! name = "parse"
//! module = "bundled:parse"
//!
//! [filter.options]
//! format = ["json", "regex"]
//! patterns = ['^(?<user>\w+) took (?<took_ms>\d+) ms$']
//! into = "context"
//! on_fail = "tag"
//! fail_route = "unparsed"
//! ```
//!
//! # How it works
//!
//! | module | purpose |
//! |---|---|
//! | `options` | the options and what they mean |
//! | `format` | the formats and their order |
//! | `json`, `pairs`, `access`, `errors`, `syslog`, `pattern` | one or two formats each: from text to fields |
//! | `fields` | the parsed fields |
//! | `place` | where they are put |
//! | `time`, `civil`, `epoch` | times |
//! | `limits` | all limits |
//!
//! It keeps no state, so every worker has its own instance. To join the lines of a
//! stack trace, use the filter `join`.

mod access;
mod civil;
mod epoch;
mod errors;
mod fields;
mod format;
mod json;
mod limits;
mod options;
mod pairs;
mod pattern;
mod place;
mod syslog;
#[cfg(test)]
mod tests;
mod time;

use weir_guest::{Description, Edit, Filter, Record, Value, Verdict, host};

use options::{OnFail, Plan};

pub use options::Options;

/// The filter.
#[derive(Debug)]
pub struct Parse {
    plan: Plan,
}

impl Filter for Parse {
    type Options = Options;

    fn describe() -> Description {
        Description {
            name: "parse",
            version: env!("CARGO_PKG_VERSION"),
            description: env!("CARGO_PKG_DESCRIPTION"),
            reads: &[],
            writes: &[],
        }
    }

    fn new(options: Options) -> Result<Self, String> {
        let plan = Plan::make(options).map_err(|error| error.to_string())?;
        Ok(Parse { plan })
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        let plan = &mut self.plan;
        let Some(Value::Str(text)) = record.at(&plan.field) else {
            return Verdict::Keep;
        };
        match plan.reader.read(text, &mut plan.fields) {
            Ok(()) => {
                if !plan.place.put(&mut plan.fields, record, edit) {
                    host::counter("in_the_way", 1);
                }
                Verdict::Keep
            }
            Err(reason) => {
                host::counter("unparsed", 1);
                match plan.on_fail {
                    OnFail::Keep => Verdict::Keep,
                    OnFail::Drop => Verdict::Drop,
                    OnFail::Tag => {
                        edit.set_at(&plan.error_path, reason);
                        if let Some(label) = &plan.fail_route {
                            edit.route(label);
                        }
                        Verdict::Keep
                    }
                }
            }
        }
    }
}

weir_guest::export!(Parse);
