//! Erases rows of the default table: found as any search finds them, and deleted page by page.
//!
//! The server keeps the bytes of deleted rows until VACUUM has freed them and they are overwritten, and they stay in its
//! WAL, its replicas and its backups for as long as those are kept: that is up to its operator.

use sqlx::AssertSqlSafe;
use tokio::time::timeout;
use weir_query::search::SearchError;

use super::PostgresSink;
use super::search::PostgresSearch;
use crate::erasure::{Erased, Erasure};
use crate::sink::SinkError;

impl PostgresSink {
    /// See [`Sink::erase`](crate::sink::Sink::erase).
    pub(super) async fn erase_rows(&mut self, erasure: &Erasure) -> Result<Erased, SinkError> {
        if self.options.columns.is_some() {
            let reason = format!("only the default columns can be searched; delete from table `{}` there", self.table);
            return Ok(Erased::OutOfReach(Some(reason)));
        }
        let failed = |error: SearchError| SinkError::Retry(error.to_string());
        let search = PostgresSearch::new(&self.name, &self.options).map_err(SinkError::Fatal)?;
        if erasure.dry_run {
            return erasure.found(&search).await.map(Erased::Records).map_err(failed);
        }
        let mut connection = self.connect().await?;
        let sql = format!("DELETE FROM {} WHERE id = ANY($1)", search.table());
        let (mut erased, mut last) = (0, None);
        loop {
            erasure.check(&self.place)?;
            let hits = erasure.next(&search, &mut last).await.map_err(failed)?;
            if hits.is_empty() {
                return Ok(Erased::Records(erased));
            }
            let ids: Vec<i64> = hits.iter().map(|hit| hit.id.sequence.cast_signed()).collect();
            let delete = sqlx::query(AssertSqlSafe(sql.clone())).bind(ids).execute(&mut connection);
            let late = || SinkError::Retry(format!("{}: no answer in time", self.place));
            let deleted = timeout(self.patience(), delete).await.map_err(|_| late())?;
            let deleted = deleted.map_err(|error| self.fault(&error))?.rows_affected();
            erasure.count(deleted);
            erased += deleted;
        }
    }
}
