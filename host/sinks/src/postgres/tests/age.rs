//! Partitions and retention.

use super::*;

const DAY_NS: i64 = 86_400_000_000_000;

/// Records that contain `n=…`, from a number of days ago.
fn aged(numbers: std::ops::Range<u64>, days: i64) -> Batch {
    let mut batch = Batch::new();
    for n in numbers {
        batch.push(&record_at(now_ns() - days * DAY_NS, &[("message", &format!("n={n}"))], &[]));
    }
    batch
}

fn partitions(server: &Postgres) -> Vec<String> {
    let sql = "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'weir_logs'::regclass ORDER BY 1::text";
    server.ask(sql).lines().map(str::to_string).collect()
}

#[tokio::test]
async fn old_rows_are_deleted_in_slices() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({ "retention": "7d" })).await;
    let slice = limits::POSTGRES_RETENTION_ROWS;
    sink.deliver(&[frame(1, aged(0..2 * slice + 10, 8)), frame(2, aged(20_000..20_003, 6))]).await.expect("delivers");
    let live = sink.live.as_mut().expect("connected");
    assert!(live.days.maintain(&mut live.connection, &live.names, "weir_logs").await.expect("tends"), "there is more");
    assert_eq!(server.ask("SELECT count(*) FROM weir_logs"), (slice + 13).to_string());
    while sink.maintain().await.expect("tends") {}
    assert_eq!(held(&server), [20_000, 20_001, 20_002]);
}

#[tokio::test]
async fn retention_works_with_a_time_column_of_any_type() {
    let server = Postgres::start();
    for (kind, table) in [("bigint", "a"), ("timestamp", "b"), ("text", "c"), ("date", "d"), ("numeric", "e")] {
        server.ask(&format!("CREATE TABLE {table}(at {kind}, what text)"));
        let columns = json!({ "at": "timestamp", "what": "message" });
        let mut all = columns.clone();
        all["rest"] = "*".into();
        server.ask(&format!("ALTER TABLE {table} ADD COLUMN rest jsonb"));
        let mut sink = sink_of(&server, table, json!({ "table": table, "retention": "7d", "columns": all }));
        sink.start(0).await.expect(kind);
        sink.deliver(&[frame(1, aged(0..2, 9)), frame(2, aged(2..3, 5))]).await.expect(kind);
        while sink.maintain().await.expect(kind) {}
        assert_eq!(server.ask(&format!("SELECT what FROM {table}")), "n=2", "{kind}");
    }
}

#[tokio::test]
async fn every_day_gets_a_partition_even_late_and_old_ones_are_dropped() {
    let server = Postgres::start();
    let given = json!({ "partition": "day", "retention": "7d" });
    let mut sink = started(&server, given.clone()).await;
    sink.deliver(&[frame(1, aged(0..3, 0)), frame(2, aged(3..5, 3))]).await.expect("delivers");
    assert_eq!(partitions(&server).len(), 2);
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = (SELECT min(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'weir_logs'::regclass)";
    assert_eq!(server.ask(indexes), "8", "the partition has the table's indexes");
    while sink.maintain().await.expect("tends") {}
    assert_eq!(partitions(&server).len(), 3, "tomorrow's is there before anybody waits for it");
    // Created when the retention was longer: the day is past now.
    let mut longer = started(&server, json!({ "partition": "day", "retention": "30d" })).await;
    longer.deliver(&[frame(3, aged(5..7, 20))]).await.expect("delivers");
    assert_eq!(partitions(&server).len(), 4);
    let mut sink = started(&server, given).await;
    while sink.maintain().await.expect("tends") {}
    assert_eq!(partitions(&server).len(), 3);
    assert_eq!(held(&server), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_time_out_of_range_is_refused_and_makes_no_partition() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({ "partition": "day" })).await;
    for days in [-30, 5000] {
        let error = sink.deliver(&[frame(1, aged(0..1, days))]).await.expect_err("refused");
        assert!(matches!(&error, SinkError::Reject(text) if text.contains("out of range")), "{error:?}");
    }
    assert_eq!(partitions(&server), Vec::<String>::new());
    sink.deliver(&[frame(1, aged(0..1, 400))]).await.expect("an archive is taken in");
}

#[tokio::test]
async fn a_dropped_partition_is_created_again_and_a_foreign_one_is_used() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({ "partition": "day" })).await;
    sink.deliver(&[frame(1, aged(0..1, 2))]).await.expect("delivers");
    server.ask(&format!("DROP TABLE {}", partitions(&server)[0]));
    let error = sink.deliver(&[frame(2, aged(1..2, 2))]).await.expect_err("it is gone");
    assert!(matches!(&error, SinkError::Reject(_)), "{error:?}");
    sink.deliver(&[frame(2, aged(1..2, 2))]).await.expect("made again");
    server.ask(&format!("DROP TABLE {}", partitions(&server)[0]));
    server.ask("CREATE TABLE rest PARTITION OF weir_logs FOR VALUES FROM ('1990-01-01') TO ('2200-01-01')");
    let mut sink = started(&server, json!({ "partition": "day" })).await;
    sink.deliver(&[frame(3, aged(2..3, 2))]).await.expect("delivers");
    assert_eq!(server.ask("SELECT message FROM rest"), "n=2");
}

#[tokio::test]
async fn a_table_unsuitable_for_retention_is_reported_at_the_start() {
    let server = Postgres::start();
    server.ask("CREATE TABLE cut(timestamp timestamptz, message text) PARTITION BY LIST (message)");
    server.ask("CREATE TABLE plain(timestamp timestamptz, message text)");
    let columns = json!({ "timestamp": "timestamp", "message": "message" });
    for (given, named) in [
        (json!({ "table": "cut", "retention": "7d", "columns": columns }), "partition = \"day\""),
        (json!({ "table": "cut", "partition": "day", "columns": columns }), "not partitioned by ranges"),
        (json!({ "table": "plain", "partition": "day", "columns": columns }), "not partitioned by ranges"),
    ] {
        let error = sink(&server, given).start(0).await.expect_err(named);
        assert!(matches!(&error, SinkError::Fatal(text) if text.contains(named)), "{error:?}");
    }
}

#[tokio::test]
async fn undeletable_old_rows_do_not_block_new_ones() {
    let server = Postgres::start();
    let mut sink = started(&server, json!({ "retention": "7d" })).await;
    sink.deliver(&[frame(1, aged(0..3, 8))]).await.expect("delivers");
    server.ask("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''kept''; END'");
    server.ask("CREATE TRIGGER no BEFORE DELETE ON weir_logs FOR EACH ROW EXECUTE FUNCTION no()");
    assert_eq!(sink.maintain().await, Ok(false));
    assert!(sink.last_maintenance_error.contains("kept"), "{}", sink.last_maintenance_error);
    sink.deliver(&[frame(2, aged(3..4, 0))]).await.expect("delivers");
    assert_eq!(held(&server), [0, 1, 2, 3]);
}
