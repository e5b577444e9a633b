//! Finds the first matching rows in an order: the newest, or the neighbours of a record.
//!
//! The server can walk the rows in this order until there are enough, or read all rows that an index (or, without one,
//! the whole table) has for the query, and sort them. Which one is fast depends on how many rows match, which the
//! statistics of the server tell neither for words nor for values in JSON. So the first rows are walked, in steps that
//! grow, and after each step the number of matches in it decides. All rows that remain are read by a statement in which
//! `OFFSET '0'` keeps the server from walking; `OFFSET 0`, which it converts to another type, would also keep it from
//! using all processors.

use sqlx::{PgConnection, Row};
use weir_query::Query;
use weir_query::search::Hit;
use weir_query::sql::Clause;

use super::rows::{Statement, columns, matching};
use crate::limits;
use crate::postgres::indexes::Known;

/// Each step is so many times as wide as the one before.
const GROWTH: i64 = 4;
/// A row that is walked takes about as long as so many that are read in any order.
const WALKING: f64 = 4.0;
/// Without an index, so much of the table is walked even if nothing is found.
const FRUITLESS: f64 = 1.0 / 64.0;

/// The order of rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By time.
    NewestFirst,
    /// By id, from one on.
    Older,
    Newer,
}

/// A search for the first rows in an order.
pub struct Walk<'s> {
    table: &'s str,
    query: &'s Query,
    clause: Clause,
    /// The clause with a condition for the table's indexes.
    indexed: Option<Clause>,
    /// About how many rows the table has.
    rows: i64,
    order: Order,
    limit: usize,
    /// Time in microseconds and id of a row: only those after it are left.
    after: Option<(i64, i64)>,
    found: Vec<Hit>,
}

/// The last time or id of a step, and the width of the step.
struct Step {
    end: i64,
    width: i64,
}

impl<'s> Walk<'s> {
    pub fn new(table: &'s str, known: Known, query: &'s Query, order: Order, limit: usize) -> Walk<'s> {
        let (clause, indexed) = (query.postgres(), query.postgres_indexed(known.indexes));
        Walk { table, query, clause, indexed, rows: known.rows, order, limit, after: None, found: Vec::new() }
    }

    /// Begins after a row with this time in microseconds and id.
    pub fn after(self, micros: i64, id: i64) -> Walk<'s> {
        Walk { after: Some((micros, id)), ..self }
    }

    /// The rows, in the order.
    pub async fn hits(mut self, connection: &mut PgConnection) -> Result<Vec<Hit>, sqlx::Error> {
        if self.clause.is_everything() {
            self.read(connection, None, false).await?;
            return Ok(self.found);
        }
        let mut walked = limits::SEARCH_FIRST_ROWS;
        let mut step = self.first_step(connection).await?;
        while let Some(Step { end, width }) = step {
            self.read(connection, Some(end), false).await?;
            if self.found.len() >= self.limit {
                return Ok(self.found);
            }
            // A time belongs to the step with all its rows.
            self.after = Some(if self.order == Order::NewestFirst { (end, i64::MIN) } else { (0, end) });
            let width = width.saturating_mul(GROWTH);
            step = self.goes_on(walked).then(|| Step { end: self.from(end, width), width });
            walked = walked.saturating_mul(GROWTH + 1);
        }
        self.read(connection, None, true).await?;
        Ok(self.found)
    }

    /// Whether walking on is likely to be faster than reading all rows that remain.
    fn goes_on(&self, walked: i64) -> bool {
        let (walked, rows, found) = (walked as f64, self.rows as f64, self.found.len() as f64);
        // Infinite if nothing was found.
        let left = (self.limit as f64 - found) * walked / found;
        match &self.indexed {
            _ if walked > rows => false,
            Some(_) => left <= rows * found / walked,
            None => left <= rows / WALKING || walked <= rows * FRUITLESS,
        }
    }

    fn from(&self, start: i64, width: i64) -> i64 {
        if self.order == Order::Newer { start.saturating_add(width) } else { start.saturating_sub(width) }
    }

    /// `None` if there are so few rows that they are not worth a step.
    async fn first_step(&self, connection: &mut PgConnection) -> Result<Option<Step>, sqlx::Error> {
        let rows = limits::SEARCH_FIRST_ROWS;
        if self.order != Order::NewestFirst {
            return Ok(self.after.map(|(_, id)| Step { end: self.from(id, rows), width: rows }));
        }
        let micros = |value: &str| format!("(extract(epoch FROM {value}) * 1000000)::bigint");
        let mut statement = Statement::new(format!(
            "SELECT {}, {} FROM (SELECT timestamp FROM {} WHERE TRUE",
            micros("min(timestamp)"),
            micros("max(timestamp)"),
            self.table
        ));
        let (since, until) = self.query.time_range();
        let since = (since > i64::MIN).then_some((">=", since.div_euclid(1000)));
        let until = until.map(|until| ("<=", until.div_euclid(1000)));
        for (relation, micros) in [since, until, self.after.map(|(micros, _)| ("<=", micros))].into_iter().flatten() {
            let time = statement.bind_time(micros)?;
            statement.sql.push_str(&format!(" AND timestamp {relation} {time}"));
        }
        let count = statement.bind(rows)?;
        statement
            .sql
            .push_str(&format!(" ORDER BY timestamp DESC LIMIT ${count}) AS newest HAVING count(*) = ${count}"));
        let ends = statement.all(connection).await?;
        let Some(ends) = ends.first() else { return Ok(None) };
        let (end, newest): (i64, i64) = (ends.try_get(0)?, ends.try_get(1)?);
        Ok(Some(Step { end, width: newest.saturating_sub(end).max(1) }))
    }

    /// Reads rows up to `end`, or all that remain, until there are enough.
    async fn read(
        &mut self,
        connection: &mut PgConnection,
        end: Option<i64>,
        is_rest: bool,
    ) -> Result<(), sqlx::Error> {
        // Some rows of an inexact clause don't match, and to read the rest twice takes twice as long.
        let mut page = if is_rest && !self.clause.is_exact { 2 * self.limit } else { self.limit };
        while self.found.len() < self.limit {
            let rows = self.statement("", end, is_rest, page)?.all(connection).await?;
            self.found.extend(rows.iter().filter_map(|row| matching(self.query, row)));
            match rows.last() {
                Some(last) if rows.len() == page => self.after = Some((last.try_get(1)?, last.try_get(0)?)),
                _ => break,
            }
            page = (2 * page).min(limits::SEARCH_PAGE_ROWS.max(self.limit));
        }
        self.found.truncate(self.limit);
        Ok(())
    }

    /// The statement for a page of rows, after `prefix`.
    fn statement(&self, prefix: &str, end: Option<i64>, is_rest: bool, page: usize) -> Result<Statement, sqlx::Error> {
        let clause = self.indexed.as_ref().filter(|_| is_rest).unwrap_or(&self.clause);
        let rows = if is_rest { format!("(SELECT * FROM {}", self.table) } else { self.table.to_owned() };
        // What a record is made of is only evaluated for the rows of the page.
        let sql = format!("{prefix}SELECT {} FROM (SELECT * FROM {rows} WHERE ", columns());
        let mut statement = Statement::with_clause(sql, clause)?;
        if let Some((micros, id)) = self.after {
            let after = match self.order {
                Order::NewestFirst => {
                    format!("(timestamp, id) < ({}, ${})", statement.bind_time(micros)?, statement.bind(id)?)
                }
                Order::Older => format!("id < ${}", statement.bind(id)?),
                Order::Newer => format!("id > ${}", statement.bind(id)?),
            };
            statement.sql.push_str(&format!(" AND {after}"));
        }
        if let Some(end) = end {
            let end = match self.order {
                Order::NewestFirst => format!("timestamp >= {}", statement.bind_time(end)?),
                Order::Older => format!("id >= ${}", statement.bind(end)?),
                Order::Newer => format!("id <= ${}", statement.bind(end)?),
            };
            statement.sql.push_str(&format!(" AND {end}"));
        }
        if is_rest {
            statement.sql.push_str(" OFFSET '0') AS found");
        }
        let order = match self.order {
            Order::NewestFirst => "timestamp DESC, id DESC",
            Order::Older => "id DESC",
            Order::Newer => "id",
        };
        let count = statement.bind(i64::try_from(page).unwrap_or(i64::MAX))?;
        statement.sql.push_str(&format!(" ORDER BY {order} LIMIT ${count}) AS page ORDER BY {order}"));
        Ok(statement)
    }

    /// How the rows that are not walked are found, for people.
    pub async fn explained(self, connection: &mut PgConnection) -> Result<String, sqlx::Error> {
        let mut text = self.indexed.as_ref().unwrap_or(&self.clause).explained();
        let is_rest = !self.clause.is_everything();
        if is_rest {
            text.push_str("rows are walked from the newest while enough of them match; the rest is read like this:\n");
        }
        for row in self.statement("EXPLAIN ", None, is_rest, self.limit)?.all(connection).await? {
            text.push_str(row.try_get(0)?);
            text.push('\n');
        }
        Ok(text)
    }
}
