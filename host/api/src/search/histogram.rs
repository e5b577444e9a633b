//! How many records matched, over time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hyper::{Response, StatusCode};
use serde_json::{Value, json};
use weir_query::search::{By, Histogram, OTHER};

use super::{rfc3339, store, timed, took_ms};
use crate::parameters::Parameters;
use crate::reply::{ApiError, Body, json_answer};
use crate::{Api, limits};

/// `GET /api/histogram`
pub async fn histogram(api: &Api, parameters: &Parameters) -> Result<Response<Body>, ApiError> {
    let (query, store) = (parameters.query()?, store(api, parameters)?);
    let by = parameters.one_of("by", &[("level", By::Level), ("source", By::Source)])?.unwrap_or(By::Level);
    let buckets = parameters.number("buckets", limits::DEFAULT_BUCKETS, limits::MAX_BUCKETS)?.max(1);
    let since = Instant::now();
    let mut histogram = timed(api, &parameters.caller, store.search.histogram(&query, by, buckets)).await?;
    if by == By::Source {
        keep_most_frequent(&mut histogram, limits::HISTOGRAM_SOURCES);
    }
    let total: u64 = histogram.buckets.values().flat_map(BTreeMap::values).sum();
    let shown: Vec<Value> = histogram
        .buckets
        .iter()
        .map(|(start_ns, counts)| json!({ "start": rfc3339(*start_ns), "counts": counts }))
        .collect();
    let answer = json!({
        "since": rfc3339(histogram.since_ns), "until": rfc3339(histogram.until_ns),
        "bucket_ms": histogram.bucket_ns / 1_000_000, "buckets": shown, "total": total, "sink": store.name,
        "took_ms": took_ms(since),
    });
    Ok(json_answer(StatusCode::OK, answer.to_string().into()))
}

/// Adds up all but the most frequent names under [`OTHER`].
fn keep_most_frequent(histogram: &mut Histogram, most: usize) {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in histogram.buckets.values().flatten() {
        *totals.entry(name).or_default() += count;
    }
    let mut names: Vec<_> = totals.into_iter().collect();
    names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let kept: BTreeSet<String> = names.into_iter().take(most).map(|(name, _)| name.to_owned()).collect();
    for counts in histogram.buckets.values_mut() {
        let all = std::mem::take(counts);
        for (name, count) in all {
            let name = if kept.contains(&name) { name } else { OTHER.to_owned() };
            *counts.entry(name).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_frequent_sources_are_added_up() {
        let counts = |counts: &[(&str, u64)]| counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let mut histogram = Histogram {
            buckets: BTreeMap::from([(0, counts(&[("a", 1), ("b", 5), ("c", 2)])), (1, counts(&[("a", 9), ("d", 1)]))]),
            ..Histogram::default()
        };
        keep_most_frequent(&mut histogram, 2);
        assert_eq!(histogram.buckets[&0], counts(&[("a", 1), ("b", 5), ("other", 2)]));
        assert_eq!(histogram.buckets[&1], counts(&[("a", 9), ("other", 1)]));
    }
}
