//! Reads a JSON body into canonical records. A body that starts with `[` is a list of records; anything else is a
//! sequence of records: one object, one per line, or objects spread over lines.
//!
//! In a list, a syntax error rejects the whole body, because the start of the next record can't be known. Between lines
//! it can, so a malformed line is one bad record; from the first malformed line on, each line is read separately. A
//! body in which no line can be read is a syntax error.

use crate::arrival::{BodyBudget, Defaults, ReadError, RecordFault, RejectedRecord, SyntaxError};
use crate::batch::Batch;
use crate::builder::RecordBuilder;
use crate::from_json::{Json, Key};
use crate::keys::Fingerprints;
use crate::limits::MAX_RECORD_BYTES;
use crate::scan::find_byte;

/// Reads a JSON body and appends its records to `out`. Returns the records that were rejected.
pub fn read_json(body: &[u8], defaults: &Defaults<'_>, out: &mut Batch) -> Result<Vec<RejectedRecord>, SyntaxError> {
    read_json_up_to(MAX_RECORD_BYTES, body, defaults, out)
}

/// Like [`read_json`] with another limit on the bytes of a record, for a store that reads back what it wrote: bytes,
/// extensions and floats of 32 bits take more room once they have been JSON.
pub fn read_json_up_to(
    most: usize,
    body: &[u8],
    defaults: &Defaults<'_>,
    out: &mut Batch,
) -> Result<Vec<RejectedRecord>, SyntaxError> {
    let before = out.len();
    let start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut builder = RecordBuilder::new(defaults);
    builder.most = most;
    let mut reader =
        Reader { body, json: Json::new(body), builder, scratch: Vec::new(), budget: BodyBudget::new(out), index: 0 };
    reader.json.move_to(start);
    let read = match reader.json.peek() {
        Some(b'[') => reader.list(out),
        _ => reader.sequence(out),
    };
    match read {
        Ok(()) => Ok(reader.budget.bad),
        Err(error) => {
            out.truncate(before);
            Err(error)
        }
    }
}

/// Reads one JSON value and appends it as MessagePack. Nothing is normalised except duplicate keys, of which the last
/// wins.
pub fn json_to_msgpack(text: &[u8], out: &mut Vec<u8>) -> Result<(), SyntaxError> {
    let before = out.len();
    let mut json = Json::new(text);
    let read = json.value(out, &mut Fingerprints::default(), 1).and_then(|()| match json.peek() {
        None => Ok(()),
        Some(_) => Err(ReadError::Syntax("expected nothing after the value")),
    });
    read.map_err(|stop| {
        out.truncate(before);
        SyntaxError::new(json.offset(), stop)
    })
}

struct Reader<'r> {
    body: &'r [u8],
    json: Json<'r>,
    builder: RecordBuilder<'r>,
    scratch: Vec<u8>,
    budget: BodyBudget,
    index: u32,
}

impl<'r> Reader<'r> {
    fn list(&mut self, out: &mut Batch) -> Result<(), SyntaxError> {
        self.list_items(out).map_err(|stop| SyntaxError::new(self.json.offset(), stop))
    }

    fn list_items(&mut self, out: &mut Batch) -> Result<(), ReadError> {
        self.json.expect(b'[', "expected `[`")?;
        if !self.json.closes_immediately(b']') {
            loop {
                self.record(out)?;
                self.budget.check(out)?;
                self.index += 1;
                if !self.json.another(b']', "expected `,` or `]` after a record")? {
                    break;
                }
            }
        }
        match self.json.peek() {
            None => Ok(()),
            Some(_) => Err(ReadError::Syntax("expected nothing after the list")),
        }
    }

    /// Reads records up to the first malformed one.
    fn sequence(&mut self, out: &mut Batch) -> Result<(), SyntaxError> {
        while self.json.peek().is_some() {
            let start = self.json.offset();
            if let Err(stop) = self.record(out).and_then(|()| self.ends_here()) {
                return self.lines(start, SyntaxError::new(self.json.offset(), stop), out);
            }
            self.check_budget(self.json.offset(), out)?;
            self.index += 1;
        }
        Ok(())
    }

    fn check_budget(&self, offset: usize, out: &Batch) -> Result<(), SyntaxError> {
        self.budget.check(out).map_err(|stop| SyntaxError::new(offset, stop))
    }

    /// Checks that only another object follows a record on the same line.
    fn ends_here(&mut self) -> Result<(), ReadError> {
        let end = self.json.offset();
        match self.json.peek() {
            None | Some(b'{') => Ok(()),
            Some(_) if self.body[end..self.json.offset()].contains(&b'\n') => Ok(()),
            Some(_) => Err(ReadError::Syntax("expected the end of the line after a record")),
        }
    }

    /// Reads each line separately, starting with one that is known to be malformed.
    fn lines(&mut self, start: usize, first: SyntaxError, out: &mut Batch) -> Result<(), SyntaxError> {
        let body = self.body;
        let mut readable = self.index > 0;
        let mut at = start;
        while at < body.len() {
            let end = find_byte(&body[at..], b'\n').map_or(body.len(), |len| at + len);
            let line = &body[at..end];
            if !line.trim_ascii().is_empty() {
                readable |= self.line(line, at, out);
                self.check_budget(at, out)?;
                self.index += 1;
            }
            at = end + 1;
        }
        if readable { Ok(()) } else { Err(first) }
    }

    /// Reads one line. Returns true if it was JSON.
    fn line(&mut self, line: &'r [u8], at: usize, out: &mut Batch) -> bool {
        let (records, bad) = (out.len(), self.budget.bad.len());
        self.body = line;
        self.json = Json::new(line);
        let read = self.record(out).and_then(|()| match self.json.peek() {
            None => Ok(()),
            Some(_) => Err(ReadError::Syntax("expected the end of the line after a record")),
        });
        let Err(stop) = read else { return true };
        out.truncate(records);
        self.budget.bad.truncate(bad);
        let error = SyntaxError::new(at + self.json.offset(), stop).to_string();
        self.budget.bad.push(RejectedRecord { index: self.index, error, bytes: line.to_vec() });
        false
    }

    /// Reads one record, into the batch or the list of bad ones.
    fn record(&mut self, out: &mut Batch) -> Result<(), ReadError> {
        let first = self.json.peek();
        let start = self.json.offset();
        let read = match first {
            Some(b'{') => self.object(out),
            Some(b'[') => Err(ReadError::Record(RecordFault::NotAMap)),
            _ => {
                self.scratch.clear();
                self.json.value(&mut self.scratch, &mut Fingerprints::default(), 1)?;
                Err(ReadError::Record(RecordFault::NotAMap))
            }
        };
        let Err(ReadError::Record(fault)) = read else { return read };
        self.json.move_to(start);
        self.json.skip_value()?;
        let bytes = self.body[start..self.json.offset()].to_vec();
        self.budget.bad.push(RejectedRecord { index: self.index, error: fault.reason().to_owned(), bytes });
        Ok(())
    }

    fn object(&mut self, out: &mut Batch) -> Result<(), ReadError> {
        self.builder.start();
        read_entries(&mut self.json, &mut self.builder, &mut self.scratch)?;
        self.builder.finish(out)
    }
}

/// Reads an object and adds its entries to a record. `scratch` is room for keys with escapes.
#[inline(always)]
pub(crate) fn read_entries(
    json: &mut Json<'_>,
    builder: &mut RecordBuilder<'_>,
    scratch: &mut Vec<u8>,
) -> Result<(), ReadError> {
    json.expect(b'{', RecordFault::NotAMap.reason())?;
    if json.closes_immediately(b'}') {
        return Ok(());
    }
    loop {
        match json.key(scratch)? {
            Key::Plain(key) => builder.entry(key, |out, fingerprints| json.value(out, fingerprints, 2))?,
            Key::Scratch => builder.entry(scratch, |out, fingerprints| json.value(out, fingerprints, 2))?,
        }
        if !json.another(b'}', "expected `,` or `}`")? {
            return Ok(());
        }
    }
}

#[cfg(test)]
#[path = "read_json_tests.rs"]
mod tests;
