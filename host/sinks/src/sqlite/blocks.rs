//! A summary of every 4,096 rows, by which a search reads the newest rows first and stops early.
//!
//! Rows are in the order of their arrival, which is nearly the order of their time. The summary says how nearly: a
//! search for the newest records reads blocks from the newest on, and stops at the first one that has nothing newer than
//! what it has found. So a common word costs one block, however many rows contain it, and a rare word costs as many
//! look-ups in the search index as there are steps of growing size. Without the summary, either the search index gives
//! all rows with a common word, to be sorted by time, or the index of times is walked until enough rows have a rare one.
//!
//! A summary also says whether the search index finds every row of its block. It may not: rows were written while
//! `search` was false, or their text is split into other words than queries are (`is_searchable`). Such a block is read
//! row by row. Nor does the index have floats, and `5` also finds `5.0`: the summary has a bit for every field with a
//! float without a fraction, so that fields without one are looked up in the index.
//!
//! **A summary covers at least its rows**: it is written in their transaction, and deleting rows leaves it as it is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use sqlx::{Connection, SqliteConnection};
use weir_query::sql::key_bit;
use weir_record::{Record, Value, json_to_msgpack};

/// Bits of an id within a block. A block takes some milliseconds to read.
pub const BLOCK_BITS: u32 = 12;

/// What is known about the rows of a block, in the order of what counts if some rows differ. Stored as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Searchable {
    /// The search index misses some of them.
    No = -1,
    /// They were not checked, or are not yet in the index.
    Unknown = 0,
    /// The search index finds all of them.
    Yes = 1,
}

/// Collects the summary of rows to be written.
#[derive(Default)]
pub struct Blocks {
    pending: BTreeMap<i64, Block>,
}

struct Block {
    oldest: i64,
    newest: i64,
    searchable: Searchable,
    /// The bits of fields with a float without a fraction.
    floats: u64,
}

impl Blocks {
    /// Discards what was not written.
    pub fn clear(&mut self) {
        self.pending.clear();
    }

    /// Adds a row.
    pub fn add(&mut self, id: i64, timestamp: i64, searchable: Searchable, floats: u64) {
        let row = Block { oldest: timestamp, newest: timestamp, searchable, floats };
        let block = self.pending.entry(id >> BLOCK_BITS).or_insert(row);
        block.oldest = block.oldest.min(timestamp);
        block.newest = block.newest.max(timestamp);
        block.searchable = block.searchable.min(searchable);
        block.floats |= floats;
    }

    /// Merges them into the table, in the transaction of the rows.
    pub async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO logs_blocks(block, oldest, newest, searchable, floats) VALUES (?, ?, ?, ?, ?)
                   ON CONFLICT (block) DO UPDATE SET oldest = min(oldest, excluded.oldest),
                   newest = max(newest, excluded.newest), searchable = min(searchable, excluded.searchable),
                   floats = floats | excluded.floats";
        while let Some((number, block)) = self.pending.pop_first() {
            sqlx::query(sql)
                .bind(number)
                .bind(block.oldest)
                .bind(block.newest)
                .bind(block.searchable as i64)
                .bind(block.floats.cast_signed())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// Checks blocks of which it is unknown whether the index finds their rows, once the index is complete.
pub async fn check(connection: &mut SqliteConnection, place: &str) -> Result<(), sqlx::Error> {
    let unknown = "SELECT block FROM logs_blocks WHERE searchable = 0 ORDER BY block";
    let blocks: Vec<i64> = sqlx::query_scalar(unknown).fetch_all(&mut *connection).await?;
    if blocks.len() > 1 {
        tracing::info!(blocks = blocks.len(), "{place}: checking which rows its search index finds");
    }
    for block in blocks {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let (searchable, floats) = inspect(&mut transaction, block).await?;
        sqlx::query("UPDATE logs_blocks SET searchable = ?, floats = floats | ? WHERE block = ?")
            .bind(searchable as i64)
            .bind(floats.cast_signed())
            .bind(block)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
    }
    Ok(())
}

async fn inspect(connection: &mut SqliteConnection, block: i64) -> Result<(Searchable, u64), sqlx::Error> {
    let (first, last) = (block << BLOCK_BITS, ((block + 1) << BLOCK_BITS) - 1);
    let missing = "SELECT EXISTS (SELECT 1 FROM logs WHERE id BETWEEN ? AND ?
                   AND NOT EXISTS (SELECT 1 FROM logs_search_docsize AS entry WHERE entry.id = logs.id))";
    let missing: bool = sqlx::query_scalar(missing).bind(first).bind(last).fetch_one(&mut *connection).await?;
    if missing {
        return Ok((Searchable::No, 0));
    }
    // Anything that is not plain ASCII, and floats without a fraction. Patterns of GLOB end at a NUL.
    let suspects = "SELECT message, fields FROM logs WHERE id BETWEEN ? AND ? AND (message GLOB '*[^ -~]*'
                    OR fields GLOB '*[^ -~]*' OR fields GLOB '*.0[],}]*' OR fields GLOB '*[0-9]e[0-9]*' OR instr(fields, '\\') OR instr(message, char(0)))";
    let rows: Vec<(String, String)> =
        sqlx::query_as(suspects).bind(first).bind(last).fetch_all(&mut *connection).await?;
    let (mut all, mut floats) = (true, 0);
    for (message, fields) in &rows {
        all &= is_searchable(message, fields);
        let mut bytes = Vec::new();
        if json_to_msgpack(fields.as_bytes(), &mut bytes).is_ok() {
            floats |= Value::peek(&bytes).map_or(0, |value| floats_in("", value));
        }
    }
    Ok((if all { Searchable::Yes } else { Searchable::No }, floats))
}

/// The bits of the fields of a record that have a float without a fraction.
pub fn floats_of(record: Record<'_>) -> u64 {
    record.entries().fold(0, |bits, (key, value)| bits | floats_in(key, value))
}

/// Items of a list have the key of the list.
fn floats_in(key: &str, value: Value<'_>) -> u64 {
    match value {
        Value::Float(number) if number.fract() == 0.0 => key_bit(key),
        Value::Array(items) => items.iter().fold(0, |bits, item| bits | floats_in(key, item)),
        Value::Map(map) => map.iter().fold(0, |bits, (key, value)| bits | floats_in(key, value)),
        _ => 0,
    }
}

/// Deletes the summaries of blocks whose rows are gone.
pub async fn prune(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM logs_blocks WHERE block < (SELECT min(id) FROM logs) >> ?";
    sqlx::query(sql).bind(BLOCK_BITS).execute(connection).await.map(drop)
}

/// Characters that the tokenizer takes for a part of a word but queries don't, beside a letter or digit; and those that
/// only queries take for another case of a common letter, such as the long s and the Kelvin sign. The tokenizer's tables
/// are those of Unicode 6.1: it takes all newer characters, such as many emoji, for parts of words.
static ODD: LazyLock<Regex> = LazyLock::new(|| {
    let (word, glue) = (r"[\p{L}\p{Nd}]", r"[[\p{No}\p{Co}\p{Cn}\P{age:6.1}]--\w]");
    let odd = format!(r"{word}{glue}|{glue}{word}|[\x{{17f}}\x{{212a}}\x{{345}}\x{{1c80}}-\x{{1c88}}]");
    Regex::new(&odd).expect("the pattern is constant")
});

/// A reason to index a row's JSON as it is (`index.rs`), at least.
static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
    let whole = r"\\u0000|[:,\[](?:9[2-9][0-9]{17}|[1-9][0-9]{19,})[,}\]]";
    Regex::new(whole).expect("the pattern is constant")
});

/// An escape in JSON that ends in a letter or digit, which is taken for the beginning of the next word.
static GLUE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\\[bfnrtu]").expect("the pattern is constant"));

/// Whether the search index splits a row's text into words at least where queries do.
pub fn is_searchable(message: &str, fields: &str) -> bool {
    if message.is_ascii() && fields.is_ascii() && !fields.contains('\\') {
        return true;
    }
    let is_odd = ODD.is_match(message) || ODD.is_match(fields);
    let is_glued = GLUE.is_match(fields) && WHOLE.is_match(fields);
    !is_odd && !is_glued
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_the_index_splits_otherwise_is_noticed() {
        for (message, fields) in [
            ("plain", "{}"),
            ("Zürich 日本 50°", r#"{"a":"ü\n"}"#),
            ("done😃 🦀 🤷\u{200d}♂️", r#"{"a":"🦀"}"#),
            ("² alone", r#"{"id":18446744073709551615}"#),
            ("now", r#"{"ns":1764000000000000000,"text":"a\nb"}"#),
        ] {
            assert!(is_searchable(message, fields), "{message} {fields}");
        }
        for (message, fields) in [
            ("5m²", "{}"),
            ("½cup", "{}"),
            ("done🦀", "{}"),
            ("₿5", "{}"),
            ("\u{17f}ource", "{}"),
            ("", r#"{"a":"m²"}"#),
            ("", r#"{"a":"x\u0000y"}"#),
            ("", r#"{"id":18446744073709551615,"text":"a\nb"}"#),
            ("", r#"{"id":[9223372036854775808],"text":"a\tb"}"#),
        ] {
            assert!(!is_searchable(message, fields), "{message} {fields}");
        }
    }
}
