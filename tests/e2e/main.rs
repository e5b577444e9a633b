//! End to end: the built binary, over loopback, with real clients and the files it leaves behind.
//!
//! | file | what it guarantees |
//! |---|---|
//! | `router.rs` | (not a test) starts a router in a folder of its own and never leaves it behind |
//! | `clients.rs` | (not a test) curl, the sqlite3 shell, Python's requests, promtool |
//! | `first_minutes.rs` | what a newcomer does in the first five minutes works, and no secret reaches the disk |
//! | `answers.rs` | what senders are told: good, bad, too large, unreadable |
//! | `chain.rs` | five of the bundled filters in one chain, each doing its part |
//! | `changes.rs` | what the helpers for JavaScript and Python send back for what a filter did |
//! | `lines.rs` | lines become records: the filters that read, check, measure and thin them out |
//! | `metrics.rs` | `/metrics` is what Prometheus's own tool accepts |
//! | `kill.rs` | kill -9 under load: acknowledged records are there, once |
//! | `oracle.rs` | what filters hold back, under kills, stops, swaps, reloads, a full journal: acknowledged = delivered, once |
//! | `delivery.rs` | every sink with its server, both killed and stopped under load: nothing lost, in order |
//! | `stop.rs` | a stop does first what was promised, whoever is slow, and says what it leaves |
//! | `swap.rs` | filters replaced under load: nothing lost, nothing repeated |
//! | `canary.rs` | new versions on trial, and the way back to an older one |
//! | `rights.rs` | a filter sees and changes no more than it may |
//! | `hostile.rs` | filters that mean harm hurt nobody |
//! | `reload.rs` | a changed configuration is taken up; a broken one changes nothing |
//! | `permissions.rs` | what is stored is its owner's, whatever the umask |
//! | `files.rs` | a file has one sink and a data folder one place, whatever sinks are called and folders copied |
//! | `disk.rs` | a full disk, a damaged journal: a clear error, and nothing lost |
//! | `quarantine.rs` | what was set aside can be listed and replayed |
//! | `search.rs` | the search index of SQLite is read by the system's shell and by Python, and replaced when it is old |
//! | `sinks.rs` | sinks chosen by the environment, falling back, listed, given records once more |
//! | `commands.rs` | the other commands, and that `--help` helps |
//! | `filter_test.rs` | cases, fuzzing and comparing of filters; what is written for CI is what parsers read |
//! | `examples.rs` | the examples run |
//! | `helpers.rs` | the helpers of `guest-sdk/`, all of each; WASI as Go and C see it |
//! | `languages.rs` | in every language: from an empty folder to a filter that runs, and goes on running |
//! | `docs.rs` | the documentation names no file, command or option that is not there |
//! | `docs_configuration.rs` | the configurations that the documentation shows are valid, the keys that it names exist |
//! | `pages.rs` | (not a test) the links, names and code blocks of a Markdown file |
//! | `house.rs` | the layout: who may know whom, every module says what it is for |

mod answers;
mod canary;
mod chain;
mod changes;
mod clients;
mod commands;
mod delivery;
mod disk;
mod docs;
mod docs_configuration;
mod examples;
mod files;
mod filter_test;
mod first_minutes;
mod helpers;
mod hostile;
mod house;
mod kill;
mod languages;
mod lines;
mod metrics;
mod oracle;
mod pages;
mod permissions;
mod quarantine;
mod reload;
mod rights;
mod router;
mod search;
#[path = "../servers/mod.rs"]
mod servers;
mod sinks;
mod stop;
mod swap;
