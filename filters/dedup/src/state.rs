//! The state that one version of the filter hands to the next.
//!
//! It is one MessagePack array: the format version, the paths of the key fields
//! as strings, the windows, and the counts that no tick has emitted yet. A window
//! is a list of its opening time, first time, last time, repeated, key, carried
//! values, and the id under which its summary is held, or null. A count is a list
//! of the record and such an id.
//!
//! Reading validates everything and never panics, because another version of the
//! filter may have written the state.

use weir_guest::encode::{self, Encode};
use weir_guest::state::{self, bytes};
use weir_guest::{Path, Value};

use crate::Count;
use crate::shape::Tally;
use crate::windows::{Window, Windows};

const VERSION: i64 = 2;

/// The decoded state, with windows in the order in which they opened.
#[derive(Debug)]
pub struct State {
    pub fields: Vec<Path>,
    pub windows: Vec<(Vec<u8>, Window)>,
    pub left: Vec<Count>,
}

/// Encodes the state.
pub fn write(fields: &[Path], windows: &Windows, left: &[Count]) -> Vec<u8> {
    // One allocation instead of doubling: it may be a large part of the memory.
    let left_bytes: usize = left.iter().map(|count| count.record.len()).sum();
    let mut out = Vec::with_capacity(windows.held_bytes() + left_bytes + 1024);
    encode::array_header(&mut out, 4);
    VERSION.encode(&mut out);
    let fields: Vec<String> = fields.iter().map(Path::to_string).collect();
    fields.encode(&mut out);
    let open: Vec<(&[u8], &Window)> = windows.iter().filter_map(|(key, window)| Some((key, window?))).collect();
    encode::array_header(&mut out, open.len());
    for (key, window) in open {
        encode::array_header(&mut out, 7);
        window.opened_ns.encode(&mut out);
        window.tally.first_ns.encode(&mut out);
        window.tally.last_ns.encode(&mut out);
        window.tally.repeated.encode(&mut out);
        encode::bin(&mut out, key);
        encode::bin(&mut out, &window.carried);
        window.summary.encode(&mut out);
    }
    encode::array_header(&mut out, left.len());
    for count in left {
        encode::array_header(&mut out, 2);
        encode::bin(&mut out, &count.record);
        count.summary.encode(&mut out);
    }
    out
}

/// Decodes a state written by `write`.
pub fn read(saved: &[u8]) -> Result<State, String> {
    state::read(saved, VERSION, |parts| {
        let fields = parts.next()?.as_array()?;
        let windows = parts.next()?.as_array()?;
        let left = parts.next()?.as_array()?;
        Some(State {
            fields: fields.iter().map(|path| path.as_str().map(Path::parse)).collect::<Option<_>>()?,
            windows: windows.iter().map(window).collect::<Option<_>>()?,
            left: left.iter().map(count).collect::<Option<_>>()?,
        })
    })
}

fn window(value: Value<'_>) -> Option<(Vec<u8>, Window)> {
    let mut parts = value.as_array()?.iter();
    let opened_ns = parts.next()?.as_i64()?;
    let tally = Tally {
        first_ns: parts.next()?.as_i64()?,
        last_ns: parts.next()?.as_i64()?,
        repeated: parts.next()?.as_u64()?,
    };
    let key = bytes(parts.next()?)?;
    let carried = bytes(parts.next()?)?.into_boxed_slice();
    let summary = id(parts.next()?)?;
    Some((key, Window { carried, summary, ..Window::open(opened_ns, tally) }))
}

fn count(value: Value<'_>) -> Option<Count> {
    let mut parts = value.as_array()?.iter();
    Some(Count { record: bytes(parts.next()?)?, summary: id(parts.next()?)? })
}

/// An id or null.
fn id(value: Value<'_>) -> Option<Option<u64>> {
    if value.is_nil() { Some(None) } else { value.as_u64().map(Some) }
}
