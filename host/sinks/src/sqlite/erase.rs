//! Erases rows, so that their bytes are in no file any more: neither in the rows, nor in the search index, nor in free
//! pages, nor in the WAL.
//!
//! Deleting a row is not enough for that:
//! - `secure_delete` overwrites what is deleted from now on. Pages that became free before, as by retention or by merging
//!   the search index, are overwritten with zeros.
//! - The search index marks a row as deleted and drops its words when its segments are merged. So they are all merged into
//!   one. (FTS5 could drop the words at once, but versions of SQLite before 3.42 can't read such an index.)
//! - The WAL has earlier versions of pages until it is emptied.
//!
//! The table `weir_erasing`, created with the first deleted row and dropped at the end, says that this is unfinished: the
//! next erasure then finishes it, even if it finds nothing to delete. The zeros for free pages are in it, too.
//!
//! Rows are found as any search finds them (`search/`), and deleted page by page, so that a search or another process
//! waits for a fraction of a second only.

use std::time::{Duration, Instant};

use sqlx::{Connection, SqliteConnection};
use weir_query::search::{Hit, SearchError};

use super::SqliteSink;
use super::search::SqliteSearch;
use crate::erasure::Erasure;
use crate::limits;
use crate::sink::SinkError;

/// How often it is tried again to empty the WAL.
const READER_POLL: Duration = Duration::from_millis(100);

impl SqliteSink {
    /// See [`Sink::erase`](crate::sink::Sink::erase).
    pub(super) async fn erase_rows(&mut self, erasure: &Erasure) -> Result<u64, SinkError> {
        if !self.path.exists() {
            return Ok(0);
        }
        let search = SqliteSearch::new(&self.name, self.path.clone());
        let failed = |error: SearchError| SinkError::Retry(error.to_string());
        if erasure.dry_run {
            return erasure.found(&search).await.map_err(failed);
        }
        // Its own connection, which an error closes.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let fault = |error: sqlx::Error| self.fault(&error);
        sqlx::raw_sql("PRAGMA secure_delete = ON").execute(&mut connection).await.map_err(fault)?;
        let (mut erased, mut last) = (0, None);
        loop {
            erasure.check(&self.place)?;
            let hits = erasure.next(&search, &mut last).await.map_err(failed)?;
            if hits.is_empty() {
                break;
            }
            let deleted = delete(&mut connection, &hits).await.map_err(fault)?;
            erasure.count(deleted);
            erased += deleted;
        }
        if is_unfinished(&mut connection).await.map_err(fault)? {
            self.clean(&mut connection, erasure).await?;
        }
        // The next start opens one without `secure_delete`.
        connection.close().await.map_err(fault)?;
        Ok(erased)
    }

    /// Removes what is left of deleted rows.
    async fn clean(&self, connection: &mut SqliteConnection, erasure: &Erasure) -> Result<(), SinkError> {
        let fault = |error: sqlx::Error| self.fault(&error);
        if has_table(connection, "logs_search").await.map_err(fault)? {
            // A negative number begins to merge all segments, and positive ones continue.
            let mut pages = -limits::SQLITE_MERGE_PAGES;
            while merge(connection, pages).await.map_err(fault)? {
                erasure.check(&self.place)?;
                pages = limits::SQLITE_MERGE_PAGES;
            }
        }
        let mut free = free_bytes(connection).await.map_err(fault)?;
        while free > 0 {
            erasure.check(&self.place)?;
            let zeros = free.min(limits::SQLITE_SCRUB_BYTES);
            let sql = "INSERT INTO weir_erasing VALUES (zeroblob(?))";
            sqlx::query(sql).bind(zeros.cast_signed()).execute(&mut *connection).await.map_err(fault)?;
            free -= zeros;
        }
        self.empty_wal(connection, erasure).await?;
        // Zeros need not be overwritten.
        let sql = "PRAGMA secure_delete = OFF; DROP TABLE weir_erasing;";
        sqlx::raw_sql(sql).execute(&mut *connection).await.map(drop).map_err(fault)
    }

    /// Writes the WAL into the database and empties it, which takes until no reader needs it.
    async fn empty_wal(&self, connection: &mut SqliteConnection, erasure: &Erasure) -> Result<(), SinkError> {
        let until = Instant::now() + limits::SQLITE_READERS;
        loop {
            erasure.check(&self.place)?;
            let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
            let checkpoint = sqlx::query_as(sql).fetch_one(&mut *connection).await;
            let (is_busy, ..): (i64, i64, i64) = checkpoint.map_err(|error| self.fault(&error))?;
            if is_busy == 0 {
                return Ok(());
            }
            if Instant::now() >= until {
                let text = "its WAL still has erased rows, since a reader needs it; end that and run the erasure again";
                return Err(SinkError::Retry(format!("{}: {text}", self.place)));
            }
            tokio::time::sleep(READER_POLL).await;
        }
    }
}

async fn delete(connection: &mut SqliteConnection, hits: &[Hit]) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS weir_erasing(zeros BLOB)").execute(&mut *transaction).await?;
    let mut deleted = 0;
    for hit in hits {
        let query = sqlx::query("DELETE FROM logs WHERE sequence = ? AND position = ?");
        let query = query.bind(hit.id.sequence.cast_signed()).bind(i64::from(hit.id.index));
        deleted += query.execute(&mut *transaction).await?.rows_affected();
    }
    transaction.commit().await?;
    Ok(deleted)
}

async fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool, sqlx::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?)";
    sqlx::query_scalar(sql).bind(name).fetch_one(connection).await
}

async fn is_unfinished(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    has_table(connection, "weir_erasing").await
}

/// Merges segments of the search index, about as many pages. Returns false if there was nothing left to merge.
async fn merge(connection: &mut SqliteConnection, pages: i64) -> Result<bool, sqlx::Error> {
    let sql = "SELECT total_changes()";
    let before: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    let command = "INSERT INTO logs_search(logs_search, rank) VALUES ('merge', ?)";
    sqlx::query(command).bind(pages).execute(&mut *connection).await?;
    let after: i64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
    // The command itself counts as one change.
    Ok(after - before >= 2)
}

/// The size of all free pages.
async fn free_bytes(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let sql = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    let bytes: i64 = sqlx::query_scalar(sql).fetch_one(connection).await?;
    Ok(bytes.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weir_query::Query;
    use weir_record::Batch;

    use super::super::tests::Place;
    use super::*;
    use crate::erasure::Erased;
    use crate::sink::Sink;
    use crate::testing::{frame, record};

    fn erasure(query: &str, dry_run: bool) -> Erasure {
        let query = Query::parse(query, None).expect("a query");
        Erasure::new(query, dry_run, Instant::now() + Duration::from_secs(600))
    }

    /// Records of three people in turn, each with a word of its own.
    fn people(range: std::ops::Range<u64>) -> Batch {
        let mut batch = Batch::new();
        for n in range {
            let (user, word) = (format!("u{}", n % 3), format!("word{}of{n:04}", n % 3));
            batch.push(&record(&[("message", &word), ("context.user", &user), ("note", &"y".repeat(700))], &[]));
        }
        batch
    }

    fn holds(place: &Place, text: &str) -> bool {
        let files = std::fs::read_dir(place.path().parent().expect("a folder")).expect("readable");
        let mut contents = files.map(|file| std::fs::read(file.expect("an entry").path()).expect("readable"));
        contents.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    #[tokio::test]
    async fn no_byte_of_an_erased_row_is_left_in_any_file_and_all_others_are_found() {
        let place = Place::new();
        // Retention leaves free pages.
        let mut sink = place.started(json!({ "max_rows": 240 })).await;
        for sequence in 1..=30 {
            sink.deliver(&[frame(sequence, people((sequence - 1) * 10..sequence * 10))]).await.expect("delivers");
            while sink.maintain().await.expect("maintains") {}
        }
        assert!(holds(&place, "word1of0298"));
        let count = |what: &str| place.ask(&format!("SELECT count(*) FROM logs WHERE {what}"));
        assert_eq!(sink.erase(&erasure("context.user=u1", true), 30).await, Ok(Erased::Records(80)));
        assert_eq!((count("message LIKE 'word1%'"), count("1")), ("80".into(), "240".into()));

        sink.flush().await.expect("flushes");
        assert_eq!(sink.erase(&erasure("context.user=u1", false), 30).await, Ok(Erased::Records(80)));
        assert!(!holds(&place, "word1of"), "its rows, its words or free pages have it");
        assert_eq!((count("message LIKE 'word1%'"), count("1")), ("0".into(), "160".into()));
        let words = |like: &str| {
            let sql = "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, logs_search, row); SELECT count(*) FROM temp.words";
            place.ask(&format!("{sql} WHERE term LIKE '{like}'"))
        };
        assert_eq!((words("word1%"), words("word2%")), ("0".into(), "80".into()));
        place.search("INSERT INTO logs_search(logs_search) VALUES ('integrity-check')").await;
        assert_eq!(place.ask("SELECT count(*) FROM sqlite_master WHERE name = 'weir_erasing'"), "0");
        assert_eq!(place.ask("PRAGMA integrity_check"), "ok");

        // It goes on after what it had, without repeating anything.
        assert_eq!(sink.start(u64::MAX).await, Ok(Some(30)));
        sink.deliver(&[frame(31, people(301..302))]).await.expect("delivers");
        assert_eq!(place.count("word1of0301"), "1");
    }

    #[tokio::test]
    async fn an_erasure_that_was_cut_off_is_finished_by_the_next() {
        let place = Place::new();
        let mut sink = place.started(json!({})).await;
        sink.deliver(&[frame(1, people(0..60))]).await.expect("delivers");
        let mut connection = sink.connect().await.expect("connects");
        let search = SqliteSearch::new("sut", place.path());
        let wanted = erasure("context.user=u1", false);
        let hits = wanted.next(&search, &mut None).await.expect("finds");
        assert_eq!(delete(&mut connection, &hits).await.expect("deletes"), 7);
        connection.close().await.expect("closes");
        let late = Erasure::new(wanted.query.clone(), false, Instant::now());
        let error = sink.erase(&late, 1).await.expect_err("too late").to_string();
        assert!(error.contains("its time was over"), "{error}");
        assert_eq!(sink.erase(&wanted, 1).await, Ok(Erased::Records(13)));
        assert!(!holds(&place, "word1of") && holds(&place, "word2of"));
    }
}
