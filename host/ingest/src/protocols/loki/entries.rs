//! Streams and their entries become records. The mapping is in the head of [`super`].
//!
//! Labels are read once, and copied into each record of their stream. Invariant: that takes no more time than the bytes
//! that are kept justify, so their size is limited.

use std::borrow::Cow;

use weir_record::{
    Batch, ComposeError, Composer, Level, Map, RejectedRecord, SharedValue, SyntaxError, Value, ValueWriter,
    json_to_msgpack, write_json_value,
};

use super::labels::{self, Pairs};
use crate::{
    limits::{MAX_PAIRS, MAX_SHARED_BYTES},
    protocols::{
        Posted,
        protobuf::{Field, Message},
    },
};

/// What entries of one stream share.
struct Stream<'a> {
    tenant: Option<&'a str>,
    labels: SharedValue,
    level: Option<Level>,
    source: Option<Vec<u8>>,
}

impl<'a> Stream<'a> {
    /// The error is why none of its entries can be kept.
    fn new(tenant: Option<&'a str>, labels: &Pairs<'_>) -> Result<Stream<'a>, &'static str> {
        let bytes: usize = labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_SHARED_BYTES {
            return Err(LABELS_EXCESSIVE);
        }
        let (level, source) = (labels::level(labels), labels::source(labels).map(<[u8]>::to_vec));
        let labels = SharedValue::new(|value| write(labels, value)).map_err(ComposeError::reason)?;
        Ok(Stream { tenant, labels, level, source })
    }
}

fn write(pairs: &Pairs<'_>, value: ValueWriter<'_>) -> Result<(), ComposeError> {
    value.map(|map| {
        pairs.iter().for_each(|(name, value)| map.entry(name).text(value));
        Ok(())
    })
}

const LABELS_EXCESSIVE: &str = "the labels of its stream have more than 256 KiB; send less in them";

/// An entry of either form.
struct Entry<'a> {
    ns: i64,
    line: &'a [u8],
    metadata: Pairs<'a>,
}

fn compose(
    entry: &Entry<'_>,
    stream: &Result<Stream<'_>, &'static str>,
    composer: &mut Composer<'_, '_>,
) -> Result<(), ComposeError> {
    let stream = stream.as_ref().map_err(|&reason| ComposeError::record(reason))?;
    composer.time(entry.ns);
    composer.message(entry.line);
    if let Some(level) = labels::level(&entry.metadata).or(stream.level) {
        composer.level(level);
    }
    if let Some(source) = &stream.source {
        composer.source(source);
    }
    if let Some(tenant) = stream.tenant {
        composer.text("tenant", tenant.as_bytes())?;
    }
    if !entry.metadata.is_empty() {
        composer.entry(b"context", |value| write(&entry.metadata, value))?;
    }
    composer.shared("labels", &stream.labels)
}

/// Reads a `PushRequest`.
pub(super) fn read_protobuf(
    posted: &Posted<'_>,
    tenant: Option<&str>,
    batch: &mut Batch,
) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let defaults = posted.defaults();
    let before = batch.len();
    let mut composer = Composer::new(&defaults, batch);
    let read = streams(posted.content, tenant, &mut composer);
    let bad = composer.finish();
    if read.is_err() {
        batch.truncate(before);
    }
    read.map(|()| bad)
}

fn streams(request: &[u8], tenant: Option<&str>, composer: &mut Composer<'_, '_>) -> Result<(), SyntaxError> {
    let mut request = Message::new(request);
    while let Some(field) = request.next().map_err(syntax)? {
        let (1, Field::Bytes(message)) = field else { continue };
        let (mut text, mut fields) = (&b"{}"[..], Message::new(message));
        while let Some(field) = fields.next().map_err(syntax)? {
            if let (1, Field::Bytes(labels)) = field {
                text = labels;
            }
        }
        let is_excessive = text.len() > MAX_SHARED_BYTES;
        let stream = match (!is_excessive).then(|| labels::read(text)) {
            None => Err(LABELS_EXCESSIVE),
            Some(Some(labels)) => Stream::new(tenant, &labels),
            Some(None) => Err(r#"the labels of its stream are not `{name="value", …}`"#),
        };
        let mut fields = Message::new(message);
        while let Some(field) = fields.next().map_err(syntax)? {
            if let (2, Field::Bytes(entry)) = field {
                composer.begin();
                let composed = entry_of(entry).and_then(|entry| compose(&entry, &stream, composer));
                composer.end(composed, || entry.to_vec())?;
            }
        }
    }
    Ok(())
}

fn syntax(error: ComposeError) -> SyntaxError {
    SyntaxError { offset: 0, reason: error.reason().to_owned(), too_much: false }
}

const EXCESSIVE: &str = "it has more than 16384 entries of structured metadata; send less";

/// Reads an `EntryAdapter`.
fn entry_of(message: &[u8]) -> Result<Entry<'_>, ComposeError> {
    let (mut seconds, mut nanos) = (0, 0);
    let (mut line, mut metadata) = (&[][..], Pairs::new());
    let mut fields = Message::new(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(timestamp)) => {
                let mut fields = Message::new(timestamp);
                while let Some(field) = fields.next()? {
                    match field {
                        (1, Field::Varint(value)) => seconds = value as i64,
                        (2, Field::Varint(value)) => nanos = value as i64,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(text)) => line = text,
            (3, Field::Bytes(_)) if metadata.len() >= MAX_PAIRS => return Err(ComposeError::record(EXCESSIVE)),
            (3, Field::Bytes(pair)) => {
                let (mut name, mut value) = (&[][..], &[][..]);
                let mut fields = Message::new(pair);
                while let Some(field) = fields.next()? {
                    match field {
                        (1, Field::Bytes(text)) => name = text,
                        (2, Field::Bytes(text)) => value = text,
                        _ => {}
                    }
                }
                metadata.push((Cow::Borrowed(name), Cow::Borrowed(value)));
            }
            _ => {}
        }
    }
    let ns = seconds.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(nanos));
    let ns = ns.ok_or_else(|| ComposeError::record("its time is before 1677 or after 2262"))?;
    Ok(Entry { ns, line, metadata })
}

/// Reads `{"streams":[{"stream":{…},"values":[[time, line, metadata?], …]}, …]}`.
pub(super) fn read_json(
    posted: &Posted<'_>,
    tenant: Option<&str>,
    batch: &mut Batch,
) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let mut values = Vec::with_capacity(posted.content.len());
    json_to_msgpack(posted.content, &mut values)?;
    let defaults = posted.defaults();
    let before = batch.len();
    let mut composer = Composer::new(&defaults, batch);
    let read = json_streams(&values, tenant, &mut composer);
    let bad = composer.finish();
    if read.is_err() {
        batch.truncate(before);
    }
    read.map(|()| bad)
}

fn json_streams(body: &[u8], tenant: Option<&str>, composer: &mut Composer<'_, '_>) -> Result<(), SyntaxError> {
    let wrong = |reason| syntax(ComposeError::syntax(reason));
    let body = Value::peek(body).and_then(|body| body.as_map());
    let streams = body.and_then(|body| body.get("streams")?.as_array());
    for stream in streams.ok_or_else(|| wrong("expected an object with the list `streams`"))?.iter() {
        let stream = stream.as_map().ok_or_else(|| wrong("a stream is not an object"))?;
        let labels = match stream.get("stream") {
            Some(Value::Map(labels)) => labels,
            None | Some(Value::Nil) => Map::default(),
            Some(_) => return Err(wrong("the labels of a stream are not an object")),
        };
        let is_excessive = labels.len() > MAX_PAIRS;
        let shared = match (!is_excessive).then(|| texts(labels)) {
            None => Err(LABELS_EXCESSIVE),
            Some(Some(labels)) => Stream::new(tenant, &labels),
            Some(None) => Err("a label of its stream is not text"),
        };
        let values = match stream.get("values") {
            Some(Value::Array(values)) => values,
            None | Some(Value::Nil) => continue,
            Some(_) => return Err(wrong("the values of a stream are not a list")),
        };
        for value in values.iter() {
            composer.begin();
            let composed = entry_of_json(value).and_then(|entry| compose(&entry, &shared, composer));
            composer.end(composed, || {
                let mut sent = Vec::new();
                write_json_value(value, &mut sent);
                sent
            })?;
        }
    }
    Ok(())
}

/// The entries of an object whose values are texts. Numbers and truth values count as their texts, and null as absent.
fn texts(map: Map<'_>) -> Option<Pairs<'_>> {
    let set = map.iter().filter(|(_, value)| !value.is_nil());
    let pairs = set.map(|(name, value)| {
        let text = match value {
            Value::Str(text) => Cow::Borrowed(text.as_bytes()),
            Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Bool(_) => {
                let mut text = Vec::new();
                write_json_value(value, &mut text);
                Cow::Owned(text)
            }
            _ => return None,
        };
        Some((Cow::Borrowed(name.as_bytes()), text))
    });
    pairs.collect()
}

fn entry_of_json(value: Value<'_>) -> Result<Entry<'_>, ComposeError> {
    let wrong = |reason| move || ComposeError::record(reason);
    let items = value.as_array().ok_or_else(wrong("it is not a list of a time and a line"))?;
    let mut items = items.iter();
    let ns = match items.next() {
        Some(Value::Str(text)) => text.trim().parse().ok(),
        Some(Value::Int(ns)) => Some(ns),
        _ => None,
    };
    let ns = ns.ok_or_else(wrong("its time is not a text of nanoseconds since 1970"))?;
    let Some(Value::Str(line)) = items.next() else { return Err(wrong("its line is not text")()) };
    let metadata = match items.next() {
        None | Some(Value::Nil) => Pairs::new(),
        Some(Value::Map(metadata)) if metadata.len() > MAX_PAIRS => return Err(ComposeError::record(EXCESSIVE)),
        Some(Value::Map(metadata)) => texts(metadata).ok_or_else(wrong("a value of its metadata is not text"))?,
        Some(_) => return Err(wrong("its metadata is not an object")()),
    };
    Ok(Entry { ns, line: line.as_bytes(), metadata })
}
