//! Translates queries to SQL, for the tables that Weir's own sinks make.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the clause of a whole query: `AND`, `OR`, `NOT` |
//! | `clause.rs` | pieces of SQL with their parameters |
//! | `literal.rs` | the text that a pattern needs, as a `LIKE` or `GLOB` pattern |
//! | `sqlite.rs` | tests of single fields in SQLite |
//! | `words.rs` | the expression for SQLite's search index |
//! | `postgres.rs` | tests of single fields in PostgreSQL |
//! | `postgres_index.rs` | what its search indexes can find |
//! | `known.rs` | what a query can still match once a record's level or source is known |
//!
//! Invariants
//! - **A clause never misses a record that the query matches.** It may select others, so rows are rechecked with
//!   [`Query::matches`](crate::Query::matches), unless the clause is *exact*.
//! - Under `NOT` the direction turns: there, a clause must never select a record that the query does not match. A test
//!   that can't be translated exactly is true in one direction and false in the other.
//! - No clause is null for any row.
//! - Text of a query reaches SQL only as a parameter.

mod clause;
mod known;
mod literal;
mod postgres;
mod postgres_index;
mod sqlite;
mod words;

pub use self::clause::{Clause, Parameter};
pub use self::known::Known;
pub(crate) use self::literal::{may_be_of, required};
pub use self::postgres::{INTEGER_COLUMNS, TEXT_COLUMNS};
pub use self::postgres_index::{Indexes, WORDS};
pub(crate) use self::sqlite::around;
pub use self::words::{Words, folds_alike, key_bit};
use crate::Query;
use crate::expression::{Expression, Test};

/// What is known about the rows of a table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// All values of `source`, if they are few enough to be listed.
    pub sources: Option<Vec<String>>,
}

/// The columns and functions that a clause may use.
trait Dialect {
    /// A test of a field.
    fn field(&self, path: &str, test: &Test) -> Clause;
    /// A leaf other than a field.
    fn leaf(&self, expression: &Expression) -> Clause;
}

/// Which way a clause may err.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// It may select too much.
    Superset,
    /// It may select too little.
    Subset,
}

impl Query {
    /// The clause for the table of a `sqlite` sink: `logs`.
    pub fn sqlite(&self, table: &Table) -> Clause {
        translate(&self.0, &sqlite::Sqlite { table }, Side::Superset)
    }

    /// The clause for the default table of a `postgres` sink.
    pub fn postgres(&self) -> Clause {
        translate(&self.0, &postgres::Postgres, Side::Superset).numbered()
    }

    /// The same clause with a condition that these indexes can look up. `None` if they can't.
    pub fn postgres_indexed(&self, indexes: Indexes) -> Option<Clause> {
        let found = postgres_index::condition(&self.0, indexes)?;
        let whole = translate(&self.0, &postgres::Postgres, Side::Superset);
        let is_exact = whole.is_exact;
        // Without an index, the condition costs more than the clause, so it comes last.
        Some(Clause { is_exact, ..Clause::all([whole, found].into_iter()) }.numbered())
    }

    /// An FTS5 expression that finds every matching row, if the query has one.
    pub fn fts5(&self, table: &Table) -> Option<Words> {
        words::expression(&self.0, table)
    }
}

fn translate(expression: &Expression, dialect: &dyn Dialect, side: Side) -> Clause {
    match expression {
        Expression::All(all) => Clause::all(all.iter().map(|one| translate(one, dialect, side))),
        Expression::Any(any) => Clause::any(any.iter().map(|one| translate(one, dialect, side))),
        Expression::Not(one) => {
            let opposite = if side == Side::Superset { Side::Subset } else { Side::Superset };
            translate(one, dialect, opposite).negated()
        }
        leaf => {
            let clause = match leaf {
                Expression::Field { path, test } => dialect.field(path, test),
                leaf => dialect.leaf(leaf),
            };
            match side {
                Side::Subset if !clause.is_exact => Clause::inexact(false),
                _ => clause,
            }
        }
    }
}
