//! Searches the rows of a `sqlite` sink, also while the sink writes them, and while no router runs.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | implements [`Search`] |
//! | `connections.rs` | read-only connections; a search that is dropped is interrupted |
//! | `plan.rs` | which rows of the database can match, and in which order they are read |
//! | `scan.rs` | reads ranges of rows, on two connections if there is much to read |
//! | `newest.rs` | the newest matching rows |
//! | `explain.rs` | how they are found, for people |
//! | `histogram.rs` | counts over time |
//! | `rows.rs` | statements, and rows as records |
//!
//! Every search sees one state of the database in a read transaction, with the exception of rows that are deleted while it
//! reads on a second connection (`scan.rs`). A row's clause in SQL may select too
//! much, so a row counts only if the query matches its record.

mod connections;
mod explain;
mod histogram;
mod newest;
mod plan;
mod rows;
mod scan;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use weir_query::search::{By, Histogram, Hit, Place, Search, SearchError};
use weir_query::{EntryId, Query};

use self::connections::{Connections, Session};
use self::plan::Plan;
use self::rows::{COLUMNS, Statement, hit};
use super::fault::classify;
use super::{SqliteOptions, place};
use crate::limits;
use crate::registry::{BuildContext, options};

/// The search of a sink. Opens nothing.
pub(super) fn open(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Arc<dyn Search>, String> {
    let options: SqliteOptions = options(name, given)?;
    Ok(Arc::new(SqliteSearch::new(name, place(&options, context))))
}

/// The search of a database.
pub(super) struct SqliteSearch {
    connections: Arc<Connections>,
}

impl SqliteSearch {
    pub(in crate::sqlite) fn new(name: &str, path: PathBuf) -> SqliteSearch {
        SqliteSearch { connections: Arc::new(Connections::new(name, path)) }
    }

    async fn session(&self) -> Result<Session, SearchError> {
        self.connections.clone().open().await
    }

    /// Ends a search.
    async fn end<T>(&self, session: Session, outcome: Result<T, sqlx::Error>) -> Result<T, SearchError> {
        match outcome {
            Ok(found) => {
                session.keep().await;
                Ok(found)
            }
            Err(error) => Err(self.connections.fault(&error)),
        }
    }
}

#[async_trait]
impl Search for SqliteSearch {
    async fn newest(&self, query: &Query, before: Option<Place>, limit: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = newest::newest(&mut session, query, before, limit).await;
        self.end(session, found).await
    }

    async fn get(&self, id: EntryId) -> Result<Option<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = get(session.connection(), id).await;
        self.end(session, found).await
    }

    async fn around(&self, query: &Query, id: EntryId, before: usize, after: usize) -> Result<Vec<Hit>, SearchError> {
        let mut session = self.session().await?;
        let found = around(session.connection(), query, id, before, after).await;
        self.end(session, found).await
    }

    async fn explain(&self, query: &Query, _limit: usize) -> Result<String, SearchError> {
        let mut session = self.session().await?;
        let explained = explain::explain(session.connection(), query).await;
        self.end(session, explained).await
    }

    async fn histogram(&self, query: &Query, by: By, buckets: usize) -> Result<Histogram, SearchError> {
        let mut session = self.session().await?;
        let found = histogram::histogram(&mut session, query, by, buckets).await;
        self.end(session, found).await
    }
}

async fn get(connection: &mut sqlx::SqliteConnection, id: EntryId) -> Result<Option<Hit>, sqlx::Error> {
    let mut statement = Statement::new(format!("SELECT {COLUMNS} FROM logs WHERE sequence = ? AND position = ?"));
    statement.bind(id.sequence.cast_signed())?;
    statement.bind(i64::from(id.index))?;
    Ok(statement.all(connection).await?.iter().find_map(hit))
}

async fn around(
    connection: &mut sqlx::SqliteConnection,
    query: &Query,
    id: EntryId,
    before: usize,
    after: usize,
) -> Result<Vec<Hit>, sqlx::Error> {
    let plan = Plan::new(connection, query).await?;
    let mut found = neighbours(connection, query, &plan, id, after, Direction::Newer).await?;
    found.reverse();
    found.extend(get(connection, id).await?);
    found.extend(neighbours(connection, query, &plan, id, before, Direction::Older).await?);
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Older,
    Newer,
}

/// The nearest matching rows on one side, nearest first. Rows of a lost journal, which have negative sequences, are
/// older than all others.
async fn neighbours(
    connection: &mut sqlx::SqliteConnection,
    query: &Query,
    plan: &Plan,
    id: EntryId,
    limit: usize,
    direction: Direction,
) -> Result<Vec<Hit>, sqlx::Error> {
    let (relation, order) = if direction == Direction::Older { ("<", "DESC") } else { (">", "ASC") };
    let mut found = Vec::new();
    let mut from = id;
    let mut page = limit;
    while found.len() < limit {
        let mut statement =
            Statement::new(format!("SELECT {COLUMNS} FROM logs WHERE (sequence, position) {relation} (?, ?) AND "));
        statement.bind(from.sequence.cast_signed())?;
        statement.bind(i64::from(from.index))?;
        statement.clause(&plan.clause)?;
        statement.sql(&format!(" ORDER BY sequence {order}, position {order} LIMIT ?"));
        statement.bind(i64::try_from(page).unwrap_or(i64::MAX))?;
        let rows = statement.all(connection).await?;
        let hits = rows.iter().filter_map(hit);
        found.extend(hits.filter(|hit| query.matches(weir_record::Record::new(&hit.record))));
        match rows.last() {
            Some(last) if rows.len() == page => from = rows::place(last)?.id,
            _ => break,
        }
        page = (2 * page).min(limits::SEARCH_PAGE_ROWS.max(limit));
    }
    found.truncate(limit);
    Ok(found)
}
