//! The verdicts on a batch, encoded as the contract requires.
//!
//! There is one verdict per record, in order; the maps that verdicts refer to are in
//! `records`, in the same order. Each method adds one verdict and exactly its maps,
//! so the two always match.

use crate::edit::Edit;
use crate::encode;
use crate::new_record::NewRecord;
use crate::record::Record;

const KEEP: u8 = 0;
const DROP: u8 = 1;
const PATCH: u8 = 2;
const REPLACE: u8 = 3;
const EXPAND: u8 = 4;
const HOLD: u8 = 5;
const HOLD_ANOTHER: u8 = 6;

/// What happens to a batch.
#[derive(Debug, Default)]
pub struct Output {
    verdicts: Vec<u8>,
    records: Vec<u8>,
    released: Vec<u64>,
}

impl Output {
    /// Creates an empty output.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next record goes on unchanged.
    #[inline]
    pub fn keep(&mut self) {
        self.verdicts.push(KEEP);
    }

    /// The next record goes on with these edits, if there are any.
    pub fn keep_edited(&mut self, record: &Record<'_>, edit: &mut Edit) {
        let changed = !edit.is_empty() && edit.write_patch(record, &mut self.records);
        self.verdicts.push(if changed { PATCH } else { KEEP });
    }

    /// The next record is dropped.
    #[inline]
    pub fn discard(&mut self) {
        self.verdicts.push(DROP);
    }

    /// A merge patch changes the next record: one MessagePack map, which `write`
    /// appends.
    #[inline]
    pub fn patch(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.verdicts.push(PATCH);
        write(&mut self.records);
    }

    /// Like [`Output::patch`], but `write` may return false, with nothing
    /// appended, to keep the record unchanged.
    #[inline]
    pub fn patch_if<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>) -> Result<(), E> {
        let patched = write(&mut self.records)?;
        self.verdicts.push(if patched { PATCH } else { KEEP });
        Ok(())
    }

    /// A new record replaces the next one.
    pub fn replace(&mut self, new: NewRecord) {
        self.verdicts.push(REPLACE);
        new.write(&mut self.records);
    }

    /// New records replace the next one.
    pub fn expand(&mut self, new: Vec<NewRecord>) -> Result<(), String> {
        let count =
            u32::try_from(new.len()).map_err(|_| format!("{} records for one are more than 2^32", new.len()))?;
        self.counted(EXPAND, count);
        new.into_iter().for_each(|record| record.write(&mut self.records));
        Ok(())
    }

    /// `count` maps replace the next record.
    pub(crate) fn expand_written(&mut self, count: u32, maps: &[u8]) {
        self.counted(EXPAND, count);
        encode::append(&mut self.records, maps);
    }

    /// The next record is held, and `count` maps go on in its place.
    pub(crate) fn hold(&mut self, count: u32, maps: &[u8]) {
        self.counted(HOLD, count);
        encode::append(&mut self.records, maps);
    }

    /// Another record is held under the id of the next one, and `count` maps go
    /// on in its place.
    pub(crate) fn hold_another(&mut self, other: NewRecord, count: u32, maps: &[u8]) {
        self.counted(HOLD_ANOTHER, count);
        other.write(&mut self.records);
        encode::append(&mut self.records, maps);
    }

    /// Releases the held records with these ids.
    pub(crate) fn release(&mut self, ids: Vec<u64>) {
        self.released = ids;
    }

    fn counted(&mut self, verdict: u8, count: u32) {
        self.verdicts.push(verdict);
        self.verdicts.extend_from_slice(&count.to_le_bytes());
    }

    /// The ids of released records.
    pub fn take_released(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.released)
    }

    /// The verdicts and the records, as they go to the host.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.verdicts, self.records)
    }
}
