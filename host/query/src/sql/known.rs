//! What a query can still match once a record's level or source is known. A store finds rows by these columns.

use weir_record::Level;

use crate::Query;
use crate::expression::{Expression, Test};

/// What is known about a record.
#[derive(Clone, Copy, Debug)]
pub enum Known<'k> {
    Level(Level),
    Source(&'k str),
}

impl Query {
    /// Whether a record of which only this is known can match.
    pub fn may_match(&self, known: Known<'_>) -> bool {
        possible(&self.0, known, true)
    }

    /// The range of time in which all matches are: from the first, up to but not including the second.
    pub fn time_range(&self) -> (i64, Option<i64>) {
        let mut range = (i64::MIN, None);
        narrow(&self.0, &mut range);
        range
    }

    /// True if the query consists of a range of time.
    pub fn is_by_time(&self) -> bool {
        is_made_of(&self.0, |_| false)
    }

    /// True if the query consists of a range of time and tests of the level.
    pub fn is_by_level(&self) -> bool {
        is_made_of(&self.0, |leaf| matches!(leaf, Expression::Level(..)))
    }

    /// True if the query consists of a range of time and tests of the source.
    pub fn is_by_source(&self) -> bool {
        is_made_of(&self.0, |leaf| matches!(leaf, Expression::Field { path, .. } if path == "source"))
    }

    /// True if the query consists of a range of time and tests of level and source.
    pub fn is_by_level_and_source(&self) -> bool {
        let is_leaf = |leaf: &Expression| match leaf {
            Expression::Level(..) => true,
            Expression::Field { path, .. } => matches!(path.as_str(), "level" | "source"),
            _ => false,
        };
        is_made_of(&self.0, is_leaf)
    }

    /// True if only time, level, source and message are tested.
    pub fn tests_only_head(&self) -> bool {
        is_in_head(&self.0)
    }
}

/// `default` is the answer of tests that nothing is known about: true for "may match", false for "must match".
fn possible(expression: &Expression, known: Known<'_>, default: bool) -> bool {
    match (expression, known) {
        (Expression::All(all), _) => all.iter().all(|one| possible(one, known, default)),
        (Expression::Any(any), _) => any.iter().any(|one| possible(one, known, default)),
        (Expression::Not(one), _) => !possible(one, known, !default),
        (Expression::Level(relation, level), Known::Level(found)) => relation.holds(found.cmp(level)),
        (Expression::Field { path, test }, Known::Source(source)) if path == "source" => test.passes_text(source),
        (Expression::Field { path, test }, Known::Level(level)) if path == "level" => test.passes_text(level.as_str()),
        _ => default,
    }
}

fn narrow(expression: &Expression, range: &mut (i64, Option<i64>)) {
    match expression {
        Expression::All(all) => all.iter().for_each(|one| narrow(one, range)),
        Expression::Time { since_ns, until_ns } => {
            range.0 = range.0.max(*since_ns);
            range.1 = match (range.1, *until_ns) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        _ => {}
    }
}

/// Times count only where [`narrow`] sees them.
fn is_made_of(expression: &Expression, is_leaf: impl Fn(&Expression) -> bool + Copy) -> bool {
    fn inside(expression: &Expression, is_leaf: impl Fn(&Expression) -> bool + Copy) -> bool {
        match expression {
            Expression::All(several) | Expression::Any(several) => several.iter().all(|one| inside(one, is_leaf)),
            Expression::Not(one) => inside(one, is_leaf),
            leaf => is_leaf(leaf),
        }
    }
    match expression {
        Expression::All(all) => all.iter().all(|one| is_made_of(one, is_leaf)),
        Expression::Time { .. } => true,
        other => inside(other, is_leaf),
    }
}

fn is_in_head(expression: &Expression) -> bool {
    match expression {
        Expression::All(several) | Expression::Any(several) => several.iter().all(is_in_head),
        Expression::Not(one) => is_in_head(one),
        Expression::Field { path, .. } => matches!(path.as_str(), "timestamp" | "level" | "source" | "message"),
        Expression::AnyField(_) => false,
        Expression::Time { .. } | Expression::Level(..) => true,
    }
}

impl Test {
    /// Whether a text passes.
    pub(super) fn passes_text(&self, text: &str) -> bool {
        self.passes(weir_record::Value::Str(text))
    }
}
