//! Tests of single fields in PostgreSQL.

use super::Dialect;
use super::clause::Clause;
use crate::expression::{Expression, Test};

pub(super) struct Postgres;

impl Dialect for Postgres {
    fn field(&self, _path: &str, _test: &Test) -> Clause {
        Clause::inexact(true)
    }

    fn leaf(&self, _expression: &Expression) -> Clause {
        Clause::inexact(true)
    }
}
