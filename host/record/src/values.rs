//! Writes the values of entries that a [`Composer`](crate::Composer) adds.

use crate::arrival::{ReadError, RecordFault};
use crate::compose::ComposeError;
use crate::from_json::Json;
use crate::from_msgpack::{self, valid_text};
use crate::keys::{ARRAY, Fingerprints, KeySet, MAP, fingerprint, patch_header};
use crate::limits::MAX_DEPTH;
use crate::write;

/// The value of an entry that many records have: it is written once, and copied into each of them.
pub struct SharedValue(Vec<u8>);

impl SharedValue {
    /// Writes a value. `write` writes exactly one.
    ///
    /// # Errors
    /// That of `write`.
    pub fn new(write: impl FnOnce(ValueWriter<'_>) -> Result<(), ComposeError>) -> Result<SharedValue, ComposeError> {
        let (mut out, mut fingerprints) = (Vec::new(), Fingerprints::default());
        write(ValueWriter::of_entry(&mut out, &mut fingerprints))?;
        Ok(SharedValue(out))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The depth of an entry's value if it is a list or a map.
const ENTRY_DEPTH: usize = 2;

/// Writes one value. Dropped without a call, it leaves an invalid record.
#[must_use = "every entry and every item has a value"]
pub struct ValueWriter<'w> {
    out: &'w mut Vec<u8>,
    fingerprints: &'w mut Fingerprints,
    /// The depth of the value if it is a list or a map.
    depth: usize,
}

impl<'w> ValueWriter<'w> {
    pub(crate) fn of_entry(out: &'w mut Vec<u8>, fingerprints: &'w mut Fingerprints) -> ValueWriter<'w> {
        ValueWriter { out, fingerprints, depth: ENTRY_DEPTH }
    }

    /// Nil.
    pub fn nil(self) {
        write::nil(self.out);
    }

    /// A truth value.
    pub fn bool(self, value: bool) {
        write::bool(self.out, value);
    }

    /// An integer.
    pub fn int(self, value: i64) {
        write::int(self.out, value);
    }

    /// An integer without a sign.
    pub fn uint(self, value: u64) {
        write::uint(self.out, value);
    }

    /// A float.
    pub fn float(self, value: f64) {
        write::float(self.out, value);
    }

    /// Text; what is not UTF-8 becomes U+FFFD.
    pub fn text(self, text: &[u8]) {
        write::str_bytes(self.out, &valid_text(text));
    }

    /// Bytes.
    pub fn bytes(self, bytes: &[u8]) {
        write::bin(self.out, bytes);
    }

    /// The value that a JSON text has.
    ///
    /// # Errors
    /// The text is not exactly one value, or that is too deep.
    pub fn json(self, text: &[u8]) -> Result<(), ComposeError> {
        let mut json = Json::new(text);
        let read = json.value(self.out, self.fingerprints, self.depth).and_then(|()| match json.peek() {
            None => Ok(()),
            Some(_) => Err(ReadError::Syntax("expected nothing after the value")),
        });
        read.map_err(ComposeError)
    }

    /// The MessagePack value at the start of `bytes`. Returns its length.
    ///
    /// # Errors
    /// The bytes do not start with a complete value, or that is too deep.
    pub fn msgpack(self, bytes: &[u8]) -> Result<usize, ComposeError> {
        from_msgpack::copy(bytes, self.out, self.fingerprints, self.depth).map_err(ComposeError)
    }

    /// A list.
    ///
    /// # Errors
    /// That of `write`, or the list is too deep.
    pub fn list(
        mut self,
        write: impl FnOnce(&mut ListWriter<'_>) -> Result<(), ComposeError>,
    ) -> Result<(), ComposeError> {
        let header = self.begins(ARRAY[0])?;
        let mut list = ListWriter { out: self.out, fingerprints: self.fingerprints, depth: self.depth + 1, count: 0 };
        write(&mut list)?;
        let count = list.count;
        patch_header(self.out, header, count, ARRAY);
        Ok(())
    }

    /// A map. Of entries with the same key, the last stays.
    ///
    /// # Errors
    /// That of `write`, or the map is too deep.
    pub fn map(
        mut self,
        write: impl FnOnce(&mut MapWriter<'_>) -> Result<(), ComposeError>,
    ) -> Result<(), ComposeError> {
        let header = self.begins(MAP[0])?;
        let keys = KeySet::new(self.fingerprints);
        let mut map = MapWriter { out: self.out, fingerprints: self.fingerprints, depth: self.depth + 1, keys };
        write(&mut map)?;
        let keys = map.keys;
        let count = keys.finish(self.fingerprints, self.out, header + 1);
        patch_header(self.out, header, count, MAP);
        Ok(())
    }

    /// Reserves a header, and returns its place.
    fn begins(&mut self, marker: u8) -> Result<usize, ComposeError> {
        if self.depth > MAX_DEPTH {
            return Err(ComposeError(ReadError::Record(RecordFault::TooDeep)));
        }
        self.out.push(marker);
        Ok(self.out.len() - 1)
    }
}

/// Writes the items of a list.
pub struct ListWriter<'w> {
    out: &'w mut Vec<u8>,
    fingerprints: &'w mut Fingerprints,
    depth: usize,
    count: u32,
}

impl ListWriter<'_> {
    /// The next item.
    pub fn item(&mut self) -> ValueWriter<'_> {
        self.count += 1;
        ValueWriter { out: self.out, fingerprints: self.fingerprints, depth: self.depth }
    }
}

/// Writes the entries of a map.
pub struct MapWriter<'w> {
    out: &'w mut Vec<u8>,
    fingerprints: &'w mut Fingerprints,
    depth: usize,
    keys: KeySet,
}

impl MapWriter<'_> {
    /// The value of the next entry.
    pub fn entry(&mut self, key: &[u8]) -> ValueWriter<'_> {
        let key = valid_text(key);
        self.keys.add(fingerprint(&key), self.fingerprints);
        write::str_bytes(self.out, &key);
        ValueWriter { out: self.out, fingerprints: self.fingerprints, depth: self.depth }
    }
}
