//! Selects the records that a sink takes, by routes and minimum level.
//!
//! Applied between the journal and [`deliver`](crate::sink::Sink::deliver). Reads only the parts of a record that the
//! options need, and nothing without options. A record that was erased from the journal is an empty map in its place,
//! which no sink takes.

use weir_record::{Batch, Level, Record};

use crate::sink::Indexes;

/// What a sink takes. By default, everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A record is taken if it carries any of these labels. `None` takes records with and without labels; an empty list
    /// takes nothing.
    pub routes: Option<Vec<String>>,
    /// A record below this level is not taken.
    pub min_level: Option<Level>,
}

impl Selection {
    /// True if the sink takes the record.
    pub fn takes(&self, record: Record<'_>) -> bool {
        if is_erased(record) {
            return false;
        }
        if self.min_level.is_some_and(|least| record.level() < least) {
            return false;
        }
        match &self.routes {
            None => true,
            Some(routes) => record.routes().any(|label| routes.iter().any(|route| route == label)),
        }
    }

    /// The records of a batch that the sink takes.
    pub fn of(&self, batch: &Batch) -> Indexes {
        let takes_all = self.routes.is_none() && self.min_level.is_none_or(|least| least == Level::Trace);
        if takes_all && !batch.iter().any(is_erased) {
            return Indexes::All;
        }
        let Some(refused) = batch.iter().position(|record| !self.takes(record)) else {
            return Indexes::All;
        };
        let rest = (refused + 1..batch.len()).filter(|index| self.takes(batch.record(*index)));
        // A frame is bounded by the journal's payload bound, far below 2^32 records.
        Indexes::These((0..refused).chain(rest).map(|index| index as u32).collect())
    }
}

/// What is left of a record in its frame once it is erased: its place.
pub const ERASED: &[u8] = &[0xde, 0, 0];

fn is_erased(record: Record<'_>) -> bool {
    record.as_bytes().len() == ERASED.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn batch() -> Batch {
        let mut batch = Batch::new();
        batch.push(&record(&[("level", "DEBUG")], &[]));
        batch.push(&record(&[("level", "ERROR")], &["audit", "billing"]));
        batch.push(&record(&[("level", "WARNING")], &["billing"]));
        batch
    }

    fn selection(routes: Option<&[&str]>, min_level: Option<Level>) -> Selection {
        Selection { routes: routes.map(|routes| routes.iter().map(|r| r.to_string()).collect()), min_level }
    }

    #[test]
    fn a_sink_without_options_takes_everything() {
        assert_eq!(selection(None, None).of(&batch()), Indexes::All);
    }

    #[test]
    fn a_sink_with_routes_takes_records_that_carry_any_of_them() {
        assert_eq!(selection(Some(&["audit"]), None).of(&batch()), Indexes::These(vec![1]));
        assert_eq!(selection(Some(&["audit", "billing"]), None).of(&batch()), Indexes::These(vec![1, 2]));
        assert_eq!(selection(Some(&["other"]), None).of(&batch()), Indexes::These(vec![]));
        assert_eq!(selection(Some(&[]), None).of(&batch()), Indexes::These(vec![]));
    }

    #[test]
    fn nobody_takes_an_erased_record() {
        let mut batch = batch();
        batch.push(ERASED);
        batch.push(&record(&[("level", "ERROR")], &["audit"]));
        assert_eq!(selection(None, None).of(&batch), Indexes::These(vec![0, 1, 2, 4]));
        assert_eq!(selection(None, Some(Level::Error)).of(&batch), Indexes::These(vec![1, 4]));
        assert_eq!(selection(Some(&["audit"]), None).of(&batch), Indexes::These(vec![1, 4]));
    }

    #[test]
    fn records_from_the_minimum_level_on_are_taken() {
        assert_eq!(selection(None, Some(Level::Warning)).of(&batch()), Indexes::These(vec![1, 2]));
        assert_eq!(selection(Some(&["billing"]), Some(Level::Error)).of(&batch()), Indexes::These(vec![1]));
        for least in [Level::Trace, Level::Debug] {
            assert_eq!(selection(None, Some(least)).of(&batch()), Indexes::All);
        }
    }
}
