//! The expression that a query means.

use weir_record::Level;

use crate::pattern::Pattern;

/// Selects records.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    /// All of them match. Empty: every record.
    All(Vec<Expression>),
    /// One of them matches.
    Any(Vec<Expression>),
    Not(Box<Expression>),
    /// A field, or an item of the list in it, passes the test.
    Field {
        path: String,
        test: Test,
    },
    /// A text anywhere in the record contains a match.
    AnyField(Pattern),
    /// The record's time is in this range: from the first, up to but not including the second.
    Time {
        since_ns: i64,
        until_ns: Option<i64>,
    },
    /// The record's level compares like this.
    Level(Relation, Level),
}

impl Expression {
    pub fn has_times(&self) -> bool {
        match self {
            Expression::All(several) | Expression::Any(several) => several.iter().any(Expression::has_times),
            Expression::Not(one) => one.has_times(),
            Expression::Time { .. } => true,
            Expression::Field { .. } | Expression::AnyField(_) | Expression::Level(..) => false,
        }
    }

    pub fn add_fields<'e>(&'e self, fields: &mut Vec<&'e str>) {
        match self {
            Expression::All(several) | Expression::Any(several) => {
                for one in several {
                    one.add_fields(fields);
                }
            }
            Expression::Not(one) => one.add_fields(fields),
            Expression::Field { path, .. } => fields.push(path),
            Expression::AnyField(_) | Expression::Time { .. } | Expression::Level(..) => {}
        }
    }
}

/// What is tested of a value.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    /// It is not null.
    Exists,
    /// It is this text, number or truth value.
    Equals(Scalar),
    /// Its text contains a match.
    Matches(Pattern),
    /// It is a number, or text that is one, in this relation.
    Number(Relation, f64),
    /// It is text that is a time in this relation, in nanoseconds since 1970.
    Time(Relation, i64),
}

/// A value to be equal to, in each form that a record may have it in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub text: String,
    /// The value as a number, if it is one.
    pub number: Option<Number>,
}

/// A number without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    UInt(u64),
    Float(f64),
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Relation {
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Relation::Equal => ordering.is_eq(),
            Relation::Less => ordering.is_lt(),
            Relation::AtMost => ordering.is_le(),
            Relation::Greater => ordering.is_gt(),
            Relation::AtLeast => ordering.is_ge(),
        }
    }
}
