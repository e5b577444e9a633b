//! The journal: every accepted batch is appended here once, durably, and every sink reads it from here at its own
//! pace. An acknowledgement means that the batch is on the disk; a sink that is down holds back nobody but itself.
//!
//! It stands between the pipeline and the sinks and knows neither: a payload is opaque bytes with a number of records.
//!
//! # How it works
//! Appends from any thread wait in a bounded queue. One writer thread takes all that waits, writes it in one go at
//! the end of the last segment file, calls fdatasync once, lets readers see it and answers everybody. What arrives
//! during one fsync shares the next: no timer, no added delay. A frame's sequence counts from 1 and is never given
//! out twice. Readers that keep up are served from the memory of recent entries, others from the files. Segments go
//! when the slowest reader has passed them, within a disk budget.
//!
//! # What is promised
//! - **Acknowledged is durable** (`sync = "always"`): whatever fails, a frame that was acknowledged is there after the
//!   next start, once, in order, with the same bytes. The crash sweep in `sweep.rs` checks this at every operation.
//! - **A failed fsync is never papered over**: the journal stops taking anything until it is opened again.
//! - **What is held is kept** until it is released, and a release is durable together with the batch of the same
//!   append: after a crash there are both or neither.
//! - **Damage is never skipped silently**: a changed byte is noticed when opening and when reading, and reported with
//!   the file, the place, and the sequences concerned; so is an end that is missing. `OnDamage::SetAside` goes on with everything that is whole;
//!   damaged files are renamed, never removed.
//! - **A full disk or budget is temporary**, and so is a lack of file descriptors: appends fail with `Full`, and succeed
//!   again when there is room.
//!
//! # Files
//! | file | purpose |
//! |---|---|
//! | [`journal`](Journal) | the handle: open, append, readers, close |
//! | `writer` | the queue of appends and the one thread behind it |
//! | `appender` | groups to disk: write, fsync, answer, begin segments, stop on failure |
//! | `failure` | what a failed write or fsync does |
//! | `spare` | the next segment's file, opened ahead |
//! | `group` | the bytes of one write, with as little copying as possible |
//! | `retention` | which segments may go, and what happens when the budget is used up |
//! | `reader`, `read` | a reader's position; frames out of segment files |
//! | `state`, `segment` | what writer and readers share in memory |
//! | `recovery`, `salvage`, `report` | opening after a crash; setting damage aside; what is told about it |
//! | `scan` | walking a segment and checking every byte |
//! | `format`, `frame` | the bytes on disk, byte by byte |
//! | `ledger` | records that a filter holds back: held and released together with a batch |
//! | `reserve` | room that is promised before it is known what will be appended |
//! | `cursor` | the file with all readers' positions, and how far the journal had come |
//! | `in_place` | notices that the segment that is written to was removed, and writes it again |
//! | [`inspect`] | looking at a folder, also one in use or damaged |
//! | [`storage`], [`disk`], [`simulated`], `tear` | what is needed of a disk; the real one; one that fails on request, and what a power cut leaves |
//! | [`limits`] | every bound, with unit and reason |
//! | `options`, `error`, `stats` | configuration, errors, numbers |

mod appender;
mod cursor;
pub mod disk;
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
mod tear;
mod writer;

pub use disk::Disk;
pub use error::{AppendError, OpenError, ReadError};
pub use journal::Journal;
pub use ledger::{Hold, Ledger};
pub use options::{OnDamage, Options, SyncMode, WhenFull};
pub use reader::{Entry, Reader};
pub use report::{Damage, Lost, Recovery, SetAside, TornTail};
pub use reserve::Reservation;
pub use stats::{ReaderStatus, Stats, describe_metrics};
