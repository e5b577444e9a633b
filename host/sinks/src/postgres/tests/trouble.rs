//! Servers in trouble: the error is classified, and nothing is lost or duplicated.

use std::net::TcpListener;
use std::sync::Arc;

use super::*;
use crate::servers::certificates::certificates;

/// Fails to deliver with a temporary error that contains the text; after `mend`, starts and delivers.
async fn retries(server: &mut Postgres, sink: &mut PostgresSink, text: &str, mend: impl FnOnce(&mut Postgres)) {
    let error = sink.deliver(&[frame(2, numbered(3..6))]).await.expect_err("fails");
    assert!(matches!(&error, SinkError::Retry(said) if said.contains(text) && said.contains("sut")), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
    mend(server);
    let held = sink.start(100).await.expect("starts");
    assert_eq!(held, Some(1));
    sink.deliver(&[frame(2, numbered(3..6))]).await.expect("delivers");
}

async fn with_one_frame(server: &Postgres, given: Value) -> PostgresSink {
    let mut sink = started(server, given).await;
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    sink
}

#[tokio::test]
async fn a_stopped_or_crashed_server_is_used_again_once_it_is_back() {
    for crash in [false, true] {
        let mut server = Postgres::start();
        let mut sink = with_one_frame(&server, json!({})).await;
        if crash {
            server.kill();
        } else {
            server.stop();
        }
        let error = sink.deliver(&[frame(2, numbered(3..6))]).await.expect_err("it is gone");
        assert!(matches!(error, SinkError::Retry(_)), "{error:?}");
        let error = sink.start(100).await.expect_err("it is still gone");
        assert!(matches!(&error, SinkError::Retry(text) if text.contains("is the server up")), "{error:?}");
        server.run();
        assert_eq!(sink.start(100).await, Ok(Some(1)));
        sink.deliver(&[frame(2, numbered(3..6))]).await.expect("delivers");
        assert_eq!(held(&server), (0..6).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn ended_sessions_and_locked_dropped_or_slow_tables_are_retried() {
    let mut server = Postgres::start();
    let mut sink = with_one_frame(&server, json!({ "lock_timeout": "100ms", "statement_timeout": "2s" })).await;
    let reset = |server: &Postgres| {
        server.ask("DELETE FROM weir_logs WHERE message > 'n=2'; UPDATE weir_cursor SET sequence = 1")
    };

    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weir'");
    retries(&mut server, &mut sink, "", |_| {}).await;
    assert_eq!(held(&server), (0..6).collect::<Vec<_>>());

    reset(&server);
    sink.start(100).await.expect("starts");
    let mut lock = Some(server.session("BEGIN; LOCK TABLE weir_logs; SELECT pg_sleep(60)"));
    let locked = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'weir_logs'::regclass";
    eventually("the table is locked", || server.ask(locked) == "1").await;
    retries(&mut server, &mut sink, "another session holds a lock", |server| {
        drop(lock.take());
        server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    })
    .await;

    reset(&server);
    sink.start(100).await.expect("starts");
    server.ask(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END'",
    );
    server.ask("CREATE TRIGGER slow BEFORE INSERT ON weir_logs FOR EACH ROW EXECUTE FUNCTION slow()");
    retries(&mut server, &mut sink, "statement_timeout", |server| drop(server.ask("DROP TRIGGER slow ON weir_logs")))
        .await;
    assert_eq!(held(&server), (0..6).collect::<Vec<_>>());

    reset(&server);
    sink.start(100).await.expect("starts");
    server.ask("DROP TABLE weir_logs");
    retries(&mut server, &mut sink, "does not exist", |_| {}).await;
    assert_eq!(held(&server), (3..6).collect::<Vec<_>>(), "made anew, from where the cursor stands");
}

#[tokio::test]
async fn a_full_disk_is_retried_and_nothing_is_stored_partially() {
    let mut server = Postgres::start_with(&[], Some(4 << 20));
    let small = server.folder().join("small");
    server.ask(&format!("CREATE TABLESPACE small LOCATION '{}'", small.display()));
    server.ask(
        "CREATE TABLE filler TABLESPACE small AS SELECT repeat(md5(n::text), 30) AS x FROM generate_series(1, 2000) n",
    );
    server.ask("ALTER ROLE postgres SET default_tablespace = small");
    let mut sink = with_one_frame(&server, json!({})).await;
    let error = sink.deliver(&[frame(2, numbered(3..30_000))]).await.expect_err("the disk is full");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("disk is full")), "{error:?}");
    retries_after_room(&mut server, &mut sink).await;
    assert_eq!(held(&server), (0..6).collect::<Vec<_>>());
}

async fn retries_after_room(server: &mut Postgres, sink: &mut PostgresSink) {
    server.ask("DROP TABLE filler");
    server.ask("VACUUM FULL weir_logs");
    assert_eq!(sink.start(100).await, Ok(Some(1)));
    sink.deliver(&[frame(2, numbered(3..6))]).await.expect("delivers");
}

#[tokio::test]
async fn missing_permissions_are_reported_with_advice_and_without_secrets() {
    let server = Postgres::start();
    server.ask("CREATE ROLE reader LOGIN PASSWORD 'secret-reader'");
    let url = |user: &str, password: &str, database: &str| json!({ "url": format!("postgres://{user}:{password}@127.0.0.1:{}/{database}", server.port()) });
    let right = crate::servers::postgres::PASSWORD;
    for (given, remedy) in [
        (url("postgres", "secret-wrong", "postgres"), "check `user` and `password`"),
        (url("postgres", right, "nonesuch"), "create the database"),
        (url("reader", "secret-reader", "postgres"), "grant the permission"),
    ] {
        let error = sink(&server, given).start(0).await.expect_err(remedy);
        assert!(matches!(&error, SinkError::Retry(text) if text.contains(remedy)), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    // If someone else has created the tables, permission to write them and to read the cursor is enough.
    drop(started(&server, json!({})).await);
    server.ask("GRANT INSERT ON weir_logs TO reader; GRANT USAGE ON weir_logs_id_seq TO reader; GRANT SELECT, INSERT, UPDATE ON weir_cursor TO reader");
    let mut sink = sink(&server, url("reader", "secret-reader", "postgres"));
    sink.start(0).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    assert_eq!(held(&server), [0, 1, 2]);
}

#[tokio::test]
async fn a_standby_is_waited_for_until_it_is_promoted() {
    let mut server = Postgres::start();
    let mut sink = with_one_frame(&server, json!({})).await;
    server.stop();
    // A failover as Weir sees it: the same address, but the server is read-only for a while.
    std::fs::write(server.folder().join("data/standby.signal"), "").expect("written");
    server.run();
    let error = sink.deliver(&[frame(2, numbered(3..6))]).await.expect_err("the session is gone");
    assert!(matches!(error, SinkError::Retry(_)), "{error:?}");
    let error = sink.start(100).await.expect_err("read-only");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("standby")), "{error:?}");
    server.ask("SELECT pg_promote()");
    assert_eq!(sink.start(100).await, Ok(Some(1)));
    sink.deliver(&[frame(2, numbered(3..6))]).await.expect("delivers");
    assert_eq!(held(&server), (0..6).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("listens");
    let port = silent.local_addr().expect("bound").port();
    let given =
        json!({ "host": "127.0.0.1", "port": port, "user": "u", "password": "secret", "connect_timeout": "100ms" });
    let mut sink = PostgresSink::new("sut", options("sut", given).expect("options"), "j1").expect("builds");
    let error = sink.start(0).await.expect_err("silent");
    assert!(matches!(&error, SinkError::Retry(text) if text.contains("within 100ms")), "{error:?}");
}

#[tokio::test]
async fn one_bad_record_goes_to_quarantine_and_all_others_arrive_in_order() {
    let server = Postgres::start();
    drop(started(&server, json!({})).await);
    server.ask("ALTER TABLE weir_logs ADD CONSTRAINT no_seven CHECK (message NOT LIKE '%=7_7')");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, cell) = (journal(&folder.path().join("journal")), Arc::new(MemoryQuarantine::default()));
    append(&journal, &numbered(0..1000));
    append(&journal, &numbered(1000..1010));
    let sink = Box::new(sink(&server, json!({ "linger": "0" })));
    let runner = RunnerOptions { name: "sut".into(), ..RunnerOptions::default() };
    let running = spawn(runner, sink, journal, cell.clone(), &FallbackQueues::default()).expect("starts");
    let stopped = running.stop().await;
    assert_eq!((stopped.pending_records, stopped.error), (0, None));
    let bad: Vec<u64> = (0..10).map(|n| 707 + n * 10).collect();
    let expected: Vec<u64> = (0..1010).filter(|n| !bad.contains(n)).collect();
    assert_eq!(held(&server), expected);
    let cell = cell.held.lock().expect("not poisoned");
    assert_eq!(cell.len(), bad.len());
    assert!(cell.iter().all(|(from, reason, _)| from == "sink:sut" && reason.contains("no_seven")), "{:?}", cell[0].1);
}

#[tokio::test]
async fn the_reason_names_the_column_of_a_value_that_the_server_refuses() {
    let server = Postgres::start();
    server.ask("CREATE TABLE ids(id uuid, what text)");
    let mut sink = started(&server, json!({ "table": "ids", "columns": { "id": "id", "what": "message" } })).await;
    let error = sink.deliver(&[frame(1, one(&record(&[("id", "no uuid")], &[])))]).await.expect_err("refused");
    assert!(
        matches!(&error, SinkError::Reject(text) if text.contains("uuid") && text.contains("column `id`")),
        "{error:?}"
    );
}

/// Certificates in the server's folder.
fn certificates_of(server: &Postgres) {
    certificates(server.folder());
    // PostgreSQL accepts only a key that it owns.
    let mut chown = std::process::Command::new("chown");
    chown.args(["--reference=data/PG_VERSION", "localhost.key"]).current_dir(server.folder());
    assert!(chown.status().expect("chown").success());
}

#[tokio::test]
async fn the_certificate_is_checked_against_a_custom_authority_and_the_host() {
    let server = Postgres::start();
    certificates_of(&server);
    let folder = server.folder().display();
    server.ask(&format!("ALTER SYSTEM SET ssl_cert_file = '{folder}/localhost.pem'"));
    server.ask(&format!("ALTER SYSTEM SET ssl_key_file = '{folder}/localhost.key'"));
    server.ask("ALTER SYSTEM SET ssl = on");
    server.ask("SELECT pg_reload_conf()");
    eventually("it encrypts", || server.ask("SHOW ssl") == "on").await;
    let to = |host: &str, ca: bool| {
        let ca = if ca { json!(format!("{folder}/ca.pem")) } else { Value::Null };
        json!({
            "host": host, "port": server.port(), "user": "postgres", "database": "postgres",
            "password": crate::servers::postgres::PASSWORD, "sslmode": "verify-full", "ca": ca,
        })
    };
    let sink = |given: Value| PostgresSink::new("sut", options("sut", given).expect("options"), "j1").expect("builds");
    let mut trusted = sink(to("localhost", true));
    trusted.start(0).await.expect("starts");
    trusted.deliver(&[frame(1, numbered(0..3))]).await.expect("delivers");
    let encrypted = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'weir'";
    assert_eq!(server.ask(encrypted), "t");
    for given in [to("localhost", false), to("127.0.0.1", true)] {
        let error = sink(given).start(0).await.expect_err("not trusted");
        assert!(matches!(&error, SinkError::Retry(text) if text.contains("`sslmode` and `ca`")), "{error:?}");
    }
}
