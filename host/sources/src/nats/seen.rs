//! The messages of a stream that are stored, as ranges of their sequence numbers.
//!
//! A server delivers a message again if it does not know that it was acknowledged: because the acknowledgement was lost, or
//! the server was killed before it had written it down. With this set, which is stored in the same frame as the records,
//! such a message is recognised.
//!
//! A router that is alone stores everything in order, and the set is one range. Where several share a consumer, or it
//! leaves subjects out, there is a range for each run of messages that this router got. Beyond a limit the oldest are
//! forgotten: a message from so long ago would be stored again, and none is ever lost.

use std::collections::BTreeMap;

use crate::limits::NATS_RANGES;

/// Sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// First and last of each range. They don't touch.
    ranges: BTreeMap<u64, u64>,
}

impl Seen {
    pub(super) fn contains(&self, number: u64) -> bool {
        self.ranges.range(..=number).next_back().is_some_and(|(_, last)| number <= *last)
    }

    pub(super) fn insert(&mut self, number: u64) {
        if self.contains(number) {
            return;
        }
        let (mut first, mut last) = (number, number);
        if let Some((before, end)) = self.ranges.range(..number).next_back()
            && end + 1 == number
        {
            first = *before;
        }
        if let Some(end) = number.checked_add(1).and_then(|after| self.ranges.remove(&after)) {
            last = end;
        }
        self.ranges.insert(first, last);
        if self.ranges.len() > NATS_RANGES {
            self.ranges.pop_first();
        }
    }

    /// Each range: its first and its last number, little-endian.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.ranges.iter().flat_map(|(first, last)| [*first, *last]).flat_map(u64::to_le_bytes).collect()
    }

    /// Reads what [`encode`](Seen::encode) wrote. Of anything else, what can be read.
    pub(super) fn decode(bytes: &[u8]) -> Seen {
        let (pairs, _) = bytes.as_chunks::<16>();
        let range = |pair: &[u8; 16]| {
            let (first, last) = pair.split_at(8);
            let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
            (number(first), number(last))
        };
        Seen { ranges: pairs.iter().map(range).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_a_set_of_numbers_whatever_their_order() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..50 {
            let (mut seen, mut due) = (Seen::default(), BTreeSet::new());
            for _ in 0..200 {
                let number = random.u64(..100);
                seen.insert(number);
                due.insert(number);
            }
            for number in 0..101 {
                assert_eq!(seen.contains(number), due.contains(&number), "{number}");
            }
            assert_eq!(Seen::decode(&seen.encode()), seen);
        }
    }

    #[test]
    fn what_touches_is_one_range_and_beyond_the_limit_the_oldest_are_forgotten() {
        let mut seen = Seen::default();
        [1, 2, 5, 4, 3, u64::MAX].into_iter().for_each(|number| seen.insert(number));
        assert_eq!(seen.ranges, BTreeMap::from([(1, 5), (u64::MAX, u64::MAX)]));
        let mut seen = Seen::default();
        (0..=NATS_RANGES as u64).for_each(|number| seen.insert(2 * number));
        assert!(!seen.contains(0) && seen.contains(2) && seen.contains(2 * NATS_RANGES as u64));
        assert!(seen.encode().len() <= crate::limits::MAX_POSITION_BYTES);
    }
}
