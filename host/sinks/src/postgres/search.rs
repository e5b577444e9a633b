//! Searches the default table of a `postgres` sink.
//!
//! A record's id is the id of its row here: the table does not have the places of records in the journal, which would
//! not be unique in it, as several routers may write to one table. Times are whole microseconds, and a value that was
//! stored in a column has the column's name.
//!
//! The sink's own connection is never used. A search that is dropped closes its connection and cancels its statement on
//! the server through another one.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row};
use weir_query::search::{By, Histogram, Hit, Place, Search, SearchError};
use weir_query::sql::{Clause, INTEGER_COLUMNS, Parameter, TEXT_COLUMNS};
use weir_query::{EntryId, Query};
use weir_record::Record;

use super::fault::classify;
use super::settings::PostgresOptions;
use super::table::quoted;
use crate::counts::{Asked, Counts};
use crate::registry::{BuildContext, options};
use crate::{limits, rebuilt};

/// The search of a sink. Connects to nothing.
pub(super) fn open(name: &str, given: serde_json::Value, _: &BuildContext) -> Result<Arc<dyn Search>, String> {
    let options: PostgresOptions = options(name, given)?;
    let search = PostgresSearch::new(name, &options).map_err(|error| format!("sink `{name}`: {error}"))?;
    Ok(Arc::new(search))
}

/// A row's time.
const MICROS: &str = "(extract(epoch FROM timestamp) * 1000000)::bigint";
/// A row's source, in full.
const SOURCE: &str = "coalesce(extra_data->>'source', logger_name)";

struct PostgresSearch {
    /// The sink, for errors.
    place: String,
    connecting: PgConnectOptions,
    patience: std::time::Duration,
    table: String,
    has_default_columns: bool,
    /// Made at the first search, which has a runtime.
    pool: OnceLock<PgPool>,
}

/// A connection in use.
struct Session {
    connection: Option<PoolConnection<Postgres>>,
    pid: i32,
    pool: PgPool,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
            let (pool, pid) = (self.pool.clone(), self.pid);
            tokio::spawn(async move {
                // If it fails, the server notices the closed connection at the next row.
                let _ = sqlx::query("SELECT pg_cancel_backend($1)").bind(pid).execute(&pool).await;
            });
        }
    }
}

impl PostgresSearch {
    fn new(name: &str, options: &PostgresOptions) -> Result<PostgresSearch, String> {
        options.check()?;
        let table = quoted(&options.table_name());
        Ok(PostgresSearch {
            place: format!("sink `{name}`"),
            connecting: options.connection()?.options([("default_transaction_read_only", "on")]),
            patience: options.connect_timeout.duration(),
            table: match &options.schema {
                Some(schema) => format!("{}.{table}", quoted(schema)),
                None => table,
            },
            has_default_columns: options.columns.is_none(),
            pool: OnceLock::new(),
        })
    }

    async fn session(&self) -> Result<Session, SearchError> {
        if !self.has_default_columns {
            let text =
                format!("{}: only a table with the default columns can be searched; leave out `columns`", self.place);
            return Err(SearchError::Unsupported(text));
        }
        let pool = self.pool.get_or_init(|| {
            PgPoolOptions::new()
                .max_connections(limits::SEARCH_CONNECTIONS as u32)
                .idle_timeout(limits::SEARCH_IDLE)
                .acquire_timeout(self.patience)
                .connect_lazy_with(self.connecting.clone())
        });
        let mut connection = pool.acquire().await.map_err(|error| self.fault(&error))?;
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection).await;
        let pid = pid.map_err(|error| self.fault(&error))?;
        Ok(Session { connection: Some(connection), pid, pool: pool.clone() })
    }

    fn fault(&self, error: &sqlx::Error) -> SearchError {
        let state = super::fault::state_of(error);
        SearchError::Unavailable(match state.as_deref() {
            Some("42P01") => {
                format!("{}: its table does not exist yet: the sink creates it when it starts", self.place)
            }
            _ => classify(&self.place, error).to_string(),
        })
    }

    /// Ends a search: the connection goes back to the pool.
    fn end<T>(&self, mut session: Session, outcome: Result<T, sqlx::Error>) -> Result<T, SearchError> {
        drop(session.connection.take());
        outcome.map_err(|error| self.fault(&error))
    }

    /// The statement for rows, up to `WHERE`.
    fn rows(&self) -> String {
        let columns = [TEXT_COLUMNS, INTEGER_COLUMNS].concat();
        let columns: Vec<_> = columns.iter().map(|name| format!("'{name}', {name}")).collect();
        // Of equal keys, those of `extra_data` are kept.
        format!(
            "SELECT id, {MICROS}, level, {SOURCE}, message, ((jsonb_strip_nulls(jsonb_build_object({})) \
             || coalesce(extra_data, '{{}}')) - '{{timestamp,level,source,message}}'::text[])::text FROM {} WHERE ",
            columns.join(", "),
            self.table
        )
    }

    async fn newest_rows(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        before: Option<Place>,
        limit: usize,
    ) -> Result<Vec<Hit>, sqlx::Error> {
        let clause = query.postgres();
        let mut after = before.map(|place| (place.timestamp_ns.div_euclid(1000), place.id.sequence.cast_signed()));
        let mut found = Vec::new();
        let mut page = limit;
        while found.len() < limit {
            let mut statement = Statement::new(self.rows(), &clause)?;
            if let Some((micros, id)) = after {
                let moment = statement.bind(micros)?;
                let id = statement.bind(id)?;
                statement.sql.push_str(&format!(
                    " AND (timestamp, id) < ('epoch'::timestamptz + ${moment}::bigint * interval '1 microsecond', ${id})"
                ));
            }
            let count = statement.bind(i64::try_from(page).unwrap_or(i64::MAX))?;
            statement.sql.push_str(&format!(" ORDER BY timestamp DESC, id DESC LIMIT ${count}"));
            let rows = statement.all(connection).await?;
            found.extend(rows.iter().filter_map(|row| matching(query, row)));
            match rows.last() {
                Some(last) if rows.len() == page => after = Some((last.try_get(1)?, last.try_get(0)?)),
                _ => break,
            }
            page = (2 * page).min(limits::SEARCH_PAGE_ROWS.max(limit));
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn row(&self, connection: &mut PgConnection, id: EntryId) -> Result<Option<Hit>, sqlx::Error> {
        let Some(row) = i64::try_from(id.sequence).ok().filter(|_| id.index == 0) else { return Ok(None) };
        let sql = format!("{} id = $1", self.rows());
        let found = sqlx::query(AssertSqlSafe(sql)).bind(row).fetch_optional(connection).await?;
        Ok(found.as_ref().and_then(hit))
    }

    /// The nearest matching rows on one side, nearest first.
    async fn neighbours(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        id: EntryId,
        limit: usize,
        (relation, order): (&str, &str),
    ) -> Result<Vec<Hit>, sqlx::Error> {
        let clause = query.postgres();
        let mut from = i64::try_from(id.sequence).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        let mut page = limit;
        while found.len() < limit {
            let mut statement = Statement::new(self.rows(), &clause)?;
            let (start, count) = (statement.bind(from)?, statement.bind(i64::try_from(page).unwrap_or(i64::MAX))?);
            statement.sql.push_str(&format!(" AND id {relation} ${start} ORDER BY id {order} LIMIT ${count}"));
            let rows = statement.all(connection).await?;
            found.extend(rows.iter().filter_map(|row| matching(query, row)));
            match rows.last() {
                Some(last) if rows.len() == page => from = last.try_get(0)?,
                _ => break,
            }
            page = (2 * page).min(limits::SEARCH_PAGE_ROWS.max(limit));
        }
        found.truncate(limit);
        Ok(found)
    }

    /// Counts what an exact clause selects.
    async fn count_in_database(
        &self,
        connection: &mut PgConnection,
        clause: &Clause,
        by: By,
        asked: &Asked,
    ) -> Result<Histogram, sqlx::Error> {
        let key = if by == By::Level { "level" } else { SOURCE };
        // The clause comes first, as its parameters do.
        let found = format!("WITH found AS (SELECT {MICROS} AS micros, {key} AS key FROM {} WHERE ", self.table);
        let mut ends = Statement::new(found.clone(), clause)?;
        ends.sql.push_str(") SELECT min(micros), max(micros) FROM found");
        let ends = ends.all(connection).await?;
        let end = |at: usize| ends.first().and_then(|row| row.try_get::<Option<i64>, _>(at).ok().flatten());
        let Some((oldest, newest)) = end(0).zip(end(1)) else { return Ok(asked.empty()) };
        let range = asked.range(oldest.saturating_mul(1000), newest.saturating_mul(1000));
        let width = asked.width(range, 1000);
        let mut statement = Statement::new(found, clause)?;
        let (since, step) = (statement.bind(range.0)?, statement.bind(width)?);
        // No division of 64-bit integers: the range may have 65 bits.
        statement.sql.push_str(&format!(
            ") SELECT div(micros::numeric * 1000 - ${since}::bigint, ${step}::bigint)::bigint, key, count(*) \
             FROM found GROUP BY 1, 2"
        ));
        let mut histogram = Histogram { since_ns: range.0, until_ns: range.1, bucket_ns: width, ..Default::default() };
        for row in statement.all(connection).await? {
            let (bucket, key, count): (i64, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let start = range.0.saturating_add(bucket.saturating_mul(width));
            histogram.buckets.entry(start).or_default().insert(key, count.unsigned_abs());
        }
        Ok(histogram)
    }

    /// Counts the rows that match.
    async fn count_rows(
        &self,
        connection: &mut PgConnection,
        query: &Query,
        clause: &Clause,
        by: By,
    ) -> Result<Counts, sqlx::Error> {
        let mut counts = Counts::default();
        let statement = Statement::new(self.rows(), clause)?;
        let sql = statement.sql;
        let mut rows = sqlx::query_with(AssertSqlSafe(sql), statement.arguments).persistent(false).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            if matching(query, &row).is_some() {
                let micros: i64 = row.try_get(1)?;
                counts.add(micros.saturating_mul(1000), row.try_get(if by == By::Level { 2 } else { 3 })?);
            }
        }
        Ok(counts)
    }
}

#[async_trait]
impl Search for PostgresSearch {
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = self.newest_rows(session.connection(), query, before, limit).await;
        self.end(session, found)
    }

    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = self.row(session.connection(), id).await;
        self.end(session, found)
    }

    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let connection = session.connection();
        let found = async {
            let mut found = self.neighbours(connection, query, id, after, (">", "ASC")).await?;
            found.reverse();
            found.extend(self.row(connection, id).await?);
            found.extend(self.neighbours(connection, query, id, before, ("<", "DESC")).await?);
            Ok(found)
        };
        let found = found.await;
        self.end(session, found)
    }

    async fn explain(&self, query: &Query, limit: usize) -> Result<String, SearchError> {
        let mut session = self.session().await?;
        let clause = query.postgres();
        let connection = session.connection();
        let lines = async {
            let mut statement = Statement::new(format!("EXPLAIN {}", self.rows()), &clause)?;
            let count = statement.bind(i64::try_from(limit).unwrap_or(i64::MAX))?;
            statement.sql.push_str(&format!(" ORDER BY timestamp DESC, id DESC LIMIT ${count}"));
            statement.all(connection).await?.iter().map(|row| row.try_get::<String, _>(0)).collect()
        };
        let lines: Result<Vec<String>, sqlx::Error> = lines.await;
        Ok(clause.explained() + &self.end(session, lines)?.join("\n") + "\n")
    }

    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError> {
        let mut session = self.session().await?;
        let clause = query.postgres();
        let asked = Asked::new(query, buckets);
        let connection = session.connection();
        let histogram = match clause.is_exact {
            true => self.count_in_database(connection, &clause, by, &asked).await,
            false => self.count_rows(connection, query, &clause, by).await.map(|counts| counts.histogram(&asked)),
        };
        self.end(session, histogram)
    }
}

impl Session {
    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("taken only when the session ends")
    }
}

/// A statement with its parameters.
struct Statement {
    sql: String,
    arguments: PgArguments,
    bound: usize,
}

impl Statement {
    /// A statement that ends with a clause, whose parameters are the first.
    fn new(mut sql: String, clause: &Clause) -> Result<Statement, sqlx::Error> {
        sql.push_str(&clause.sql);
        let mut statement = Statement { sql, arguments: PgArguments::default(), bound: 0 };
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
    fn bind<T>(&mut self, value: T) -> Result<usize, sqlx::Error>
    where
        T: for<'q> sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>,
    {
        sqlx::Arguments::add(&mut self.arguments, value).map_err(sqlx::Error::Encode)?;
        self.bound += 1;
        Ok(self.bound)
    }

    async fn all(self, connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::query_with(AssertSqlSafe(self.sql), self.arguments).persistent(false).fetch_all(connection).await
    }
}

/// The record of a row.
fn hit(row: &PgRow) -> Option<Hit> {
    let id: i64 = row.try_get(0).ok()?;
    let micros: i64 = row.try_get(1).ok()?;
    let text = |at: usize| row.try_get::<&str, _>(at).ok();
    let record = rebuilt::record(micros.saturating_mul(1000), text(2)?, text(3)?, text(4)?, text(5)?)?;
    Some(Hit { id: EntryId { sequence: id.cast_unsigned(), index: 0 }, record })
}

fn matching(query: &Query, row: &PgRow) -> Option<Hit> {
    hit(row).filter(|hit| query.matches(Record::new(&hit.record)))
}
