//! New records that a filter creates.

use crate::edit::Edit;
use crate::encode::{self, Encode};
use crate::level::Level;
use crate::record::{Path, Record};

/// A record that replaces another, or that a tick emits.
#[derive(Debug)]
pub struct NewRecord {
    /// The map that is changed.
    base: Vec<u8>,
    edit: Edit,
}

impl NewRecord {
    /// Creates a record with the current time.
    pub fn new(level: Level, source: &str, message: &str) -> Self {
        let mut edit = Edit::new();
        edit.timestamp(crate::host::now());
        edit.level(level);
        edit.source(source);
        edit.message(message);
        NewRecord { base: vec![0x80], edit }
    }

    /// Copies a record, to change it.
    pub fn copy(record: &Record<'_>) -> Self {
        NewRecord { base: record.as_bytes().to_vec(), edit: Edit::new() }
    }

    /// Sets the timestamp, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(mut self, ns: i64) -> Self {
        self.edit.timestamp(ns);
        self
    }

    /// Sets the value at a dotted path, as [`Edit::set`] does.
    pub fn set(mut self, path: &str, value: impl Encode) -> Self {
        self.edit.set(path, value);
        self
    }

    /// Like [`NewRecord::set`], for a parsed path.
    pub fn set_at(mut self, path: &Path, value: impl Encode) -> Self {
        self.edit.set_at(path, value);
        self
    }

    /// Removes the value at a dotted path.
    pub fn remove(mut self, path: &str) -> Self {
        self.edit.remove(path);
        self
    }

    /// Adds a label that sinks can select by.
    pub fn route(mut self, label: &str) -> Self {
        self.edit.route(label);
        self
    }

    /// All changes that can be made to a record.
    pub fn edit(&mut self) -> &mut Edit {
        &mut self.edit
    }

    /// Appends it as MessagePack.
    pub fn write(mut self, out: &mut Vec<u8>) {
        if self.edit.is_empty() {
            // An unchanged copy of a record.
            encode::append(out, &self.base);
            return;
        }
        match Record::read(&self.base) {
            Some((record, _)) => self.edit.write_record(&record, out),
            None => out.push(0x80),
        }
    }
}
