//! The limits of this filter: the cost of a text is proportional to its length.

/// How much of a text is read, in bytes. The error is at its beginning or, in
/// Python, at the end of the first of these traces.
pub const MAX_TEXT_BYTES: usize = 128 * 1024;

/// Maximum number of frames read per trace.
pub const MAX_FRAMES: usize = 256;

/// Default number of frames in a fingerprint.
pub const DEFAULT_FRAMES: usize = 8;

/// Upper limit of `frames`.
pub const MAX_HASHED_FRAMES: usize = 64;

/// How many lines above the first frame are searched for the error.
pub const MAX_HEADER_LINES: usize = 20;

/// Maximum length in bytes of a type, message, function or file in the result.
pub const MAX_WRITTEN_BYTES: usize = 1024;

/// Maximum number of paths in `fields`, and of prefixes in `in_app` and in
/// `library`.
pub const MAX_LISTED: usize = 64;
