//! Deliveries with a key arrive once, however often they are sent.
//!
//! A sender that got no answer sends its request again, with the same key. The key is stored in the journal in the same
//! frame as the records, as a held record of no filter, so that either both are durable or neither is: a retry arrives
//! once, also after `kill -9`. It is released when its time is over. A key is stored with the digest of its body, so that
//! the same key with another body is refused and never taken for a repetition.
//!
//! While a delivery with a key is on its way, another one with the same key is told to come back later. What was not
//! stored is forgotten at once.
//!
//! Invariant: a delivery is answered as a repetition only if its records are durable.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use weir_ingest::{DeliveryKey, Receipt, RecordError, Refusal};
use weir_journal::{Hold, Journal};
use weir_record::time::now_ns;

use crate::limits;
use crate::wiring::lock;

/// In place of the length of a filter's name, which is always less.
const MARK: [u8; 2] = [0xff; 2];

/// Mark, key, digest, and the end of its time.
const FIXED_BYTES: usize = 2 + 16 + 16 + 8;

/// What was said of a record that was not stored as it was sent. The reason is not kept.
const BEFORE: &str = "this request was sent before; its first answer had the reason";

/// The keys of the last deliveries.
pub struct Repeats {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<[u8; 16], Known>,
    /// Those that are stored, oldest first: until when, key, and token in the journal.
    stored: VecDeque<(i64, [u8; 16], u64)>,
    /// Tokens of those that were forgotten before their time.
    forgotten: Vec<u64>,
}

struct Known {
    digest: [u8; 16],
    /// `None`: it is on its way.
    outcome: Option<Outcome>,
}

/// The positions of records that were not stored as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    quarantined: Vec<u32>,
    rejected: Vec<u32>,
}

/// What a delivery with a key is.
pub enum Admission {
    New(NewKey),
    /// It was stored before, with this outcome.
    Repeated(Receipt),
}

impl Repeats {
    /// The keys that the journal holds.
    pub fn open(journal: &Journal, window: Duration) -> Arc<Repeats> {
        let mut state = State::default();
        let mut found: Vec<(i64, DeliveryKey, Outcome, u64)> = journal
            .held()
            .into_iter()
            .filter_map(|hold| {
                let (key, until, outcome) = decode(&hold.payload)?;
                Some((until, key, outcome, hold.token))
            })
            .collect();
        found.sort_unstable_by_key(|(until, _, _, token)| (*until, *token));
        for (until, DeliveryKey { key, digest }, outcome, token) in found {
            state.known.insert(key, Known { digest, outcome: Some(outcome) });
            state.stored.push_back((until, key, token));
        }
        Arc::new(Repeats { window, state: Mutex::new(state) })
    }

    /// Decides what a delivery with this key is.
    ///
    /// # Errors
    /// The key was used with another body, or the same delivery is on its way.
    pub fn admit(self: &Arc<Repeats>, key: DeliveryKey) -> Result<Admission, Refusal> {
        let mut state = lock(&self.state);
        match state.known.get(&key.key) {
            Some(known) if known.digest != key.digest => {
                Err(Refusal::Conflict("this key was used for a request with another body; use a new one".to_owned()))
            }
            Some(Known { outcome: None, .. }) => {
                Err(Refusal::Busy("a request with the same key is being stored; retry shortly".to_owned()))
            }
            Some(Known { outcome: Some(outcome), .. }) => Ok(Admission::Repeated(outcome.receipt())),
            None => {
                state.known.insert(key.key, Known { digest: key.digest, outcome: None });
                Ok(Admission::New(NewKey { repeats: self.clone(), key, is_stored: false }))
            }
        }
    }

    /// The tokens of keys whose time is over. They are no longer known, and to be released in the journal.
    pub fn expired(&self, now: i64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let mut tokens = std::mem::take(&mut state.forgotten);
        while state.stored.front().is_some_and(|(until, _, _)| *until <= now) {
            tokens.extend(state.forget_oldest());
        }
        tokens
    }
}

impl State {
    fn forget_oldest(&mut self) -> Option<u64> {
        let (_, key, token) = self.stored.pop_front()?;
        self.known.remove(&key);
        Some(token)
    }
}

/// The key of a delivery on its way. If it is dropped before the delivery is stored, the key is forgotten.
pub struct NewKey {
    repeats: Arc<Repeats>,
    key: DeliveryKey,
    is_stored: bool,
}

impl NewKey {
    /// What the journal holds for it, with this token.
    pub fn hold(&self, token: u64, receipt: &Receipt) -> KeyHold {
        let positions = |errors: &[RecordError]| errors.iter().map(|error| error.index).collect();
        let outcome = Outcome { quarantined: positions(&receipt.quarantined), rejected: positions(&receipt.rejected) };
        let window = i64::try_from(self.repeats.window.as_nanos()).unwrap_or(i64::MAX);
        let until = now_ns().saturating_add(window);
        let hold = Hold { token, payload: encode(self.key, until, &outcome) };
        KeyHold { hold, until, outcome }
    }

    /// Remembers it, once the journal holds it durably.
    pub fn stored(mut self, held: KeyHold) {
        self.is_stored = true;
        let mut state = lock(&self.repeats.state);
        if state.stored.len() >= limits::MAX_REMEMBERED_KEYS {
            let token = state.forget_oldest();
            state.forgotten.extend(token);
        }
        if let Some(known) = state.known.get_mut(&self.key.key) {
            known.outcome = Some(held.outcome);
        }
        state.stored.push_back((held.until, self.key.key, held.hold.token));
    }
}

impl Drop for NewKey {
    fn drop(&mut self) {
        if !self.is_stored {
            lock(&self.repeats.state).known.remove(&self.key.key);
        }
    }
}

/// A key as the journal holds it.
pub struct KeyHold {
    pub hold: Hold,
    until: i64,
    outcome: Outcome,
}

impl Outcome {
    fn receipt(&self) -> Receipt {
        let errors = |positions: &[u32]| {
            positions.iter().map(|index| RecordError { index: *index, error: BEFORE.to_owned() }).collect()
        };
        Receipt { quarantined: errors(&self.quarantined), rejected: errors(&self.rejected) }
    }
}

/// Whether a held record of the journal is a key.
pub fn is_key(payload: &[u8]) -> bool {
    payload.starts_with(&MARK)
}

fn encode(DeliveryKey { key, digest }: DeliveryKey, until: i64, outcome: &Outcome) -> Bytes {
    let mut payload = Vec::with_capacity(FIXED_BYTES + 8);
    payload.extend_from_slice(&MARK);
    payload.extend_from_slice(&key);
    payload.extend_from_slice(&digest);
    payload.extend_from_slice(&until.to_le_bytes());
    for positions in [&outcome.quarantined, &outcome.rejected] {
        payload.extend_from_slice(&u32::try_from(positions.len()).unwrap_or(u32::MAX).to_le_bytes());
        positions.iter().for_each(|position| payload.extend_from_slice(&position.to_le_bytes()));
    }
    payload.into()
}

/// Reads a key; `None` if the held record is none.
fn decode(payload: &[u8]) -> Option<(DeliveryKey, i64, Outcome)> {
    let rest = payload.strip_prefix(&MARK)?;
    let (key, rest) = rest.split_first_chunk()?;
    let (digest, rest) = rest.split_first_chunk()?;
    let (until, mut rest) = rest.split_first_chunk()?;
    let mut positions = || {
        let (count, after) = rest.split_first_chunk()?;
        let (all, after) = after.split_at_checked(4 * u32::from_le_bytes(*count) as usize)?;
        rest = after;
        Some(all.as_chunks().0.iter().map(|position| u32::from_le_bytes(*position)).collect())
    };
    let outcome = Outcome { quarantined: positions()?, rejected: positions()? };
    Some((DeliveryKey { key: *key, digest: *digest }, i64::from_le_bytes(*until), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats() -> Arc<Repeats> {
        Arc::new(Repeats { window: Duration::from_secs(60), state: Mutex::default() })
    }

    fn key(key: u8, digest: u8) -> DeliveryKey {
        DeliveryKey { key: [key; 16], digest: [digest; 16] }
    }

    fn new(repeats: &Arc<Repeats>, key: DeliveryKey) -> NewKey {
        match repeats.admit(key) {
            Ok(Admission::New(new)) => new,
            _ => panic!("it is new"),
        }
    }

    fn store(repeats: &Arc<Repeats>, key: DeliveryKey, token: u64, receipt: &Receipt) {
        let new = new(repeats, key);
        let held = new.hold(token, receipt);
        new.stored(held);
    }

    #[test]
    fn a_stored_key_is_a_repetition_with_the_same_outcome_until_its_time_is_over() {
        let repeats = repeats();
        let error = |index| RecordError { index, error: "why".to_owned() };
        store(&repeats, key(1, 1), 7, &Receipt { quarantined: vec![error(3)], rejected: vec![error(5), error(9)] });
        let Ok(Admission::Repeated(receipt)) = repeats.admit(key(1, 1)) else { panic!("it was stored") };
        let positions = |errors: &[RecordError]| errors.iter().map(|error| error.index).collect::<Vec<_>>();
        assert_eq!((positions(&receipt.quarantined), positions(&receipt.rejected)), (vec![3], vec![5, 9]));
        assert!(matches!(repeats.admit(key(1, 2)), Err(Refusal::Conflict(_))));
        let _other = new(&repeats, key(2, 1));
        assert!(repeats.expired(now_ns()).is_empty());
        assert_eq!(repeats.expired(now_ns() + 61_000_000_000), [7]);
        let _again = new(&repeats, key(1, 2));
    }

    #[test]
    fn a_key_on_its_way_comes_back_later_and_is_forgotten_if_it_is_not_stored() {
        let repeats = repeats();
        let first = new(&repeats, key(1, 1));
        assert!(matches!(repeats.admit(key(1, 1)), Err(Refusal::Busy(_))));
        drop(first);
        drop(new(&repeats, key(1, 1)));
    }

    #[test]
    fn the_oldest_keys_are_forgotten_beyond_the_limit() {
        let repeats = repeats();
        for number in 0..=limits::MAX_REMEMBERED_KEYS as u128 {
            let key = DeliveryKey { key: number.to_le_bytes(), digest: [0; 16] };
            store(&repeats, key, number as u64, &Receipt::default());
        }
        let _forgotten = new(&repeats, DeliveryKey { key: [0; 16], digest: [0; 16] });
        assert_eq!(repeats.expired(now_ns()), [0]);
    }

    #[test]
    fn what_the_journal_holds_is_read_back_and_nothing_else_is() {
        let outcome = Outcome { quarantined: vec![1], rejected: vec![] };
        let payload = encode(key(1, 2), 99, &outcome);
        assert!(is_key(&payload));
        assert_eq!(decode(&payload), Some((key(1, 2), 99, outcome)));
        for length in 0..payload.len() {
            assert_eq!(decode(&payload[..length]), None, "{length}");
        }
        assert_eq!(decode(b"\x04\x00join{}"), None);
    }
}
