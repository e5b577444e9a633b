//! The journal: every accepted batch is appended here once, durably, and every sink reads it from here at its own pace.
//! An acknowledgement means that the batch is on disk. A sink that is down delays no other.
//!
//! It stands between the pipeline and the sinks and knows neither: a payload is opaque bytes with a record count.
//!
//! # How it works
//! Appends from any thread wait in a bounded queue. One writer thread takes everything that is waiting, writes it at
//! the end of the last segment file in one go, calls fdatasync once, makes it visible to readers and answers the
//! senders. Appends that arrive during one fsync share the next: no timer, no added delay. Sequence numbers count from
//! 1 and are never reused. Readers that keep up are served from memory, others from the files. Segments are removed
//! when the slowest reader has passed them, within a disk budget.
//!
//! # Guarantees
//! - **Acknowledged means durable** (`sync = "always"`): whatever fails, an acknowledged frame is there after the next
//!   start, once, in order, with the same bytes. The crash sweep in `sweep.rs` checks this at every operation.
//! - **A failed fsync is never hidden**: the journal accepts nothing more until it is reopened.
//! - **Held records are kept** until they are released, and a release is durable together with the batch of the same
//!   append: after a crash, both are there or neither.
//! - **Damage is never skipped silently**: a changed byte is detected on opening and on reading, and reported with the
//!   file, the place and the sequences concerned. A missing end is reported too. `OnDamage::SetAside` continues with
//!   all undamaged frames; damaged files are renamed, never removed.
//! - **A full disk or budget is temporary**, and so is a lack of file descriptors: appends fail with `Full`, and
//!   succeed again once there is room.
//!
//! # Files
//! | file | purpose |
//! |---|---|
//! | [`journal`](Journal) | the handle: open, append, readers, close |
//! | `writer` | the queue of appends and the one thread behind it |
//! | `appender` | groups to disk: write, fsync, answer, begin segments, stop on failure |
//! | `failure` | handles failed writes and fsyncs |
//! | `spare` | the next segment's file, opened ahead |
//! | `group` | the bytes of one write, copied as little as possible |
//! | `retention` | which segments may be removed, and what happens when the budget is used up |
//! | `reader`, `read` | a reader's position; frames read from segment files |
//! | `state`, `segment` | memory shared by writer and readers |
//! | `recovery`, `salvage`, `report` | opening after a crash; setting damaged segments aside; the report about both |
//! | `scan` | walking a segment and checking every byte |
//! | `format`, `frame` | the bytes on disk, byte by byte |
//! | [`cipher`] | optional encryption: keys, and why no nonce is used twice |
//! | `ledger` | records that a filter holds back, stored together with a batch |
//! | `reserve` | room reserved before the size of an append is known |
//! | `cursor` | the file with all readers' positions and the last durable frame |
//! | [`erase`] | erases parts of stored frames, by writing closed segments again |
//! | `in_place` | detects that the segment being written was removed, and writes it again |
//! | [`inspect`] | inspecting a folder, also one in use or damaged |
//! | [`storage`], [`disk`], [`simulated`], `tear` | the storage traits; the real disk; one that fails on request, and what a power cut leaves |
//! | [`limits`] | every limit, with unit and reason |
//! | `options`, `error`, `stats` | configuration, errors, metrics |

mod appender;
pub mod cipher;
mod cursor;
pub mod disk;
pub mod erase;
mod error;
mod failure;
mod format;
mod frame;
mod group;
mod in_place;
pub mod inspect;
mod journal;
mod ledger;
pub mod limits;
mod options;
mod read;
mod reader;
mod recovery;
mod report;
mod reserve;
mod retention;
mod salvage;
mod scan;
mod segment;
pub mod simulated;
mod spare;
mod state;
mod stats;
pub mod storage;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod sweep_of_erasure;
mod tear;
mod writer;

pub use cipher::Keys;
pub use disk::Disk;
pub use error::{AppendError, OpenError, ReadError};
pub use journal::Journal;
pub use ledger::{Hold, Ledger};
pub use options::{OnDamage, Options, SyncMode, WhenFull};
pub use reader::{Entry, Reader};
pub use recovery::check_keys;
pub use report::{Damage, Lost, Recovery, SetAside, TornTail};
pub use reserve::Reservation;
pub use stats::{ReaderStatus, Stats, describe_metrics};
