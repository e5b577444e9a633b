//! The traits that a filter implements, and what they return.

use serde::de::DeserializeOwned;

use crate::edit::Edit;
use crate::new_record::NewRecord;
use crate::output::Output;
use crate::record::Record;

/// The description of a filter.
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

/// What happens to a record.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on, with the edits if there are any.
    Keep,
    /// It is dropped. Its sender is told that it was accepted.
    Drop,
    /// It is replaced with this record. Edits are ignored.
    Replace(NewRecord),
    /// It is replaced with these records. Edits are ignored.
    Expand(Vec<NewRecord>),
    /// The filter failed, for this reason. Weir treats the record as the filter's
    /// `on_error` says; the records around it are processed again.
    Fail(String),
}

/// A filter that decides record by record.
pub trait Filter: Sized + 'static {
    /// The options that an operator writes, `Default` when there are none. Put
    /// `#[serde(default, deny_unknown_fields)]` on it: a mistyped option is then
    /// refused by name.
    type Options: DeserializeOwned + Default;

    /// Describes the filter.
    fn describe() -> Description;

    /// Creates the filter. An error means that it is not used, and is shown to
    /// the operator: name the option and what would be valid, and report all
    /// mistakes at once, one per line; [`crate::OptionErrors`] collects them.
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Decides what happens to a record. `edit` is empty at the start; its
    /// changes are applied with [`Verdict::Keep`].
    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict;
}

/// A filter that keeps state between batches. It has one instance, which sees
/// every record.
pub trait StatefulFilter: Filter {
    /// Called about once a second, and a last time, with `closing`, before Weir
    /// stops or the filter is removed. The returned records go on to the next
    /// filters.
    fn tick(&mut self, closing: bool) -> Vec<NewRecord>;

    /// Returns the state for the next version of the filter.
    fn save(&self) -> Vec<u8>;

    /// Called before the first record with the state that the previous version
    /// saved. An error means that this version is not used.
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;
}

/// A filter that processes a batch of bytes at once, for the few that need the
/// highest speed. Every [`Filter`] is one.
pub trait BatchFilter: Sized + 'static {
    /// See [`Filter::Options`].
    type Options: DeserializeOwned + Default;

    /// See [`Filter::describe`].
    fn describe() -> Description;

    /// See [`Filter::new`].
    fn new(options: Self::Options) -> Result<Self, String>;

    /// Processes a batch of concatenated MessagePack maps. `output` gets one
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
