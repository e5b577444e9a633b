//! The JavaScript and Python SDKs send back exactly the changes that a filter made to a record.

use std::process::Command;

use serde_json::{Value, json};
use weir_engine::{Chain, FilterSpec, Worker};
use weir_record::{Aliases, Batch, Defaults, Level};

use super::clients::{python, run};
use super::router::{Home, engine, repository, weir};

/// Changes the record as its message says.
const FILTER: &str = r#"
import { counter, drop, filter, kv, log } from "./weir.js";

const deeds = {
  look: (record) => void (record.context.user.name.length + record.tags.length),
  "there and back": (record) => { const { big } = record; record.big = 1; record.big = big; },
  nested: (record) => { record.context.user.name = "*"; },
  remove: (record) => { delete record.context.user.name; record.n = undefined; },
  "list": (record) => { record.tags.push(9007199254740993n); },
  "inside a list": (record) => { record.tags[1].b = "ü☃🦀"; },
  "other map": (record) => { record.context = { x: 1 }; },
  "emptied map": (record) => { const { context } = record; delete context.user; record.context = { x: 1 }; },
  copy: (record) => ({ ...record, context: { ...record.context, x: 1 } }),
  moved: (record) => { record.who = record.context.user; record.who.name = "*"; delete record.context; },
  merged: (record) => { Object.assign(record.context, { x: new Date(0) }); },
  constructor: (record) => { record.constructor = 1; },
  drop: () => drop,
  expand: (record) => [record, { message: "second" }],
  whole: () => ({ message: "alone" }),
  "key value": (record) => { kv.set("k", { a: ["ü"] }, 60000); record.kv = [kv.get("k"), kv.add("n", 2, 60000), kv.get("none") === undefined]; },
  printed: (record) => { console.log("printed", { a: 1 }); log.warning("logged"); record.n = Date.now() > 1.7e12 && Math.random() < 1; },
  throws: (record) => { counter("thrown"); record.missing.x = 1; },
  promise: async () => {},
};

export const { lifecycle, packed } = filter({
  name: "deeds", version: "1.0.0", description: "does what it is told",
  process: (record) => deeds[record.message](record),
});
"#;

/// The record for each change, without its standard fields.
fn record() -> Value {
    json!({"big": 9007199254740993_i64, "n": 1, "tags": ["a", {"b": 1}],
           "context": {"user": {"name": "Ada", "id": 9007199254740995_i64}}})
}

#[test]
fn the_javascript_sdk_sends_back_only_the_changes() {
    let home = Home::new();
    let project = home.path("deeds");
    run(weir().args(["filter", "new", "deeds", "--lang", "js", "--folder"]).arg(&project));
    std::fs::write(project.join("filter.js"), FILTER).unwrap();
    let samples = r#"{"message":"drop"}"#;
    std::fs::write(project.join("samples.jsonl"), samples).unwrap();
    run(weir().args(["filter", "build"]).arg(&project));
    let engine = engine();
    let module = std::fs::read(project.join("deeds.wasm")).unwrap();
    let chain = Chain(vec![engine.load(&FilterSpec::new("deeds"), &module).unwrap()]);
    let mut worker = Worker::new(engine);
    let mut after = |deed: &str| -> Result<Vec<Value>, String> {
        let outcome = worker.run(&chain, batch(deed));
        match outcome.failed.first() {
            Some(failed) => Err(failed.reason.clone()),
            None => Ok(outcome.batch.iter().map(without_head).collect()),
        }
    };
    let same = |change: &dyn Fn(&mut Value)| {
        let mut record = record();
        change(&mut record);
        Ok(vec![record])
    };

    assert_eq!(after("look"), same(&|_| {}));
    assert_eq!(after("there and back"), same(&|_| {}));
    assert_eq!(after("nested"), same(&|record| record["context"]["user"]["name"] = json!("*")));
    let user = json!({"id": 9007199254740995_i64});
    assert_eq!(after("remove").unwrap()[0]["context"]["user"], user);
    assert_eq!(after("remove").unwrap()[0].get("n"), None);
    assert_eq!(after("list"), same(&|record| record["tags"] = json!(["a", {"b": 1}, 9007199254740993_i64])));
    assert_eq!(after("inside a list"), same(&|record| record["tags"] = json!(["a", {"b": "ü☃🦀"}])));
    assert_eq!(after("other map"), same(&|record| record["context"] = json!({"x": 1})));
    assert_eq!(after("emptied map"), same(&|record| record["context"] = json!({"x": 1})));
    assert_eq!(after("copy"), same(&|record| record["context"]["x"] = json!(1)));
    let moved = after("moved").unwrap();
    assert_eq!((moved[0].get("context"), &moved[0]["who"]["name"]), (None, &json!("*")));
    assert_eq!(after("merged"), same(&|record| record["context"]["x"] = json!("1970-01-01T00:00:00.000Z")));
    assert_eq!(after("constructor"), same(&|record| record["constructor"] = json!(1)));
    assert_eq!(after("drop"), Ok(vec![]));
    assert_eq!(after("expand").map(|records| records.len()), Ok(2));
    assert_eq!(after("whole"), Ok(vec![json!({})]));
    assert_eq!(after("key value"), same(&|record| record["kv"] = json!([{"a": ["ü"]}, 2, true])));
    assert_eq!(after("printed"), same(&|record| record["n"] = json!(true)));
    let reason = after("throws").unwrap_err();
    assert!(reason.contains("TypeError") && reason.contains("(filter.js, line "), "{reason}");
    assert!(after("promise").unwrap_err().contains("return nothing"));
}

fn batch(deed: &str) -> Batch {
    let mut record = record();
    record["message"] = json!(deed);
    let mut batch = Batch::new();
    let aliases = Aliases::default();
    let defaults = Defaults {
        received_ns: 1,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: true,
    };
    assert_eq!(weir_record::read_json(record.to_string().as_bytes(), &defaults, &mut batch), Ok(vec![]));
    batch
}

fn without_head(record: weir_record::Record<'_>) -> Value {
    let mut json = Vec::new();
    weir_record::write_json(record, &mut json);
    let mut value: Value = serde_json::from_slice(&json).unwrap();
    let map = value.as_object_mut().unwrap();
    for key in ["timestamp", "level", "source", "message"] {
        assert!(map.remove(key).is_some(), "no {key} in {map:?}");
    }
    value
}

/// Runs natively, because another build would take half a minute. The bindings are those of componentize-py.
#[test]
fn the_python_sdk_sends_back_only_the_changes() {
    let home = Home::new();
    let bindings = home.path("bindings");
    let wit = repository().join("wit/v1");
    run(Command::new("componentize-py")
        .args(["--quiet", "--world", "stateful-packed-filter", "--wit-path"])
        .arg(wit)
        .arg("bindings")
        .arg(&bindings));
    let tests = repository().join("guest-sdk/python/test_weir.py");
    let output = run(python().arg("-B").arg(tests).arg(bindings));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("\nOK"), "{said}");
}
