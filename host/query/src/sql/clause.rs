//! Pieces of SQL with their parameters.

/// A value for a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    Text(String),
    Int(i64),
    Float(f64),
}

/// A condition with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// With a placeholder for each parameter, in their order: `?` in SQLite, `$1` and so on in PostgreSQL.
    pub sql: String,
    pub parameters: Vec<Parameter>,
    /// True if it selects exactly the records that the query matches.
    pub is_exact: bool,
}

impl Clause {
    pub(super) fn exact(sql: impl Into<String>, parameters: Vec<Parameter>) -> Clause {
        Clause { sql: sql.into(), parameters, is_exact: true }
    }

    pub(super) fn superset(sql: impl Into<String>, parameters: Vec<Parameter>) -> Clause {
        Clause { sql: sql.into(), parameters, is_exact: false }
    }

    /// True or false for every row, which is what the query means.
    pub(super) fn constant(truth: bool) -> Clause {
        Clause::exact(if truth { "TRUE" } else { "FALSE" }, Vec::new())
    }

    /// True or false for every row, because nothing better is known.
    pub(super) fn inexact(truth: bool) -> Clause {
        Clause { is_exact: false, ..Clause::constant(truth) }
    }

    /// True if it selects every row.
    pub fn is_everything(&self) -> bool {
        self.sql == "TRUE"
    }

    /// The condition with its parameters, and whether rows are checked again, as lines for people.
    pub fn explained(&self) -> String {
        let shown = |parameter: &Parameter| match parameter {
            Parameter::Text(text) => format!("{text:?}"),
            Parameter::Int(number) => number.to_string(),
            Parameter::Float(number) => number.to_string(),
        };
        let parameters: Vec<String> = self.parameters.iter().map(shown).collect();
        let mut text = format!("condition in SQL: {}\n", self.sql);
        if !parameters.is_empty() {
            text.push_str(&format!("parameters: {}\n", parameters.join(", ")));
        }
        text.push_str(match self.is_exact {
            true => "it selects exactly the matching rows\n",
            false => "it may select more, so the query is applied to each of these rows\n",
        });
        text
    }

    fn is_nothing(&self) -> bool {
        self.sql == "FALSE"
    }

    pub(super) fn all(clauses: impl Iterator<Item = Clause>) -> Clause {
        Clause::joined(clauses, " AND ", true)
    }

    pub(super) fn any(clauses: impl Iterator<Item = Clause>) -> Clause {
        Clause::joined(clauses, " OR ", false)
    }

    /// Joins clauses. One that equals `neutral` is left out; the opposite decides alone.
    fn joined(clauses: impl Iterator<Item = Clause>, operator: &str, neutral: bool) -> Clause {
        let mut whole = Clause::constant(neutral);
        let mut parts = Vec::new();
        for clause in clauses {
            let (same, opposite) = match neutral {
                true => (clause.is_everything(), clause.is_nothing()),
                false => (clause.is_nothing(), clause.is_everything()),
            };
            if opposite && clause.is_exact {
                return clause;
            }
            whole.is_exact &= clause.is_exact;
            if opposite {
                return Clause { is_exact: false, ..clause };
            }
            if !same {
                parts.push(clause.sql);
                whole.parameters.extend(clause.parameters);
            }
        }
        match parts.len() {
            0 => {}
            1 => whole.sql = parts.remove(0),
            _ => whole.sql = format!("({})", parts.join(operator)),
        }
        whole
    }

    pub(super) fn negated(self) -> Clause {
        let sql = match self.sql.as_str() {
            "TRUE" => "FALSE".to_owned(),
            "FALSE" => "TRUE".to_owned(),
            sql => format!("NOT ({sql})"),
        };
        Clause { sql, ..self }
    }

    /// With PostgreSQL's placeholders. `??` is an operator that is one question mark.
    pub(super) fn numbered(self) -> Clause {
        let mut sql = String::with_capacity(self.sql.len() + 2 * self.parameters.len());
        let (mut chars, mut number) = (self.sql.chars().peekable(), 0);
        while let Some(c) = chars.next() {
            if c != '?' || chars.next_if_eq(&'?').is_some() {
                sql.push(c);
            } else {
                number += 1;
                sql.push_str(&format!("${number}"));
            }
        }
        Clause { sql, ..self }
    }
}
