//! What filters add to a batch is limited for the whole chain, and so is the host's work for them.

use super::hostile::{self, DROP, FLOOD, MARKER, SETS, TICK_FLOOD, TYPED};
use super::*;
use crate::limits::{MAX_ADDED_RECORDS, MAX_OWN_TICK_RECORDS};

#[test]
fn multiplying_filters_hit_the_budget_and_no_record_is_lost() {
    let engine = engine();
    let filters = [load(&engine, FLOOD), load(&engine, FLOOD), load(&engine, FLOOD)];
    let outcome = run(&[&filters[0], &filters[1], &filters[2]], batch(["a"]));
    assert!(outcome.batch.len() <= 1 + MAX_ADDED_RECORDS, "{}", outcome.batch.len());
    let last = outcome.failed.last().unwrap();
    assert!(outcome.failed.iter().all(|failed| failed.index == 0));
    assert!(last.reason.contains("returned more") || last.reason.contains("made more than"), "{}", last.reason);
    assert_one_line(&last.reason);
}

#[test]
fn a_record_over_the_budget_does_not_affect_others() {
    let engine = engine();
    let (bomb, drop) = (load(&engine, hostile::HOSTILE[5].0), load(&engine, DROP));
    assert_eq!(bomb.name(), "bomb");
    let outcome = run(&[&bomb, &drop], batch_with_marker(100, 50));
    assert_eq!((outcome.batch.len(), outcome.failed.len()), (99, 1));
    assert_eq!(outcome.failed[0].index, 50);
    assert!(outcome.failed[0].reason.contains("made more than"), "{}", outcome.failed[0].reason);
}

#[test]
fn many_changes_to_a_record_result_in_one_record() {
    let spec = FilterSpec { output_bytes: 256 << 20, ..spec("sets") };
    let filter = engine().load(&spec, &hostile::module(SETS)).unwrap();
    let outcome = run(&[&filter], batch_with_marker(10, 3));
    assert_eq!((outcome.batch.len(), outcome.failed), (10, vec![]));
    assert_eq!(outcome.batch.record(3).get("n").and_then(|n| n.as_i64()), Some(1), "the last of all");
}

#[test]
fn a_long_key_above_many_fields_fails_only_its_record() {
    let mut input = batch(["a"]);
    let entries: Vec<String> = (0..100_000).map(|n| format!("\"{n:x}\":1")).collect();
    let json = format!(r#"{{"message":"b","{}":{{{}}}}}"#, "k".repeat(100_000), entries.join(","));
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: TIME_NS,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    assert_eq!(weir_record::read_json(json.as_bytes(), &defaults, &mut input), Ok(vec![]));
    input.extend(&batch(["c"]));
    let outcome = run(&[&load(&engine(), TYPED)], input);
    assert_eq!((outcome.batch.len(), outcome.failed.len()), (2, 1));
    assert!(outcome.failed[0].index == 1 && outcome.failed[0].reason.contains("paths"), "{}", outcome.failed[0].reason);
}

#[test]
fn a_filter_may_emit_at_its_ticks_what_it_was_given_and_a_little_more() {
    let engine = engine();
    let (flood, drop) = (load(&engine, TICK_FLOOD), load(&engine, DROP));
    let chain = chain(&[&flood, &drop]);
    let mut worker = Worker::new(engine);
    let refused = worker.tick(&chain, false);
    assert!(refused.batch.is_empty());
    let reason = refused.tick_failed.unwrap();
    assert!(reason.contains(&format!("made more than {MAX_OWN_TICK_RECORDS} records")), "{reason}");
    let many = batch(vec![MARKER; 20_000]);
    for _ in 0..3 {
        assert_eq!(worker.run(&chain, many.clone()).batch.len(), 0);
    }
    let given_back = worker.tick(&chain, false);
    assert_eq!((given_back.batch.len(), given_back.tick_failed), (60_000, None));
    assert!(worker.tick(&chain, false).tick_failed.is_some(), "only once");
}
