//! The entries of a stream that are stored, as ranges of their ids.
//!
//! An entry may be given to this router again after it was stored: because its acknowledgement was lost, or the server was
//! killed before it had written that down. With this set, which is stored in the same frame as the records, such an entry
//! is recognised.
//!
//! Ids are not consecutive numbers, so two ranges become one only if the stream has no entry between them, which the server
//! is asked for: an entry between them that another consumer got could still be taken over. A router that is alone stores
//! everything in order, and the set is one range. Beyond a limit the oldest ranges are forgotten: an entry from so long ago
//! would be stored again, and none is ever lost.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::limits::REDIS_RANGES;

/// The id of an entry: milliseconds, and a number among those of the same millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub u64, pub u64);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Id, Self::Err> {
        let (ms, number) = text.split_once('-').unwrap_or((text, "0"));
        Ok(Id(ms.parse()?, number.parse()?))
    }
}

/// Ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// First and last of each range. They don't overlap.
    ranges: BTreeMap<Id, Id>,
}

impl Seen {
    pub fn contains(&self, id: Id) -> bool {
        self.ranges.range(..=id).next_back().is_some_and(|(_, last)| id <= *last)
    }

    pub fn first(&self) -> Option<Id> {
        self.ranges.first_key_value().map(|(first, _)| *first)
    }

    pub fn last(&self) -> Option<Id> {
        self.ranges.last_key_value().map(|(_, last)| *last)
    }

    /// Adds all ids from the first to the last. What they overlap becomes one range with them.
    pub fn insert(&mut self, first: Id, last: Id) {
        let (mut first, mut last) = (first, last);
        while let Some((start, end)) = self.ranges.range(..=last).next_back().map(|(start, end)| (*start, *end)) {
            if end < first {
                break;
            }
            self.ranges.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.ranges.insert(first, last);
    }

    /// What lies between these ids and the ranges before and after theirs: the last id of one range and the first of the
    /// next.
    pub fn gaps(&self, ids: impl Iterator<Item = Id>) -> Vec<(Id, Id)> {
        let mut gaps = Vec::new();
        for id in ids {
            let Some((first, last)) = self.ranges.range(..=id).next_back() else { continue };
            gaps.extend(self.ranges.range(..first).next_back().map(|(_, before)| (*before, *first)));
            gaps.extend(self.ranges.range(id..).find(|(after, _)| *after > last).map(|(after, _)| (*last, *after)));
        }
        gaps.sort_unstable();
        gaps.dedup();
        gaps
    }

    /// Forgets what is beyond the limit.
    pub fn limit(&mut self) {
        while self.ranges.len() > REDIS_RANGES {
            self.ranges.pop_first();
        }
    }

    /// Forgets the ids after this one: the server has lost these entries, and may give their ids to others.
    pub fn forget_after(&mut self, id: Id) {
        let ranges = std::mem::take(&mut self.ranges);
        self.ranges = ranges.into_iter().filter(|(first, _)| *first <= id).map(|(f, l)| (f, l.min(id))).collect();
    }

    /// Each range: its first and its last id, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let numbers = self.ranges.iter().flat_map(|(first, last)| [first.0, first.1, last.0, last.1]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    /// Reads what [`encode`](Seen::encode) wrote. Of anything else, what can be read.
    pub fn decode(bytes: &[u8]) -> Seen {
        let (numbers, _) = bytes.as_chunks::<8>();
        let (ranges, _) = numbers.as_chunks::<4>();
        let range = |numbers: &[[u8; 8]; 4]| {
            let [a, b, c, d] = numbers.map(u64::from_le_bytes);
            (Id(a, b), Id(c, d))
        };
        Seen { ranges: ranges.iter().map(range).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seen(ranges: &[(u64, u64)]) -> Seen {
        Seen { ranges: ranges.iter().map(|(first, last)| (Id(0, *first), Id(0, *last))).collect() }
    }

    #[test]
    fn it_is_a_set_of_ids_whatever_their_order() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100 {
            let (mut seen, mut due) = (Seen::default(), BTreeSet::new());
            for _ in 0..60 {
                let first = random.u64(..100);
                let last = first + random.u64(..5);
                seen.insert(Id(0, first), Id(0, last));
                due.extend(first..=last);
                // As for a stream in which some ids are not used.
                if random.bool() {
                    let gaps = seen.gaps([Id(0, first)].into_iter());
                    gaps.iter().filter(|gap| gap.0.1 + 1 == gap.1.1).for_each(|gap| seen.insert(gap.0, gap.1));
                }
            }
            for number in 0..110 {
                assert_eq!(seen.contains(Id(0, number)), due.contains(&number), "{number}");
            }
            assert_eq!(Seen::decode(&seen.encode()), seen);
        }
    }

    #[test]
    fn gaps_are_those_beside_the_ranges_of_the_ids() {
        let seen = seen(&[(1, 2), (5, 5), (7, 9), (20, 21)]);
        let gap = |from, to| (Id(0, from), Id(0, to));
        assert_eq!(seen.gaps([Id(0, 5)].into_iter()), [gap(2, 5), gap(5, 7)]);
        assert_eq!(seen.gaps([Id(0, 8), Id(0, 20)].into_iter()), [gap(5, 7), gap(9, 20)]);
        assert_eq!(Seen::default().gaps([Id(0, 5)].into_iter()), []);
    }

    #[test]
    fn what_the_server_has_lost_is_forgotten_and_what_is_beyond_the_limit() {
        let mut some = seen(&[(1, 2), (5, 9), (12, 12)]);
        some.forget_after(Id(0, 7));
        assert_eq!(some, seen(&[(1, 2), (5, 7)]));
        let mut many = Seen::default();
        (0..=REDIS_RANGES as u64).for_each(|number| many.insert(Id(number, 0), Id(number, 0)));
        many.limit();
        assert_eq!((many.first(), many.last()), (Some(Id(1, 0)), Some(Id(REDIS_RANGES as u64, 0))));
        assert!(many.encode().len() <= crate::limits::MAX_POSITION_BYTES);
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        assert_eq!("1526919030474-55".parse(), Ok(Id(1_526_919_030_474, 55)));
        assert_eq!("7".parse(), Ok(Id(7, 0)));
        assert_eq!(Id(7, 1).to_string(), "7-1");
        assert!("".parse::<Id>().is_err() && "a-1".parse::<Id>().is_err());
    }
}
