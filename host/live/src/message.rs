//! Records as JSON, for clients of the stream and of searches.
//!
//! Fields of the record itself always win over the names that are added for clients of other log services; only the
//! names that identify a record are Weir's own.

use weir_query::EntryId;
use weir_record::time::format_rfc3339;
use weir_record::{Record, Value, write_json, write_json_value};

/// What identifies a record. A field of the record with such a name gets [`SUFFIX`].
const OWN: [&str; 2] = ["entry_id", "session_id"];
const SUFFIX: &str = "_original";

/// Which names are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The record's own fields and its id.
    Own,
    /// Also those that clients of other log services read.
    Aliases,
}

/// Appends a record as a JSON object.
pub fn write_record(out: &mut Vec<u8>, id: EntryId, session: Option<&str>, record: Record<'_>, names: Names) {
    out.extend_from_slice(format!("{{\"entry_id\":\"{id}\"").as_bytes());
    if let Some(session) = session {
        out.extend_from_slice(b",\"session_id\":");
        write_json_value(Value::Str(session), out);
    }
    let begin = out.len();
    if record.entries().any(|(key, _)| OWN.contains(&key)) {
        write_renamed(out, record);
    } else {
        write_json(record, out);
        // In place of its opening brace; there is always a field before.
        out[begin] = b',';
        out.pop();
    }
    if names == Names::Aliases {
        add_aliases(out, record);
    }
    out.push(b'}');
}

/// Appends the fields of a record that has some of [`OWN`].
fn write_renamed(out: &mut Vec<u8>, record: Record<'_>) {
    for (key, value) in record.entries() {
        let mut name = key.to_owned();
        if OWN.contains(&key) {
            name.push_str(SUFFIX);
        }
        add(out, &name, |out| match (key, value) {
            ("timestamp", Value::Int(ns)) => {
                out.push(b'"');
                format_rfc3339(ns, out);
                out.push(b'"');
            }
            _ => write_json_value(value, out),
        });
    }
}

fn add_aliases(out: &mut Vec<u8>, record: Record<'_>) {
    let head = record.head();
    let defaults: [(&str, Value<'_>); 4] = [
        ("service_name", Value::Str(head.source)),
        ("service", Value::Str(head.source)),
        ("content", Value::Str(head.message)),
        ("stream", Value::Nil),
    ];
    let map = record.map();
    for (name, value) in defaults {
        if map.get(name).is_none() {
            add(out, name, |out| write_json_value(value, out));
        }
    }
    for name in ["context", "metadata"] {
        if map.get(name).is_none() {
            add(out, name, |out| out.extend_from_slice(b"{}"));
        }
    }
}

fn add(out: &mut Vec<u8>, name: &str, write_value: impl FnOnce(&mut Vec<u8>)) {
    out.push(b',');
    write_json_value(Value::Str(name), out);
    out.push(b':');
    write_value(out);
}

/// The names of the columns of [`write_csv`].
pub const CSV_HEAD: &str = "timestamp,level,source,message,entry_id,fields\r\n";

/// Appends a record as a line of CSV (RFC 4180). Fields without a column of their own are JSON in the last one.
///
/// A spreadsheet takes cells that begin with certain characters for formulas, which could send other cells away. An
/// apostrophe before them makes them text.
pub fn write_csv(out: &mut Vec<u8>, id: EntryId, record: Record<'_>) {
    let head = record.head();
    let mut timestamp = Vec::new();
    format_rfc3339(head.timestamp, &mut timestamp);
    let (id, fields) = (id.to_string(), other_fields(record));
    let cells = [
        timestamp.as_slice(),
        head.level.as_str().as_bytes(),
        head.source.as_bytes(),
        head.message.as_bytes(),
        id.as_bytes(),
        &fields,
    ];
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        if cell.first().is_some_and(|first| b"=+-@\t\r".contains(first)) {
            out.push(b'\'');
        }
        for byte in cell {
            out.extend(std::iter::repeat_n(*byte, if *byte == b'"' { 2 } else { 1 }));
        }
        out.push(b'"');
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields without a column of their own, as JSON.
fn other_fields(record: Record<'_>) -> Vec<u8> {
    let mut json = vec![b'{'];
    for (key, value) in record.entries().filter(|(key, _)| !["timestamp", "level", "source", "message"].contains(key)) {
        if json.len() > 1 {
            json.push(b',');
        }
        write_json_value(Value::Str(key), &mut json);
        json.push(b':');
        write_json_value(value, &mut json);
    }
    json.push(b'}');
    json
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use weir_record::{Aliases, Batch, Defaults, Level, read_json};

    use super::*;

    fn with_record<T>(record: &Json, then: impl FnOnce(Record<'_>) -> T) -> T {
        let aliases = Aliases::none();
        let defaults = Defaults {
            received_ns: 0,
            source: "shop",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        read_json(record.to_string().as_bytes(), &defaults, &mut batch).expect("it is JSON");
        then(batch.record(0))
    }

    fn shown(record: &Json, session: Option<&str>, names: Names) -> Json {
        let mut out = Vec::new();
        with_record(record, |record| {
            write_record(&mut out, EntryId { sequence: 7, index: 2 }, session, record, names);
        });
        serde_json::from_slice(&out).expect("the output is JSON")
    }

    #[test]
    fn a_line_of_csv_has_all_fields() {
        let mut out = Vec::new();
        let sent = json!({"message": "say \"hi\",\nnow", "timestamp": 5, "took_ms": 7});
        with_record(&sent, |record| write_csv(&mut out, EntryId { sequence: 7, index: 2 }, record));
        let expected = "\"1970-01-01T00:00:05.000000000Z\",\"INFO\",\"shop\",\"say \"\"hi\"\",\nnow\",\"7-2\",\"{\"\"took_ms\"\":7}\"\r\n";
        assert_eq!(String::from_utf8(out), Ok(expected.to_owned()));
    }

    #[test]
    fn a_record_has_its_id_and_its_own_fields() {
        let sent = json!({"message": "hello", "timestamp": "2026-11-24T10:00:00Z", "took_ms": 5});
        let expected = json!({
            "entry_id": "7-2", "timestamp": "2026-11-24T10:00:00.000000000Z", "level": "INFO", "source": "shop",
            "message": "hello", "took_ms": 5,
        });
        assert_eq!(shown(&sent, None, Names::Own), expected);
    }

    #[test]
    fn clients_of_other_services_find_the_names_that_they_read() {
        let shown = shown(&json!({"message": "hello", "service": "mine"}), Some("s1"), Names::Aliases);
        assert_eq!(shown["service_name"], "shop");
        assert_eq!(shown["service"], "mine", "the record's own field wins");
        assert_eq!(shown["content"], "hello");
        assert_eq!((&shown["context"], &shown["metadata"], &shown["stream"]), (&json!({}), &json!({}), &Json::Null));
        assert_eq!(shown["session_id"], "s1");
    }

    #[test]
    fn a_record_can_not_pretend_to_have_another_id() {
        let sent = json!({"message": "hello", "entry_id": "1-0", "session_id": [1], "timestamp": 5});
        for names in [Names::Own, Names::Aliases] {
            let shown = shown(&sent, Some("s1"), names);
            assert_eq!((&shown["entry_id"], &shown["session_id"]), (&json!("7-2"), &json!("s1")));
            assert_eq!((&shown["entry_id_original"], &shown["session_id_original"]), (&json!("1-0"), &json!([1])));
            assert_eq!(shown["timestamp"], "1970-01-01T00:00:05.000000000Z");
        }
    }
}
