//! Lines as records, and which lines of a block can match.
//!
//! The text of every matching line is known from the query (`Query::json_literals`) in most cases. It is searched for in
//! whole blocks with vector instructions, and only the lines in which it stands are parsed.

use std::ops::Range;

use memchr::{memchr, memmem, memrchr};
use regex::bytes::{Regex, RegexBuilder};
use weir_query::Query;
use weir_query::literals::NumberTest;
use weir_record::{Aliases, Batch, Defaults, Level, Record, read_json_up_to, time};

use crate::limits;

/// No text of a time is longer.
const MAX_TIME_BYTES: usize = 40;

/// Finds the lines of a block that can match.
pub enum Prefilter {
    /// All of them can.
    All,
    None,
    /// Those with this text, before a value that may pass.
    Text(Box<memmem::Finder<'static>>, Option<NumberTest>),
    /// Those with one of several texts, some of them in any case.
    Texts(Regex),
}

impl Prefilter {
    pub fn new(query: &Query) -> Prefilter {
        let Some(literals) = query.json_literals() else { return Prefilter::All };
        match &literals[..] {
            [] => Prefilter::None,
            [one] if !one.any_case => {
                Prefilter::Text(Box::new(memmem::Finder::new(&one.text).into_owned()), one.number)
            }
            several => {
                let alternatives: Vec<String> = several
                    .iter()
                    .map(|one| format!("(?{}:{})", if one.any_case { "i" } else { "" }, regex::escape(&one.text)))
                    .collect();
                // Too long to be compiled, perhaps: then every line is parsed.
                RegexBuilder::new(&alternatives.join("|")).build().map_or(Prefilter::All, Prefilter::Texts)
            }
        }
    }

    /// The lines of a block that can match, in order, without their ends. The block ends with a line.
    pub fn lines(&self, block: &[u8], lines: &mut Vec<Range<usize>>) {
        lines.clear();
        let mut at = 0;
        while at < block.len() {
            let found = match self {
                Prefilter::All => Some(at),
                Prefilter::None => None,
                Prefilter::Text(finder, number) => {
                    let text = finder.needle().len();
                    let mut found = finder.find_iter(&block[at..]).map(|found| at + found);
                    found.find(|found| number.is_none_or(|number| number.may_pass(&block[found + text..])))
                }
                Prefilter::Texts(regex) => regex.find_at(block, at).map(|found| found.start()),
            };
            let Some(found) = found else { return };
            let start = memrchr(b'\n', &block[at..found]).map_or(at, |end| at + end + 1);
            let end = memchr(b'\n', &block[found..]).map_or(block.len(), |end| found + end);
            lines.push(start..end);
            at = end + 1;
        }
    }
}

/// Makes records of lines, in one buffer.
pub struct Parser {
    aliases: Aliases,
    batch: Batch,
}

impl Default for Parser {
    fn default() -> Parser {
        Parser { aliases: Aliases::none(), batch: Batch::new() }
    }
}

impl Parser {
    /// The canonical record of a line. `None` if it isn't a record.
    pub fn record(&mut self, line: &[u8]) -> Option<&[u8]> {
        let defaults = Defaults {
            received_ns: 0,
            source: "",
            level: Level::Info,
            context: &[],
            aliases: &self.aliases,
            keeps_routes: true,
        };
        self.batch.clear();
        if line.first() != Some(&b'{') {
            return None;
        }
        let bad = read_json_up_to(limits::FILE_LINE_BYTES, line, &defaults, &mut self.batch).ok()?;
        (bad.is_empty() && self.batch.len() == 1).then(|| self.batch.get(0))
    }

    /// The time of a line, mostly without parsing it. `None` if it isn't a record.
    pub fn timestamp(&mut self, line: &[u8]) -> Option<i64> {
        match timestamp_text(line) {
            // Whatever begins like this is the sink's own, and a line that was cut off has no end.
            Some(text) if line.ends_with(b"}") => time::parse_rfc3339(text),
            _ => self.record(line).map(|record| Record::new(record).timestamp()),
        }
    }
}

/// The text of the time, which is the first entry of most lines.
pub fn timestamp_text(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(br#"{"timestamp":""#)?;
    let end = memchr(b'"', &rest[..rest.len().min(MAX_TIME_BYTES)])?;
    Some(&rest[..end])
}

/// Level and source of a line.
pub struct Head<'l> {
    /// The bytes of both.
    pub bytes: &'l [u8],
    pub level: &'l str,
    pub source: &'l str,
}

/// Level and source, which mostly follow the time. `None` if they don't, or must be parsed.
pub fn head(line: &[u8]) -> Option<Head<'_>> {
    let text = timestamp_text(line)?;
    let bytes = line[br#"{"timestamp":""#.len() + text.len()..].strip_prefix(br#"","level":""#)?;
    let end = memchr(b'"', bytes)?;
    let (level, rest) = bytes.split_at(end);
    let rest = rest.strip_prefix(br#"","source":""#)?;
    let end = memchr(b'"', rest)?;
    let source = rest[..end].iter().all(|byte| *byte != b'\\').then_some(&rest[..end])?;
    let bytes = &bytes[..bytes.len() - rest.len() + end];
    Some(Head { bytes, level: std::str::from_utf8(level).ok()?, source: std::str::from_utf8(source).ok()? })
}

/// The lines of a block, without their ends.
pub fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use weir_record::limits::MAX_RECORD_BYTES;
    use weir_record::{write, write_json};

    use super::*;
    use crate::testing::record;

    #[test]
    fn a_line_is_skipped_if_none_of_its_numbers_passes() {
        let block = b"{\"took\":1}\n{\"a\":{\"took\":3},\"took\":300}\n{\"took\":\"300\"}\n{\"took\":-2}\n{\"took\":";
        let query = Query::parse("took>250", None).expect("a query");
        let mut lines = Vec::new();
        Prefilter::new(&query).lines(block, &mut lines);
        let found: Vec<&[u8]> = lines.into_iter().map(|line| &block[line]).collect();
        assert_eq!(found, [&b"{\"a\":{\"took\":3},\"took\":300}"[..], b"{\"took\":\"300\"}", b"{\"took\":"]);
    }

    #[test]
    fn a_record_of_the_largest_size_is_read_back_whatever_it_consists_of() {
        let room = MAX_RECORD_BYTES - 1000;
        let extensions = |out: &mut Vec<u8>| {
            write::array_header(out, room as u32 / 3);
            (0..room / 3).for_each(|_| out.extend_from_slice(&[0xd4, 0x80, 0]));
        };
        let bytes = |out: &mut Vec<u8>| write::bin(out, &vec![0; room]);
        let floats = |out: &mut Vec<u8>| {
            write::array_header(out, room as u32 / 5);
            (0..room / 5).for_each(|_| out.extend_from_slice(&[0xca, 0x3d, 0xcc, 0xcc, 0xcd]));
        };
        let escaped = |out: &mut Vec<u8>| write::str(out, &"\u{1}".repeat(room));
        for write_value in [&extensions as &dyn Fn(&mut Vec<u8>), &bytes, &floats, &escaped] {
            // The value of `x`, an empty text, is the last byte.
            let mut large = record(&[("message", "mine"), ("x", "")], &[]);
            large.pop();
            write_value(&mut large);
            assert!(large.len() <= MAX_RECORD_BYTES);
            let mut line = Vec::new();
            write_json(Record::new(&large), &mut line);
            assert!(line.len() < limits::FILE_LINE_BYTES, "{} bytes", line.len());
            let mut parser = Parser::default();
            assert_eq!(parser.record(&line).map(|record| Record::new(record).message()), Some("mine"));
        }
    }
}
