//! Parses CSV (RFC 4180) as spreadsheets write it: the text of a lookup table.
//!
//! Used once, when the filter is configured; `table` builds a table from the rows. Cells are separated by commas, rows
//! by `\n` or `\r\n`. A cell in double quotes may contain commas and line breaks, and a doubled quote for a quote.
//! Nothing is trimmed except a leading byte order mark; empty lines are skipped.
//!
//! Written by hand, because the crates `csv` and `csv-core` accept any text: a missing quote would silently turn the rest
//! of a table into one cell. It makes the module 10 KB larger, `csv` 20 KB and `csv-core` 3 KB.
//!
//! Invariant: every row has at least one cell, and text without a syntax error is read to its end.

use thiserror::Error;

/// A CSV syntax error.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CsvError {
    #[error("line {line}: a quoted cell has no closing quote")]
    Unclosed { line: usize },
    #[error("line {line}: text after the closing quote of a cell; double a quote inside a quoted cell")]
    AfterQuote { line: usize },
    #[error("line {line}: a quote inside an unquoted cell; put the whole cell in quotes")]
    StrayQuote { line: usize },
}

/// A row and the number of its first line, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub line: usize,
    pub cells: Vec<String>,
}

/// An iterator over the rows of a CSV text.
pub struct Rows<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Rows<'a> {
    pub fn new(text: &'a str) -> Self {
        Rows { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 }
    }

    /// Reads the next row. The remaining text must not be empty.
    fn row(&mut self) -> Result<Row, CsvError> {
        let line = self.line;
        let mut cells = Vec::new();
        loop {
            let cell = match self.rest.strip_prefix('"') {
                Some(inside) => self.quoted(inside)?,
                None => self.plain()?,
            };
            cells.push(cell);
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else {
                self.skip_line_end();
                return Ok(Row { line, cells });
            }
        }
    }

    /// Reads a quoted cell; `inside` is the text after the opening quote.
    fn quoted(&mut self, inside: &'a str) -> Result<String, CsvError> {
        let begins = self.line;
        let mut cell = String::new();
        let mut rest = inside;
        loop {
            let end = rest.find('"').ok_or(CsvError::Unclosed { line: begins })?;
            let (text, after) = rest.split_at(end);
            cell.push_str(text);
            self.line += text.matches('\n').count();
            rest = &after[1..];
            match rest.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    rest = more;
                }
                None => break,
            }
        }
        if !(rest.is_empty() || rest.starts_with(',') || begins_with_line_end(rest)) {
            return Err(CsvError::AfterQuote { line: self.line });
        }
        self.rest = rest;
        Ok(cell)
    }

    /// Reads an unquoted cell: up to the next comma or line end.
    fn plain(&mut self) -> Result<String, CsvError> {
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        // The carriage return of a CRLF is part of the line end, also at the end of the text.
        let (cell, rest) = match text.strip_suffix('\r') {
            Some(cell) if !rest.starts_with(',') => (cell, &self.rest[end - 1..]),
            _ => (text, rest),
        };
        if cell.contains('"') {
            return Err(CsvError::StrayQuote { line: self.line });
        }
        self.rest = rest;
        Ok(cell.to_owned())
    }

    fn skip_line_end(&mut self) {
        let rest = self.rest.strip_prefix('\r').unwrap_or(self.rest);
        self.rest = rest.strip_prefix('\n').unwrap_or(rest);
        self.line += 1;
    }
}

/// A carriage return ends a line only before a line feed or the end of the text.
fn begins_with_line_end(text: &str) -> bool {
    text.starts_with('\n') || text.starts_with("\r\n") || text == "\r"
}

impl Iterator for Rows<'_> {
    type Item = Result<Row, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        while begins_with_line_end(self.rest) {
            self.skip_line_end();
        }
        if self.rest.is_empty() {
            return None;
        }
        let row = self.row();
        if row.is_err() {
            self.rest = "";
        }
        Some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(text: &str) -> Vec<Vec<String>> {
        Rows::new(text).map(|row| row.expect("the text is valid").cells).collect()
    }

    fn error(text: &str) -> CsvError {
        Rows::new(text).find_map(Result::err).expect("the text is not valid")
    }

    #[test]
    fn line_ends_of_both_kinds_end_rows_and_empty_lines_are_left_out() {
        let expected = vec![vec!["a", "b"], vec!["1", ""], vec!["2", "3"]];
        for text in ["a,b\n1,\n2,3", "a,b\r\n1,\r\n\r\n2,3\r\n", "\u{feff}\na,b\n\n1,\n2,3\r"] {
            assert_eq!(cells(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_quoted_cell_holds_commas_quotes_line_ends_and_text_of_any_script() {
        assert_eq!(
            cells("\"a,\"\"b\"\"\",\"x\r\ny\"\n\"\",Zürich 東京\n"),
            vec![vec!["a,\"b\"", "x\r\ny"], vec!["", "Zürich 東京"]]
        );
    }

    #[test]
    fn nothing_is_trimmed_inside_a_cell() {
        assert_eq!(cells(" a , b\rc ,d\n"), vec![vec![" a ", " b\rc ", "d"]]);
    }

    #[test]
    fn rows_know_their_line_also_after_a_cell_of_several_lines() {
        let lines: Vec<usize> =
            Rows::new("a\n\"b\nc\"\r\n\r\nd").map(|row| row.expect("the text is valid").line).collect();
        assert_eq!(lines, [1, 2, 5]);
    }

    #[test]
    fn errors_name_the_line_and_end_the_reading() {
        assert_eq!(error("a\n\"b\nc"), CsvError::Unclosed { line: 2 });
        assert_eq!(error("a\n\"b\nc\"d"), CsvError::AfterQuote { line: 3 });
        assert_eq!(error("a\n\nb\"c"), CsvError::StrayQuote { line: 3 });
        assert_eq!(Rows::new("a\"\nb\nc").count(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_with_quotes_is_read_back(
            table in prop::collection::vec(prop::collection::vec(".{0,12}|[,\"\r\n]{0,4}", 1..5), 0..6)
        ) {
            let text: String = table
                .iter()
                .map(|row| {
                    let quoted: Vec<String> = row
                        .iter()
                        .map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")))
                        .collect();
                    quoted.join(",") + "\r\n"
                })
                .collect();
            prop_assert_eq!(cells(&text), table);
        }

        #[test]
        fn any_text_is_read_to_an_end(text in "[a,\"\r\n\\x{feff}é]{0,40}") {
            for row in Rows::new(&text).flatten() {
                prop_assert!(!row.cells.is_empty());
            }
        }
    }
}
