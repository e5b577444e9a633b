//! Searches of real databases, and their answers compared with those of the matcher.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use weir_query::sql::Table;
use weir_record::{Batch, Record};

use super::super::blocks::is_searchable;
use super::super::tests::Place as Folder;
use super::*;
use crate::samples;
use crate::sink::Sink;
use crate::testing::{eventually, frame, record_at};

fn search(folder: &Folder) -> SqliteSearch {
    SqliteSearch::new("sut", folder.path())
}

fn query(text: &str) -> Query {
    Query::parse(text, samples::NOW_NS).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

fn id(sequence: u64, index: u32) -> EntryId {
    EntryId { sequence, index }
}

fn place_of(hit: &Hit) -> Place {
    Place { timestamp_ns: Record::new(&hit.record).timestamp(), id: hit.id }
}

fn places(hits: &[Hit]) -> Vec<Place> {
    hits.iter().map(place_of).collect()
}

/// Page by page.
async fn all_pages(search: &SqliteSearch, query: &Query, limit: usize) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    loop {
        let page = search.newest(query, found.last().copied(), limit).await.expect("finds");
        found.extend(places(&page));
        if page.len() < limit {
            return found;
        }
    }
}

/// Makes the sink's next rows begin a new block, by a row that [`end_gap`] removes.
async fn begin_gap(folder: &Folder) {
    folder
        .search(
            "INSERT INTO logs SELECT ((coalesce(max(id), 0) >> 12) + 1 << 12) + 4000, -1, coalesce(max(id), 0), 0, 'INFO', '', '', '{}' FROM logs",
        )
        .await;
}

async fn end_gap(folder: &Folder) {
    folder.search("DELETE FROM logs WHERE sequence = -1").await;
}

/// Random records in several blocks, some of them without the index. Returns them with their places.
async fn filled(rng: &mut fastrand::Rng, folder: &Folder) -> Vec<(Place, Vec<u8>)> {
    let mut all = Vec::new();
    let mut sequence = 0;
    for searches in [true, rng.bool(), true] {
        let mut sink = folder.started(json!({ "search": searches })).await;
        for _ in 0..2 {
            begin_gap(folder).await;
            sequence += 1;
            let batch = samples::records(rng, 40, 60_000_000_000);
            sink.deliver(&[frame(sequence, batch.clone())]).await.expect("delivers");
            end_gap(folder).await;
            for (index, record) in batch.iter().enumerate() {
                let place = Place { timestamp_ns: record.timestamp(), id: id(sequence, index as u32) };
                all.push((place, record.as_bytes().to_vec()));
            }
        }
    }
    all.sort_unstable();
    all.reverse();
    all
}

fn batch_of(all: &[(Place, Vec<u8>)]) -> Batch {
    let mut batch = Batch::new();
    all.iter().for_each(|(_, record)| batch.push(record));
    batch
}

/// The number of rows that a clause selects.
async fn selected(folder: &Folder, clause: &weir_query::sql::Clause) -> u64 {
    let mut statement = Statement::new("SELECT sequence, position FROM logs WHERE ");
    statement.clause(clause).expect("binds");
    let connections = Arc::new(Connections::new("sut", folder.path()));
    let mut session = connections.open().await.expect("opens");
    statement.all(session.connection()).await.expect("runs").len() as u64
}

/// Queries per database; more with `WEIR_ROUNDS`.
fn rounds() -> u32 {
    std::env::var("WEIR_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(250)
}

/// For random records and queries, every search gives what the matcher selects, and an exact clause alone does.
#[tokio::test]
async fn the_database_answers_as_the_matcher_does() {
    let mut exact = 0;
    let (mut found, mut indexed) = (0, 0);
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let folder = Folder::new();
        let all = filled(&mut rng, &folder).await;
        let batch = batch_of(&all);
        let counted = "SELECT count(*) || '' FROM logs_blocks WHERE searchable = 1";
        indexed += folder.search(counted).await.parse::<u64>().expect("a number");
        let search = search(&folder);
        let mut sources: Vec<_> = batch.iter().map(|record| record.source().to_owned()).collect();
        sources.sort_unstable();
        sources.dedup();
        for _ in 0..rounds() {
            let (text, query) = samples::query(&mut rng, &batch);
            let matching: Vec<_> = all.iter().filter(|(_, record)| query.matches(Record::new(record))).collect();
            let expected: Vec<Place> = matching.iter().map(|(place, _)| *place).collect();
            let context = format!("seed {seed}: {text}");
            let hits = search.newest(&query, None, 1000).await.expect(&context);
            assert_eq!(places(&hits), expected, "{context}");
            assert!(hits.iter().zip(&matching).all(|(hit, (_, record))| hit.record == *record), "{context}");
            assert_eq!(all_pages(&search, &query, 7).await, expected, "{context}");
            found += u64::from(!expected.is_empty() && expected.len() < all.len());

            for by in [By::Level, By::Source] {
                let histogram = search.histogram(&query, by, 5).await.expect(&context);
                let mut counted: std::collections::BTreeMap<String, u64> = Default::default();
                let mut wanted = counted.clone();
                for (start, counts) in &histogram.buckets {
                    assert!(*start < histogram.until_ns && (start - histogram.since_ns) % histogram.bucket_ns == 0);
                    counts.iter().for_each(|(key, count)| *counted.entry(key.clone()).or_default() += count);
                }
                for (_, record) in &matching {
                    let record = Record::new(record);
                    let key = if by == By::Level { record.level().as_str() } else { record.source() };
                    *wanted.entry(key.to_owned()).or_default() += 1;
                }
                assert_eq!(counted, wanted, "{context}");
            }

            let centre = all[rng.usize(..all.len())].0.id;
            let around = search.around(&query, centre, 3, 4).await.expect(&context);
            let mut ids: Vec<_> = expected.iter().map(|place| place.id).filter(|id| *id != centre).collect();
            ids.sort_unstable();
            let at = ids.partition_point(|id| *id < centre);
            let mut near: Vec<_> = ids[at.saturating_sub(3)..(at + 4).min(ids.len())].to_vec();
            near.insert(at.min(3), centre);
            near.reverse();
            assert_eq!(around.iter().map(|hit| hit.id).collect::<Vec<_>>(), near, "{context}");

            for table in [Table { sources: Some(sources.clone()) }, Table::default()] {
                let clause = query.sqlite(&table);
                let rows = selected(&folder, &clause).await;
                assert!(rows >= expected.len() as u64, "{context}: {clause:?}");
                if clause.is_exact {
                    exact += 1;
                    assert_eq!(rows, expected.len() as u64, "{context}: {clause:?}");
                }
            }
        }
    }
    assert!(found > 300, "only {found} queries select some of the records");
    assert!(indexed > 6, "the index finds all rows of {indexed} blocks only");
    assert!(exact > 300, "only {exact} clauses are exact");
}

fn at(time: i64, message: &str) -> Vec<u8> {
    record_at(time, &[("message", message)], &[])
}

#[tokio::test]
async fn pages_repeat_and_omit_nothing_while_the_sink_writes() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({})).await;
    let mut batch = Batch::new();
    // Five records at each time.
    (0..500).for_each(|n| batch.push(&at(1_000_000 + n / 5, "same words")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let search = search(&folder);
    for text in ["", "same", "message~same"] {
        let query = query(text);
        let mut found: Vec<Place> = Vec::new();
        let mut sequence = 100 * (text.len() as u64 + 1);
        loop {
            let page = search.newest(&query, found.last().copied(), 33).await.expect("finds");
            found.extend(places(&page));
            if page.len() < 33 {
                break;
            }
            // Newer records arrive, and one at the very time of the page's last record, but later in the journal.
            let mut batch = Batch::new();
            batch.push(&at(2_000_000, "same words"));
            batch.push(&at(found.last().expect("a page").timestamp_ns, "same words"));
            sequence += 1;
            sink.deliver(&[frame(sequence, batch)]).await.expect("delivers");
        }
        let first: Vec<_> = found.iter().filter(|place| place.id.sequence == 1).collect();
        assert_eq!(first.len(), 500, "{text}");
        assert!(found.is_sorted_by(|one, next| one > next), "{text}: newest first, none twice");
        folder.search("DELETE FROM logs WHERE sequence > 1").await;
    }
}

#[tokio::test]
async fn a_dropped_search_stops_in_the_database() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({ "search": false })).await;
    let mut batch = Batch::new();
    (0..2000).for_each(|n| batch.push(&at(n, "words")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let connections = Arc::new(Connections::new("sut", folder.path()));
    let mut session = connections.clone().open().await.expect("opens");
    // Counts the steps, without changing what stops them.
    let steps = Arc::new(AtomicU64::new(0));
    session.count_steps(steps.clone()).await;
    // Would take days.
    let endless = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.id + b.id + c.id = d.message";
    let running = tokio::spawn(async move {
        let _ = Statement::new(endless).all(session.connection()).await;
        session.keep().await;
    });
    eventually("the statement runs", || steps.load(Ordering::Relaxed) > 10).await;
    running.abort();
    assert!(running.await.expect_err("aborted").is_cancelled());
    // The counter is dropped with the connection, whose thread has then ended.
    eventually("the connection is closed", || Arc::strong_count(&steps) == 1).await;
    assert_eq!(connections.idle(), 0, "it is not used again");
}

#[tokio::test]
async fn a_whole_search_that_is_dropped_gives_its_place_to_the_next() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({})).await;
    let mut batch = Batch::new();
    (0..20_000).for_each(|n| batch.push(&at(n, "words in a row")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let search = search(&folder);
    let slow = query("message~nothing");
    for _ in 0..3 * limits::SEARCH_CONNECTIONS {
        let late = tokio::time::timeout(Duration::from_micros(300), search.newest(&slow, None, 10)).await;
        drop(late);
    }
    assert_eq!(search.newest(&query("row"), None, 3).await.expect("finds").len(), 3);
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let folder = Folder::new();
    folder.started(json!({})).await;
    let search = search(&folder);
    search.newest(&query(""), None, 1).await.expect("finds");
    assert_eq!(search.connections.idle(), 1);
    tokio::time::pause();
    tokio::time::advance(limits::SEARCH_IDLE + Duration::from_secs(1)).await;
    tokio::time::resume();
    eventually("it is closed", || search.connections.idle() == 0).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_read_says_why() {
    let folder = Folder::new();
    let missing = search(&folder).newest(&query(""), None, 1).await.expect_err("is missing");
    assert!(matches!(&missing, SearchError::Unavailable(text) if text.contains("does not exist yet")), "{missing}");
    folder.started(json!({})).await;
    for (version, reason) in [(2, "older weir"), (99, "newer weir")] {
        folder.ask(&format!("PRAGMA user_version = {version}"));
        let error = search(&folder).get(id(1, 0)).await.expect_err("another version");
        assert!(matches!(&error, SearchError::Unavailable(text) if text.contains(reason)), "{error}");
    }
    folder.ask("PRAGMA application_id = 1");
    let error = search(&folder).get(id(1, 0)).await.expect_err("another program's");
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn one_record_is_found_by_its_id() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({})).await;
    let mut batch = Batch::new();
    batch.push(&at(5, "first"));
    batch.push(&at(5, "second"));
    sink.deliver(&[frame(7, batch.clone())]).await.expect("delivers");
    drop(sink);
    let search = search(&folder);
    let hit = search.get(id(7, 1)).await.expect("reads").expect("found");
    assert_eq!((hit.id, hit.record), (id(7, 1), batch.get(1).to_vec()), "also while no sink runs");
    assert_eq!(search.get(id(7, 2)).await, Ok(None));
    assert_eq!(search.get(id(u64::MAX, u32::MAX)).await, Ok(None));
}

/// Whatever the times of the rows are, the range and the buckets can be computed.
#[tokio::test]
async fn a_histogram_of_extreme_times_counts_every_record() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({})).await;
    let mut batch = Batch::new();
    [i64::MIN, -1, 0, 1, i64::MAX].into_iter().for_each(|time| batch.push(&at(time, "word")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let search = search(&folder);
    for text in ["", "word", "word OR since:1970-01-01"] {
        let histogram = search.histogram(&query(text), By::Source, 10).await.expect("counts");
        let total: u64 = histogram.buckets.values().flat_map(|counts| counts.values()).sum();
        assert_eq!(total, 5, "{text}: {histogram:?}");
        assert!(histogram.buckets.len() <= 5, "{histogram:?}");
    }
    let none = search.histogram(&query("until:1h since:1h"), By::Level, 10).await.expect("counts");
    assert_eq!(none.buckets.len(), 0);
}

#[tokio::test]
async fn a_database_of_the_previous_version_is_searched_after_its_migration() {
    let folder = Folder::new();
    let mut sink = folder.started(json!({})).await;
    let mut batch = Batch::new();
    (0..5000).for_each(|n| batch.push(&at(n, if n == 7 { "odd m²" } else { "plain words" })));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    drop(sink);
    let blocks = folder.ask("SELECT * FROM logs_blocks");
    assert_eq!(blocks, "0|0|4094|-1|0\n1|4095|4999|1|0");
    folder.ask("DROP TABLE logs_blocks; PRAGMA user_version = 2");
    folder.started(json!({})).await;
    assert_eq!(folder.ask("SELECT * FROM logs_blocks"), blocks);
    assert_eq!(search(&folder).newest(&query("odd m"), None, 10).await.expect("finds").len(), 1);
}

/// A letter and its other cases, as the matcher sees them, are the same to the tokenizer.
#[tokio::test]
async fn the_tokenizer_folds_letters_as_queries_do() {
    let folder = Folder::new();
    folder.started(json!({})).await;
    let mut pairs = Vec::new();
    let mut tokens = String::new();
    for c in ('\0'..='\u{ffff}').filter(|c| weir_query::sql::folds_alike(*c) && c.is_alphanumeric()) {
        let others = regex::RegexBuilder::new(&regex::escape(&c.to_string())).case_insensitive(true).build();
        let others = others.expect("a letter");
        let mut buffer = [0; 4];
        for other in ('\0'..=char::MAX).filter(|other| *other != c) {
            let other_text = &*other.encode_utf8(&mut buffer);
            if others.is_match(other_text) && is_searchable(other_text, "{}") {
                pairs.push((c, other));
            }
        }
    }
    assert!(pairs.len() > 300, "{}", pairs.len());
    for (n, (one, other)) in pairs.iter().enumerate() {
        tokens.push_str(&format!(
            "INSERT INTO t(rowid, a) VALUES ({n}, 'x{one}y'); INSERT INTO u(rowid, a) VALUES ({n}, 'x{other}y');"
        ));
    }
    folder
        .search(&format!(
            "CREATE VIRTUAL TABLE t USING fts5(a, tokenize='unicode61 remove_diacritics 2');
             CREATE VIRTUAL TABLE u USING fts5(a, tokenize='unicode61 remove_diacritics 2');
             CREATE VIRTUAL TABLE tv USING fts5vocab(t, instance);
             CREATE VIRTUAL TABLE uv USING fts5vocab(u, instance);
             {tokens}"
        ))
        .await;
    let differing = "SELECT group_concat(tv.doc) FROM tv JOIN uv ON uv.doc = tv.doc WHERE tv.term <> uv.term";
    let differing = folder.search(differing).await;
    let differing: Vec<_> = differing.split(',').filter_map(|n| n.parse::<usize>().ok()).map(|n| pairs[n]).collect();
    assert_eq!(differing, []);
}

/// A character that ends a word for queries ends it for the tokenizer, or the sink notices it.
#[tokio::test]
async fn the_tokenizer_ends_words_where_queries_do() {
    let folder = Folder::new();
    let is_word = regex::Regex::new(r"\w").expect("a class");
    let mut pairs = String::new();
    for c in ('\u{1}'..=char::MAX).filter(|c| !is_word.is_match(c.encode_utf8(&mut [0; 4]))) {
        let pair = format!("x{c}y ");
        if is_searchable(&pair, "{}") {
            pairs.push_str(&pair);
        }
    }
    assert!(["x-y", "x\u{1}y", "x€y", "x—y", "x✓y", "x😃y"].iter().all(|pair| pairs.contains(pair)));
    folder.started(json!({})).await;
    let tokens = format!(
        "CREATE VIRTUAL TABLE t USING fts5(a, tokenize='unicode61 remove_diacritics 2');
         CREATE VIRTUAL TABLE tv USING fts5vocab(t, row);
         INSERT INTO t(a) VALUES ('{}');
         SELECT group_concat(term, ' ') FROM tv",
        pairs.replace('\'', "''")
    );
    assert_eq!(folder.search(&tokens).await, "x y");
}
