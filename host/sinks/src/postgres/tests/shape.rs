//! Tables that Weir creates, existing tables that fit, and tables that don't.

use super::*;

#[tokio::test]
async fn the_default_table_has_the_documented_columns_and_indexes() {
    let server = Postgres::start();
    // Twice at once, as if two routers started on an empty database.
    let (mut first, mut second) = (sink_of(&server, "j1", json!({})), sink_of(&server, "j2", json!({})));
    let both = tokio::join!(first.start(0), second.start(0));
    assert_eq!(both, (Ok(None), Ok(None)));
    let columns = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' !' ELSE '' END, ', ' ORDER BY attnum) \
                   FROM pg_attribute WHERE attrelid = 'weir_logs'::regclass AND attnum > 0";
    assert_eq!(
        server.ask(columns),
        "id bigint !, timestamp timestamp with time zone !, level character varying(10) !, \
         logger_name character varying(255) !, process_id integer, thread_id bigint, thread_name character varying(255), \
         hostname character varying(255), message text !, exception text, function_name character varying(255), \
         module character varying(255), filename character varying(500), lineno integer, pathname text, extra_data jsonb, \
         created_at timestamp with time zone"
    );
    let indexes = server.ask(
        "SELECT regexp_replace(indexdef, '.* USING ', '') FROM pg_indexes WHERE tablename = 'weir_logs' ORDER BY 1",
    );
    assert_eq!(
        indexes.lines().collect::<Vec<_>>(),
        [
            "btree (\"timestamp\" DESC)",
            "btree (\"timestamp\", level, logger_name)",
            "btree (hostname)",
            "btree (id)",
            "btree (level)",
            "btree (logger_name)",
            "gin (((regexp_split_to_array(replace(replace(lower((message COLLATE \"C\")), '\u{17f}'::text, 's'::text), \
             '\u{212a}'::text, 'k'::text), '[^a-z0-9_]+'::text))::character varying(64)[]))",
            "gin (extra_data jsonb_path_ops)"
        ]
    );
    drop(started(&server, json!({ "prefix": "unsearched", "search": false })).await);
    assert_eq!(server.ask("SELECT count(*) FROM pg_indexes WHERE tablename = 'unsearched_logs'"), "6");
}

#[tokio::test]
async fn schema_prefix_and_names_with_quotes_are_used_verbatim() {
    let server = Postgres::start();
    let evil = "x\"; DROP TABLE t; --";
    server.ask("CREATE TABLE t(a int)");
    let given = json!({ "schema": evil, "prefix": "My", "columns": { "timestamp": "timestamp", evil: "message", "rest": "*" } });
    let mut sink = started(&server, given.clone()).await;
    sink.deliver(&[frame(1, numbered(0..2))]).await.expect("delivers");
    let quoted = evil.replace('"', "\"\"");
    assert_eq!(
        server.ask(&format!("SELECT id, \"{quoted}\", rest FROM \"{quoted}\".\"My_logs\"")),
        "1|n=0|{\"level\": \"INFO\", \"source\": \"app\"}\n2|n=1|{\"level\": \"INFO\", \"source\": \"app\"}"
    );
    assert_eq!(server.ask("SELECT count(*) FROM t"), "0");
    assert_eq!(sink_of(&server, "j1", given).start(9).await, Ok(Some(1)));
}

#[tokio::test]
async fn a_table_of_another_shape_is_filled_through_the_mapping() {
    let server = Postgres::start();
    server.ask("CREATE TYPE severity AS ENUM ('INFO', 'ERROR')");
    server.ask(
        "CREATE TABLE app_events(key uuid, at timestamp, at_ns bigint, sev severity NOT NULL, who text, ip inet, \
         ok boolean, took real, cost numeric, day date, tags jsonb, what varchar(5), data json, \
         always int GENERATED ALWAYS AS (1) STORED, auto int GENERATED ALWAYS AS IDENTITY)",
    );
    let mut sink = started(
        &server,
        json!({ "table": "app_events", "columns": {
            "key": "context.id", "at": "timestamp", "at_ns": "timestamp", "sev": "level", "day": "timestamp",
            "who": ["context.user.name", "user"], "ip": "peer.0", "ok": "ok", "took": "took", "cost": "cost",
            "tags": "tags", "what": "message", "data": "*" } }),
    )
    .await;
    let mut bytes = Vec::new();
    write::map16_header(&mut bytes, 10);
    let put = |bytes: &mut Vec<u8>, key: &str| write::str(bytes, key);
    put(&mut bytes, "timestamp");
    write::int64(&mut bytes, 1_700_000_000_123_456_789);
    for (key, value) in [("level", "ERROR"), ("source", "app"), ("message", "a long one"), ("user", "bob")] {
        put(&mut bytes, key);
        write::str(&mut bytes, value);
    }
    put(&mut bytes, "context");
    write::map_header(&mut bytes, 2);
    put(&mut bytes, "id");
    write::str(&mut bytes, "8f14e45f-ceea-467f-a0f6-4bd2e6a1f0d7");
    put(&mut bytes, "more");
    write::int(&mut bytes, 1);
    put(&mut bytes, "ok");
    write::bool(&mut bytes, true);
    put(&mut bytes, "took");
    write::float(&mut bytes, 0.5);
    put(&mut bytes, "cost");
    write::float(&mut bytes, 12.25);
    put(&mut bytes, "peer");
    write::array_header(&mut bytes, 1);
    write::str(&mut bytes, "10.0.0.1");
    sink.deliver(&[frame(1, one(&bytes))]).await.expect("delivers");
    assert_eq!(
        server
            .ask("SELECT key, at, at_ns, sev, day, who, ip, ok, took, cost, tags IS NULL, what, data FROM app_events"),
        "8f14e45f-ceea-467f-a0f6-4bd2e6a1f0d7|2023-11-14 22:13:20.123456|1700000000123456789|ERROR|2023-11-14|bob|\
         10.0.0.1|t|0.5|12.25|t|a lo…|{\"source\":\"app\",\"message\":\"a long one\",\"context\":{\"more\":1},\"peer\":[\"10.0.0.1\"]}"
    );
}

#[tokio::test]
async fn a_missing_or_unfit_column_is_reported_with_advice() {
    let server = Postgres::start();
    server.ask("CREATE TABLE events(id serial, at int, said int, big varchar(9), must text NOT NULL, made int GENERATED ALWAYS AS (1) STORED)");
    server.ask("CREATE VIEW seen AS SELECT 1 AS message");
    let cases = [
        (json!({ "m": "message" }), "no column `m`", "ADD COLUMN \"m\" text"),
        (json!({ "at": "timestamp" }), "`at` is integer", "timestamptz"),
        (json!({ "said": "message" }), "`said` is integer", "can't hold text"),
        (json!({ "big": "*" }), "`big` is character varying(9)", "jsonb"),
        (json!({ "made": "message" }), "`made` is integer", "computes"),
        (json!({ "big": "message" }), "`must` must not be null", "add one in `columns`"),
    ];
    for (columns, named, remedy) in cases {
        let mut sink = sink(&server, json!({ "table": "events", "columns": columns }));
        let error = sink.start(0).await.expect_err(named);
        let SinkError::Fatal(text) = &error else { panic!("{error:?}") };
        assert!(text.contains(named) && text.contains(remedy) && text.contains("events"), "{text}");
    }
    let error = sink(&server, json!({ "table": "seen" })).start(0).await.expect_err("a view");
    assert!(matches!(&error, SinkError::Fatal(text) if text.contains("not a table")), "{error:?}");
    assert_eq!(server.ask("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1", "nothing was made");
}

#[tokio::test]
async fn without_a_column_for_the_rest_values_that_would_be_cut_are_refused() {
    let server = Postgres::start();
    server.ask("CREATE TABLE short(what varchar(5), n int NOT NULL)");
    let mut sink = started(&server, json!({ "table": "short", "columns": { "what": "message", "n": "n" } })).await;
    let said = |message: &str, n: &str| one(&record(&[("message", message), ("n", n)], &[]));
    sink.deliver(&[frame(1, said("fits", "1"))]).await.expect("delivers");
    for (batch, named) in [(said("too long", "2"), "`what`"), (said("fits", "no number"), "`n`")] {
        let error = sink.deliver(&[frame(2, batch)]).await.expect_err(named);
        assert!(matches!(&error, SinkError::Reject(text) if text.contains(named)), "{error:?}");
    }
    sink.deliver(&[frame(2, said("again", "3"))]).await.expect("the connection is as good as before");
    assert_eq!(server.ask("SELECT * FROM short"), "fits|1\nagain|3");
}

#[tokio::test]
async fn a_unique_value_is_stored_once_whichever_router_brings_it() {
    let server = Postgres::start();
    let given = json!({ "unique": "bus.id", "linger": "0" });
    let messages = |ids: &[&str]| {
        let mut batch = Batch::new();
        for id in ids {
            let fields: &[(&str, &str)] = if id.is_empty() { &[] } else { &[("bus.id", id)] };
            batch.push(&record(&[&[("message", *id)], fields].concat(), &[]));
        }
        batch
    };
    let mut one = started(&server, given.clone()).await;
    one.deliver(&[frame(1, messages(&["a", "b", "a", "", ""]))]).await.expect("delivers");
    let mut other = sink_of(&server, "j2", given);
    other.start(u64::MAX).await.expect("starts");
    other
        .deliver(&[frame(1, messages(&["b", "c\0"])), frame(2, messages(&["c\u{fffd}", "d"]))])
        .await
        .expect("delivers");
    one.deliver(&[frame(2, messages(&["c\0", "d", "e"]))]).await.expect("delivers");
    let stored = server.ask("SELECT coalesce(extra_data->'bus'->>'id', '-') FROM weir_logs ORDER BY id");
    assert_eq!(stored.lines().count(), 7, "{stored}");
    assert_eq!(server.ask("SELECT count(*) FROM weir_unique"), "5");
    server.ask("UPDATE weir_unique SET stored_at = now() - interval '8 days'");
    assert!(!one.maintain().await.expect("forgets"), "there are no more");
    assert_eq!(server.ask("SELECT count(*) FROM weir_unique"), "0");
}

#[tokio::test]
async fn routers_that_write_the_same_unique_values_at_the_same_time_do_not_block_each_other() {
    let server = Postgres::start();
    let given = json!({ "unique": "bus.id", "linger": "0" });
    let mut writers = Vec::new();
    for journal in ["j1", "j2", "j3"] {
        let mut sink = sink_of(&server, journal, given.clone());
        sink.start(u64::MAX).await.expect("starts");
        writers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::new();
            for sequence in 1..=20 {
                let mut ids: Vec<u32> = (0..200).collect();
                random.shuffle(&mut ids);
                let mut batch = Batch::new();
                for id in &ids[..100] {
                    batch.push(&record(&[("message", "m"), ("bus.id", &id.to_string())], &[]));
                }
                sink.deliver(&[frame(sequence, batch)]).await.expect("delivers");
            }
        }));
    }
    for writer in writers {
        writer.await.expect("it ends");
    }
    let counts = server.ask("SELECT count(*), count(DISTINCT extra_data->'bus'->>'id') FROM weir_logs");
    assert_eq!(counts, "200|200");
}
