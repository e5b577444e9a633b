//! What an SQLite error means for a delivery, and what an operator can do about it.

use crate::sink::SinkError;

/// SQLite result codes: primary ones, and extended ones where needed.
mod code {
    pub const BUSY: i32 = 5;
    pub const LOCKED: i32 = 6;
    pub const READONLY: i32 = 8;
    pub const CORRUPT: i32 = 11;
    pub const FULL: i32 = 13;
    pub const CANTOPEN: i32 = 14;
    pub const TOOBIG: i32 = 18;
    pub const NOTADB: i32 = 26;
    pub const CONSTRAINT_UNIQUE: i32 = 2067;
}

/// Classifies an error. `place` is the sink and the file.
pub fn classify(place: &str, error: &sqlx::Error) -> SinkError {
    let Some(database) = error.as_database_error() else {
        return SinkError::Retry(format!("{place}: {error}"));
    };
    let extended = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or_default();
    let message = database.message();
    match extended & 0xff {
        code::BUSY | code::LOCKED => SinkError::Retry(format!(
            "{place}: another process has locked it ({message}); look for a writer or a long exclusive transaction (readers take no such lock)"
        )),
        code::FULL => {
            SinkError::Retry(format!("{place}: the disk is full; free space, or set `retention` or `max_rows`"))
        }
        code::READONLY => SinkError::Retry(format!(
            "{place}: it is not writable ({message}); give weir write access to the file and its folder"
        )),
        code::CANTOPEN => {
            SinkError::Retry(format!("{place}: it can't be opened ({message}); is the folder there and writable?"))
        }
        code::NOTADB => {
            SinkError::Fatal(format!("{place}: it is not an SQLite database; use another `path` or move the file away"))
        }
        code::CORRUPT => SinkError::Fatal(format!(
            "{place}: it is damaged ({message}); recover what you can with `sqlite3 … .recover` and move the file away"
        )),
        code::TOOBIG => SinkError::Reject(format!("{place}: a record is larger than SQLite's limit")),
        // The only unique constraint is the one on the records' positions in the journal.
        _ if extended == code::CONSTRAINT_UNIQUE => SinkError::Fatal(format!(
            "{place}: it contains records of the journal that are beyond its cursor ({message}); if it was changed by hand, move the file away or repair `weir_cursor`"
        )),
        _ => SinkError::Retry(format!("{place}: {message} (SQLite code {extended})")),
    }
}
