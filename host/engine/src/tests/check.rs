//! New versions are tried on recent records next to the running version.

use super::hostile::{KEEP, LOOP, MARKER, PATCH, REFUSE, TRAP};
use super::*;
use crate::LoadErrorKind;

/// Records, two of which contain the marker.
fn sample() -> Batch {
    let marked = format!("it is {MARKER}");
    batch(["a", &marked, "b", &marked])
}

#[test]
fn a_version_that_fails_where_the_running_one_succeeds_is_refused() {
    let engine = engine();
    let running = load(&engine, KEEP);
    for guest in [REFUSE, TRAP, LOOP] {
        let error = load(&engine, guest).check(&sample(), Some(&running)).unwrap_err();
        assert!(matches!(error.kind, LoadErrorKind::Worse(_)), "{error}");
        assert!(error.to_string().contains("the running version accepts"), "{error}");
        assert_one_line(&error.to_string());
        load(&engine, guest).check(&batch(["a", "b"]), Some(&running)).unwrap();
    }
}

#[test]
fn a_record_that_both_versions_fail_on_does_not_refuse_the_new_one() {
    let engine = engine();
    for (running, new) in [(REFUSE, REFUSE), (TRAP, REFUSE), (REFUSE, TRAP), (LOOP, TRAP)] {
        let checked = load(&engine, new).check(&sample(), Some(&load(&engine, running))).unwrap();
        assert_eq!((checked.records, checked.failed), (4, 2), "{} after {}", new.0, running.0);
    }
    let mended = load(&engine, PATCH).check(&sample(), Some(&load(&engine, TRAP))).unwrap();
    assert_eq!(mended.failed, 0);
}

#[test]
fn without_a_running_version_only_returned_errors_are_tolerated() {
    let engine = engine();
    let checked = load(&engine, REFUSE).check(&sample(), None).unwrap();
    assert_eq!((checked.records, checked.failed, checked.failed_on_all()), (4, 2, false));
    assert!(checked.reason.contains("it returned an error: HOSTILE"), "{}", checked.reason);
    let marked = batch([MARKER, MARKER]);
    assert!(load(&engine, REFUSE).check(&marked, None).unwrap().failed_on_all());
    assert!(!load(&engine, REFUSE).check(&Batch::new(), None).unwrap().failed_on_all());
    assert!(matches!(load(&engine, TRAP).check(&marked, None).unwrap_err().kind, LoadErrorKind::Trial(_)));
}

#[test]
fn a_check_has_a_time_limit_even_if_both_versions_are_slow_on_every_record() {
    let engine = engine();
    let marked = vec![MARKER; 64];
    let began = std::time::Instant::now();
    let slow = load(&engine, LOOP);
    let checked = slow.check(&batch(marked), Some(&load(&engine, LOOP))).unwrap();
    assert!(checked.failed < 64, "{checked:?}");
    // Allows for the last record tried and for pauses of the machine.
    assert!(began.elapsed() < 4 * crate::limits::MAX_CHECK_TIME, "{:?}", began.elapsed());
    assert!(slow.check(&batch(["a"]), None).is_ok());
}
