//! Composes records from a protobuf `ExportLogsServiceRequest`. The mapping is in the head of [`super`].
//!
//! The resource and the scope are read once, and copied into each of their records. Invariant: that takes no more time
//! than the bytes that are kept justify. What is wrong with a resource or a scope is therefore found once ([`Shared`]'s
//! `fault`), and their size is limited.

use std::borrow::Cow;

use weir_record::{Batch, ComposeError, Composer, Level, MapWriter, Scale, SharedValue, SyntaxError, time};

use super::any::{Any, any, key_and_value, shortened, write_any, write_text};
use crate::{
    limits::MAX_SHARED_BYTES,
    protocols::{
        Posted, Read,
        protobuf::{Field, Message},
    },
};

/// Whether the mapping gives a key a meaning. An attribute with such a name gets `_original` appended.
fn is_own(key: &[u8]) -> bool {
    matches!(
        key,
        b"body"
            | b"context"
            | b"dropped_attributes_count"
            | b"event_name"
            | b"observed_time"
            | b"resource"
            | b"resource_schema_url"
            | b"scope"
            | b"severity_number"
            | b"severity_text"
    )
}

/// Reads a request. `sent(n)` is the text that record `n` was sent as, if that was not protobuf.
pub(super) fn read<'a>(
    request: &'a [u8],
    posted: &Posted<'_>,
    batch: &mut Batch,
    sent: impl Fn(usize) -> Option<&'a [u8]>,
) -> Result<Read, SyntaxError> {
    let defaults = posted.defaults();
    let before = batch.len();
    let mut composer = Composer::new(&defaults, batch);
    let read = each(request, 1, |resource_logs| {
        let resource = Resource::of(resource_logs)?;
        each(resource_logs, 2, |scope_logs| {
            let shared = Shared::of(&resource, scope_logs)?;
            each(scope_logs, 2, |log_record| {
                let at = composer.count() as usize;
                composer.begin();
                let composed = match shared.fault {
                    None => compose(log_record, &shared, &mut composer),
                    Some(reason) => Err(ComposeError::record(reason)),
                };
                composer.end(composed, || sent(at).unwrap_or(log_record).to_vec()).map_err(Stop)
            })
        })
    });
    let bad = composer.finish();
    match read {
        Ok(()) => Ok(bad.into()),
        Err(Stop(error)) => {
            batch.truncate(before);
            Err(error)
        }
    }
}

/// Why a request is not read to its end.
struct Stop(SyntaxError);

impl From<ComposeError> for Stop {
    fn from(error: ComposeError) -> Stop {
        Stop(SyntaxError { offset: 0, reason: error.reason().to_owned(), too_much: false })
    }
}

/// Calls `take` for each message in the field `number`.
fn each<'a, E: From<ComposeError>>(
    message: &'a [u8],
    number: u64,
    mut take: impl FnMut(&'a [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut message = Message::new(message);
    while let Some(field) = message.next()? {
        if let (found, Field::Bytes(item)) = field
            && found == number
        {
            take(item)?;
        }
    }
    Ok(())
}

/// The resource of records.
#[derive(Default)]
struct Resource<'a> {
    /// Its attributes.
    value: Option<SharedValue>,
    schema_url: &'a [u8],
    /// The attribute `service.name`.
    service_name: Option<&'a [u8]>,
    /// As it was sent.
    bytes: usize,
    fault: Option<&'static str>,
}

impl<'a> Resource<'a> {
    fn of(resource_logs: &'a [u8]) -> Result<Resource<'a>, ComposeError> {
        let (mut message, mut resource) = (&[][..], Resource::default());
        let mut fields = Message::new(resource_logs);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(found)) => message = found,
                (3, Field::Bytes(url)) => resource.schema_url = url,
                _ => {}
            }
        }
        resource.bytes = message.len() + resource.schema_url.len();
        if resource.bytes > MAX_SHARED_BYTES {
            resource.fault = Some(TOO_LARGE);
        } else if !message.is_empty() {
            resource.service_name = service_name(message)?;
            let written = SharedValue::new(|value| {
                value.map(|map| {
                    each(message, 1, |attribute| write_attribute(attribute, map))?;
                    dropped(message, 2, map)
                })
            });
            let too_deep = "its resource is nested deeper than 64 levels; flatten it";
            (resource.value, resource.fault) = value_or_fault(written, too_deep)?;
        }
        Ok(resource)
    }
}

const TOO_LARGE: &str = "its resource and its scope have more than 256 KiB; send less in them";

/// A value, or why it can't be in a record.
fn value_or_fault(
    written: Result<SharedValue, ComposeError>,
    fault: &'static str,
) -> Result<(Option<SharedValue>, Option<&'static str>), ComposeError> {
    match written {
        Ok(value) => Ok((Some(value), None)),
        Err(error) if error.is_syntax() => Err(error),
        Err(_) => Ok((None, Some(fault))),
    }
}

fn service_name(resource: &[u8]) -> Result<Option<&[u8]>, ComposeError> {
    let mut found = None;
    each(resource, 1, |attribute| {
        let (key, value) = key_and_value(attribute)?;
        if key == b"service.name"
            && let Any::Text(name) = any(value)?
            && !name.is_empty()
        {
            found = Some(name);
        }
        Ok::<_, ComposeError>(())
    })?;
    Ok(found)
}

/// What records of one resource and scope share.
struct Shared<'a> {
    resource: &'a Resource<'a>,
    scope: Option<SharedValue>,
    /// Why none of them can be kept.
    fault: Option<&'static str>,
}

impl<'a> Shared<'a> {
    fn of(resource: &'a Resource<'a>, scope_logs: &'a [u8]) -> Result<Shared<'a>, ComposeError> {
        let (mut scope, mut schema_url) = (&[][..], &[][..]);
        let mut fields = Message::new(scope_logs);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(found)) => scope = found,
                (3, Field::Bytes(url)) => schema_url = url,
                _ => {}
            }
        }
        let mut shared = Shared { resource, scope: None, fault: resource.fault };
        if resource.bytes + scope.len() + schema_url.len() > MAX_SHARED_BYTES {
            shared.fault = Some(TOO_LARGE);
        } else if !scope.is_empty() || !schema_url.is_empty() {
            let written = SharedValue::new(|value| value.map(|map| write_scope(scope, schema_url, map)));
            let (value, fault) = value_or_fault(written, "its scope is nested deeper than 64 levels; flatten it")?;
            (shared.scope, shared.fault) = (value, shared.fault.or(fault));
        }
        Ok(shared)
    }

    fn write(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        if let Some(resource) = &self.resource.value {
            composer.shared("resource", resource)?;
        }
        if !self.resource.schema_url.is_empty() {
            composer.text("resource_schema_url", self.resource.schema_url)?;
        }
        match &self.scope {
            Some(scope) => composer.shared("scope", scope),
            None => Ok(()),
        }
    }
}

fn write_scope(scope: &[u8], schema_url: &[u8], map: &mut MapWriter<'_>) -> Result<(), ComposeError> {
    let mut has_attributes = false;
    let mut fields = Message::new(scope);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(name)) if !name.is_empty() => map.entry(b"name").text(name),
            (2, Field::Bytes(version)) if !version.is_empty() => map.entry(b"version").text(version),
            (3, Field::Bytes(_)) => has_attributes = true,
            _ => {}
        }
    }
    if has_attributes {
        map.entry(b"attributes").map(|map| each(scope, 3, |attribute| write_attribute(attribute, map)))?;
    }
    dropped(scope, 4, map)?;
    if !schema_url.is_empty() {
        map.entry(b"schema_url").text(schema_url);
    }
    Ok(())
}

/// Writes how many attributes were dropped, which is in the field `number`, if any were.
fn dropped(message: &[u8], number: u64, map: &mut MapWriter<'_>) -> Result<(), ComposeError> {
    let (mut count, mut fields) = (0, Message::new(message));
    while let Some(field) = fields.next()? {
        if let (found, Field::Varint(value)) = field
            && found == number
        {
            count = value;
        }
    }
    if count > 0 {
        map.entry(b"dropped_attributes_count").uint(count);
    }
    Ok(())
}

fn write_attribute(attribute: &[u8], map: &mut MapWriter<'_>) -> Result<(), ComposeError> {
    let (key, value) = key_and_value(attribute)?;
    write_any(value, map.entry(key))
}

/// The fields of a record, except its attributes.
#[derive(Default)]
struct LogRecord<'a> {
    time: u64,
    observed_time: u64,
    severity_number: u64,
    severity_text: &'a [u8],
    body: Option<&'a [u8]>,
    dropped: u64,
    flags: u32,
    trace_id: &'a [u8],
    span_id: &'a [u8],
    event_name: &'a [u8],
}

/// Composes a record. Its own entries come first, because a record that can't be kept is then given up before those that
/// all share are written.
fn compose(message: &[u8], shared: &Shared<'_>, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let mut record = LogRecord::default();
    let mut fields = Message::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(ns)) => record.time = ns,
            (2, Field::Varint(number)) => record.severity_number = number,
            (3, Field::Bytes(text)) => record.severity_text = text,
            (5, Field::Bytes(body)) => record.body = Some(body),
            (6, Field::Bytes(attribute)) => {
                let (key, value) = key_and_value(attribute)?;
                let key = match is_own(key) {
                    true => Cow::Owned([key, b"_original"].concat()),
                    false => Cow::Borrowed(key),
                };
                composer.entry(&key, |out| write_any(value, out))?;
            }
            (7, Field::Varint(count)) => record.dropped = count,
            (8, Field::Fixed32(flags)) => record.flags = flags,
            (9, Field::Bytes(id)) => record.trace_id = id,
            (10, Field::Bytes(id)) => record.span_id = id,
            (11, Field::Fixed64(ns)) => record.observed_time = ns,
            (12, Field::Bytes(name)) => record.event_name = name,
            _ => {}
        }
    }
    record.write_time(composer)?;
    record.write_level(composer)?;
    record.write_body(composer)?;
    if !record.event_name.is_empty() {
        composer.text("event_name", record.event_name)?;
    }
    if record.dropped > 0 {
        composer.entry(b"dropped_attributes_count", |value| {
            value.uint(record.dropped);
            Ok(())
        })?;
    }
    record.write_context(composer)?;
    if let Some(name) = shared.resource.service_name {
        composer.source(name);
    }
    shared.write(composer)
}

impl LogRecord<'_> {
    fn write_time(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        let ns = |time: u64| i64::try_from(time).ok().filter(|ns| *ns != 0);
        let (time, observed) = (ns(self.time), ns(self.observed_time));
        if let Some(time) = time.or(observed) {
            composer.time(time);
        }
        if let Some(observed) = observed.filter(|_| time.is_some() && time != observed) {
            let mut text = Vec::with_capacity(30);
            time::format_rfc3339(observed, &mut text);
            composer.text("observed_time", &text)?;
        }
        // After 2262: not a time that a record can have.
        for (key, unusable) in [("timestamp_original", self.time), ("observed_time", self.observed_time)] {
            if i64::try_from(unusable).is_err() {
                composer.entry(key.as_bytes(), |value| {
                    value.uint(unusable);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The level is that of the number, or else of the text. What of both says more than the level is kept.
    fn write_level(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        let text = str::from_utf8(self.severity_text).unwrap_or_default();
        let number = i64::try_from(self.severity_number).ok();
        let by_number = number.and_then(|number| Level::from_number_in(number, Scale::Otlp));
        let level = by_number.or_else(|| Level::parse(text));
        if let Some(level) = level {
            composer.level(level);
        }
        // 1, 5, 9 …: the first number of each level says no more than its name.
        let says_more = self.severity_number != 0 && (by_number.is_none() || self.severity_number % 4 != 1);
        if says_more {
            composer.entry(b"severity_number", |value| {
                // An enumeration is a 32-bit integer with a sign.
                value.int(i64::from(self.severity_number as i32));
                Ok(())
            })?;
        }
        let names = match level {
            Some(Level::Warning) => ["WARN", "WARNING"],
            Some(Level::Critical) => ["FATAL", "CRITICAL"],
            Some(level) => [level.as_str(); 2],
            None => [""; 2],
        };
        if !names.iter().any(|name| text.eq_ignore_ascii_case(name)) && !self.severity_text.is_empty() {
            composer.text("severity_text", self.severity_text)?;
        }
        Ok(())
    }

    /// The message is the body as text. A body that is not text is kept, too.
    fn write_body(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        let body = self.body.unwrap_or_default();
        match any(body)? {
            Any::Nil if self.event_name.is_empty() => return Ok(()),
            Any::Nil => {
                composer.message(self.event_name);
                return Ok(());
            }
            Any::Text(text) => {
                composer.message(text);
                return Ok(());
            }
            Any::Bytes(bytes) => composer.message(bytes),
            _ => {
                let mut text = Vec::new();
                write_text(body, 0, &mut text)?;
                composer.message(&shortened(text));
            }
        }
        composer.entry(b"body", |value| write_any(body, value))
    }

    fn write_context(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        // An identifier of zeros is none.
        let is_set = |id: &[u8]| id.iter().any(|byte| *byte != 0);
        let ids = [("trace_id", self.trace_id), ("span_id", self.span_id)];
        if self.flags == 0 && !ids.iter().any(|(_, id)| is_set(id)) {
            return Ok(());
        }
        composer.entry(b"context", |value| {
            value.map(|map| {
                for (key, id) in ids.iter().filter(|(_, id)| is_set(id)) {
                    map.entry(key.as_bytes()).text(&hex(id));
                }
                if self.flags != 0 {
                    map.entry(b"trace_flags").uint(self.flags.into());
                }
                Ok(())
            })
        })
    }
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Vec::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}
