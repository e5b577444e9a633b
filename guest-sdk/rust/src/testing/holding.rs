//! A bench for filters that hold records, with Weir's side of the holding: what
//! is held, and giving it to a new instance.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde_json::Value as Json;

use super::{Fakes, Maps, Outcome, complete, read_output, to_json};
use crate::encode::Encode;
use crate::fake;
use crate::holding::{Emitter, HoldingFilter, process_batch};
use crate::value::Value;

/// A filter that holds records, under test.
#[derive(Debug)]
pub struct HoldingBench<F> {
    filter: F,
    options: Json,
    /// What is held, as MessagePack, by id.
    held: BTreeMap<u64, Vec<u8>>,
    next_id: u64,
    fakes: Fakes,
}

impl<F> Deref for HoldingBench<F> {
    type Target = Fakes;

    fn deref(&self) -> &Fakes {
        &self.fakes
    }
}

impl<F: HoldingFilter> HoldingBench<F> {
    /// Makes a filter with these options, written as the operator's TOML would
    /// be in JSON.
    pub fn new(options: Json) -> Result<Self, String> {
        fake::reset();
        let filter = instance(&options)?;
        Ok(HoldingBench { filter, options, held: BTreeMap::new(), next_id: 0, fakes: Fakes(()) })
    }

    /// Gives it one batch.
    ///
    /// # Panics
    /// If the filter fails the batch or breaks the contract.
    pub fn run(&mut self, records: impl IntoIterator<Item = Json>) -> Vec<Outcome> {
        self.try_run(records).unwrap_or_else(|error| panic!("the filter failed: {error}"))
    }

    /// Gives it one record.
    ///
    /// # Panics
    /// As [`HoldingBench::run`].
    pub fn run_one(&mut self, record: Json) -> Outcome {
        let mut outcomes = self.run([record]);
        outcomes.remove(0)
    }

    /// Gives it one batch; an error is the filter's own. Weir would start a new
    /// instance then, as [`HoldingBench::crash`] does.
    ///
    /// # Panics
    /// If the filter breaks the contract.
    pub fn try_run(&mut self, records: impl IntoIterator<Item = Json>) -> Result<Vec<Outcome>, String> {
        let mut batch = Vec::new();
        for record in records.into_iter().map(complete) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            batch.push((self.next_id, bytes));
            self.next_id += 1;
        }
        self.give(batch)
    }

    /// Calls `tick`; returns the records it emits.
    pub fn tick(&mut self, closing: bool) -> Vec<Json> {
        let mut out = Emitter::default();
        self.filter.tick(closing, &mut out);
        let (records, released) = out.into_parts();
        self.release(released);
        Maps { bytes: &records, at: 0 }.rest()
    }

    /// What is held, in order.
    pub fn held(&self) -> Vec<Json> {
        self.held.values().map(|bytes| read(bytes)).collect()
    }

    /// The bytes of all that is held.
    pub fn held_bytes(&self) -> usize {
        self.held.values().map(Vec::len).sum()
    }

    /// Throws the instance away and gives what is held to a new one. Returns the
    /// records that go on at that.
    ///
    /// # Panics
    /// As [`HoldingBench::run`].
    pub fn crash(&mut self) -> Vec<Json> {
        self.restart(self.options.clone()).unwrap_or_else(|error| panic!("the options were taken before: {error}"))
    }

    /// The same with other options.
    ///
    /// # Panics
    /// As [`HoldingBench::run`].
    pub fn restart(&mut self, options: Json) -> Result<Vec<Json>, String> {
        self.filter = instance(&options)?;
        self.options = options;
        let held = self.held.clone().into_iter().collect();
        let outcomes = self.give(held).unwrap_or_else(|error| panic!("the filter failed: {error}"));
        Ok(outcomes.into_iter().flat_map(Outcome::into_records).collect())
    }

    /// Swaps the instance for one with other options, which takes its state.
    pub fn swap(&mut self, options: Json) -> Result<(), String> {
        let state = self.filter.save();
        let mut filter: F = instance(&options)?;
        filter.restore(&state)?;
        self.filter = filter;
        self.options = options;
        Ok(())
    }

    /// The filter itself.
    pub fn filter(&mut self) -> &mut F {
        &mut self.filter
    }

    /// Gives records to the filter and does what it says of them.
    fn give(&mut self, batch: Vec<(u64, Vec<u8>)>) -> Result<Vec<Outcome>, String> {
        let ids: Vec<u64> = batch.iter().map(|(id, _)| *id).collect();
        let bytes: Vec<u8> = batch.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let mut output = process_batch(&mut self.filter, &bytes, &ids)?;
        let released = output.take_released();
        let (outcomes, others) = read_output(batch.iter().map(|(_, bytes)| read(bytes)).collect(), output);
        let mut others = others.into_iter();
        for ((id, bytes), outcome) in batch.into_iter().zip(&outcomes) {
            let held = match outcome {
                Outcome::Held(_) => Some(bytes),
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

fn instance<F: HoldingFilter>(options: &Json) -> Result<F, String> {
    crate::options::build(&options.to_string(), F::new)
}

fn read(record: &[u8]) -> Json {
    Value::read(record, 0).map(|(record, _)| to_json(record)).unwrap_or_default()
}
