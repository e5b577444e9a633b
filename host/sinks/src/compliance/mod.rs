//! The requirements for every kind of sink, tested with a real journal, the runner, a temporary folder and a real
//! server. `registry` runs them for each kind, so every new kind must pass.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | the requirements |
//! | `places.rs` | where each kind delivers to in the tests, and how to read it back |

mod places;

use std::sync::Arc;

use weir_journal::Journal;
use weir_record::Batch;

pub use self::places::{Place, context_in, sqlite3};
use crate::registry::{Guarantee, Kind};
use crate::runner::{FallbackQueues, RunnerOptions, RunningSink, State, Stopped, spawn};
use crate::testing::{MemoryQuarantine, append, eventually, frame, journal, numbered, record};

/// One sink's environment and destination, for one requirement.
struct Fixture {
    folder: tempfile::TempDir,
    place: Box<dyn Place>,
}

impl Fixture {
    fn new(kind: &Kind) -> Fixture {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = places::of(kind.name, folder.path());
        Fixture { folder, place }
    }

    fn journal(&self) -> Journal {
        journal(&self.folder.path().join("journal"))
    }

    fn spawn(&self, kind: &Kind, journal: &Journal, cell: &Arc<MemoryQuarantine>) -> RunningSink {
        let sink = (kind.build)("sut", self.place.options(), &self.place.context()).expect("builds");
        let runner = RunnerOptions { name: "sut".into(), ..RunnerOptions::default() };
        spawn(runner, sink, journal.clone(), cell.clone(), &FallbackQueues::default()).expect("starts")
    }
}

/// Runs every requirement.
pub fn check(kind: &Kind) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        delivers_all_in_order_and_stops_clean(kind).await;
        resumes_without_loss(kind).await;
        takes_records_of_every_shape(kind).await;
        stands_in_without_moving(kind).await;
    });
}

fn fill(journal: &Journal, from: u64, frames: u64) -> u64 {
    for frame in 0..frames {
        append(journal, &numbered(from + frame * 7..from + (frame + 1) * 7));
    }
    from + frames * 7
}

async fn delivers_all_in_order_and_stops_clean(kind: &Kind) {
    let stage = Fixture::new(kind);
    let (journal, cell) = (stage.journal(), Arc::new(MemoryQuarantine::default()));
    let waiting = fill(&journal, 0, 30);
    let running = stage.spawn(kind, &journal, &cell);
    let all = fill(&journal, waiting, 30);
    eventually("all is delivered", || running.status().records == all).await;
    assert_eq!(running.status().state, State::Ok, "{}", kind.name);
    let last = fill(&journal, all, 3);
    let stopped = running.stop().await;
    let expected =
        Stopped { name: "sut".into(), delivered_records: last, pending_frames: 0, pending_records: 0, error: None };
    assert_eq!(stopped, expected, "{}: a stop drains what waits", kind.name);
    assert_eq!(stage.place.held(), (0..last).collect::<Vec<_>>(), "{}", kind.name);
    assert!(cell.held.lock().expect("not poisoned").is_empty());
}

async fn resumes_without_loss(kind: &Kind) {
    let stage = Fixture::new(kind);
    let cell = Arc::new(MemoryQuarantine::default());
    let mut next = 0;
    for round in 0..6 {
        let journal = stage.journal();
        let running = stage.spawn(kind, &journal, &cell);
        next = fill(&journal, next, 5 + round);
        if round % 2 == 0 {
            assert_eq!(running.stop().await.error, None);
        } else {
            // As in a crash: at any moment, without a flush.
            let journal = journal.clone();
            drop(running);
            eventually("the runner has gone", || journal.readers().iter().all(|reader| !reader.open)).await;
        }
        journal.close();
    }
    let journal = stage.journal();
    let running = stage.spawn(kind, &journal, &cell);
    assert_eq!(running.stop().await.pending_frames, 0);
    let mut held = stage.place.held();
    if kind.guarantee != Guarantee::ExactlyOnce {
        held.sort_unstable();
        held.dedup();
    }
    assert_eq!(held, (0..next).collect::<Vec<_>>(), "{}", kind.name);
}

/// Records taken in another sink's place arrive, and the sink's own position does not move, even after a crash.
async fn stands_in_without_moving(kind: &Kind) {
    let stage = Fixture::new(kind);
    let build = || (kind.build)("sut", stage.place.options(), &stage.place.context()).expect("builds");
    let mut sink = build();
    sink.start(10).await.expect("starts");
    sink.deliver(&[frame(1, numbered(0..3))]).await.expect("takes its own");
    sink.flush().await.expect("flushes");
    sink.stand_in(&[frame(7, numbered(3..5))]).await.expect("takes another's");
    drop(sink);
    let mut sink = build();
    let held = sink.start(10).await.expect("starts again");
    assert!(held.is_none_or(|held| held == 1), "{}: {held:?}", kind.name);
    sink.deliver(&[frame(2, numbered(5..7))]).await.expect("goes on");
    sink.stand_in(&[frame(8, numbered(7..8))]).await.expect("takes another's");
    sink.flush().await.expect("flushes");
    assert_eq!(stage.place.held(), (0..8).collect::<Vec<_>>(), "{}", kind.name);
}

/// A sink takes or refuses every record and never gets stuck on one.
async fn takes_records_of_every_shape(kind: &Kind) {
    let stage = Fixture::new(kind);
    let (journal, cell) = (stage.journal(), Arc::new(MemoryQuarantine::default()));
    let mut batch = Batch::new();
    let shapes: [&[(&str, &str)]; 6] = [
        &[("message", "n=0"), ("source", "../../../etc/passwd")],
        &[("message", "n=1 \0\x1b[2J\r\n\u{202e}"), ("source", "")],
        &[("message", "n=2"), ("", ""), ("'); DROP TABLE logs;--", "\"\\")],
        &[("message", "n=3"), ("context.a.b", "\u{10ffff}")],
        &[("message", "n=4"), ("level", "no such level")],
        &[("message", "n=5")],
    ];
    for shape in shapes {
        batch.push(&record(shape, &["route"]));
    }
    // Not a valid record, which only a bug elsewhere could produce.
    batch.push(&[0xde, 0, 0]);
    append(&journal, &batch);
    append(&journal, &numbered(6..8));
    let running = stage.spawn(kind, &journal, &cell);
    assert_eq!(running.stop().await.pending_frames, 0, "{}", kind.name);
    assert_eq!(stage.place.held(), (0..8).collect::<Vec<_>>(), "{}", kind.name);
}
