//! The search index: FTS5 over the message and the texts and integers of the fields, in a form that every SQLite since
//! 3.38 can read and delete from.
//!
//! It stores no text: it is an external content table over the view `logs_words`, which extracts the words of a row
//! from its JSON on demand (for `snippet()`, for example). Triggers remove a row's words from the index when any client
//! deletes or changes the row. Compared with a contentless table with its own deletion (`contentless_delete`, SQLite
//! 3.43), inserts and file size are the same, and retention takes a fifth of the time.
//!
//! Invariants
//! - **The triggers remove exactly what was added to the index**: [`push_words`] and [`WORDS`] give the same text for
//!   the same row, in every version of SQLite. Rows whose JSON differs between SQLite versions (a NUL, an integer
//!   beyond 64 bits) are indexed as their JSON text.
//! - Only what is in the index is removed from it: rows are added in one way or not at all, and the triggers check
//!   first.
//! - The rows missing from the index are those above its highest, so after a crash filling it continues where it
//!   stopped.

use std::time::Instant;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use weir_record::{Record, Value, write_json_value};

use super::blocks;
use crate::limits;
use crate::text::is_head;

/// The words of a row, by the name of the column with its JSON. Never changes once released.
///
/// JSON functions of SQLite before 3.45 end a text at a NUL, and give an integer that i64 does not hold as a float in the
/// digits of their version.
const WORDS: &str = "CASE WHEN instr({fields}, '\\u0000') THEN {fields} ELSE (
    SELECT CASE WHEN sum(type = 'integer' AND typeof(atom) = 'real') THEN {fields} ELSE group_concat(atom, ' ') END
    FROM json_tree({fields}) WHERE type IN ('text', 'integer')
  ) END";

/// A NUL in JSON.
const NUL: &str = "\\u0000";

/// FTS5 collects words in memory and writes them as a segment when `hashsize` is reached or the transaction ends; it
/// merges segments when there are enough. 8 MiB hold several thousand records, and merging sixteen segments at once
/// instead of four rewrites entries less often. Together this saves a few per cent of an insert's CPU time, most of
/// which is splitting text into words and sorting them. `detail = none` would save another tenth and a third of the
/// index's size, but then FTS5 refuses phrases, and an address, a path or an id with a hyphen is a phrase.
const CREATE: &str = "
CREATE VIEW logs_words AS SELECT id, message, {words} AS fields FROM logs;
CREATE VIRTUAL TABLE logs_search USING fts5(message, fields, content='logs_words', content_rowid='id', tokenize='unicode61 remove_diacritics 2');
INSERT INTO logs_search(logs_search, rank) VALUES ('automerge', 16);
INSERT INTO logs_search(logs_search, rank) VALUES ('hashsize', 8388608);
CREATE TRIGGER logs_search_delete AFTER DELETE ON logs
WHEN EXISTS (SELECT 1 FROM logs_search_docsize WHERE id = old.id) BEGIN
  INSERT INTO logs_search(logs_search, rowid, message, fields) VALUES ('delete', old.id, old.message, {old});
END;
CREATE TRIGGER logs_search_update AFTER UPDATE OF id, message, fields ON logs
WHEN EXISTS (SELECT 1 FROM logs_search_docsize WHERE id = old.id) BEGIN
  INSERT INTO logs_search(logs_search, rowid, message, fields) VALUES ('delete', old.id, old.message, {old});
  INSERT INTO logs_search(rowid, message, fields) VALUES (new.id, new.message, {new});
END;
";

/// Also drops the previous form, which only SQLite 3.43 and newer can open.
const DROP: &str = "
DROP TRIGGER IF EXISTS logs_search_update;
DROP TRIGGER IF EXISTS logs_search_delete;
DROP TABLE IF EXISTS logs_search;
DROP VIEW IF EXISTS logs_words;
";

/// A new index finds no row yet.
const UNCHECK: &str = "UPDATE logs_blocks SET searchable = 0;";

/// Occurs only in the declaration of the previous form.
const FORM_BEFORE: &str = "contentless_delete";

/// Creates the index if it is configured and missing, replaces one of the previous form, and adds the missing rows.
pub async fn prepare(connection: &mut SqliteConnection, place: &str, wanted: bool) -> Result<(), sqlx::Error> {
    let declared: Option<String> = sqlx::query_scalar("SELECT sql FROM sqlite_master WHERE name = 'logs_search'")
        .fetch_optional(&mut *connection)
        .await?;
    let outdated = declared.as_ref().is_some_and(|sql| sql.contains(FORM_BEFORE));
    if outdated {
        let next = if wanted { "is rebuilt" } else { "is removed, since `search` is false" };
        tracing::info!("{place}: its search index has a form that only SQLite 3.43 and newer can read; it {next}");
    }
    if outdated || (wanted && declared.is_none()) {
        let column = |name: &str| WORDS.replace("{fields}", name);
        let create = CREATE
            .replace("{words}", &column("fields"))
            .replace("{old}", &column("old.fields"))
            .replace("{new}", &column("new.fields"));
        let sql = if wanted { format!("{DROP}{create}{UNCHECK}") } else { DROP.to_string() };
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    if wanted {
        fill(connection, place).await?;
        blocks::check(connection, place).await?;
    }
    Ok(())
}

/// Adds the rows above the highest in the index, in separate transactions: rows from before the index existed, or from
/// while `search` was false.
async fn fill(connection: &mut SqliteConnection, place: &str) -> Result<(), sqlx::Error> {
    let bounds =
        "SELECT (SELECT min(id) FROM logs), (SELECT max(id) FROM logs), (SELECT max(id) FROM logs_search_docsize)";
    let (first, last, indexed): (Option<i64>, Option<i64>, Option<i64>) =
        sqlx::query_as(bounds).fetch_one(&mut *connection).await?;
    let (Some(first), Some(last)) = (first, last) else { return Ok(()) };
    let begin = indexed.map_or(first, |indexed| indexed.saturating_add(1).max(first));
    // Ids have gaps only where someone deleted rows.
    let rows = last.saturating_sub(begin).saturating_add(1);
    if rows <= 0 {
        return Ok(());
    }
    tracing::info!(rows, "{place}: adding rows to its search index");
    let (since, mut said, mut added) = (Instant::now(), Instant::now(), 0);
    loop {
        let chunk = add_rows(connection).await?;
        added += chunk;
        if chunk == 0 {
            break;
        }
        if said.elapsed() >= limits::SQLITE_INDEX_PROGRESS {
            said = Instant::now();
            tracing::info!("{place}: {added} of {rows} rows are in its search index");
        }
    }
    tracing::info!(rows = added, seconds = since.elapsed().as_secs(), "{place}: its search index is complete");
    Ok(())
}

/// Adds some rows. Returns their number.
async fn add_rows(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "INSERT INTO logs_search(rowid, message, fields) SELECT id, message, fields FROM logs_words
               WHERE id > coalesce((SELECT max(id) FROM logs_search_docsize), (SELECT min(id) FROM logs) - 1)
               ORDER BY id LIMIT ?";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let added = sqlx::query(sql).bind(limits::SQLITE_INDEX_ROWS).execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(added)
}

/// Appends the searchable words: every text and integer in the fields, at any depth. Keys and floats are omitted: an
/// amount or a duration is compared, not searched for, and its digits before and after the point would be two separate
/// words. `fields` is the JSON of the same record.
pub fn push_words(record: Record<'_>, fields: &str, out: &mut String) {
    let mut values = record.entries().filter(|(key, _)| !is_head(key));
    if fields.contains(NUL) || !values.all(|(_, value)| push_value(value, out)) {
        out.clear();
        out.push_str(fields);
    }
}

/// Appends the words of a value. Returns false if SQLite versions differ in how they read its JSON.
fn push_value(value: Value<'_>, out: &mut String) -> bool {
    use std::fmt::Write;
    match value {
        Value::Str(text) => out.push_str(text),
        // Writing to a String can't fail.
        Value::Int(number) => drop(write!(out, "{number}")),
        Value::UInt(number) if i64::try_from(number).is_ok() => drop(write!(out, "{number}")),
        Value::UInt(_) => return false,
        Value::Array(items) => return items.iter().all(|item| push_value(item, out)),
        Value::Map(entries) => return entries.iter().all(|(_, value)| push_value(value, out)),
        Value::Bin(_) | Value::Ext(..) => {
            let mut json = Vec::new();
            write_json_value(value, &mut json);
            push_json(&serde_json::from_slice(&json).unwrap_or_default(), out);
        }
        Value::Nil | Value::Bool(_) | Value::Float(_) => return true,
    }
    out.push(' ');
    true
}

/// Appends types without a JSON form: bytes as base64, a time, an extension as an object.
fn push_json(value: &serde_json::Value, out: &mut String) {
    match value {
        serde_json::Value::String(text) => out.push_str(text),
        serde_json::Value::Number(number) => out.push_str(&number.to_string()),
        serde_json::Value::Object(entries) => entries.values().for_each(|value| push_json(value, out)),
        _ => return,
    }
    out.push(' ');
}
