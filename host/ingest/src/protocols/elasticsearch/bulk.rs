//! The lines of a bulk body: what is to be done, and the document that it is done with.

use std::borrow::Cow;

use weir_record::{ComposeError, Composer, Level};

use crate::protocols::{
    raw_json::{NoObject, entries, scalar, string},
    trace::Ids,
};

/// What an action line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Index,
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Index => "index",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// An action line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Action<'b> {
    pub(super) operation: Operation,
    pub(super) index: Option<Cow<'b, str>>,
    pub(super) id: Option<Cow<'b, str>>,
}

impl<'b> Action<'b> {
    /// Reads an action line. The error text follows its position.
    pub(super) fn read(line: &'b [u8]) -> Result<Action<'b>, String> {
        let wanted = "expected an object with one of the keys create and index";
        let mut outer = entries(line);
        let (name, of) = match (outer.next(), outer.next()) {
            (Some(Ok(only)), None) => only,
            _ => return Err(wanted.to_owned()),
        };
        let operation = match &*name {
            "index" => Operation::Index,
            "create" => Operation::Create,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            other => return Err(format!("{wanted}, but found [{}]", other.chars().take(64).collect::<String>())),
        };
        let mut action = Action { operation, index: None, id: None };
        for entry in entries(of) {
            let (key, value) = entry.map_err(|NoObject| format!("{wanted}, whose value is an object"))?;
            let text = || (value != b"null").then(|| scalar(value));
            match &*key {
                "_index" => action.index = text(),
                "_id" => action.id = text(),
                _ => {}
            }
        }
        Ok(action)
    }
}

/// What a document says about itself in the names of the Elastic Common Schema, besides those that Weir reads in every
/// record.
#[derive(Default)]
struct Ecs<'d> {
    level: Option<Level>,
    service: Option<Cow<'d, str>>,
    ids: Ids<'d>,
    /// Its `context`, to which the ids are added.
    context: &'d [u8],
    /// Whether it has its own `index`.
    has_index: bool,
}

impl<'d> Ecs<'d> {
    /// Looks into a document. What can't be read is left to the composer.
    fn find(document: &'d [u8]) -> Ecs<'d> {
        let mut found = Ecs::default();
        for (key, value) in entries(document).filter_map(Result::ok) {
            match &*key {
                "log" => found.level = inner(value, "level").and_then(level).or(found.level),
                "service" => found.service = inner(value, "name").and_then(text).or(found.service),
                "trace" => found.ids.trace_id = inner(value, "id").and_then(text).or(found.ids.trace_id),
                "span" => found.ids.span_id = inner(value, "id").and_then(text).or(found.ids.span_id),
                "trace.id" => found.ids.trace_id = text(value).or(found.ids.trace_id),
                "span.id" => found.ids.span_id = text(value).or(found.ids.span_id),
                "context" => found.context = value,
                "index" => found.has_index = true,
                _ => {}
            }
        }
        found
    }
}

/// The value of a key in an object.
fn inner<'d>(object: &'d [u8], name: &str) -> Option<&'d [u8]> {
    entries(object).filter_map(Result::ok).find(|(key, _)| key == name).map(|(_, value)| value)
}

fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    string(value).filter(|text| !text.is_empty())
}

fn level(value: &[u8]) -> Option<Level> {
    Level::parse(&scalar(value))
}

/// Adds a document to the record that has begun.
pub(super) fn compose(
    composer: &mut Composer<'_, '_>,
    document: &[u8],
    index: &str,
    id: Option<&str>,
) -> Result<(), ComposeError> {
    let ecs = Ecs::find(document);
    composer.fallback_source(ecs.service.as_deref().unwrap_or(index).as_bytes());
    if let Some(level) = ecs.level {
        composer.fallback_level(level);
    }
    composer.json_object(document)?;
    composer.text(if ecs.has_index { "_index" } else { "index" }, index.as_bytes())?;
    if let Some(id) = id {
        composer.text("_id", id.as_bytes())?;
    }
    ecs.ids.add_to(composer, ecs.context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_one_key_and_its_target_may_be_missing() {
        let read = |line: &'static str| Action::read(line.as_bytes());
        let due = Action { operation: Operation::Create, index: Some("a\"b".into()), id: Some("7".into()) };
        assert_eq!(read(r#" { "create" : {"_index":"a\"b","_id":7,"pipeline":"p","routing":null} } "#), Ok(due));
        let due = Action { operation: Operation::Index, index: None, id: None };
        assert_eq!(read(r#"{"index":{"_id":null}}"#), Ok(due));
        for bad in ["", "[]", "{}", r#"{"index":1}"#, r#"{"index":{}"#, r#"{"index":{},"create":{}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(r#"{"insert":{}}"#).unwrap_err().contains("found [insert]"));
    }
}
