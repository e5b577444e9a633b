//! Counts matching rows over time.
//!
//! If only level (or only source) and time decide, their index alone is read: one range of it for each bucket and value.
//! Otherwise, matching rows are read once and counted in buckets whose width doubles when there are too many of them, so
//! that the range of the matches need not be known in advance.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use weir_query::Query;
use weir_query::search::{By, Histogram};
use weir_record::Record;

use super::plan::Plan;
use super::rows::Statement;
use crate::{limits, rebuilt};

pub async fn histogram(
    connection: &mut SqliteConnection,
    query: &Query,
    by: By,
    buckets: usize,
) -> Result<Histogram, sqlx::Error> {
    let plan = Plan::new(connection, query).await?;
    let (since, until) = query.time_range();
    let asked = Asked { since: (since > i64::MIN).then_some(since), until, buckets: buckets.max(1) };
    if plan.is_empty() {
        return Ok(asked.empty());
    }
    let indexed = match by {
        By::Level if query.is_by_level() => Some(("level", plan.levels.clone())),
        By::Source if query.is_by_source() => plan.sources.clone().map(|sources| ("source", sources)),
        _ => None,
    };
    match indexed {
        Some((column, values)) => from_index(connection, &plan, &asked, column, &values).await,
        None => from_rows(connection, query, &plan, by).await.map(|counts| counts.histogram(&asked)),
    }
}

/// The range and number of buckets.
struct Asked {
    since: Option<i64>,
    until: Option<i64>,
    buckets: usize,
}

impl Asked {
    fn empty(&self) -> Histogram {
        let since_ns = self.since.or(self.until).unwrap_or_default();
        Histogram { since_ns, until_ns: self.until.unwrap_or(since_ns), bucket_ns: 1, buckets: BTreeMap::new() }
    }

    /// The range with these matches.
    fn range(&self, oldest: i64, newest: i64) -> (i64, i64) {
        (self.since.unwrap_or(oldest), self.until.unwrap_or(newest.saturating_add(1)))
    }

    /// The width of a bucket, a multiple of `unit`.
    fn width(&self, (since, until): (i64, i64), unit: i64) -> i64 {
        let range = i128::from(until) - i128::from(since);
        let units = range.div_ceil_positive(self.buckets as i128 * i128::from(unit));
        i64::try_from(units.max(1) * i128::from(unit)).unwrap_or(i64::MAX)
    }
}

trait DivCeil {
    fn div_ceil_positive(self, by: i128) -> i128;
}

impl DivCeil for i128 {
    fn div_ceil_positive(self, by: i128) -> i128 {
        (self + by - 1).div_euclid(by)
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

async fn from_rows(
    connection: &mut SqliteConnection,
    query: &Query,
    plan: &Plan,
    by: By,
) -> Result<Counts, sqlx::Error> {
    let is_exact = plan.clause.is_exact;
    let columns = match by {
        By::Level if is_exact => "timestamp, level",
        By::Source if is_exact => "timestamp, source",
        _ if query.tests_only_head() => "timestamp, level, source, message, '{}'",
        _ => "timestamp, level, source, message, fields",
    };
    debug_assert!(is_exact || columns.starts_with(HEAD));
    let key = if is_exact || by == By::Level { 1 } else { 2 };
    let is_counted = |row: &SqliteRow| is_exact || matches(query, row);
    let mut counts = Counts::default();
    let statements = match &plan.few {
        Some(few) => vec![plan.statement_of_few(columns, few)?],
        None => {
            let steps = plan.steps(connection, plan.newest).await?;
            let ranges = steps.iter().flat_map(|step| &step.ranges);
            ranges.map(|range| plan.statement(columns, range)).collect::<Result<_, _>>()?
        }
    };
    for statement in statements {
        let mut rows = statement.rows(connection);
        while let Some(row) = rows.try_next().await? {
            if is_counted(&row) {
                counts.add(row.try_get(0)?, row.try_get(key)?);
            }
        }
    }
    Ok(counts)
}

fn matches(query: &Query, row: &SqliteRow) -> bool {
    let text = |at: usize| row.try_get::<&str, _>(at).ok();
    let record = || rebuilt::record(row.try_get(0).ok()?, text(1)?, text(2)?, text(3)?, text(4)?);
    record().is_some_and(|record| query.matches(Record::new(&record)))
}

/// Counts in buckets of a width that grows.
struct Counts {
    width: i64,
    keys: Vec<String>,
    /// By the number of the bucket, then by the number of the key.
    buckets: BTreeMap<i64, Vec<u64>>,
    oldest: i64,
    newest: i64,
}

impl Default for Counts {
    fn default() -> Counts {
        Counts { width: 1, keys: Vec::new(), buckets: BTreeMap::new(), oldest: i64::MAX, newest: i64::MIN }
    }
}

impl Counts {
    fn add(&mut self, timestamp: i64, key: &str) {
        let key = match self.keys.iter().position(|known| known == key) {
            Some(at) => at,
            None => {
                self.keys.push(key.to_owned());
                self.keys.len() - 1
            }
        };
        self.oldest = self.oldest.min(timestamp);
        self.newest = self.newest.max(timestamp);
        self.put(timestamp.div_euclid(self.width), key, 1);
        while self.buckets.len() > limits::SEARCH_FINE_BUCKETS {
            self.width = self.width.saturating_mul(2);
            for (bucket, counts) in std::mem::take(&mut self.buckets) {
                for (key, count) in counts.into_iter().enumerate() {
                    self.put(bucket.div_euclid(2), key, count);
                }
            }
        }
    }

    fn put(&mut self, bucket: i64, key: usize, count: u64) {
        let counts = self.buckets.entry(bucket).or_default();
        if counts.len() <= key {
            counts.resize(key + 1, 0);
        }
        counts[key] += count;
    }

    /// Joins buckets to those that were asked for. They begin and end where a fine bucket does.
    fn histogram(self, asked: &Asked) -> Histogram {
        if self.buckets.is_empty() {
            return asked.empty();
        }
        let range = asked.range(self.oldest, self.newest);
        let width = asked.width(range, self.width);
        let since_ns = range.0.div_euclid(self.width).saturating_mul(self.width);
        let mut buckets: BTreeMap<i64, BTreeMap<String, u64>> = BTreeMap::new();
        for (bucket, counts) in self.buckets {
            let at = i128::from(bucket) * i128::from(self.width) - i128::from(since_ns);
            let start = i128::from(since_ns) + at.div_euclid(i128::from(width)) * i128::from(width);
            let start = i64::try_from(start).unwrap_or(i64::MIN);
            for (key, count) in self.keys.iter().zip(counts).filter(|(_, count)| *count > 0) {
                *buckets.entry(start).or_default().entry(key.clone()).or_default() += count;
            }
        }
        Histogram { since_ns, until_ns: range.1, bucket_ns: width, buckets }
    }
}
