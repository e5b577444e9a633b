//! The search index of the `sqlite` sink: the documented queries run in Debian's shell and in Python's module, and an
//! index in the previous format is replaced, even if the router is killed during that.

use std::path::Path;

use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use super::clients::{post, python, run, sqlite};
use super::router::{Home, eventually, repository};

/// Number of rows that takes seconds to index.
const ROWS: u32 = 300_000;

/// SQL for Weir's own SQLite, which is newer than the shell.
fn own(database: &Path, sql: String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnectOptions::new().filename(database).connect().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    });
}

/// Replaces the index with one in the previous format, and adds many rows.
fn before() -> String {
    format!(
        "DROP TRIGGER logs_search_delete; DROP TRIGGER logs_search_update; DROP TABLE logs_search; DROP VIEW logs_words;
         CREATE VIRTUAL TABLE logs_search USING fts5(message, fields, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
         CREATE TRIGGER logs_search_delete AFTER DELETE ON logs BEGIN DELETE FROM logs_search WHERE rowid = old.id; END;
         WITH RECURSIVE n(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
         INSERT INTO logs(id, sequence, position, timestamp, level, source, message, fields)
         SELECT n, 0, n, n, 'INFO', 'old', 'message number ' || n, '{{\"user\":\"u' || (n % 100) || '\",\"n\":' || n || '}}' FROM n;"
    )
}

#[test]
fn an_index_in_the_previous_format_is_replaced_even_if_the_router_is_killed() {
    let home = Home::with("[sink.store]\ntype = 'sqlite'\n");
    let router = home.start();
    post(&router, r#"{"message":"message number 1","user":"u1"}"#);
    let database = home.path("weir-data/logs.db");
    let count = |sql: &str| sqlite(&database, &format!("select count(*) from {sql}"));
    eventually("it is stored", || database.exists() && count("logs") == "1");
    assert!(router.stop().0.success());
    own(&database, before());

    let mut router = home.start();
    router.wait_for_line("adding rows to its search index");
    assert!(router.stderr().contains("only SQLite 3.43 and newer can read; it is rebuilt"), "{}", router.stderr());
    assert_eq!(post(&router, r#"{"message":"message meanwhile"}"#).status, 200);
    router.kill();
    let done: u32 = count("logs_search_docsize").parse().unwrap();
    assert!(done < ROWS, "{done} rows: the kill came too late to show anything");

    let mut router = home.start();
    router.wait_for_line("its search index is complete");
    assert!(!router.stderr().contains("it is rebuilt"), "said once: {}", router.stderr());
    let found = |words: &str| count(&format!("logs_search where logs_search match '{words}'"));
    eventually("what came meanwhile is stored", || found("meanwhile") == "1");
    assert_eq!((found("message"), found("u7")), ((ROWS + 1).to_string(), (ROWS / 100).to_string()));
    assert!(router.stop().0.success());
    let router = home.start();
    post(&router, r#"{"message":"afterwards"}"#);
    eventually("it goes on", || found("afterwards") == "1");
    assert!(!router.stderr().contains("search index"), "{}", router.stderr());
}

#[test]
fn the_documented_queries_run_in_the_shell_and_in_python() {
    let home = Home::with("[sink.store]\ntype = 'sqlite'\n");
    let router = home.start();
    post(
        &router,
        r#"[{"message":"connection refused","source":"api"},{"message":"slow","error":{"text":"it timed out"}}]"#,
    );
    let database = home.path("weir-data/logs.db");
    eventually("they are stored", || database.exists() && sqlite(&database, "select count(*) from logs") == "2");
    let read = |file: &str| std::fs::read_to_string(repository().join(file)).unwrap();
    let example = read("examples/config/sqlite-search.toml");
    let lines = example.lines().filter_map(|line| line.strip_prefix("#     ")).collect::<Vec<_>>().join(" ");
    let readme = read("README.md");
    let console =
        readme.split("sqlite3 weir-data/logs.db \"").nth(1).expect("README has one").split('"').next().unwrap();
    let mut queries: Vec<&str> =
        lines.split_inclusive(';').map(str::trim).filter(|query| query.contains("match")).collect();
    queries.push(console);
    assert_eq!(queries.len(), 2, "{queries:?}");
    let script = "import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print('|'.join(map(str, row)))";
    for query in queries {
        let shell = sqlite(&database, query);
        assert!(shell.contains("connection refused") && shell.lines().count() == 2, "{query}: {shell}");
        let output = run(python().args(["-c", script]).arg(&database).arg(query));
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), shell, "{query}");
    }
}
