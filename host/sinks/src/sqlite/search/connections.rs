//! Read-only connections of searches.
//!
//! There are a few, opened when needed and closed when idle. The sink's own connection is never used. In WAL mode, a
//! reader and the writer don't wait for each other.
//!
//! A statement runs on a thread of its connection and doesn't notice that nobody waits for it. So SQLite asks a flag
//! every thousand steps, which is set when a search ends without [`Session::keep`]; its connection is then closed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use weir_query::search::SearchError;

use super::classify;
use crate::limits;
use crate::sqlite::schema::{APPLICATION_ID, VERSION};

/// The connections to one database.
pub struct Connections {
    /// Sink and file, for errors.
    place: String,
    path: PathBuf,
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<(Instant, Open)>,
    /// True while a task closes connections.
    is_watched: bool,
}

struct Open {
    connection: SqliteConnection,
    stop: Arc<AtomicBool>,
}

/// A connection in a read transaction.
pub struct Session {
    open: Option<Open>,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// None is open yet.
    pub fn new(name: &str, path: PathBuf) -> Connections {
        Connections {
            place: format!("sink `{name}`: database `{}`", path.display()),
            path,
            permits: Arc::new(Semaphore::new(limits::SEARCH_CONNECTIONS)),
            idle: Mutex::default(),
        }
    }

    /// An idle connection, or a new one. Waits while too many are in use.
    pub async fn open(self: Arc<Connections>) -> Result<Session, SearchError> {
        let closed = |_| SearchError::Unavailable(format!("{}: the router is stopping", self.place));
        let permit = self.permits.clone().acquire_owned().await.map_err(closed)?;
        self.begin(permit).await
    }

    /// One more for a search that has one. `None` if that would be the last one, as another search may need it.
    pub async fn another(self: Arc<Connections>) -> Option<Session> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        if self.permits.available_permits() == 0 {
            return None;
        }
        // The search can do without.
        self.begin(permit).await.ok()
    }

    async fn begin(self: Arc<Connections>, permit: OwnedSemaphorePermit) -> Result<Session, SearchError> {
        let idle = self.lock().connections.pop();
        let mut open = match idle {
            Some((_, open)) => open,
            None => self.connect().await?,
        };
        let begun = sqlx::raw_sql("BEGIN").execute(&mut open.connection).await;
        begun.map_err(|error| self.fault(&error))?;
        Ok(Session { open: Some(open), connections: self, _permit: permit })
    }

    async fn connect(&self) -> Result<Open, SearchError> {
        if !self.path.exists() {
            let text = format!("{}: it does not exist yet: the sink creates it when it starts", self.place);
            return Err(SearchError::Unavailable(text));
        }
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .read_only(true)
            .busy_timeout(limits::SEARCH_BUSY)
            .row_buffer_size(limits::SEARCH_ROW_BUFFER)
            .pragma("cache_size", format!("-{}", limits::SEARCH_CACHE_KIB))
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| self.fault(&error))?;
        self.check(&mut connection).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let mut handle = connection.lock_handle().await.map_err(|error| self.fault(&error))?;
        handle.set_progress_handler(limits::SEARCH_PROGRESS_STEPS, move || !asked.load(Ordering::Relaxed));
        drop(handle);
        Ok(Open { connection, stop })
    }

    /// Whether it is a database of this version.
    async fn check(&self, connection: &mut SqliteConnection) -> Result<(), SearchError> {
        let sql = "SELECT (SELECT application_id FROM pragma_application_id), user_version FROM pragma_user_version";
        let read = sqlx::query_as(sql).fetch_one(connection).await;
        let (application, version): (i64, i64) = read.map_err(|error| self.fault(&error))?;
        let reason = match () {
            () if application != APPLICATION_ID && application != 0 => "it is a database of another program",
            () if version < VERSION => "an older weir wrote it: a router with this sink updates it when it starts",
            () if version > VERSION => "a newer weir wrote it: use that one",
            () => return Ok(()),
        };
        Err(SearchError::Unavailable(format!("{}: {reason}", self.place)))
    }

    /// Why a statement failed.
    pub fn fault(&self, error: &sqlx::Error) -> SearchError {
        SearchError::Unavailable(classify(&self.place, error).to_string())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        // Nothing panics while holding it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection for the next search, and closes it if there is none.
    fn put_back(self: &Arc<Connections>, open: Open) {
        let mut idle = self.lock();
        idle.connections.push((Instant::now(), open));
        if idle.is_watched {
            return;
        }
        idle.is_watched = true;
        let connections = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(limits::SEARCH_IDLE).await;
                let Some(connections) = connections.upgrade() else { return };
                let mut idle = connections.lock();
                idle.connections.retain(|(since, _)| since.elapsed() < limits::SEARCH_IDLE);
                if idle.connections.is_empty() {
                    idle.is_watched = false;
                    return;
                }
            }
        });
    }
}

impl Session {
    /// The connection.
    pub fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.open.as_mut().expect("taken only when the session ends").connection
    }

    /// The connections of which it is one.
    pub fn connections(&self) -> Arc<Connections> {
        self.connections.clone()
    }

    /// Ends the transaction and keeps the connection.
    pub async fn keep(mut self) {
        if let Some(open) = &mut self.open
            && sqlx::raw_sql("ROLLBACK").execute(&mut open.connection).await.is_ok()
            && let Some(open) = self.open.take()
        {
            self.connections.put_back(open);
        }
    }
}

#[cfg(test)]
impl Connections {
    /// The number of idle connections.
    pub fn idle(&self) -> usize {
        self.lock().connections.len()
    }
}

#[cfg(test)]
impl Session {
    /// Counts how often SQLite asks whether to stop.
    pub async fn count_steps(&mut self, steps: Arc<std::sync::atomic::AtomicU64>) {
        let open = self.open.as_mut().expect("open");
        let stop = open.stop.clone();
        let mut handle = open.connection.lock_handle().await.expect("locked");
        handle.set_progress_handler(limits::SEARCH_PROGRESS_STEPS, move || {
            steps.fetch_add(1, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed)
        });
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            open.stop.store(true, Ordering::Relaxed);
        }
    }
}
