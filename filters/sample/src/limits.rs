//! The bounds of this filter.

/// Rates by value in `rates`.
pub const MAX_RATES: usize = 10_000;

/// Paths in `hash`.
pub const MAX_HASH_FIELDS: usize = 32;
