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

/// For random records and queries, every search gives what the matcher selects of the records as they are stored:
/// without indexes, with them, and with partitions that have them.
#[tokio::test]
async fn the_database_answers_as_the_matcher_does() {
    // In so small a table, the server would use no index.
    let server = Postgres::start_with(&["enable_seqscan=off"], None);
    let mut found = 0;
    for seed in 0..2 {
        let batch = samples::records(&mut fastrand::Rng::with_seed(seed), 200, 60_000_000_123);
        for (name, options) in [
            ("plain", json!({ "search": false })),
            ("indexed", json!({})),
            ("parts", json!({ "partition": "day" })),
            ("trigrams", json!({ "search": false })),
        ] {
            let prefix = format!("{name}{seed}");
            let with = |mut options: Value| {
                options["prefix"] = prefix.as_str().into();
                options
            };
            let mut sink = started(&server, with(options)).await;
            if name == "parts" {
                let table = format!("{prefix}_logs");
                server.ask(&format!(
                    "CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT;
                     CREATE TABLE {table}_half PARTITION OF {table}
                     FOR VALUES FROM ('2026-11-24 09:20+00') TO ('2026-11-24 09:40+00')"
                ));
                sink = started(&server, with(json!({}))).await;
            }
            if name == "trigrams" {
                server.ask(&format!(
                    "CREATE EXTENSION IF NOT EXISTS pg_trgm;
                     CREATE INDEX ON {prefix}_logs USING gin (message gin_trgm_ops);
                     CREATE INDEX ON {prefix}_logs USING gin (extra_data)"
                ));
            }
            sink.deliver(&[frame(1, batch.clone())]).await.expect("delivers");
            let search = search_of(&server, with(json!({})));
            found += compare(&*search, &batch, seed, name).await;
        }
    }
    assert!(found > 400, "only {found} queries select some of the records");
    let scans = "SELECT left(relname, 4), sum(idx_scan) > 20 FROM pg_stat_user_indexes
                 WHERE pg_get_indexdef(indexrelid) LIKE '%USING gin%' GROUP BY 1 ORDER BY 1";
    eventually("the indexes were used", || server.ask(scans) == "inde|t\npart|t\ntrig|t").await;
}

/// Compares all searches with the matcher. Returns how many queries select some of the records.
async fn compare(search: &dyn Search, batch: &Batch, seed: u64, name: &str) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let all = search.newest(&query(""), None, 1000).await.expect("finds");
    assert_eq!(all.len(), 200);
    let mut found = 0;
    for _ in 0..150 {
        let (text, query) = samples::query(&mut rng, batch);
        let context = format!("{name}, seed {seed}: {text}");
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
    found
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

/// The table of an older version, with so many rows that an index matters.
async fn table_without_indexes(server: &Postgres) {
    drop(started(server, json!({ "search": false })).await);
    server.ask(
        "INSERT INTO weir_logs(timestamp, level, logger_name, message, extra_data)
         SELECT '2026-11-24'::timestamptz + n * interval '1 second', 'INFO', 'app', 'request ' || n || ' done',
         jsonb_build_object('trace', jsonb_build_object('id', 't' || n)) FROM generate_series(1, 20000) AS n",
    );
}

async fn finds_one(search: &dyn Search, text: &str) -> String {
    let hits = search.newest(&query(text), None, 9).await.expect("finds");
    assert_eq!(hits.len(), 1, "{text}");
    search.explain(&query(text), 9).await.expect("explains")
}

#[tokio::test]
async fn an_existing_table_is_not_changed_and_indexes_that_are_made_by_hand_are_used() {
    let server = Postgres::start();
    table_without_indexes(&server).await;
    drop(started(&server, json!({ "search": true })).await);
    server.ask("UPDATE weir_logs SET extra_data = '{ \"refund\": 5 }' WHERE id = 4");
    let blocks = [["77", "trace.id=t4711", "77 OR trace.id=t77"], ["message~\"quest 4711\"", "*19999", "refund:*"]];
    let search = search_of(&server, json!({}));
    for text in blocks.concat() {
        let explained = finds_one(&*search, text).await;
        assert!(!explained.contains("Bitmap Index Scan"), "{explained}");
    }
    // As the documentation says.
    let section = include_str!("../../../../OPERATING.md").split_once("## Searches in Postgres").expect("is there").1;
    for (queries, statements) in blocks.into_iter().zip(section.split("```sql").skip(1)) {
        let statements = statements.split_once("```").expect("ends").0;
        statements.split_terminator(';').for_each(|statement| drop(server.ask(statement)));
        let search = search_of(&server, json!({}));
        for text in queries {
            let explained = finds_one(&*search, text).await;
            assert!(explained.contains("Bitmap Index Scan"), "{explained}");
        }
    }
}

#[tokio::test]
async fn a_search_has_no_parallel_workers_while_a_sink_writes() {
    let server = Postgres::start_with(&["min_parallel_table_scan_size=0", "parallel_setup_cost=0"], None);
    table_without_indexes(&server).await;
    let search = search_of(&server, json!({}));
    let explained = || async { search.explain(&query("message~quest"), 9).await.expect("explains") };
    assert!(explained().await.contains("Workers Planned"), "{}", explained().await);
    let mut writer = std::process::Command::new("psql")
        .args(["-c", "COPY weir_logs(message) FROM STDIN", &server.url()])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("psql starts");
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY %'";
    eventually("it writes", || server.ask(copying) == "1").await;
    let beside = explained().await;
    drop(writer.stdin.take());
    writer.wait().expect("psql ends");
    assert!(!beside.contains("Workers Planned"), "{beside}");
    assert!(explained().await.contains("Workers Planned"), "{}", explained().await);
}

#[tokio::test]
async fn no_special_permission_is_needed_to_write_or_to_search() {
    let server = Postgres::start();
    server.ask("CREATE ROLE writer LOGIN PASSWORD 'w'; CREATE ROLE reader LOGIN PASSWORD 'r'; CREATE SCHEMA logs AUTHORIZATION writer");
    let url = |user: &str, password: &str| format!("postgres://{user}:{password}@127.0.0.1:{}/postgres", server.port());
    let mut sink = sink(&server, json!({ "url": url("writer", "w"), "schema": "logs" }));
    sink.start(u64::MAX).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    server.ask("GRANT USAGE ON SCHEMA logs TO reader; GRANT SELECT ON logs.weir_logs TO reader");
    let search = search_of(&server, json!({ "url": url("reader", "r"), "schema": "logs" }));
    let explained = finds_one(&*search, "\"n=1\"").await;
    assert!(explained.contains("regexp_split_to_array"), "it knows the indexes: {explained}");
}

/// An entry of an index has a limited size, and not every encoding has the characters that the index of words folds.
#[tokio::test]
async fn no_record_and_no_database_is_refused_because_of_an_index() {
    let server = Postgres::start();
    server.ask("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let random = |_| fastrand::alphanumeric();
    let long: String = (0..6000).map(random).collect();
    for database in ["postgres", "latin"] {
        let url = format!("{}{database}", server.url().trim_end_matches("postgres"));
        let mut sink = sink(&server, json!({ "url": url }));
        sink.start(u64::MAX).await.expect("starts");
        let batch = one(&record(&[("message", &format!("it is {long} here")), ("blob", &long)], &[]));
        sink.deliver(&[frame(1, batch)]).await.expect("delivers");
        let search = search_of(&server, json!({ "url": url }));
        for text in [long.as_str(), "here", &format!("blob={long}")] {
            finds_one(&*search, text).await;
        }
    }
}
