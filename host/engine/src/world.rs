//! The worlds of all versions of the contract.

use std::fmt;

/// The world that a filter exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Typed records, stateless.
    Filter,
    /// Typed records, stateful.
    StatefulFilter,
    /// Packed batches, stateless.
    PackedFilter,
    /// Packed batches, stateful.
    StatefulPackedFilter,
    /// Packed batches, stateful, can hold records. Since version 2.
    HoldingFilter,
}

impl World {
    pub(crate) fn new(is_packed: bool, is_stateful: bool) -> World {
        match (is_packed, is_stateful) {
            (false, false) => Self::Filter,
            (false, true) => Self::StatefulFilter,
            (true, false) => Self::PackedFilter,
            (true, true) => Self::StatefulPackedFilter,
        }
    }

    /// Its name in the WIT.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::StatefulFilter => "stateful-filter",
            Self::PackedFilter => "packed-filter",
            Self::StatefulPackedFilter => "stateful-packed-filter",
            Self::HoldingFilter => "holding-filter",
        }
    }

    /// Whether batches are passed as bytes.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::PackedFilter | Self::StatefulPackedFilter | Self::HoldingFilter)
    }

    /// Whether it can hold records.
    pub fn holds_records(self) -> bool {
        self == Self::HoldingFilter
    }

    /// Whether it keeps state. All workers then share one instance.
    pub fn is_stateful(self) -> bool {
        matches!(self, Self::StatefulFilter | Self::StatefulPackedFilter | Self::HoldingFilter)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
