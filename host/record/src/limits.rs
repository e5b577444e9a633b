//! The bounds of a record, each with its unit and its reason. Everything that
//! makes a record canonical enforces them; everything that reads one may rely
//! on them.

/// How deep maps and lists may nest, counting the record itself as one. Keeps
/// every recursion over a record within a small stack.
pub const MAX_DEPTH: usize = 64;

/// The size of one canonical record in bytes. A log line of a megabyte is a
/// mistake of its sender; it must not cost its neighbours their memory.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The size in bytes of a message that was derived from a record without one.
/// The data itself is in the record; the message is only there to be read.
pub const MAX_DERIVED_MESSAGE_BYTES: usize = 16 << 10;

/// How many bytes of canonical records one body may become. A body's own bound
/// does not bound them: three bytes, `{}` and a line end, become hundreds.
pub const MAX_BATCH_BYTES: usize = 128 << 20;

/// How many bad records one body may hold. Each is kept with its reason, which
/// may be many times its own size.
pub const MAX_BAD_PER_BODY: usize = 65_536;

/// The number of keys of one map up to which duplicates are searched one by one,
/// without a hash table. Above it, a hostile map would cost its square.
pub(crate) const MAX_KEYS_SEARCHED: usize = 32;

/// Changes to one record up to which they are made one after the other, each by
/// copying the record: cheaper than taking it apart, and as many times its size.
pub(crate) const MAX_CHANGES_BY_COPY: usize = 8;

/// Items of lists that the changes to one record may move or compare: a tenth of
/// a second. Removing the first item of a long list moves all others, and doing
/// it again and again costs the square.
pub(crate) const MAX_LIST_MOVES: usize = 16 << 20;
