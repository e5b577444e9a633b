//! Reads ranges of rows one after the other, on two connections if that makes a search faster.
//!
//! Most of the time of a search without an index is spent in SQLite, on the thread of the connection, so two threads
//! take half as long. The second connection has a transaction of its own: since the first one began, rows may have been
//! written and deleted. Ranges end at the last row that the first one sees ([`Plan::steps`](super::plan::Plan::steps)),
//! so that no row is judged by a plan that was made without it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::TryStreamExt;
use futures::future::try_join;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use super::connections::Session;
use super::rows::Statement;

/// What is read, and what becomes of the rows.
pub trait Scan: Send {
    /// The next statement. `None` at the end.
    fn next(&mut self) -> Result<Option<Statement>, sqlx::Error>;

    /// Takes a row of one of the statements.
    fn take(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error>;

    /// Whether the rest is worth a second connection.
    fn is_long(&self) -> bool;
}

/// Runs all statements. The first one is on its own, as it suffices for most searches.
pub async fn run<S: Scan>(session: &mut Session, scan: S) -> Result<S, sqlx::Error> {
    let scan = Mutex::new(scan);
    if one(session.connection(), &scan).await? {
        if lock(&scan).is_long() {
            let connections = session.connections();
            let beside = async {
                if let Some(mut other) = connections.another().await {
                    rest(other.connection(), &scan).await?;
                    other.keep().await;
                }
                Ok(())
            };
            try_join(rest(session.connection(), &scan), beside).await?;
        } else {
            rest(session.connection(), &scan).await?;
        }
    }
    Ok(scan.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn rest<S: Scan>(connection: &mut SqliteConnection, scan: &Mutex<S>) -> Result<(), sqlx::Error> {
    while one(connection, scan).await? {}
    Ok(())
}

/// Runs the next statement. Returns false if there is none.
async fn one<S: Scan>(connection: &mut SqliteConnection, scan: &Mutex<S>) -> Result<bool, sqlx::Error> {
    let Some(statement) = lock(scan).next()? else { return Ok(false) };
    let mut rows = statement.rows(connection);
    while let Some(row) = rows.try_next().await? {
        lock(scan).take(&row)?;
    }
    Ok(true)
}

fn lock<S>(scan: &Mutex<S>) -> MutexGuard<'_, S> {
    // After a panic, the search is over.
    scan.lock().unwrap_or_else(PoisonError::into_inner)
}
