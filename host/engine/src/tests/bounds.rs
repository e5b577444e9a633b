//! Hostile filters are contained: the records they fail on are found, the rest is processed, and the time is bounded.

use super::hostile::{self, HOSTILE, LOOP, MARKER, TRAP};
use super::*;
use crate::limits::{FAILING_AFTER_BATCHES, SUSPEND_AFTER_BATCHES};
use crate::{Action, Health, OnError};

#[test]
fn each_hostile_filter_fails_only_on_the_offending_record_which_is_quarantined_with_the_reason() {
    let engine = engine();
    for &(guest, word) in HOSTILE {
        let filter = load(&engine, guest);
        let input = batch_with_marker(20, 7);
        let mut worker = Worker::new(engine.clone());
        let outcome = worker.run(&chain(&[&filter]), input.clone());
        let expected: Vec<&[u8]> = (0..20).filter(|&i| i != 7).map(|i| input.get(i)).collect();
        let found: Vec<&[u8]> = (0..outcome.batch.len()).map(|i| outcome.batch.get(i)).collect();
        assert_eq!(found, expected, "{}", guest.0);
        let [failed] = &outcome.failed[..] else { panic!("{}: {:?}", guest.0, outcome.failed) };
        assert_eq!((failed.index, failed.action), (7, Action::Quarantine), "{}", guest.0);
        assert_eq!((&failed.filter[..], &failed.record[..]), (guest.0, input.get(7)));
        assert!(failed.reason.to_lowercase().contains(word), "{}: {}", guest.0, failed.reason);
        assert_one_line(&failed.reason);
        let clean = worker.run(&chain(&[&filter]), batch(["a", "b"]));
        assert_eq!((clean.batch.len(), clean.failed.len()), (2, 0), "{} afterwards", guest.0);
        assert_eq!(filter.health(), Health::Ok);
    }
}

#[test]
fn a_filter_that_leaks_memory_is_replaced_before_it_reaches_its_limit() {
    let engine = engine();
    let leak = FilterSpec { memory_bytes: 1 << 20, ..spec("leak") };
    let filter = engine.load(&leak, &hostile::module(hostile::LEAK)).unwrap();
    let mut worker = Worker::new(engine.clone());
    let marked = batch(vec![MARKER; 640]);
    let mut most = 0;
    for _ in 0..100 {
        let outcome = worker.run(&chain(&[&filter]), marked.clone());
        assert_eq!((outcome.batch.len(), outcome.failed.len()), (640, 0));
        most = most.max(filter.usage().memory_bytes);
    }
    // A batch leaks ten pages of 64 KiB, more than half of its limit, so it was replaced after each.
    assert!(most <= 1 << 19, "{most} bytes");
}

#[test]
fn a_failed_record_passes_or_is_rejected_when_that_is_the_policy() {
    let engine = engine();
    let input = batch_with_marker(5, 2);
    let load = |on_error| engine.load(&FilterSpec { on_error, ..spec("trap") }, &hostile::module(TRAP)).unwrap();
    let outcome = run(&[&load(OnError::Pass)], input.clone());
    assert_eq!((outcome.batch, outcome.failed), (input.clone(), vec![]));
    let outcome = run(&[&load(OnError::Reject)], input);
    assert_eq!((outcome.batch.len(), outcome.failed.len()), (4, 1));
    assert_eq!((outcome.failed[0].index, outcome.failed[0].action), (2, Action::Reject));
}

#[test]
fn when_every_record_traps_the_search_gives_up_and_all_records_fail() {
    let filter = load(&engine(), TRAP);
    let outcome = run(&[&filter], batch(std::iter::repeat_n(MARKER, 1000)));
    assert_eq!((outcome.batch.len(), outcome.failed.len()), (0, 1000));
    let places: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!(places, (0..1000).collect::<Vec<_>>());
    assert!(outcome.failed[999].reason.contains("given up"), "{}", outcome.failed[999].reason);
}

#[test]
fn a_filter_that_hangs_on_everything_is_suspended_and_keeps_its_policy() {
    let engine = engine();
    let spec = FilterSpec { timeout: Duration::from_millis(20), ..spec("loop") };
    let filter = engine.load(&spec, &hostile::module(LOOP)).unwrap();
    let mut worker = Worker::new(engine);
    for _ in 0..SUSPEND_AFTER_BATCHES {
        let outcome = worker.run(&chain(&[&filter]), batch(std::iter::repeat_n(MARKER, 1000)));
        assert_eq!((outcome.batch.len(), outcome.failed.len()), (0, 1000));
    }
    assert!(matches!(filter.health(), Health::Suspended { .. }), "{:?}", filter.health());
    let outcome = worker.run(&chain(&[&filter]), batch(["harmless"]));
    assert_eq!(outcome.failed.len(), 1);
    assert!(outcome.failed[0].reason.contains("suspended"), "{}", outcome.failed[0].reason);
    assert_one_line(&outcome.failed[0].reason);
}

#[test]
fn a_filter_is_failing_until_a_batch_succeeds() {
    let filter = load(&engine(), TRAP);
    for _ in 0..FAILING_AFTER_BATCHES {
        assert_eq!(filter.health(), Health::Ok);
        assert_eq!(run(&[&filter], batch(["a", MARKER])).batch.len(), 1);
    }
    assert!(matches!(filter.health(), Health::Failing { batches: FAILING_AFTER_BATCHES, .. }));
    run(&[&filter], batch(["a"]));
    assert_eq!(filter.health(), Health::Ok);
}

#[test]
fn two_offending_records_among_many_are_both_found() {
    let filter = load(&engine(), TRAP);
    let names: Vec<String> =
        (0..1000).map(|i| if [3, 998].contains(&i) { format!("{i} {MARKER}") } else { i.to_string() }).collect();
    let outcome = run(&[&filter], batch(names.iter().map(String::as_str)));
    let places: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!((places, outcome.batch.len()), (vec![3, 998], 998));
}

#[test]
fn ten_records_that_hang_among_a_hundred_are_found_and_no_other_fails() {
    let filter = load(&engine(), LOOP);
    let guilty = [0, 7, 13, 14, 40, 41, 63, 77, 90, 99];
    let names: Vec<String> =
        (0..100).map(|i| if guilty.contains(&i) { format!("{i} {MARKER}") } else { i.to_string() }).collect();
    let outcome = run(&[&filter], batch(names.iter().map(String::as_str)));
    let places: Vec<u32> = outcome.failed.iter().map(|failed| failed.index).collect();
    assert_eq!((places, outcome.batch.len()), (guilty.to_vec(), 90));
    assert_eq!(filter.health(), Health::Ok);
}

#[test]
fn a_test_instance_fails_with_the_reason_of_the_filter() {
    let engine = engine();
    for &(guest, word) in HOSTILE {
        let filter = load(&engine, guest);
        filter.check(&batch(["a", "b"]), None).unwrap();
        let error = filter.check(&batch_with_marker(3, 1), None).unwrap_err().to_string();
        assert!(error.to_lowercase().contains(word) && error.contains(guest.0), "{error}");
        assert_one_line(&error);
    }
}
