//! Statements with parameters, and rows as records.

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};
use weir_query::search::Hit;
use weir_query::sql::{Clause, INTEGER_COLUMNS, Parameter, TEXT_COLUMNS};
use weir_query::{EntryId, Query};
use weir_record::Record;
use weir_record::time::format_rfc3339;

use crate::rebuilt;

/// A row's time in microseconds.
pub const MICROS: &str = "(extract(epoch FROM timestamp) * 1000000)::bigint";
/// A row's source, in full.
pub const SOURCE: &str = "coalesce(extra_data->>'source', logger_name)";

/// What a record is made of, in the order that [`hit`] reads.
pub fn columns() -> String {
    let columns = [TEXT_COLUMNS, INTEGER_COLUMNS].concat();
    let columns: Vec<_> = columns.iter().map(|name| format!("'{name}', {name}")).collect();
    // Of equal keys, those of `extra_data` are kept.
    format!(
        "id, {MICROS}, level, {SOURCE}, message, ((jsonb_strip_nulls(jsonb_build_object({})) \
         || coalesce(extra_data, '{{}}')) - '{{timestamp,level,source,message}}'::text[])::text",
        columns.join(", ")
    )
}

/// A time for a parameter.
pub fn moment(micros: i64) -> String {
    let mut text = Vec::new();
    format_rfc3339(micros.saturating_mul(1000), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// A statement with its parameters.
pub struct Statement {
    pub sql: String,
    arguments: PgArguments,
    bound: usize,
}

impl Statement {
    /// The beginning of a statement.
    pub fn new(sql: impl Into<String>) -> Statement {
        Statement { sql: sql.into(), arguments: PgArguments::default(), bound: 0 }
    }

    /// The same with a clause, whose parameters are the first.
    pub fn with_clause(mut sql: String, clause: &Clause) -> Result<Statement, sqlx::Error> {
        sql.push_str(&clause.sql);
        let mut statement = Statement::new(sql);
        for parameter in &clause.parameters {
            match parameter {
                Parameter::Text(text) => statement.bind(text.clone())?,
                Parameter::Int(number) => statement.bind(*number)?,
                Parameter::Float(number) => statement.bind(*number)?,
            };
        }
        Ok(statement)
    }

    /// Adds a parameter. Returns its number.
    pub fn bind<T>(&mut self, value: T) -> Result<usize, sqlx::Error>
    where
        T: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        sqlx::Arguments::add(&mut self.arguments, value).map_err(sqlx::Error::Encode)?;
        self.bound += 1;
        Ok(self.bound)
    }

    /// Adds a time as a parameter. Returns its number with its type.
    pub fn bind_time(&mut self, micros: i64) -> Result<String, sqlx::Error> {
        self.bind(moment(micros)).map(|number| format!("${number}::text::timestamptz"))
    }

    /// Runs it.
    pub fn rows(self, connection: &mut PgConnection) -> BoxStream<'_, Result<PgRow, sqlx::Error>> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments).persistent(false).fetch(connection).boxed()
    }

    /// Runs it, for a few rows.
    pub async fn all(self, connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
        self.rows(connection).try_collect().await
    }
}

/// The record of a row.
pub fn hit(row: &PgRow) -> Option<Hit> {
    let id: i64 = row.try_get(0).ok()?;
    let micros: i64 = row.try_get(1).ok()?;
    let text = |at: usize| row.try_get::<&str, _>(at).ok();
    let record = rebuilt::record(micros.saturating_mul(1000), text(2)?, text(3)?, text(4)?, text(5)?)?;
    Some(Hit { id: EntryId { sequence: id.cast_unsigned(), index: 0 }, record })
}

pub fn matching(query: &Query, row: &PgRow) -> Option<Hit> {
    hit(row).filter(|hit| query.matches(Record::new(&hit.record)))
}
