//! The newest matching rows.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use weir_query::Query;
use weir_query::search::{Hit, Place};
use weir_record::Record;

use super::plan::Plan;
use super::rows::{COLUMNS, Statement, hit, place};

/// Collects the newest.
struct Newest<'q> {
    query: &'q Query,
    before: Option<Place>,
    limit: usize,
    found: BTreeMap<Place, Hit>,
}

pub async fn newest(
    connection: &mut SqliteConnection,
    query: &Query,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<Hit>, sqlx::Error> {
    let mut newest = Newest { query, before, limit, found: BTreeMap::new() };
    let mut plan = Plan::new(connection, query).await?;
    if let Some(before) = before {
        plan.newest = plan.newest.min(before.timestamp_ns);
    }
    if plan.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    if let Some(few) = &plan.few {
        let statement = plan.statement_of_few(COLUMNS, few)?;
        newest.read(connection, statement, plan.clause.is_exact).await?;
        return Ok(newest.hits());
    }
    for step in plan.steps(connection, plan.newest).await? {
        for range in &step.ranges {
            match newest.last() {
                Some(last) if last > step.newest => return Ok(newest.hits()),
                Some(last) => plan.oldest = plan.oldest.max(last),
                None => {}
            }
            let statement = plan.statement(COLUMNS, range)?;
            newest.read(connection, statement, plan.clause.is_exact).await?;
        }
    }
    Ok(newest.hits())
}

impl Newest<'_> {
    /// The time that a row must have to be among the newest, once there are enough.
    fn last(&self) -> Option<i64> {
        let (last, _) = self.found.first_key_value()?;
        (self.found.len() >= self.limit).then_some(last.timestamp_ns)
    }

    fn hits(self) -> Vec<Hit> {
        self.found.into_values().rev().collect()
    }

    async fn read(
        &mut self,
        connection: &mut SqliteConnection,
        mut statement: Statement,
        is_exact: bool,
    ) -> Result<(), sqlx::Error> {
        // Sequences are unsigned; those of a lost journal are negative here.
        if let Some(before) = self.before {
            statement.sql(" AND (timestamp, sequence < 0, sequence, position) < (?, ?, ?, ?)");
            let sequence = before.id.sequence.cast_signed();
            statement.bind(before.timestamp_ns)?;
            statement.bind(i64::from(sequence < 0))?;
            statement.bind(sequence)?;
            statement.bind(i64::from(before.id.index))?;
        }
        if is_exact {
            statement.sql(" ORDER BY timestamp DESC, sequence < 0 DESC, sequence DESC, position DESC LIMIT ?");
            statement.bind(i64::try_from(self.limit).unwrap_or(i64::MAX))?;
        }
        let mut rows = statement.rows(connection);
        while let Some(row) = rows.try_next().await? {
            self.offer(&row)?;
        }
        Ok(())
    }

    fn offer(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        let place = place(row)?;
        let is_older = self.found.first_key_value().is_some_and(|(last, _)| place < *last);
        if is_older && self.found.len() >= self.limit {
            return Ok(());
        }
        if let Some(hit) = hit(row)
            && self.query.matches(Record::new(&hit.record))
        {
            self.found.insert(place, hit);
            if self.found.len() > self.limit {
                self.found.pop_first();
            }
        }
        Ok(())
    }
}
