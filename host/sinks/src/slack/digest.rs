//! Groups the records of a delivery for one message: repeated records become one group with a count.
//!
//! Records are repeats if level and source are equal and the messages differ only in ids and numbers: words of five or
//! more letters and digits with at least one digit count as equal (`order 83f1a0c2 failed` repeats `order 9be4d011
//! failed`, but `status 404` doesn't repeat `status 500`). The last one is shown.

use std::collections::HashMap;

use weir_record::{Level, Record};

/// Records that repeat each other.
pub(super) struct Group<'a> {
    pub level: Level,
    pub source: &'a str,
    pub count: usize,
    pub first_ns: i64,
    pub last_ns: i64,
    /// The last of them.
    pub last: Record<'a>,
}

/// The content of a message.
pub(super) struct Digest<'a> {
    /// In the order of their first records.
    pub groups: Vec<Group<'a>>,
    /// Number of groups that are only counted.
    pub other_groups: usize,
    /// Number of their records.
    pub other_records: usize,
    /// Number of records by level, the most severe first.
    pub levels: Vec<(Level, usize)>,
}

/// Minimum length of a word with a digit to count as a number.
const NUMBER_CHARS: usize = 5;

impl<'a> Digest<'a> {
    /// Shows at most `most` groups: the most severe ones first, then the most frequent.
    pub fn of(records: impl Iterator<Item = Record<'a>>, most: usize) -> Digest<'a> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        let mut known: HashMap<(Level, &'a str, String), usize> = HashMap::new();
        let mut counts = [0; Level::ALL.len()];
        for record in records {
            let head = record.head();
            counts[head.level as usize] += 1;
            let at = *known.entry((head.level, head.source, pattern(head.message))).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => {
                    group.count += 1;
                    (group.last, group.last_ns) = (record, head.timestamp);
                }
                None => groups.push(Group {
                    level: head.level,
                    source: head.source,
                    count: 1,
                    first_ns: head.timestamp,
                    last_ns: head.timestamp,
                    last: record,
                }),
            }
        }
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse((groups[*at].level, groups[*at].count)));
        let hidden = order.split_off(most.min(order.len()));
        let other_records = hidden.iter().map(|at| groups[*at].count).sum();
        order.sort_unstable();
        let mut shown: Vec<Option<Group<'a>>> = groups.into_iter().map(Some).collect();
        let groups = order.into_iter().filter_map(|at| shown[at].take()).collect();
        let levels =
            Level::ALL.into_iter().rev().zip(counts.into_iter().rev()).filter(|(_, count)| *count > 0).collect();
        Digest { groups, other_groups: hidden.len(), other_records, levels }
    }

    /// The total number of records.
    pub fn records(&self) -> usize {
        self.levels.iter().map(|(_, count)| count).sum()
    }
}

/// The message with `#` in place of its numbers.
fn pattern(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let is_inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let mut rest = message;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
        if end == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let word = &rest[..end];
        let is_number = word.len() >= NUMBER_CHARS && word.contains(|c: char| c.is_ascii_digit());
        out.push_str(if is_number { "#" } else { word });
        rest = &rest[end..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record_at;

    fn records(said: &[(&str, &str)]) -> Vec<Vec<u8>> {
        let record = |(n, (level, message)): (usize, &(&str, &str))| {
            record_at(n as i64, &[("level", *level), ("message", *message)], &[])
        };
        said.iter().enumerate().map(record).collect()
    }

    fn summary(said: &[(&str, &str)], most: usize) -> (Vec<(String, usize)>, usize, usize) {
        let bytes = records(said);
        let digest = Digest::of(bytes.iter().map(|bytes| Record::new(bytes)), most);
        assert_eq!(digest.records(), said.len());
        let shown = digest.groups.iter().map(|group| (group.last.message().to_string(), group.count)).collect();
        (shown, digest.other_groups, digest.other_records)
    }

    #[test]
    fn messages_that_differ_only_in_long_numbers_are_repeats_and_the_last_is_shown() {
        let said =
            [("ERROR", "order 83f1a0c2 failed"), ("ERROR", "order 9be4d011 failed"), ("ERROR", "order 12 failed")];
        let (shown, ..) = summary(&said, 10);
        assert_eq!(shown, [("order 9be4d011 failed".into(), 2), ("order 12 failed".into(), 1)]);
        for (one, other, same) in [
            ("status 404", "status 500", false),
            ("job 0f8fad5b-d9cb-469f-a165-70867728950e", "job 7c9e6679-7425-40de-944b-e07fc1f90ae7", true),
            ("after 30012ms", "after 12000ms", true),
            ("é12345é", "é54321é", true),
            ("timeout", "refused", false),
            ("", "x", false),
        ] {
            assert_eq!(pattern(one) == pattern(other), same, "{one} {other}");
        }
    }

    #[test]
    fn different_levels_are_not_repeats() {
        let (shown, ..) = summary(&[("ERROR", "x"), ("CRITICAL", "x"), ("ERROR", "x")], 10);
        assert_eq!(shown, [("x".into(), 2), ("x".into(), 1)]);
    }

    #[test]
    fn a_flood_shows_the_worst_and_most_frequent_in_order_and_counts_the_rest() {
        let said = [
            ("ERROR", "rare"),
            ("ERROR", "often"),
            ("WARNING", "mild"),
            ("WARNING", "mild"),
            ("ERROR", "often"),
            ("CRITICAL", "worst"),
        ];
        let (shown, groups, others) = summary(&said, 2);
        assert_eq!(shown, [("often".into(), 2), ("worst".into(), 1)]);
        assert_eq!((groups, others), (2, 3));
    }
}
