//! Records, edits and verdicts as a filter uses them.

mod holding;

use crate::testing::{Bench, Json, Outcome, START_NS, json, to_json};
use crate::{Description, Edit, Encode, Filter, Level, NewRecord, Path, Record, StatefulFilter, Value, Verdict, host};

fn bytes(record: &Json) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

/// The patch and the whole record after edits.
fn edited(record: &Json, change: impl Fn(&mut Edit)) -> (Json, Json) {
    let bytes = bytes(record);
    let (view, _) = Record::read(&bytes).unwrap();
    let json = |out: &[u8]| if out.is_empty() { json!({}) } else { to_json(Value::read(out).unwrap().0) };
    let mut edit = Edit::new();
    change(&mut edit);
    let mut patch = Vec::new();
    edit.write_patch(&view, &mut patch);
    let mut edit = Edit::new();
    change(&mut edit);
    let mut whole = Vec::new();
    edit.write_record(&view, &mut whole);
    (json(&patch), json(&whole))
}

/// RFC 7396, implemented independently of the tested code.
fn merged(target: &Json, patch: &Json) -> Json {
    let Json::Object(changes) = patch else { return patch.clone() };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, change) in changes {
        match change {
            Json::Null => drop(result.remove(key)),
            change => {
                let old = result.get(key).cloned().unwrap_or(Json::Null);
                result.insert(key.clone(), merged(&old, change));
            }
        }
    }
    Json::Object(result)
}

#[test]
fn patches_apply_the_edits() {
    let record = json!({
        "message": "m", "level": "INFO", "n": 1,
        "context": { "user": { "name": "Ada", "id": 7 }, "tags": ["a", { "k": 1, "l": null }, "c"] },
    });
    type Case = (&'static str, fn(&mut Edit), Json);
    let cases: [Case; 13] = [
        ("a key", |e| e.set("n", 2), json!({ "n": 2 })),
        ("a nested key", |e| e.set("context.user.name", "Bob"), json!({ "context": { "user": { "name": "Bob" } } })),
        ("new maps", |e| e.set("a.b.c", true), json!({ "a": { "b": { "c": true } } })),
        ("a map in place of text", |e| e.set("message.text", "x"), json!({ "message": { "text": "x" } })),
        ("removal", |e| e.remove("context.user.id"), json!({ "context": { "user": { "id": null } } })),
        ("removal of nothing", |e| e.remove("x.y.z"), json!({})),
        ("removal below text", |e| e.remove("message.x"), json!({})),
        (
            "an index far past the end",
            |e| e.set("context.tags.9.x", 1),
            json!({ "context": { "tags": ["a", { "k": 1, "l": null }, "c"] } }),
        ),
        (
            "a whole map",
            |e| e.set("context.user", json!({ "id": 8 })),
            json!({ "context": { "user": { "id": 8, "name": null } } }),
        ),
        (
            "a key in a list",
            |e| e.set("context.tags.1.k", 2),
            json!({ "context": { "tags": ["a", { "k": 2, "l": null }, "c"] } }),
        ),
        (
            "an end of a list",
            |e| e.set("context.tags.3", "d"),
            json!({ "context": { "tags": ["a", { "k": 1, "l": null }, "c", "d"] } }),
        ),
        (
            "less of a list",
            |e| e.remove("context.tags.0"),
            json!({ "context": { "tags": [{ "k": 1, "l": null }, "c"] } }),
        ),
        ("null", |e| e.set("n", None::<i64>), json!({ "n": null })),
    ];
    for (name, change, expected) in cases {
        let (patch, whole) = edited(&record, change);
        assert_eq!(patch, expected, "{name}");
        assert_eq!(merged(&record, &patch), whole, "{name}: patch and whole record say the same");
    }
}

#[test]
fn later_edits_win_over_earlier_ones() {
    let record = json!({ "a": { "b": 1, "c": 2 } });
    let (patch, whole) = edited(&record, |e| {
        e.remove("a");
        e.set("a.d", 3);
    });
    assert_eq!(whole, json!({ "a": { "d": 3 } }));
    assert_eq!(merged(&record, &patch), whole);
    let (patch, whole) = edited(&record, |e| {
        e.set("a", json!({ "x": { "y": 1 } }));
        e.set("a.x.z", 2);
        e.remove("a.x.y");
    });
    assert_eq!(whole, json!({ "a": { "x": { "z": 2 } } }));
    assert_eq!(merged(&record, &patch), whole);
    let (patch, _) = edited(&record, |e| {
        e.set("a.b", 5);
        e.set("a", "text");
    });
    assert_eq!(patch, json!({ "a": "text" }));
}

/// Pseudorandom numbers with a fixed seed.
struct Random(u64);

impl Random {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn key(&mut self) -> &'static str {
        ["a", "b", "c", "0", "1", "2", "d.e", "a key of more than thirty-two bytes, for once"][self.roll(8) as usize]
    }

    /// A value without nulls, which a patch can't set.
    fn value(&mut self, depth: u64) -> Json {
        match self.roll(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.roll(100_000)),
            1 => json!("x".repeat(self.roll(80) as usize)),
            2 => json!(true),
            3 => json!([]),
            4 => (0..self.roll(4)).map(|_| self.value(depth - 1)).collect(),
            _ => self.map(depth - 1),
        }
    }

    fn map(&mut self, depth: u64) -> Json {
        Json::Object((0..self.roll(5)).map(|_| (self.key().to_owned(), self.value(depth))).collect())
    }
}

#[test]
fn the_patch_and_the_whole_record_always_agree() {
    let mut random = Random(88_172_645_463_325_252);
    // Reused for all records, as in a filter.
    let mut edit = Edit::new();
    for round in 0..20_000 {
        let record = random.map(4);
        let bytes = bytes(&record);
        let (view, _) = Record::read(&bytes).unwrap();
        edit.clear();
        assert!(edit.is_empty());
        let mut edits = Vec::new();
        for _ in 0..=random.roll(6) {
            let path = Path::of((0..=random.roll(3)).map(|_| random.key()));
            let value = (random.roll(3) > 0).then(|| random.value(3));
            edit.set_at(&path, value.clone());
            edits.push((path.to_string(), value));
        }
        let (mut patch, mut whole) = (Vec::new(), Vec::new());
        let changed = edit.write_patch(&view, &mut patch);
        edit.write_record(&view, &mut whole);
        let json = |out: &[u8]| to_json(Value::read(out).unwrap().0);
        let patched = if changed { merged(&record, &json(&patch)) } else { record.clone() };
        assert_eq!(patched, json(&whole), "round {round}: {record} with {edits:?}");
    }
}

#[test]
fn reading_through_edits_sees_the_changed_values() {
    let bytes = bytes(&json!({ "a": { "b": 1, "c": { "d": 2 } } }));
    let (record, _) = Record::read(&bytes).unwrap();
    let mut edit = Edit::new();
    edit.set("a.b", "new");
    edit.remove("a.c.d");
    edit.set("e", json!({ "f": [1, 2] }));
    let see = |path: &str| edit.get(&record, &Path::parse(path)).map(to_json);
    assert_eq!(see("a.b"), Some(json!("new")));
    assert_eq!(see("a.c.d"), None);
    assert_eq!(see("e.f.1"), Some(json!(2)));
    assert_eq!(see("a.x"), None);
}

#[test]
fn routes_are_added_once_after_existing_ones() {
    let record = json!({ "routes": ["audit"] });
    let (patch, _) = edited(&record, |e| {
        e.route("slow");
        e.route("audit");
        e.route("slow");
    });
    assert_eq!(patch, json!({ "routes": ["audit", "slow"] }));
    assert_eq!(edited(&record, |e| e.route("audit")).0, json!({}));
    assert_eq!(edited(&json!({}), |e| e.route("x")).0, json!({ "routes": ["x"] }));
}

#[test]
fn paths_with_dots_in_keys_are_escaped_both_ways() {
    for (path, keys) in [
        ("a.b", vec!["a", "b"]),
        (r"a\.b", vec!["a.b"]),
        (r"a\\.b", vec!["a\\", "b"]),
        ("", vec![""]),
        ("a.", vec!["a", ""]),
    ] {
        let parsed = Path::parse(path);
        assert_eq!(parsed.keys(), keys, "{path}");
        assert_eq!(parsed.to_string(), path);
    }
    let bytes = bytes(&json!({ "a.b": { "0": "x" }, "l": [[5]] }));
    let (record, end) = Record::read(&bytes).unwrap();
    assert_eq!(end, bytes.len());
    assert_eq!(record.get(r"a\.b.0").and_then(|v| v.as_str()), Some("x"));
    assert_eq!(record.get("l.0.0").and_then(|v| v.as_i64()), Some(5));
    assert!(record.get("l.1").is_none() && record.get("a.b").is_none());
}

#[test]
fn numbers_round_trip() {
    for n in [0, 1, 127, 128, 255, 256, 65_535, 65_536, i64::from(u32::MAX), i64::from(u32::MAX) + 1, i64::MAX] {
        for n in [n, -n, -n - 1] {
            let mut bytes = Vec::new();
            n.encode(&mut bytes);
            assert_eq!(Value::read(&bytes), Some((Value::Int(n), bytes.len())), "{n}");
        }
    }
    let mut bytes = Vec::new();
    u64::MAX.encode(&mut bytes);
    assert_eq!(Value::read(&bytes), Some((Value::UInt(u64::MAX), 9)));
}

#[test]
fn strings_lists_and_maps_of_every_header_size_round_trip() {
    for len in [0, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
        let text = "x".repeat(len);
        let list: Vec<u8> = vec![7; len];
        let map: Json = (0..len).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
        for value in [json!(text), json!(list), map] {
            let bytes = bytes(&value);
            let (read, end) = Value::read(&bytes).unwrap();
            assert_eq!(end, bytes.len());
            assert!(to_json(read) == value, "{len}");
        }
    }
}

#[test]
fn truncated_bytes_are_neither_a_value_nor_a_panic() {
    let whole = bytes(&json!({ "a": [1, "text", { "b": 2.5 }], "c": "x".repeat(300) }));
    for len in 0..whole.len() {
        assert!(Value::read(&whole[..len]).is_none(), "{len}");
    }
    for first in 0..=255_u8 {
        let _ = Value::read(&[first, 0xff, 0xff, 0xff, 0xff, 1, 2]);
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    limit: u32,
    floor: Level,
}

/// Does what the message says, and counts records.
struct ScriptedFilter {
    seen: i64,
}

impl Filter for ScriptedFilter {
    type Options = Options;

    fn describe() -> Description {
        Description { name: "obedient", ..Description::default() }
    }

    fn new(options: Options) -> Result<Self, String> {
        match options.limit {
            0..100 => Ok(ScriptedFilter { seen: 0 }),
            limit => Err(format!("option `limit`: {limit} is more than 99")),
        }
    }

    fn process(&mut self, record: &Record<'_>, edit: &mut Edit) -> Verdict {
        self.seen += 1;
        host::counter("seen", 1);
        edit.set("edited", true);
        match record.message() {
            "drop" => Verdict::Drop,
            "replace" => Verdict::Replace(NewRecord::new(Level::Error, "obedient", "new").set("a.b", 1)),
            "expand" => Verdict::Expand(vec![
                NewRecord::copy(record).remove("message"),
                NewRecord::copy(record).set("message", "second").route("twice"),
            ]),
            "fail" => Verdict::Fail("told to".to_owned()),
            "count" => {
                edit.clear();
                edit.set("count", host::kv_add("count", 2, 1000));
                Verdict::Keep
            }
            "quiet" => {
                edit.clear();
                Verdict::Keep
            }
            _ => Verdict::Keep,
        }
    }
}

impl StatefulFilter for ScriptedFilter {
    fn tick(&mut self, closing: bool) -> Vec<NewRecord> {
        host::log(Level::Debug, "tick");
        let record = NewRecord::new(Level::Info, "obedient", "seen").set("seen", self.seen);
        if closing { vec![record] } else { Vec::new() }
    }

    fn save(&self) -> Vec<u8> {
        self.seen.to_be_bytes().to_vec()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let state: [u8; 8] = state.try_into().map_err(|_| "the state is not eight bytes".to_owned())?;
        self.seen = i64::from_be_bytes(state);
        Ok(())
    }
}

fn bench() -> Bench<ScriptedFilter> {
    Bench::new(json!({})).unwrap()
}

#[test]
fn verdicts_of_a_batch_are_in_order_with_their_records() {
    let records = ["keep", "drop", "replace", "expand", "quiet"].map(|message| json!({ "message": message, "n": 1 }));
    let outcomes = bench().run(records);
    assert!(matches!(&outcomes[0], Outcome::Changed { patch, .. } if *patch == json!({ "edited": true })));
    assert!(outcomes[1].is_dropped());
    let new = outcomes[2].record();
    assert_eq!((&new["message"], &new["a"]["b"], &new["timestamp"]), (&json!("new"), &json!(1), &json!(START_NS)));
    let Outcome::Expanded(two) = &outcomes[3] else { panic!("{:?}", outcomes[3]) };
    assert!(two[0].get("message").is_none() && two[0]["n"] == 1);
    assert_eq!((&two[1]["message"], &two[1]["routes"]), (&json!("second"), &json!(["twice"])));
    assert!(outcomes[4].is_kept());
}

#[test]
fn a_failure_fails_the_batch_with_its_reason() {
    assert_eq!(bench().try_run([json!({}), json!({ "message": "fail" })]), Err("told to".to_owned()));
}

#[test]
fn options_are_typed_and_refused_by_name() {
    let refused = |options| Bench::<ScriptedFilter>::new(options).err().unwrap_or_default();
    assert!(refused(json!({ "limit": 100 })).contains("`limit`"));
    assert_eq!(
        refused(json!({ "limt": 1 })),
        "unknown field `limt`, expected `limit` or `floor`; did you mean `limit`?",
        "no line and column of JSON that nobody wrote"
    );
    let error = refused(json!({ "limit": "ten" }));
    assert!(error.starts_with("option `limit`: ") && !error.contains("line"), "{error}");
    assert!(refused(json!({ "floor": "loud" })).contains("CRITICAL"));
    assert!(Bench::<ScriptedFilter>::new(json!({ "floor": "warn", "limit": 9 })).is_ok());
}

#[test]
fn all_mistakes_in_options_are_reported_at_once() {
    let error =
        Bench::<ScriptedFilter>::new(json!({ "floor": "loud", "limit": 100, "lmit": 1 })).err().unwrap_or_default();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3, "{error}");
    assert!(lines[0].starts_with("option `floor`: ") && lines[1].starts_with("unknown field `lmit`"), "{error}");
    assert_eq!(lines[2], "option `limit`: 100 is more than 99");
}

#[test]
fn a_message_of_every_instance_is_logged_once() {
    let bench = bench();
    let before = bench.log().len();
    for _ in 0..3 {
        host::log_once(Level::Warning, "mind the gap");
    }
    host::log_once(Level::Warning, "another");
    assert_eq!(bench.log().len(), before + 2);
}

#[test]
fn counters_store_and_clock_belong_to_the_bench() {
    let mut bench = bench();
    let count =
        |bench: &mut Bench<ScriptedFilter>| bench.run_one(json!({ "message": "count" })).record()["count"].clone();
    assert_eq!((count(&mut bench), count(&mut bench)), (json!(2), json!(4)));
    bench.advance(std::time::Duration::from_millis(999));
    assert_eq!(count(&mut bench), json!(6));
    bench.advance(std::time::Duration::from_millis(1));
    assert_eq!(count(&mut bench), json!(2), "adding does not make it live longer");
    assert_eq!(bench.counter("seen"), 4);
    assert_eq!(bench.stored("count"), Some(b"2".to_vec()));
    assert_eq!(self::bench().counter("seen"), 0, "a new bench begins anew");
}

#[test]
fn state_passes_from_one_version_to_the_next() {
    let mut old = bench();
    old.run([json!({}), json!({})]);
    let state = old.save();
    let mut new = bench();
    new.restore(&state).unwrap();
    assert!(new.tick(false).is_empty());
    assert_eq!(new.tick(true)[0]["seen"], 2);
    assert_eq!(new.log().len(), 2);
    assert!(new.restore(b"short").is_err());
}
