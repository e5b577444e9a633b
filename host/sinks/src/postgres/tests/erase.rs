//! Erased rows: those that the query selects, from any partition, and no others.

use std::time::{Duration, Instant};

use weir_query::Query;

use super::*;
use crate::samples;

fn erasure(text: &str, dry_run: bool) -> Erasure {
    let query = Query::parse(text, samples::NOW_NS).expect("a query");
    Erasure::new(query, dry_run, Instant::now() + Duration::from_secs(600))
}

#[tokio::test]
async fn selected_rows_are_erased_and_the_sink_goes_on() {
    let server = Postgres::start();
    for (prefix, given) in
        [("plain", json!({ "prefix": "plain" })), ("parts", json!({ "prefix": "parts", "partition": "day" }))]
    {
        let mut sink = started(&server, given).await;
        let mut batch = Batch::new();
        for n in 0..60_i64 {
            let (user, text) = (format!("u{}", n % 3), format!("n={n}"));
            let at = samples::NOW_NS - n * 3_600_000_000_000;
            batch.push(&record_at(at, &[("message", &text), ("context.user", &user)], &[]));
        }
        sink.deliver(&[frame(1, batch)]).await.expect("delivers");
        let table = format!("{prefix}_logs");
        let count = || server.ask(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(sink.erase(&erasure("context.user=u1", true), 1).await, Ok(Erased::Records(20)));
        assert_eq!(count(), "60", "a dry run changes nothing");
        assert_eq!(sink.erase(&erasure("context.user=u1", false), 1).await, Ok(Erased::Records(20)));
        assert_eq!(sink.erase(&erasure("context.user=u1", false), 1).await, Ok(Erased::Records(0)));
        let left = numbers(&server.ask(&format!("SELECT message FROM {table} ORDER BY id")));
        assert_eq!(left, (0..60).filter(|n| n % 3 != 1).collect::<Vec<_>>());
        assert_eq!(sink.start(u64::MAX).await, Ok(Some(1)));
    }
}

#[tokio::test]
async fn a_table_with_other_columns_is_out_of_reach() {
    let server = Postgres::start();
    let given = json!({ "table": "mine", "columns": { "at": "timestamp", "text": "message" } });
    let mut sink = started(&server, given).await;
    let outcome = sink.erase(&erasure("n", false), 1).await.expect("no failure");
    assert!(matches!(&outcome, Erased::OutOfReach(Some(reason)) if reason.contains("`mine`")), "{outcome:?}");
}
