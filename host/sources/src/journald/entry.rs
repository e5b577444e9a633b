//! An entry of the journal as a record.
//!
//! What everyone asks for has a short name: `unit`, `identifier`, `pid`, `uid`, `host`, `command`, `transport`. Fields that
//! the application added are under `fields`, with their names in lower case.

use weir_record::{ComposeError, Composer, Level, Scale, ValueWriter};

use super::export::Entry;
use crate::text::{self, Line};

/// Fields with a name of their own in records, and whether they are numbers. Of several for one name, the first that the
/// entry has.
const NAMED: &[(&str, &str)] = &[
    ("_SYSTEMD_USER_UNIT", "unit"),
    ("_SYSTEMD_UNIT", "unit"),
    ("SYSLOG_IDENTIFIER", "identifier"),
    ("_PID", "pid"),
    ("_UID", "uid"),
    ("_HOSTNAME", "host"),
    ("_COMM", "command"),
    ("_TRANSPORT", "transport"),
];

/// Fields that are in the head of a record.
const HEAD: &[&str] = &["MESSAGE", "PRIORITY"];

/// How entries become records.
pub(super) struct Shape {
    pub all_fields: bool,
}

impl Shape {
    /// Adds an entry to the record that was begun.
    pub fn compose(&self, entry: &Entry, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        let line = Line { text: entry.message(), is_partial: entry.is_cut };
        text::content(composer, line, |composer| self.fields(entry, composer))?;
        // What an application says itself, in JSON, wins.
        if let Some(ns) = time(entry) {
            composer.fallback_time(ns);
        }
        if let Some(level) = entry.get("PRIORITY").and_then(level) {
            composer.fallback_level(level);
        }
        if let Some(source) = source(entry) {
            composer.fallback_source(source);
        }
        Ok(())
    }

    fn fields(&self, entry: &Entry, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        let mut last = "";
        for (field, name) in NAMED {
            if let Some(value) = entry.get(field).filter(|_| *name != last) {
                last = name;
                composer.entry(name.as_bytes(), |to| {
                    write(to, value);
                    Ok(())
                })?;
            }
        }
        let mut others = entry.fields().filter(|(name, _)| self.is_other(name)).peekable();
        if others.peek().is_none() {
            return Ok(());
        }
        composer.entry(b"fields", |to| {
            to.map(|map| {
                others.for_each(|(name, value)| write(map.entry(&name.to_ascii_lowercase()), value));
                Ok(())
            })
        })
    }

    /// Whether a field is kept under `fields`.
    fn is_other(&self, name: &[u8]) -> bool {
        let is_one_of = |mut known: std::slice::Iter<'_, &str>| known.any(|known| known.as_bytes() == name);
        let is_named = NAMED.iter().any(|(known, _)| known.as_bytes() == name);
        let is_address = name.starts_with(b"__");
        !is_named && !is_address && !is_one_of(HEAD.iter()) && (self.all_fields || !name.starts_with(b"_"))
    }
}

/// Writes a value: a number if it is one as it is usually written, text, or bytes.
fn write(to: ValueWriter<'_>, value: &[u8]) {
    let text = std::str::from_utf8(value);
    match text.map(|text| (text, text.parse::<i64>())) {
        Ok((text, Ok(number))) if number.to_string() == text => to.int(number),
        Ok(_) => to.text(value),
        Err(_) => to.bytes(value),
    }
}

/// When the entry was written; otherwise when the journal got it.
fn time(entry: &Entry) -> Option<i64> {
    let field = entry.get("_SOURCE_REALTIME_TIMESTAMP").or(entry.get("__REALTIME_TIMESTAMP"))?;
    std::str::from_utf8(field).ok()?.parse::<i64>().ok()?.checked_mul(1_000)
}

fn level(priority: &[u8]) -> Option<Level> {
    let number = std::str::from_utf8(priority).ok()?.parse().ok()?;
    Level::from_number_in(number, Scale::Syslog)
}

/// The service, without `.service`; what is no service has an identifier, or the name of a program.
fn source(entry: &Entry) -> Option<&[u8]> {
    let service = |field| entry.get(field).and_then(|unit| unit.strip_suffix(b".service"));
    let known = service("_SYSTEMD_USER_UNIT").or_else(|| service("_SYSTEMD_UNIT"));
    known.or_else(|| entry.get("SYSLOG_IDENTIFIER")).or_else(|| entry.get("_COMM")).filter(|name| !name.is_empty())
}
