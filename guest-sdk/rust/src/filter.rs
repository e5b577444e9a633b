//! The traits that a filter implements, and what they return.

use serde::de::DeserializeOwned;

use crate::edit::Edit;
use crate::new_record::NewRecord;
use crate::output::Output;
use crate::record::Record;

/// What a filter says of itself.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Its name, such as `redact`.
    pub name: &'static str,
    /// Its version: `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
    /// What it does, in a sentence.
    pub description: &'static str,
    /// The paths it reads; empty means all.
    pub reads: &'static [&'static str],
    /// The paths it may change; empty means all.
    pub writes: &'static [&'static str],
}

/// What becomes of a record.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on, with the edits that were made, or as it is without any.
    Keep,
    /// It ends here. Its sender is told that it was accepted.
    Drop,
    /// This record goes on in its place. Edits are ignored.
    Replace(NewRecord),
    /// These records go on in its place. Edits are ignored.
    Expand(Vec<NewRecord>),
    /// The filter can't decide, and says why. Weir treats the record as the
    /// filter's `on_error` says; the records around it are processed again.
    Fail(String),
}

/// A filter that decides record by record.
pub trait Filter: Sized + 'static {
    /// The options that an operator writes, `Default` when there are none. Put
    /// `#[serde(default, deny_unknown_fields)]` on it: a mistyped option is then
    /// refused by name.
    type Options: DeserializeOwned + Default;

    /// Says what the filter is.
    fn describe() -> Description;

    /// Makes the filter. An error keeps it from being used and is shown to the
    /// operator: name the option and what would be right, and every mistake at
    /// once, each on a line of its own; [`crate::Mistakes`] collects them.
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Decides about a record. `edit` is empty at the start; what it holds at
    /// the end goes with [`Verdict::Keep`].
    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict;
}

/// A filter that remembers something between batches. It has one instance,
/// which sees every record.
pub trait StatefulFilter: Filter {
    /// Called about once a second, and with `closing` once before Weir stops or
    /// the filter is taken out. The records go on to the filters after it.
    fn tick(&mut self, closing: bool) -> Vec<NewRecord>;

    /// The state, for the version that will replace this one.
    fn save(&self) -> Vec<u8>;

    /// Takes the state that the version before this one saved, before the first
    /// record. An error keeps this version from being used.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;
}

/// A filter that decides about a batch of bytes at once: for the few that need
/// the last of the speed. Every [`Filter`] is one.
pub trait BatchFilter: Sized + 'static {
    /// As [`Filter::Options`].
    type Options: DeserializeOwned + Default;

    /// As [`Filter::describe`].
    fn describe() -> Description;

    /// As [`Filter::new`].
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Decides about a batch of concatenated MessagePack maps: `output` gets one
    /// verdict for each, in order.
    fn process_batch(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String>;
}

impl<F: Filter> BatchFilter for F {
    type Options = <F as Filter>::Options;

    fn describe() -> Description {
        <F as Filter>::describe()
    }

    fn new(options: Self::Options) -> Result<Self, String> {
        <F as Filter>::new(options)
    }

    fn process_batch(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        let mut rest = batch;
        let mut edit = Edit::new();
        while !rest.is_empty() {
            let record = Record::next(&mut rest, batch)?;
            edit.clear();
            match self.process(&record, &mut edit) {
                Verdict::Keep => output.keep_edited(&record, &mut edit),
                Verdict::Drop => output.discard(),
                Verdict::Replace(new) => output.replace(new),
                Verdict::Expand(new) => output.expand(new)?,
                Verdict::Fail(reason) => return Err(reason),
            }
        }
        Ok(())
    }
}
