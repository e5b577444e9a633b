//! The runner against sinks that fail in every way a sink can fail.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;

use weir_query::Query;

use super::*;
use crate::erasure::{Erased, Erasure};
use crate::sink::{Batching, Delivered, Selected, SinkError};
use crate::testing::{MemoryQuarantine, append, eventually, journal, numbered, record};

/// What a scripted sink saw, shared with the test.
#[derive(Default)]
struct Seen {
    took: Vec<(u64, u32)>,
    starts: u32,
    /// The journal's newest frame, as passed to each start.
    told: Vec<u64>,
    flushes: u32,
    /// The results of the next deliveries; afterwards every delivery succeeds.
    script: VecDeque<SinkError>,
    start_script: VecDeque<SinkError>,
    /// Records taken in another sink's place, as JSON.
    stood_in: Vec<String>,
    /// Maximum number of records per delivery; 0 for any number.
    most: usize,
    /// As an exactly-once sink: the last durable frame.
    holds: Option<u64>,
    keeps_position: bool,
}

struct Scripted(Arc<Mutex<Seen>>);

#[async_trait]
impl Sink for Scripted {
    async fn start(&mut self, last_sequence: u64) -> Result<Option<u64>, SinkError> {
        let mut seen = self.0.lock().expect("not poisoned");
        seen.starts += 1;
        seen.told.push(last_sequence);
        match seen.start_script.pop_front() {
            Some(error) => Err(error),
            None => Ok(seen.holds),
        }
    }

    async fn deliver(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut seen = self.0.lock().expect("not poisoned");
        if let Some(error) = seen.script.pop_front() {
            return Err(error);
        }
        let taken: Vec<_> = batches.iter().flat_map(Selected::iter).map(|(at, _)| (at.sequence, at.index)).collect();
        seen.took.extend(taken);
        Ok(Delivered { rejected: Vec::new(), durable: seen.keeps_position.then_some(seen.holds.unwrap_or(0)) })
    }

    fn batching(&self) -> Batching {
        match self.0.lock().expect("not poisoned").most {
            0 => Batching::default(),
            records => Batching { records, ..Batching::default() },
        }
    }

    async fn stand_in(&mut self, batches: &[Selected]) -> Result<Delivered, SinkError> {
        let mut seen = self.0.lock().expect("not poisoned");
        for (_, record) in batches.iter().flat_map(Selected::iter) {
            let mut json = Vec::new();
            weir_record::write_json(record, &mut json);
            seen.stood_in.push(String::from_utf8(json).expect("text"));
        }
        Ok(Delivered::default())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let mut seen = self.0.lock().expect("not poisoned");
        seen.flushes += 1;
        let last = seen.took.last().map(|(sequence, _)| *sequence);
        seen.holds = last;
        Ok(())
    }
}

struct Fixture {
    _folder: tempfile::TempDir,
    journal: Journal,
    seen: Arc<Mutex<Seen>>,
    cell: Arc<MemoryQuarantine>,
}

impl Fixture {
    fn new(seen: Seen) -> Fixture {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let journal = journal(folder.path());
        Fixture { _folder: folder, journal, seen: Arc::new(Mutex::new(seen)), cell: Arc::default() }
    }

    fn spawn(&self) -> RunningSink {
        self.spawn_with(Selection::default())
    }

    fn spawn_with(&self, selection: Selection) -> RunningSink {
        self.spawn_as(
            RunnerOptions { name: "scripted".into(), selection, ..RunnerOptions::default() },
            &FallbackQueues::default(),
        )
    }

    fn spawn_as(&self, options: RunnerOptions, queues: &FallbackQueues) -> RunningSink {
        let sink = Box::new(Scripted(self.seen.clone()));
        spawn(options, sink, self.journal.clone(), self.cell.clone(), queues).expect("starts")
    }

    fn took(&self) -> Vec<(u64, u32)> {
        self.seen.lock().expect("not poisoned").took.clone()
    }

    fn committed(&self) -> u64 {
        self.journal.readers().iter().find(|reader| reader.name == "scripted").map_or(0, |reader| reader.committed)
    }
}

fn retry(times: usize) -> VecDeque<SinkError> {
    vec![SinkError::Retry("the server is away".into()); times].into()
}

/// Erases one record from the journal.
struct OneRecord(Query);

impl weir_journal::erase::Erase for OneRecord {
    fn batch(&mut self, batch: &bytes::Bytes) -> Option<Vec<u8>> {
        crate::erasure::without(batch, &self.0).map(|(rest, _)| rest)
    }

    fn hold(&mut self, _: &bytes::Bytes) -> bool {
        false
    }

    fn go_on(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

#[tokio::test]
async fn a_held_sink_never_gets_what_was_erased_meanwhile_and_everything_else_once() {
    let queues = FallbackQueues::default();
    let bench = Fixture::new(Seen::default());
    let options = RunnerOptions { name: "scripted".into(), ..RunnerOptions::default() };
    let running = bench.spawn_as(options, &queues);
    append(&bench.journal, &numbered(0..3));
    eventually("delivered", || bench.took().len() == 3).await;
    let query = Query::parse("message=\"n=4\"", None).expect("a query");
    let erasure = Erasure::new(query.clone(), false, Instant::now() + Duration::from_secs(600));
    let held = queues.hold("scripted", &erasure).await.expect("held");
    append(&bench.journal, &numbered(3..6));
    let up_to = bench.journal.close_segment().expect("closed");
    let erased = bench.journal.erase(up_to, &mut OneRecord(query));
    assert_eq!((erased.segments, erased.failures), (1, Vec::new()));
    assert_eq!(held.erase(up_to).await, Ok(Erased::OutOfReach(None)));
    append(&bench.journal, &numbered(6..7));
    eventually("it goes on", || bench.took().len() == 6).await;
    assert_eq!(bench.took(), [(1, 0), (1, 1), (1, 2), (2, 0), (2, 2), (3, 0)]);
    // A copy that was read before is left out, too.
    let late = Selected { sequence: 2, ..crate::testing::frame(2, numbered(3..6)) };
    let mut remembered = erase::Remembered::default();
    remembered.remember(up_to, &erasure.query);
    let left = remembered.left_out_of(vec![late.clone(), Selected { sequence: 9, ..late }]);
    assert_eq!(left.iter().map(Selected::len).collect::<Vec<_>>(), [2, 3]);
    drop(running);
}

#[tokio::test]
async fn a_sink_that_is_down_or_has_failed_is_held_as_well() {
    for error in [SinkError::Retry("away".into()), SinkError::Fatal("broken".into())] {
        let queues = FallbackQueues::default();
        let bench = Fixture::new(Seen { start_script: vec![error; 3].into(), ..Seen::default() });
        let options = RunnerOptions { name: "scripted".into(), ..RunnerOptions::default() };
        let running = bench.spawn_as(options, &queues);
        let query = Query::parse("anything", None).expect("a query");
        let erasure = Erasure::new(query, false, Instant::now() + Duration::from_secs(600));
        let held = queues.hold("scripted", &erasure).await.expect("held");
        assert_eq!(held.erase(0).await, Ok(Erased::OutOfReach(None)));
        drop(running);
    }
}

#[tokio::test]
async fn a_sink_held_after_a_failed_delivery_makes_no_part_of_it_durable() {
    let queues = FallbackQueues::default();
    let bench = Fixture::new(Seen { keeps_position: true, ..Seen::default() });
    let running = bench.spawn_as(RunnerOptions { name: "scripted".into(), ..RunnerOptions::default() }, &queues);
    append(&bench.journal, &numbered(0..3));
    eventually("delivered, and probably not durable", || bench.took().len() == 3).await;
    bench.seen.lock().expect("not poisoned").script = retry(1000);
    append(&bench.journal, &numbered(3..6));
    eventually("it fails", || running.status().errors >= 1).await;
    let flushes = || bench.seen.lock().expect("not poisoned").flushes;
    let before = flushes();
    let query = Query::parse("anything", None).expect("a query");
    let erasure = Erasure::new(query, false, Instant::now() + Duration::from_secs(600));
    let held = queues.hold("scripted", &erasure).await.expect("held");
    assert_eq!(held.erase(0).await, Ok(Erased::OutOfReach(None)));
    assert_eq!(flushes(), before);
    drop(running);
}

#[tokio::test]
async fn frames_taken_without_an_answer_do_not_count_as_lost_by_the_journal() {
    let bench = Fixture::new(Seen { keeps_position: true, ..Seen::default() });
    bench.seen.lock().expect("not poisoned").script.push_back(SinkError::Retry("no answer to the commit".into()));
    let running = bench.spawn();
    append(&bench.journal, &numbered(0..3));
    append(&bench.journal, &numbered(3..6));
    eventually("it starts again", || bench.seen.lock().expect("not poisoned").starts == 2).await;
    let told = bench.seen.lock().expect("not poisoned").told.clone();
    assert_eq!(told[0], 0);
    assert!(told[1] >= 1, "{told:?}: what it was offered counts as lost");
    drop(running);
}

#[tokio::test]
async fn after_a_failure_the_same_records_are_delivered_again_and_health_shows_it() {
    let bench = Fixture::new(Seen { script: retry(1), ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    let running = bench.spawn();
    let mut shown = None;
    eventually("health says that it retries", || {
        shown = Some(running.status());
        matches!(running.status().state, State::Retrying { .. })
    })
    .await;
    let State::Retrying { error, .. } = running.status().state else { panic!("retries for at least half a second") };
    assert_eq!(error, "the server is away");
    assert_eq!((running.status().lag_frames, bench.committed()), (1, 0), "nothing is passed over");
    eventually("it works again", || running.status().state == State::Ok && running.status().records == 3).await;
    assert_eq!(bench.took(), [(1, 0), (1, 1), (1, 2)]);
    assert_eq!(running.status().errors, 1);
    assert_eq!(running.stop().await.pending_frames, 0);
}

#[tokio::test]
async fn a_panic_is_reported_and_another_runner_continues_at_the_same_position() {
    struct Panics;
    #[async_trait]
    impl Sink for Panics {
        async fn start(&mut self, _: u64) -> Result<Option<u64>, SinkError> {
            Ok(None)
        }
        async fn deliver(&mut self, _: &[Selected]) -> Result<Delivered, SinkError> {
            panic!("on purpose")
        }
        async fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }
    }
    let bench = Fixture::new(Seen::default());
    append(&bench.journal, &numbered(0..3));
    let options = RunnerOptions { name: "scripted".into(), ..RunnerOptions::default() };
    let queues = FallbackQueues::default();
    let mut running =
        spawn(options.clone(), Box::new(Panics), bench.journal.clone(), bench.cell.clone(), &queues).unwrap();
    eventually("it is noticed", || running.has_panicked()).await;
    let State::Failed { error } = running.status().state else { panic!("{:?}", running.status()) };
    assert!(error.contains("ended unexpectedly: on purpose"), "{error}");
    running.end().await;
    let next = bench.spawn_as(options, &queues);
    eventually("the records arrive", || bench.took().len() == 3).await;
    assert_eq!(next.stop().await.pending_records, 0);
    // Stopping the sink that panicked reports why.
    assert!(running.stop().await.error.is_some_and(|error| error.contains("on purpose")));
}

#[tokio::test]
async fn a_sink_that_fails_to_start_is_started_again() {
    let bench = Fixture::new(Seen { start_script: retry(1), ..Seen::default() });
    append(&bench.journal, &numbered(0..1));
    let running = bench.spawn();
    eventually("it delivers", || running.status().records == 1).await;
    assert_eq!(bench.seen.lock().expect("not poisoned").starts, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_stop_during_a_backoff_is_prompt_and_reports_what_is_pending() {
    let bench = Fixture::new(Seen { script: retry(1000), ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    append(&bench.journal, &numbered(3..5));
    let running = bench.spawn();
    eventually("it retries", || running.status().errors >= 1).await;
    let stopped = running.stop().await;
    assert_eq!((stopped.pending_frames, stopped.pending_records), (2, 5));
    assert_eq!(stopped.error.as_deref(), Some("the server is away"));
    assert_eq!(bench.seen.lock().expect("not poisoned").starts, 1, "no further attempt was waited for");
}

#[tokio::test]
async fn a_fatal_failure_is_shown_and_nothing_is_lost_from_the_journal() {
    let bench = Fixture::new(Seen { script: vec![SinkError::Fatal("no such table".into())].into(), ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    let running = bench.spawn();
    eventually("it fails", || matches!(running.status().state, State::Failed { .. })).await;
    let (kind, time) = (running.status().last_error_kind, running.status().last_error_time);
    assert!(kind == Some(ErrorKind::Fatal) && time.is_some_and(|time| time.starts_with("20")));
    let stopped = running.stop().await;
    assert_eq!((stopped.error.as_deref(), stopped.pending_records), (Some("no such table"), 3));
    let running = bench.spawn();
    eventually("the next run delivers", || running.status().records == 3).await;
    running.stop().await;
}

#[tokio::test]
async fn the_cursor_follows_only_what_is_durable() {
    let bench = Fixture::new(Seen { keeps_position: true, ..Seen::default() });
    let running = bench.spawn();
    append(&bench.journal, &numbered(0..3));
    eventually("delivered", || running.status().records == 3).await;
    let flushed = bench.seen.lock().expect("not poisoned").flushes > 0;
    assert!(flushed || bench.committed() == 0, "the cursor may move only with a flush");
    eventually("flushed without another delivery", || bench.committed() == 1).await;
    assert!(bench.seen.lock().expect("not poisoned").flushes >= 1);
    running.stop().await;
}

#[tokio::test]
async fn delivery_continues_at_the_sinks_position_not_at_the_cursor() {
    let bench = Fixture::new(Seen::default());
    for n in 0..5 {
        append(&bench.journal, &numbered(n..n + 1));
    }
    for (holds, expected) in [(Some(3), vec![4, 5]), (Some(1), vec![2, 3, 4, 5]), (None, vec![])] {
        bench.seen.lock().expect("not poisoned").holds = holds;
        bench.seen.lock().expect("not poisoned").took.clear();
        let running = bench.spawn();
        running.stop().await;
        assert_eq!(bench.took().iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), expected, "{holds:?}");
    }
}

#[tokio::test]
async fn a_position_of_a_lost_journal_skips_no_new_records() {
    let bench = Fixture::new(Seen { holds: Some(1_000_000), ..Seen::default() });
    append(&bench.journal, &numbered(0..1));
    let running = bench.spawn();
    append(&bench.journal, &numbered(1..2));
    eventually("the new record arrives", || bench.took().contains(&(2, 0))).await;
    running.stop().await;
}

#[tokio::test]
async fn frames_of_no_interest_move_the_cursor_without_a_delivery() {
    let bench = Fixture::new(Seen::default());
    let selection = Selection { routes: Some(vec!["audit".into()]), min_level: None };
    let running = bench.spawn_with(selection);
    append(&bench.journal, &numbered(0..10));
    let mut labelled = numbered(0..1);
    labelled.push(&record(&[], &["audit"]));
    append(&bench.journal, &labelled);
    append(&bench.journal, &numbered(0..10));
    eventually("all is passed", || bench.committed() == 3).await;
    assert_eq!(bench.took(), [(2, 1)]);
    running.stop().await;
}

#[tokio::test]
async fn an_undecodable_frame_goes_to_quarantine_and_blocks_nothing() {
    let bench = Fixture::new(Seen::default());
    let (tx, rx) = std::sync::mpsc::channel();
    bench.journal.append(b"no batch at all".to_vec(), 1, move |outcome| drop(tx.send(outcome)));
    rx.recv().expect("answered").expect("taken");
    append(&bench.journal, &numbered(0..1));
    let running = bench.spawn();
    eventually("the next frame arrives", || bench.took() == [(2, 0)]).await;
    running.stop().await;
    let held = bench.cell.held.lock().expect("not poisoned");
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].0.as_str(), held[0].2.as_slice()), ("sink:scripted", &b"no batch at all"[..]));
}

#[tokio::test]
async fn a_dropped_sink_ends_its_thread_without_a_flush() {
    let bench = Fixture::new(Seen { keeps_position: true, ..Seen::default() });
    let running = bench.spawn();
    eventually("ready", || running.status().state == State::Ok).await;
    append(&bench.journal, &numbered(0..1));
    drop(running);
    eventually("its reader is closed", || bench.journal.readers().iter().all(|reader| !reader.open)).await;
    assert!(bench.took().len() <= 1);
}

#[tokio::test]
async fn records_taken_before_a_failure_are_not_repeated_or_reordered() {
    let bench = Fixture::new(Seen { most: 2, ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    append(&bench.journal, &numbered(3..8));
    let expected: Vec<_> = (0..3).map(|index| (1, index)).chain((0..5).map(|index| (2, index))).collect();
    // The first delivery succeeds; the second fails, and so do all later attempts.
    for _ in 0..4 {
        bench.seen.lock().expect("not poisoned").script = retry(1);
        let running = bench.spawn();
        eventually("all is taken", || bench.took().len() >= 8).await;
        assert_eq!(bench.took(), expected);
        assert_eq!(running.stop().await.pending_frames, 0);
    }
}

#[tokio::test]
async fn a_wait_requested_by_the_server_is_respected() {
    let later = SinkError::Later("too many requests".into(), Duration::from_secs(3));
    let bench = Fixture::new(Seen { script: vec![later].into(), ..Seen::default() });
    append(&bench.journal, &numbered(0..1));
    let begun = Instant::now();
    let running = bench.spawn();
    eventually("it is taken", || running.status().records == 1).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "the first step of the backoff alone is at most a second");
    running.stop().await;
}

#[tokio::test]
async fn a_failing_sinks_records_go_to_its_fallback_and_later_to_the_sink_itself() {
    let bench = Fixture::new(Seen { start_script: retry(1000), ..Seen::default() });
    let standby = Arc::new(Mutex::new(Seen::default()));
    let queues = FallbackQueues::default();
    let options = RunnerOptions {
        name: "scripted".into(),
        selection: Selection { routes: Some(vec!["audit".into()]), min_level: None },
        fallback: vec!["gone".into(), "standby".into()],
        fallback_after: Duration::from_millis(100),
    };
    let mut batch = numbered(0..1);
    batch.push(&record(&[("message", "n=1")], &["audit"]));
    append(&bench.journal, &batch);
    let running = bench.spawn_as(options, &queues);
    let nothing = Selection { routes: Some(Vec::new()), min_level: None };
    let standby_options = RunnerOptions { name: "standby".into(), selection: nothing, ..RunnerOptions::default() };
    let sink = Box::new(Scripted(standby.clone()));
    let standing = spawn(standby_options, sink, bench.journal.clone(), bench.cell.clone(), &queues).expect("starts");
    let stood_in = || standby.lock().expect("not poisoned").stood_in.clone();
    eventually("the fallback has it", || stood_in().len() == 1).await;
    assert!(
        stood_in()[0].contains("n=1") && stood_in()[0].contains("\"fallback_from\":\"scripted\""),
        "{:?}",
        stood_in()
    );
    assert_eq!(bench.committed(), 0, "the sink's own place is where it was");
    let said = || running.status().fallback.is_some_and(|fallback| (&*fallback.to, fallback.records) == ("standby", 1));
    eventually("health says so", said).await;
    let counted = || (standing.status().records, standing.status().for_others) == (1, 1);
    eventually("the standby counts it too", counted).await;
    bench.seen.lock().expect("not poisoned").start_script.clear();
    eventually("it works again and gets everything", || bench.took() == [(1, 1)]).await;
    eventually("the second reader is gone", || bench.journal.readers().len() == 2).await;
    append(&bench.journal, &batch);
    eventually("it goes on", || bench.took().len() == 2).await;
    assert_eq!(stood_in().len(), 1, "and the fallback is given nothing any more");
    assert!(standby.lock().expect("not poisoned").took.is_empty());
    assert_eq!(running.stop().await.error, None);
    standing.stop().await;
}

#[tokio::test]
async fn copies_that_nobody_took_before_the_stop_are_left_for_the_next_run() {
    let bench = Fixture::new(Seen { start_script: retry(1000), ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    let queues = FallbackQueues::default();
    let mut standby = queues.open("standby");
    let fallback = vec!["standby".into()];
    let running = bench.spawn_as(RunnerOptions { name: "scripted".into(), fallback, ..Default::default() }, &queues);
    let unanswered = standby.recv().await.expect("it is asked");
    running.stop().await;
    drop(unanswered);
    let second = bench.journal.readers().into_iter().find(|reader| reader.name == fallback_reader("scripted"));
    assert!(second.is_some_and(|reader| !reader.open && reader.committed == 0));
}

#[tokio::test]
async fn a_sink_stopped_during_fallback_keeps_its_second_reader_and_one_without_fallback_removes_it() {
    let bench = Fixture::new(Seen { start_script: retry(1000), ..Seen::default() });
    append(&bench.journal, &numbered(0..3));
    let queues = FallbackQueues::default();
    let options = |fallback: &[&str]| RunnerOptions {
        name: "scripted".into(),
        fallback: fallback.iter().map(ToString::to_string).collect(),
        ..RunnerOptions::default()
    };
    let second = || bench.journal.readers().into_iter().find(|reader| reader.name == fallback_reader("scripted"));
    let running = bench.spawn_as(options(&["nobody"]), &queues);
    eventually("they were offered to whoever is there", || second().is_some_and(|reader| reader.committed == 1)).await;
    running.stop().await;
    assert!(second().is_some_and(|reader| !reader.open), "the next run goes on there");
    bench.spawn_as(options(&[]), &queues).stop().await;
    assert!(second().is_none(), "it would hold segments for ever");
}
