//! An entry of a stream as a record.
//!
//! | entry | record |
//! |---|---|
//! | one field with a JSON object or a MessagePack map, or a field that the configuration names | its entries, by the rules for all records |
//! | any other fields | its entries; a value that is a JSON object or list stays one |
//! | its stream, its id there | `redis.stream`, `redis.entry`, and both as `redis.id` (`events:1526919030474-0`), which is unique |

use serde::de::IgnoredAny;
use weir_record::{ComposeError, Composer, SyntaxError};

use super::resp::Reply;
use super::seen::Id;
use crate::message::{Format, compose, holds_map};

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub id: Id,
    /// Names and values; `None`: the entry was deleted from the stream.
    pub fields: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

/// How an entry becomes a record.
pub(super) struct Shape<'o> {
    pub format: Format,
    /// The field that holds the record.
    pub field: Option<&'o str>,
}

impl Entry {
    /// Reads a list of entries. `None`: it is none.
    pub fn read_all(reply: Reply) -> Option<Vec<Entry>> {
        // Redis 6 has nil for an entry that was deleted.
        let items = reply.into_list().into_iter().filter(|item| *item != Reply::Nil);
        items.map(Entry::read).collect()
    }

    fn read(reply: Reply) -> Option<Entry> {
        let mut parts = reply.into_list().into_iter();
        let id = str::from_utf8(&parts.next()?.into_text()?).ok()?.parse().ok()?;
        let Reply::List(texts) = parts.next()? else { return Some(Entry { id, fields: None }) };
        let mut texts = texts.into_iter().map(Reply::into_text);
        let mut fields = Vec::new();
        while let Some(name) = texts.next() {
            fields.push((name?, texts.next()??));
        }
        Some(Entry { id, fields: Some(fields) })
    }

    /// The size of its fields.
    pub fn byte_len(&self) -> usize {
        self.fields.iter().flatten().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl Shape<'_> {
    /// Adds the record of an entry of this stream, or sets the entry aside. One that was deleted has none.
    pub fn compose(&self, composer: &mut Composer<'_, '_>, stream: &str, entry: &Entry) -> Result<(), SyntaxError> {
        let Some(fields) = &entry.fields else { return Ok(()) };
        let origin = |composer: &mut Composer<'_, '_>| origin(composer, stream, entry.id);
        match (self.field, &fields[..]) {
            (Some(wanted), _) => match fields.iter().find(|(name, _)| name == wanted.as_bytes()) {
                Some((_, payload)) => compose(composer, self.format, payload, origin),
                None => composer.reject(format!("the entry has no field `{wanted}`"), shown(fields)),
            },
            (None, [(_, payload)]) if self.format != Format::Auto || holds_map(payload) => {
                compose(composer, self.format, payload, origin)
            }
            (None, _) if self.format != Format::Auto => {
                composer.reject("the entry has several fields; name one with `field`".to_owned(), shown(fields))
            }
            (None, _) => {
                composer.begin();
                let composed = fields.iter().try_for_each(|(name, value)| add(composer, name, value));
                let composed = composed.and_then(|()| origin(composer));
                composer.end(composed, || shown(fields))
            }
        }
    }
}

fn add(composer: &mut Composer<'_, '_>, name: &[u8], value: &[u8]) -> Result<(), ComposeError> {
    let is_json = value.starts_with(b"{") || value.starts_with(b"[");
    if is_json && serde_json::from_slice::<IgnoredAny>(value).is_ok() {
        return composer.entry(name, |writer| writer.json(value));
    }
    composer.entry(name, |writer| {
        writer.text(value);
        Ok(())
    })
}

fn origin(composer: &mut Composer<'_, '_>, stream: &str, id: Id) -> Result<(), ComposeError> {
    composer.entry(b"redis", |value| {
        value.map(|map| {
            map.entry(b"stream").text(stream.as_bytes());
            map.entry(b"entry").text(id.to_string().as_bytes());
            map.entry(b"id").text(format!("{stream}:{id}").as_bytes());
            Ok(())
        })
    })
}

/// Fields as they are kept in quarantine: a line each.
fn shown(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [name, &b"="[..], value, b"\n"].concat()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weir_record::{Aliases, Batch, Defaults, Level, write_json};

    use super::*;

    fn read(shape: &Shape<'_>, fields: &[(&str, &[u8])]) -> Result<Value, String> {
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
        let text = |text: &[u8]| Reply::Text(text.to_vec());
        let list = fields.iter().flat_map(|(name, value)| [text(name.as_bytes()), text(value)]).collect();
        let reply = Reply::List(vec![Reply::List(vec![text(b"7-1"), Reply::List(list)])]);
        let entries = Entry::read_all(reply).expect("entries");
        shape.compose(&mut composer, "events", &entries[0]).expect("the limits are not reached");
        if let Some(bad) = composer.finish().pop() {
            return Err(bad.error);
        }
        let mut json = Vec::new();
        write_json(batch.record(0), &mut json);
        let mut record: Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(record["redis"], json!({"stream": "events", "entry": "7-1", "id": "events:7-1"}));
        for given in ["redis", "timestamp"] {
            record.as_object_mut().expect("an object").remove(given);
        }
        Ok(record)
    }

    #[test]
    fn an_event_is_a_record_in_one_field_or_in_several() {
        let due = json!({"level": "WARNING", "source": "shop.db", "message": "slow", "context": {"user_id": 7}});
        let auto = Shape { format: Format::Auto, field: None };
        let event = br#"{"level":"warn","message":"slow","source_module":"shop.db","context":{"user_id":7}}"#;
        assert_eq!(read(&auto, &[("anything", event)]), Ok(due.clone()));
        let fields: &[(&str, &[u8])] = &[
            ("level", b"warn"),
            ("message", b"slow"),
            ("source_module", b"shop.db"),
            ("context", br#"{"user_id":7}"#),
        ];
        assert_eq!(read(&auto, fields), Ok(due.clone()));
        let named = Shape { format: Format::Auto, field: Some("event") };
        assert_eq!(read(&named, &[("type", b"log.entry"), ("event", event)]), Ok(due));
    }

    #[test]
    fn the_format_tells_what_is_a_record_and_what_is_set_aside() {
        let auto = Shape { format: Format::Auto, field: None };
        let one = |value: &[u8]| read(&auto, &[("data", value)]).map(|record| record["data"].clone());
        assert_eq!(one(b"text"), Ok(json!("text")));
        assert_eq!(one(b"{broken"), Ok(json!("{broken")));
        assert_eq!(one(b"[1, 2]"), Ok(json!([1, 2])));
        let map = read(&auto, &[("data", b"\x81\xa7message\xa7msgpack")]).expect("a record");
        assert_eq!(map["message"], "msgpack");
        let json = Shape { format: Format::Json, field: None };
        assert!(read(&json, &[("data", b"text")]).is_err());
        assert!(read(&json, &[("a", b"{}"), ("b", b"{}")]).expect_err("which?").contains("`field`"));
        let named = Shape { format: Format::Json, field: Some("event") };
        assert_eq!(read(&named, &[("data", b"{}")]), Err("the entry has no field `event`".to_owned()));
        let text = Shape { format: Format::Text, field: Some("event") };
        assert_eq!(read(&text, &[("event", b"{}")]).expect("a record")["message"], "{}");
    }

    #[test]
    fn entries_that_were_deleted_have_no_record() {
        let id = || Reply::Text(b"7-1".to_vec());
        let reply = Reply::List(vec![Reply::Nil, Reply::List(vec![id(), Reply::Nil])]);
        assert_eq!(Entry::read_all(reply), Some(vec![Entry { id: Id(7, 1), fields: None }]));
        let odd = Reply::List(vec![Reply::List(vec![id(), Reply::List(vec![id()])])]);
        assert_eq!(Entry::read_all(odd), None);
    }
}
