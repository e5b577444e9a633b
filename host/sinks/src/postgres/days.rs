//! Time-based maintenance: a partition for each day, and removing old records.
//!
//! A partition is created beside the table and then attached, which locks out no reader. Days are in UTC. **A partition
//! is created only for days inside a window** around now, so that a sender with a wrong clock can't create endless
//! partitions: a record outside is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use sqlx::{AssertSqlSafe, PgConnection};
use weir_record::time::{format_rfc3339, now_ns};

use super::fault::state_of;
use super::row::Kind;
use super::table::{TableNames, quoted};
use crate::limits;

const DAY_NS: i64 = 86_400_000_000_000;

/// Partitions of a table and the records in it, by time.
pub struct Partitions {
    /// The column of the record's own time, and its kind.
    time: Option<(String, Kind)>,
    retention: Option<Duration>,
    by_day: bool,
    /// Days since 1970 that have a partition.
    known: BTreeSet<i64>,
}

impl Partitions {
    /// For a table with its time in that column.
    pub fn new(time: Option<(String, Kind)>, retention: Option<Duration>, by_day: bool) -> Partitions {
        Partitions { time, retention, by_day, known: BTreeSet::new() }
    }

    /// The day of a time, if the table has or may get a partition for it; `None` if the table isn't partitioned.
    pub fn day_of(&self, timestamp_ns: i64, now_ns: i64) -> Result<Option<i64>, String> {
        if !self.by_day {
            return Ok(None);
        }
        let day = timestamp_ns.div_euclid(DAY_NS);
        let today = now_ns.div_euclid(DAY_NS);
        let first = match self.oldest_ns(now_ns) {
            Some(oldest) => oldest.div_euclid(DAY_NS),
            None => today - limits::POSTGRES_DAYS_BACK,
        };
        if (first..=today + limits::POSTGRES_DAYS_AHEAD).contains(&day) {
            return Ok(Some(day));
        }
        let why = if day < first { "older than the days that are kept" } else { "too far in the future" };
        let mut time = Vec::new();
        format_rfc3339(timestamp_ns, &mut time);
        Err(format!("its time {} is out of range: {why}", String::from_utf8_lossy(&time)))
    }

    fn oldest_ns(&self, now_ns: i64) -> Option<i64> {
        let age = i64::try_from(self.retention?.as_nanos()).unwrap_or(i64::MAX);
        Some(now_ns.saturating_sub(age))
    }

    /// Forgets the known partitions.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Creates the missing partitions.
    pub async fn make(
        &mut self,
        connection: &mut PgConnection,
        names: &TableNames,
        table: &str,
        days: &BTreeSet<i64>,
    ) -> Result<(), sqlx::Error> {
        for day in days.difference(&self.known).copied().collect::<Vec<_>>() {
            let (Some(first), Some(next)) = (date(day), date(day + 1)) else { continue };
            let name = partition(table, first);
            let (parent, child) = (names.qualified(table), names.qualified(&name));
            let statements = [
                format!("CREATE TABLE {child} (LIKE {parent} INCLUDING ALL EXCLUDING IDENTITY)"),
                format!(
                    "ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES FROM ('{first} 00:00:00+00') TO ('{next} 00:00:00+00')"
                ),
            ];
            if let Err(error) = names.making(connection, &name, &statements).await {
                // Another partition covers the day, by its bounds or as the default.
                if !matches!(state_of(&error).as_deref(), Some("42P17" | "23514")) {
                    return Err(error);
                }
            }
            self.known.insert(day);
        }
        Ok(())
    }

    /// Creates tomorrow's partition in advance, and drops or deletes records past retention. Returns true if there may
    /// be more to do.
    pub async fn maintain(
        &mut self,
        connection: &mut PgConnection,
        names: &TableNames,
        table: &str,
    ) -> Result<bool, sqlx::Error> {
        let now = now_ns();
        if self.by_day {
            let today = now.div_euclid(DAY_NS);
            self.make(connection, names, table, &BTreeSet::from([today, today + 1])).await?;
        }
        let Some(oldest) = self.oldest_ns(now) else { return Ok(false) };
        match (&self.time, self.by_day) {
            (_, true) => self.drop_one(connection, names, table, oldest.div_euclid(DAY_NS)).await,
            (Some((column, kind)), false) => delete(connection, &names.qualified(table), column, kind, oldest).await,
            (None, false) => Ok(false),
        }
    }

    /// Drops the oldest partition before a day. Returns true if there was one.
    async fn drop_one(
        &mut self,
        connection: &mut PgConnection,
        names: &TableNames,
        table: &str,
        before: i64,
    ) -> Result<bool, sqlx::Error> {
        let sql = "SELECT child.relname::text FROM pg_inherits i JOIN pg_class child ON child.oid = i.inhrelid \
                   JOIN pg_class parent ON parent.oid = i.inhparent \
                   JOIN pg_namespace n ON n.oid = parent.relnamespace \
                   WHERE n.nspname = $1 AND parent.relname = $2 AND child.relnamespace = n.oid";
        let children: Vec<String> =
            sqlx::query_scalar(sql).bind(&names.schema).bind(table).fetch_all(&mut *connection).await?;
        let old = |name: &String| day_of_partition(table, name).filter(|day| *day < before);
        let Some((day, name)) = children.iter().filter_map(|name| Some((old(name)?, name))).min() else {
            return Ok(false);
        };
        let sql = format!("DROP TABLE IF EXISTS {}", names.qualified(name));
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        self.known.remove(&day);
        tracing::info!(partition = name, "dropped a partition past its retention");
        Ok(true)
    }
}

/// Deletes some of the older rows. Returns true if the limit was reached. Rows locked by another session are skipped.
async fn delete(
    connection: &mut PgConnection,
    table: &str,
    column: &str,
    kind: &Kind,
    oldest_ns: i64,
) -> Result<bool, sqlx::Error> {
    let kind = match kind {
        Kind::Int { .. } | Kind::Numeric => "bigint",
        Kind::Text { .. } => "text",
        _ => "timestamptz",
    };
    let bound = match kind {
        "bigint" => oldest_ns.to_string(),
        _ => {
            let mut text = Vec::new();
            format_rfc3339(oldest_ns, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let sql = format!(
        "DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE {} < $1::text::{kind} LIMIT {} \
         FOR UPDATE SKIP LOCKED))",
        quoted(column),
        limits::POSTGRES_RETENTION_ROWS,
    );
    let deleted = sqlx::query(AssertSqlSafe(sql)).bind(bound).execute(connection).await?.rows_affected();
    Ok(deleted == limits::POSTGRES_RETENTION_ROWS)
}

/// The name of a day's partition.
fn partition(table: &str, day: Date) -> String {
    format!("{table}_p{}", day.strftime("%Y%m%d"))
}

fn day_of_partition(table: &str, name: &str) -> Option<i64> {
    let digits = name.strip_prefix(table)?.strip_prefix("_p").filter(|digits| digits.len() == 8)?;
    let date = Date::strptime("%Y%m%d", digits).ok()?;
    Some(i64::from(date.since(epoch()).ok()?.get_days()))
}

fn date(day: i64) -> Option<Date> {
    epoch().checked_add(jiff::Span::new().try_days(day).ok()?).ok()
}

fn epoch() -> Date {
    jiff::civil::date(1970, 1, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_name_contains_its_day() {
        for day in [0, 1, 19_675, 20_000] {
            let name = partition("logs", date(day).expect("a date"));
            assert_eq!(day_of_partition("logs", &name), Some(day), "{name}");
        }
        assert_eq!(partition("logs", date(20_000).expect("a date")), "logs_p20241004");
        for other in ["logs_p2024", "logs_pabcdefgh", "other_p20241004", "logs_default", "logs_p20241399"] {
            assert_eq!(day_of_partition("logs", other), None, "{other}");
        }
    }

    #[test]
    fn only_days_around_now_get_a_partition() {
        let now = 20_000 * DAY_NS + 5;
        let days = |retention| Partitions::new(None, retention, true);
        let all = days(None);
        assert_eq!(all.day_of(now, now), Ok(Some(20_000)));
        assert_eq!(
            all.day_of(-1, now),
            Err("its time 1969-12-31T23:59:59.999999999Z is out of range: older than the days that are kept".into())
        );
        assert!(all.day_of(now + 400 * DAY_NS, now).is_err_and(|error| error.contains("future")));
        let week = days(Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(week.day_of(now - 7 * DAY_NS, now), Ok(Some(19_993)));
        assert!(week.day_of(now - 8 * DAY_NS, now).is_err());
        assert_eq!(Partitions::new(None, None, false).day_of(i64::MIN, now), Ok(None));
    }
}
