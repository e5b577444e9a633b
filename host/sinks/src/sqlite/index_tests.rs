//! The search index as other clients see it: Debian's `sqlite3` shell and Python's module, both older than Weir's
//! SQLite, read it and delete from it. An index of the previous form is replaced, even across a crash.

use std::process::Command;

use serde_json::json;
use weir_record::write;

use super::tests::Place;
use super::*;
use crate::testing::{frame, numbered, record};

impl Place {
    /// The answer of Python's sqlite3 module, on one line.
    fn python(&self, sql: &str) -> String {
        let script = "import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=10)
rows = database.execute(sys.argv[2]).fetchall()
database.commit()
print('|'.join(str(value) for row in rows for value in row))";
        let output = Command::new("python3")
            .args(["-c", script])
            .arg(self.path())
            .arg(sql)
            .output()
            .expect("python3 is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_string()
    }

    /// Words still in the index after the deleted ones have been merged away.
    fn words_left(&self) -> String {
        self.ask(
            "INSERT INTO logs_search(logs_search) VALUES ('optimize');
             CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, 'logs_search', 'row');
             SELECT group_concat(term, ' ') FROM temp.words",
        )
    }
}

/// Records with several JSON representations, or none.
fn odd(n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write::map16_header(&mut out, 6);
    write::str(&mut out, "timestamp");
    write::int64(&mut out, 1);
    for (key, value) in [("level", "INFO"), ("source", "a\0b"), ("message", "odd\0\tmessage \u{1d173}")] {
        write::str(&mut out, key);
        write::str(&mut out, value);
    }
    write::str(&mut out, "n");
    write::uint(&mut out, n as u64);
    write::str(&mut out, "odd");
    match n % 14 {
        0 => write::str(&mut out, "a NUL\0 inside"),
        1 => write::str(&mut out, "a backslash \\u0000 that is none"),
        2 => write::uint(&mut out, u64::MAX),
        3 => write::uint(&mut out, i64::MAX as u64 + 1),
        4 => write::int(&mut out, i64::MIN),
        5 => write::int(&mut out, i64::MAX),
        6 => write::float(&mut out, 1e300),
        7 => write::float(&mut out, f64::NAN),
        8 => write::bin(&mut out, b"bytes, which are base64 in JSON"),
        9 => write::ext(&mut out, 7, b"an extension"),
        10 => write::ext(&mut out, -1, &[0x65, 0x53, 0xf1, 0x00]),
        11 => write::str(
            &mut out,
            "first\nCaused by:\r\n\tat \"x\"\u{7f}\u{1b}[0m\u{8}\u{c} Zürich 日本 \u{1f600}\u{2028}",
        ),
        12 => {
            write::array_header(&mut out, 4);
            write::str(&mut out, "");
            write::bool(&mut out, true);
            write::nil(&mut out);
            write::map_header(&mut out, 2);
            write::str(&mut out, "key \" with.dots[0]");
            write::str(&mut out, "deep");
            write::str(&mut out, "\0");
            write::float(&mut out, 2.0);
        }
        _ => write::map_header(&mut out, 0),
    }
    out
}

const SEARCHED: &str = "SELECT message FROM logs WHERE id IN (SELECT rowid FROM logs_search WHERE logs_search MATCH 'zurich OR \"connection refused\"') ORDER BY id";

#[tokio::test]
async fn the_shell_of_the_system_and_python_search_and_delete() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let mut batch = weir_record::Batch::new();
    for (message, city) in [("connection refused", "Berne"), ("timeout", "Zürich"), ("all is well", "Basel")] {
        batch.push(&record(&[("message", message), ("context.city", city)], &[]));
    }
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    assert_eq!(place.ask(SEARCHED), "connection refused\ntimeout");
    assert_eq!(place.python(SEARCHED), "connection refused|timeout");
    let snippet = "SELECT snippet(logs_search, -1, '[', ']', '…', 5) FROM logs_search WHERE logs_search MATCH 'zurich'";
    assert_eq!((place.ask(snippet), place.python(snippet)), ("[Zürich]".into(), "[Zürich]".into()));
    place.python("DELETE FROM logs WHERE id = 1");
    assert_eq!(place.ask(SEARCHED), "timeout");
    place.ask("UPDATE logs SET message = 'a connection refused again' WHERE id = 3");
    assert_eq!(place.python(SEARCHED), "timeout|a connection refused again");
    place.ask("DELETE FROM logs");
    assert_eq!(place.words_left(), "");
}

#[tokio::test]
async fn every_version_of_sqlite_removes_from_the_index_exactly_what_was_added() {
    let place = Place::new();
    let mut sink = place.started(json!({})).await;
    let mut batch = weir_record::Batch::new();
    (0..56).for_each(|n| batch.push(&odd(n)));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    for found in ["NUL", "18446744073709551615", "9223372036854775807", "caused", "deep", "日本", "2023"] {
        assert_eq!(place.count(found), "4", "{found}");
    }
    // One row each for the shell, for our own SQLite and, by an update, for both.
    place.ask("DELETE FROM logs WHERE id % 28 < 14");
    place.search("UPDATE logs SET message = 'changed' WHERE id < 40").await;
    place.search("DELETE FROM logs WHERE id > 50").await;
    place.ask("DELETE FROM logs WHERE id <= 50");
    assert_eq!(place.ask("SELECT count(*) FROM logs"), "0");
    assert_eq!(place.words_left(), "");
}

#[tokio::test]
async fn rows_stored_without_the_index_are_added_later_and_can_be_deleted_before() {
    let place = Place::new();
    let mut sink = place.started(json!({ "search": false })).await;
    sink.deliver(&[frame(1, numbered(0..30))]).await.expect("delivers");
    drop(sink);
    let mut sink = place.started(json!({ "search": true })).await;
    sink.deliver(&[frame(2, numbered(30..40))]).await.expect("delivers");
    drop(sink);
    assert_eq!(place.count("n"), "40");
    let mut sink = place.started(json!({ "search": false })).await;
    sink.deliver(&[frame(3, numbered(40..60))]).await.expect("delivers");
    drop(sink);
    place.ask("DELETE FROM logs WHERE id % 2 = 0");
    assert_eq!(place.count("n"), "20", "those that are in it, and none twice");
    place.started(json!({ "search": true })).await;
    assert_eq!((place.count("n"), place.ask("SELECT count(*) FROM logs")), ("30".into(), "30".into()));
    place.ask("DELETE FROM logs");
    assert_eq!(place.words_left(), "");
}

/// The index of the previous form, over the rows in `logs`.
const BEFORE: &str = "
DROP TRIGGER logs_search_delete; DROP TRIGGER logs_search_update; DROP TABLE logs_search; DROP VIEW logs_words;
CREATE VIRTUAL TABLE logs_search USING fts5(message, fields, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
CREATE TRIGGER logs_search_delete AFTER DELETE ON logs BEGIN
  DELETE FROM logs_search WHERE rowid = old.id;
END;
INSERT INTO logs_search(rowid, message, fields) SELECT id, message, fields FROM logs;
DELETE FROM logs WHERE id <= 100;
";

impl Place {
    /// Adds the same number of rows, deletes the first hundred, and creates the previous index.
    async fn of_before(rows: u64) -> Place {
        let place = Place::new();
        let mut sink = place.started(json!({})).await;
        sink.deliver(&[frame(1, numbered(0..rows))]).await.expect("delivers");
        drop(sink);
        let mut connection = SqliteConnectOptions::new().filename(place.path()).connect().await.expect("connects");
        sqlx::raw_sql(BEFORE).execute(&mut connection).await.expect("runs");
        place
    }
}

#[tokio::test]
async fn an_index_of_the_previous_form_is_replaced_and_holds_every_row() {
    let place = Place::of_before(12_000).await;
    let mut sink = place.started(json!({})).await;
    sink.deliver(&[frame(2, numbered(12_000..12_010))]).await.expect("delivers");
    assert_eq!((place.count("n"), place.python(SEARCHED)), ("11910".into(), String::new()));
    drop(sink);
    place.started(json!({})).await;
    assert_eq!(place.count("n"), "11910", "once");
    place.ask("DELETE FROM logs");
    assert_eq!(place.words_left(), "");
}

#[tokio::test]
async fn an_interrupted_index_build_is_finished() {
    let place = Place::of_before(12_000).await;
    // As far as a kill after the first transaction lets it get.
    let mut connection = place.sink(json!({})).connect().await.expect("opens");
    let cut = "INSERT INTO logs_search(logs_search) VALUES ('delete-all');
               INSERT INTO logs_search(rowid, message, fields) SELECT id, message, fields FROM logs_words WHERE id <= 5100";
    sqlx::raw_sql(cut).execute(&mut connection).await.expect("runs");
    drop(connection);
    assert_eq!(place.count("n"), "5000");
    place.started(json!({})).await;
    assert_eq!(place.count("n"), "11900");
    place.ask("DELETE FROM logs");
    assert_eq!(place.words_left(), "");
}

#[tokio::test]
async fn an_index_of_the_previous_form_is_dropped_if_search_is_off() {
    let place = Place::of_before(200).await;
    place.started(json!({ "search": false })).await;
    assert_eq!(place.ask("SELECT group_concat(name) FROM sqlite_master WHERE name LIKE 'logs_search%'"), "");
    place.ask("DELETE FROM logs WHERE id < 150");
    assert_eq!(place.ask("SELECT count(*) FROM logs"), "51");
}
