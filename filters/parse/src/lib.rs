//! `parse`: reads the text of a record into fields.
//!
//! # Options
//!
//! | option | default | meaning |
//! |---|---|---|
//! | `field` | `"message"` | the path of the text |
//! | `format` | `"auto"` | the form of the text, or a list of forms to try in order, see below |
//! | `patterns` | none | regular expressions with named groups, for `regex` and `auto`; the first that is found in the text |
//! | `into` | the top | the path under which the fields go |
//! | `prefix` | none | what is put before every field's name |
//! | `overwrite` | `false` | whether a field replaces what stands at its place |
//! | `set` | `["time", "level", "message"]` | what of the record itself is set from fields; also known: `source` |
//! | `remove_text` | `false` | whether the text goes once it was read; not for `message`, which every record has |
//! | `guess_types` | `true` | whether numbers, `true` and `false` are recognised where the form has only texts |
//! | `types` | none | what fields are: `{ id = "text", took = "float" }`; also `integer`, `boolean` |
//! | `time_formats` | the usual ones | how times are written, see below |
//! | `time_zone` | `"UTC"` | the zone of times that name none: an offset such as `+02:00` |
//! | `pair_separators`, `key_separator` | white space, `,`, `;` and `=` | what parts the pairs of `key_value`, and what stands between key and value |
//! | `on_fail` | `"keep"` | what becomes of a record whose text has none of the forms: `keep`, `tag`, `drop` |
//! | `error_path`, `fail_route` | `"parse_error"`, none | with `tag`: where the reason goes, and a label that the record gets |
//!
//! # Forms
//!
//! | form | fields |
//! |---|---|
//! | `json` | those of the object; up to 256 keys, nested to 32 |
//! | `logfmt` | `key=value key="a value" flag`; a key without a value is true |
//! | `key_value` | every `key=value` in the text, whatever stands around them |
//! | `common` | `client`, `ident`, `user`, `time`, `method`, `path`, `protocol`, `status`, `bytes`; `request` if it is none |
//! | `combined` | and `referrer`, `user_agent`; `forwarded_for` and `rest` if a server appends more |
//! | `nginx_error` | `time`, `level`, `pid`, `tid`, `connection`, `message`, `client`, `server`, `request`, `upstream`, `host`, … |
//! | `apache_error` | `time`, `level`, `module`, `pid`, `tid`, `client`, `code`, `message` |
//! | `syslog3164` | `facility`, `level`, `time`, `host`, `app`, `pid`, `message`; the number in front may be missing |
//! | `syslog5424` | and `msg_id`, `structured`: a map of maps |
//! | `syslog` | one of these two |
//! | `regex` | the named groups of an expression |
//! | `time` | the whole text is a time |
//! | `auto` | `patterns`, `json`, `syslog`, access logs, `nginx_error`, `apache_error`, `logfmt` of nothing but pairs |
//!
//! # What is set of the record
//!
//! - **Time** from `timestamp`, `time`, `ts`, `@timestamp` …, if it can be read.
//!   Without `time_formats` that is RFC 3339 with its variations, numbers since
//!   1970 in the unit that their size suggests, and what the forms above write.
//!   `time_formats` are as for `strptime` (`"%d.%m.%Y %H:%M:%S%.f"`), or
//!   `rfc3339`, `unix`, `unix_s`, `unix_ms`, `unix_us`, `unix_ns`. A time without
//!   a year is in the one that brings it closest to the record's.
//! - **Level** from `level`, `severity`, `lvl` …, by word or number.
//! - **Message** from `message`, `msg`, `log` … The text that was read is then no
//!   longer there. Without such a field it stays.
//! - **Source**, if `set` names it, from `source`, `service`, `app`, `logger` …
//!
//! What was set of the record is not among the fields any more. At the top,
//! `timestamp`, `level`, `source`, `message` and `routes` are set in this way or
//! not at all.
//!
//! # When it can't be done
//!
//! - **No text at `field`**: the record goes on as it is.
//! - **None of the forms**: counter `unparsed`, and what `on_fail` says.
//! - **Something other than a map where `into` should go**: the record goes on as
//!   it is; counter `in_the_way`.
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
//! | module | what it is for |
//! |---|---|
//! | `options` | the options and their meaning |
//! | `format` | the forms and their order |
//! | `json`, `pairs`, `access`, `errors`, `syslog`, `pattern` | one or two forms each: from a text to fields |
//! | `fields` | what was read of a text |
//! | `place` | where it goes |
//! | `time`, `civil`, `epoch` | times |
//! | `limits` | every bound |
//!
//! It keeps no state, so every worker has its own. Joining the lines of a stack
//! trace needs to remember: that is the filter `join`.

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
