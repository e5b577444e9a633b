//! Saved state: a MessagePack array that starts with its format version.
//!
//! A filter writes it with [`encode`](crate::encode) and reads it with [`read`],
//! which refuses state of another filter or a later version.

use crate::value::Value;

/// Reads a state of this version. `parts` gets the items after the version and
/// returns `None` if they are not what the filter wrote.
pub fn read<'a, S>(
    bytes: &'a [u8],
    version: i64,
    parts: impl FnOnce(&mut dyn Iterator<Item = Value<'a>>) -> Option<S>,
) -> Result<S, String> {
    let array = Value::read(bytes).and_then(|(value, _)| value.as_array());
    let mut items = array.ok_or("the state is not a MessagePack array: it is not from this filter")?.iter();
    match items.next().and_then(|version| version.as_i64()) {
        Some(written) if written == version => {}
        Some(other) => return Err(format!("the state has version {other}, but this filter reads version {version}")),
        None => return Err("the state has no version: it is not from this filter".to_owned()),
    }
    parts(&mut items).ok_or_else(|| "the state is damaged".to_owned())
}

/// The bytes of an item that was written as bytes.
pub fn bytes(part: Value<'_>) -> Option<Vec<u8>> {
    match part {
        Value::Bin(bytes) => Some(bytes.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{self, Encode};

    #[test]
    fn state_is_read_only_by_the_version_that_wrote_it() {
        let mut state = Vec::new();
        encode::array_header(&mut state, 2);
        3_i64.encode(&mut state);
        encode::bin(&mut state, b"kept");
        let kept = |parts: &mut dyn Iterator<Item = Value<'_>>| bytes(parts.next()?);
        assert_eq!(read(&state, 3, kept), Ok(b"kept".to_vec()));
        assert!(read(&state, 2, kept).unwrap_err().contains("version 3"));
        assert_eq!(read(&state, 3, |parts| parts.nth(1)?.as_i64()), Err("the state is damaged".to_owned()));
        for foreign in [&b""[..], b"\x01", b"\x90", b"\x91\xa1x", b"\x92\x03"] {
            assert!(read(foreign, 3, kept).is_err(), "{foreign:x?}");
        }
    }
}
