//! Reads MessagePack in place.
//!
//! All that a filter sees of a record is a [`Value`] that borrows from the batch.
//! Nothing is copied or decoded before it is needed: a map or array consists of
//! its bytes and a count, and is walked by iterating. Bytes that are not
//! MessagePack never cause a panic or an endless loop: reading ends with `None`.
//!
//! Weir itself reads records with the same code.

pub use weir_wire::token::skip;
pub use weir_wire::{Array, Map, Value};
