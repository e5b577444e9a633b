//! Gives the records of a batch routes, which the configuration of the place where they arrived says.
//!
//! Invariant: `routes` are set by the configuration and by filters. What senders write under this key is renamed before,
//! so a record that is given routes here has none.

use crate::arrival::RejectedRecord;
use crate::batch::Batch;
use crate::limits::MAX_RECORD_BYTES;
use crate::{to_json::write_json, write};

/// Gives all records the same routes. What has no room for them is set aside.
#[must_use]
pub fn give_routes(batch: Batch, routes: &[String], bad: &mut Vec<RejectedRecord>) -> Batch {
    if routes.is_empty() {
        return batch;
    }
    let mut entry = Vec::new();
    write::str(&mut entry, "routes");
    // The configuration allows far fewer.
    write::array_header(&mut entry, u32::try_from(routes.len()).unwrap_or(u32::MAX));
    routes.iter().for_each(|route| write::str(&mut entry, route));
    let mut routed = Batch::with_capacity(batch.byte_len() + batch.len() * entry.len(), batch.len());
    let (mut next_bad, mut too_full) = (bad.iter().map(|bad| bad.index).peekable(), Vec::new());
    let mut index = 0;
    for record in batch.iter() {
        // Its position among all that were sent.
        while next_bad.next_if_eq(&index).is_some() {
            index += 1;
        }
        if with_entry(record.as_bytes(), &entry, &mut routed).is_none() {
            let error = "it has no room for the routes of the place where it arrived; send less in a record".to_owned();
            let mut bytes = Vec::new();
            write_json(record, &mut bytes);
            too_full.push(RejectedRecord { index, error, bytes });
        }
        index += 1;
    }
    drop(next_bad);
    bad.append(&mut too_full);
    bad.sort_by_key(|bad| bad.index);
    routed
}

/// Appends a record with another entry, if there is room for it.
fn with_entry(record: &[u8], entry: &[u8], out: &mut Batch) -> Option<()> {
    // A canonical record is a map with a 16-bit header.
    let (header, rest) = record.split_first_chunk::<3>()?;
    let entries = u16::from_be_bytes([header[1], header[2]]).checked_add(1)?;
    if record.len() + entry.len() > MAX_RECORD_BYTES {
        return None;
    }
    let append = |bytes: &mut Vec<u8>| {
        write::map16_header(bytes, entries);
        bytes.extend_from_slice(rest);
        bytes.extend_from_slice(entry);
        Ok::<(), ()>(())
    };
    out.try_append(append).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Aliases, Composer, Defaults, Level};

    fn batch(messages: &[usize], bad: &mut Vec<RejectedRecord>) -> Batch {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 1,
            source: "test",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let mut composer = Composer::new(&defaults, &mut batch);
        for length in messages {
            if *length == 0 {
                composer.reject("empty".to_owned(), Vec::new()).expect("within the limits");
                continue;
            }
            composer.begin();
            composer.message("x".repeat(*length).as_bytes());
            composer.text("routes", b"mine").expect("small");
            composer.end(Ok(()), Vec::new).expect("within the limits");
        }
        *bad = composer.finish();
        batch
    }

    #[test]
    fn records_get_the_routes_and_keep_what_they_had() {
        let mut bad = Vec::new();
        let routed = give_routes(batch(&[1, 2], &mut bad), &["a".to_owned(), "b".to_owned()], &mut bad);
        for record in routed.iter() {
            assert_eq!(record.routes().collect::<Vec<_>>(), ["a", "b"]);
            let mut json = Vec::new();
            write_json(record, &mut json);
            let json = String::from_utf8(json).expect("JSON");
            assert!(json.contains(r#""routes_original":"mine""#) && json.contains(r#""message":"x"#), "{json}");
        }
        assert_eq!((routed.len(), bad.len()), (2, 0));
        assert_eq!(Batch::decode(&routed.encode()).expect("canonical"), routed);
        let mut bad = Vec::new();
        let unrouted = batch(&[1], &mut bad);
        assert_eq!(give_routes(unrouted.clone(), &[], &mut bad), unrouted);
    }

    #[test]
    fn a_record_without_room_is_set_aside_at_its_place() {
        let mut bad = Vec::new();
        // The longest message that a record has room for, but for the routes.
        let sent = batch(&[1, 0, MAX_RECORD_BYTES - 150, 0, 2], &mut bad);
        assert_eq!((sent.len(), bad.len()), (3, 2));
        let routed = give_routes(sent, &["r".repeat(200)], &mut bad);
        assert_eq!(routed.len(), 2);
        let indexes: Vec<u32> = bad.iter().map(|bad| bad.index).collect();
        assert_eq!(indexes, [1, 2, 3]);
        assert!(bad[1].error.contains("no room") && bad[1].bytes.starts_with(b"{"));
    }
}
