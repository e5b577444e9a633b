//! File ownership: two sinks with the same path, renamed sinks, files that only look like the sink's.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::json;
use weir_record::Batch;

use super::tests::{Place, deliver, ten};
use super::*;
use crate::testing::{frame, numbered, numbers, record};

fn sink(name: &str, given: serde_json::Value, context: &BuildContext) -> FileSink {
    FileSink::new(name, options(name, given).expect("options"), context, Disk::default()).expect("builds")
}

/// A context as created by the router: it knows the configured sinks.
fn knowing(place: &Place, names: &[&str]) -> BuildContext {
    let context = place.context();
    context.owners.configure(names.iter().map(ToString::to_string));
    context
}

/// A batch of one source, with the numbers of `range`.
fn of_source(source: &str, range: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    for n in range {
        batch.push(&record(&[("source", source), ("message", &format!("n={n}"))], &[]));
    }
    batch
}

fn tidy(sink: &FileSink) -> TidyJob {
    TidyJob {
        sink: sink.name.clone(),
        file_list: sink.store.file_list(),
        claimant: sink.store.claimant(),
        compress: false,
        keep: None,
        max_age: None,
        unsettled: sink.store.unsettled(),
        ending: Arc::default(),
    }
}

#[tokio::test]
async fn a_line_for_another_sinks_file_goes_to_a_neighbour_through_crashes_in_any_order() {
    for order in [["all", "audit"], ["audit", "all"]] {
        let place = Place::new();
        for round in 0..4 {
            let context = knowing(&place, &order);
            let mut sinks: BTreeMap<&str, FileSink> = order
                .into_iter()
                .map(|name| {
                    let path = if name == "all" { "logs/{source}.jsonl" } else { "logs/audit.jsonl" };
                    (name, sink(name, json!({ "path": path }), &context))
                })
                .collect();
            for name in order {
                let sut = sinks.get_mut(name).expect("there");
                let held = sut.start(100).await.expect("starts").unwrap_or(0);
                assert_eq!(held, round, "{name}");
                // Some lines are flushed; others are lost in a crash and delivered again in the next round.
                for sequence in held + 1..=held + 2 {
                    let batch = of_source("audit", sequence * 10..sequence * 10 + 10);
                    sut.deliver(&[frame(sequence, batch)]).await.expect("delivers");
                    if sequence == held + 1 {
                        sut.flush().await.expect("flushes");
                    }
                }
            }
        }
        let expected: Vec<u64> = (10..60).collect();
        for file in ["logs/audit.jsonl", "logs/audit.all.jsonl"] {
            assert_eq!(numbers(&fs::read_to_string(place.path(file)).expect("there")), expected, "{order:?} {file}");
        }
        assert_eq!(place.files().len(), 2);
    }
}

#[tokio::test]
async fn a_file_in_a_position_record_is_kept_for_its_sink_whoever_starts_first() {
    let place = Place::new();
    let given = [("a", json!({ "path": "{source}.log" })), ("b", json!({ "path": "{level}.log" }))];
    let context = knowing(&place, &["a", "b"]);
    let mut a = sink("a", given[0].1.clone(), &context);
    a.start(0).await.expect("starts");
    a.deliver(&[frame(1, of_source("INFO", 0..10))]).await.expect("delivers");
    a.flush().await.expect("flushes");
    a.deliver(&[frame(2, of_source("INFO", 10..20))]).await.expect("delivers");
    drop(a);
    let context = knowing(&place, &["a", "b"]);
    let mut b = sink("b", given[1].1.clone(), &context);
    b.start(2).await.expect("starts");
    b.deliver(&[frame(1, numbered(0..10))]).await.expect("delivers");
    let mut a = sink("a", given[0].1.clone(), &context);
    assert_eq!(a.start(2).await, Ok(Some(1)));
    a.deliver(&[frame(2, of_source("INFO", 10..20))]).await.expect("delivers");
    assert_eq!(numbers(&fs::read_to_string(place.path("INFO.log")).expect("there")), (0..20).collect::<Vec<_>>());
    assert_eq!(numbers(&fs::read_to_string(place.path("INFO.b.log")).expect("there")), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_is_released_when_a_sink_starts_that_reserves_it() {
    let place = Place::new();
    let context = place.context();
    let mut all = sink("all", json!({ "path": "{source}.log" }), &context);
    all.start(0).await.expect("starts");
    all.deliver(&[frame(1, of_source("audit", 0..10))]).await.expect("delivers");
    let mut audit = sink("audit", json!({ "path": "audit.log" }), &context);
    audit.start(0).await.expect("starts");
    let refused = audit.deliver(&[frame(1, numbered(0..1))]).await.expect_err("it is written by the other");
    assert!(matches!(&refused, SinkError::Retry(text) if text.contains("`all`")), "{refused:?}");
    all.flush().await.expect("flushes");
    all.deliver(&[frame(2, of_source("audit", 10..20))]).await.expect("delivers");
    audit.start(0).await.expect("starts");
    audit.deliver(&[frame(1, numbered(100..110))]).await.expect("delivers");
    assert_eq!(numbers(&fs::read_to_string(place.path("audit.all.log")).expect("there")), (10..20).collect::<Vec<_>>());
    assert_eq!(numbers(&place.content("audit.log")).last(), Some(&109));
}

#[tokio::test]
async fn no_value_leads_into_a_database_or_weirs_own_folders() {
    let place = Place::new();
    let context = place.context();
    let store = (crate::registry::kind("sqlite").expect("known").build)("store", json!({}), &context).expect("builds");
    let mut sut = sink("sut", json!({ "path": "data/{folder}/{source}" }), &context);
    sut.start(0).await.expect("starts");
    let mut batch = Batch::new();
    for (folder, source) in [("journal", "id"), ("sinks", "sut.position"), ("other", "x")] {
        batch.push(&record(&[("folder", folder), ("source", source), ("message", "n=1")], &[]));
    }
    let delivered = sut.deliver(&[frame(1, batch)]).await.expect("delivers");
    let refused: Vec<u32> = delivered.rejected.iter().map(|(at, _)| at.index).collect();
    assert_eq!(refused, [0, 1], "{delivered:?}");
    let mut sut = sink("flat", json!({ "path": "data/{source}" }), &context);
    sut.start(0).await.expect("starts");
    let delivered =
        sut.deliver(&[frame(1, of_source("logs.db", 0..1)), frame(2, of_source("logs.db-wal", 1..2))]).await;
    assert_eq!(delivered.expect("delivers").rejected, []);
    let mut files: Vec<_> =
        fs::read_dir(place.path("data")).expect("there").flatten().map(|entry| entry.file_name()).collect();
    files.sort();
    assert_eq!(files, ["logs.flat.db", "logs.flat.db-wal", "other", "sinks"]);
    drop(store);
}

#[tokio::test]
async fn a_renamed_sink_continues_at_its_position_even_with_another_spelling() {
    for path in ["logs/out.log", "link/out.log"] {
        let place = Place::new();
        fs::create_dir(place.path("logs")).expect("writable");
        symlink("logs", place.path("link")).expect("linked");
        let mut old = sink("old", json!({ "path": "logs/out.log", "rotate_size": 300 }), &knowing(&place, &["old"]));
        old.start(0).await.expect("starts");
        deliver(&mut old, 1, 5, &ten, &[3]).await.expect("delivers");
        drop(old);
        let mut new = sink("new", json!({ "path": path, "rotate_size": 300 }), &knowing(&place, &["new"]));
        assert_eq!(new.start(5).await, Ok(Some(3)));
        deliver(&mut new, 4, 6, &ten, &[6]).await.expect("delivers");
        assert_eq!(numbers(&place.content("logs/out.log")), (0..60).collect::<Vec<_>>(), "{path}");
        assert!(!place.path("data/sinks/old.position").exists() && !place.path("data/sinks/old.files").exists());
        // The rotated files are its own now, too.
        TidyJob { keep: Some(0), ..tidy(&new) }.once(SystemTime::now());
        assert_eq!(place.files().iter().filter(|name| name.contains("out.log.")).count(), 0);
    }
}

#[tokio::test]
async fn a_position_record_of_an_older_version_is_taken_over_by_its_files() {
    let place = Place::new();
    let mut old = sink("old", json!({ "path": "out.log" }), &knowing(&place, &["old"]));
    old.start(0).await.expect("starts");
    deliver(&mut old, 1, 3, &ten, &[2]).await.expect("delivers");
    drop(old);
    let record = place.path("data/sinks/old.position");
    let mut content: serde_json::Value = serde_json::from_slice(&fs::read(&record).expect("there")).expect("JSON");
    content.as_object_mut().expect("a table").remove("template").expect("there");
    fs::write(&record, content.to_string()).expect("writable");
    let other = sink("other", json!({ "path": "other.log" }), &knowing(&place, &["other"])).start(3).await;
    assert_eq!(other, Ok(None), "another path is another sink");
    let mut new = sink("new", json!({ "path": "out.log" }), &knowing(&place, &["new"]));
    assert_eq!(new.start(3).await, Ok(Some(2)));
}

#[tokio::test]
async fn a_running_sink_keeps_its_position_and_a_returning_one_truncates_nothing() {
    let place = Place::new();
    let mut old = sink("old", json!({ "path": "out.log" }), &knowing(&place, &["old", "new"]));
    old.start(0).await.expect("starts");
    deliver(&mut old, 1, 2, &ten, &[2]).await.expect("delivers");
    drop(old);
    let context = knowing(&place, &["old", "new"]);
    assert_eq!(sink("new", json!({ "path": "{source}.log" }), &context).start(2).await, Ok(None));
    // The old sink is gone, and another one, with its own position, continues with its file.
    let mut new = sink("new", json!({ "path": "new.log" }), &knowing(&place, &["new"]));
    new.start(2).await.expect("starts");
    deliver(&mut new, 3, 3, &ten, &[3]).await.expect("delivers");
    let mut new = sink("new", json!({ "path": "out.log" }), &knowing(&place, &["new"]));
    new.start(3).await.expect("starts");
    deliver(&mut new, 4, 5, &ten, &[5]).await.expect("delivers");
    let mut old = sink("old", json!({ "path": "old.log" }), &knowing(&place, &["old", "new"]));
    assert_eq!(old.start(5).await, Ok(Some(2)), "it knows where it was");
    assert_eq!(numbers(&place.content("out.log")).len(), 40, "and cuts nothing");
}

#[tokio::test]
async fn a_source_named_like_a_rotated_file_loses_nothing_to_retention_and_compression() {
    let place = Place::new();
    let mut sut = sink("sut", json!({ "path": "logs/{source}.log", "rotate_size": 2000 }), &place.context());
    sut.start(0).await.expect("starts");
    for (at, source) in ["api", "api.log.20991231T000000.000000Z", "api.log.20200101T000000.000000Z"].iter().enumerate()
    {
        sut.deliver(&[frame(at as u64 + 1, of_source(source, 0..3))]).await.expect("delivers");
    }
    sut.deliver(&[frame(4, of_source("api", 3..100))]).await.expect("delivers and rotates");
    // A foreign file that looks like one of ours.
    let foreign = place.path("logs/api.log.20200102T000000.000000Z.log");
    fs::write(&foreign, "n=7").expect("writable");
    sut.flush().await.expect("flushes");
    let job = TidyJob { compress: true, keep: Some(1), max_age: Some(Duration::from_secs(3600)), ..tidy(&sut) };
    job.once(SystemTime::now());
    for name in ["api.log.20991231_000000.000000Z.log", "api.log.20200101_000000.000000Z.log"] {
        assert_eq!(numbers(&place.content(&format!("logs/{name}"))), [0, 1, 2], "{name}");
    }
    job.once(SystemTime::now() + Duration::from_secs(7200));
    assert!(foreign.exists());
}

#[tokio::test]
async fn after_an_upgrade_only_unambiguous_files_count_as_rotated() {
    let place = Place::new();
    let mut sut = sink("sut", json!({ "path": "logs/{source}.log" }), &place.context());
    sut.start(0).await.expect("starts");
    sut.deliver(&[frame(1, of_source("api", 0..3))]).await.expect("delivers");
    sut.flush().await.expect("flushes");
    fs::remove_file(place.path("data/sinks/sut.files")).expect("there");
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for (name, changed) in [
        ("api.log.20250101T000000.000000Z.log", old),
        ("api.log.20250102T000000.000000Z.log", SystemTime::now()),
        ("api.log.20991231T000000.000000Z.log", old),
        ("else.txt", old),
    ] {
        fs::write(place.path("logs").join(name), "n=0").expect("writable");
        let file = fs::File::options().write(true).open(place.path("logs").join(name)).expect("there");
        file.set_modified(changed).expect("set");
    }
    let mut sut = sink("sut", json!({ "path": "logs/{source}.log" }), &place.context());
    sut.start(1).await.expect("starts");
    TidyJob { keep: Some(0), ..tidy(&sut) }.once(SystemTime::now());
    assert_eq!(
        place.files(),
        [
            "logs/api.log",
            "logs/api.log.20250102T000000.000000Z.log",
            "logs/api.log.20991231T000000.000000Z.log",
            "logs/else.txt"
        ]
    );
}

#[tokio::test]
async fn values_create_a_limited_number_of_files_a_day_and_the_rest_share_one() {
    let place = Place::new();
    let given = json!({ "path": "logs/{source}.log", "max_new_files": 5 });
    for round in 0..2 {
        // The second time after a restart: the count is not in memory.
        let mut sut = sink("sut", given.clone(), &place.context());
        let held = sut.start(100).await.expect("starts").unwrap_or(0);
        for n in 0..20 {
            let source = format!("s{}", round * 20 + n);
            let delivered = sut.deliver(&[frame(held + n + 1, of_source(&source, n..n + 1))]).await.expect("delivers");
            assert_eq!(delivered.rejected, []);
        }
        // Values that already have a file keep it.
        sut.deliver(&[frame(held + 21, of_source("s0", 100..101))]).await.expect("delivers");
        sut.flush().await.expect("flushes");
    }
    assert_eq!(place.files().len(), 6, "{:?}", place.files());
    assert_eq!(numbers(&place.content("logs/s0.log")), [0, 100, 100]);
    assert_eq!(numbers(&place.content("logs/_overflow.log")).len(), 15 + 20);
}

#[tokio::test]
async fn a_path_that_is_not_a_regular_file_fails_at_once_or_rejects_the_record() {
    let place = Place::new();
    let fifo = place.path("pipe.log");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there").success());
    let mut sut = sink("fixed", json!({ "path": "pipe.log" }), &place.context());
    sut.start(0).await.expect("starts");
    let error = sut.deliver(&[frame(1, numbered(0..1))]).await.expect_err("refuses");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("a FIFO")), "{error:?}");
    let mut sut = sink("values", json!({ "path": "{source}.log" }), &place.context());
    sut.start(0).await.expect("starts");
    let delivered = sut.deliver(&[frame(1, of_source("pipe", 0..1)), frame(2, of_source("x", 1..2))]).await;
    let delivered = delivered.expect("delivers");
    assert_eq!(delivered.rejected.len(), 1);
    assert!(delivered.rejected[0].1.contains("a FIFO"), "{delivered:?}");
    assert_eq!(numbers(&place.content("x.log")), [1]);
    // Even if it appears between the check and the opening, opening it does not block.
    assert!(Disk::default().open(&fifo).is_err());
    let _reader = Command::new("cat").arg(&fifo).stdin(std::process::Stdio::null()).spawn().map(Reader).expect("cat");
    assert!(Disk::default().open(&fifo).is_err());
}

/// Killed at the end of the test.
struct Reader(std::process::Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn releasing_files_touches_none_of_them_and_keeps_positions() {
    let place = Place::new();
    let given = json!({ "path": "out.log", "rotate_size": 300 });
    let mut sut = sink("sut", given.clone(), &place.context());
    sut.start(0).await.expect("starts");
    deliver(&mut sut, 1, 5, &ten, &[3]).await.expect("delivers");
    drop(sut);
    let before: Vec<_> = place.files().into_iter().map(|name| fs::read(place.path(&name)).expect("there")).collect();
    release_files(&place.path("data")).expect("writable");
    let mut sut = sink("sut", given, &place.context());
    assert_eq!(sut.start(5).await, Ok(Some(3)));
    TidyJob { keep: Some(0), compress: true, max_age: Some(Duration::ZERO), ..tidy(&sut) }.once(SystemTime::now());
    let after: Vec<_> = place.files().into_iter().map(|name| fs::read(place.path(&name)).expect("there")).collect();
    assert!(before == after);
}
