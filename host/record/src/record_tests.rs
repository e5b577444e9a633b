//! Heads in the usual order and in others, and fields by path.

use super::*;
use crate::builder::write_head;
use crate::write;

fn sample() -> Vec<u8> {
    let mut record = Vec::new();
    write_head(&mut record, 7, -5, Level::Warning, b"shop", b"no stock");
    write::str(&mut record, "context");
    write::map_header(&mut record, 2);
    write::str(&mut record, "user.name");
    write::str(&mut record, "Ann");
    write::str(&mut record, "back\\slash");
    write::map_header(&mut record, 1);
    write::str(&mut record, "");
    write::int(&mut record, 7);
    write::str(&mut record, "tags");
    write::array_header(&mut record, 2);
    write::str(&mut record, "a");
    write::map_header(&mut record, 1);
    write::str(&mut record, "b");
    write::bool(&mut record, true);
    write::str(&mut record, "routes");
    write::array_header(&mut record, 2);
    write::str(&mut record, "audit");
    write::str(&mut record, "hot");
    record
}

/// The same record with its first entry moved to the end.
fn turned(record: &[u8]) -> Vec<u8> {
    let first = 3..LEVEL_AT;
    [&record[..3], &record[first.end..], &record[first]].concat()
}

#[test]
fn the_head_is_read_in_any_order() {
    let ordered = sample();
    let scattered = turned(&ordered);
    assert!(Record::new(&ordered).ordered_head().is_some());
    assert!(Record::new(&scattered).ordered_head().is_none());
    for bytes in [&ordered, &scattered] {
        let record = Record::new(bytes);
        let head = Head { timestamp: -5, level: Level::Warning, source: "shop", message: "no stock" };
        assert_eq!(record.head(), head);
        assert_eq!(record.timestamp(), -5);
        assert_eq!(record.level(), Level::Warning);
        assert_eq!(record.source(), "shop");
        assert_eq!(record.message(), "no stock");
        assert_eq!(record.routes().collect::<Vec<_>>(), ["audit", "hot"]);
        assert_eq!(record.entries().count(), 7);
    }
}

#[test]
fn paths_lead_into_maps_and_lists_and_escape_dots_and_backslashes() {
    let bytes = sample();
    let record = Record::new(&bytes);
    assert_eq!(record.get("message"), Some(Value::Str("no stock")));
    assert_eq!(record.get("context.user\\.name"), Some(Value::Str("Ann")));
    assert_eq!(record.get("context.back\\\\slash."), Some(Value::Int(7)));
    assert_eq!(record.get("tags.0"), Some(Value::Str("a")));
    assert_eq!(record.get("tags.1.b"), Some(Value::Bool(true)));
    for path in ["", "context.user.name", "tags.2", "tags.-1", "tags.x", "message.0", "tags.1.b.c", "\\"] {
        assert_eq!(record.get(path), None, "{path}");
    }
}

#[test]
fn a_record_cut_anywhere_reads_without_panic() {
    for bytes in [sample(), turned(&sample())] {
        for len in 0..bytes.len() {
            let record = Record::new(&bytes[..len]);
            let _ = (record.head(), record.timestamp(), record.level(), record.source(), record.message());
            let _ = (record.get("tags.1.b"), record.routes().count(), record.entries().count());
        }
    }
}
