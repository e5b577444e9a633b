//! Records: page by page, one, or around one.

use std::str::FromStr;
use std::time::Instant;

use hyper::{Response, StatusCode};
use weir_live::message::{Names, write_record};
use weir_query::EntryId;
use weir_query::search::{Hit, Place};
use weir_record::Record;

use super::{store, timed, took_ms};
use crate::parameters::{Parameters, entry_id};
use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits};

/// `GET /api/logs`
pub async fn logs(api: &Api, parameters: &Parameters) -> Result<Response<Body>, ApiError> {
    let (query, names, store) = (parameters.query()?, parameters.names()?, store(api, parameters)?);
    let limit = parameters.number("limit", limits::DEFAULT_RECORDS, limits::MAX_RECORDS)?.max(1);
    let cursor = parameters.text("cursor").map(read_cursor).transpose()?;
    let around = parameters.id("around")?;
    let since = Instant::now();
    let hits = timed(api, &parameters.caller, async {
        match around {
            Some(id) => store.search.around(&query, id, limit / 2, limit / 2).await,
            None => store.search.newest(&query, cursor, limit).await,
        }
    })
    .await?;
    // The record in the middle is there whatever the query is.
    let hits: Vec<Hit> = hits.into_iter().filter(|hit| may_read(parameters, hit)).collect();
    let mut text = br#"{"logs":["#.to_vec();
    let shown = write_hits(&mut text, &hits, names);
    let has_more = around.is_none() && (hits.len() >= limit || shown < hits.len());
    let next = hits[..shown].last().filter(|_| has_more).map(place);
    let tail = serde_json::json!({
        "next": next.map(cursor_text), "sink": store.name, "took_ms": took_ms(since),
    });
    text.extend_from_slice(b"],");
    text.extend_from_slice(&tail.to_string().as_bytes()[1..]);
    Ok(json_answer(StatusCode::OK, text.into()))
}

/// `GET /api/logs/ID`
pub async fn log(api: &Api, parameters: &Parameters, path: &str) -> Result<Response<Body>, ApiError> {
    let (names, store) = (parameters.names()?, store(api, parameters)?);
    let id = path.rsplit('/').next().unwrap_or_default();
    let id = entry_id("ID", id)?;
    let hit = timed(api, &parameters.caller, store.search.get(id)).await?;
    let Some(hit) = hit.filter(|hit| may_read(parameters, hit)) else {
        return Err(ApiError::new(StatusCode::NOT_FOUND, format!("sink `{}` has no record {id}", store.name)));
    };
    let mut text = Vec::new();
    write_record(&mut text, hit.id, None, Record::new(&hit.record), names);
    Ok(json_answer(StatusCode::OK, text.into()))
}

fn may_read(parameters: &Parameters, hit: &Hit) -> bool {
    parameters.caller.admits(Record::new(&hit.record))
}

/// Writes records up to the limit of an answer, but at least one. Returns how many.
fn write_hits(text: &mut Vec<u8>, hits: &[Hit], names: Names) -> usize {
    for (index, hit) in hits.iter().enumerate() {
        if text.len() > limits::MAX_ANSWER_BYTES {
            return index;
        }
        if index > 0 {
            text.push(b',');
        }
        write_record(text, hit.id, None, Record::new(&hit.record), names);
    }
    hits.len()
}

/// Where a record stands in the results.
pub fn place(hit: &Hit) -> Place {
    Place { timestamp_ns: Record::new(&hit.record).timestamp(), id: hit.id }
}

fn cursor_text(place: Place) -> String {
    format!("{}.{}", place.timestamp_ns, place.id)
}

fn read_cursor(text: &str) -> Result<Place, ApiError> {
    let parts =
        text.split_once('.').and_then(|(timestamp, id)| Some((timestamp.parse().ok()?, EntryId::from_str(id).ok()?)));
    let (timestamp_ns, id) = parts.ok_or_else(|| ApiError::bad("`cursor` must be `next` of an earlier answer"))?;
    Ok(Place { timestamp_ns, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let place = Place { timestamp_ns: -5, id: EntryId { sequence: 7, index: 1 } };
        assert_eq!(read_cursor(&cursor_text(place)), Ok(place));
        for wrong in ["1", "1.", ".1-0", "x.1-0", "1.1"] {
            assert!(read_cursor(wrong).is_err(), "{wrong}");
        }
    }
}
