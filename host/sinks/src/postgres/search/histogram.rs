//! Counts matching rows over time: in the database if the clause is exact, otherwise row by row.

use futures::TryStreamExt;
use sqlx::{PgConnection, Row};
use weir_query::Query;
use weir_query::search::{By, Histogram};
use weir_query::sql::Clause;

use super::rows::{MICROS, SOURCE, Statement, columns, matching, moment};
use crate::counts::{Asked, Counts};
use crate::postgres::indexes::Known;

pub async fn histogram(
    connection: &mut PgConnection,
    table: &str,
    known: Known,
    query: &Query,
    by: By,
    buckets: usize,
) -> Result<Histogram, sqlx::Error> {
    let clause = query.postgres_indexed(known.indexes).unwrap_or_else(|| query.postgres());
    let asked = Asked::new(query, buckets);
    match clause.is_exact {
        true => in_database(connection, table, query, &clause, by, &asked).await,
        false => {
            let counts = of_rows(connection, table, query, &clause, by).await?;
            Ok(counts.histogram(&asked))
        }
    }
}

async fn in_database(
    connection: &mut PgConnection,
    table: &str,
    query: &Query,
    clause: &Clause,
    by: By,
    asked: &Asked,
) -> Result<Histogram, sqlx::Error> {
    let Some((oldest, newest)) = ends(connection, table, query, clause).await? else { return Ok(asked.empty()) };
    let range = asked.range(oldest.saturating_mul(1000), newest.saturating_mul(1000));
    let width = asked.width(range, 1000);
    let starts: Vec<i64> = std::iter::successors(Some(range.0), |start| start.checked_add(width))
        .take_while(|start| *start < range.1)
        .collect();
    // Rows have whole microseconds: one is in a bucket from the next of those on.
    let micros = |ns: i64| ns.div_euclid(1000) + i64::from(ns.rem_euclid(1000) > 0);
    let bounds: Vec<String> = starts.iter().map(|start| moment(micros(*start))).collect();
    let key = if by == By::Level { "level" } else { SOURCE };
    // A parameter would be parsed for every row. Without the inner query, the server expects as many groups as rows, and
    // does not divide the work.
    let sql = format!(
        "SELECT bucket, key, count(*) FROM (SELECT width_bucket(timestamp, '{{{}}}'::timestamptz[]) AS bucket, \
         {key} AS key FROM {table} WHERE ",
        bounds.join(",")
    );
    let mut statement = Statement::with_clause(sql, clause)?;
    statement.sql.push_str(" OFFSET '0') AS found GROUP BY 1, 2");
    let mut histogram = Histogram { since_ns: range.0, until_ns: range.1, bucket_ns: width, ..Default::default() };
    for row in statement.all(connection).await? {
        let (bucket, key, count): (i32, String, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let start = usize::try_from(bucket - 1).ok().and_then(|bucket| starts.get(bucket));
        histogram.buckets.entry(*start.unwrap_or(&range.0)).or_default().insert(key, count.unsigned_abs());
    }
    Ok(histogram)
}

/// The first and the last time of matching rows, in microseconds.
async fn ends(
    connection: &mut PgConnection,
    table: &str,
    query: &Query,
    clause: &Clause,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    // Unless all rows of a range match, the server must not walk from its ends until it finds one that does.
    let fence = if query.is_by_time() { "" } else { " OFFSET '0'" };
    let mut statement = Statement::with_clause(
        format!(
            "SELECT {MICROS} FROM (SELECT unnest(ARRAY[min(timestamp), max(timestamp)]) AS timestamp FROM (SELECT timestamp FROM {table} WHERE "
        ),
        clause,
    )?;
    statement.sql.push_str(&format!("{fence}) AS found) AS ends"));
    let rows = statement.all(connection).await?;
    let end = |at: usize| rows.get(at).and_then(|row| row.try_get::<Option<i64>, _>(0).ok().flatten());
    Ok(end(0).zip(end(1)))
}

/// Counts the rows that match.
async fn of_rows(
    connection: &mut PgConnection,
    table: &str,
    query: &Query,
    clause: &Clause,
    by: By,
) -> Result<Counts, sqlx::Error> {
    let mut counts = Counts::default();
    let mut rows =
        Statement::with_clause(format!("SELECT {} FROM {table} WHERE ", columns()), clause)?.rows(connection);
    while let Some(row) = rows.try_next().await? {
        if matching(query, &row).is_some() {
            let micros: i64 = row.try_get(1)?;
            counts.add(micros.saturating_mul(1000), row.try_get(if by == By::Level { 2 } else { 3 })?);
        }
    }
    Ok(counts)
}
