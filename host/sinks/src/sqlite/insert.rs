//! Inserts rows into SQLite: many rows per statement, few statements per transaction.
//!
//! sqlx runs SQLite on a dedicated thread and passes it one statement at a time, so with one row per statement this
//! would cost more than SQLite itself. Statements of a few fixed sizes are prepared once and reused.

use std::sync::Arc;

use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqliteConnection};
use weir_record::{Level, Record};

use super::blocks::{Blocks, Searchable, floats_of, is_searchable};
use super::index::push_words;
use crate::limits;
use crate::sink::{Position, SinkError};
use crate::text::Rest;

/// Rows per statement. The remainder uses the next smaller sizes, so that few statements make up any number.
const SIZES: [usize; 9] = [limits::INSERT_ROWS, 128, 64, 32, 16, 8, 4, 2, 1];
const LEVELS: [Level; 6] = [Level::Trace, Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Critical];

/// Collects rows and writes them.
pub struct Inserter {
    search: bool,
    rows: [Arc<str>; SIZES.len()],
    index: [Arc<str>; SIZES.len()],
    levels: [Arc<str>; LEVELS.len()],
    source: Arc<str>,
    rest: Rest,
    pending: Vec<Row>,
    blocks: Blocks,
}

struct Row {
    id: i64,
    at: Position,
    timestamp: i64,
    level: Arc<str>,
    source: Arc<str>,
    /// Shared by the row and its entry in the index.
    message: Arc<str>,
    fields: String,
    values: String,
}

impl Inserter {
    /// With or without the search index.
    pub fn new(search: bool) -> Inserter {
        let statement =
            |head: &str, row: &str, count: usize| Arc::from(format!("{head} VALUES {}", vec![row; count].join(",")));
        Inserter {
            search,
            rows: SIZES.map(|count| {
                statement(
                    "INSERT INTO logs(id,sequence,position,timestamp,level,source,message,fields)",
                    "(?,?,?,?,?,?,?,?)",
                    count,
                )
            }),
            index: SIZES.map(|count| statement("INSERT INTO logs_search(rowid,message,fields)", "(?,?,?)", count)),
            levels: LEVELS.map(|level| Arc::from(level.as_str())),
            source: Arc::from(""),
            rest: Rest::default(),
            pending: Vec::new(),
            blocks: Blocks::default(),
        }
    }

    /// Discards rows that were not written.
    pub fn clear(&mut self) {
        self.pending.clear();
        self.blocks.clear();
    }

    /// Takes a record. It is written once there are enough, or by `finish`.
    pub async fn push(
        &mut self,
        connection: &mut SqliteConnection,
        id: i64,
        at: Position,
        record: Record<'_>,
    ) -> Result<(), sqlx::Error> {
        let head = record.head();
        if *self.source != *head.source {
            self.source = Arc::from(head.source);
        }
        let mut fields = Vec::with_capacity(record.as_bytes().len());
        self.rest.push_json(record, &mut fields);
        // The JSON of a canonical record is UTF-8; anything else is written with replacement characters, not lost.
        let fields =
            String::from_utf8(fields).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        let mut values = String::new();
        if self.search {
            values.reserve(record.as_bytes().len());
            push_words(record, &fields, &mut values);
        }
        let searchable = match self.search {
            false => Searchable::Unknown,
            true if is_searchable(head.message, &fields) => Searchable::Yes,
            true => Searchable::No,
        };
        self.blocks.add(id, head.timestamp, searchable, floats_of(record));
        self.pending.push(Row {
            id,
            at,
            timestamp: head.timestamp,
            level: self.levels[LEVELS.iter().position(|level| *level == head.level).unwrap_or_default()].clone(),
            source: self.source.clone(),
            message: Arc::from(head.message),
            fields,
            values,
        });
        if self.pending.len() >= SIZES[0] { self.write(connection, 0).await } else { Ok(()) }
    }

    /// Writes the remaining rows, and the summary of all.
    pub async fn finish(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        while !self.pending.is_empty() {
            let size = SIZES.iter().position(|size| *size <= self.pending.len()).unwrap_or(SIZES.len() - 1);
            self.write(connection, size).await?;
        }
        self.blocks.write(connection).await
    }

    async fn write(&mut self, connection: &mut SqliteConnection, size: usize) -> Result<(), sqlx::Error> {
        let mut rows = SqliteArguments::default();
        let mut index = SqliteArguments::default();
        for row in self.pending.drain(..SIZES[size]) {
            if self.search {
                add(&mut index, row.id)?;
                add(&mut index, row.message.clone())?;
                add(&mut index, row.values)?;
            }
            add(&mut rows, row.id)?;
            add(&mut rows, row.at.sequence.cast_signed())?;
            add(&mut rows, i64::from(row.at.index))?;
            add(&mut rows, row.timestamp)?;
            add(&mut rows, row.level)?;
            add(&mut rows, row.source)?;
            add(&mut rows, row.message)?;
            add(&mut rows, row.fields)?;
        }
        execute(connection, &self.rows[size], rows).await?;
        if self.search {
            execute(connection, &self.index[size], index).await?;
        }
        Ok(())
    }
}

async fn execute(
    connection: &mut SqliteConnection,
    sql: &Arc<str>,
    arguments: SqliteArguments,
) -> Result<(), sqlx::Error> {
    let sql = AssertSqlSafe(sql.clone()).into_sql_str();
    sqlx::query_with(sql, arguments).persistent(true).execute(connection).await.map(drop)
}

fn add<'q, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), sqlx::Error>
where
    T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + 'q,
{
    sqlx::Arguments::add(arguments, value).map_err(sqlx::Error::Encode)
}

/// A sequence as an SQLite integer.
pub fn sequence_of(stored: i64, place: &str) -> Result<u64, SinkError> {
    u64::try_from(stored).map_err(|_| {
        SinkError::Fatal(format!(
            "{place}: its cursor contains {stored}, which is not a sequence; repair `weir_cursor`"
        ))
    })
}
