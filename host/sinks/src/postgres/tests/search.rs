//! Searches of a real table, and their answers compared with those of the matcher.

use std::sync::Arc;

use weir_query::search::{By, Place as At, Search, SearchError};
use weir_query::{EntryId, Query};

use super::super::search;
use super::*;
use crate::samples;

fn search_of(server: &Postgres, given: Value) -> Arc<dyn Search> {
    let mut all = serde_json::Map::from_iter([("url".to_string(), server.url().into())]);
    all.extend(given.as_object().expect("options are a table").clone());
    search::open("sut", all.into(), &BuildContext::default()).expect("opens")
}

fn query(text: &str) -> Query {
    Query::parse(text, samples::NOW_NS).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

fn place_of(id: EntryId, record: &[u8]) -> At {
    At { timestamp_ns: Record::new(record).timestamp(), id }
}

/// For random records and queries, every search gives what the matcher selects of the records as they are stored.
#[tokio::test]
async fn the_database_answers_as_the_matcher_does() {
    let server = Postgres::start();
    let mut found = 0;
    for seed in 0..3 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let prefix = format!("run{seed}");
        let mut sink = started(&server, json!({ "prefix": prefix })).await;
        let batch = samples::records(&mut rng, 200, 60_000_000_123);
        sink.deliver(&[frame(1, batch.clone())]).await.expect("delivers");
        let search = search_of(&server, json!({ "prefix": prefix }));
        let all = search.newest(&query(""), None, 1000).await.expect("finds");
        assert_eq!(all.len(), 200);
        for _ in 0..250 {
            let (text, query) = samples::query(&mut rng, &batch);
            let context = format!("seed {seed}: {text}");
            let expected: Vec<_> = all.iter().filter(|hit| query.matches(Record::new(&hit.record))).cloned().collect();
            found += u64::from(!expected.is_empty() && expected.len() < all.len());
            assert_eq!(search.newest(&query, None, 1000).await.expect(&context), expected, "{context}");
            let mut pages = Vec::new();
            let mut before = None;
            loop {
                let page = search.newest(&query, before, 9).await.expect(&context);
                let len = page.len();
                pages.extend(page);
                before = pages.last().map(|hit| place_of(hit.id, &hit.record));
                if len < 9 {
                    break;
                }
            }
            assert_eq!(pages, expected, "{context}");
            let histogram = search.histogram(&query, By::Source, 5).await.expect(&context);
            let mut counted: std::collections::BTreeMap<_, std::collections::BTreeMap<_, u64>> = Default::default();
            for hit in &expected {
                let record = Record::new(&hit.record);
                let at = (record.timestamp() - histogram.since_ns).div_euclid(histogram.bucket_ns);
                let start = histogram.since_ns + at * histogram.bucket_ns;
                *counted.entry(start).or_default().entry(record.source().to_owned()).or_default() += 1;
            }
            assert_eq!(histogram.buckets, counted, "{context}");
            let centre = all[rng.usize(..all.len())].id;
            let mut ids: Vec<_> = expected.iter().map(|hit| hit.id).filter(|id| *id != centre).collect();
            ids.sort_unstable();
            let at = ids.partition_point(|id| *id < centre);
            let mut near: Vec<_> = ids[at.saturating_sub(3)..(at + 4).min(ids.len())].to_vec();
            near.insert(at.min(3), centre);
            near.reverse();
            let around = search.around(&query, centre, 3, 4).await.expect(&context);
            assert_eq!(around.iter().map(|hit| hit.id).collect::<Vec<_>>(), near, "{context}");
        }
    }
    assert!(found > 200, "only {found} queries select some of the records");
}

#[tokio::test]
async fn values_in_columns_of_their_own_are_found_under_the_columns_names() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let long = "ä".repeat(300);
    let fields = [("hostname", "web-1"), ("lineno", "42"), ("context.user", "ann"), ("source", &*long)];
    sink.deliver(&[frame(1, one(&record(&fields, &[])))]).await.expect("delivers");
    let search = search_of(&server, json!({}));
    for text in [
        "hostname:WEB*",
        "hostname=web-1",
        "lineno=42",
        "lineno>41",
        "context.user:*",
        "*:web",
        "source:ä*ä",
        "-lineno:43",
    ] {
        assert_eq!(search.newest(&query(text), None, 9).await.expect("finds").len(), 1, "{text}");
    }
    let hit = search.get(EntryId { sequence: 1, index: 0 }).await.expect("reads").expect("found");
    assert_eq!(Record::new(&hit.record).source(), long, "in full");
    assert_eq!(search.get(EntryId { sequence: 1, index: 1 }).await, Ok(None));
    let explained = search.explain(&query("hostname=web-1"), 9).await.expect("explains");
    assert!(explained.contains("parameters: \"web-1\"") && explained.contains("Limit "), "{explained}");
}

#[tokio::test]
async fn a_dropped_search_is_cancelled_on_the_server() {
    let server = Postgres::start();
    drop(started(&server, json!({})).await);
    // Any row that is read waits.
    server.ask(
        "ALTER TABLE weir_logs RENAME TO hidden; INSERT INTO hidden(timestamp, level, logger_name, message) VALUES (now(), 'INFO', 'app', 'n');
         CREATE VIEW weir_logs AS SELECT id, timestamp, level, logger_name, message || pg_sleep(3600)::text AS message, extra_data,
         process_id, thread_id, thread_name, hostname, exception, function_name, module, filename, lineno, pathname FROM hidden",
    );
    let search = search_of(&server, json!({}));
    let running = tokio::spawn(async move { search.newest(&query("n"), None, 1).await });
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually("the statement runs", || server.ask(asleep) == "1").await;
    running.abort();
    eventually("it is cancelled", || server.ask(asleep) == "0").await;
}

#[tokio::test]
async fn what_cannot_be_searched_says_why() {
    let server = Postgres::start();
    let error = search_of(&server, json!({})).newest(&query(""), None, 1).await.expect_err("no table");
    assert!(matches!(&error, SearchError::Unavailable(text) if text.contains("does not exist yet")), "{error}");
    let mapped = search_of(&server, json!({ "columns": { "m": "message" } }));
    let error = mapped.newest(&query(""), None, 1).await.expect_err("other columns");
    assert!(matches!(&error, SearchError::Unsupported(text) if text.contains("`columns`")), "{error}");
}
