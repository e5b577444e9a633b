//! Times that filters return are always nanoseconds, even small ones, however a record is returned.

use super::hostile::{self, TYPED_COUNT};
use super::*;

const TIMES: [i64; 9] = [0, 1, -1, 1_000, -1_000, 1_795_168_800, 99_999_999_999, i64::MIN, i64::MAX];

const REPLACE: u8 = 3;
const PATCH: u8 = 2;
const EXPAND: u8 = 4;

/// A guest that returns one verdict for a batch of one record, and the same maps at each tick.
fn returning(encoding: u8, verdict: &[u8], maps: &[u8]) -> Vec<u8> {
    let data = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let made = format!(
        r#"
        (data (i32.const 512) "{}")
        (data (i32.const 520) "{}")
        (func (export "weir:filter/packed@1.0.0#encoding") (result i32) (i32.const {encoding}))
        (func (export "weir:filter/packed@1.0.0#process") (param i32 i32) (result i32)
          (i32.store8 (i32.const 256) (i32.const 0))
          (call $pair (i32.const 260) (i32.const 512) (i32.const {}))
          (call $pair (i32.const 268) (i32.const 520) (i32.const {len}))
          (i32.const 256))
        (func (export "weir:filter/packed-state@1.0.0#tick") (param i32) (result i32)
          (call $pair (i32.const 256) (i32.const 520) (i32.const {len}))
          (i32.const 256))
        (func (export "weir:filter/packed-state@1.0.0#save") (result i32)
          (call $pair (i32.const 256) (i32.const 0) (i32.const 0))
          (i32.const 256))
        (func (export "weir:filter/packed-state@1.0.0#restore") (param i32 i32) (result i32)
          (i32.store8 (i32.const 256) (i32.const 0))
          (i32.const 256))"#,
        data(verdict),
        data(maps),
        verdict.len(),
        len = maps.len(),
    );
    hostile::assemble(&hostile::text(("returning", "<made>")).replacen("<made>", &made, 1))
}

/// `{"timestamp": ns}`.
fn packed(ns: i64) -> Vec<u8> {
    let mut map = vec![0x81];
    weir_record::write::str(&mut map, "timestamp");
    weir_record::write::int(&mut map, ns);
    map
}

/// The times of the output for one record, and of what a tick emits.
fn times(module: &[u8]) -> (Vec<i64>, Vec<i64>) {
    let engine = engine();
    let filter = engine.load(&spec("returning"), module).unwrap();
    let mut worker = Worker::new(engine);
    let outcome = worker.run(&chain(&[&filter]), batch(["a"]));
    assert_eq!(outcome.failed, []);
    let ticked = worker.tick(&chain(&[&filter]), false);
    let times = |batch: &Batch| batch.iter().map(|record| record.timestamp()).collect();
    (times(&outcome.batch), times(&ticked.batch))
}

#[test]
fn messagepack_times_are_nanoseconds() {
    for ns in TIMES {
        let map = packed(ns);
        assert_eq!(times(&returning(0, &[PATCH], &map)), (vec![ns], vec![ns]));
        assert_eq!(times(&returning(0, &[REPLACE], &map)), (vec![ns], vec![ns]));
        let two = [packed(ns), packed(1)].concat();
        assert_eq!(times(&returning(0, &[EXPAND, 2, 0, 0, 0], &two)), (vec![ns, 1], vec![ns, 1]));
    }
}

#[test]
fn json_times_are_nanoseconds() {
    for ns in TIMES {
        let mut text = Vec::new();
        weir_record::time::format_rfc3339(ns, &mut text);
        let rfc3339 = format!("\"{}\"", String::from_utf8(text).unwrap());
        for value in [ns.to_string(), format!("\"{ns}\""), rfc3339] {
            let maps = format!("[{{\"timestamp\":{value}}}]");
            for verdict in [PATCH, REPLACE] {
                let (one, ticked) = times(&returning(1, &[verdict], maps.as_bytes()));
                assert_eq!((one, ticked), (vec![ns], vec![ns]), "{value}");
            }
        }
    }
}

#[test]
fn typed_times_are_nanoseconds() {
    for ns in TIMES {
        let text = hostile::text(TYPED_COUNT);
        let module = hostile::assemble(&text.replacen("(i64.const 7)", &format!("(i64.const {ns})"), 1));
        assert_eq!(times(&module), (vec![TIME_NS, TIME_NS], vec![ns]), "the views as they came, and that of the tick");
        let expanded = text.replacen(
            "(i32.store8 (local.get $verdict) (i32.const 3))",
            &format!(
                "(i32.store8 (local.get $verdict) (i32.const 3)) (i64.store (local.get $copies) (i64.const {ns}))"
            ),
            1,
        );
        assert_eq!(times(&hostile::assemble(&expanded)).0, [ns, TIME_NS]);
    }
}
