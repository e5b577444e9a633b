//! Which rows of the database can match, and in which order they are read.
//!
//! There are three ways to the rows, tried in this order:
//! 1. If few rows have a level or source that the query allows, the index of that column gives them all.
//! 2. Blocks of rows, those with the newest rows first (`blocks.rs` of the sink). If the search index finds every match
//!    in a block, it names the rows to read.
//! 3. Otherwise, every row of the block is read.
//!
//! The number of blocks that are read at once doubles from step to step, so that common words need one block and rare
//! ones few look-ups. Blocks whose every row is read are few in each step, so that a search stops soon after it has
//! found enough.

use sqlx::{Row, SqliteConnection};
use weir_query::Query;
use weir_query::sql::{Clause, Known, Table, Words};
use weir_record::Level;

use super::rows::Statement;
use crate::limits;
use crate::sqlite::blocks::BLOCK_BITS;

/// How a query is answered.
pub struct Plan {
    pub clause: Clause,
    /// The expression for the search index.
    pub words: Option<Words>,
    /// All matches are in this range of time, both ends included.
    pub oldest: i64,
    pub newest: i64,
    /// The index that gives few rows.
    pub few: Option<Few>,
    pub levels: Vec<String>,
    /// `None`: too many to list.
    pub sources: Option<Vec<String>>,
}

/// Values of an indexed column that few rows have.
pub struct Few {
    pub column: &'static str,
    pub values: Vec<String>,
}

/// Blocks that are read together.
pub struct Step {
    pub ranges: Vec<Range>,
    /// No row in this step or a later one is newer.
    pub newest: i64,
}

/// Consecutive rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub last: i64,
    /// The search index names the rows.
    pub uses_words: bool,
}

impl Plan {
    /// Reads what the query needs to know.
    pub async fn new(connection: &mut SqliteConnection, query: &Query) -> Result<Plan, sqlx::Error> {
        let table = Table { sources: sources(connection).await? };
        let is_possible = |level: &Level| query.may_match(Known::Level(*level));
        let levels: Vec<_> =
            Level::ALL.into_iter().filter(is_possible).map(|level| level.as_str().to_owned()).collect();
        let matching = |all: &Vec<String>| -> Vec<String> {
            all.iter().filter(|source| query.may_match(Known::Source(source))).cloned().collect()
        };
        let sources = table.sources.as_ref().map(matching);
        let (since, until) = query.time_range();
        let mut plan = Plan {
            clause: query.sqlite(&table),
            words: None,
            oldest: since,
            newest: until.map_or(i64::MAX, |until| until.saturating_sub(1)),
            few: None,
            levels,
            sources,
        };
        if plan.clause.sql == "FALSE" || until == Some(i64::MIN) {
            plan.newest = i64::MIN;
            plan.oldest = i64::MAX;
            return Ok(plan);
        }
        let has_index = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'logs_search')";
        if sqlx::query_scalar(has_index).fetch_one(&mut *connection).await? {
            plan.words = query.fts5(&table);
        }
        let all_sources = table.sources.as_ref().map_or(usize::MAX, Vec::len);
        if plan.levels.len() < Level::ALL.len() {
            plan.narrow(connection, "level", plan.levels.clone()).await?;
        }
        if let Some(sources) = plan.sources.clone().filter(|sources| sources.len() < all_sources) {
            plan.narrow(connection, "source", sources).await?;
        }
        Ok(plan)
    }

    /// True if nothing can match.
    pub fn is_empty(&self) -> bool {
        self.oldest > self.newest
    }

    /// Uses that only rows with these values of an indexed column match.
    async fn narrow(
        &mut self,
        connection: &mut SqliteConnection,
        column: &'static str,
        values: Vec<String>,
    ) -> Result<(), sqlx::Error> {
        let (mut oldest, mut newest) = (i64::MAX, i64::MIN);
        for value in &values {
            let sql = format!(
                "SELECT (SELECT min(timestamp) FROM logs WHERE {column} = ? AND timestamp BETWEEN ? AND ?),
                        (SELECT max(timestamp) FROM logs WHERE {column} = ? AND timestamp BETWEEN ? AND ?)"
            );
            let mut statement = Statement::new(sql);
            for _ in 0..2 {
                statement.bind(value.clone())?;
                statement.bind(self.oldest)?;
                statement.bind(self.newest)?;
            }
            for row in statement.all(connection).await? {
                oldest = oldest.min(row.try_get::<Option<i64>, _>(0)?.unwrap_or(i64::MAX));
                newest = newest.max(row.try_get::<Option<i64>, _>(1)?.unwrap_or(i64::MIN));
            }
        }
        (self.oldest, self.newest) = (oldest, newest);
        if self.is_empty() || self.few.is_some() {
            return Ok(());
        }
        let mut statement = Statement::new(format!(
            "SELECT count(*) FROM (SELECT 1 FROM logs INDEXED BY logs_{column} WHERE {column} IN "
        ));
        statement.list(&values)?;
        statement.sql(" AND timestamp BETWEEN ? AND ? LIMIT ?)");
        statement.bind(self.oldest)?;
        statement.bind(self.newest)?;
        statement.bind(limits::SEARCH_FEW_ROWS + 1)?;
        let counted = statement.all(connection).await?;
        let rows: i64 = counted.first().map_or(Ok(i64::MAX), |row| row.try_get(0))?;
        if rows <= limits::SEARCH_FEW_ROWS {
            self.few = Some(Few { column, values });
        }
        Ok(())
    }

    /// The blocks with rows that may match, in the order of their newest rows. Later rows are in none of them.
    pub async fn steps(&self, connection: &mut SqliteConnection, newest: i64) -> Result<Vec<Step>, sqlx::Error> {
        let sql = "SELECT block, newest, searchable, floats FROM logs_blocks WHERE newest >= ? AND oldest <= ?
                   ORDER BY newest DESC, block DESC";
        let blocks: Vec<(i64, i64, i64, i64)> =
            sqlx::query_as(sql).bind(self.oldest).bind(newest).fetch_all(&mut *connection).await?;
        let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM logs").fetch_one(&mut *connection).await?;
        let last = last.unwrap_or(i64::MAX);
        let most = if self.words.is_some() { limits::SEARCH_STEP_BLOCKS } else { limits::SEARCH_SCAN_BLOCKS };
        let mut steps = Vec::new();
        let (mut rest, mut size) = (&blocks[..], 1);
        while let Some((_, newest, ..)) = rest.first() {
            let (some, after) = rest.split_at(size.min(rest.len()));
            let blocks = some
                .iter()
                .map(|(block, _, searchable, floats)| (*block, *searchable == 1 && self.finds_words(*floats)));
            steps.push(Step { ranges: ranges(blocks.collect(), last), newest: *newest });
            rest = after;
            size = (2 * size).min(most);
        }
        Ok(steps)
    }

    /// Whether the search index names all matches in a block whose rows have these floats.
    fn finds_words(&self, floats: i64) -> bool {
        self.words.as_ref().is_some_and(|words| words.integers & floats.cast_unsigned() == 0)
    }

    /// The statement for some rows, up to and with the clause.
    pub fn statement(&self, columns: &str, range: &Range) -> Result<Statement, sqlx::Error> {
        let mut statement = Statement::new(format!("SELECT {columns} FROM logs NOT INDEXED WHERE "));
        match &self.words {
            Some(words) if range.uses_words => {
                statement
                    .sql("id IN (SELECT rowid FROM logs_search WHERE logs_search MATCH ? AND rowid BETWEEN ? AND ?)");
                statement.bind(words.expression.clone())?;
            }
            _ => statement.sql("id BETWEEN ? AND ?"),
        }
        statement.bind(range.first)?;
        statement.bind(range.last)?;
        self.conditions(&mut statement)?;
        Ok(statement)
    }

    /// The statement for the few rows that an index gives, up to and with the clause.
    pub fn statement_of_few(&self, columns: &str, few: &Few) -> Result<Statement, sqlx::Error> {
        let column = few.column;
        let mut statement =
            Statement::new(format!("SELECT {columns} FROM logs INDEXED BY logs_{column} WHERE {column} IN "));
        statement.list(&few.values)?;
        self.conditions(&mut statement)?;
        Ok(statement)
    }

    fn conditions(&self, statement: &mut Statement) -> Result<(), sqlx::Error> {
        statement.sql(" AND timestamp BETWEEN ? AND ? AND ");
        statement.bind(self.oldest)?;
        statement.bind(self.newest)?;
        statement.clause(&self.clause)
    }
}

/// Joins blocks to ranges of rows, up to the last one.
fn ranges(mut blocks: Vec<(i64, bool)>, last_row: i64) -> Vec<Range> {
    blocks.sort_unstable_by_key(|(block, _)| std::cmp::Reverse(*block));
    let mut ranges: Vec<Range> = Vec::new();
    for (block, uses_words) in blocks {
        let (first, last) = (block << BLOCK_BITS, ((block + 1) << BLOCK_BITS) - 1);
        match ranges.last_mut() {
            Some(range) if range.first == last + 1 && range.uses_words == uses_words => range.first = first,
            _ => ranges.push(Range { first, last: last.min(last_row), uses_words }),
        }
    }
    ranges
}

/// All sources, if they are few: each is one look-up in their index.
async fn sources(connection: &mut SqliteConnection) -> Result<Option<Vec<String>>, sqlx::Error> {
    let sql = "WITH RECURSIVE found(source) AS (
                 SELECT min(source) FROM logs
                 UNION ALL
                 SELECT (SELECT min(source) FROM logs WHERE source > found.source) FROM found
                 WHERE found.source IS NOT NULL LIMIT ?)
               SELECT source FROM found WHERE source IS NOT NULL";
    let limit = limits::SEARCH_SOURCES + 1;
    let found: Vec<String> = sqlx::query_scalar(sql).bind(limit).fetch_all(connection).await?;
    Ok((found.len() < limit as usize).then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_blocks_are_one_range() {
        let range = |first: i64, last: i64, uses_words| Range {
            first: first << BLOCK_BITS,
            last: ((last + 1) << BLOCK_BITS) - 1,
            uses_words,
        };
        assert_eq!(
            ranges(vec![(3, true), (9, true), (4, true), (5, false), (2, true)], (9 << BLOCK_BITS) + 7),
            [Range { last: (9 << BLOCK_BITS) + 7, ..range(9, 9, true) }, range(5, 5, false), range(2, 4, true)]
        );
    }
}
