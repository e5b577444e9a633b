//! Every bound of this crate, with its unit and its reason.

use std::time::Duration;

/// Bytes of journal payload that one round of a sink takes: large enough that a write or a transaction is worth its
/// fixed cost, small enough that a lagging sink costs a few MiB of memory.
pub const ROUND_BYTES: usize = 4 << 20;

/// First wait after a failed delivery.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(1);

/// Longest wait between two attempts: a server that is back is used again within half a minute.
pub const BACKOFF_LAST: Duration = Duration::from_secs(30);

/// Longest wait that a server may ask for: a slip there must not silence a sink for days.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How often it is looked whether a sink with a fallback fails, or works again.
pub const FALLBACK_LOOK: Duration = Duration::from_millis(200);

/// How long a sink may take for records in another's place before the next is asked.
pub const FALLBACK_ANSWER: Duration = Duration::from_secs(15);

/// Records a second that are shown on standard error when no fallback takes them: enough to see what they are.
pub const STDERR_RECORDS: u32 = 10;

/// How long delivered data may be volatile in a sink that syncs in groups. The journal keeps it until then.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long a stopping sink may go on delivering what waits before it gives up and says what is pending.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

/// How long one flush may take while stopping.
pub const FLUSH_TIME: Duration = Duration::from_secs(10);

/// Bytes of an error kept in the status and the log; a server's whole error page helps nobody.
pub const ERROR_BYTES: usize = 1024;

/// Bytes of a server's answer that are read: the reason of a refusal stands at its beginning.
pub const ANSWER_BYTES: usize = 64 << 10;

/// Files a file sink holds open when the options don't say: well below the usual limit of 1,024 descriptors.
pub const OPEN_FILES: usize = 64;

/// Files that may be written between two positions; more force a position, which bounds the position record.
pub const LISTED_FILES: usize = 4096;

/// Bytes of one value substituted into a path.
pub const PATH_VALUE_BYTES: usize = 100;

/// Bytes of one component of a path: file systems take 255, and rotation and compression append up to 45.
pub const PATH_COMPONENT_BYTES: usize = 200;

/// Times for which it is looked whether two paths are the same, in nanoseconds since 1970 UTC: of different years,
/// months, days, hours and minutes.
pub const SAMPLE_TIMES_NS: [i64; 3] = [951_827_696_000_000_000, 1_700_000_000_000_000_000, 1_764_371_111_000_000_000];

/// Steps in finding where a path leads: components that are not there, and symbolic links.
pub const PATH_STEPS: usize = 256;

/// Bytes of lines that a file sink gathers before it writes them: large enough that a write costs little beside its
/// copy, small enough that lines are still in the processor's cache when they are written.
pub const FILE_PASS_BYTES: usize = 256 << 10;

/// Distinct paths remembered by a file sink, so that a path is rendered once and not for every record.
pub const REMEMBERED_PATHS: usize = 4096;

/// How often rotated files are compressed, counted and aged when nothing rotates.
pub const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Files that a sink of an older version, which kept no list of them, is looked for: a bound on the walk through a
/// folder of unknown size.
pub const TAKEN_UP_FILES: usize = 100_000;

/// Lines without a file in the list of a sink's files, from which on it is written anew.
pub const LEDGER_SLACK: usize = 1000;

/// Files that values of records may make for a sink on one day, when the options don't say: more than there are
/// services or tenants anywhere, and few enough for a folder and a person.
pub const NEW_FILES: usize = 10_000;

/// Width a field of a text template may ask for.
pub const TEMPLATE_WIDTH: usize = 1000;

/// Records in one SQLite transaction, when so many wait: each transaction writes every page it has touched, and gives
/// the search index another segment to merge; this many take a fraction of a second.
pub const TRANSACTION_RECORDS: usize = 20_000;

/// Rows in one INSERT statement. SQLite takes at most 32,766 parameters; against 16 rows, 64 saved
/// a quarter of the processor time and 256 saved over a third.
pub const INSERT_ROWS: usize = 256;

/// How long SQLite waits for another process's lock before the delivery counts as failed and is retried.
pub const SQLITE_BUSY: Duration = Duration::from_secs(5);

/// Rows deleted by one step of SQLite's retention, so that no delivery waits long for it.
pub const RETENTION_ROWS: u32 = 2000;

/// Milliseconds that one turn of SQLite's retention may take; what is left waits for the next delivery.
pub const RETENTION_MS: u64 = 200;

/// Rows added to SQLite's search index in one transaction when it is built anew: enough that merging costs little, few
/// enough that a stop waits no longer than a fraction of a second.
pub const SQLITE_INDEX_ROWS: u32 = 5000;

/// How often the log says how far the building of SQLite's search index is.
pub const SQLITE_INDEX_NEWS: Duration = Duration::from_secs(5);

/// KiB of pages that SQLite keeps in memory: the inner pages of its indexes, mostly.
pub const SQLITE_CACHE_KIB: u32 = 16 << 10;

/// Bytes of a page of a new database. Against SQLite's 4 KiB fewer pages are split and looked up.
pub const SQLITE_PAGE_BYTES: u32 = 8 << 10;

/// Pages in SQLite's WAL before they move into the database: pages that many transactions change are then
/// written once.
pub const SQLITE_CHECKPOINT_PAGES: u32 = 4000;

/// Bytes that SQLite's WAL is cut back to after readers have let it grow.
pub const SQLITE_WAL_BYTES: u64 = 64 << 20;

/// How often a sink may look after itself when nothing comes.
pub const TEND_EVERY: Duration = Duration::from_secs(10);

/// Console lines that wait for a slow terminal.
pub const CONSOLE_QUEUE: usize = 16;

/// How long the console waits for a terminal that stands still before it leaves lines out. The journal must not fill
/// because somebody pressed Ctrl-S.
pub const CONSOLE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes of a record shown on the console; the rest is cut with a mark.
pub const CONSOLE_LINE_BYTES: usize = 16 << 10;

/// Bytes of one field's value on the console, about three lines of a wide terminal; the rest is folded.
pub const CONSOLE_VALUE_BYTES: usize = 400;

/// Bytes of a text that are shown even where a folded value has no room left: enough to tell keys apart.
pub const CONSOLE_LEAST_BYTES: usize = 24;

/// Lines of one stack trace, or other text with lines, on the console: as many as a large screen has.
pub const CONSOLE_LINES: usize = 100;

/// Records in one PostgreSQL transaction: its fixed cost, a commit's fsync above all, is then small beside its rows'.
pub const POSTGRES_BATCH: usize = 5000;

/// Most that the options may ask for: a round of the runner seldom has more.
pub const POSTGRES_BATCH_MOST: usize = 50_000;

/// How long records wait until enough for a PostgreSQL transaction have come together.
pub const POSTGRES_LINGER: Duration = Duration::from_secs(1);

/// How long connecting to PostgreSQL may take: a host that drops packets never answers.
pub const POSTGRES_CONNECT: Duration = Duration::from_secs(10);

/// How long one statement of PostgreSQL may take: a COPY of a batch takes well below a second.
pub const POSTGRES_STATEMENT: Duration = Duration::from_secs(30);

/// How long to wait for a lock in PostgreSQL. Who waits for a table makes others wait behind.
pub const POSTGRES_LOCK: Duration = Duration::from_secs(5);

/// How much longer than a statement a whole transaction may take before the server counts as gone.
pub const POSTGRES_GRACE: Duration = Duration::from_secs(10);

/// Bytes of rows that go to PostgreSQL at a time: it reads them while the next are made.
pub const POSTGRES_COPY_BYTES: usize = 128 << 10;

/// Bytes of a name in PostgreSQL, which cuts longer ones silently.
pub const POSTGRES_NAME_BYTES: usize = 63;

/// Days back for which a partition is made when there is no retention: ten years of archives can be taken in.
pub const POSTGRES_DAYS_BACK: i64 = 3653;

/// Days ahead for which a partition is made: beyond any time zone or slow clock, and few enough to be no harm.
pub const POSTGRES_DAYS_AHEAD: i64 = 7;

/// Rows deleted by one statement of PostgreSQL's retention: some tens of milliseconds.
pub const POSTGRES_RETENTION_ROWS: u64 = 5000;

/// How long a connection to a server may take to be made, when the options don't say: over a lossy line a few attempts.
pub const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long a request may take until its answer has come, when the options don't say: a busy server's minute is
/// shared by a delivery and its repetition.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long records wait for more before they are posted, when the options don't say: a request costs a round trip.
pub const POST_LINGER: Duration = Duration::from_secs(1);

/// Records of one request when the options don't say: a few hundred KiB, which servers take without complaint.
pub const POST_RECORDS: usize = 1000;

/// Records of one request at most, whatever the options say: a request is held in memory as a whole.
pub const MOST_POST_RECORDS: usize = 100_000;

/// Bytes of one request's body before compression, when the options don't say: most servers' own bounds are higher.
pub const POST_BYTES: u64 = 5 << 20;

/// Bytes of one request's body before compression that options may ask for: it is held in memory.
pub const MOST_POST_BYTES: u64 = 64 << 20;

/// Bytes of one Datadog request before compression. Their bound is 5 MB; nobody says whose megabytes.
pub const DATADOG_BYTES: usize = 5_000_000;

/// Entries of one Datadog request: their bound.
pub const DATADOG_ENTRIES: usize = 1000;

/// Bytes of one entry as JSON: Datadog cuts what is longer, in the middle of whatever stands there.
pub const DATADOG_ENTRY_BYTES: usize = 1_000_000;

/// Bytes of a service, host or tag in an entry that is too long as a whole; Datadog cuts tags at 200 characters.
pub const DATADOG_LABEL_BYTES: usize = 200;

/// Names of fields that an entry lists as left out.
pub const DATADOG_NAMES_LEFT_OUT: usize = 20;

/// Blocks of one Slack message: their bound.
pub const SLACK_BLOCKS: usize = 50;

/// Characters of a section's text: Slack's bound.
pub const SLACK_SECTION_CHARS: usize = 3000;

/// Characters of one message's messages together: more would fill a screen that people read while something burns.
pub const SLACK_MESSAGE_CHARS: usize = 12_000;

/// Characters of the other fields that a section shows.
pub const SLACK_FIELDS_CHARS: usize = 400;

/// Characters of a source in a section.
pub const SLACK_SOURCE_CHARS: usize = 100;

/// Distinct kinds of record that one Slack message shows, when the options don't say.
pub const SLACK_GROUPS: usize = 20;

/// Distinct kinds of record that one Slack message can show: a block each, beside one for the heading and one for the
/// rest.
pub const MOST_SLACK_GROUPS: usize = SLACK_BLOCKS - 2;

/// Records that one Slack message speaks for, when the options don't say.
pub const SLACK_RECORDS: usize = 10_000;

/// Time from one Slack message to the next, when the options don't say: Slack takes one a second.
pub const SLACK_INTERVAL: Duration = Duration::from_secs(1);

/// Longest time between two Slack messages that options may ask for: a delivery waits for it, and so does a stop.
pub const MOST_SLACK_INTERVAL: Duration = Duration::from_secs(3600);

/// Messages that a NATS sink sends before it waits for their acknowledgements: enough to hide a round trip behind the
/// work, few enough that little is sent again after a failure.
pub const NATS_IN_FLIGHT: usize = 2048;

/// How long a NATS server may take for anything when the options don't say: longer than its disk stalls, shorter than
/// anybody's patience.
pub const NATS_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a NATS server is asked whether it is there while nothing is sent.
pub const NATS_PING: Duration = Duration::from_secs(20);

/// How long a stream made for Weir remembers ids: longer than a server takes to restart or to be upgraded.
pub const NATS_DUPLICATE_WINDOW: Duration = Duration::from_secs(600);

/// Bytes of one value substituted into a subject; servers are slow with subjects beyond a few hundred.
pub const SUBJECT_VALUE_BYTES: usize = 100;

/// Points in one request to InfluxDB: its makers advise 5,000 lines.
pub const INFLUX_POINTS: usize = 5000;

/// How long points wait for more: nobody looks at metrics more often.
pub const INFLUX_LINGER: Duration = Duration::from_secs(1);

/// Bytes of a name or tag value of a point; InfluxDB takes 64 KiB for a series' name with all its tags.
pub const INFLUX_NAME_BYTES: usize = 1024;

/// Maps inside maps that are searched for numbers.
pub const INFLUX_DEPTH: usize = 16;

/// Fields that are warned about by name, so that a sender with endless names doesn't fill the memory.
pub const INFLUX_WARNED_FIELDS: usize = 1000;

/// How far apart the numbers of neighbouring frames are, which keep points of one tick apart: about the golden section of
/// a million, so that some hundreds of frames in a row lie as far from each other as can be, and without a divisor in
/// common with the ticks.
pub const INFLUX_FRAME_STEP: u64 = 618_033;

/// The measurement of a log that has nothing where its name should stand.
pub const INFLUX_MEASUREMENT: &str = "logs";

/// Series of one rule when the options don't say: more than labels with a few values make, few enough to scrape.
pub const SERIES: usize = 1000;

/// Most series that a rule may ask for; each costs some hundred bytes here and much more in Prometheus.
pub const MOST_SERIES: usize = 100_000;

/// Labels of one metric.
pub const LABELS: usize = 16;

/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES: usize = 128;

/// Buckets of a histogram; each is a series to Prometheus.
pub const MOST_BUCKETS: usize = 64;

/// Upper bounds of a histogram's buckets when the options don't say, in seconds: those that Prometheus's own clients have.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
