//! The `postgres` sink: writes records as rows of a PostgreSQL table.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the kind; a delivery as one transaction |
//! | `settings.rs` | options, and how to connect |
//! | `mapping.rs` | which path of a record is written to which column |
//! | `table.rs` | creates the table, or checks the one that exists |
//! | `row.rs` | a record as a row, without loss |
//! | `wire.rs` | the text format of COPY |
//! | `cursor.rs` | the position in the journal, in the same transaction |
//! | `unique.rs` | records that arrive by several ways, once |
//! | `days.rs` | partitions and retention |
//! | `erase.rs` | erases rows |
//! | `indexes.rs` | indexes for searches |
//! | `search/` | searches the default table |
//! | `fault.rs` | what PostgreSQL's errors mean |
//!
//! Guarantee: exactly once. A delivery is one transaction that moves the sink's row in `{prefix}_cursor` and then COPYs
//! the records; both are stored or neither. After a kill -9 on either side, or a COMMIT without an answer, delivery
//! resumes after the frame in the row. If the server has turned `synchronous_commit` off, the sink turns it on. Each
//! sink of each journal has its own row, so several routers may write to one table; a new journal has a new id and so a
//! new row.
//!
//! If PostgreSQL loses transactions (with `fsync = off`, or in a failover to a lagging standby), it loses rows and
//! cursor together, and Weir delivers again what is still in its journal.
//!
//! There is only one connection, because records are written in order; a pool would only keep idle ones. It is opened
//! when the sink starts and after every failure.

mod cursor;
mod days;
mod erase;
mod fault;
mod indexes;
mod mapping;
mod row;
mod search;
mod settings;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod unique;
mod wire;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;
use weir_record::Record;
use weir_record::time::now_ns;

use self::cursor::Cursor;
use self::days::Partitions;
use self::fault::{classify, lacks_partition};
use self::mapping::ColumnSpec;
use self::row::{Kind as Held, Rows};
use self::settings::PostgresOptions;
use self::table::{TableError, TableNames, quoted};
use self::unique::Unique;
use crate::erasure::{Erased, Erasure};
use crate::limits;
use crate::registry::{BuildContext, Guarantee, Kind, Variable, options, schema_of};
use crate::sink::{Batching, Delivered, Position, Selected, Sink, SinkError};

/// The kind's entry in the registry.
pub(crate) const KIND: Kind = Kind {
    name: "postgres",
    summary: "stores records as rows of a PostgreSQL table, its own or an existing one",
    guarantee: Guarantee::ExactlyOnce,
    reach: crate::registry::Reach::Anywhere,
    example: r#"[sink.team]
type = "postgres"
url = "postgres://weir@db.example.com/logs?sslmode=verify-full"   # the password from PGPASSWORD or ~/.pgpass
prefix = "weir"         # tables `weir_logs` and `weir_cursor`, created if missing
search = true           # indexes over the words of messages and the values of fields
retention = "30d"
partition = "day"       # a partition for each day, dropped as a whole
batch = 5000
linger = "1s"

# A table of your own: which path of a record feeds which column; `*` is everything else.
# table = "app_events"
# columns = { at = "timestamp", severity = "level", who = ["context.user.id", "user"], text = "message", data = "*" }
"#,
    schema: schema_of::<PostgresOptions>,
    variables: &[
        Variable { name: "WEIR_POSTGRES_URL", option: "url" },
        Variable { name: "PGHOST", option: "host" },
        Variable { name: "PGPORT", option: "port" },
        Variable { name: "PGUSER", option: "user" },
        Variable { name: "PGPASSWORD", option: "password" },
        Variable { name: "PGDATABASE", option: "database" },
        Variable { name: "PGSSLMODE", option: "sslmode" },
        Variable { name: "PGSSLROOTCERT", option: "ca" },
    ],
    min_level: None,
    build,
    search: Some(search::open),
};

fn build(name: &str, given: serde_json::Value, context: &BuildContext) -> Result<Box<dyn Sink>, String> {
    let sink = PostgresSink::new(name, options(name, given)?, &context.journal_id);
    Ok(Box::new(sink.map_err(|error| format!("sink `{name}`: {error}"))?))
}

struct PostgresSink {
    name: String,
    /// Sink and database, for errors.
    place: String,
    options: PostgresOptions,
    connecting: PgConnectOptions,
    table: String,
    wanted: Vec<ColumnSpec>,
    cursor: Cursor,
    unique: Option<Unique>,
    live: Option<Session>,
    /// The last record that is committed or was skipped intentionally; it and all earlier ones are not written again.
    held: Option<Position>,
    /// The last maintenance error, so that it is logged only once.
    last_maintenance_error: String,
}

/// A connection, and what is known about the table.
struct Session {
    connection: PgConnection,
    names: TableNames,
    rows: Rows,
    days: Partitions,
    /// The COPY statement.
    copy: String,
    buffer: Vec<u8>,
}

/// Why a transaction failed.
enum TransactionError {
    Server(sqlx::Error),
    /// A record can't be converted to a row, for this reason.
    Record(String),
    /// Another session has moved the cursor.
    Moved,
}

impl From<sqlx::Error> for TransactionError {
    fn from(error: sqlx::Error) -> TransactionError {
        TransactionError::Server(error)
    }
}

impl PostgresSink {
    fn new(name: &str, options: PostgresOptions, journal: &str) -> Result<PostgresSink, String> {
        options.check()?;
        let connecting = options.connection()?;
        let wanted = mapping::wanted(options.columns.as_ref())?;
        let timed = wanted.iter().any(|column| column.paths == ["timestamp"]);
        if (options.retention.is_some() || options.by_day()) && !timed {
            return Err("`retention` and `partition` need a column that contains only `timestamp`".into());
        }
        let host = match connecting.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => connecting.get_host().to_string(),
        };
        let database = connecting.get_database().unwrap_or(connecting.get_username());
        Ok(PostgresSink {
            name: name.into(),
            place: format!("sink `{name}`: database `{database}` at {host}:{}", connecting.get_port()),
            table: options.table_name(),
            cursor: Cursor::new(name, journal),
            unique: options.unique.as_ref().map(|path| Unique::new(path, options.unique_window.duration())),
            options,
            connecting,
            wanted,
            live: None,
            held: None,
            last_maintenance_error: String::new(),
        })
    }

    /// Time limit for a transaction, to detect a server that hangs.
    fn patience(&self) -> Duration {
        self.options.statement_timeout.duration() + limits::POSTGRES_GRACE
    }

    fn fault(&self, error: &sqlx::Error) -> SinkError {
        classify(&self.place, error)
    }

    async fn connect(&self) -> Result<PgConnection, SinkError> {
        let wait = self.options.connect_timeout;
        match timeout(wait.duration(), self.session()).await {
            Ok(connected) => connected,
            Err(_) => Err(SinkError::Retry(format!("{}: no answer within {wait}", self.place))),
        }
    }

    /// Connects and configures the session.
    async fn session(&self) -> Result<PgConnection, SinkError> {
        let mut connection = self.connecting.connect().await.map_err(|error| self.fault(&error))?;
        let sql = "SELECT pg_is_in_recovery(), set_config('statement_timeout', $1, false), \
                   set_config('lock_timeout', $2, false), \
                   set_config('idle_in_transaction_session_timeout', $3, false), \
                   set_config('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false)";
        let ms = |wait: Duration| wait.as_millis().to_string();
        let (only_reads, ..): (bool, String, String, String, String) = sqlx::query_as(sql)
            .bind(ms(self.options.statement_timeout.duration()))
            .bind(ms(self.options.lock_timeout.duration()))
            .bind(ms(self.patience()))
            .fetch_one(&mut connection)
            .await
            .map_err(|error| self.fault(&error))?;
        if only_reads {
            let text = "it is a read-only standby; waiting until it is promoted";
            return Err(SinkError::Retry(format!("{}: {text}", self.place)));
        }
        Ok(connection)
    }

    async fn prepare(&mut self, mut connection: PgConnection) -> Result<Session, TableError> {
        let names = TableNames::find(&mut connection, self.options.schema.as_deref()).await?;
        let by_day = self.options.by_day();
        let is_searched = self.options.search && self.options.columns.is_none();
        let table = table::prepare(&mut connection, &names, &self.table, &self.wanted, by_day, is_searched).await?;
        let timed = self.wanted.iter().position(|column| column.paths == ["timestamp"]);
        let time = timed.map(|at| (table.columns[at].name.clone(), table.columns[at].kind.clone()));
        if by_day && table.ranged_by.is_none_or(|column| time.as_ref().is_none_or(|(name, _)| *name != column)) {
            return Err(TableError::Unfit(format!(
                "table `{}` is not partitioned by ranges of its time; leave out `partition`, or give another `table`",
                self.table
            )));
        }
        if self.options.retention.is_some() && !by_day {
            let unfit = match &time {
                _ if table.partitioned => Some("has partitions: set `partition = \"day\"`, or drop them yourself"),
                Some((_, Held::Json | Held::Other)) => {
                    Some("has its time in a column that can't be compared as a time")
                }
                _ => None,
            };
            if let Some(reason) = unfit {
                let table = &self.table;
                return Err(TableError::Unfit(format!("`retention` can't be applied: table `{table}` {reason}")));
            }
        }
        self.cursor.prepare(&mut connection, &names, &self.options.cursor_name()).await?;
        if let Some(unique) = &mut self.unique {
            unique.prepare(&mut connection, &names, &self.options.unique_name()).await?;
        }
        let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let copy = format!("COPY {}({}) FROM STDIN", names.qualified(&self.table), columns.join(","));
        let retention = self.options.retention.map(|span| span.duration());
        Ok(Session {
            connection,
            names,
            rows: Rows::new(table.columns, &self.wanted),
            days: Partitions::new(time, retention, by_day),
            copy,
            buffer: Vec::new(),
        })
    }

    /// Reads the cursor, and resets it if it was written from a journal that has since lost its end.
    async fn read_state(&mut self, live: &mut Session, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        let read = self.cursor.read(&mut live.connection).await;
        self.held = read.map_err(|error| self.fault(&error))?;
        let Some(held) = self.held else { return Ok(None) };
        if held.sequence <= last_sequence {
            return Ok(Some(held.last_whole_frame()));
        }
        let back = Position::whole(last_sequence);
        match self.cursor.advance(&mut live.connection, self.held, back).await {
            Ok(true) => self.held = Some(back),
            Ok(false) => return Err(self.moved()),
            Err(error) => return Err(self.fault(&error)),
        }
        Ok(Some(held.sequence))
    }

    fn moved(&self) -> SinkError {
        SinkError::Retry(format!(
            "{}: another session has moved this sink's cursor; is another weir running with the same journal?",
            self.place
        ))
    }

    /// Writes records and the cursor in one transaction.
    async fn write(&self, live: &mut Session, batches: &[Selected]) -> Result<Option<Position>, TransactionError> {
        let last = batches.last().map(Selected::end);
        let Some(to) = last.max(self.held).filter(|to| Some(*to) != self.held) else { return Ok(self.held) };
        self.transact(live, batches, self.held, Some(to)).await?;
        Ok(Some(to))
    }

    /// Writes the records after `held` in one transaction that also moves the cursor, unless it must stay.
    async fn transact(
        &self,
        live: &mut Session,
        batches: &[Selected],
        held: Option<Position>,
        to: Option<Position>,
    ) -> Result<(), TransactionError> {
        let records = || {
            let all = batches.iter().flat_map(Selected::iter);
            all.filter(|(at, _)| held.is_none_or(|held| *at > held)).map(|(_, record)| record)
        };
        let now = now_ns();
        let mut days = BTreeSet::new();
        for record in records() {
            days.extend(live.days.day_of(record.timestamp(), now).map_err(TransactionError::Record)?);
        }
        live.days.make(&mut live.connection, &live.names, &self.table, &days).await?;
        let mut transaction = live.connection.begin().await?;
        if let Some(to) = to
            && !self.cursor.advance(&mut transaction, held, to).await?
        {
            return Err(TransactionError::Moved);
        }
        let copied = match &self.unique {
            None => copy(&mut transaction, &live.copy, &mut live.rows, &mut live.buffer, records()).await,
            Some(unique) => {
                let mut new = unique.admit(&mut transaction, records()).await?;
                let records = records().filter(|record| unique.stores(*record, &mut new));
                copy(&mut transaction, &live.copy, &mut live.rows, &mut live.buffer, records).await
            }
        };
        match copied {
            Ok(()) => Ok(transaction.commit().await?),
            Err(fault) => {
                // The original error is what counts; a connection that can't even roll back fails at its next use.
                let _ = transaction.rollback().await;
                Err(fault)
            }
        }
    }

    /// Handles a failed transaction. Returns the connection for reuse if it is still usable.
    fn failed(&mut self, fault: TransactionError, mut live: Session) -> SinkError {
        let error = match fault {
            TransactionError::Moved => self.moved(),
            TransactionError::Record(reason) => SinkError::Reject(format!("{}: {reason}", self.place)),
            TransactionError::Server(error) => {
                if lacks_partition(&error) {
                    live.days.forget();
                }
                self.fault(&error)
            }
        };
        if matches!(error, SinkError::Reject(_)) {
            self.live = Some(live);
        }
        error
    }

    fn take(&mut self) -> Result<Session, SinkError> {
        self.live.take().ok_or_else(|| SinkError::Retry(format!("{}: it is not connected", self.place)))
    }
}

/// Sends records while they are converted to rows, so that only a piece of them is in memory twice.
async fn copy<'a>(
    connection: &mut PgConnection,
    statement: &str,
    rows: &mut Rows,
    buffer: &mut Vec<u8>,
    records: impl Iterator<Item = Record<'a>>,
) -> Result<(), TransactionError> {
    let mut copy = connection.copy_in_raw(statement).await?;
    buffer.clear();
    for record in records {
        if let Err(reason) = rows.push(record, buffer) {
            copy.abort("a record can't be converted to a row").await?;
            return Err(TransactionError::Record(reason));
        }
        if buffer.len() >= limits::POSTGRES_COPY_BYTES {
            copy.send(&buffer[..]).await?;
            buffer.clear();
        }
    }
    copy.send(&buffer[..]).await?;
    copy.finish().await?;
    Ok(())
}

#[async_trait]
impl Sink for PostgresSink {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        self.live = None;
        let connection = self.connect().await?;
        let patience = self.patience();
        let late = SinkError::Retry(format!("{}: no answer in time", self.place));
        let mut live = match timeout(patience, self.prepare(connection)).await {
            Err(_) => return Err(late),
            Ok(Ok(live)) => live,
            Ok(Err(TableError::Unfit(reason))) => return Err(SinkError::Fatal(format!("{}: {reason}", self.place))),
            // While tables are created, an error is never caused by a record.
            Ok(Err(TableError::Server(error))) => {
                return Err(match self.fault(&error) {
                    SinkError::Reject(text) => SinkError::Retry(text),
                    other => other,
                });
            }
        };
        let held = match timeout(patience, self.read_state(&mut live, last_sequence)).await {
            Ok(held) => held?,
            Err(_) => return Err(late),
        };
        self.live = Some(live);
        Ok(held)
    }

    fn batching(&self) -> Batching {
        Batching { records: self.options.batch, linger: self.options.linger.duration() }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut live = self.take()?;
        match timeout(self.patience(), self.write(&mut live, batches)).await {
            Ok(Ok(held)) => self.held = held,
            Ok(Err(fault)) => return Err(self.failed(fault, live)),
            // At the next start, the cursor tells whether it was committed.
            Err(_) => return Err(SinkError::Retry(format!("{}: no answer in time", self.place))),
        }
        self.live = Some(live);
        Ok(Delivered::default())
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut live = self.take()?;
        match timeout(self.patience(), self.transact(&mut live, batches, None, None)).await {
            Ok(Ok(())) => self.live = Some(live),
            Ok(Err(fault)) => return Err(self.failed(fault, live)),
            Err(_) => return Err(SinkError::Retry(format!("{}: no answer in time", self.place))),
        }
        Ok(Delivered::default())
    }

    /// Nothing to do: a commit is durable.
    async fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    async fn maintain(&mut self) -> Result<bool, SinkError> {
        if self.options.retention.is_none() && !self.options.by_day() && self.unique.is_none() {
            return Ok(false);
        }
        let mut live = self.take()?;
        let until = Instant::now() + Duration::from_millis(limits::RETENTION_MS);
        let mut more = true;
        while more && Instant::now() < until {
            let tended = async {
                let more = live.days.maintain(&mut live.connection, &live.names, &self.table).await?;
                match &self.unique {
                    Some(unique) => Ok::<bool, sqlx::Error>(unique.forget_old(&mut live.connection).await? || more),
                    None => Ok(more),
                }
            };
            more = match timeout(self.patience(), tended).await {
                Ok(Ok(more)) => more,
                Err(_) => return Err(SinkError::Retry(format!("{}: no answer in time", self.place))),
                // Old records that can't be deleted must not block new ones.
                Ok(Err(error)) if error.as_database_error().is_some() => {
                    let text = self.fault(&error).to_string();
                    if text != self.last_maintenance_error {
                        tracing::warn!("can't remove old records: {text}");
                        self.last_maintenance_error = text;
                    }
                    false
                }
                Ok(Err(error)) => return Err(self.fault(&error)),
            };
        }
        self.live = Some(live);
        Ok(more)
    }

    async fn erase(&mut self, erasure: &Erasure, _last_sequence: u64) -> Result<Erased, SinkError> {
        self.erase_rows(erasure).await
    }
}
