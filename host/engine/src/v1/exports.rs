//! Finds a component's exports of the contract, and calls them.

use std::ops::Range;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, TypedFunc};
use weir_record::Batch;

use super::reads::Reads;
use super::types::{EncodingName, Verdict, View};
use super::{LIFECYCLE, PACKED, PACKED_STATE, TYPED, TYPED_STATE, packed, typed};
use crate::boundary::Boundary;
use crate::budget::Room;
use crate::description::Description;
use crate::error::{CallError, FailureKind};
use crate::guest::{Guest, HostState};
use crate::holds::Changes;
use crate::rewrite::{Applied, Part};
use crate::rights::Rights;
use crate::spec::FilterSpec;
use crate::v2;
use crate::world::World;

/// The encoding that a packed filter wants its records in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Msgpack,
    Json,
}

/// The exports of a component that belong to its world.
#[derive(Clone)]
pub(crate) struct Contract {
    pub world: World,
    lifecycle: ComponentExportIndex,
    process: ComponentExportIndex,
    state: Option<ComponentExportIndex>,
}

impl Contract {
    /// Returns `None` if the component exports none of the worlds.
    pub fn find(component: &Component) -> Option<Contract> {
        let export = |name| component.get_export_index(None, name);
        let lifecycle = export(LIFECYCLE).or_else(|| export(v2::LIFECYCLE))?;
        if let Some(holding) = export(v2::HOLDING) {
            return Some(Contract { world: World::HoldingFilter, lifecycle, process: holding, state: Some(holding) });
        }
        let (process, state, is_packed) = match (export(PACKED), export(TYPED)) {
            (Some(packed), _) => (packed, export(PACKED_STATE), true),
            (None, Some(typed)) => (typed, export(TYPED_STATE), false),
            (None, None) => return None,
        };
        let world = World::new(is_packed, state.is_some());
        Some(Contract { world, lifecycle, process, state })
    }
}

/// The functions of one instance.
pub(crate) struct Exports {
    describe: TypedFunc<(), (Description,)>,
    configure: TypedFunc<(&'static str,), (Result<(), String>,)>,
    process: Process,
    state: Option<State>,
    boundary: Boundary,
}

enum Process {
    Typed { process: typed::Process, reads: Reads },
    Packed { process: Call, encoding_name: TypedFunc<(), (EncodingName,)>, encoding: Encoding },
}

/// A function that takes a batch as bytes.
enum Call {
    Plain(packed::Process),
    Holding(v2::Process),
}

struct State {
    tick: Tick,
    save: TypedFunc<(), (Vec<u8>,)>,
    restore: TypedFunc<(&'static [u8],), (Result<(), String>,)>,
}

enum Tick {
    Typed(TypedFunc<(bool,), (Vec<View>,)>),
    Packed(TypedFunc<(bool,), (Vec<u8>,)>),
    Holding(v2::Tick),
}

impl Exports {
    /// Creates an instance. The outer error is a failure to start; the inner one names a function with the wrong type.
    pub fn instantiate(
        guest: &mut Guest,
        pre: &InstancePre<HostState>,
        contract: &Contract,
        deadline: Duration,
    ) -> Result<Result<Exports, String>, CallError> {
        let result = guest.call(deadline, |store| {
            let instance = pre.instantiate(&mut *store)?;
            Ok(Self::find(store, &instance, pre.component(), contract).map_err(|error| format!("{error:#}")))
        });
        result.map_err(|error| match error.kind {
            FailureKind::Trap => CallError { kind: FailureKind::Start, ..error },
            _ => error,
        })
    }

    fn find(
        store: &mut Store<HostState>,
        instance: &Instance,
        component: &Component,
        contract: &Contract,
    ) -> wasmtime::Result<Exports> {
        let mut find = Find { store, instance, component };
        let process = if contract.world.is_packed() {
            Process::Packed {
                process: match contract.world.holds_records() {
                    true => Call::Holding(find.function(&contract.process, "process")?),
                    false => Call::Plain(find.function(&contract.process, "process")?),
                },
                encoding_name: find.function(&contract.process, "encoding")?,
                encoding: Encoding::Msgpack,
            }
        } else {
            Process::Typed { process: find.function(&contract.process, "process")?, reads: Reads::all() }
        };
        let state = match &contract.state {
            Some(at) => Some(State {
                tick: match (contract.world.holds_records(), contract.world.is_packed()) {
                    (true, _) => Tick::Holding(find.function(at, "tick")?),
                    (false, true) => Tick::Packed(find.function(at, "tick")?),
                    (false, false) => Tick::Typed(find.function(at, "tick")?),
                },
                save: find.function(at, "save")?,
                restore: find.function(at, "restore")?,
            }),
            None => None,
        };
        let describe = find.function(&contract.lifecycle, "describe")?;
        let configure = find.function(&contract.lifecycle, "configure")?;
        Ok(Exports { describe, configure, process, state, boundary: Boundary::default() })
    }

    /// Calls `describe` and gets the encoding. Stores the encoding and the filter's rights.
    pub fn describe(
        &mut self,
        guest: &mut Guest,
        spec: &FilterSpec,
        deadline: Duration,
    ) -> Result<Description, CallError> {
        let (description,) = guest.call(deadline, |store| self.describe.call(store, ()))?;
        let description = description.bounded().map_err(|reason| CallError::new(FailureKind::Nonsense, reason))?;
        let rights = Rights::of(spec, &description, matches!(self.process, Process::Packed { .. }));
        self.boundary = rights.boundary(spec);
        match &mut self.process {
            Process::Typed { reads, .. } => *reads = shown(&rights, spec, &description),
            Process::Packed { encoding_name, encoding, .. } => {
                *encoding = match guest.call(deadline, |store| encoding_name.call(store, ()))? {
                    (EncodingName::Msgpack,) => Encoding::Msgpack,
                    (EncodingName::Json,) => Encoding::Json,
                };
            }
        }
        Ok(description)
    }

    /// The inner error is the one that the filter returned.
    pub fn configure(
        &self,
        guest: &mut Guest,
        options: &str,
        deadline: Duration,
    ) -> Result<Result<(), String>, CallError> {
        let configure: TypedFunc<(&str,), _> = self.configure;
        Ok(guest.call(deadline, |store| configure.call(store, (options,)))?.0)
    }

    /// Calls the filter with a range of a batch. The result is in `part`, unless all records are kept. `ids` are the
    /// ids of all records of the batch, for a filter that holds records.
    pub fn process(
        &self,
        guest: &mut Guest,
        batch: &Batch,
        range: Range<usize>,
        ids: &[u64],
        deadline: Duration,
        part: &mut Part,
    ) -> Result<Applied, CallError> {
        let applied = match &self.process {
            Process::Typed { process, reads } => {
                let verdicts = typed::call(process, reads, guest, batch, range.clone(), deadline)?;
                if self.boundary.sees.is_some() && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Expand(_)))
                {
                    // Its views have no fields for what it was not shown.
                    return Err(CallError::overstep("it expanded a record that it may see only a part of"));
                }
                part.room.begin(deadline);
                typed::apply(batch, range.clone(), reads, &verdicts, part)
            }
            Process::Packed { process, encoding, .. } => {
                let projected = self.boundary.project(batch, range.clone());
                let (shown, within) = match &projected {
                    None => (batch, range.clone()),
                    Some(shown) => (shown, 0..shown.len()),
                };
                match process {
                    Call::Plain(process) => {
                        let output = packed::call(process, *encoding, guest, shown, within, deadline, part)?;
                        part.room.begin(deadline);
                        packed::apply(batch, range.clone(), &output.verdicts, &output.records, None, *encoding, part)
                    }
                    Call::Holding(process) => {
                        let shown_ids = &ids[range.clone()];
                        let input = packed::input(*encoding, shown, within, &mut part.scratch);
                        let output = v2::call(process, guest, input, shown_ids, deadline)?;
                        part.room.begin(deadline);
                        let holding = Some(packed::Holding { ids: shown_ids, released: &output.released });
                        packed::apply(batch, range.clone(), &output.verdicts, &output.records, holding, *encoding, part)
                    }
                }
            }
        };
        let applied = applied.map_err(|reason| part.room.blame(FailureKind::Nonsense, reason))?;
        if matches!(applied, Applied::Rewritten(_)) {
            let checked = self.boundary.check(batch, part);
            let checked = checked.and_then(|()| self.boundary.check_held(batch, range, ids, part));
            checked.map_err(|reason| part.room.blame(FailureKind::Overstep, reason))?;
        }
        Ok(applied)
    }

    /// Returns the records that a stateful filter emits; what it releases is in `changes`.
    pub fn tick(
        &self,
        guest: &mut Guest,
        closing: bool,
        deadline: Duration,
        changes: &mut Changes,
        room: &mut Room,
    ) -> Result<Batch, CallError> {
        let Some(state) = &self.state else { return Ok(Batch::new()) };
        let mut batch = Batch::new();
        match &state.tick {
            Tick::Typed(tick) => {
                let (views,) = guest.call(deadline, |store| tick.call(store, (closing,)))?;
                room.begin(deadline);
                let read = typed::read_views(&views, &mut batch, room);
                read.map_err(|reason| room.blame(FailureKind::Nonsense, reason))?;
            }
            Tick::Packed(tick) => {
                let (records,) = guest.call(deadline, |store| tick.call(store, (closing,)))?;
                room.begin(deadline);
                let read = packed::read_records(&records, self.encoding(), &mut batch, room);
                read.map_err(|reason| room.blame(FailureKind::Nonsense, reason))?;
            }
            Tick::Holding(tick) => {
                let said = v2::tick(tick, guest, closing, deadline)?;
                room.begin(deadline);
                let read = packed::read_records(&said.records, self.encoding(), &mut batch, room);
                read.map_err(|reason| room.blame(FailureKind::Nonsense, reason))?;
                changes.released = said.released;
            }
        }
        self.boundary.check_made(&batch).map_err(CallError::overstep)?;
        Ok(batch)
    }

    fn encoding(&self) -> Encoding {
        match &self.process {
            Process::Packed { encoding, .. } => *encoding,
            Process::Typed { .. } => Encoding::Msgpack,
        }
    }

    /// The saved state, empty for stateless filters.
    pub fn save(&self, guest: &mut Guest, deadline: Duration) -> Result<Vec<u8>, CallError> {
        let Some(state) = &self.state else { return Ok(Vec::new()) };
        Ok(guest.call(deadline, |store| state.save.call(store, ()))?.0)
    }

    /// The inner error is the one that the filter returned.
    pub fn restore(
        &self,
        guest: &mut Guest,
        saved: &[u8],
        deadline: Duration,
    ) -> Result<Result<(), String>, CallError> {
        let Some(state) = &self.state else { return Ok(Ok(())) };
        let restore: TypedFunc<(&[u8],), _> = state.restore;
        Ok(guest.call(deadline, |store| restore.call(store, (saved,)))?.0)
    }
}

/// What a typed filter is shown.
fn shown(rights: &Rights, spec: &FilterSpec, description: &Description) -> Reads {
    match (&spec.reads, &rights.reads.paths) {
        (Some(_), Some(paths)) => Reads::only(paths),
        _ => Reads::of(&description.reads),
    }
}

struct Find<'a> {
    store: &'a mut Store<HostState>,
    instance: &'a Instance,
    component: &'a Component,
}

impl Find<'_> {
    fn function<P, R>(&mut self, interface: &ComponentExportIndex, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
        R: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
    {
        let index = self
            .component
            .get_export_index(Some(interface), name)
            .ok_or_else(|| wasmtime::format_err!("it exports no function `{name}`"))?;
        self.instance
            .get_typed_func(&mut *self.store, index)
            .map_err(|error| error.context(format!("the function `{name}` has another type")))
    }
}
