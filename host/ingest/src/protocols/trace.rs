//! Trace ids that a format has in a place of its own, in the place where Weir's records have them.

use std::borrow::Cow;

use weir_record::{ComposeError, Composer};

use super::raw_json::entries;

/// The ids of the trace that a record belongs to.
#[derive(Default)]
pub(super) struct Ids<'d> {
    pub(super) trace_id: Option<Cow<'d, str>>,
    pub(super) span_id: Option<Cow<'d, str>>,
}

impl Ids<'_> {
    /// Adds the ids to the context of a record, whose own `context` in JSON, if there is one, has been added already. What
    /// that has stays.
    pub(super) fn add_to(&self, composer: &mut Composer<'_, '_>, context: &[u8]) -> Result<(), ComposeError> {
        let ids = [("trace_id", &self.trace_id), ("span_id", &self.span_id)];
        if ids.iter().all(|(_, id)| id.is_none()) {
            return Ok(());
        }
        composer.entry(b"context", |value| {
            value.map(|map| {
                for (key, id) in ids {
                    if let Some(id) = id {
                        map.entry(key.as_bytes()).text(id.as_bytes());
                    }
                }
                for (key, value) in entries(context).filter_map(Result::ok) {
                    map.entry(key.as_bytes()).json(value)?;
                }
                Ok(())
            })
        })
    }
}
