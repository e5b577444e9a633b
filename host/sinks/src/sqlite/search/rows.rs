//! Statements with parameters, and rows as records.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use weir_query::EntryId;
use weir_query::search::{Hit, Place};
use weir_query::sql::{Clause, Parameter};

use crate::rebuilt;

/// What a record is made of, in the order that [`hit`] reads.
pub const COLUMNS: &str = "sequence, position, timestamp, level, source, message, fields";

/// A statement with its parameters.
pub struct Statement {
    sql: String,
    arguments: SqliteArguments,
}

impl Statement {
    /// The text of a statement, or its beginning.
    pub fn new(sql: impl Into<String>) -> Statement {
        Statement { sql: sql.into(), arguments: SqliteArguments::default() }
    }

    /// Continues the text. It contains nothing that a user wrote.
    pub fn sql(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Adds the value of the next placeholder.
    pub fn bind<T>(&mut self, value: T) -> Result<(), sqlx::Error>
    where
        T: for<'q> sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        sqlx::Arguments::add(&mut self.arguments, value).map_err(sqlx::Error::Encode)
    }

    /// Continues with a list of values in parentheses.
    pub fn list(&mut self, values: &[String]) -> Result<(), sqlx::Error> {
        self.sql(&format!("({})", vec!["?"; values.len()].join(",")));
        values.iter().try_for_each(|value| self.bind(value.clone()))
    }

    /// Continues with a clause.
    pub fn clause(&mut self, clause: &Clause) -> Result<(), sqlx::Error> {
        self.sql(&clause.sql);
        for parameter in &clause.parameters {
            match parameter {
                Parameter::Text(text) => self.bind(text.clone())?,
                Parameter::Int(number) => self.bind(*number)?,
                Parameter::Float(number) => self.bind(*number)?,
            }
        }
        Ok(())
    }

    /// Runs it.
    pub fn rows(self, connection: &mut SqliteConnection) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments).persistent(false).fetch(connection).boxed()
    }

    /// Runs it, for a few rows.
    pub async fn all(self, connection: &mut SqliteConnection) -> Result<Vec<SqliteRow>, sqlx::Error> {
        self.rows(connection).try_collect().await
    }
}

/// The place of a row.
pub fn place(row: &SqliteRow) -> Result<Place, sqlx::Error> {
    let (sequence, position): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let id = EntryId { sequence: sequence.cast_unsigned(), index: u32::try_from(position).unwrap_or(u32::MAX) };
    Ok(Place { timestamp_ns: row.try_get(2)?, id })
}

/// The record of a row. `None` if it was changed by hand and is no record any more.
pub fn hit(row: &SqliteRow) -> Option<Hit> {
    let place = place(row).ok()?;
    let text = |at: usize| row.try_get::<&str, _>(at).ok();
    let record = rebuilt::record(place.timestamp_ns, text(3)?, text(4)?, text(5)?, text(6)?)?;
    Some(Hit { id: place.id, record })
}
