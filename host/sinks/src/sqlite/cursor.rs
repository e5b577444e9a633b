//! How far each sink is in the database: one row of `weir_cursor` per sink, written in the transaction of the records.
//!
//! Several sinks may write to one database, and a sink may be renamed. So a row says what *one* sink holds. A record
//! that is already in the database, because another sink or this one under an older name wrote it, is skipped:
//! everything at or before the furthest of the *other* rows is looked up before it is written. A record of the journal
//! is one row, however many sinks take it.
//!
//! Databases of older versions have one row for any writer. It is kept as the row of the sink `''`, a name that no sink
//! can have: it causes known rows to be looked up, and hides no missing ones.

use std::collections::HashSet;

use sqlx::SqliteConnection;

use crate::sink::{Position, Selected};

/// The row of one sink.
pub struct Cursor {
    sink: String,
}

/// Records to be written that other sinks have already stored.
#[derive(Default)]
pub struct KnownRecords(HashSet<Position>);

impl KnownRecords {
    /// True for a record that already has a row.
    pub fn has(&self, at: Position) -> bool {
        self.0.contains(&at)
    }
}

impl Cursor {
    /// The row of the sink of that name.
    pub fn new(sink: &str) -> Cursor {
        Cursor { sink: sink.into() }
    }

    /// Creates the row if it is missing.
    pub async fn prepare(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let sql = "INSERT INTO weir_cursor(sink) VALUES (?) ON CONFLICT DO NOTHING";
        sqlx::query(sql).bind(&self.sink).execute(connection).await.map(drop)
    }

    /// The content of the row: the frame, and the record if it ends within the frame.
    pub async fn read(&self, connection: &mut SqliteConnection) -> Result<Option<(i64, Option<i64>)>, sqlx::Error> {
        let sql = "SELECT sequence, position FROM weir_cursor WHERE sink = ?";
        let (sequence, position): (Option<i64>, Option<i64>) =
            sqlx::query_as(sql).bind(&self.sink).fetch_one(connection).await?;
        Ok(sequence.map(|sequence| (sequence, position)))
    }

    /// The furthest frame of all sinks.
    pub async fn furthest(connection: &mut SqliteConnection) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT max(sequence) FROM weir_cursor").fetch_one(connection).await
    }

    /// Moves the row.
    pub async fn advance(&self, connection: &mut SqliteConnection, to: Position) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE weir_cursor SET sequence = ?, position = ? WHERE sink = ?")
            .bind(to.sequence.cast_signed())
            .bind((!to.is_whole()).then_some(i64::from(to.index)))
            .bind(&self.sink)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Resets every row that is beyond a journal's end.
    pub async fn put_back(connection: &mut SqliteConnection, last: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE weir_cursor SET sequence = ?, position = NULL WHERE sequence > ?")
            .bind(last)
            .bind(last)
            .execute(connection)
            .await
            .map(drop)
    }

    /// Updates the row without moving the cursor: a commit that changes no page syncs nothing.
    pub async fn touch(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let sql = "UPDATE weir_cursor SET flushes = flushes + 1 WHERE sink = ?";
        sqlx::query(sql).bind(&self.sink).execute(connection).await.map(drop)
    }

    /// Which records of these frames were stored by another sink, or under another name. When this sink is the
    /// furthest, as it is when alone, this is one lookup in a small table.
    pub async fn known(
        &self,
        connection: &mut SqliteConnection,
        batches: &[Selected],
    ) -> Result<KnownRecords, sqlx::Error> {
        let others: Option<i64> = sqlx::query_scalar("SELECT max(sequence) FROM weir_cursor WHERE sink <> ?")
            .bind(&self.sink)
            .fetch_one(&mut *connection)
            .await?;
        let ends = batches.first().zip(batches.last());
        let Some(((first, last), others)) = ends.zip(others) else { return Ok(KnownRecords::default()) };
        let (first, last) = (first.sequence.cast_signed(), last.sequence.cast_signed().min(others));
        if first > last {
            return Ok(KnownRecords::default());
        }
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT sequence, position FROM logs WHERE sequence BETWEEN ? AND ?")
                .bind(first)
                .bind(last)
                .fetch_all(connection)
                .await?;
        let position = |(sequence, index): (i64, i64)| Position {
            sequence: sequence.cast_unsigned(),
            index: u32::try_from(index).unwrap_or(u32::MAX),
        };
        Ok(KnownRecords(rows.into_iter().map(position).collect()))
    }
}
