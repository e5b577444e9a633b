//! The records of the bench in the form of each protocol.

use serde_json::{Map, Value};

/// Milliseconds since 1970 of the first record, and how far the next is.
const FIRST_MS: u64 = 1_795_132_800_000;
const STEP_MS: u64 = 2;

/// A request of OpenTelemetry in protobuf: a resource for each source, as collectors group records.
pub fn otlp(records: &[Value]) -> Vec<u8> {
    let mut resources: Vec<(&str, Vec<u8>)> = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let mut log = Vec::new();
        log.push(1 << 3 | 1);
        log.extend_from_slice(&(time_ms(number) * 1_000_000).to_le_bytes());
        let level = text(record, "level");
        field_varint(&mut log, 2, severity(level));
        field(&mut log, 3, level.as_bytes());
        field(&mut log, 5, &any(&record["message"]));
        for key in ["context", "metadata"] {
            field(&mut log, 6, &key_value(key, &record[key]));
        }
        field(group(&mut resources, text(record, "source")), 2, &log);
    }
    let mut request = Vec::new();
    for (source, logs) in resources {
        let (mut resource, mut of_resource) = (Vec::new(), Vec::new());
        field(&mut resource, 1, &key_value("service.name", &Value::from(source)));
        field(&mut of_resource, 1, &resource);
        field(&mut of_resource, 2, &logs);
        field(&mut request, 1, &of_resource);
    }
    request
}

/// The number of a level in OpenTelemetry.
fn severity(level: &str) -> u64 {
    match level {
        "DEBUG" => 5,
        "WARNING" => 13,
        "ERROR" => 17,
        _ => 9,
    }
}

/// What is collected for a source.
fn group<'g, 'r>(groups: &'g mut Vec<(&'r str, Vec<u8>)>, source: &'r str) -> &'g mut Vec<u8> {
    let at = groups.iter().position(|(known, _)| *known == source).unwrap_or_else(|| {
        groups.push((source, Vec::new()));
        groups.len() - 1
    });
    &mut groups[at].1
}

/// A push request of Loki in protobuf, compressed with snappy: a stream for each source, and the record as JSON in each
/// line.
pub fn loki(records: &[Value]) -> Vec<u8> {
    let mut streams: Vec<(&str, Vec<u8>)> = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let mut time = Vec::new();
        field_varint(&mut time, 1, time_ms(number) / 1000);
        field_varint(&mut time, 2, time_ms(number) % 1000 * 1_000_000);
        let mut entry = Vec::new();
        field(&mut entry, 1, &time);
        field(&mut entry, 2, record.to_string().as_bytes());
        field(group(&mut streams, text(record, "source")), 2, &entry);
    }
    let mut request = Vec::new();
    for (source, entries) in streams {
        let mut stream = Vec::new();
        field(&mut stream, 1, format!("{{service_name=\"{source}\"}}").as_bytes());
        stream.extend_from_slice(&entries);
        field(&mut request, 1, &stream);
    }
    snappy(&request)
}

/// A bulk request of Elasticsearch.
pub fn bulk(records: &[Value]) -> Vec<u8> {
    let lines = records.iter().map(|record| format!("{{\"create\":{{\"_index\":\"logs\"}}}}\n{record}\n"));
    lines.collect::<String>().into_bytes()
}

/// A message of Fluent Forward with packed entries. Its last [`CHUNK`] bytes are its id, which must be another one whenever
/// it is sent, and the acknowledgement has [`ACKNOWLEDGEMENT`] bytes.
pub fn forward(records: &[Value]) -> Vec<u8> {
    let mut entries = Vec::new();
    for (number, record) in records.iter().enumerate() {
        entries.extend_from_slice(&[0x92, 0xd7, 0]);
        let (seconds, nanos) = (time_ms(number) / 1000, time_ms(number) % 1000 * 1_000_000);
        // Until 2106.
        entries.extend_from_slice(&(seconds as u32).to_be_bytes());
        entries.extend_from_slice(&(nanos as u32).to_be_bytes());
        let mut record = record.as_object().cloned().unwrap_or_default();
        record.remove("timestamp");
        // A value tree can always be written.
        entries.extend_from_slice(&rmp_serde::to_vec(&record).expect("a plain value"));
    }
    let mut message = vec![0x93, 0xa4];
    message.extend_from_slice(b"shop\xc6");
    message.extend_from_slice(&u32::try_from(entries.len()).expect("below 4 GiB").to_be_bytes());
    message.extend_from_slice(&entries);
    message.extend_from_slice(b"\x81\xa5chunk\xa800000000");
    message
}

pub const CHUNK: usize = 8;

/// `{"ack": "…"}`
pub const ACKNOWLEDGEMENT: usize = 6 + CHUNK;

/// Messages of syslog as in RFC 5424, each after its length; context and metadata are structured data.
pub fn syslog(records: &[Value]) -> Vec<u8> {
    let mut messages = Vec::new();
    for record in records {
        let mut data = String::new();
        for key in ["context", "metadata"] {
            data.push_str(&format!("[{key}@1"));
            flatten(&mut data, "", record[key].as_object());
            data.push(']');
        }
        let (time, source, message) = (text(record, "timestamp"), text(record, "source"), text(record, "message"));
        let message = format!("<134>1 {time} web1 {source} 42 - {data} {message}");
        messages.extend_from_slice(format!("{} {message}", message.len()).as_bytes());
    }
    messages
}

fn flatten(data: &mut String, before: &str, entries: Option<&Map<String, Value>>) {
    for (key, value) in entries.into_iter().flatten() {
        match value {
            Value::Object(inside) => flatten(data, &format!("{before}{key}."), Some(inside)),
            Value::String(text) => data.push_str(&format!(" {before}{key}=\"{text}\"")),
            other => data.push_str(&format!(" {before}{key}=\"{other}\"")),
        }
    }
}

fn time_ms(number: usize) -> u64 {
    FIRST_MS + number as u64 * STEP_MS
}

fn text<'r>(record: &'r Value, key: &str) -> &'r str {
    record[key].as_str().unwrap_or_default()
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn field_varint(out: &mut Vec<u8>, number: u64, value: u64) {
    varint(out, number << 3);
    varint(out, value);
}

fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn key_value(key: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    field(&mut out, 1, key.as_bytes());
    field(&mut out, 2, &any(value));
    out
}

fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => field(&mut out, 1, text.as_bytes()),
        Value::Bool(value) => field_varint(&mut out, 2, u64::from(*value)),
        Value::Number(number) => match number.as_i64() {
            Some(number) => field_varint(&mut out, 3, number as u64),
            None => {
                out.push(4 << 3 | 1);
                out.extend_from_slice(&number.as_f64().unwrap_or_default().to_le_bytes());
            }
        },
        Value::Object(entries) => {
            let mut list = Vec::new();
            entries.iter().for_each(|(key, value)| field(&mut list, 1, &key_value(key, value)));
            field(&mut out, 6, &list);
        }
        Value::Array(_) | Value::Null => {}
    }
    out
}

/// Compresses with snappy: repetitions within the last 32 KiB.
fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint(&mut out, bytes.len() as u64);
    let mut seen = vec![usize::MAX; 1 << 14];
    let (mut at, mut literal) = (0, 0);
    while at + 4 <= bytes.len() {
        let word = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let slot = (word.wrapping_mul(0x1e35_a7bd) >> 18) as usize;
        let before = std::mem::replace(&mut seen[slot], at);
        if before == usize::MAX || at - before > 0x7fff || bytes[before..before + 4] != bytes[at..at + 4] {
            at += 1;
            continue;
        }
        push_literal(&mut out, &bytes[literal..at]);
        let same = bytes[at..].iter().zip(&bytes[before..]).take(64).take_while(|(a, b)| a == b).count();
        out.push(((same - 1) << 2 | 2) as u8);
        out.extend_from_slice(&((at - before) as u16).to_le_bytes());
        at += same;
        literal = at;
    }
    push_literal(&mut out, &bytes[literal..]);
    out
}

fn push_literal(out: &mut Vec<u8>, bytes: &[u8]) {
    for bytes in bytes.chunks(1 << 16) {
        match bytes.len() - 1 {
            length @ 0..60 => out.push((length << 2) as u8),
            length => {
                out.push(61 << 2);
                out.extend_from_slice(&(length as u16).to_le_bytes());
            }
        }
        out.extend_from_slice(bytes);
    }
}
