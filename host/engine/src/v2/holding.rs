//! Calls a filter that can hold records. Its verdicts are applied by [`crate::v1`], including the two that this version
//! adds.

#![allow(unsafe_code, reason = "the derives implement unsafe traits of the runtime, and check what they implement")]

use std::time::Duration;

use wasmtime::component::{ComponentType, Lift, TypedFunc};

use crate::error::{CallError, FailureKind};
use crate::guest::Guest;

/// The filter's functions; the lifetimes of their arguments are shorter in practice.
pub(crate) type Process = TypedFunc<(&'static [u8], &'static [u64]), (Result<Output, String>,)>;
pub(crate) type Tick = TypedFunc<(bool,), (TickOutput,)>;

/// The result of `process`.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct Output {
    pub verdicts: Vec<u8>,
    pub records: Vec<u8>,
    pub released: Vec<u64>,
}

/// The result of `tick`.
#[derive(ComponentType, Lift, Clone, Debug)]
#[component(record)]
pub(crate) struct TickOutput {
    pub records: Vec<u8>,
    pub released: Vec<u64>,
}

pub(crate) fn call(
    process: &Process,
    guest: &mut Guest,
    input: &[u8],
    ids: &[u64],
    deadline: Duration,
) -> Result<Output, CallError> {
    let process: TypedFunc<(&[u8], &[u64]), _> = *process;
    let (result,) = guest.call(deadline, |store| process.call(store, (input, ids)))?;
    result.map_err(|reason| CallError::new(FailureKind::Refused, format!("it returned an error: {reason}")))
}

pub(crate) fn tick(tick: &Tick, guest: &mut Guest, closing: bool, deadline: Duration) -> Result<TickOutput, CallError> {
    Ok(guest.call(deadline, |store| tick.call(store, (closing,)))?.0)
}
