//! Weir's side of a filter that holds records: stores the held records and gives
//! them to a new instance.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Bench, Kind, Maps, Outcome, read, read_output};
use crate::holding::{Emitter, HoldingFilter, process_batch};

/// A filter that holds records, and its held records.
#[derive(Debug, Default)]
pub struct Holds {
    /// The held records as MessagePack, by id.
    held: BTreeMap<u64, Vec<u8>>,
    next_id: u64,
}

impl<F: HoldingFilter> Kind<F> for Holds {
    fn make(options: &Json) -> Result<F, String> {
        crate::options::build(&options.to_string(), F::new)
    }

    fn give(&mut self, filter: &mut F, records: Vec<Vec<u8>>) -> Result<Vec<Outcome>, String> {
        let first = self.next_id;
        self.next_id += records.len() as u64;
        self.give_with_ids(filter, (first..).zip(records).collect())
    }
}

impl Holds {
    /// Passes records to the filter and applies its verdicts.
    fn give_with_ids<F: HoldingFilter>(
        &mut self,
        filter: &mut F,
        batch: Vec<(u64, Vec<u8>)>,
    ) -> Result<Vec<Outcome>, String> {
        let (ids, records): (Vec<u64>, Vec<Vec<u8>>) = batch.into_iter().unzip();
        let mut output = process_batch(filter, &records.concat(), &ids)?;
        let released = output.take_released();
        let (outcomes, others) = read_output(&records, output);
        let mut others = others.into_iter();
        for ((id, record), outcome) in ids.into_iter().zip(records).zip(&outcomes) {
            let held = match outcome {
                Outcome::Held(_) => Some(record),
                Outcome::HeldAnother { .. } => others.next(),
                _ => None,
            };
            match held {
                Some(bytes) => self.held.insert(id, bytes),
                None => self.held.remove(&id),
            };
        }
        self.release(released);
        Ok(outcomes)
    }

    fn release(&mut self, ids: Vec<u64>) {
        for id in ids {
            assert!(id < self.next_id, "the id {id} is released before any record has it");
            self.held.remove(&id);
        }
    }
}

impl<F: HoldingFilter> Bench<F, Holds> {
    /// Calls `tick`; returns the records it emits.
    pub fn tick(&mut self, closing: bool) -> Vec<Json> {
        let mut out = Emitter::default();
        self.filter.tick(closing, &mut out);
        let (records, released) = out.into_parts();
        self.kind.release(released);
        Maps { bytes: &records, at: 0 }.rest()
    }

    /// The held records, in order.
    pub fn held(&self) -> Vec<Json> {
        self.kind.held.values().map(|bytes| read(bytes)).collect()
    }

    /// The total size of the held records in bytes.
    pub fn held_bytes(&self) -> usize {
        self.kind.held.values().map(Vec::len).sum()
    }

    /// Discards the instance and gives the held records to a new one. Returns the
    /// records that then go on.
    ///
    /// # Panics
    /// Like [`Bench::run`].
    pub fn crash(&mut self) -> Vec<Json> {
        self.restart(self.options.clone()).unwrap_or_else(|error| panic!("the options were taken before: {error}"))
    }

    /// Like [`Bench::crash`], with other options.
    ///
    /// # Panics
    /// Like [`Bench::run`].
    pub fn restart(&mut self, options: Json) -> Result<Vec<Json>, String> {
        self.filter = Holds::make(&options)?;
        self.options = options;
        let held = self.kind.held.clone().into_iter().collect();
        let given = self.kind.give_with_ids(&mut self.filter, held);
        Ok(super::into_records(given.unwrap_or_else(|error| panic!("the filter failed: {error}"))))
    }

    /// Replaces the instance with one with other options, which restores its state.
    pub fn swap(&mut self, options: Json) -> Result<(), String> {
        let state = self.filter.save();
        let mut filter: F = Holds::make(&options)?;
        filter.restore(&state)?;
        self.filter = filter;
        self.options = options;
        Ok(())
    }
}
