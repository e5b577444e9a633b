//! The limits on a record, each with its unit and reason. All code that makes
//! records canonical enforces them; all code that reads records may rely on them.

/// How deep maps and lists may nest, counting the record itself as one. Keeps
/// every recursion over a record within a small stack.
pub const MAX_DEPTH: usize = 64;

/// The size of one canonical record in bytes. A log line of a megabyte is a mistake
/// of its sender and must not take memory from other records. Only what a store reads
/// back from JSON may be larger.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// The size in bytes of a message derived from a record without one. The data itself
/// is in the record; the message is only for people to read.
pub const MAX_DERIVED_MESSAGE_BYTES: usize = 16 << 10;

/// How many bytes of canonical records one body may produce. The limit on the body
/// itself is not enough: three bytes, `{}` and a line end, become hundreds. Half of
/// what the journal writes as one frame, to leave room for other bodies in the batch
/// and for what filters add.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

/// How many records one body may contain. Each costs an offset in the batch, a
/// verdict of every filter, and time.
pub const MAX_BATCH_RECORDS: usize = 1 << 20;

/// How many rejected records one body may contain. Each is kept with its reason,
/// which may be many times its own size.
pub const MAX_BAD_PER_BODY: usize = 65_536;

/// Maps with up to this many keys are searched for duplicates without a hash table.
/// Above it, a hostile map would take quadratic time.
pub(crate) const MAX_KEYS_SEARCHED: usize = 32;

/// How many names are tried for a value that can't keep its own: `level_original`,
/// `level_original_original` and so on. Looking for each reads the whole record, and
/// a hostile one has them all.
pub(crate) const MAX_NAMES_TRIED: usize = 8;

/// Up to this many changes to a record are made one after the other, each by copying
/// the record. For few changes this is cheaper than parsing the record into a tree.
pub(crate) const MAX_CHANGES_BY_COPY: usize = 8;

/// How many list items the changes to one record may move or compare: a tenth of a
/// second. Removing the first item of a long list moves all others, so doing it
/// repeatedly takes quadratic time.
pub(crate) const MAX_LIST_MOVES: usize = 16 << 20;
