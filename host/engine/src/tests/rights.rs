//! A filter sees and changes no more than its configuration allows, whichever world it exports.

use super::hostile::{self, COUNT, DROP, EXPAND, Guest, KEEP, MARKER, PATCH, TYPED, TYPED_COUNT};
use super::*;
use crate::{Action, Right};

fn list(paths: &[&str]) -> Option<Vec<String>> {
    Some(paths.iter().map(|path| (*path).to_owned()).collect())
}

fn with(reads: Option<&[&str]>, writes: Option<&[&str]>) -> FilterSpec {
    FilterSpec { reads: reads.and_then(list), writes: writes.and_then(list), ..spec("f") }
}

/// Runs a guest with limited rights over records.
fn run_within(guest: Guest, spec: &FilterSpec, input: Batch) -> Outcome {
    let filter = engine().load(spec, &hostile::module(guest)).unwrap();
    run(&[&filter], input)
}

/// Two records: one with the marker in its message, the other with it under `secret`.
fn two() -> Batch {
    let mut two = batch([MARKER, "harmless"]);
    let mut marked = Vec::new();
    weir_record::apply_changes(
        two.get(1),
        &[weir_record::Change::Set("secret", weir_record::Value::Str(MARKER))],
        &mut marked,
    )
    .unwrap();
    two.truncate(1);
    two.push(&marked);
    two
}

/// Drops every batch that contains the marker, in JSON.
const DROP_JSON: Guest = (
    "drop_json",
    r#"
    (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const 1))
    (func (export "weir:filter/packed@1.0.0#process") (param $at i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 256) (i32.const 0))
      (i32.store8 (i32.const 512) (call $is_hostile (local.get $at) (i32.add (local.get $at) (local.get $length))))
      (call $pair (i32.const 260) (i32.const 512) (i32.const 1))
      (call $pair (i32.const 268) (i32.const 0) (i32.const 0))
      (i32.const 256))"#,
);

#[test]
fn a_packed_filter_is_not_shown_what_it_may_not_see() {
    for guest in [DROP, DROP_JSON] {
        for (reads, left) in [
            (None, &[][..]),
            (Some(&["message"][..]), &["harmless"]),
            (Some(&["secret"]), &[MARKER]),
            (Some(&["context.*", "level"]), &[MARKER, "harmless"]),
            (Some(&[]), &[MARKER, "harmless"]),
        ] {
            let mut found = Vec::new();
            for index in 0..2 {
                let mut alone = Batch::new();
                alone.push(two().get(index));
                let outcome = run_within(guest, &with(reads, None), alone);
                assert_eq!(outcome.failed, [], "{} sees {reads:?}", guest.0);
                found.extend(messages(&outcome.batch).iter().map(|message| (*message).to_owned()));
            }
            assert_eq!(found, left, "{} sees {reads:?}", guest.0);
        }
    }
}

#[test]
fn a_typed_filter_is_not_shown_what_it_may_not_see() {
    let outcome = run_within(TYPED, &with(Some(&["context.n"]), None), batch(["a"]));
    assert_eq!(messages(&outcome.batch), ["context.n"], "the first field that it is shown");
    let outcome = run_within(TYPED, &with(Some(&["message"]), None), batch(["a"]));
    assert_eq!(outcome.batch.len(), 0, "no field, which makes it drop the record");
}

#[test]
fn invisible_values_survive_changes() {
    for (guest, spec) in
        [(PATCH, with(Some(&["message"]), None)), (TYPED, with(Some(&["context.n"]), Some(&["message"])))]
    {
        let input = batch(["a"]);
        let outcome = run_within(guest, &spec, input.clone());
        assert_eq!(outcome.failed, [], "{}", guest.0);
        let (old, new) = (input.record(0), outcome.batch.record(0));
        assert_eq!(
            (new.get("context.user"), new.timestamp(), new.source()),
            (old.get("context.user"), TIME_NS, "test")
        );
    }
}

#[test]
fn a_change_beyond_its_rights_is_refused_and_its_records_get_the_policy() {
    for (guest, writes, fails) in [
        (PATCH, &["patched"][..], false),
        (PATCH, &["context.*", "message"], true),
        (PATCH, &[], true),
        (TYPED, &["message"], false),
        (TYPED, &["context", "level"], true),
        (KEEP, &[], false),
        (DROP, &[], false),
        (EXPAND, &[], false),
        (TYPED_COUNT, &[], false),
    ] {
        let outcome = run_within(guest, &with(None, Some(writes)), batch(["a", "b"]));
        assert_eq!(outcome.failed.len(), if fails { 2 } else { 0 }, "{} may change {writes:?}", guest.0);
        for failed in &outcome.failed {
            assert_eq!(failed.action, Action::Quarantine);
            let changed = if guest == TYPED { "it changed `message`" } else { "it changed `patched`" };
            assert!(failed.reason.contains(changed), "{}", failed.reason);
            assert_one_line(&failed.reason);
        }
    }
    let spec = FilterSpec { on_error: crate::OnError::Pass, ..with(None, Some(&[])) };
    let input = batch(["a"]);
    assert_eq!(run_within(PATCH, &spec, input.clone()).batch, input, "as it was");
}

#[test]
fn a_filter_that_sees_a_part_can_not_replace_or_expand_a_record() {
    for guest in [EXPAND, TYPED_COUNT] {
        let outcome = run_within(guest, &with(Some(&["message"]), None), batch(["a"]));
        assert_eq!((outcome.batch.len(), outcome.failed.len()), (0, 1), "{}", guest.0);
        let reason = &outcome.failed[0].reason;
        assert!(reason.contains("it removed `context") || reason.contains("only a part"), "{reason}");
    }
}

#[test]
fn the_records_of_a_tick_may_hold_what_the_filter_may_change() {
    for guest in [COUNT, TYPED_COUNT] {
        for (writes, made) in [(&["count"][..], 1), (&["message"], 0)] {
            let engine = engine();
            let filter = engine.load(&with(None, Some(writes)), &hostile::module(guest)).unwrap();
            let outcome = Worker::new(engine).tick(&chain(&[&filter]), true);
            assert_eq!(outcome.batch.len(), made, "{} may change {writes:?}", guest.0);
        }
    }
}

#[test]
fn a_trial_refuses_a_version_that_oversteps_its_rights() {
    let filter = engine().load(&with(None, Some(&["other"])), &hostile::module(PATCH)).unwrap();
    let error = filter.check(&batch(["a"]), None).unwrap_err().to_string();
    assert!(error.contains("it changed `patched`"), "{error}");
}

#[test]
fn a_filter_shows_its_rights_imports_memory_and_time() {
    let engine = engine();
    let import = r#"(module (import "weir:filter/host@1.0.0" "now" (func $now (result i64)))"#;
    let module = hostile::assemble(&hostile::text(KEEP).replacen("(module", import, 1));
    let filter = engine.load(&with(Some(&["message"]), None), &module).unwrap();
    let paths = Some(vec!["message".to_owned()]);
    assert_eq!(filter.rights().reads, Right { paths, is_enforced: true });
    assert_eq!(filter.rights().writes, Right::default());
    assert_eq!(filter.imports(), ["weir:filter/host@1.0.0 now"]);
    assert_eq!((filter.usage().instances, filter.usage().memory_bytes), (1, 2 << 16));
    assert_eq!(filter.usage().busy, Duration::ZERO);
    run(&[&filter], batch(["a"]));
    assert!(filter.usage().busy > Duration::ZERO);
}
