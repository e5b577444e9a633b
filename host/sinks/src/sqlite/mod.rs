//! The `sqlite` sink: writes records as rows, which any SQLite client can read at the same time.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, transactions, retention |
//! | `cursor.rs` | the position of each sink, in the same transaction |
//! | `schema.rs` | tables, indexes, migrations |
//! | `index.rs` | the search index |
//! | `blocks.rs` | a summary of the rows, for searches |
//! | `erase.rs` | erases rows, so that their bytes are gone |
//! | `insert.rs` | inserts many rows per statement |
//! | `search/` | searches the rows, also while the sink writes |
//! | `fault.rs` | what SQLite's errors mean |
//!
//! Guarantee: exactly once. The cursor is a row of the same database, one per sink, written in the transaction of the
//! records, so records and cursor are stored together or not at all. After a crash, delivery resumes after the frame in
//! the cursor. Several sinks may write to one database (`cursor.rs`); `retention` and `max_rows` of each then apply to
//! everything in it.
//!
//! # Durability
//! WAL mode with `synchronous = NORMAL`: a commit is visible to readers at once and survives a crash of the process,
//! but a power cut may lose the last commits, whole and in order, with their cursor. That is harmless as long as the
//! journal still has those frames. So the journal's cursor follows only a *flush*, at a start and at most a second
//! later: one small transaction committed with `synchronous = FULL`. Its commit fsyncs the WAL, which is one file, so
//! every earlier commit is durable too; frames that a checkpoint has moved out of the WAL were fsynced with the
//! database before the WAL was reused. The flush changes a counter, since SQLite does not write an unchanged page, and
//! a commit without a page does not sync. Compared with `FULL` for every commit, this saves one fsync per delivery.
//!
//! A frame may be delivered in parts (when the runner searches for a record that SQLite rejects). The cursor then names
//! the part, and after a crash delivery resumes within the frame.

mod blocks;
mod cursor;
mod erase;
mod fault;
mod index;
#[cfg(test)]
mod index_tests;
mod insert;
mod schema;
mod search;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use weir_record::time::now_ns;

use self::cursor::Cursor;
use self::fault::classify;
use self::insert::{Inserter, sequence_of};
use self::schema::SchemaError;
use crate::erasure::{Erased, Erasure};
use crate::limits;
use crate::owners::{Files, Owner, Owners, Reserves};
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Delivered, Position, Selected, Sink, SinkError};
use crate::units::TimeSpan;

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "sqlite",
    summary: "stores records as rows of an SQLite database, indexed by time, level and source, with full-text search",
    guarantee: Guarantee::ExactlyOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.store]
type = "sqlite"
path = "logs.db"        # relative to the data folder
search = true           # full-text index over messages and values
retention = "30d"
max_rows = 10000000
"#,
    schema: schema_of::<SqliteOptions>,
    variables: &[Variable { name: "WEIR_SQLITE_PATH", option: "path" }],
    min_level: None,
    build,
    search: Some(search::open),
};

/// Options of an `sqlite` sink.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqliteOptions {
    /// The database file; a relative path starts at the data folder.
    #[serde(default = "default_path")]
    pub path: PathBuf,
    /// Keeps a full-text index over the message and the texts and integers of all fields.
    #[serde(default = "default_search")]
    pub search: bool,
    /// Records older than this, by their own time, are deleted; absent: never.
    #[serde(default)]
    pub retention: Option<TimeSpan>,
    /// Maximum number of records; beyond it the oldest are deleted; absent: no limit.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_rows: Option<u64>,
}

/// The database in the options.
pub(crate) fn place(given: &SqliteOptions, context: &BuildContext) -> PathBuf {
    context.data.join(&given.path)
}

fn default_path() -> PathBuf {
    "logs.db".into()
}

fn default_search() -> bool {
    true
}

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let options: SqliteOptions = options(name, given)?;
    if options.max_rows == Some(0) {
        return Err(format!("sink `{name}`: `max_rows` must be more than 0; leave it out to keep everything"));
    }
    Ok(Box::new(SqliteSink::new(name, options, context)))
}

struct SqliteSink {
    name: String,
    /// Sink and file, for errors.
    place: String,
    path: PathBuf,
    options: SqliteOptions,
    connection: Option<SqliteConnection>,
    cursor: Cursor,
    owners: Owners,
    /// Prevents file sinks from writing to the database.
    _owner: Owner,
    inserter: Inserter,
    next_id: i64,
    /// The last frame known to survive a power cut.
    durable: u64,
    /// The last record that is committed or was skipped intentionally; it and all earlier ones are not written again.
    held: Option<Position>,
}

impl SqliteSink {
    fn new(name: &str, options: SqliteOptions, context: &BuildContext) -> SqliteSink {
        let path = place(&options, context);
        SqliteSink {
            name: name.into(),
            place: format!("sink `{name}`: database `{}`", path.display()),
            cursor: Cursor::new(name),
            owners: context.owners.clone(),
            _owner: context.owners.register(name, &context.data, files_of(&path)),
            inserter: Inserter::new(options.search),
            path,
            options,
            connection: None,
            next_id: 1,
            durable: 0,
            held: None,
        }
    }

    fn fault(&self, error: &sqlx::Error) -> SinkError {
        classify(&self.place, error)
    }

    async fn connect(&self) -> Result<SqliteConnection, SinkError> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let failed = |error: std::io::Error| {
            SinkError::Retry(format!(
                "{}: can't use its folder: {error}; give weir write access or change `path`",
                self.place
            ))
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .busy_timeout(limits::SQLITE_BUSY)
            .synchronous(SqliteSynchronous::Normal)
            .page_size(limits::SQLITE_PAGE_BYTES)
            // Costs nothing unless rows are deleted. `erase.rs` deals with pages that become free.
            .pragma("secure_delete", "FAST")
            .pragma("cache_size", format!("-{}", limits::SQLITE_CACHE_KIB))
            .pragma("wal_autocheckpoint", limits::SQLITE_CHECKPOINT_PAGES.to_string())
            .pragma("journal_size_limit", limits::SQLITE_WAL_BYTES.to_string())
            .disable_statement_logging();
        let mut connection = options.connect().await.map_err(|error| self.fault(&error))?;
        schema::prepare(&mut connection).await.map_err(|error| match error {
            SchemaError::Foreign(reason) => SinkError::Fatal(format!("{}: {reason}", self.place)),
            SchemaError::Sqlite(error) => self.fault(&error),
        })?;
        self.cursor.prepare(&mut connection).await.map_err(|error| self.fault(&error))?;
        let indexed = index::prepare(&mut connection, &self.place, self.options.search).await;
        indexed.map_err(|error| self.fault(&error))?;
        // SQLite syncs the folder for its WAL, but not for a new database.
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(connection)
    }

    /// Gives rows of a lost journal numbers that no journal uses, so that theirs are free again. Done once for all
    /// sinks of the database, before any of them writes: later, another sink may be further than this one for a good
    /// reason.
    async fn set_aside(&self, connection: &mut SqliteConnection, last_sequence: u64) -> Result<(), sqlx::Error> {
        let last = i64::try_from(last_sequence).unwrap_or(i64::MAX);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        // Checked inside the transaction, which waits for another sink that does the same.
        if !self.owners.is_unchecked(&self.path)
            || Cursor::furthest(&mut transaction).await?.is_none_or(|at| at <= last)
        {
            self.owners.check_off(&self.path);
            return transaction.rollback().await;
        }
        // Below everything that was moved earlier, in the same order.
        let sql = "WITH bounds AS (SELECT min(0, coalesce(min(sequence), 0)) AS least FROM logs),
                        most AS (SELECT coalesce(max(sequence), 0) AS top FROM logs)
                   UPDATE logs SET sequence = sequence - (SELECT top FROM most) - 1 + (SELECT least FROM bounds)
                   WHERE sequence > ?";
        let moved = sqlx::query(sql).bind(last).execute(&mut *transaction).await?.rows_affected();
        Cursor::put_back(&mut transaction, last).await?;
        transaction.commit().await?;
        self.owners.check_off(&self.path);
        tracing::warn!(place = self.place, rows = moved, "rows of a lost journal now have negative sequences");
        Ok(())
    }

    async fn read_state(
        &mut self,
        connection: &mut SqliteConnection,
        last_sequence: u64,
    ) -> Result<Option<u64>, SinkError> {
        let found = self.cursor.read(connection).await.map_err(|error| self.fault(&error))?;
        self.next_id = next_id(connection).await.map_err(|error| self.fault(&error))?;
        self.held = None;
        self.set_aside(connection, last_sequence).await.map_err(|error| self.fault(&error))?;
        let Some((stored, position)) = found else { return Ok(None) };
        let sequence = sequence_of(stored, &self.place)?;
        if sequence > last_sequence {
            self.held = Some(Position::whole(last_sequence));
            return Ok(Some(sequence));
        }
        let held = match position {
            Some(index) => Position { sequence, index: u32::try_from(index).unwrap_or(u32::MAX) },
            None => Position::whole(sequence),
        };
        self.held = Some(held);
        Ok(Some(held.last_whole_frame()))
    }

    /// Writes records in another sink's place, which don't affect the cursor: as rows of sequence 0, which no frame
    /// has.
    async fn write_aside(
        &mut self,
        connection: &mut SqliteConnection,
        batches: &[Selected],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        self.inserter.clear();
        let taken: Option<i64> = sqlx::query_scalar("SELECT max(position) FROM logs WHERE sequence = 0")
            .fetch_one(&mut *transaction)
            .await?;
        let mut index = taken.map_or(0, |last| u32::try_from(last).map_or(u32::MAX, |last| last.saturating_add(1)));
        let mut id = next_id(&mut transaction).await?;
        for (_, record) in batches.iter().flat_map(Selected::iter) {
            self.inserter.push(&mut transaction, id, Position { sequence: 0, index }, record).await?;
            (id, index) = (id + 1, index.saturating_add(1));
        }
        self.inserter.finish(&mut transaction).await?;
        transaction.commit().await?;
        self.next_id = id;
        Ok(())
    }

    /// Writes records and the cursor in one transaction.
    async fn write(&mut self, connection: &mut SqliteConnection, batches: &[Selected]) -> Result<(), sqlx::Error> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        self.inserter.clear();
        let mut id = next_id(&mut transaction).await?;
        let known = self.cursor.known(&mut transaction, batches).await?;
        for (at, record) in batches.iter().flat_map(Selected::iter) {
            if self.held.is_some_and(|held| at <= held) || known.has(at) {
                continue;
            }
            self.inserter.push(&mut transaction, id, at, record).await?;
            id += 1;
        }
        self.inserter.finish(&mut transaction).await?;
        let last = batches.last().map(Selected::end);
        let held = last.max(self.held);
        if let Some(held) = held {
            self.cursor.advance(&mut transaction, held).await?;
        }
        transaction.commit().await?;
        self.next_id = id;
        self.held = held;
        Ok(())
    }

    /// Deletes some of the rows past retention. Returns true if there may be more.
    async fn retain(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let limit = i64::from(limits::RETENTION_ROWS);
        let mut deleted = 0;
        if let Some(age) = self.options.retention {
            let age_ns = i64::try_from(age.duration().as_nanos()).unwrap_or(i64::MAX);
            let sql = "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE timestamp < ? LIMIT ?)";
            let before = now_ns().saturating_sub(age_ns);
            deleted = sqlx::query(sql).bind(before).bind(limit).execute(&mut *connection).await?.rows_affected();
        }
        if let Some(rows) = self.options.max_rows {
            // Ids are assigned without gaps, oldest first, so the surplus rows are those below an id.
            let below = self.next_id.saturating_sub(i64::try_from(rows).unwrap_or(i64::MAX));
            let sql = "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE id < ? LIMIT ?)";
            let more = sqlx::query(sql).bind(below).bind(limit).execute(&mut *connection).await?.rows_affected();
            deleted = deleted.max(more);
        }
        if deleted > 0 {
            blocks::prune(connection).await?;
        }
        Ok(deleted == u64::from(limits::RETENTION_ROWS))
    }

    /// Takes the connection, so that an error leaves none and `start` opens a new one.
    fn take(&mut self) -> Result<SqliteConnection, SinkError> {
        self.connection.take().ok_or_else(|| SinkError::Retry(format!("{}: the database is not open", self.place)))
    }
}

/// The database and the files that SQLite keeps beside it.
fn files_of(path: &Path) -> Reserves {
    let ends = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let files = ends.map(|(folder, name)| Files::new(folder, &format!("{}(-wal|-shm|-journal)?", regex::escape(name))));
    files.and_then(Result::ok).map_or(Reserves::Nothing, Reserves::Exactly)
}

/// Read in each transaction: a replay may write from another process.
async fn next_id(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let top: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM logs").fetch_one(connection).await?;
    Ok(top.unwrap_or(0) + 1)
}

/// Commits with an fsync of the WAL, and so makes all earlier commits durable.
async fn sync(connection: &mut SqliteConnection, cursor: &Cursor) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
    cursor.touch(&mut *connection).await?;
    sqlx::raw_sql("PRAGMA synchronous = NORMAL").execute(&mut *connection).await?;
    Ok(())
}

#[async_trait]
impl Sink for SqliteSink {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        self.connection = None;
        let mut connection = self.connect().await?;
        let held = self.read_state(&mut connection, last_sequence).await?;
        self.connection = Some(connection);
        self.durable = 0;
        if held.is_some() {
            // The journal's cursor follows this position at once.
            self.flush().await?;
        }
        Ok(held)
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut from = 0;
        while from < batches.len() {
            // As many frames as fit into a transaction, at least one.
            let mut records = 0;
            let fitting = batches[from..].iter().take_while(|frame| {
                records += frame.len();
                records <= limits::TRANSACTION_RECORDS
            });
            let to = from + fitting.count().max(1);
            let mut connection = self.take()?;
            match self.write(&mut connection, &batches[from..to]).await {
                Ok(()) => self.connection = Some(connection),
                Err(error) => {
                    let fault = self.fault(&error);
                    // The rejected transaction was rolled back. Earlier ones are committed, and are skipped when the
                    // runner delivers halves of the same frames.
                    if matches!(fault, SinkError::Reject(_)) {
                        self.connection = Some(connection);
                    }
                    return Err(fault);
                }
            }
            from = to;
        }
        Ok(Delivered { rejected: Vec::new(), durable: Some(self.durable) })
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut connection = self.take()?;
        let outcome = self.write_aside(&mut connection, batches).await.map_err(|error| self.fault(&error));
        if matches!(outcome, Ok(()) | Err(SinkError::Reject(_))) {
            self.connection = Some(connection);
        }
        outcome?;
        self.flush().await?;
        Ok(Delivered::default())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let mut connection = self.take()?;
        sync(&mut connection, &self.cursor).await.map_err(|error| self.fault(&error))?;
        self.connection = Some(connection);
        self.durable = self.held.map_or(0, Position::last_whole_frame);
        Ok(())
    }

    async fn maintain(&mut self) -> Result<bool, SinkError> {
        if self.options.retention.is_none() && self.options.max_rows.is_none() {
            return Ok(false);
        }
        let mut connection = self.take()?;
        let until = Instant::now() + Duration::from_millis(limits::RETENTION_MS);
        let mut more = true;
        while more && Instant::now() < until {
            more = self.retain(&mut connection).await.map_err(|error| self.fault(&error))?;
        }
        self.connection = Some(connection);
        Ok(more)
    }

    async fn erase(&mut self, erasure: &Erasure, _last_sequence: u64) -> Result<Erased, SinkError> {
        self.erase_rows(erasure).await.map(Erased::Records)
    }
}
