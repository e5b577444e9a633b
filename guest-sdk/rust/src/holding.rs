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

/// What happens to a record. In any case, [emitted](Emitter::emit) records go on
/// before it or in its place.
///
/// A held record that is given again is released by any verdict that does not
/// hold it.
#[derive(Debug)]
pub enum HoldingVerdict {
    /// It goes on, with the edits if there are any.
    Keep,
    /// It is dropped.
    Drop,
    /// It is held under its id until the filter releases it.
    Hold,
    /// This record is held under its id instead, and is the one that is given
    /// again.
    HoldAnother(NewRecord),
    /// The filter failed, for this reason. Weir treats the record as the filter's
    /// `on_error` says; the records around it are processed again by a new
    /// instance, which is first given the held records.
    Fail(String),
}

/// A filter that holds records: to join them, to decide about several at once, or
/// to count them. It has one instance, which sees every record.
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
    /// See [`Filter::Options`](crate::Filter::Options).
    type Options: DeserializeOwned + Default;

    /// Describes the filter.
    fn describe() -> Description;

    /// See [`Filter::new`](crate::Filter::new).
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Decides what happens to a record. Its id is unique among the records of
    /// this filter; later records have higher ones. `edit` is empty at the start;
    /// its changes are applied with [`HoldingVerdict::Keep`].
    fn process(&mut self, record: &Record<'_>, id: u64, edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict;

    /// Called after the last record of each batch. Each returned record is held
    /// under the id of a record of this batch that `process` dropped. Use it for
    /// something that every record would otherwise hold anew, such as a count.
    fn end_batch(&mut self) -> Vec<(u64, NewRecord)> {
        Vec::new()
    }

    /// Called about once a second, and a last time, with `closing`, before Weir
    /// stops or the filter is removed: it should then emit and release
    /// everything.
    fn tick(&mut self, closing: bool, out: &mut Emitter);

    /// Returns the state for the next version of the filter, with the ids of held
    /// records.
    fn save(&self) -> Vec<u8>;

    /// Called before the first record with the state that the previous version
    /// saved. An error means that this version is not used.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;
}

/// Collects the records that a filter emits and the held records that it
/// releases. Weir stores both atomically.
#[derive(Debug, Default)]
pub struct Emitter {
    records: Vec<u8>,
    /// Number of records emitted since the last check.
    count: u32,
    released: Vec<u64>,
}

impl Emitter {
    /// Sends a record on, after those emitted before.
    pub fn emit(&mut self, record: NewRecord) {
        record.write(&mut self.records);
        self.count += 1;
    }

    /// Releases the record held under this id, because its result was emitted or
    /// it is not needed. An unknown id is ignored.
    pub fn release(&mut self, id: u64) {
        self.released.push(id);
    }

    /// The concatenated records, and the ids.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Vec<u64>) {
        (self.records, self.released)
    }

    /// Number of records in `records`. Natively only: a tick passes no count.
    fn take_count(&mut self) -> u32 {
        std::mem::take(&mut self.count)
    }
}

/// The decision on one record.
enum Decided {
    Kept,
    Patched,
    /// It goes on after the emitted records, and counts as one of them.
    Followed,
    Dropped,
    Held,
}

/// A record of the batch: the decision, and its maps.
struct Step {
    decided: Decided,
    count: u32,
    /// The end offset of its maps.
    end: usize,
}

/// Processes a batch of concatenated MessagePack maps.
pub(crate) fn process_batch<F: HoldingFilter>(filter: &mut F, batch: &[u8], ids: &[u64]) -> Result<Output, String> {
    let mut out = Emitter::default();
    let mut edit = Edit::new();
    let mut steps = Vec::with_capacity(ids.len());
    // The records to hold instead of records of this batch.
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

/// Writes the verdicts in batch order.
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
        Some((id, _)) => Err(format!("a record is to be held under the id {id}, but no dropped record has that id")),
        None => Ok(output),
    }
}
