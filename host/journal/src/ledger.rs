//! The part of an append about records that a filter holds back: which ones are held from now on, and which earlier
//! ones are released. It is stored in the same frame as the batch, after it, so that both are durable together or not
//! at all. Readers never see it.
//!
//! A held record is opaque bytes with a token, which the caller chooses and never reuses. The journal keeps all held
//! records in memory ([`Held`]), recovers them when it is opened, and copies them into a new frame before their segment
//! is removed.
//!
//! # Format
//! At the end of the payload of a frame with the flag [`FRAME_LEDGER`](crate::frame::FRAME_LEDGER):
//!
//! | bytes | what |
//! |---|---|
//! | 4 | number of releases |
//! | 4 | number of holds |
//! | 8 each | the tokens released |
//! | 12 + length each | holds: token, length in 4 bytes, bytes |
//! | 4 | length of all of the above |

use crate::format::{u32_at, u64_at};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Bytes of a ledger without its entries.
const FIXED_BYTES: usize = 12;
/// Bytes of one hold without the record.
const HOLD_BYTES: usize = 12;

/// A record that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Unique number; later holds have higher ones.
    pub token: u64,
    /// The held record.
    pub payload: Bytes,
}

/// The records that one append holds and releases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Held from now on. If a token is already held, this payload replaces the old one.
    pub holds: Vec<Hold>,
    /// No longer held. Unknown tokens are ignored.
    pub releases: Vec<u64>,
}

impl Ledger {
    /// True if nothing is held or released.
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.releases.is_empty()
    }

    /// Bytes that the ledger adds to a frame.
    pub fn size_bytes(&self) -> usize {
        let holds: usize = self.holds.iter().map(|hold| HOLD_BYTES + hold.payload.len()).sum();
        FIXED_BYTES + 8 * self.releases.len() + holds
    }

    /// Writes the ledger after a payload. The caller has checked that both fit into a frame.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let size_bytes = self.size_bytes();
        out.reserve(size_bytes);
        let count = |length: usize| (length as u32).to_le_bytes();
        out.extend_from_slice(&count(self.releases.len()));
        out.extend_from_slice(&count(self.holds.len()));
        for token in &self.releases {
            out.extend_from_slice(&token.to_le_bytes());
        }
        for hold in &self.holds {
            out.extend_from_slice(&hold.token.to_le_bytes());
            out.extend_from_slice(&count(hold.payload.len()));
            out.extend_from_slice(&hold.payload);
        }
        out.extend_from_slice(&count(size_bytes - 4));
    }

    /// Separates a payload from the ledger after it.
    pub(crate) fn split(payload: &Bytes) -> Result<(Bytes, Bytes), &'static str> {
        const BAD: &str = "a frame's list of held records is longer than the frame";
        let end = payload.len().checked_sub(4).ok_or(BAD)?;
        let start = end.checked_sub(u32_at(payload, end) as usize).ok_or(BAD)?;
        Ok((payload.slice(..start), payload.slice(start..end)))
    }

    /// Reads the ledger that [`split`](Ledger::split) returned.
    pub(crate) fn read(bytes: &[u8]) -> Result<Ledger, &'static str> {
        const BAD: &str = "a frame's list of held records can't be read";
        let take = |at: &mut usize, length: usize| -> Result<usize, &'static str> {
            let start = *at;
            *at = start.checked_add(length).filter(|end| *end <= bytes.len()).ok_or(BAD)?;
            Ok(start)
        };
        let mut at = 0;
        let head = take(&mut at, 8)?;
        let (releases, holds) = (u32_at(bytes, head), u32_at(bytes, head + 4));
        let mut ledger = Ledger::default();
        for _ in 0..releases {
            ledger.releases.push(u64_at(bytes, take(&mut at, 8)?));
        }
        for _ in 0..holds {
            let head = take(&mut at, HOLD_BYTES)?;
            let length = u32_at(bytes, head + 8) as usize;
            let start = take(&mut at, length)?;
            let payload = Bytes::copy_from_slice(&bytes[start..start + length]);
            ledger.holds.push(Hold { token: u64_at(bytes, head), payload });
        }
        if at == bytes.len() { Ok(ledger) } else { Err(BAD) }
    }
}

/// A held record, and the frame that contains it.
#[derive(Debug, Clone)]
struct Place {
    sequence: u64,
    payload: Bytes,
}

/// The held and durable records, by token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    places: BTreeMap<u64, Place>,
    highest: u64,
}

impl Held {
    /// Applies the ledger of the frame with this sequence.
    pub(crate) fn apply(&mut self, sequence: u64, ledger: Ledger) {
        for token in &ledger.releases {
            self.places.remove(token);
        }
        for Hold { token, payload } in ledger.holds {
            self.highest = self.highest.max(token);
            self.places.insert(token, Place { sequence, payload });
        }
    }

    pub(crate) fn all(&self) -> Vec<Hold> {
        self.matching(|_| true)
    }

    /// The records held in frames up to this one.
    pub(crate) fn up_to(&self, sequence: u64) -> Vec<Hold> {
        self.matching(|place| place.sequence <= sequence)
    }

    fn matching(&self, wanted: impl Fn(&Place) -> bool) -> Vec<Hold> {
        let matching = self.places.iter().filter(|(_, place)| wanted(place));
        matching.map(|(token, place)| Hold { token: *token, payload: place.payload.clone() }).collect()
    }

    /// The highest token held since the journal was opened, or found in it.
    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let hold = |token, text: &'static str| Hold { token, payload: Bytes::from_static(text.as_bytes()) };
        Ledger { holds: vec![hold(7, "seven"), hold(9, "")], releases: vec![3, u64::MAX] }
    }

    #[test]
    fn a_ledger_is_read_back_from_the_end_of_its_payload() {
        for body in ["", "the batch"] {
            let mut payload = body.as_bytes().to_vec();
            ledger().write(&mut payload);
            assert_eq!(payload.len(), body.len() + ledger().size_bytes());
            let (found, rest) = Ledger::split(&payload.into()).expect("it was written so");
            assert_eq!(found, body);
            assert_eq!(Ledger::read(&rest), Ok(ledger()));
        }
    }

    #[test]
    fn a_truncated_or_too_long_ledger_is_an_error_not_a_panic() {
        let mut payload = Vec::new();
        ledger().write(&mut payload);
        let (_, whole) = Ledger::split(&payload.into()).expect("it was written so");
        for length in 0..whole.len() {
            assert!(Ledger::read(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(Ledger::read(&[&whole[..], &[0]].concat()).is_err());
        assert!(Ledger::split(&Bytes::from_static(&[1, 2, 3])).is_err());
        assert!(Ledger::split(&Bytes::from_static(&[255, 255, 0, 0])).is_err());
    }

    #[test]
    fn a_record_is_held_until_it_is_released() {
        let mut held = Held::default();
        held.apply(1, ledger());
        held.apply(2, Ledger { releases: vec![7, 100], ..Ledger::default() });
        assert_eq!(held.all().iter().map(|hold| hold.token).collect::<Vec<_>>(), [9]);
        assert_eq!(held.up_to(0), []);
        // The same record in a later frame no longer keeps the earlier frame.
        held.apply(5, Ledger { holds: held.up_to(1), ..Ledger::default() });
        assert_eq!(held.up_to(4), []);
        assert_eq!((held.up_to(5).len(), held.highest()), (1, 9));
    }
}
