//! The messages of the live stream as bytes: texts of a WebSocket, or server-sent events.

use bytes::Bytes;
use serde_json::{Value, json};
use weir_live::message::{Names, write_record};
use weir_live::{Form, Item, Messages, Step};
use weir_record::time::{format_rfc3339, now_ns};

/// The records of a step, written once for all clients that get it in this form.
pub fn records(form: Form, session: &str, step: &Step) -> Messages {
    step.messages(form, |items| match (items, form.is_batched, form.is_events) {
        ([], ..) => vec![],
        (items, true, _) => vec![batch(form, items)],
        (items, false, true) => vec![events(form, session, items)],
        (items, false, false) => texts(form, session, items),
    })
}

/// One message with all records.
fn batch(form: Form, items: &[Item]) -> Bytes {
    let mut out = Vec::with_capacity(size(items));
    if let (true, Some(last)) = (form.is_events, items.last()) {
        out.extend_from_slice(format!("event: records\nid: {}\ndata: ", last.id()).as_bytes());
    }
    out.extend_from_slice(br#"{"type":"records","records":["#);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_record(&mut out, item.id(), None, item.record(), form.names);
    }
    out.extend_from_slice(b"]}");
    if form.is_events {
        out.extend_from_slice(b"\n\n");
    }
    into_text(out)
}

/// An event for each record. JSON has no line ends outside of texts, where they are escaped.
fn events(form: Form, session: &str, items: &[Item]) -> Bytes {
    let mut out = Vec::with_capacity(size(items));
    for item in items {
        out.extend_from_slice(format!("id: {}\ndata: ", item.id()).as_bytes());
        write_one(&mut out, form, session, item);
        out.extend_from_slice(b"\n\n");
    }
    into_text(out)
}

/// A text for each record.
fn texts(form: Form, session: &str, items: &[Item]) -> Vec<Bytes> {
    let text = |item| {
        let mut out = Vec::new();
        write_one(&mut out, form, session, item);
        into_text(out)
    };
    items.iter().map(text).collect()
}

fn write_one(out: &mut Vec<u8>, form: Form, session: &str, item: &Item) {
    // One of the names that are added.
    let session = (form.names == Names::Aliases).then_some(session);
    write_record(out, item.id(), session, item.record(), form.names);
}

/// About as many bytes as records need as JSON.
fn size(items: &[Item]) -> usize {
    items.iter().map(|item| item.record().as_bytes().len() * 2).sum()
}

/// A message that is no record, with the fields of one, so that clients that know only records show it.
pub fn notice(form: Form, kind: &str, level: &str, text: &str, mut fields: Value) -> Bytes {
    let mut timestamp = Vec::new();
    format_rfc3339(now_ns(), &mut timestamp);
    let mut all = json!({
        "type": kind, "timestamp": String::from_utf8_lossy(&timestamp), "level": level, "source": "weir",
        "service_name": "weir", "service": "weir", "message": text, "content": text,
    });
    if let (Some(all), Some(fields)) = (all.as_object_mut(), fields.as_object_mut()) {
        all.append(fields);
    }
    message(form, kind, &all)
}

/// A message of a kind of its own.
pub fn message(form: Form, kind: &str, json: &Value) -> Bytes {
    match form.is_events {
        true => format!("event: {kind}\ndata: {json}\n\n").into(),
        false => json.to_string().into(),
    }
}

/// Records are valid UTF-8; a damaged one must not end the stream.
fn into_text(json: Vec<u8>) -> Bytes {
    match String::from_utf8(json) {
        Ok(text) => text.into(),
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned().into(),
    }
}
