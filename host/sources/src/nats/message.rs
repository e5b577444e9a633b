//! Where a message comes from, in its record.
//!
//! | message | record |
//! |---|---|
//! | a JSON object, a MessagePack map | its entries, by the rules for all records |
//! | text | `message` |
//! | subject | `nats.subject` |
//! | stream, number in it | `nats.stream`, `nats.sequence`, and both as `nats.id` (`LOGS:42`), which is unique |

use weir_record::{ComposeError, Composer};

/// Where a message comes from.
pub(super) struct Origin<'a> {
    pub(super) subject: &'a str,
    /// Its stream, and its number there.
    pub(super) stream: Option<(&'a str, u64)>,
}

impl Origin<'_> {
    /// Adds the entries that say so.
    pub(super) fn add_to(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        composer.entry(b"nats", |value| {
            value.map(|map| {
                map.entry(b"subject").text(self.subject.as_bytes());
                if let Some((stream, sequence)) = self.stream {
                    map.entry(b"stream").text(stream.as_bytes());
                    map.entry(b"sequence").uint(sequence);
                    map.entry(b"id").text(format!("{stream}:{sequence}").as_bytes());
                }
                Ok(())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weir_record::{Aliases, Batch, Defaults, Level, write_json};

    use super::*;
    use crate::message::{Format, compose};

    fn read(format: Format, payloads: &[&[u8]]) -> (Vec<Value>, Vec<String>) {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 0,
            source: "bus",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: false,
        };
        let mut batch = Batch::new();
        let mut composer = Composer::new(&defaults, &mut batch);
        for (number, payload) in (1..).zip(payloads) {
            let origin = Origin { subject: "log.entry", stream: Some(("LOGS", number)) };
            compose(&mut composer, format, payload, |composer| origin.add_to(composer))
                .expect("the limits are not reached");
        }
        let bad = composer.finish().into_iter().map(|bad| bad.error).collect();
        let json = |record| {
            let mut json = Vec::new();
            write_json(record, &mut json);
            serde_json::from_slice(&json).expect("JSON")
        };
        (batch.iter().map(json).collect(), bad)
    }

    #[test]
    fn an_event_is_a_record_with_its_place_in_the_stream() {
        let event = br#"{"level":"warn","message":"slow","source_module":"shop.db","context":{"user_id":7}}"#;
        let (records, bad) = read(Format::Auto, &[event]);
        assert_eq!(bad, [""; 0]);
        let due = json!({
            "timestamp": "1970-01-01T00:00:00.000000000Z", "level": "WARNING", "source": "shop.db", "message": "slow",
            "context": {"user_id": 7},
            "nats": {"subject": "log.entry", "stream": "LOGS", "sequence": 1, "id": "LOGS:1"},
        });
        assert_eq!(records, [due]);
    }

    #[test]
    fn the_format_tells_what_is_a_record_and_what_is_set_aside() {
        let payloads: &[&[u8]] =
            &[b"{\"message\":\"json\"}", b"\x81\xa7message\xa7msgpack", b"text", b"{broken", b"[1]", b""];
        let messages = |records: &[Value]| {
            records.iter().map(|record| record["message"].as_str().expect("text").to_owned()).collect::<Vec<_>>()
        };
        let (records, bad) = read(Format::Auto, payloads);
        assert_eq!(
            (messages(&records), bad.len()),
            (["json", "msgpack", "text", "{broken", "[1]", ""].map(str::to_owned).to_vec(), 0)
        );
        let (records, bad) = read(Format::Json, payloads);
        assert_eq!((messages(&records), bad.len()), (vec!["json".to_owned()], 5));
        let (records, bad) = read(Format::Msgpack, payloads);
        assert_eq!((messages(&records), bad.len()), (vec!["msgpack".to_owned()], 5));
        assert_eq!(read(Format::Text, payloads).0.len(), 6);
    }
}
