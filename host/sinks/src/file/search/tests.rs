//! Searches of real files, and their answers compared with those of the matcher.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use weir_record::{Batch, Record};

use super::super::FileSink;
use super::super::tests::Place as Folder;
use super::*;
use crate::samples;
use crate::sink::Sink;
use crate::testing::{eventually, frame, record_at};

pub(super) fn open_search(folder: &Folder, given: &Value) -> FileSearch {
    FileSearch::new("sut", options("sut", given.clone()).expect("options"), &folder.context()).expect("opens")
}

pub(super) async fn started(folder: &Folder, given: &Value) -> FileSink {
    let given = options("sut", given.clone()).expect("options");
    let mut sink = FileSink::new("sut", given, &folder.context(), Disk::default()).expect("builds");
    sink.start(u64::MAX).await.expect("starts");
    sink
}

pub(super) fn query(text: &str) -> Query {
    Query::parse(text, samples::NOW_NS).unwrap_or_else(|error| panic!("`{text}`: {error}"))
}

pub(super) fn at(time: i64, message: &str) -> Vec<u8> {
    record_at(time, &[("message", message)], &[])
}

fn place_of(hit: &Hit) -> Place {
    Place { timestamp_ns: Record::new(&hit.record).timestamp(), id: hit.id }
}

fn places(hits: &[Hit]) -> Vec<Place> {
    hits.iter().map(place_of).collect()
}

pub(super) fn messages(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| Record::new(&hit.record).message()).collect()
}

/// Page by page.
async fn all_pages(search: &FileSearch, query: &Query, limit: usize) -> Vec<Hit> {
    let mut found: Vec<Hit> = Vec::new();
    loop {
        let page = search.newest(query, found.last().map(place_of), limit).await.expect("finds");
        let is_last = page.len() < limit;
        found.extend(page);
        if is_last {
            return found;
        }
    }
}

/// Random records in several files, some of them rotated and compressed. Returns what was written.
async fn filled(rng: &mut fastrand::Rng, folder: &Folder, given: &Value) -> (FileSink, Vec<Vec<u8>>) {
    let mut written = Vec::new();
    let mut sink = started(folder, given).await;
    for sequence in 1..=6 {
        let batch = samples::records(rng, 40, 60_000_000_000);
        written.extend(batch.iter().map(|record| record.as_bytes().to_vec()));
        sink.deliver(&[frame(sequence, batch)]).await.expect("delivers");
        sink.flush().await.expect("flushes");
    }
    written.sort_unstable();
    (sink, written)
}

/// Queries per configuration; more with `WEIR_ROUNDS`.
fn rounds() -> u32 {
    std::env::var("WEIR_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200)
}

/// For random records and queries, every search gives what the matcher selects.
#[tokio::test]
async fn the_files_answer_as_the_matcher_does() {
    let mut found = 0;
    for (seed, given) in [
        json!({ "path": "all.jsonl", "rotate_size": "6KiB", "compress": true }),
        json!({ "path": "all.jsonl" }),
        json!({ "path": "{source}/%Y-%m-%d_%H%M.jsonl", "max_new_files": 20 }),
        json!({ "path": "{level}-%Y-%m-%d.jsonl", "rotate_size": "3KiB", "compress": true }),
    ]
    .iter()
    .enumerate()
    {
        let mut rng = fastrand::Rng::with_seed(seed as u64);
        let folder = Folder::new();
        let (_sink, written) = filled(&mut rng, &folder, given).await;
        if given["compress"] == true {
            let is_plain = |name: &String| name.ends_with(".log");
            eventually("all rotated files are compressed", || !folder.files().iter().any(is_plain)).await;
            assert!(folder.files().len() > 5, "{:?}", folder.files());
        }
        let mut search = open_search(&folder, given);
        let all = search.newest(&query(""), None, 1000).await.expect("finds");
        assert!(places(&all).is_sorted_by(|one, next| one > next), "newest first, none twice");
        let mut records: Vec<_> = all.iter().map(|hit| hit.record.clone()).collect();
        records.sort_unstable();
        assert_eq!(records, written);
        let mut batch = Batch::new();
        all.iter().for_each(|hit| batch.push(&hit.record));
        for round in 0..2 * rounds() {
            // The same once more in a new process, with summaries.
            if round == rounds() {
                search.prepare().await.expect("summarises");
                search = open_search(&folder, given);
            }
            let (text, query) = samples::query(&mut rng, &batch);
            let expected: Vec<Hit> =
                all.iter().filter(|hit| query.matches(Record::new(&hit.record))).cloned().collect();
            found += u64::from(!expected.is_empty() && expected.len() < all.len());
            let context = format!("seed {seed}: {text}");
            assert_eq!(search.newest(&query, None, 1000).await.expect(&context), expected, "{context}");
            assert_eq!(all_pages(&search, &query, 7).await, expected, "{context}");
            check_histograms(&search, &query, &expected, &context).await;
            check_around(&search, &query, &all[rng.usize(..all.len())], &expected, &context).await;
        }
    }
    assert!(found > 200, "only {found} queries select some of the records");
}

async fn check_histograms(search: &FileSearch, query: &Query, expected: &[Hit], context: &str) {
    for by in [By::Level, By::Source] {
        let histogram = search.histogram(query, by, 5).await.expect(context);
        let Histogram { since_ns, until_ns, bucket_ns, buckets } = histogram;
        let mut wanted: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
        for hit in expected {
            let record = Record::new(&hit.record);
            let (level, at) = (record.level(), record.timestamp());
            let key = if by == By::Level { level.as_str() } else { record.source() };
            assert!((since_ns..until_ns).contains(&at), "{context}");
            let start = since_ns + (at - since_ns) / bucket_ns * bucket_ns;
            *wanted.entry(start).or_default().entry(key.to_owned()).or_default() += 1;
        }
        assert_eq!(buckets, wanted, "{context}");
    }
}

async fn check_around(search: &FileSearch, query: &Query, centre: &Hit, expected: &[Hit], context: &str) {
    assert_eq!(search.get(centre.id).await.expect(context).as_ref(), Some(centre), "{context}");
    let around = search.around(query, centre.id, 3, 4).await.expect(context);
    let mut ids: Vec<_> = expected.iter().map(|hit| hit.id).filter(|id| *id != centre.id).collect();
    ids.sort_unstable();
    let at = ids.partition_point(|id| *id < centre.id);
    let mut near: Vec<_> = ids[at.saturating_sub(3)..(at + 4).min(ids.len())].to_vec();
    near.insert(at.min(3), centre.id);
    near.reverse();
    assert_eq!(around.iter().map(|hit| hit.id).collect::<Vec<_>>(), near, "{context}");
}

#[tokio::test]
async fn pages_repeat_and_omit_nothing_while_the_sink_writes_and_rotates() {
    let folder = Folder::new();
    let given = json!({ "path": "all.jsonl", "rotate_size": "4KiB", "compress": true });
    let mut sink = started(&folder, &given).await;
    let mut batch = Batch::new();
    // Five records at each time.
    (0..500).for_each(|n| batch.push(&at(1_000_000_000_000 + n / 5 * 1000, &format!("same words {n}"))));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    let search = open_search(&folder, &given);
    let mut sequence = 1;
    for text in ["", "same", "message~same"] {
        let query = query(text);
        let mut found: Vec<Hit> = Vec::new();
        loop {
            let page = search.newest(&query, found.last().map(place_of), 33).await.expect("finds");
            let is_last = page.len() < 33;
            found.extend(page);
            if is_last {
                break;
            }
            let mut batch = Batch::new();
            (0..20).for_each(|_| batch.push(&at(2_000_000_000_000, "same words later")));
            sequence += 1;
            sink.deliver(&[frame(sequence, batch)]).await.expect("delivers");
            sink.flush().await.expect("flushes");
        }
        let mut first: Vec<_> = messages(&found).into_iter().filter(|text| !text.ends_with("later")).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 500, "{text}");
        assert!(places(&found).is_sorted_by(|one, next| one > next), "{text}: newest first, none twice");
    }
}

#[tokio::test]
async fn ids_stay_while_files_are_rotated_and_compressed() {
    let folder = Folder::new();
    let plain = json!({ "path": "all.jsonl", "rotate_size": "1KiB" });
    let mut sink = started(&folder, &plain).await;
    let mut batch = Batch::new();
    (0..5).for_each(|n| batch.push(&at(1_000_000_000 * n, &format!("n={n}"))));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    let search = open_search(&folder, &plain);
    let before = search.newest(&query(""), None, 10).await.expect("finds");
    assert_eq!(messages(&before), ["n=4", "n=3", "n=2", "n=1", "n=0"]);
    let mut batch = Batch::new();
    batch.push(&at(1, &"long ".repeat(300)));
    sink.deliver(&[frame(2, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    drop(sink);
    let find = |text: &'static str| query(text);
    assert_eq!(search.newest(&find("n*"), None, 10).await.expect("finds"), before, "after the rotation");
    let compressing = json!({ "path": "all.jsonl", "rotate_size": "1KiB", "compress": true });
    let _sink = started(&folder, &compressing).await;
    eventually("it is compressed", || folder.files().iter().any(|name| name.ends_with(".zst"))).await;
    for search in [search, open_search(&folder, &compressing)] {
        assert_eq!(search.newest(&find("n*"), None, 10).await.expect("finds"), before, "after the compression");
        for hit in &before {
            assert_eq!(search.get(hit.id).await.expect("finds").as_ref(), Some(hit));
        }
        let inside = EntryId { sequence: before[0].id.sequence, index: before[0].id.index + 1 };
        assert_eq!(search.get(inside).await, Ok(None), "not the beginning of a line");
        let strange = EntryId { sequence: u64::MAX, index: u32::MAX };
        assert_eq!(search.get(strange).await, Ok(None));
        let error = search.around(&find(""), strange, 1, 1).await.expect_err("no file has it");
        assert!(matches!(&error, SearchError::Unsupported(text) if text.contains("has no record")), "{error}");
    }
}

#[tokio::test]
async fn a_line_that_is_not_whole_yet_or_no_record_is_left_out() {
    let folder = Folder::new();
    let given = json!({ "path": "all.jsonl" });
    let mut sink = started(&folder, &given).await;
    let mut batch = Batch::new();
    batch.push(&at(5, "whole"));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    let path = folder.path("all.jsonl");
    let mut content = fs::read(&path).expect("readable");
    content.extend_from_slice(b"no record whole\n{\"timestamp\":\"2026-11-24T10:00:00Z\",\"mess\n[1]\n\n");
    content
        .extend_from_slice(br#"{"timestamp":"2026-11-24T10:00:00Z","level":"INFO","source":"s","message":"not whole"#);
    fs::write(&path, &content).expect("writable");
    let search = open_search(&folder, &given);
    assert_eq!(messages(&search.newest(&query("whole"), None, 10).await.expect("finds")), ["whole"]);
    content.extend_from_slice(b" no more\"}\n");
    fs::write(&path, &content).expect("writable");
    let found = search.newest(&query("whole"), None, 10).await.expect("finds");
    assert_eq!(messages(&found), ["not whole no more", "whole"]);
    // As after a crash.
    content.truncate(content.iter().position(|byte| *byte == b'\n').expect("a line") + 1);
    fs::write(&path, &content).expect("writable");
    assert_eq!(messages(&search.newest(&query(""), None, 10).await.expect("finds")), ["whole"]);
    fs::remove_file(&path).expect("writable");
    assert_eq!(search.newest(&query(""), None, 10).await, Ok(vec![]));
}

#[tokio::test]
async fn files_of_other_days_are_not_read() {
    const DAY_NS: i64 = 86_400_000_000_000;
    let folder = Folder::new();
    let given = json!({ "path": "{source}-%Y-%m-%d.jsonl" });
    let mut sink = started(&folder, &given).await;
    let mut batch = Batch::new();
    (0..10).for_each(|day| batch.push(&at(samples::NOW_NS - day * DAY_NS, "words")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    let search = open_search(&folder, &given);
    let read = |search: &FileSearch| {
        let files = search.catalog.files(&mut line::Parser::default()).expect("readable");
        files.iter().filter(|file| search.catalog.known_blocks(file) > 0).count()
    };
    assert_eq!(search.newest(&query("words"), None, 1).await.expect("finds").len(), 1);
    assert_eq!(read(&search), 1);
    assert_eq!(search.newest(&query("since:50h words"), None, 10).await.expect("finds").len(), 3);
    assert_eq!(read(&search), 3);
    let counted = search.histogram(&query("until:200h"), By::Level, 10).await.expect("counts");
    assert_eq!(counted.buckets.values().flat_map(|counts| counts.values()).sum::<u64>(), 1);
    assert_eq!(read(&search), 5, "and the two that the range begins or ends in");
}

#[tokio::test]
async fn a_search_that_is_dropped_stops_and_gives_its_place_to_the_next() {
    let folder = Folder::new();
    let given = json!({ "path": "all.jsonl" });
    let mut sink = started(&folder, &given).await;
    let mut batch = Batch::new();
    (0..50_000).for_each(|n| batch.push(&at(n, "words in a row")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let search = open_search(&folder, &given);
    let slow = query("message~nothing|never");
    for _ in 0..3 * limits::SEARCH_CONNECTIONS {
        let late = tokio::time::timeout(Duration::from_micros(300), search.newest(&slow, None, 10)).await;
        drop(late);
    }
    assert_eq!(search.newest(&query("row"), None, 3).await.expect("finds").len(), 3);
    let permits = || search.permits.available_permits() == limits::SEARCH_CONNECTIONS;
    eventually("all threads stopped", permits).await;
}

#[tokio::test]
async fn what_cannot_be_searched_says_why() {
    let folder = Folder::new();
    let text = open("sut", json!({ "format": "text" }), &folder.context()).err().expect("is not JSON");
    assert!(text.contains("format = \"json\""), "{text}");
    let missing = open_search(&folder, &json!({})).newest(&query(""), None, 1).await.expect_err("no files");
    assert!(matches!(&missing, SearchError::Unavailable(text) if text.contains("no files yet")), "{missing}");
}

#[tokio::test]
async fn files_that_begin_with_the_same_line_are_told_apart() {
    let folder = Folder::new();
    let given = json!({ "path": "all.jsonl", "rotate_size": "150B" });
    let mut sink = started(&folder, &given).await;
    let mut batch = Batch::new();
    (0..4).for_each(|_| batch.push(&at(5, "the same")));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
    assert!(folder.files().len() > 1, "{:?}", folder.files());
    let search = open_search(&folder, &given);
    let found = all_pages(&search, &query("same"), 1).await;
    assert_eq!(found.len(), 4);
    for hit in &found {
        assert_eq!(search.get(hit.id).await.expect("finds").as_ref(), Some(hit));
    }
}
