//! The verdicts about a batch, as the contract writes them.
//!
//! One verdict a record, in order; the maps that verdicts call for stand in
//! `records` in the same order. Each method here adds exactly one verdict and
//! exactly its maps, so the two can't come apart.

use crate::edit::Edit;
use crate::new_record::NewRecord;
use crate::record::Record;

const KEEP: u8 = 0;
const DROP: u8 = 1;
const PATCH: u8 = 2;
const REPLACE: u8 = 3;
const EXPAND: u8 = 4;

/// What becomes of a batch.
#[derive(Debug, Default)]
pub struct Output {
    verdicts: Vec<u8>,
    records: Vec<u8>,
}

impl Output {
    /// Nothing decided yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next record goes on as it is.
    #[inline]
    pub fn keep(&mut self) {
        self.verdicts.push(KEEP);
    }

    /// The next record goes on with these edits, if there are any.
    pub fn keep_edited(&mut self, record: &Record<'_>, edit: &mut Edit) {
        let changed = !edit.is_empty() && edit.write_patch(record, &mut self.records);
        self.verdicts.push(if changed { PATCH } else { KEEP });
    }

    /// The next record ends here.
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

    /// The same, but `write` decides: false, with nothing appended, keeps the
    /// record as it is.
    #[inline]
    pub fn patch_if<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>) -> Result<(), E> {
        let patched = write(&mut self.records)?;
        self.verdicts.push(if patched { PATCH } else { KEEP });
        Ok(())
    }

    /// A new record goes on in place of the next one.
    pub fn replace(&mut self, new: NewRecord) {
        self.verdicts.push(REPLACE);
        new.write(&mut self.records);
    }

    /// New records go on in place of the next one.
    pub fn expand(&mut self, new: Vec<NewRecord>) -> Result<(), String> {
        let count =
            u32::try_from(new.len()).map_err(|_| format!("{} records for one are more than 2^32", new.len()))?;
        self.verdicts.push(EXPAND);
        self.verdicts.extend_from_slice(&count.to_le_bytes());
        new.into_iter().for_each(|record| record.write(&mut self.records));
        Ok(())
    }

    /// The verdicts and the records, as they go to the host.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u8>) {
        (self.verdicts, self.records)
    }
}
