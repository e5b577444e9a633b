//! How far each journal is in the table: one row per sink and journal, written in the transaction of the records.
//!
//! **The row is locked before a record is sent, and moved only from where this sink left it.** A transaction of a
//! killed Weir may still be running on the server. A new process waits for it at the row's lock, and a late writer with
//! an old position finds the row moved and writes nothing.

use sqlx::{AssertSqlSafe, PgConnection};

use super::table::TableNames;
use crate::sink::Position;

/// The statements for one row.
pub struct Cursor {
    sink: String,
    journal: String,
    table: String,
}

/// The content of the row; both absent: nothing yet.
type Held = (Option<i64>, Option<i64>);

impl Cursor {
    /// The row of this sink and journal.
    pub fn new(sink: &str, journal: &str) -> Cursor {
        Cursor { sink: sink.into(), journal: journal.into(), table: String::new() }
    }

    /// Creates the table and the row if they are missing.
    pub async fn prepare(
        &mut self,
        connection: &mut PgConnection,
        names: &TableNames,
        name: &str,
    ) -> Result<(), sqlx::Error> {
        self.table = names.qualified(name);
        if names.kind_of(connection, name).await?.is_none() {
            let sql = format!(
                "CREATE TABLE {}(sink text, journal text, sequence bigint, position bigint, \
                 updated_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (sink, journal))",
                self.table
            );
            names.making(connection, name, &[sql]).await?;
        }
        let sql = format!("INSERT INTO {}(sink, journal) VALUES ($1, $2) ON CONFLICT DO NOTHING", self.table);
        self.bound(sql).execute(connection).await.map(drop)
    }

    /// Waits for a concurrent writer of the row, and reads it.
    pub async fn read(&self, connection: &mut PgConnection) -> Result<Option<Position>, sqlx::Error> {
        let sql = format!("SELECT sequence, position FROM {} WHERE sink = $1 AND journal = $2 FOR UPDATE", self.table);
        let (sequence, position): Held =
            sqlx::query_as(AssertSqlSafe(sql)).bind(&self.sink).bind(&self.journal).fetch_one(connection).await?;
        Ok(sequence.map(|sequence| Position {
            sequence: sequence.cast_unsigned(),
            index: position.map_or(u32::MAX, |index| u32::try_from(index).unwrap_or(u32::MAX)),
        }))
    }

    /// Moves the row. Returns false if it is not where this sink left it.
    pub async fn advance(
        &self,
        connection: &mut PgConnection,
        from: Option<Position>,
        to: Position,
    ) -> Result<bool, sqlx::Error> {
        let (from, to) = (stored(from), stored(Some(to)));
        let sql = format!(
            "UPDATE {} SET sequence = $3, position = $4, updated_at = now() WHERE sink = $1 AND journal = $2 \
             AND sequence IS NOT DISTINCT FROM $5 AND position IS NOT DISTINCT FROM $6",
            self.table
        );
        let query = self.bound(sql).bind(to.0).bind(to.1).bind(from.0).bind(from.1);
        Ok(query.execute(connection).await?.rows_affected() == 1)
    }

    fn bound(&self, sql: String) -> sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments> {
        sqlx::query(AssertSqlSafe(sql)).bind(&self.sink).bind(&self.journal)
    }
}

fn stored(position: Option<Position>) -> Held {
    let Some(at) = position else { return (None, None) };
    (Some(at.sequence.cast_signed()), (!at.is_whole()).then_some(i64::from(at.index)))
}
