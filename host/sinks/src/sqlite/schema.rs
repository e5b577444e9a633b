//! The content of the database, how it is created, and how an older one is migrated.
//!
//! `user_version` counts the steps below. `application_id` marks the file as Weir's, so that another program's database
//! is never changed. Each step runs in one transaction with the new `user_version`.
//!
//! | table | purpose |
//! |---|---|
//! | `logs` | the records; `(sequence, position)` is a record's id in the journal |
//! | `logs_search`, `logs_words` | the search index (`index.rs`) and the view that it reads |
//! | `logs_blocks` | a summary of every 4,096 rows, for searches (`blocks.rs`) |
//! | `weir_cursor` | one row per sink: how far the journal is in `logs`; written with the rows of every transaction |
//!
//! To search: `SELECT * FROM logs WHERE id IN (SELECT rowid FROM logs_search WHERE logs_search MATCH 'timeout')`.
//! Rows with `sequence` 0 were written in the place of another sink (`fallback_from` in their fields).
//! Rows with a negative `sequence` came from a journal that has since been lost.

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// "Weir" in ASCII.
pub const APPLICATION_ID: i64 = 0x5765_6972;

/// One entry per version; entries never change once released.
const STEPS: &[&str] = &[
    "
CREATE TABLE logs(
  id INTEGER PRIMARY KEY,
  sequence INTEGER NOT NULL,
  position INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  level TEXT NOT NULL,
  source TEXT NOT NULL,
  message TEXT NOT NULL,
  fields TEXT NOT NULL,
  UNIQUE (sequence, position)
);
CREATE INDEX logs_timestamp ON logs(timestamp);
CREATE INDEX logs_level ON logs(level, timestamp);
CREATE INDEX logs_source ON logs(source, timestamp);
CREATE TABLE weir_cursor(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  sequence INTEGER,
  position INTEGER,
  flushes INTEGER NOT NULL DEFAULT 0
);
INSERT INTO weir_cursor(id) VALUES (1);
",
    "
ALTER TABLE weir_cursor RENAME TO weir_cursor_of_all;
CREATE TABLE weir_cursor(
  sink TEXT NOT NULL PRIMARY KEY,
  sequence INTEGER,
  position INTEGER,
  flushes INTEGER NOT NULL DEFAULT 0
);
INSERT INTO weir_cursor(sink, sequence) SELECT '', sequence FROM weir_cursor_of_all WHERE sequence IS NOT NULL;
DROP TABLE weir_cursor_of_all;
",
    "
CREATE TABLE logs_blocks(
  block INTEGER PRIMARY KEY,
  oldest INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  searchable INTEGER NOT NULL,
  floats INTEGER NOT NULL
);
INSERT INTO logs_blocks SELECT id >> 12, min(timestamp), max(timestamp), 0, 0 FROM logs GROUP BY 1;
",
    // Some blocks were taken for searchable although the search index misses words of theirs beside newer characters.
    "
UPDATE logs_blocks SET searchable = 0;
",
];

/// The version of the schema.
pub const VERSION: i64 = STEPS.len() as i64;

/// Why a database can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It belongs to another program, or to a newer version.
    #[error("{0}")]
    Foreign(String),
    /// SQLite returned an error.
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
}

/// Creates or migrates the schema.
pub async fn prepare(connection: &mut SqliteConnection) -> Result<(), SchemaError> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(&mut *connection).await?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(SchemaError::Foreign("it is a database of another program; use another `path`".into()));
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(SchemaError::Foreign(format!(
            "its schema has version {version}, but this weir supports {}; use the newer weir or another `path`",
            STEPS.len()
        )));
    }
    // Stored in the file. Readers and this writer don't wait for each other.
    sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
    for (at, step) in STEPS.iter().enumerate().skip(done) {
        let version = at + 1;
        let sql = format!("PRAGMA application_id = {APPLICATION_ID}; {step} PRAGMA user_version = {version};");
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    Ok(())
}
