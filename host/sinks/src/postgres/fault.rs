//! What a PostgreSQL error means for a delivery, and what an operator can do about it.
//!
//! Errors are classified by SQLSTATE. If the data is the cause, the records are rejected, so that the runner finds the
//! bad one. Everything that may pass, or that an operator can fix while Weir runs, is retried.

use sqlx::postgres::PgDatabaseError;

use crate::sink::SinkError;

/// Classifies an error. `place` is the sink and the database.
pub fn classify(place: &str, error: &sqlx::Error) -> SinkError {
    match error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
        Some(database) => by_state(place, database),
        None => SinkError::Retry(format!("{place}: {}", unanswered(error))),
    }
}

/// An error that does not come from the server.
fn unanswered(error: &sqlx::Error) -> String {
    match error {
        // Certificate errors are reported like this.
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            format!("no encrypted connection: {error}; check `sslmode` and `ca`")
        }
        sqlx::Error::Io(error) => format!("the connection failed: {error}; is the server up and reachable?"),
        sqlx::Error::Tls(error) => format!("no encrypted connection: {error}; check `sslmode` and `ca`"),
        other => other.to_string(),
    }
}

fn by_state(place: &str, error: &PgDatabaseError) -> SinkError {
    let (state, said) = (error.code(), error.message());
    if is_about_data(state) {
        let column = column_of(error).map(|name| format!(" (column `{name}`)")).unwrap_or_default();
        return SinkError::Reject(format!("{place}: {said}{column}"));
    }
    let advice = match state {
        "53100" => "; the server's disk is full: free space there, or set `retention`",
        "53300" => "; raise `max_connections` on the server or end other sessions",
        "55P03" => "; another session holds a lock on the table: check pg_locks for a long transaction or a migration",
        "57014" => "; a statement took longer than `statement_timeout`: the server may be overloaded or blocked",
        "57P01" | "57P02" | "57P03" => "; the server is stopping or starting",
        "25006" => "; this server is read-only: is it a standby that was not promoted?",
        "28000" | "28P01" => "; check `user` and `password`, and the server's pg_hba.conf",
        "3D000" => "; create the database or change `database`",
        "42501" => "; grant the permission to weir's user",
        "40001" | "40P01" => "; it conflicted with another session",
        _ => "",
    };
    SinkError::Retry(format!("{place}: {said}{advice} (SQLSTATE {state})"))
}

/// True if the rows are the cause: an invalid value, a constraint, a trigger that raises, a limit that a row exceeds.
fn is_about_data(state: &str) -> bool {
    let classes = ["22", "23", "44", "P0"];
    classes.iter().any(|class| state.starts_with(class)) || state == "54000"
}

/// True if no partition accepts a row, or the partition has been dropped meanwhile.
pub fn lacks_partition(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| error.code() == "23514" && error.constraint().is_none())
}

/// The SQLSTATE.
pub fn state_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

/// The column, which COPY reports only in the context: `COPY logs, line 3, column level: "…"`.
fn column_of(error: &PgDatabaseError) -> Option<&str> {
    error.column().or_else(|| {
        let context = error.r#where()?.strip_prefix("COPY ")?;
        let (_, after) = context.split_once(", column ")?;
        after.split_once(':').map(|(name, _)| name)
    })
}
