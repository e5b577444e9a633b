//! The fields of matching records with their most frequent values, counted in a sample of the newest ones.

use std::collections::HashMap;

use hyper::{Response, StatusCode};
use serde_json::{Value as Json, json};
use weir_query::Query;
use weir_query::search::{Hit, Search, SearchError};
use weir_record::{Map, Record, Value, write_json_value};

use super::logs::place;
use super::{store, timed};
use crate::parameters::Parameters;
use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits};

/// `GET /api/fields`
pub async fn fields(api: &Api, parameters: &Parameters) -> Result<Response<Body>, ApiError> {
    let (query, store) = (parameters.query()?, store(api, parameters)?);
    let field = parameters.text("field").map(str::to_owned);
    let (hits, is_complete) = timed(api, &parameters.caller, sample(&*store.search, &query)).await?;
    // Counting takes tens of milliseconds.
    let answer = tokio::task::spawn_blocking(move || {
        let mut tally = Tally::default();
        for hit in &hits {
            tally.add(Record::new(&hit.record));
        }
        let listed = if field.is_some() { limits::MAX_VALUES } else { limits::LISTED_VALUES };
        let fields = tally.to_json(field.as_deref(), listed);
        json!({ "sampled": hits.len(), "complete": is_complete, "fields": fields, "sink": store.name }).to_string()
    });
    let answer = answer.await.map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(json_answer(StatusCode::OK, answer.into()))
}

/// The newest matching records up to the limits, and whether these are all.
async fn sample(search: &dyn Search, query: &Query) -> Result<(Vec<Hit>, bool), SearchError> {
    let (mut hits, mut bytes) = (Vec::<Hit>::new(), 0);
    while hits.len() < limits::SAMPLE_RECORDS && bytes < limits::SAMPLE_BYTES {
        let page = search.newest(query, hits.last().map(place), limits::SAMPLE_PAGE).await?;
        let is_last = page.len() < limits::SAMPLE_PAGE;
        bytes += page.iter().map(|hit| hit.record.len()).sum::<usize>();
        hits.extend(page);
        if is_last {
            return Ok((hits, true));
        }
    }
    Ok((hits, false))
}

/// Fields and their values, counted.
#[derive(Default)]
struct Tally {
    fields: HashMap<String, Field>,
}

#[derive(Default)]
struct Field {
    records: u64,
    values: HashMap<String, u64>,
    /// It has more values than are counted.
    is_cut: bool,
}

impl Tally {
    fn add(&mut self, record: Record<'_>) {
        for (key, value) in record.entries() {
            // Every record has its own.
            if key != "timestamp" && key != "message" {
                self.add_value(&step("", key), value);
            }
        }
    }

    fn add_map(&mut self, path: &str, map: Map<'_>) {
        for (key, value) in map.iter() {
            self.add_value(&step(path, key), value);
        }
    }

    fn add_value(&mut self, path: &str, value: Value<'_>) {
        if let Value::Map(map) = value {
            return self.add_map(path, map);
        }
        if value.is_nil() {
            return;
        }
        if !self.fields.contains_key(path) {
            if self.fields.len() >= limits::MAX_FIELDS {
                return;
            }
            self.fields.insert(path.to_owned(), Field::default());
        }
        let Some(field) = self.fields.get_mut(path) else { return };
        field.records += 1;
        match value {
            Value::Array(items) => items.iter().for_each(|item| field.count(item)),
            value => field.count(value),
        }
    }

    /// All fields, the most frequent first, or one.
    fn to_json(&self, only: Option<&str>, listed: usize) -> Vec<Json> {
        let mut fields: Vec<_> = self.fields.iter().filter(|(path, _)| only.is_none_or(|only| only == *path)).collect();
        fields.sort_by(|(a, more), (b, less)| less.records.cmp(&more.records).then(a.cmp(b)));
        fields.into_iter().map(|(path, field)| field.to_json(path, listed)).collect()
    }
}

impl Field {
    fn count(&mut self, value: Value<'_>) {
        let text = match value {
            Value::Str(text) => text.to_owned(),
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
                let mut json = Vec::new();
                write_json_value(value, &mut json);
                String::from_utf8_lossy(&json).into_owned()
            }
            _ => return,
        };
        if let Some(count) = self.values.get_mut(&text) {
            *count += 1;
        } else if self.values.len() >= limits::MAX_VALUES || text.len() > limits::MAX_VALUE_BYTES {
            self.is_cut = true;
        } else {
            self.values.insert(text, 1);
        }
    }

    fn to_json(&self, path: &str, listed: usize) -> Json {
        let mut values: Vec<_> = self.values.iter().collect();
        values.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        let shown: Vec<Json> =
            values.iter().take(listed).map(|(value, count)| json!({ "value": value, "count": count })).collect();
        json!({
            "field": path, "records": self.records, "distinct": values.len(), "more": self.is_cut, "values": shown,
        })
    }
}

/// A path with one more key, as queries write it.
fn step(path: &str, key: &str) -> String {
    let key = key.replace('\\', r"\\").replace('.', r"\.");
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use weir_record::{Aliases, Batch, Defaults, Level, read_json};

    use super::*;

    fn tally(records: &Json) -> Tally {
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
        read_json(records.to_string().as_bytes(), &defaults, &mut batch).expect("it is JSON");
        let mut tally = Tally::default();
        batch.iter().for_each(|record| tally.add(record));
        tally
    }

    #[test]
    fn fields_are_counted_by_path_and_value() {
        let tally = tally(&json!([
            {"message": "a", "n": 1, "context": {"user.id": "u", "deep": {"ok": true}}, "tags": ["x", "y"]},
            {"message": "b", "n": 1, "context": {"user.id": "v"}, "tags": ["x"], "gone": null},
        ]));
        let shown = tally.to_json(None, 20);
        let paths: Vec<_> = shown.iter().map(|field| field["field"].as_str().unwrap_or_default()).collect();
        assert_eq!(paths, [r"context.user\.id", "level", "n", "source", "tags", "context.deep.ok"]);
        let values = |path: &str| tally.to_json(Some(path), 20)[0]["values"].clone();
        assert_eq!(values("n"), json!([{"value": "1", "count": 2}]));
        assert_eq!(values("tags"), json!([{"value": "x", "count": 2}, {"value": "y", "count": 1}]));
    }

    #[test]
    fn a_field_with_too_many_values_says_so() {
        let records: Vec<_> = (0..limits::MAX_VALUES + 5).map(|n| json!({"message": "a", "id": n})).collect();
        let shown = &tally(&json!(records)).to_json(Some("id"), 3)[0];
        assert_eq!((&shown["more"], &shown["distinct"]), (&json!(true), &json!(limits::MAX_VALUES)));
        assert_eq!(shown["values"].as_array().map(Vec::len), Some(3));
    }
}
