//! The module's side of the contract: from the exported functions to a filter.
//!
//! A module holds one filter, made by `configure`. Calls come one at a time (a
//! component is never entered twice at once), so a cell is enough.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::packed::exports::weir::filter::{lifecycle, packed};
use crate::bindings::state::exports::weir::filter::packed_state;
use crate::filter::{BatchFilter, Description, StatefulFilter};
use crate::level::Level;
use crate::new_record::NewRecord;
use crate::output::Output;

/// What the exports of a module without state are implemented on.
pub struct Stateless<F>(PhantomData<F>);

/// What the exports of a module with state are implemented on.
pub struct Stateful<F>(PhantomData<F>);

/// A filter behind the exports, whatever its type.
trait Running {
    fn process(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String>;
    fn tick(&mut self, closing: bool) -> Vec<NewRecord>;
    fn save(&self) -> Vec<u8>;
    fn restore(&mut self, state: &[u8]) -> Result<(), String>;
}

struct WithoutState<F>(F);

struct WithState<F>(F);

impl<F: BatchFilter> Running for WithoutState<F> {
    fn process(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        self.0.process_batch(batch, output)
    }

    fn tick(&mut self, _closing: bool) -> Vec<NewRecord> {
        Vec::new()
    }

    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _state: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

impl<F: StatefulFilter> Running for WithState<F> {
    fn process(&mut self, batch: &[u8], output: &mut Output) -> Result<(), String> {
        self.0.process_batch(batch, output)
    }

    fn tick(&mut self, closing: bool) -> Vec<NewRecord> {
        self.0.tick(closing)
    }

    fn save(&self) -> Vec<u8> {
        self.0.save()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        self.0.restore(state)
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Box<dyn Running>>> = const { RefCell::new(None) };
}

fn start(running: impl Running + 'static) {
    // A panic becomes a trap, which says nothing: so the log says it first.
    std::panic::set_hook(Box::new(|panic| {
        crate::host::log(Level::Error, &panic.to_string());
    }));
    RUNNING.set(Some(Box::new(running)));
}

fn with_running<T>(call: impl FnOnce(&mut dyn Running) -> Result<T, String>) -> Result<T, String> {
    let result = RUNNING.with_borrow_mut(|running| match running {
        Some(running) => call(running.as_mut()),
        None => Err("called before `configure`".to_owned()),
    });
    crate::host::settle(result.is_ok());
    result
}

fn process(batch: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    with_running(|running| {
        let mut output = Output::new();
        running.process(batch, &mut output)?;
        Ok(output.into_parts())
    })
}

fn tick(closing: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let records = with_running(|running| Ok(running.tick(closing)));
    records.unwrap_or_default().into_iter().for_each(|record| record.write(&mut bytes));
    bytes
}

fn owned(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| (*path).to_owned()).collect()
}

/// The exports that both kinds of module have.
macro_rules! implement {
    ($guest:ident, $bound:ident, $running:ident) => {
        impl<F: $bound> lifecycle::Guest for $guest<F> {
            fn describe() -> lifecycle::Description {
                let Description { name, version, description, reads, writes } = <F as BatchFilter>::describe();
                lifecycle::Description {
                    name: name.to_owned(),
                    version: version.to_owned(),
                    description: description.to_owned(),
                    reads: owned(reads),
                    writes: owned(writes),
                }
            }

            fn configure(options: String) -> Result<(), String> {
                start($running(crate::options::build(&options, <F as BatchFilter>::new)?));
                crate::host::settle(true);
                Ok(())
            }
        }

        impl<F: $bound> packed::Guest for $guest<F> {
            fn encoding() -> packed::Format {
                packed::Format::Msgpack
            }

            fn process(batch: Vec<u8>) -> Result<packed::Output, String> {
                let (verdicts, records) = process(&batch)?;
                Ok(packed::Output { verdicts, records })
            }
        }
    };
}

implement!(Stateless, BatchFilter, WithoutState);
implement!(Stateful, StatefulFilter, WithState);

impl<F: StatefulFilter> packed_state::Guest for Stateful<F> {
    fn tick(closing: bool) -> Vec<u8> {
        tick(closing)
    }

    fn save() -> Vec<u8> {
        with_running(|running| Ok(running.save())).unwrap_or_default()
    }

    fn restore(state: Vec<u8>) -> Result<(), String> {
        with_running(|running| running.restore(&state))
    }
}
