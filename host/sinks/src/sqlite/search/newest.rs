//! The newest matching rows.

use std::collections::{BTreeMap, VecDeque};

use sqlx::sqlite::SqliteRow;
use weir_query::Query;
use weir_query::search::{Hit, Place};
use weir_record::Record;

use super::connections::Session;
use super::plan::{Plan, Range};
use super::rows::{COLUMNS, Statement, hit, place};
use super::scan::{self, Scan};

/// Collects the newest.
struct Newest<'q> {
    query: &'q Query,
    plan: Plan,
    before: Option<Place>,
    limit: usize,
    /// What is still to be read, with the time of the newest row in it and what follows.
    ranges: VecDeque<(i64, Range)>,
    found: BTreeMap<Place, Hit>,
}

pub async fn newest(
    session: &mut Session,
    query: &Query,
    before: Option<Place>,
    limit: usize,
) -> Result<Vec<Hit>, sqlx::Error> {
    let mut plan = Plan::new(session.connection(), query).await?;
    if let Some(before) = before {
        plan.newest = plan.newest.min(before.timestamp_ns);
    }
    if plan.is_empty() || limit == 0 {
        return Ok(Vec::new());
    }
    let mut ranges = VecDeque::new();
    if plan.few.is_none() {
        for step in plan.steps(session.connection(), plan.newest).await? {
            ranges.extend(step.ranges.into_iter().map(|range| (step.newest, range)));
        }
    }
    let newest = Newest { query, plan, before, limit, ranges, found: BTreeMap::new() };
    let newest = scan::run(session, newest).await?;
    Ok(newest.found.into_values().rev().collect())
}

impl Scan for Newest<'_> {
    fn next(&mut self) -> Result<Option<Statement>, sqlx::Error> {
        if let Some(few) = self.plan.few.take() {
            return self.completed(self.plan.statement_of_few(COLUMNS, &few)?).map(Some);
        }
        let Some((newest, range)) = self.ranges.pop_front() else { return Ok(None) };
        match self.last() {
            Some(last) if last > newest => {
                self.ranges.clear();
                return Ok(None);
            }
            Some(last) => self.plan.oldest = self.plan.oldest.max(last),
            None => {}
        }
        self.completed(self.plan.statement(COLUMNS, &range)?).map(Some)
    }

    fn take(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
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

    fn is_long(&self) -> bool {
        self.ranges.iter().any(|(_, range)| !range.uses_words)
    }
}

impl Newest<'_> {
    /// The time that a row must have to be among the newest, once there are enough.
    fn last(&self) -> Option<i64> {
        let (last, _) = self.found.first_key_value()?;
        (self.found.len() >= self.limit).then_some(last.timestamp_ns)
    }

    /// The statement with what follows the clause.
    fn completed(&self, mut statement: Statement) -> Result<Statement, sqlx::Error> {
        // Sequences are unsigned; those of a lost journal are negative here.
        if let Some(before) = self.before {
            statement.sql(" AND (timestamp, sequence < 0, sequence, position) < (?, ?, ?, ?)");
            let sequence = before.id.sequence.cast_signed();
            statement.bind(before.timestamp_ns)?;
            statement.bind(i64::from(sequence < 0))?;
            statement.bind(sequence)?;
            statement.bind(i64::from(before.id.index))?;
        }
        if self.plan.clause.is_exact {
            statement.sql(" ORDER BY timestamp DESC, sequence < 0 DESC, sequence DESC, position DESC LIMIT ?");
            statement.bind(i64::try_from(self.limit).unwrap_or(i64::MAX))?;
        }
        Ok(statement)
    }
}
