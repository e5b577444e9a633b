//! Code shared by Weir and its filters: reading MessagePack in place, and dotted
//! paths into a record.
//!
//! The host's `weir-record` and the Rust SDK are built on this crate, so a filter
//! and the host agree about every byte. It depends on nothing and needs no `std`.
//!
//! | module | purpose |
//! |---|---|
//! | [`token`](mod@token) | one MessagePack header at a time; skipping values and finding keys |
//! | [`value`] | [`Value`], [`Array`] and [`Map`]: views of encoded values |
//! | [`path`] | dotted paths such as `context.user.email`, and their escapes |
//!
//! Whatever the bytes are, nothing here panics, recurses or trusts a declared
//! length: reading ends with `None`, and costs no more than the bytes read.
#![no_std]

extern crate alloc;

pub mod path;
pub mod token;
pub mod value;

pub use value::{Array, Map, Value};
