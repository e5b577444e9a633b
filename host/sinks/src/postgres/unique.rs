//! Records that arrive by several ways are stored once: with `unique`, the values of a field are kept in a table of their
//! own, with a unique key, written in the transaction of the records. A record whose value is there is left out.
//!
//! A redelivered message of a bus is such a record: it may come through another router than before. If both write at the
//! same time, the second waits for the first at the key, and then leaves the record out. The values are written in their
//! order, so that two transactions never wait for each other.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};
use weir_record::Record;

use super::table::TableNames;
use crate::limits;
use crate::text::push_value;

/// The field, and the table of its values.
pub struct Unique {
    path: String,
    /// How long a value is remembered.
    window: Duration,
    table: String,
}

/// The records of one transaction that were not stored before.
pub struct New(HashSet<String>);

impl Unique {
    /// Values of the field with this path.
    pub fn new(path: &str, window: Duration) -> Unique {
        Unique { path: path.to_owned(), window, table: String::new() }
    }

    /// Creates the table if it is missing.
    pub async fn prepare(
        &mut self,
        connection: &mut PgConnection,
        names: &TableNames,
        name: &str,
    ) -> Result<(), sqlx::Error> {
        self.table = names.qualified(name);
        if names.kind_of(connection, name).await?.is_some() {
            return Ok(());
        }
        let make = format!(
            "CREATE TABLE {}(value text PRIMARY KEY, stored_at timestamptz NOT NULL DEFAULT now())",
            self.table
        );
        let index = format!("CREATE INDEX ON {}(stored_at)", self.table);
        names.making(connection, name, &[make, index]).await
    }

    /// Writes down the values of these records, and returns which of them are new.
    pub async fn admit<'r>(
        &self,
        connection: &mut PgConnection,
        records: impl Iterator<Item = Record<'r>>,
    ) -> Result<New, sqlx::Error> {
        let values: HashSet<String> = records.filter_map(|record| self.value(record)).collect();
        if values.is_empty() {
            return Ok(New(values));
        }
        let sql = format!(
            "INSERT INTO {}(value) SELECT value FROM unnest($1::text[]) AS given(value) ORDER BY value \
             ON CONFLICT DO NOTHING RETURNING value",
            self.table
        );
        let values: Vec<String> = values.into_iter().collect();
        let new: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql)).bind(values).fetch_all(connection).await?;
        Ok(New(new.into_iter().collect()))
    }

    /// Whether a record is to be stored: it has no value, or it is the first of this transaction with a new one.
    pub fn stores(&self, record: Record<'_>, new: &mut New) -> bool {
        self.value(record).is_none_or(|value| new.0.remove(&value))
    }

    /// Forgets some values that are older than the window. Returns whether there may be more.
    pub async fn forget_old(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "DELETE FROM {0} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {0} WHERE stored_at < now() - \
             make_interval(secs => $1) LIMIT $2))",
            self.table
        );
        let forgotten = sqlx::query(AssertSqlSafe(sql))
            .bind(self.window.as_secs_f64())
            .bind(limits::POSTGRES_FORGET_ROWS)
            .execute(connection)
            .await?;
        Ok(forgotten.rows_affected() >= limits::POSTGRES_FORGET_ROWS.cast_unsigned())
    }

    /// The value of a record, as text that the server can keep.
    fn value(&self, record: Record<'_>) -> Option<String> {
        let mut text = Vec::new();
        push_value(record.get(&self.path)?, &mut text);
        let text = String::from_utf8_lossy(&text).replace('\0', "\u{fffd}");
        (!text.is_empty()).then_some(text)
    }
}
