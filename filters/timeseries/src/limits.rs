//! The limits of this filter.

/// Maximum number of rules. Each may create a record.
pub const MAX_RULES: usize = 64;

/// Maximum number of tags of a rule. Databases index them.
pub const MAX_TAGS: usize = 64;

/// Maximum number of paths and patterns for the fields of a rule.
pub const MAX_FIELD_PATTERNS: usize = 64;

/// Maximum number of conditions of a rule.
pub const MAX_CONDITIONS: usize = 32;

/// Maximum number of fields of a measurement.
pub const MAX_FIELDS: usize = 256;

/// Maximum length in bytes of a measurement's name and of a tag's value. Longer
/// ones are cut.
pub const MAX_TEXT_BYTES: usize = 256;

/// Maximum number of values that patterns look at per record.
pub const MAX_VALUES_SEEN: usize = 4096;

/// Maximum depth that patterns look into.
pub const MAX_DEPTH: usize = 16;

/// Maximum number of labels in `routes`.
pub const MAX_ROUTES: usize = 16;
