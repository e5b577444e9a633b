//! Version 2 of the contract, `weir:filter@2`, whose text is in `wit/v2/`: the world of filters that hold records back.
//! What it shares with version 1 (how batches are written, most verdicts, the host's functions) is in [`crate::v1`].

mod holding;

pub(crate) use holding::{Process, Tick, call, tick};

/// The contract's text.
pub(crate) const WIT: &str = include_str!("../../../../wit/v2/filter.wit");
pub(crate) const HOST: &str = "weir:filter/host@2.0.0";
pub(crate) const LIFECYCLE: &str = "weir:filter/lifecycle@2.0.0";
pub(crate) const HOLDING: &str = "weir:filter/holding@2.0.0";
