//! The worlds of the contract, of all versions.

use std::fmt;

/// Which world a filter exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Typed, without state.
    Filter,
    /// Typed, with state.
    StatefulFilter,
    /// Batches as bytes, without state.
    PackedFilter,
    /// Batches as bytes, with state.
    StatefulPackedFilter,
    /// Batches as bytes, with state and records that it holds back. Of version 2.
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

    /// Whether it takes batches as bytes.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::PackedFilter | Self::StatefulPackedFilter | Self::HoldingFilter)
    }

    /// Whether it can hold records back.
    pub fn holds_records(self) -> bool {
        self == Self::HoldingFilter
    }

    /// Whether it keeps state: one instance for all workers.
    pub fn is_stateful(self) -> bool {
        matches!(self, Self::StatefulFilter | Self::StatefulPackedFilter | Self::HoldingFilter)
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
