//! New records that a filter creates.

use crate::edit::Edit;
use crate::encode::{self, Encode};
use crate::level::Level;
use crate::record::{Path, Record};

/// A record that goes on in place of another, or that a tick emits.
#[derive(Debug)]
pub struct NewRecord {
    /// A map that the changes are made to.
    base: Vec<u8>,
    edit: Edit,
}

impl NewRecord {
    /// A record of now.
    pub fn new(level: Level, source: &str, message: &str) -> Self {
        let mut edit = Edit::new();
        edit.timestamp(crate::host::now());
        edit.level(level);
        edit.source(source);
        edit.message(message);
        NewRecord { base: vec![0x80], edit }
    }

    /// A copy of a record, to be changed.
    pub fn copy(record: &Record<'_>) -> Self {
        NewRecord { base: record.as_bytes().to_vec(), edit: Edit::new() }
    }

    /// Sets when it happened, in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(mut self, ns: i64) -> Self {
        self.edit.timestamp(ns);
        self
    }

    /// Sets the value at a dotted path, as [`Edit::set`] does.
    pub fn set(mut self, path: &str, value: impl Encode) -> Self {
        self.edit.set(path, value);
        self
    }

    /// The same as [`NewRecord::set`] for a path that was parsed before.
    pub fn set_at(mut self, path: &Path, value: impl Encode) -> Self {
        self.edit.set_at(path, value);
        self
    }

    /// Removes what stands at a dotted path.
    pub fn remove(mut self, path: &str) -> Self {
        self.edit.remove(path);
        self
    }

    /// Adds a label for sinks to select by.
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
            // A copy of a record, as it was.
            encode::append(out, &self.base);
            return;
        }
        match Record::read(&self.base) {
            Some((record, _)) => self.edit.write_record(&record, out),
            None => out.push(0x80),
        }
    }
}
