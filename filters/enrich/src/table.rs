//! Lookup tables: from a value of a record to the other cells of its row.
//!
//! Built from CSV at configuration, then only searched. All cells are stored in
//! one string, so that a table of many short cells does not consist mostly of
//! pointers.
//!
//! Invariants: every row has as many cells as there are columns; no two rows
//! have the same key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use thiserror::Error;

use crate::csv::{CsvError, Row, Rows};
use crate::limits::{MAX_TABLE_BYTES, MAX_TABLE_COLUMNS};

/// An error in a lookup table.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TableError {
    #[error("`csv`: {0}")]
    Csv(#[from] CsvError),
    #[error("`csv`: it has {0} bytes, more than the {MAX_TABLE_BYTES} allowed")]
    TooLarge(usize),
    #[error("`csv`: it is empty; its first line names the columns")]
    Empty,
    #[error("`csv`: it has {0} columns, more than the {MAX_TABLE_COLUMNS} allowed")]
    TooManyColumns(usize),
    #[error("`csv`: column {0} has no name in the first line")]
    NoName(usize),
    #[error("`csv`: two columns are called `{0}`")]
    SameName(String),
    #[error("`csv`: line {line} has {found} cells, but the first line has {expected}")]
    Ragged { line: usize, found: usize, expected: usize },
    #[error("`csv`: line {line}: `{key}` is already the key of an earlier line; keep one of them")]
    SameKey { line: usize, key: String },
    #[error("`{option}`: there is no column `{name}`; the columns are {known}")]
    NoColumn { option: &'static str, name: String, known: String },
    #[error("it adds nothing: the key is the only column")]
    NothingToAdd,
}

/// A lookup table.
#[derive(Debug)]
pub struct Table {
    /// The names of the columns that are added.
    columns: Vec<String>,
    /// Row numbers by key.
    rows: HashMap<Box<str>, usize>,
    /// The cells of those columns, row by row.
    text: String,
    /// The end offset of each cell in the text.
    ends: Vec<usize>,
}

impl Table {
    /// Reads a table. `key` is the column to search, by default the first one;
    /// `columns` are the columns to add, by default all others.
    pub fn read(csv: &str, key: Option<&str>, columns: Option<&[String]>) -> Result<Self, TableError> {
        if csv.len() > MAX_TABLE_BYTES {
            return Err(TableError::TooLarge(csv.len()));
        }
        let mut rows = Rows::new(csv);
        let names = rows.next().ok_or(TableError::Empty)??.cells;
        check_names(&names)?;
        let column = |option, name: &str| {
            names.iter().position(|known| known == name).ok_or_else(|| TableError::NoColumn {
                option,
                name: name.to_owned(),
                known: names.join(", "),
            })
        };
        let key = key.map_or(Ok(0), |name| column("key", name))?;
        let added: Vec<usize> = match columns {
            Some(columns) => columns.iter().map(|name| column("columns", name)).collect::<Result<_, _>>()?,
            None => (0..names.len()).filter(|index| *index != key).collect(),
        };
        if added.is_empty() {
            return Err(TableError::NothingToAdd);
        }
        let mut table = Table {
            columns: added.iter().map(|index| names[*index].clone()).collect(),
            rows: HashMap::new(),
            text: String::new(),
            ends: Vec::new(),
        };
        for row in rows {
            table.add(row?, names.len(), key, &added)?;
        }
        Ok(table)
    }

    fn add(&mut self, row: Row, expected: usize, key: usize, added: &[usize]) -> Result<(), TableError> {
        let Row { line, cells } = row;
        if cells.len() != expected {
            return Err(TableError::Ragged { line, found: cells.len(), expected });
        }
        let index = self.rows.len();
        match self.rows.entry(cells[key].as_str().into()) {
            Entry::Occupied(_) => {
                return Err(TableError::SameKey { line, key: cells[key].clone() });
            }
            Entry::Vacant(place) => place.insert(index),
        };
        for column in added {
            self.text.push_str(&cells[*column]);
            self.ends.push(self.text.len());
        }
        Ok(())
    }

    /// The names of the added columns, in the order of a row's cells.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Finds the row with this key.
    pub fn find(&self, key: &str) -> Option<usize> {
        self.rows.get(key).copied()
    }

    /// The cells of a row, one per column.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        let first = row * self.columns.len();
        (first..first + self.columns.len()).map(|cell| {
            let start = cell.checked_sub(1).map_or(0, |before| self.ends[before]);
            &self.text[start..self.ends[cell]]
        })
    }
}

fn check_names(names: &[String]) -> Result<(), TableError> {
    if names.len() > MAX_TABLE_COLUMNS {
        return Err(TableError::TooManyColumns(names.len()));
    }
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(TableError::NoName(index + 1));
        }
        if names[..index].contains(name) {
            return Err(TableError::SameName(name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: &str = "id,name,team\r\n7,\"Lovelace, Ada\",engines\r\n8,Zuse,\r\n";

    fn found(table: &Table, key: &str) -> Option<Vec<String>> {
        let row = table.find(key)?;
        Some(table.cells(row).map(str::to_owned).collect())
    }

    #[test]
    fn a_key_finds_the_other_cells_of_its_row_and_an_unknown_one_nothing() {
        let table = Table::read(PEOPLE, None, None).expect("a valid table");
        assert_eq!(table.columns(), ["name", "team"]);
        assert_eq!(found(&table, "7"), Some(vec!["Lovelace, Ada".into(), "engines".into()]));
        assert_eq!(found(&table, "8"), Some(vec!["Zuse".into(), String::new()]));
        assert_eq!(found(&table, "name"), None);
    }

    #[test]
    fn any_column_can_be_the_key_and_the_columns_can_be_chosen() {
        let columns = ["team".to_owned(), "id".to_owned()];
        let table = Table::read(PEOPLE, Some("name"), Some(&columns)).expect("a valid table");
        assert_eq!(found(&table, "Zuse"), Some(vec![String::new(), "8".into()]));
    }

    #[test]
    fn a_table_with_names_only_finds_nothing() {
        let table = Table::read("a,b\n", None, None).expect("a valid table");
        assert_eq!(found(&table, "a"), None);
    }

    #[test]
    fn what_is_no_table_is_refused_with_the_line_or_column() {
        let read = |csv: &str| Table::read(csv, None, None).map(|_| ()).expect_err(csv).to_string();
        assert_eq!(read(""), "`csv`: it is empty; its first line names the columns");
        assert_eq!(read("a,\n"), "`csv`: column 2 has no name in the first line");
        assert_eq!(read("a,a\n"), "`csv`: two columns are called `a`");
        assert_eq!(read("a,b\n1,2\n3\n"), "`csv`: line 3 has 1 cells, but the first line has 2");
        assert_eq!(
            read("a,b\n1,2\n1,3\n"),
            "`csv`: line 3: `1` is already the key of an earlier line; keep one of them"
        );
        assert_eq!(read("a\n1\n"), "it adds nothing: the key is the only column");
        assert!(read("a,b\n\"1,2\n").contains("line 2"), "{}", read("a,b\n\"1,2\n"));
    }

    #[test]
    fn a_column_that_is_not_there_is_refused_with_those_that_are() {
        let error = Table::read(PEOPLE, Some("mail"), None).map(|_| ()).expect_err("no such column");
        assert_eq!(error.to_string(), "`key`: there is no column `mail`; the columns are id, name, team");
    }

    #[test]
    fn tables_beyond_the_bounds_are_refused() {
        let wide = vec!["x"; MAX_TABLE_COLUMNS + 1].join(",");
        let error = Table::read(&wide, None, None).map(|_| ()).expect_err("too wide");
        assert_eq!(error, TableError::TooManyColumns(MAX_TABLE_COLUMNS + 1));
        let long = "a".repeat(MAX_TABLE_BYTES + 1);
        let error = Table::read(&long, None, None).map(|_| ()).expect_err("too long");
        assert_eq!(error, TableError::TooLarge(MAX_TABLE_BYTES + 1));
    }
}
