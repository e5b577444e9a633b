//! Limits, each with its unit and reason.

/// Size of a query, in bytes: far more than a person types, and enough for a list of a hundred ids.
pub const MAX_QUERY_BYTES: usize = 16 << 10;
/// Number of words, phrases and comparisons: each is evaluated for every record.
pub const MAX_TERMS: usize = 256;
/// Nesting depth of parentheses and `NOT`: safe for the stack.
pub const MAX_DEPTH: usize = 32;
/// Size of one compiled pattern, in bytes: repetitions such as `(a{1000}){1000}` must not take the memory of the router.
pub const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Memory that searches for one compiled pattern may use to be faster, in bytes: all patterns of a filter share its
/// memory, by default 64 MiB.
pub const MAX_SEARCH_CACHE_BYTES: usize = if cfg!(feature = "all-engines") { 2 << 20 } else { 256 << 10 };
