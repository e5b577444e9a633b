//! The limits of this filter.

/// Maximum number of rates in `rates`.
pub const MAX_RATES: usize = 10_000;

/// Maximum number of paths in `hash`.
pub const MAX_HASH_FIELDS: usize = 32;
