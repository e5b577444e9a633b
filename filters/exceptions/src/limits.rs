//! The bounds of this filter: what a text costs is in proportion to its length.

/// Bytes of a text that are looked at. What a failure is stands at its beginning,
/// or, in Python, at the end of the first of these traces.
pub const MAX_TEXT_BYTES: usize = 128 * 1024;

/// Frames that are read of one trace.
pub const MAX_FRAMES: usize = 256;

/// Frames that make a fingerprint when the options do not say.
pub const DEFAULT_FRAMES: usize = 8;

/// The most frames that the options may ask for.
pub const MAX_HASHED_FRAMES: usize = 64;

/// Lines above the first frame among which the one that names the error is.
pub const MAX_HEADER_LINES: usize = 20;

/// Bytes of type, message, function and file as they are written into a record.
pub const MAX_WRITTEN_BYTES: usize = 1024;

/// Paths in `fields`, and prefixes in `in_app` and `library`.
pub const MAX_LISTED: usize = 64;
