//! Searches the default table of a `postgres` sink.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | implements [`Search`]; connections |
//! | `walk.rs` | the first matching rows in an order |
//! | `histogram.rs` | counts over time |
//! | `rows.rs` | statements, and rows as records |
//!
//! A record's id is the id of its row here: the table does not have the places of records in the journal, which would
//! not be unique in it, as several routers may write to one table. Times are whole microseconds, and a value that was
//! stored in a column has the column's name.
//!
//! The sink's own connection is never used. A search that is dropped closes its connection and cancels its statement on
//! the server through another one.

mod histogram;
mod rows;
mod walk;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use weir_query::search::{By, Histogram, Hit, Place, Search, SearchError};
use weir_query::{EntryId, Query};

use self::rows::{columns, hit};
use self::walk::{Order, Walk};
use super::fault::classify;
use super::indexes::{self, Known};
use super::settings::PostgresOptions;
use super::table::quoted;
use crate::limits;
use crate::registry::{BuildContext, options};

/// The search of a sink. Connects to nothing.
pub(super) fn open(name: &str, given: serde_json::Value, _: &BuildContext) -> Result<Arc<dyn Search>, String> {
    let options: PostgresOptions = options(name, given)?;
    let search = PostgresSearch::new(name, &options).map_err(|error| format!("sink `{name}`: {error}"))?;
    Ok(Arc::new(search))
}

/// The search of a table.
pub(super) struct PostgresSearch {
    /// The sink, for errors.
    place: String,
    connecting: PgConnectOptions,
    patience: std::time::Duration,
    table: String,
    has_default_columns: bool,
    /// Made at the first search, which has a runtime.
    pool: OnceLock<PgPool>,
    /// What is known about the table, and since when.
    known: Mutex<Option<(Instant, Known)>>,
}

/// Asks for the id of the server's process. While a sink writes to the database, the search gets by with that one
/// process, so that it takes no more than one core from the sink.
const BEGIN: &str = "SELECT pg_backend_pid(), set_config(name, CASE WHEN EXISTS (
    SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'COPY %'
  ) THEN '0' ELSE reset_val END, FALSE) FROM pg_settings WHERE name = 'max_parallel_workers_per_gather'";

/// A connection in use.
struct Session {
    connection: Option<PoolConnection<Postgres>>,
    known: Known,
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
    pub(in crate::postgres) fn new(name: &str, options: &PostgresOptions) -> Result<PostgresSearch, String> {
        options.check()?;
        let table = quoted(&options.table_name());
        Ok(PostgresSearch {
            place: format!("sink `{name}`"),
            // To compile a statement takes longer than most searches, and few rows are the result of many.
            connecting: options.connection()?.options([
                ("default_transaction_read_only", "on"),
                ("jit", "off"),
                ("parallel_tuple_cost", "0"),
            ]),
            patience: options.connect_timeout.duration(),
            table: match &options.schema {
                Some(schema) => format!("{}.{table}", quoted(schema)),
                None => table,
            },
            has_default_columns: options.columns.is_none(),
            pool: OnceLock::new(),
            known: Mutex::new(None),
        })
    }

    /// The table in statements.
    pub(in crate::postgres) fn table(&self) -> &str {
        &self.table
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
        let begun = sqlx::query_as(BEGIN).fetch_one(&mut *connection).await;
        let (pid, _): (i32, String) = begun.map_err(|error| self.fault(&error))?;
        let mut session = Session { connection: Some(connection), known: Known::default(), pid, pool: pool.clone() };
        match self.known(session.connection()).await {
            Ok(known) => session.known = known,
            Err(error) => return self.end(session, Err(error)),
        }
        Ok(session)
    }

    /// What is known about the table. Indexes may be added at any time.
    async fn known(&self, connection: &mut PgConnection) -> Result<Known, sqlx::Error> {
        let last = self.known.lock().map_or(None, |known| *known);
        if let Some((since, known)) = last
            && since.elapsed() < limits::SEARCH_KNOWN
        {
            return Ok(known);
        }
        let found = indexes::known(connection, &self.table).await?;
        if let Ok(mut known) = self.known.lock() {
            *known = found.map(|found| (Instant::now(), found));
        }
        Ok(found.unwrap_or_default())
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

    async fn row(&self, connection: &mut PgConnection, id: EntryId) -> Result<Option<Hit>, sqlx::Error> {
        let Some(row) = i64::try_from(id.sequence).ok().filter(|_| id.index == 0) else { return Ok(None) };
        let sql = format!("SELECT {} FROM {} WHERE id = $1", columns(), self.table);
        let found = sqlx::query(AssertSqlSafe(sql)).bind(row).fetch_optional(connection).await?;
        Ok(found.as_ref().and_then(hit))
    }

    fn walk<'s>(&'s self, session: &Session, query: &'s Query, order: Order, limit: usize) -> Walk<'s> {
        Walk::new(&self.table, session.known, query, order, limit)
    }
}

#[async_trait]
impl Search for PostgresSearch {
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let mut walk = self.walk(&session, query, Order::NewestFirst, limit);
        if let Some(place) = before {
            walk = walk.after(place.timestamp_ns.div_euclid(1000), place.id.sequence.cast_signed());
        }
        let found = walk.hits(session.connection()).await;
        self.end(session, found)
    }

    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = self.row(session.connection(), id).await;
        self.end(session, found)
    }

    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let start = i64::try_from(id.sequence).unwrap_or(i64::MAX);
        let newer = self.walk(&session, query, Order::Newer, after).after(0, start);
        let older = self.walk(&session, query, Order::Older, before).after(0, start);
        let connection = session.connection();
        let found = async {
            let mut found = newer.hits(connection).await?;
            found.reverse();
            found.extend(self.row(connection, id).await?);
            found.extend(older.hits(connection).await?);
            Ok(found)
        };
        let found = found.await;
        self.end(session, found)
    }

    async fn explain(&self, query: &Query, limit: usize) -> Result<String, SearchError> {
        let mut session = self.session().await?;
        let walk = self.walk(&session, query, Order::NewestFirst, limit);
        let text = walk.explained(session.connection()).await;
        self.end(session, text)
    }

    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError> {
        let mut session = self.session().await?;
        let known = session.known;
        let found = histogram::histogram(session.connection(), &self.table, known, query, by, buckets).await;
        self.end(session, found)
    }
}

impl Session {
    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("taken only when the session ends")
    }
}
