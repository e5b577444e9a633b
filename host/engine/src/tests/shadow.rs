//! Versions that run in the shadow of another: they get copies, and their results are discarded.

use super::hostile::{self, COUNT, KEEP};
use super::*;

#[test]
fn a_subscriber_gets_copies_of_its_share_of_the_batches_and_delays_none() {
    let engine = engine();
    let filter = load(&engine, KEEP);
    let mut worker = Worker::new(engine);
    let mut heard = |share_ppm, count| {
        let subscription = filter.subscribe(share_ppm);
        for _ in 0..count {
            assert_eq!(worker.run(&chain(&[&filter]), batch(["a", "b"])).batch.len(), 2);
        }
        subscription.batches.try_iter().inspect(|heard| assert_eq!(*heard, batch(["a", "b"]))).count()
    };
    assert_eq!(heard(1_000_000, 4), 4);
    assert_eq!(heard(250_000, 8), 2);
    assert_eq!(heard(1_000_000, 1000), crate::limits::MAX_TAPPED_BATCHES, "it is behind");
    assert_eq!(heard(1, 10), 0);
}

#[test]
fn a_shadow_starts_with_a_copy_of_the_state() {
    let engine = engine();
    let filter = load(&engine, COUNT);
    let mut worker = Worker::new(engine.clone());
    worker.run(&chain(&[&filter]), batch(["a", "b"]));
    let shadow = engine.load_shadow(&spec("count.canary"), &hostile::module(COUNT)).unwrap();
    filter.copy_state(&shadow).unwrap();
    worker.run(&chain(&[&shadow]), batch(["c"]));
    worker.run(&chain(&[&filter]), batch(["c", "d", "e"]));
    let mut count = |filter: &Arc<Filter>| {
        let outcome = worker.tick(&chain(&[filter]), false);
        outcome.batch.record(0).get("count").and_then(|value| value.as_i64())
    };
    assert_eq!((count(&shadow), count(&filter)), (Some(3), Some(5)));
}
