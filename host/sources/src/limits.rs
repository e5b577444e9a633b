//! The limits of sources.

use std::time::Duration;

/// Records that are delivered at once, at most: enough to share the cost of an fsync.
pub const BATCH_RECORDS: usize = 1_000;

/// Bytes of records that are delivered at once; the last record may exceed it.
pub const BATCH_BYTES: usize = 512 << 10;

/// The pause before records that the router has no room for are offered again; it doubles up to the next.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);

/// The longest of these pauses.
pub const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// Log lines about records that have to wait: one per source in this time.
pub const WAITING_LINE: Duration = Duration::from_secs(10);

/// Bytes of a position.
pub const MAX_POSITION_BYTES: usize = 64 << 10;

/// Default for the time limit of NATS operations: longer than a stalled disk needs, short enough to notice a dead server.
pub const NATS_TIMEOUT: Duration = Duration::from_secs(10);

/// Default for `ack_wait`: longer than a restart takes, or a stalled disk needs.
pub const NATS_ACK_WAIT: Duration = Duration::from_secs(30);

/// The shortest `ack_wait`: storing a batch takes longer than less.
pub const NATS_MIN_ACK_WAIT: Duration = Duration::from_secs(1);

/// Messages of a consumer that may be on their way to routers: enough for several.
pub const NATS_PENDING: i64 = 20_000;

/// Bytes of messages that a consumer is asked for at once; half as many more may be on their way. More than the 64 MiB
/// that a message may have at most: a larger one would never be sent.
pub const NATS_PULL_BYTES: usize = 65 << 20;

/// Bytes of messages of plain subjects that wait to be stored: as many as a server keeps for a client that reads too
/// slowly, unless configured otherwise.
pub const NATS_WAITING_BYTES: usize = 64 << 20;

/// Runs of messages that one router remembers, of a stream that several share: 16 bytes each, in every frame.
pub const NATS_RANGES: usize = 1_000;

/// Default for the time limit of a connection to a broker of Kafka, or of an answer: as for NATS.
pub const KAFKA_TIMEOUT: Duration = Duration::from_secs(10);

/// Default for how long a member of a group may be silent: a dead router's partitions wait for so long, and a stalled
/// disk must not cost a living one its partitions.
pub const KAFKA_SESSION: Duration = Duration::from_secs(10);

/// The shortest of these times. Most clusters allow no less than 6 s.
pub const KAFKA_MIN_SESSION: Duration = Duration::from_secs(1);

/// How long the members of a group may take to join again: longer than any of them needs to store what it has read.
pub const KAFKA_REBALANCE: Duration = Duration::from_secs(60);

/// How long a member stores what it has read before it joins again. Less than the others wait.
pub const KAFKA_LAST: Duration = Duration::from_secs(30);

/// How long a source that is to stop may store what it has read, commit and leave its group. Less than the router waits.
pub const KAFKA_LEAVE: Duration = Duration::from_secs(5);

/// Attempts to join a group whose members change meanwhile.
pub const KAFKA_JOINS: usize = 10;

/// How often offsets are committed: what routers that take over read again.
pub const KAFKA_COMMIT: Duration = Duration::from_secs(1);

/// How often new topics and partitions are looked for.
pub const KAFKA_REFRESH: Duration = Duration::from_secs(30);

/// The pause before the leaders of partitions are looked for again: electing one takes a moment.
pub const KAFKA_MOVED: Duration = Duration::from_millis(200);

/// The same for partitions that have none.
pub const KAFKA_LEADERLESS: Duration = Duration::from_secs(1);

/// How long the other brokers are read on when one has failed.
pub const KAFKA_TOGETHER: Duration = Duration::from_secs(5);

/// How long a broker may wait for messages before it answers.
pub const KAFKA_WAIT: Duration = Duration::from_millis(500);

/// Bytes that a broker is asked for at once, and of one partition: thousands of messages, so that asking costs little. Two
/// answers of each broker are in memory. A broker sends a larger batch nevertheless.
pub const KAFKA_FETCH_BYTES: i32 = 4 << 20;
pub const KAFKA_PARTITION_BYTES: i32 = 1 << 20;

/// Bytes of any answer: far more than brokers accept from producers as one batch (1 MiB by default).
pub const KAFKA_ANSWER_BYTES: usize = 64 << 20;

/// Bytes of a batch without its compression.
pub const KAFKA_BATCH_BYTES: usize = 64 << 20;

/// Bytes of the name of a topic, as Kafka limits them, and of a group.
pub const KAFKA_NAME_BYTES: usize = 249;

/// Rounds of SCRAM that a broker may ask for: half a second's work. Usual are 4,096 to 16,384.
pub const KAFKA_SCRAM_ROUNDS: u32 = 1 << 20;

/// Files of a source of type `file`; each takes about 2 KiB of memory.
pub const FILES: usize = 20_000;

/// Files that a source keeps open, so that what is written after they were deleted is read, too. Far below the usual
/// limit of a process, and enough for the files that are written at the same time.
pub const OPEN_FILES: usize = 1_000;

/// How deep folders are looked into.
pub const FOLDER_DEPTH: usize = 32;

/// Patterns that one with `{a,b}` may stand for.
pub const ALTERNATIVES: usize = 100;

/// How often open files are looked at: the delay of a line, and the fsyncs of a file that is written all the time.
pub const POLL: Duration = Duration::from_millis(250);

/// How often files are looked for, unless the configuration says otherwise.
pub const SCAN: Duration = Duration::from_secs(1);

/// The most often that files are looked for: listing large folders takes time.
pub const SHORTEST_SCAN: Duration = Duration::from_millis(100);

/// How long a file that was renamed or deleted is read without a change: programs open the new one some time later.
pub const LEAVING: Duration = Duration::from_secs(5);

/// How long a position is kept after its file is gone: until then, its content may come back compressed, or a network
/// file system be away.
pub const GONE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Positions of files that are gone, at most; the oldest are deleted first.
pub const GONE_FILES: usize = 10_000;

/// Positions that are stored at once without records.
pub const POSITIONS: usize = 1_000;

/// Bytes of a line, unless the configuration says otherwise.
pub const LINE_BYTES: u64 = 256 << 10;

/// The smallest and the largest limit of a line: a record has at most 1 MiB.
pub const SHORTEST_LINE_BYTES: u64 = 64;
pub const LONGEST_LINE_BYTES: u64 = 1 << 20;

/// How long a line without an end is waited for: longer than a program that writes whole blocks usually needs for the next.
pub const PARTIAL_LINE: Duration = Duration::from_secs(600);

/// How long the lines of a record may be apart: they are usually written at once.
pub const GROUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Lines of a record: more than the deepest stack traces have.
pub const GROUP_LINES: usize = 500;

/// Files whose errors are remembered, so that each is said once.
pub const COMPLAINTS: usize = 1_000;

/// Bytes behind at which a file gets a gauge of its own, and how many do.
pub const FAR_BEHIND: u64 = 1 << 20;
pub const GAUGES: usize = 100;

/// Bytes that are read from a pipe at once: what a pipe holds.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Bytes of a line; a longer one becomes several records. Half of them may be invalid, each of which takes three bytes in
/// a record of at most 1 MiB.
pub const MAX_LINE_BYTES: usize = 256 << 10;

/// Chunks of standard input that are read ahead, while earlier ones become durable.
pub const STDIN_CHUNKS: usize = 8;

/// At a stop, what arrives on standard input within this time of each other is still read: an application that got the
/// same Ctrl-C says why it ends.
pub const STDIN_QUIET: Duration = Duration::from_secs(1);

/// But for no longer than this.
pub const STDIN_LAST: Duration = Duration::from_secs(2);

/// At a stop, a command gets SIGTERM, and after this time SIGKILL. Less than the router waits for a source.
pub const COMMAND_STOP: Duration = Duration::from_secs(5);

/// How long the output of a command is read that has ended, while processes that it has started still have it.
pub const COMMAND_LINGER: Duration = Duration::from_secs(1);

/// The shortest interval at which a command is run: starting a process takes milliseconds.
pub const COMMAND_INTERVAL: Duration = Duration::from_millis(100);

/// Bytes of an entry of systemd's journal; its last field may exceed it. Half of what a record may have.
pub const MAX_ENTRY_BYTES: usize = 512 << 10;

/// Bytes of the name of one of its fields: four times what systemd allows.
pub const MAX_FIELD_NAME_BYTES: usize = 256;

/// Bytes of the error of a program that are reported.
pub const MAX_ERROR_BYTES: u64 = 1 << 10;

/// Bytes of one entry of a container's log: far more than the 16 KiB at which the engine splits lines.
pub const MAX_FRAME_BYTES: usize = 2 << 20;

/// Bytes of an answer of the Docker engine that is read whole: a list of a few thousand containers.
pub const MAX_ENGINE_ANSWER: usize = 32 << 20;

/// How long it may take to answer. Busy engines have been seen to need seconds.
pub const ENGINE_ANSWER: Duration = Duration::from_secs(30);

/// Containers that are read at a time: each takes a connection, and a file in the engine.
pub const DOCKER_CONTAINERS: usize = 4_096;

/// Bytes of the parts into which engines split a line, but for the last: Docker, containerd and CRI-O.
pub const CONTAINER_PART_BYTES: usize = 16 << 10;

/// Bytes of a container's log file within which an incomplete line is waited for: four of the longest lines.
pub const OPEN_LINE_BYTES: usize = 1 << 20;

/// Nanoseconds by which the times of a container's entries may be out of order: its streams are read by different threads.
pub const DOCKER_WINDOW: i64 = 2_000_000_000;

/// Entries within that time that are remembered, 16 bytes each. Beyond it, the time is shorter.
pub const DOCKER_WINDOW_ENTRIES: usize = 16_384;

/// Routes that a container's label gives its records, and bytes of each; those of a configuration have the same limits.
pub const ROUTES: usize = 16;
pub const ROUTE_BYTES: usize = 256;

/// How long complete lines wait for the rest of an incomplete one, which the engine has split. It writes all parts at once.
pub const CONTAINER_PART: Duration = Duration::from_secs(1);

/// The pause before a container is tried again that can't be read; it doubles up to the next.
pub const DOCKER_RETRY_FIRST: Duration = Duration::from_millis(50);

/// The longest of these pauses.
pub const DOCKER_RETRY_LONGEST: Duration = Duration::from_secs(10);

/// Default for the time limit of connecting to Redis or MQTT and of an answer, for the same reasons as that of NATS.
pub const BUS_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes that are read of a value of a message: more than a record may have, so that what is cut goes to quarantine.
pub const BUS_VALUE_BYTES: usize = 2 << 20;

/// How long a read from Redis waits for new entries, before others are looked for that dead consumers have left.
pub const REDIS_WAIT: Duration = Duration::from_secs(5);

/// The shortest `take_over`: storing a batch takes longer than less.
pub const REDIS_MIN_TAKE_OVER: Duration = Duration::from_secs(1);

/// Runs of entries that one router remembers, of a stream that several share: 32 bytes each, in every frame.
pub const REDIS_RANGES: usize = 1_000;

/// Bytes of a reply of Redis that are kept; a larger one is read again in smaller parts.
pub const REDIS_REPLY_BYTES: usize = 64 << 20;

/// The largest length that a reply may name: what Redis itself allows for a value.
pub const REDIS_LENGTH: usize = 512 << 20;

/// Bytes of a line of a reply: errors repeat parts of commands.
pub const REDIS_LINE_BYTES: u64 = 64 << 10;

/// How deep the lists of a reply may nest. Those of streams have four levels.
pub const REDIS_DEPTH: usize = 8;

/// The interval within which an MQTT server gets a packet, in seconds; half of it while nothing else is sent.
pub const MQTT_KEEP_ALIVE_SECONDS: u16 = 60;

/// Messages that an MQTT server sends before they are acknowledged: a batch. Version 3.1.1 can't say so to the server.
pub const MQTT_IN_FLIGHT: u16 = 1_000;

/// Bytes of a topic: 64 of them fit into a position; MQTT itself allows 65,535.
pub const MQTT_TOPIC_BYTES: usize = 512;

/// How long a stop waits until an MQTT server has read the last acknowledgements. Less than the router waits for a source.
pub const MQTT_GOODBYE: Duration = Duration::from_secs(2);
