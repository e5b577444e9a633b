//! The bounds of this filter.

/// Rules. Each that applies may make a record of its own.
pub const MAX_RULES: usize = 64;

/// Tags of a rule. Databases keep an index of them.
pub const MAX_TAGS: usize = 64;

/// Paths and patterns for fields of a rule.
pub const MAX_FIELD_PATTERNS: usize = 64;

/// Conditions of a rule.
pub const MAX_CONDITIONS: usize = 32;

/// Fields that one measurement may have.
pub const MAX_FIELDS: usize = 256;

/// Bytes of a measurement's name and of a tag's value. Longer ones are cut.
pub const MAX_TEXT_BYTES: usize = 256;

/// Values that patterns look at in one record.
pub const MAX_VALUES_SEEN: usize = 4096;

/// How deep patterns look.
pub const MAX_DEPTH: usize = 16;

/// Labels that a rule gives.
pub const MAX_ROUTES: usize = 16;
