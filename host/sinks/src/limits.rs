//! Every limit of this crate, with its unit and its reason.

use std::time::Duration;

/// Bytes of journal payload that a runner reads at once: large enough to amortise the fixed cost of a write or a
/// transaction, small enough that a lagging sink needs only a few MiB of memory.
pub const READ_BYTES: usize = 4 << 20;

/// First wait after a failed delivery.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// Longest wait between two attempts: a recovered server is used again within half a minute.
pub const BACKOFF_LAST: Duration = Duration::from_secs(30);

/// Longest wait that a server may request: a misconfigured server must not stop a sink for days.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How often a sink with a fallback is checked for failing or having recovered.
pub const FALLBACK_POLL: Duration = Duration::from_millis(200);

/// How long a fallback may take to accept records before the next one is asked.
pub const FALLBACK_TIMEOUT: Duration = Duration::from_secs(15);

/// Records per second shown on standard error if no fallback takes them: enough to see what they are.
pub const STDERR_RECORDS: u32 = 10;

/// How long delivered records may stay unsynced in a sink that syncs in groups. The journal keeps them until then.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stopping sink may go on delivering before it gives up and reports what is pending.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How long the last flush may take while stopping.
pub const FLUSH_TIME: Duration = Duration::from_secs(10);

/// Bytes of an error kept in the status and the log: a server's whole error page is of no use there.
pub const ERROR_BYTES: usize = 1024;

/// Bytes of a server's answer that are read: the reason for an error is at the beginning.
pub const ANSWER_BYTES: usize = 64 << 10;
/// Shorter passwords are not removed from errors: they can't be told from other text.
pub const MIN_SECRET_BYTES: usize = 4;
/// A part of a URL or a header that is at least so long may be a key, and is removed from errors, too.
pub const MIN_KEY_BYTES: usize = 16;
/// As many bytes of the beginning of a secret are recognised where a text ends in it.
pub const SECRET_START_BYTES: usize = 8;

/// Files that a file sink keeps open by default: well below the usual limit of 1,024 descriptors.
pub const OPEN_FILES: usize = 64;

/// Files that may be written between two positions. More of them force a new position, which bounds the position
/// record.
pub const LISTED_FILES: usize = 4096;

/// Bytes of a file that are not synced, about. The journal is usually on the same disk, and its next sync waits until the
/// disk has taken these as well: 4 MiB take it a few milliseconds, and a second of a flood 50 or more.
pub const UNSYNCED_BYTES: u64 = 4 << 20;

/// Bytes of one value substituted into a path.
pub const PATH_VALUE_BYTES: usize = 100;

/// Bytes of one component of a path: file systems accept 255, and rotation and compression append up to 45.
pub const PATH_COMPONENT_BYTES: usize = 200;

/// Times at which paths are compared for equality, in nanoseconds since 1970 UTC: in different years, months, days,
/// hours and minutes.
pub const SAMPLE_TIMES_NS: [i64; 3] = [951_827_696_000_000_000, 1_700_000_000_000_000_000, 1_764_371_111_000_000_000];

/// Steps when resolving a path: missing components and symbolic links.
pub const PATH_STEPS: usize = 256;

/// Bytes of lines that a file sink collects before it writes them: large enough that a write is cheap compared with
/// copying its lines, small enough that the lines are still in the CPU cache.
pub const FILE_PASS_BYTES: usize = 256 << 10;

/// Distinct paths that a file sink caches, so that a path is not rendered for every record.
pub const REMEMBERED_PATHS: usize = 4096;

/// How often rotated files are compressed, counted and checked for age when nothing rotates.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(3600);

/// Files that are searched for a sink of an older version, which kept no file list: a limit on walking a folder of
/// unknown size.
pub const MIGRATED_FILES: usize = 100_000;

/// Number of lines without a file from which on a sink's file list is rewritten.
pub const FILE_LIST_SLACK: usize = 1000;

/// Default for the files that values of records may create for a sink per day: more than there are services or tenants
/// anywhere, and few enough for a folder and a person.
pub const NEW_FILES: usize = 10_000;

/// Largest width of a field in a text template.
pub const TEMPLATE_WIDTH: usize = 1000;

/// Most records of one SQLite transaction: each transaction writes every page it has touched and adds a segment to the
/// search index; this many take a fraction of a second.
pub const TRANSACTION_RECORDS: usize = 20_000;

/// Rows in one INSERT statement. SQLite accepts at most 32,766 parameters; compared with 16 rows, 64 save a quarter of
/// the CPU time and 256 over a third.
pub const INSERT_ROWS: usize = 256;

/// How long SQLite waits for another process's lock before the delivery counts as failed and is retried.
pub const SQLITE_BUSY: Duration = Duration::from_secs(5);

/// Rows deleted by one step of SQLite's retention, so that no delivery waits long for it.
pub const RETENTION_ROWS: u32 = 2000;

/// Milliseconds that one run of SQLite's retention may take; the rest waits for the next delivery.
pub const RETENTION_MS: u64 = 200;

/// Rows added to SQLite's search index per transaction while it is rebuilt: enough that merging is cheap, few enough
/// that stopping waits only a fraction of a second.
pub const SQLITE_INDEX_ROWS: u32 = 5000;

/// How often the log reports the progress of building SQLite's search index.
pub const SQLITE_INDEX_PROGRESS: Duration = Duration::from_secs(5);

/// KiB of pages that SQLite caches: mostly the inner pages of its indexes.
pub const SQLITE_CACHE_KIB: u32 = 16 << 10;

/// Page size of a new database in bytes. Compared with SQLite's 4 KiB, fewer pages are split and looked up.
pub const SQLITE_PAGE_BYTES: u32 = 8 << 10;

/// Pages in SQLite's WAL before a checkpoint: pages that many transactions change are then written once.
pub const SQLITE_CHECKPOINT_PAGES: u32 = 4000;

/// Connections for searches of one database: a search takes one, or two if it reads many rows and leaves one for others.
/// More searches wait. Each connection takes a thread and up to one processor.
pub const SEARCH_CONNECTIONS: usize = 4;

/// How long an unused connection of searches stays open: as long as someone may be paging.
pub const SEARCH_IDLE: Duration = Duration::from_secs(30);

/// How long a search waits for a lock of SQLite, which readers seldom meet.
pub const SEARCH_BUSY: Duration = Duration::from_secs(1);

/// Rows of SQLite between its thread and the search.
pub const SEARCH_ROW_BUFFER: usize = 256;

/// KiB of pages that each connection of searches caches.
pub const SEARCH_CACHE_KIB: u32 = 16 << 10;

/// Steps of SQLite's virtual machine after which it checks whether a search was cancelled: well below a millisecond.
pub const SEARCH_PROGRESS_STEPS: i32 = 1000;

/// Sources that a search lists; each takes a look-up in their index. With more, conditions on sources are evaluated row
/// by row.
pub const SEARCH_SOURCES: i64 = 100;

/// Rows of a level or source that a search reads through the index of that column: some tens of milliseconds.
pub const SEARCH_FEW_ROWS: i64 = 10_000;

/// Most blocks of rows in which a search looks for words with one statement.
pub const SEARCH_STEP_BLOCKS: usize = 64;

/// Most blocks whose every row a search reads with one statement: some milliseconds, compared with which preparing the
/// statement costs little.
pub const SEARCH_SCAN_BLOCKS: usize = 4;

/// Rows that a search reads at once while it walks from a record to its neighbours.
pub const SEARCH_PAGE_ROWS: usize = 10_000;

/// Rows of PostgreSQL that a search reads in order before it decides how to read the others: a millisecond or two.
pub const SEARCH_FIRST_ROWS: i64 = if cfg!(test) { 20 } else { 2000 };

/// How long a search of PostgreSQL relies on what it knows about the table: an index that was added is used soon.
pub const SEARCH_KNOWN: Duration = Duration::from_secs(60);

/// Bytes of lines that a search of files reads at once: they fit into the cache of a processor, and a search that was
/// cancelled stops after them.
pub const FILE_BLOCK_BYTES: u64 = if cfg!(test) { 1 << 10 } else { 256 << 10 };

/// Blocks of a compressed file that a search parses before the rest: enough for the newest records of common words.
pub const FILE_LAST_BLOCKS: usize = if cfg!(test) { 2 } else { 16 };

/// Bytes of the longest line that a search of files understands, and of the record that it becomes: a record of the
/// largest size that consists of extensions, of which three bytes take 27 as JSON. An escaped byte takes six.
pub const FILE_LINE_BYTES: usize = 10 << 20;

/// Blocks that are summarised in one file, for searches: few enough that the last group of a growing file is quickly
/// summarised again, and that its words take a few MiB meanwhile. At most the bits of a `u128`.
pub const SUMMARY_BLOCKS: usize = if cfg!(test) { 4 } else { 128 };

/// Blocks of a file from which on it is summarised: fewer are read about as fast as a summary.
pub const SUMMARY_MIN_BLOCKS: usize = if cfg!(test) { 1 } else { 4 };

/// Sources that are counted in a group of blocks. Blocks with others are read for a histogram by source.
pub const SUMMARY_SOURCES: usize = if cfg!(test) { 8 } else { 1000 };

/// Bytes of a group's head that are read: more than the counts of all blocks can take.
pub const SUMMARY_HEAD_BYTES: usize = 16 << 20;

/// Bytes of all summaries of a sink, which is enough for about 60 GB of lines. Those of the oldest files are left out.
pub const SUMMARIES_BYTES: u64 = 2 << 30;

/// How often the files are summarised while they are searched and grow.
pub const SUMMARY_INTERVAL: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };

/// Files that one search holds open.
pub const FILE_SEARCH_OPEN: usize = 64;

/// Buckets in which a histogram counts before it knows its range: enough that the final ones are as wide as asked for.
pub const SEARCH_FINE_BUCKETS: usize = 8192;

/// Sources that a histogram tells apart: each takes up to 8 bytes in each of those buckets, and people look at the most
/// frequent ones alone.
pub const SEARCH_KEYS: usize = 1000;

/// Bytes of a source that a histogram names: longer than any name.
pub const SEARCH_KEY_BYTES: usize = 1024;

/// Levels and sources, as they are in lines, that a histogram of files remembers: a few MiB.
pub const FILE_SEARCH_HEADS: usize = 10_000;

/// Bytes to which SQLite's WAL is truncated after readers have let it grow.
pub const SQLITE_WAL_BYTES: u64 = 64 << 20;

/// How often a sink's maintenance runs while nothing arrives.
pub const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// Chunks of lines queued for a slow terminal.
pub const CONSOLE_QUEUE: usize = 16;

/// How long the console waits for a paused terminal before it drops lines. Pressing Ctrl-S must not fill the journal.
pub const CONSOLE_STALL_TIME: Duration = Duration::from_secs(1);

/// Bytes of a record shown on the console; longer ones are cut with a mark.
pub const CONSOLE_LINE_BYTES: usize = 16 << 10;

/// Bytes of one field's value on the console, about three lines of a wide terminal; longer values are folded.
pub const CONSOLE_VALUE_BYTES: usize = 400;

/// Bytes of a text that are shown even if a folded value has no room left: enough to tell keys apart.
pub const CONSOLE_MIN_BYTES: usize = 24;

/// Multi-line texts of one record on the console: more than fit on a large screen.
pub const CONSOLE_TEXTS: usize = 100;

/// Lines of one stack trace or other multi-line text on the console: as many as fit on a large screen.
pub const CONSOLE_LINES: usize = 100;

/// Default for the records of one PostgreSQL transaction: its fixed cost, mainly the fsync of the commit, is then small
/// compared with its rows.
pub const POSTGRES_BATCH: usize = 5000;

/// Largest `batch` of a `postgres` sink: a runner seldom reads more at once.
pub const POSTGRES_MAX_BATCH: usize = 50_000;

/// Default for how long records wait for more before a PostgreSQL transaction.
pub const POSTGRES_LINGER: Duration = Duration::from_secs(1);

/// How long connecting to PostgreSQL may take: a host that drops packets never answers.
pub const POSTGRES_CONNECT: Duration = Duration::from_secs(10);

/// How long one PostgreSQL statement may take: a COPY of a batch takes well below a second.
pub const POSTGRES_STATEMENT: Duration = Duration::from_secs(30);

/// How long to wait for a lock in PostgreSQL. A session that waits for a table lock blocks all sessions behind it.
pub const POSTGRES_LOCK: Duration = Duration::from_secs(5);

/// How much longer than a statement a whole transaction may take before the server is considered down.
pub const POSTGRES_GRACE: Duration = Duration::from_secs(10);

/// Bytes of rows sent to PostgreSQL at once: the server reads them while the next rows are encoded.
pub const POSTGRES_COPY_BYTES: usize = 128 << 10;

/// Maximum length of a name in PostgreSQL, which silently truncates longer ones.
pub const POSTGRES_NAME_BYTES: usize = 63;

/// Days in the past for which partitions are created if there is no retention: enough to import ten years of archives.
pub const POSTGRES_DAYS_BACK: i64 = 3653;

/// Days in the future for which partitions are created: beyond any time zone or slow clock, and few enough to do no
/// harm.
pub const POSTGRES_DAYS_AHEAD: i64 = 7;

/// Rows deleted by one statement of PostgreSQL's retention: takes some tens of milliseconds.
pub const POSTGRES_RETENTION_ROWS: u64 = 5000;

/// Default for how long connecting to a server may take: a few attempts over a lossy line.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Default for how long a request may take, answer included: a delivery and its retry then share a minute on a busy
/// server.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// Default for how long records wait for more before they are posted: a request costs a round trip.
pub const POST_LINGER: Duration = Duration::from_secs(1);

/// Default for the records of one request: a few hundred KiB, which every server accepts.
pub const POST_RECORDS: usize = 1000;

/// Largest `batch` that can be configured: a request is held in memory as a whole.
pub const MAX_POST_RECORDS: usize = 100_000;

/// Default for the bytes of one body before compression: most servers accept more.
pub const POST_BYTES: u64 = 5 << 20;

/// Largest `max_body` that can be configured, before compression: a body is held in memory.
pub const MAX_POST_BYTES: u64 = 64 << 20;

/// Bytes of one Datadog request before compression. The documented limit is 5 MB, without saying whether decimal or
/// binary.
pub const DATADOG_BYTES: usize = 5_000_000;

/// Entries of one Datadog request: Datadog's limit.
pub const DATADOG_ENTRIES: usize = 1000;

/// Bytes of one entry as JSON: Datadog truncates longer entries at an arbitrary place.
pub const DATADOG_ENTRY_BYTES: usize = 1_000_000;

/// Bytes of a service, host or tag in an entry that is too long; Datadog truncates tags at 200 characters.
pub const DATADOG_LABEL_BYTES: usize = 200;

/// Names of omitted fields that an entry lists.
pub const DATADOG_NAMES_LEFT_OUT: usize = 20;

/// Blocks of one Slack message: Slack's limit.
pub const SLACK_BLOCKS: usize = 50;

/// Characters of a section's text: Slack's limit.
pub const SLACK_SECTION_CHARS: usize = 3000;

/// Characters of all records' messages in one Slack message: more would fill the screen during an incident.
pub const SLACK_MESSAGE_CHARS: usize = 12_000;

/// Characters of the other fields that a section shows.
pub const SLACK_FIELDS_CHARS: usize = 400;

/// Characters of a source in a section.
pub const SLACK_SOURCE_CHARS: usize = 100;

/// Default for the distinct kinds of record that one Slack message shows.
pub const SLACK_GROUPS: usize = 20;

/// Distinct kinds of record that one Slack message can show: one block each, besides one for the heading and one for
/// the rest.
pub const MAX_SLACK_GROUPS: usize = SLACK_BLOCKS - 2;

/// Records that one Slack message summarises by default.
pub const SLACK_RECORDS: usize = 10_000;

/// Default time from one Slack message to the next: Slack accepts one per second.
pub const SLACK_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time between two Slack messages that can be configured: a delivery waits for it, and so does stopping.
pub const MAX_SLACK_INTERVAL: Duration = Duration::from_secs(3600);

/// Messages that a NATS sink sends before it waits for their acknowledgements: enough to hide the round trip, few
/// enough that little is sent again after a failure.
pub const NATS_IN_FLIGHT: usize = 2048;

/// Default for how long the `postgres` sink remembers values of `unique`: longer than a bus takes to deliver a message again.
pub const POSTGRES_UNIQUE_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Such values that one statement forgets.
pub const POSTGRES_FORGET_ROWS: i64 = 5_000;

/// Default for the time limit of NATS operations: longer than a stalled disk needs, short enough to notice a dead
/// server.
pub const NATS_TIMEOUT: Duration = Duration::from_secs(10);

/// Duplicate window of a stream created by Weir: longer than restarting or upgrading a server takes.
pub const NATS_DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// Bytes of one value substituted into a subject; servers are slow with subjects beyond a few hundred bytes.
pub const SUBJECT_VALUE_BYTES: usize = 100;

/// Points in one request to InfluxDB: its documentation recommends 5,000 lines.
pub const INFLUX_POINTS: usize = 5000;

/// How long points wait for more: dashboards don't refresh more often.
pub const INFLUX_LINGER: Duration = Duration::from_secs(1);

/// Bytes of a name or tag value of a point; InfluxDB accepts 64 KiB for a series' name with all its tags.
pub const INFLUX_NAME_BYTES: usize = 1024;

/// Bytes of a point's line: more than a record of the largest size needs, unless its numbers are in maps with long names,
/// which each of them repeats.
pub const INFLUX_LINE_BYTES: usize = 4 << 20;

/// Bytes of lines, before compression, from which on they are sent: far below InfluxDB's own limit of 25 MB, and more
/// than a usual delivery has.
pub const INFLUX_BODY_BYTES: usize = 8 << 20;

/// Depth of nested maps that are searched for numbers.
pub const INFLUX_DEPTH: usize = 16;

/// Fields that are warned about by name, so that a sender with endless names doesn't exhaust the memory.
pub const INFLUX_WARNED_FIELDS: usize = 1000;

/// Difference between the numbers of neighbouring frames, which keep points of one tick apart: about the golden ratio
/// of a million, so that hundreds of consecutive frames are as far apart as possible, and coprime to the ticks.
pub const INFLUX_FRAME_STEP: u64 = 618_033;

/// The measurement of a log without a value at the path of its name.
pub const INFLUX_MEASUREMENT: &str = "logs";

/// Default for the series of one rule: more than labels with a few values need, few enough to scrape.
pub const SERIES: usize = 1000;

/// Most series that a rule may configure; each costs some hundred bytes here and much more in Prometheus.
pub const MAX_SERIES: usize = 100_000;

/// Labels of one metric.
pub const LABELS: usize = 16;

/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES: usize = 128;

/// Buckets of a histogram; each one is a series in Prometheus.
pub const MAX_BUCKETS: usize = 64;

/// Default upper bounds of a histogram's buckets in seconds, as in Prometheus's own clients.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Records that are erased from a database in one transaction: a fraction of a second, after which an erasure may stop.
pub const ERASE_PAGE: usize = if cfg!(test) { 7 } else { 2000 };

/// How long an erasure waits for a sink to end its current delivery, of which it may still have records in memory.
pub const ERASE_HOLD: Duration = Duration::from_secs(60);

/// Erasures that a sink remembers, to leave out copies of records that a failing sink had read from the journal before.
/// Such a copy is on its way for seconds.
pub const REMEMBERED_ERASURES: usize = 64;

/// Bytes that are written at once into free pages of a database, to overwrite what was in them.
pub const SQLITE_SCRUB_BYTES: u64 = if cfg!(test) { 64 << 10 } else { 16 << 20 };

/// Pages of the search index that are merged per transaction after rows were erased: a fraction of a second.
pub const SQLITE_MERGE_PAGES: i64 = 2000;

/// How long an erasure waits for readers of a database, which keep SQLite from emptying its WAL. A search ends by then.
pub const SQLITE_READERS: Duration = Duration::from_secs(40);
