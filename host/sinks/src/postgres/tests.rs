//! The PostgreSQL sink over a real server, read back by `psql`.

use std::sync::Arc;

use serde_json::{Value, json};
use weir_record::Batch;

use super::*;
use crate::compliance::Place;
use crate::servers::postgres::{PASSWORD, Postgres};
use crate::sink::Indexes;
use crate::testing::{frame, numbered, numbers, record, record_at};

/// The place of the compliance test.
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
        numbers(&self.server.ask("SELECT message FROM weir_logs ORDER BY id"))
    }
}

/// A sink for a journal of that name, not started.
fn sink_of(server: &Postgres, journal: &str, given: Value) -> PostgresSink {
    let mut all = json!({ "url": server.url() });
    let (Value::Object(all_options), Value::Object(given)) = (&mut all, given) else { panic!("options are tables") };
    all_options.extend(given);
    PostgresSink::new("sut", options("sut", all).expect("options"), journal).expect("builds")
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

fn one(fields: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::new();
    batch.push(&record(fields, &[]));
    batch
}

#[tokio::test]
async fn a_record_is_a_row_of_the_default_table_with_the_rest_as_jsonb() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({})).await;
    let mut batch = Batch::new();
    let fields = [
        ("level", "ERROR"),
        ("source", "api"),
        ("message", "it's \"broken\"\tor \\N"),
        ("hostname", "web-1"),
        ("lineno", "42"),
        ("context.user", "ann"),
    ];
    batch.push(&record_at(1_700_000_000_123_456_789, &fields, &["audit"]));
    sink.deliver(&[frame(7, batch)]).await.expect("delivers");
    assert_eq!(
        server.ask("SELECT id, timestamp AT TIME ZONE 'UTC', level, logger_name, hostname, lineno, message, process_id IS NULL, extra_data, created_at IS NOT NULL FROM weir_logs"),
        "1|2023-11-14 22:13:20.123456|ERROR|api|web-1|42|it's \"broken\"\tor \\N|t|{\"routes\": [\"audit\"], \"context\": {\"user\": \"ann\"}}|t"
    );
    assert_eq!(server.ask("SELECT extra_data #>> '{context,user}' FROM weir_logs"), "ann");
    assert_eq!(server.ask("SELECT sink, journal, sequence, position FROM weir_cursor"), "sut|j1|7|");
}
