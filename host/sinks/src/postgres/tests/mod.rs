//! The PostgreSQL sink against real servers, read back with `psql`.
//!
//! | file | what it tries |
//! |---|---|
//! | `mod.rs` | rows, values and the cursor |
//! | `shape.rs` | tables that are created, fit, or don't fit |
//! | `trouble.rs` | servers that stop, refuse, lock, hang or are full |
//! | `age.rs` | partitions and retention |
//! | `erase.rs` | erased rows |
//! | `search.rs` | searches, compared with the matcher |
//! | `kill.rs` | kill -9 on both sides, under load |

mod age;
mod erase;
mod kill;
mod search;
mod shape;
mod trouble;

use serde_json::{Value, json};
use weir_record::{Batch, write};

use super::*;
use crate::compliance::Place;
use crate::runner::{FallbackQueues, RunnerOptions, spawn};
use crate::servers::postgres::Postgres;
use crate::sink::Indexes;
use crate::testing::{MemoryQuarantine, append, eventually, frame, journal, numbered, numbers, record, record_at};

/// The destination for the compliance test.
pub(crate) struct Server {
    folder: std::path::PathBuf,
    server: Postgres,
}

impl Server {
    pub fn new(folder: &std::path::Path) -> Server {
        Server { folder: folder.into(), server: Postgres::start() }
    }
}

impl Place for Server {
    fn options(&self) -> Value {
        json!({ "url": self.server.url(), "linger": "0" })
    }

    fn context(&self) -> BuildContext {
        crate::compliance::context_in(&self.folder)
    }

    fn held(&self) -> Vec<u64> {
        held(&self.server)
    }
}

/// A sink for a journal of that name, not started.
fn sink_of(server: &Postgres, journal: &str, given: Value) -> PostgresSink {
    let mut all = serde_json::Map::from_iter([("url".to_string(), server.url().into())]);
    all.extend(given.as_object().expect("options are a table").clone());
    PostgresSink::new("sut", options("sut", all.into()).expect("options"), journal).expect("builds")
}

fn sink(server: &Postgres, given: Value) -> PostgresSink {
    sink_of(server, "j1", given)
}

async fn started(server: &Postgres, given: Value) -> PostgresSink {
    let mut sink = sink(server, given);
    sink.start(u64::MAX).await.expect("starts");
    sink
}

fn held(server: &Postgres) -> Vec<u64> {
    numbers(&server.ask("SELECT message FROM weir_logs ORDER BY id"))
}

fn one(record: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(record);
    batch
}

/// A record with one more field, of any type.
fn with(key: &str, value: impl Fn(&mut Vec<u8>)) -> Batch {
    let mut bytes = record(&[(key, "")], &[]);
    // The last byte is the empty text that `record` has written there.
    assert_eq!(bytes.pop(), Some(0xa0));
    value(&mut bytes);
    one(&bytes)
}

#[tokio::test]
async fn a_record_is_a_row_of_the_default_table_with_the_rest_as_jsonb() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let fields = [
        ("level", "ERROR"),
        ("source", "api"),
        ("message", "it's \"broken\"\tor \\N"),
        ("hostname", "web-1"),
        ("lineno", "42"),
        ("context.user", "ann"),
    ];
    sink.deliver(&[frame(7, one(&record_at(1_700_000_000_123_456_789, &fields, &["audit"])))]).await.expect("delivers");
    assert_eq!(
        server.ask(
            "SELECT id, timestamp AT TIME ZONE 'UTC', level, logger_name, hostname, lineno, message, \
             process_id IS NULL, extra_data, created_at IS NOT NULL FROM weir_logs"
        ),
        "1|2023-11-14 22:13:20.123456|ERROR|api|web-1|42|it's \"broken\"\tor \\N|t|\
         {\"routes\": [\"audit\"], \"context\": {\"user\": \"ann\"}}|t"
    );
    assert_eq!(server.ask("SELECT sink, journal, sequence, position FROM weir_cursor"), "sut|j1|7|");
}

#[tokio::test]
async fn values_that_do_not_fit_their_column_are_kept_in_extra_data() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let long = "ä".repeat(300);
    let batches = [
        one(&record(&[("source", &long)], &[])),
        with("process_id", |out| write::int(out, 5_000_000_000)),
        with("process_id", |out| write::str(out, "init")),
        with("thread_name", |out| write::int(out, 7)),
        with("lineno", |out| write::float(out, 12.0)),
        with("exception", |out| {
            write::map_header(out, 1);
            write::str(out, "type");
            write::str(out, "E");
        }),
        with("pathname", |out| write::str(out, "a\0b")),
        with("nul", |out| write::str(out, "a\0\\u0000")),
        with("nothing", write::nil),
        with("number", |out| write::uint(out, u64::MAX)),
        with("huge", |out| write::float(out, 1.5e300)),
    ];
    let frames: Vec<_> = batches.into_iter().enumerate().map(|(n, batch)| frame(n as u64 + 1, batch)).collect();
    sink.deliver(&frames).await.expect("all are taken");
    let ask = |n: usize, what: &str| server.ask(&format!("SELECT {what} FROM weir_logs WHERE id = {n}"));
    assert_eq!(ask(1, "length(logger_name), right(logger_name, 1), extra_data->>'source'"), format!("255|…|{long}"));
    assert_eq!(ask(2, "process_id IS NULL, extra_data"), "t|{\"process_id\": 5000000000}");
    assert_eq!(ask(3, "process_id IS NULL, extra_data"), "t|{\"process_id\": \"init\"}");
    assert_eq!(ask(4, "thread_name, extra_data IS NULL"), "7|t");
    assert_eq!(ask(5, "lineno, extra_data IS NULL"), "12|t");
    assert_eq!(ask(6, "exception, extra_data IS NULL"), "{\"type\":\"E\"}|t");
    assert_eq!(ask(7, "pathname, extra_data IS NULL"), "a␀b|t");
    assert_eq!(ask(8, "extra_data->>'nul'"), "a␀\\u0000");
    assert_eq!(ask(9, "extra_data"), "{\"nothing\": null}");
    assert_eq!(ask(10, "extra_data->>'number'"), u64::MAX.to_string());
    assert_eq!(ask(11, "(extra_data->>'huge')::float8 = 1.5e300"), "t");
}

#[tokio::test]
async fn every_time_that_a_record_can_have_is_stored() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    for (n, time) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
        sink.deliver(&[frame(n as u64 + 1, one(&record_at(time, &[], &[])))]).await.expect("delivers");
    }
    assert_eq!(
        server.ask("SELECT timestamp AT TIME ZONE 'UTC' FROM weir_logs ORDER BY id"),
        "1677-09-21 00:12:43.145224\n1969-12-31 23:59:59.999999\n1970-01-01 00:00:00\n2262-04-11 23:47:16.854775"
    );
}

#[tokio::test]
async fn after_a_crash_the_cursor_and_the_rows_agree() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    for sequence in 1..=4 {
        sink.deliver(&[frame(sequence, numbered(sequence * 10..sequence * 10 + 10))]).await.expect("delivers");
    }
    // Dropped as a killed process would.
    drop(sink);
    let mut sink = sink_of(&server, "j1", json!({}));
    assert_eq!(sink.start(100).await, Ok(Some(4)));
    // If the journal offers held records again, nothing is duplicated.
    for sequence in 3..=5 {
        sink.deliver(&[frame(sequence, numbered(sequence * 10..sequence * 10 + 10))]).await.expect("delivers");
    }
    let whole = frame(6, numbered(60..70));
    let (part, _) = whole.split(4);
    sink.deliver(&[part]).await.expect("delivers");
    let mut sink = sink_of(&server, "j1", json!({}));
    assert_eq!(sink.start(100).await, Ok(Some(5)), "frame 6 is not held whole");
    sink.deliver(&[whole]).await.expect("delivers");
    assert_eq!(held(&server), (10..70).collect::<Vec<_>>());
}

#[tokio::test]
async fn journals_do_not_hide_each_other_and_a_lost_end_is_detected() {
    let server = Postgres::start();
    let mut old = started(&server, json!({})).await;
    old.deliver(&[frame(5, numbered(0..3))]).await.expect("delivers");
    // The journal started over: another id, the same numbers.
    let mut new = sink_of(&server, "j2", json!({}));
    assert_eq!(new.start(0).await, Ok(None));
    new.deliver(&[frame(5, numbered(3..6))]).await.expect("delivers");
    // Another router with another sink writes to the same table at the same time.
    old.deliver(&[frame(6, numbered(6..7))]).await.expect("delivers");
    // The first journal has lost its end: new records have numbers that the cursor has already passed.
    let mut old = sink(&server, json!({}));
    assert_eq!(old.start(4).await, Ok(Some(6)));
    old.deliver(&[frame(5, numbered(7..9))]).await.expect("delivers");
    assert_eq!(held(&server), (0..9).collect::<Vec<_>>());
    assert_eq!(server.ask("SELECT journal, sequence FROM weir_cursor ORDER BY journal"), "j1|5\nj2|5");
}

#[tokio::test]
async fn a_transaction_still_running_on_the_server_is_waited_for() {
    let server = Postgres::start();
    drop(started(&server, json!({})).await);
    // A transaction that a killed Weir sent and the server has not finished.
    let _other = server.session(
        "BEGIN; UPDATE weir_cursor SET sequence = 5; SELECT pg_sleep(1); \
         INSERT INTO weir_logs(timestamp, level, logger_name, message) VALUES (now(), 'INFO', 'app', 'n=0'); COMMIT",
    );
    let under_way = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    eventually("the other transaction holds the row", || server.ask(under_way) == "1").await;
    let mut sink = sink(&server, json!({}));
    assert_eq!(sink.start(100).await, Ok(Some(5)));
    assert_eq!(held(&server), [0]);
}

#[tokio::test]
async fn a_cursor_moved_by_another_session_aborts_the_delivery() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    server.ask("UPDATE weir_cursor SET sequence = 3");
    let error = sink.deliver(&[frame(1, numbered(0..3))]).await.expect_err("moved");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("another weir")), "{error:?}");
    assert_eq!(sink.start(100).await, Ok(Some(3)));
    assert_eq!(held(&server), Vec::<u64>::new());
}

#[tokio::test]
async fn a_sink_takes_only_what_was_selected() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let mut frame = frame(4, numbered(0..5));
    frame.indexes = Indexes::These(vec![1, 3]);
    sink.deliver(&[frame]).await.expect("delivers");
    assert_eq!(held(&server), [1, 3]);
}

#[tokio::test]
async fn a_large_delivery_is_sent_in_pieces_in_one_transaction() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let frames: Vec<_> = (0..13).map(|n| frame(n + 1, numbered(n * 1001..(n + 1) * 1001))).collect();
    sink.deliver(&frames).await.expect("delivers");
    assert_eq!(held(&server), (0..13 * 1001).collect::<Vec<_>>());
    assert_eq!(server.ask("SELECT count(DISTINCT xmin::text) FROM weir_logs"), "1");
    let buffer = sink.live.as_ref().expect("connected").buffer.capacity();
    assert!(buffer < 2 * limits::POSTGRES_COPY_BYTES, "{buffer} bytes");
}
