//! How far sources have read.
//!
//! A position is stored in the journal in the same frame as the records before it, as a held record of no filter. It keeps
//! its token for as long as it exists, so a later one takes its place. The journal copies it into a newer frame before it
//! removes the segment.
//!
//! Invariant: what is told to a source is durable, and so are the records before it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use weir_journal::{Hold, Journal, Ledger};
use weir_sources::Position;

use crate::wiring::lock;

/// In place of the length of a filter's name, which is always less. Keys of requests have another one.
const MARK: [u8; 2] = [0xfe, 0xff];

/// The positions of all sources.
#[derive(Default)]
pub struct Positions {
    known: Mutex<HashMap<Key, Known>>,
    /// The sources of each [`Advance`] that exists.
    advancing: Mutex<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: String,
    key: Vec<u8>,
}

struct Known {
    token: u64,
    /// `None`: none was stored yet.
    value: Option<Vec<u8>>,
}

/// Positions on their way into the journal, with the records before them.
pub struct Advance {
    positions: Arc<Positions>,
    source: String,
    advanced: Vec<Position>,
}

impl Positions {
    /// The positions that the journal holds.
    pub fn open(journal: &Journal) -> Arc<Positions> {
        let held = journal.held().into_iter();
        let known = held.filter_map(|Hold { token, payload }| {
            let (key, value) = decode(&payload)?;
            Some((key, Known { token, value: Some(value) }))
        });
        Arc::new(Positions { known: Mutex::new(known.collect()), advancing: Mutex::default() })
    }

    /// The positions of one source.
    pub fn of(&self, source: &str) -> Vec<Position> {
        let known = lock(&self.known);
        let own = known.iter().filter(|(key, known)| key.source == source && known.value.is_some());
        own.map(|(key, known)| Position { key: key.key.clone(), value: known.value.clone() }).collect()
    }

    /// The sources that have positions.
    pub fn sources(&self) -> Vec<String> {
        let mut sources: Vec<String> = lock(&self.known).keys().map(|key| key.source.clone()).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// Whether positions of this source are on their way.
    pub fn is_advancing(&self, source: &str) -> bool {
        lock(&self.advancing).iter().any(|advancing| advancing == source)
    }

    /// New positions of a source.
    pub fn advance(self: &Arc<Positions>, source: &str, advanced: Vec<Position>) -> Advance {
        lock(&self.advancing).push(source.to_owned());
        Advance { positions: self.clone(), source: source.to_owned(), advanced }
    }
}

impl Advance {
    /// Adds what the journal shall hold and release. `new_token` makes a token for what has none.
    pub fn add_to(&self, ledger: &mut Ledger, new_token: impl Fn() -> u64) {
        let mut known = lock(&self.positions.known);
        for Position { key, value } in &self.advanced {
            let key = Key { source: self.source.clone(), key: key.clone() };
            match value {
                Some(value) => {
                    let payload = encode(&key, value);
                    let known = known.entry(key).or_insert_with(|| Known { token: new_token(), value: None });
                    ledger.holds.push(Hold { token: known.token, payload });
                }
                None => ledger.releases.extend(known.get(&key).map(|known| known.token)),
            }
        }
    }

    /// Remembers them, once they are durable.
    pub fn stored(mut self) {
        let mut known = lock(&self.positions.known);
        for Position { key, value } in std::mem::take(&mut self.advanced) {
            let key = Key { source: self.source.clone(), key };
            match value {
                Some(value) => {
                    if let Some(known) = known.get_mut(&key) {
                        known.value = Some(value);
                    }
                }
                None => _ = known.remove(&key),
            }
        }
    }
}

impl Drop for Advance {
    fn drop(&mut self) {
        let mut advancing = lock(&self.positions.advancing);
        if let Some(at) = advancing.iter().position(|source| *source == self.source) {
            advancing.swap_remove(at);
        }
    }
}

/// Whether a held record of the journal is a position.
pub fn is_position(payload: &[u8]) -> bool {
    payload.starts_with(&MARK)
}

fn encode(Key { source, key }: &Key, value: &[u8]) -> Bytes {
    let mut payload = Vec::with_capacity(6 + source.len() + key.len() + value.len());
    payload.extend_from_slice(&MARK);
    for part in [source.as_bytes(), key] {
        // The name of a section has at most 64 characters, and sources make keys of a few dozen bytes.
        payload.extend_from_slice(&(part.len() as u16).to_le_bytes());
        payload.extend_from_slice(part);
    }
    payload.extend_from_slice(value);
    payload.into()
}

/// Reads a position; `None` if the held record is none.
fn decode(payload: &[u8]) -> Option<(Key, Vec<u8>)> {
    let mut rest = payload.strip_prefix(&MARK)?;
    let mut part = || {
        let (length, after) = rest.split_first_chunk()?;
        let (part, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        rest = after;
        Some(part.to_vec())
    };
    let (source, key) = (String::from_utf8(part()?).ok()?, part()?);
    Some((Key { source, key }, rest.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(key: &str, value: Option<&str>) -> Position {
        Position { key: key.into(), value: value.map(Into::into) }
    }

    fn ledger(advance: &Advance, token: u64) -> Ledger {
        let mut ledger = Ledger::default();
        advance.add_to(&mut ledger, || token);
        ledger
    }

    #[test]
    fn a_position_keeps_its_token_until_it_is_gone_and_is_known_once_it_is_stored() {
        let positions = Arc::new(Positions::default());
        let first = positions.advance("app", vec![position("a", Some("1"))]);
        assert_eq!(ledger(&first, 7).holds[0].token, 7);
        assert_eq!(positions.of("app"), [], "it is not stored yet");
        assert!(positions.is_advancing("app") && !positions.is_advancing("other"));
        first.stored();
        assert!(!positions.is_advancing("app"));
        assert_eq!(positions.of("app"), [position("a", Some("1"))]);
        assert_eq!((positions.of("other"), positions.sources()), (vec![], vec!["app".to_owned()]));
        let second = positions.advance("app", vec![position("a", Some("2")), position("unknown", None)]);
        let held = ledger(&second, 8);
        assert_eq!((held.holds[0].token, held.releases), (7, vec![]));
        second.stored();
        assert_eq!(positions.of("app"), [position("a", Some("2"))]);
        let gone = positions.advance("app", vec![position("a", None)]);
        assert_eq!(ledger(&gone, 9), Ledger { holds: vec![], releases: vec![7] });
        gone.stored();
        assert_eq!((positions.of("app"), positions.sources()), (vec![], vec![]));
    }

    #[test]
    fn what_the_journal_holds_is_read_back_and_nothing_else_is() {
        let key = Key { source: "app".into(), key: b"\xff\x00id".to_vec() };
        let payload = encode(&key, b"12");
        assert!(is_position(&payload) && !crate::repeats::is_key(&payload));
        assert_eq!(decode(&payload), Some((key, b"12".to_vec())));
        for length in 0..payload.len() - 2 {
            assert_eq!(decode(&payload[..length]), None, "{length}");
        }
        assert_eq!(decode(b"\x04\x00join{}"), None);
    }
}
