//! Counts matching rows over time.
//!
//! If only level (or only source) and time decide, their index alone is read: one range of it for each bucket and value.
//! Otherwise, matching rows are read once.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use weir_query::Query;
use weir_query::search::{By, Histogram};
use weir_record::Record;

use super::connections::Session;
use super::plan::{Plan, Range};
use super::rows::Statement;
use super::scan::{self, Scan};
use crate::counts::{Asked, Counts};
use crate::rebuilt;

pub async fn histogram(session: &mut Session, query: &Query, by: By, buckets: usize) -> Result<Histogram, sqlx::Error> {
    let plan = Plan::new(session.connection(), query).await?;
    let asked = Asked::new(query, buckets);
    if plan.is_empty() {
        return Ok(asked.empty());
    }
    let indexed = match by {
        By::Level if query.is_by_level() => Some(("level", plan.levels.clone())),
        By::Source if query.is_by_source() => plan.sources.clone().map(|sources| ("source", sources)),
        _ => None,
    };
    match indexed {
        Some((column, values)) => from_index(session.connection(), &plan, &asked, column, &values).await,
        None => from_rows(session, query, plan, by).await.map(|counts| counts.histogram(&asked)),
    }
}

async fn from_index(
    connection: &mut SqliteConnection,
    plan: &Plan,
    asked: &Asked,
    column: &str,
    values: &[String],
) -> Result<Histogram, sqlx::Error> {
    let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
    for value in values {
        let sql = format!(
            "SELECT min(timestamp), max(timestamp) FROM (
               SELECT * FROM (SELECT timestamp FROM logs INDEXED BY logs_{column} WHERE {column} = ?1 AND timestamp BETWEEN ?2 AND ?3 ORDER BY timestamp LIMIT 1)
               UNION ALL
               SELECT * FROM (SELECT timestamp FROM logs INDEXED BY logs_{column} WHERE {column} = ?1 AND timestamp BETWEEN ?2 AND ?3 ORDER BY timestamp DESC LIMIT 1))"
        );
        let mut statement = Statement::new(sql);
        statement.bind(value.clone())?;
        statement.bind(plan.oldest)?;
        statement.bind(plan.newest)?;
        for row in statement.all(connection).await? {
            oldest = oldest.min(row.try_get::<Option<i64>, _>(0)?.unwrap_or(i64::MAX));
            newest = newest.max(row.try_get::<Option<i64>, _>(1)?.unwrap_or(i64::MIN));
        }
    }
    if oldest > newest {
        return Ok(asked.empty());
    }
    let range = asked.range(oldest, newest);
    let width = asked.width(range, 1);
    let mut histogram = Histogram { since_ns: range.0, until_ns: range.1, bucket_ns: width, buckets: BTreeMap::new() };
    for value in values {
        let sql = format!(
            "WITH RECURSIVE bucket(start) AS (
               SELECT ?1 UNION ALL SELECT start + ?2 FROM bucket WHERE start <= ?3 - ?2)
             SELECT start, (SELECT count(*) FROM logs INDEXED BY logs_{column}
               WHERE {column} = ?4 AND timestamp BETWEEN start AND min(start + (?2 - 1), ?3)) FROM bucket"
        );
        let mut statement = Statement::new(sql);
        statement.bind(range.0)?;
        statement.bind(width)?;
        statement.bind(newest)?;
        statement.bind(value.clone())?;
        for row in statement.all(connection).await? {
            let (start, count): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if count > 0 {
                histogram.buckets.entry(start).or_default().insert(value.clone(), count.unsigned_abs());
            }
        }
    }
    Ok(histogram)
}

/// The columns of a row that is counted: its value, and what its record is made of.
const HEAD: &str = "timestamp, level, source, message";

/// Counts the rows of ranges.
struct Counting<'q> {
    query: &'q Query,
    plan: Plan,
    columns: &'static str,
    /// The column with what is distinguished.
    key: usize,
    ranges: std::vec::IntoIter<Range>,
    counts: Counts,
}

async fn from_rows(session: &mut Session, query: &Query, plan: Plan, by: By) -> Result<Counts, sqlx::Error> {
    let is_exact = plan.clause.is_exact;
    let columns = match by {
        By::Level if is_exact => "timestamp, level",
        By::Source if is_exact => "timestamp, source",
        _ if query.tests_only_head() => "timestamp, level, source, message, '{}'",
        _ => "timestamp, level, source, message, fields",
    };
    debug_assert!(is_exact || columns.starts_with(HEAD));
    let key = if is_exact || by == By::Level { 1 } else { 2 };
    let mut ranges = Vec::new();
    if plan.few.is_none() {
        let steps = plan.steps(session.connection(), plan.newest).await?;
        ranges.extend(steps.into_iter().flat_map(|step| step.ranges));
    }
    let counting = Counting { query, plan, columns, key, ranges: ranges.into_iter(), counts: Counts::default() };
    Ok(scan::run(session, counting).await?.counts)
}

impl Scan for Counting<'_> {
    fn next(&mut self) -> Result<Option<Statement>, sqlx::Error> {
        if let Some(few) = self.plan.few.take() {
            return self.plan.statement_of_few(self.columns, &few).map(Some);
        }
        self.ranges.next().map(|range| self.plan.statement(self.columns, &range)).transpose()
    }

    fn take(&mut self, row: &SqliteRow) -> Result<(), sqlx::Error> {
        if self.plan.clause.is_exact || matches(self.query, row) {
            self.counts.add(row.try_get(0)?, row.try_get(self.key)?);
        }
        Ok(())
    }

    fn is_long(&self) -> bool {
        self.ranges.len() > 0
    }
}

fn matches(query: &Query, row: &SqliteRow) -> bool {
    let text = |at: usize| row.try_get::<&str, _>(at).ok();
    let record = || rebuilt::record(row.try_get(0).ok()?, text(1)?, text(2)?, text(3)?, text(4)?);
    record().is_some_and(|record| query.matches(Record::new(&record)))
}
