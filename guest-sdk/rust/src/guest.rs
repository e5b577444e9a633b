//! The module's side of the contract: connects the exported functions to a filter.
//!
//! A module contains one filter, created by `configure`. A component is never
//! entered while a call is running, so a cell is enough.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::holding::exports::weir::filter2_0_0::{holding, lifecycle as lifecycle_2};
use crate::bindings::packed::exports::weir::filter::{lifecycle, packed};
use crate::bindings::state::exports::weir::filter::packed_state;
use crate::filter::{BatchFilter, Description, StatefulFilter};
use crate::holding::{Emitter, HoldingFilter};
use crate::level::Level;
use crate::output::Output;

/// Implements the exports of a module without state.
pub struct Stateless<F>(PhantomData<F>);

/// Implements the exports of a module with state.
pub struct Stateful<F>(PhantomData<F>);

/// Implements the exports of a module that holds records.
pub struct Holding<F>(PhantomData<F>);

/// A filter of any type behind the exports. `ids` are those of the batch; only
/// filters that hold records use them.
trait ExportedFilter {
    fn process(&mut self, batch: &[u8], ids: &[u64]) -> Result<Output, String>;

    /// The concatenated records, and the released ids.
    fn tick(&mut self, _closing: bool) -> (Vec<u8>, Vec<u64>) {
        Default::default()
    }

    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

struct WithoutState<F>(F);

struct WithState<F>(F);

struct WithHeld<F>(F);

fn process_batch<F: BatchFilter>(filter: &mut F, batch: &[u8]) -> Result<Output, String> {
    let mut output = Output::new();
    filter.process_batch(batch, &mut output)?;
    Ok(output)
}

impl<F: BatchFilter> ExportedFilter for WithoutState<F> {
    fn process(&mut self, batch: &[u8], _ids: &[u64]) -> Result<Output, String> {
        process_batch(&mut self.0, batch)
    }
}

impl<F: StatefulFilter> ExportedFilter for WithState<F> {
    fn process(&mut self, batch: &[u8], _ids: &[u64]) -> Result<Output, String> {
        process_batch(&mut self.0, batch)
    }

    fn tick(&mut self, closing: bool) -> (Vec<u8>, Vec<u64>) {
        let mut bytes = Vec::new();
        self.0.tick(closing).into_iter().for_each(|record| record.write(&mut bytes));
        (bytes, Vec::new())
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.0.restore(state)
    }
}

impl<F: HoldingFilter> ExportedFilter for WithHeld<F> {
    fn process(&mut self, batch: &[u8], ids: &[u64]) -> Result<Output, String> {
        crate::holding::process_batch(&mut self.0, batch, ids)
    }

    fn tick(&mut self, closing: bool) -> (Vec<u8>, Vec<u64>) {
        let mut out = Emitter::default();
        self.0.tick(closing, &mut out);
        out.into_parts()
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.0.restore(state)
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Box<dyn ExportedFilter>>> = const { RefCell::new(None) };
}

fn start(running: impl ExportedFilter + 'static) {
    // A panic becomes a trap without a message, so it is logged first.
    std::panic::set_hook(Box::new(|panic| {
        crate::host::log(Level::Error, &panic.to_string());
    }));
    RUNNING.set(Some(Box::new(running)));
}

fn with_running<T>(call: impl FnOnce(&mut dyn ExportedFilter) -> Result<T, String>) -> Result<T, String> {
    let result = RUNNING.with_borrow_mut(|running| match running {
        Some(running) => call(running.as_mut()),
        None => Err("called before `configure`".to_owned()),
    });
    crate::host::settle(result.is_ok());
    result
}

fn process(batch: &[u8], ids: &[u64]) -> Result<Output, String> {
    with_running(|running| running.process(batch, ids))
}

fn tick(closing: bool) -> (Vec<u8>, Vec<u64>) {
    with_running(|running| Ok(running.tick(closing))).unwrap_or_default()
}

fn save() -> Vec<u8> {
    with_running(|running| Ok(running.save())).unwrap_or_default()
}

fn restore(state: &[u8]) -> Result<(), String> {
    with_running(|running| running.restore(state))
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The exports of every module, in both versions.
macro_rules! implement_lifecycle {
    ($lifecycle:ident, $guest:ident, $bound:ident, $filter:ident, $running:ident) => {
        impl<F: $bound> $lifecycle::Guest for $guest<F> {
            fn describe() -> $lifecycle::Description {
                let Description { name, version, description, reads, writes } = <F as $filter>::describe();
                $lifecycle::Description {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    description: description.to_owned(),
                    reads: owned(reads),
                    writes: owned(writes),
                }
            }

            fn configure(options: String) -> Result<(), String> {
                start($running(crate::options::build(&options, <F as $filter>::new)?));
                crate::host::settle(true);
                Ok(())
            }
        }
    };
}

implement_lifecycle!(lifecycle, Stateless, BatchFilter, BatchFilter, WithoutState);
implement_lifecycle!(lifecycle, Stateful, StatefulFilter, BatchFilter, WithState);
implement_lifecycle!(lifecycle_2, Holding, HoldingFilter, HoldingFilter, WithHeld);

macro_rules! implement_packed {
    ($guest:ident, $bound:ident) => {
        impl<F: $bound> packed::Guest for $guest<F> {
            fn encoding() -> packed::Format {
                packed::Format::Msgpack
            }

            fn process(batch: Vec<u8>) -> Result<packed::Output, String> {
                let (verdicts, records) = process(&batch, &[])?.into_parts();
                Ok(packed::Output { verdicts, records })
            }
        }
    };
}

implement_packed!(Stateless, BatchFilter);
implement_packed!(Stateful, StatefulFilter);

impl<F: StatefulFilter> packed_state::Guest for Stateful<F> {
    fn tick(closing: bool) -> Vec<u8> {
        tick(closing).0
    }

    fn save() -> Vec<u8> {
        save()
    }

    fn restore(state: Vec<u8>) -> Result<(), String> {
        restore(&state)
    }
}

impl<F: HoldingFilter> holding::Guest for Holding<F> {
    fn encoding() -> holding::Format {
        holding::Format::Msgpack
    }

    fn process(batch: Vec<u8>, ids: Vec<u64>) -> Result<holding::Output, String> {
        let mut output = process(&batch, &ids)?;
        let released = output.take_released();
        let (verdicts, records) = output.into_parts();
        Ok(holding::Output { verdicts, records, released })
    }

    fn tick(closing: bool) -> holding::Said {
        let (records, released) = tick(closing);
        holding::Said { records, released }
    }

    fn save() -> Vec<u8> {
        save()
    }

    fn restore(state: Vec<u8>) -> Result<(), String> {
        restore(&state)
    }
}
