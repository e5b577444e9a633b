//! The SQLite sink with real databases, read back by another process.

use std::fs;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::compliance::sqlite3;
use crate::sink::Indexes;
use crate::testing::{frame, numbered, numbers, record, record_at};

/// A database in its own folder.
pub(super) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(super) fn sink(&self, given: serde_json::Value) -> SqliteSink {
        self.sink_named("sut", given)
    }

    fn sink_named(&self, name: &str, given: serde_json::Value) -> SqliteSink {
        let context = BuildContext { data: self.folder.path().into(), ..Default::default() };
        SqliteSink::new(name, options(name, given).expect("options"), &context)
    }

    pub(super) async fn started(&self, given: serde_json::Value) -> SqliteSink {
        let mut sink = self.sink(given);
        sink.start(u64::MAX).await.expect("starts");
        sink
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("logs.db")
    }

    /// The answer of the system's `sqlite3` shell.
    pub(super) fn ask(&self, sql: &str) -> String {
        sqlite3(&self.path(), sql).trim_end().to_string()
    }

    /// The answer of our own SQLite.
    pub(super) async fn search(&self, sql: &str) -> String {
        let mut connection = SqliteConnectOptions::new().filename(self.path()).connect().await.expect("connects");
        let found: Option<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_string()))
            .fetch_optional(&mut connection)
            .await
            .expect("runs")
            .flatten();
        found.unwrap_or_default()
    }

    fn matches(&self, what: &str) -> String {
        self.ask(&format!("SELECT group_concat(rowid) FROM logs_search WHERE logs_search MATCH '{what}'"))
    }

    pub(super) fn count(&self, what: &str) -> String {
        self.ask(&format!("SELECT count(*) FROM logs_search WHERE logs_search MATCH '{what}'"))
    }

    fn held(&self) -> Vec<u64> {
        numbers(&self.ask("SELECT message FROM logs ORDER BY id"))
    }
}

#[tokio::test]
async fn a_record_is_a_row_with_the_rest_as_json() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let mut batch = weir_record::Batch::new();
    let fields = [("level", "ERROR"), ("source", "api"), ("message", "it's \"broken\""), ("context.user", "ann")];
    batch.push(&record_at(1_700_000_000_123_456_789, &fields, &["audit"]));
    sink.deliver(&[frame(7, batch)]).await.expect("delivers");
    assert_eq!(
        place.ask("SELECT id, sequence, position, timestamp, level, source, message, fields FROM logs"),
        "1|7|0|1700000000123456789|ERROR|api|it's \"broken\"|{\"context\":{\"user\":\"ann\"},\"routes\":[\"audit\"]}"
    );
    assert_eq!(place.ask("SELECT json_extract(fields, '$.context.user') FROM logs"), "ann");
    assert_eq!(place.ask("PRAGMA journal_mode; PRAGMA user_version; PRAGMA integrity_check"), "wal\n4\nok");
}

#[tokio::test]
async fn time_level_and_source_are_indexed() {
    let place = Place::new();
    place.started(json!({})).await;
    for (condition, index) in
        [("timestamp > 5", "logs_timestamp"), ("level = 'ERROR'", "logs_level"), ("source = 'a'", "logs_source")]
    {
        let plan = place.ask(&format!("EXPLAIN QUERY PLAN SELECT * FROM logs WHERE {condition}"));
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn messages_and_values_at_any_depth_are_found_and_keys_are_not() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let mut batch = weir_record::Batch::new();
    batch.push(&record(&[("message", "connection refused by Zürich"), ("context.peer", "gateway")], &[]));
    batch.push(&record(&[("message", "all is well")], &["audit"]));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    assert_eq!(place.matches("\"connection refused\""), "1");
    assert_eq!(place.matches("zurich"), "1");
    assert_eq!(place.matches("gateway"), "1");
    assert_eq!(place.matches("audit"), "2");
    assert_eq!(place.matches("peer"), "");
    place.ask("DELETE FROM logs WHERE id = 1");
    assert_eq!(place.matches("gateway"), "", "whoever deletes a row deletes it from the index too");
}

#[tokio::test]
async fn without_search_there_is_no_index_and_it_can_be_turned_on_later() {
    let place = Place::new();
    let mut sink = place.started(json!({ "search": false })).await;
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    assert_eq!(place.ask("SELECT count(*) FROM sqlite_master WHERE name LIKE 'logs_search%'"), "0");
    drop(sink);
    let mut sink = place.started(json!({ "search": true })).await;
    sink.deliver(&[frame(2, numbered(3..5))]).await.expect("delivers");
    assert_eq!(place.held(), (0..5).collect::<Vec<_>>());
    assert_eq!(place.count("n"), "5", "also what was stored without it");
}

#[tokio::test]
async fn after_a_crash_the_cursor_and_the_rows_agree() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    for sequence in 1..=4 {
        sink.deliver(&[frame(sequence, numbered(sequence * 10..sequence * 10 + 10))]).await.expect("delivers");
    }
    // Dropped without a flush, as a killed process would.
    drop(sink);
    let before = place.ask("SELECT flushes FROM weir_cursor");
    let mut sink = place.sink(json!({}));
    assert_eq!(sink.start(100).await, Ok(Some(4)));
    assert_ne!(place.ask("SELECT flushes FROM weir_cursor"), before, "the journal may forget what it is told");
    // If the journal offers held records again, nothing is duplicated.
    for sequence in 3..=5 {
        sink.deliver(&[frame(sequence, numbered(sequence * 10..sequence * 10 + 10))]).await.expect("delivers");
    }
    assert_eq!(place.held(), (10..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_a_flush_moves_what_is_durable() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let first = sink.deliver(&[frame(1, numbered(0..1))]).await.expect("delivers");
    assert_eq!(first.durable, Some(0));
    let before = place.ask("SELECT flushes FROM weir_cursor");
    sink.flush().await.expect("flushes");
    assert_ne!(place.ask("SELECT flushes FROM weir_cursor"), before, "a commit that changes nothing would not sync");
    assert_eq!(sink.deliver(&[frame(2, numbered(1..2))]).await.expect("delivers").durable, Some(1));
}

#[tokio::test]
async fn delivery_resumes_within_an_interrupted_frame() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let whole = frame(3, numbered(0..10));
    let (part, rest) = whole.split(4);
    sink.deliver(&[part]).await.expect("delivers");
    drop(sink);
    let mut sink = place.sink(json!({}));
    assert_eq!(sink.start(100).await, Ok(Some(2)), "the frame is not held whole");
    sink.deliver(&[whole]).await.expect("delivers");
    assert_eq!(place.held(), (0..10).collect::<Vec<_>>());
    assert_eq!(rest.len(), 6);
}

#[tokio::test]
async fn many_records_use_several_transactions_and_statement_sizes() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let frames: Vec<_> = (0..13).map(|n| frame(n + 1, numbered(n * 1001..(n + 1) * 1001))).collect();
    sink.deliver(&frames).await.expect("delivers");
    assert_eq!(place.held(), (0..13 * 1001).collect::<Vec<_>>());
    assert_eq!(place.ask("SELECT count(DISTINCT sequence || ':' || position) FROM logs"), "13013");
}

#[tokio::test]
async fn rows_of_a_lost_journal_are_kept_and_hide_nothing() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    for sequence in 1..=5 {
        sink.deliver(&[frame(sequence, numbered(sequence..sequence + 1))]).await.expect("delivers");
    }
    // Twice, because the second time some rows have already been moved.
    for lost in [2, 1] {
        let mut sink = place.sink(json!({}));
        let held = sink.start(lost).await.expect("starts");
        assert!(held.is_some_and(|held| held > lost));
        for sequence in lost + 1..=5 {
            sink.deliver(&[frame(sequence, numbered(100 * lost + sequence..100 * lost + sequence + 1))])
                .await
                .expect("delivers");
        }
        sink.flush().await.expect("flushes");
    }
    assert_eq!(place.ask("SELECT count(*) FROM logs"), "12");
    assert_eq!(
        place.ask("SELECT group_concat(message) FROM (SELECT message FROM logs WHERE sequence > 0 ORDER BY sequence)"),
        "n=1,n=102,n=103,n=104,n=105"
    );
    let mut sink = place.sink(json!({}));
    assert_eq!(sink.start(5).await, Ok(Some(5)));
}

#[tokio::test]
async fn old_and_surplus_rows_are_removed_also_from_the_index() {
    let place = Place::new();
    let mut sink = place.started(json!({ "max_rows": 5000, "retention": "1h" })).await;
    let mut batch = weir_record::Batch::new();
    (0..9000).for_each(|n| batch.push(&record_at(now_ns(), &[("message", &format!("n={n}"))], &[])));
    sink.deliver(&[frame(1, batch), frame(2, numbered(9000..9003))]).await.expect("delivers");
    while sink.maintain().await.expect("tends") {}
    assert_eq!(place.held(), (4003..9000).collect::<Vec<_>>(), "three of the newest rows say that they are old");
    assert_eq!(place.count("n"), "4997");
    place.search("INSERT INTO logs_search(logs_search) VALUES('integrity-check')").await;
}

#[tokio::test]
async fn a_file_that_is_not_our_database_is_never_changed() {
    let place = Place::new();
    fs::write(place.path(), "my diary, which is longer than a header of one hundred bytes, so that nobody takes it for an empty database at all").expect("writable");
    let before = fs::read(place.path()).expect("readable");
    let error = place.sink(json!({})).start(0).await.expect_err("refuses");
    assert!(
        matches!(&error, SinkError::Fatal(text) if text.contains("not an SQLite database") && text.contains("logs.db")),
        "{error:?}"
    );
    assert_eq!(fs::read(place.path()).expect("readable"), before);

    fs::remove_file(place.path()).expect("removable");
    place.ask("CREATE TABLE recipes(name)");
    let before = fs::read(place.path()).expect("readable");
    let error = place.sink(json!({})).start(0).await.expect_err("refuses");
    assert!(matches!(&error, SinkError::Fatal(text) if text.contains("another program")), "{error:?}");
    assert_eq!(fs::read(place.path()).expect("readable"), before);
}

#[tokio::test]
async fn a_database_of_a_newer_weir_is_refused() {
    let place = Place::new();
    place.started(json!({})).await;
    place.ask("PRAGMA user_version = 99");
    let error = place.sink(json!({})).start(0).await.expect_err("refuses");
    assert!(matches!(&error, SinkError::Fatal(text) if text.contains("version 99")), "{error:?}");
}

#[tokio::test]
async fn a_lock_of_another_process_is_waited_for_and_then_retried() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    sqlx::raw_sql("PRAGMA busy_timeout = 10").execute(sink.connection.as_mut().expect("open")).await.expect("runs");
    let mut other = SqliteConnectOptions::new().filename(place.path()).connect().await.expect("connects");
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.expect("locks");
    let error = sink.deliver(&[frame(1, numbered(0..1))]).await.expect_err("is locked");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("another process has locked it")), "{error:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.expect("unlocks");
    assert_eq!(sink.start(0).await, Ok(None));
    sink.deliver(&[frame(1, numbered(0..1))]).await.expect("delivers");
    assert_eq!(place.held(), [0]);
}

#[tokio::test]
async fn a_full_disk_is_retried_and_nothing_is_stored_partially() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let pages = place.ask("PRAGMA page_count");
    // A page limit is how SQLite's own tests fill a disk.
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
        .execute(sink.connection.as_mut().expect("open"))
        .await
        .expect("runs");
    let error = sink.deliver(&[frame(1, numbered(0..4000))]).await.expect_err("is full");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("disk is full")), "{error:?}");
    assert_eq!(sink.start(0).await, Ok(None));
    sink.deliver(&[frame(1, numbered(0..4000))]).await.expect("delivers");
    assert_eq!(place.held(), (0..4000).collect::<Vec<_>>());
}

#[tokio::test]
async fn rows_beyond_the_cursor_stop_the_sink() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    place.ask("UPDATE weir_cursor SET sequence = NULL");
    sink.start(100).await.expect("starts");
    let error = sink.deliver(&[frame(1, numbered(0..3))]).await.expect_err("refuses");
    assert!(matches!(&error, SinkError::Fatal(text) if text.contains("weir_cursor")), "{error:?}");
}

#[tokio::test]
async fn a_sink_takes_only_what_was_selected() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let mut frame = frame(4, numbered(0..5));
    frame.batch = Arc::new(numbered(0..5));
    frame.indexes = Indexes::These(vec![1, 3]);
    sink.deliver(&[frame]).await.expect("delivers");
    assert_eq!(place.ask("SELECT group_concat(sequence || ':' || position) FROM logs"), "4:1,4:3");
}

/// Delivers frames of four records; the sink takes those selected by `takes`.
async fn deliver_some(sink: &mut SqliteSink, frames: std::ops::RangeInclusive<u64>, takes: &[u32]) {
    for sequence in frames {
        let mut frame = frame(sequence, numbered(sequence * 4..sequence * 4 + 4));
        frame.indexes = Indexes::These(takes.to_vec());
        sink.deliver(&[frame]).await.expect("delivers");
    }
}

#[tokio::test]
async fn two_sinks_of_one_database_have_separate_positions_and_no_record_twice() {
    let place = Place::new();
    let mut ahead = place.sink_named("ahead", json!({}));
    assert_eq!(ahead.start(0).await, Ok(None));
    deliver_some(&mut ahead, 1..=9, &[0, 1]).await;
    let mut behind = place.sink_named("behind", json!({}));
    assert_eq!(behind.start(9).await, Ok(None));
    deliver_some(&mut behind, 1..=3, &[1, 2]).await;
    // Both die. The one that was behind is not mistaken for the other.
    drop((ahead, behind));
    let mut behind = place.sink_named("behind", json!({}));
    assert_eq!(behind.start(9).await, Ok(Some(3)));
    deliver_some(&mut behind, 4..=12, &[1, 2]).await;
    let mut ahead = place.sink_named("ahead", json!({}));
    assert_eq!(ahead.start(12).await, Ok(Some(9)));
    deliver_some(&mut ahead, 10..=12, &[0, 1]).await;
    let mut held = place.held();
    held.sort_unstable();
    assert_eq!(held, (4..52).filter(|n| n % 4 < 3).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lagging_sink_does_not_move_rows_of_another_one() {
    let place = Place::new();
    let context = BuildContext { data: place.folder.path().into(), ..Default::default() };
    let [mut ahead, mut behind] =
        ["ahead", "behind"].map(|name| SqliteSink::new(name, options(name, json!({})).expect("options"), &context));
    for sink in [&mut ahead, &mut behind] {
        sink.start(0).await.expect("starts");
    }
    deliver_some(&mut ahead, 1..=3, &[0]).await;
    // It has no frame yet, and starts again after a failure.
    assert_eq!(behind.start(0).await, Ok(None));
    assert_eq!(place.ask("SELECT min(sequence) FROM logs"), "1");
}

#[tokio::test]
async fn a_renamed_sink_repeats_and_misses_nothing() {
    let place = Place::new();
    let mut old = place.started(json!({})).await;
    deliver_some(&mut old, 1..=5, &[0, 1, 2, 3]).await;
    drop(old);
    let mut new = place.sink_named("another", json!({}));
    assert_eq!(new.start(8).await, Ok(None), "the journal gives it everything again");
    deliver_some(&mut new, 1..=8, &[0, 1, 2, 3]).await;
    assert_eq!(place.held(), (4..36).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_one_cursor_of_an_older_version_is_honoured() {
    let place = Place::new();
    let mut sink = place.started(json!({ "search": false })).await;
    deliver_some(&mut sink, 1..=5, &[0, 1, 2, 3]).await;
    drop(sink);
    place.ask(
        "DROP TABLE logs_blocks; DROP TABLE weir_cursor;
         CREATE TABLE weir_cursor(id INTEGER PRIMARY KEY CHECK (id = 1), sequence INTEGER, position INTEGER,
           flushes INTEGER NOT NULL DEFAULT 0);
         INSERT INTO weir_cursor(id, sequence) VALUES (1, 5);
         PRAGMA user_version = 1;",
    );
    // The journal's own cursor is slightly behind, or was lost.
    let mut sink = place.sink(json!({ "search": false }));
    assert_eq!(sink.start(7).await, Ok(None));
    deliver_some(&mut sink, 3..=7, &[0, 1, 2, 3]).await;
    assert_eq!(place.held(), (4..32).collect::<Vec<_>>());
    assert_eq!(place.ask("SELECT group_concat(sink || ':' || sequence) FROM weir_cursor ORDER BY 1"), ":5,sut:7");
    // Rows of a lost journal are moved as usual.
    let mut sink = place.sink(json!({ "search": false }));
    assert_eq!(sink.start(2).await, Ok(Some(7)));
    deliver_some(&mut sink, 3..=3, &[0]).await;
    assert_eq!(place.ask("SELECT count(*) FROM logs WHERE sequence > 0"), "9");
}
