//! The bytes that are hashed for the decision.

use weir_guest::{Path, Record, encode};

/// Writes the values at some paths into `key`; absent and null are equal. Returns
/// false if all of them are absent.
pub fn write_key(paths: &[Path], record: &Record<'_>, key: &mut Vec<u8>) -> bool {
    key.clear();
    let mut any = false;
    for path in paths {
        match record.at(path).filter(|value| !value.is_nil()) {
            Some(value) => {
                any = true;
                weir_guest::Encode::encode(&value, key);
            }
            None => encode::nil(key),
        }
    }
    any
}
