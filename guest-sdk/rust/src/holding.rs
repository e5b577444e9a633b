//! Filters that hold records until they can decide about them.
//!
//! Held records are in Weir's journal and survive a crash. A new instance is first
//! given all of them again, in order and in one or more batches: it processes them
//! as the first time and so reaches the same state.

use serde::de::DeserializeOwned;

use crate::edit::Edit;
use crate::filter::Description;
use crate::new_record::NewRecord;
use crate::output::Output;
use crate::record::Record;

/// What becomes of a record. Whatever it is, the records that were
/// [emitted](Emitter::emit) go on before it or in its place.
///
/// A record that was held before, and is given again, is released by any verdict
/// that does not hold it.
#[derive(Debug)]
pub enum HoldingVerdict {
    /// It goes on, with the edits that were made, or as it is without any.
    Keep,
    /// It ends here.
    Drop,
    /// It is held under its id until the filter releases that.
    Hold,
    /// This record is held under its id instead, and given again in its place.
    HoldAnother(NewRecord),
    /// The filter can't decide, and says why. Weir treats the record as the
    /// filter's `on_error` says; the records around it are processed again by a
    /// new instance, which is given what is held first.
    Fail(String),
}

/// A filter that holds records back: to join them, to decide about several at
/// once, to count them. It has one instance, which sees every record.
///
/// ```
/// use weir_guest::testing::{HoldingBench, json};
/// use weir_guest::{Description, Edit, Emitter, HoldingFilter, HoldingVerdict, NewRecord, Record};
///
/// /// Sends every second record on together with the one before it.
/// #[derive(Default)]
/// struct Pairs {
///     first: Option<(u64, String)>,
/// }
///
/// impl HoldingFilter for Pairs {
///     type Options = std::collections::HashMap<String, String>;
///
///     fn describe() -> Description {
///         Description { name: "pairs", version: "1.0.0", ..Description::default() }
///     }
///
///     fn new(_options: Self::Options) -> Result<Self, String> {
///         Ok(Pairs::default())
///     }
///
///     fn process(&mut self, record: &Record<'_>, id: u64, edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict {
///         let Some((first_id, first)) = self.first.take() else {
///             self.first = Some((id, record.message().to_owned()));
///             return HoldingVerdict::Hold;
///         };
///         edit.message(&format!("{first}, {}", record.message()));
///         out.release(first_id);
///         HoldingVerdict::Keep
///     }
///
///     fn tick(&mut self, closing: bool, out: &mut Emitter) {
///         if let Some((id, first)) = self.first.take_if(|_| closing) {
///             out.emit(NewRecord::new(Default::default(), "pairs", &first));
///             out.release(id);
///         }
///     }
///
///     fn save(&self) -> Vec<u8> {
///         match &self.first {
///             Some((id, first)) => [&id.to_be_bytes()[..], first.as_bytes()].concat(),
///             None => Vec::new(),
///         }
///     }
///
///     fn restore(&mut self, state: &[u8]) -> Result<(), String> {
///         self.first = state.split_first_chunk().map(|(id, first)| {
///             (u64::from_be_bytes(*id), String::from_utf8_lossy(first).into_owned())
///         });
///         Ok(())
///     }
/// }
///
/// weir_guest::export!(holding Pairs);
///
/// let mut bench = HoldingBench::<Pairs>::new(json!({})).unwrap();
/// bench.run_one(json!({ "message": "a" }));
/// bench.crash();
/// assert_eq!(bench.run_one(json!({ "message": "b" })).record()["message"], "a, b");
/// assert!(bench.held().is_empty());
/// ```
pub trait HoldingFilter: Sized + 'static {
    /// As [`Filter::Options`](crate::Filter::Options).
    type Options: DeserializeOwned + Default;

    /// Says what the filter is.
    fn describe() -> Description;

    /// As [`Filter::new`](crate::Filter::new).
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Decides about a record. Its id is a number that no other record of this
    /// filter has; later records have higher ones. `edit` is empty at the start;
    /// what it holds at the end goes with [`HoldingVerdict::Keep`].
    fn process(&mut self, record: &Record<'_>, id: u64, edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict;

    /// Called after the last record of each batch. Each of these records is held
    /// under the id of a record of this batch that `process` dropped. For what
    /// would otherwise be held anew with every record, as a count is.
    fn end_batch(&mut self) -> Vec<(u64, NewRecord)> {
        Vec::new()
    }

    /// Called about once a second, and with `closing` once before Weir stops or
    /// the filter is taken out: then it emits and releases all it can.
    fn tick(&mut self, closing: bool, out: &mut Emitter);

    /// The state, for the version that will replace this one, with the ids of
    /// what is held.
    fn save(&self) -> Vec<u8>;

    /// Takes the state that the version before this one saved, before the first
    /// record. An error keeps this version from being used.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;
}

/// What a filter emits of its own accord, and which held records it releases.
/// Weir stores both in one step.
#[derive(Debug, Default)]
pub struct Emitter {
    records: Vec<u8>,
    /// Records emitted since this was last looked at.
    count: u32,
    released: Vec<u64>,
}

impl Emitter {
    /// A record goes on, after those that were emitted before.
    pub fn emit(&mut self, record: NewRecord) {
        record.write(&mut self.records);
        self.count += 1;
    }

    /// The record that is held under this id is released: what was made of it was
    /// emitted, or nothing comes of it. An id that is not held is ignored.
    pub fn release(&mut self, id: u64) {
        self.released.push(id);
    }

    /// The records, one behind the other, and the ids.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<u64>) {
        (self.records, self.released)
    }

    /// How many records are in `records`. Natively only: a tick sends no count.
    fn take_count(&mut self) -> u32 {
        std::mem::take(&mut self.count)
    }
}

/// What was decided about one record.
enum Decided {
    Kept,
    Patched,
    /// It goes on behind what was emitted, and counts as one of that.
    Followed,
    Dropped,
    Held,
}

/// A record of the batch: what was decided, and the maps that go with it.
struct Step {
    decided: Decided,
    count: u32,
    /// Where its maps end.
    end: usize,
}

/// Decides about a batch of concatenated MessagePack maps.
pub(crate) fn process_batch<F: HoldingFilter>(filter: &mut F, batch: &[u8], ids: &[u64]) -> Result<Output, String> {
    let mut out = Emitter::default();
    let mut edit = Edit::new();
    let mut steps = Vec::with_capacity(ids.len());
    // What is held instead of records of this batch.
    let mut others = Vec::new();
    let mut rest = batch;
    for id in ids {
        let record = Record::next(&mut rest, batch)?;
        edit.clear();
        let verdict = filter.process(&record, *id, &mut edit, &mut out);
        let count = out.take_count();
        let (decided, count) = match verdict {
            HoldingVerdict::Keep if count == 0 => match !edit.is_empty() && edit.write_patch(&record, &mut out.records)
            {
                true => (Decided::Patched, 0),
                false => (Decided::Kept, 0),
            },
            HoldingVerdict::Keep => {
                edit.write_record(&record, &mut out.records);
                (Decided::Followed, count + 1)
            }
            HoldingVerdict::Drop => (Decided::Dropped, count),
            HoldingVerdict::Hold => (Decided::Held, count),
            HoldingVerdict::HoldAnother(other) => {
                others.push((*id, other));
                (Decided::Dropped, count)
            }
            HoldingVerdict::Fail(reason) => return Err(reason),
        };
        steps.push(Step { decided, count, end: out.records.len() });
    }
    if !rest.is_empty() {
        return Err(format!("the batch has more records than its {} ids", ids.len()));
    }
    others.extend(filter.end_batch());
    let (records, released) = out.into_parts();
    let mut output = write(ids, &steps, &records, others)?;
    output.release(released);
    Ok(output)
}

/// Writes the verdicts in the order of the batch.
fn write(ids: &[u64], steps: &[Step], records: &[u8], mut others: Vec<(u64, NewRecord)>) -> Result<Output, String> {
    others.sort_by_key(|(id, _)| *id);
    let mut others = others.into_iter().peekable();
    let mut output = Output::new();
    let mut start = 0;
    for (id, step) in ids.iter().zip(steps) {
        let maps = &records[start..step.end];
        start = step.end;
        match (&step.decided, step.count) {
            (Decided::Kept, _) => output.keep(),
            (Decided::Patched, _) => output.patch(|out| out.extend_from_slice(maps)),
            (Decided::Followed, count) => output.expand_written(count, maps),
            (Decided::Held, count) => output.hold(count, maps),
            (Decided::Dropped, count) => match (others.next_if(|(other, _)| other == id), count) {
                (Some((_, other)), count) => output.hold_another(other, count, maps),
                (None, 0) => output.discard(),
                (None, count) => output.expand_written(count, maps),
            },
        }
    }
    match others.next() {
        Some((id, _)) => Err(format!("a record is to be held under the id {id}, which no record that was dropped has")),
        None => Ok(output),
    }
}
