//! End-to-end tests: the built binary, over loopback, with real clients and the files that it writes.
//!
//! | file | what it guarantees |
//! |---|---|
//! | `router.rs` | (not a test) starts a router in its own folder, and always ends it |
//! | `clients.rs` | (not a test) curl, the sqlite3 shell, Python's requests, promtool |
//! | `first_minutes.rs` | the first steps of a new user work, and no secret reaches the disk |
//! | `access.rs` | tokens, roles and scopes on every route; sessions, tickets, audit records |
//! | `answers.rs` | the answers to senders: good, bad, too large, unreadable |
//! | `attacks.rs` | hostile senders: each costs little, and others are served |
//! | `api.rs` | searches over HTTP and with `weir query` |
//! | `buses.rs` | messages of a bus are stored once, whoever is killed, and however many routers share them |
//! | `kafka.rs` | messages of Kafka topics are stored once, whoever is killed, and however many routers share a group |
//! | `sources.rs` | sources are added, changed and removed while the router runs; the demonstration |
//! | `chain.rs` | five bundled filters work together in one chain |
//! | `changes.rs` | the JavaScript and Python SDKs send back exactly a filter's changes |
//! | `lines.rs` | log lines become records: the filters that parse, validate, measure and sample them |
//! | `limits.rs` | limits of addresses and tokens: refusals, reloads, and that others don't notice |
//! | `live.rs` | the live stream, as real clients get it: exact, resumable, contained |
//! | `local_sources.rs` | standard input, commands, and applications under `weir exec`: nothing lost, nothing left over |
//! | `journald.rs` | the journal of systemd through the real `journalctl`: every entry once |
//! | `docker.rs` | containers of a real Docker engine: every line that it kept, once |
//! | `shippers.rs` | unmodified clients of other systems, one file for each protocol |
//! | `small_clients.rs` | the clients of `examples/clients` against a router that is up, away, hung or killed |
//! | `metrics.rs` | Prometheus's own tool accepts `/metrics` |
//! | `kill.rs` | kill -9 under load: acknowledged records are stored exactly once |
//! | `oracle.rs` | held records under kills, stops, swaps, reloads, a full journal: acknowledged = delivered, once |
//! | `control.rs` | the pipeline, versions of filters, the quarantine and levels over HTTP |
//! | `delivery.rs` | every sink with its server, killed and stopped under load: nothing is lost, order is kept |
//! | `stop.rs` | a stop first does what was promised, and reports what it leaves unfinished |
//! | `swap.rs` | filters replaced under load: nothing is lost or repeated |
//! | `canary.rs` | canaries of new versions, and rollback to an older one |
//! | `repeats.rs` | requests with a key arrive once, however often they are sent |
//! | `rights.rs` | a filter sees and changes only what the configuration allows |
//! | `hostile.rs` | hostile filters are contained |
//! | `signatures.rs` | with trusted keys, only signed filters come in, whichever way they take |
//! | `secrets.rs` | no secret of a configuration is shown, anywhere |
//! | `reload.rs` | a changed configuration is loaded; an invalid one changes nothing |
//! | `permissions.rs` | stored files are readable only by their owner, whatever the umask |
//! | `encryption.rs` | encryption on disk: nothing readable, keys changed, missing keys |
//! | `file_source.rs` | the source `file`: rotation and kills, reloads, files that are hard to read |
//! | `files.rs` | a file has one sink and a data folder one location, even if sinks are renamed and folders copied |
//! | `disk.rs` | a full disk, a damaged journal: a clear error, and nothing is lost |
//! | `quarantine.rs` | quarantined records can be listed and replayed |
//! | `search.rs` | the system's SQLite shell and Python can read the search index; an old index is replaced |
//! | `sinks.rs` | sinks chosen by the environment, with fallbacks, listed, sent records again |
//! | `commands.rs` | the other commands and their help |
//! | `filter_test.rs` | test cases, fuzzing and comparison of filters; parsers accept the reports for CI |
//! | `erase.rs` | erased records are in no file any more, whatever happens meanwhile; everything else is, once |
//! | `examples.rs` | the examples run |
//! | `helpers.rs` | the SDKs in `guest-sdk/`, completely; WASI as Go and C see it |
//! | `languages.rs` | every language: from an empty folder to a filter that keeps running |
//! | `docs.rs` | the files, commands and options that the documentation names exist |
//! | `docs_configuration.rs` | the configurations in the documentation are valid, and the keys that it names exist |
//! | `page.rs` | the page in a real browser: watching, searching, logging in |
//! | `pages.rs` | (not a test) the links, names and code blocks of a Markdown file |
//! | `tls.rs` | TLS as real clients see it: versions, certificates and their replacement, client certificates |
//! | `house.rs` | the layout: dependencies between crates, a `//!` head in every module |

mod access;
mod answers;
mod api;
mod attacks;
mod buses;
mod canary;
mod chain;
mod changes;
mod clients;
mod commands;
mod control;
mod delivery;
mod disk;
mod docker;
mod docs;
mod docs_configuration;
mod encryption;
mod erase;
mod examples;
mod file_source;
mod files;
mod filter_test;
mod first_minutes;
mod helpers;
mod hostile;
mod house;
mod journald;
mod kafka;
mod kill;
mod languages;
mod limits;
mod lines;
mod live;
mod local_sources;
mod metrics;
mod oracle;
mod page;
mod pages;
mod permissions;
mod quarantine;
mod reload;
mod repeats;
mod rights;
mod router;
mod search;
mod secrets;
#[path = "../servers/mod.rs"]
mod servers;
mod shippers;
mod signatures;
mod sinks;
mod small_clients;
mod sources;
mod stop;
mod swap;
mod tls;
