//! Fluent Bit's entries: what its output `http` sends as MessagePack, one after another.
//!
//! An entry is `[TIME, RECORD]`, or since version 2.1 `[[TIME, METADATA], RECORD]`. `TIME` is Fluent's extension for
//! times, or a number of seconds. It is the time of the record; an entry of the record with the same meaning keeps its
//! name. `METADATA` becomes `metadata`, unless it is empty.
//!
//! As in a sequence of maps, what follows the first entries that can be read is set aside if it is cut short, and so is
//! an entry of another shape.

use weir_record::{Batch, ComposeError, Composer, Defaults, RejectedRecord, SyntaxError, Value, time};

const SHAPE: &str = "the entry is neither [time, record] nor [[time, metadata], record]";
const CUT: &str = "MessagePack is cut short or holds the reserved marker 0xc1";

/// Whether a body begins as an entry does. A list of two records begins with a map, and one map is no list.
pub(super) fn begin(body: &[u8]) -> bool {
    let Some((0x92, rest)) = body.split_first().map(|(first, rest)| (*first, rest)) else { return false };
    match Value::peek(rest) {
        Some(Value::Ext(..) | Value::Int(_) | Value::UInt(_) | Value::Float(_)) => true,
        Some(Value::Array(list)) => list.len() == 2,
        _ => false,
    }
}

/// Reads a body of entries and appends their records to `out`. Returns those that were rejected.
pub(super) fn read(body: &[u8], defaults: &Defaults<'_>, out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let mut composer = Composer::new(defaults, out);
    let mut rest = body;
    while !rest.is_empty() {
        composer.begin();
        let Some((entry, len)) = Value::read(rest) else {
            let sent = || rest.to_vec();
            if composer.count() == 0 {
                return composer.end(Err(ComposeError::syntax(CUT)), sent).map(|()| Vec::new());
            }
            composer.reject(CUT.to_owned(), sent())?;
            break;
        };
        let composed = compose(entry, &mut composer);
        composer.end(composed, || rest[..len].to_vec())?;
        rest = &rest[len..];
    }
    Ok(composer.finish())
}

fn compose(entry: Value<'_>, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let shape = ComposeError::record(SHAPE);
    let (head, record) = pair(entry).ok_or(shape)?;
    let (head, _) = Value::read(head).ok_or(shape)?;
    let (moment, metadata) = match pair(head) {
        Some((moment, metadata)) => (Value::peek(moment).ok_or(shape)?, Some(metadata)),
        None => (head, None),
    };
    if matches!(moment, Value::Array(_) | Value::Map(_)) || !matches!(Value::peek(record), Some(Value::Map(_))) {
        return Err(shape);
    }
    if let Some(ns) = time::from_value(moment) {
        composer.time(ns);
    }
    composer.msgpack_map(record)?;
    match metadata.map(|metadata| (metadata, Value::peek(metadata))) {
        None | Some((_, None | Some(Value::Nil))) => Ok(()),
        Some((_, Some(Value::Map(map)))) if map.is_empty() => Ok(()),
        Some((metadata, Some(_))) => composer.entry(b"metadata", |value| value.msgpack(metadata).map(drop)),
    }
}

/// The bytes of the items of a list of two; those of the second may be followed by others.
fn pair(value: Value<'_>) -> Option<(&[u8], &[u8])> {
    let list = value.as_array().filter(|list| list.len() == 2)?;
    let (_, len) = Value::read(list.rest())?;
    Some(list.rest().split_at(len))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_record::write;

    use super::super::{
        test_bodies::{self, RECEIVED},
        weir,
    };

    const MSGPACK: [(&str, &str); 1] = [("content-type", "application/msgpack")];

    fn event_time(out: &mut Vec<u8>) {
        let mut moment = 1_700_000_001_u32.to_be_bytes().to_vec();
        moment.extend(5_u32.to_be_bytes());
        write::ext(out, 0, &moment);
    }

    fn record(out: &mut Vec<u8>, text: &str) {
        write::map_header(out, 2);
        write::str(out, "log");
        write::str(out, text);
        write::str(out, "date");
        write::int(out, 7);
    }

    /// `[TIME, RECORD]`
    fn entry(text: &str) -> Vec<u8> {
        let mut out = vec![0x92];
        event_time(&mut out);
        record(&mut out, text);
        out
    }

    /// `[[TIME, METADATA], RECORD]`
    fn entry_with(metadata: &[(&str, &str)], text: &str) -> Vec<u8> {
        let mut out = vec![0x92, 0x92];
        event_time(&mut out);
        write::map_header(&mut out, u32::try_from(metadata.len()).expect("few"));
        for (key, value) in metadata {
            write::str(&mut out, key);
            write::str(&mut out, value);
        }
        record(&mut out, text);
        out
    }

    #[test]
    fn entries_of_every_version_become_records() {
        let mut plain = vec![0x92];
        write::float(&mut plain, 1_700_000_002.25);
        record(&mut plain, "d");
        let mut odd = vec![0x92];
        write::nil(&mut odd);
        record(&mut odd, "e");
        let body = [entry("a"), entry_with(&[], "b"), entry_with(&[("tag", "x")], "c"), plain, odd].concat();
        let (records, bad) = test_bodies::post(&weir::PROTOCOL, "/ingest", &MSGPACK, body).expect("taken");
        assert!(bad.is_empty(), "{bad:?}");
        let due = json!({"timestamp": "2023-11-14T22:13:21.000000005Z", "level": "INFO", "source": "http", "message": "a",
            "date": 7});
        assert_eq!(records[0], due);
        assert_eq!((&records[1]["message"], &records[1]["metadata"]), (&json!("b"), &json!(null)));
        assert_eq!((&records[2]["message"], &records[2]["metadata"]), (&json!("c"), &json!({"tag": "x"})));
        assert_eq!(records[3]["timestamp"], "2023-11-14T22:13:22.250000000Z");
        // Without a usable time, that of the record counts.
        assert_eq!(records[4]["timestamp"], "1970-01-01T00:00:07.000000000Z");
    }

    #[test]
    fn lists_and_sequences_of_records_are_read_as_before() {
        let mut two = vec![0x92];
        record(&mut two, "a");
        record(&mut two, "b");
        let mut sequence = Vec::new();
        record(&mut sequence, "a");
        record(&mut sequence, "b");
        for body in [two, sequence] {
            let (records, _) = test_bodies::post(&weir::PROTOCOL, "/ingest", &MSGPACK, body).expect("taken");
            assert_eq!(records.len(), 2);
            assert_ne!(records[0]["timestamp"], RECEIVED, "`date` is a time");
        }
    }

    #[test]
    fn bad_entries_are_set_aside_and_a_cut_one_refuses_only_a_body_without_others() {
        let mut shapeless = vec![0x92];
        event_time(&mut shapeless);
        write::str(&mut shapeless, "no map");
        let triple = vec![0x93, 1, 2, 0x80];
        let body = [entry("a"), shapeless.clone(), triple.clone(), entry("b"), entry("c")].concat();
        let (records, bad) =
            test_bodies::post(&weir::PROTOCOL, "/ingest", &MSGPACK, &body[..body.len() - 1]).expect("taken");
        assert_eq!(records.len(), 2);
        let bad: Vec<_> = bad.into_iter().map(|bad| (bad.index, bad.bytes)).collect();
        let cut = entry("c");
        assert_eq!(bad, [(1, shapeless), (2, triple), (4, cut[..cut.len() - 1].to_vec())]);
        let refused = test_bodies::post(&weir::PROTOCOL, "/ingest", &MSGPACK, &cut[..cut.len() - 1]).expect_err("cut");
        assert_eq!(refused.status, 400);
    }

    #[test]
    fn mutated_entries_never_panic() {
        let body = [entry("a"), entry_with(&[("tag", "x")], "c"), entry("b")].concat();
        test_bodies::mutated(&weir::PROTOCOL, "/ingest", &MSGPACK, &[&body, &entry_with(&[], "d")]);
    }
}
