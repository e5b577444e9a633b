//! MessagePack read where it lies.
//!
//! Everything a filter sees of a record is a [`Value`] that borrows from the
//! batch. Nothing is copied and nothing is read before it is asked for: a map or
//! array is its bytes and a count, walked by iterating. Bytes that are not
//! MessagePack never panic and never loop: reading ends, as `None`.
//!
//! Weir itself reads records with the same code.

pub use weir_wire::token::skip;
pub use weir_wire::{Array, Map, Value};
