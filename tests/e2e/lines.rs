//! Log lines become records: the bundled filters that parse, validate, measure and sample them, in one chain in a
//! running router.

use serde_json::{Value, json};

use super::clients::post;
use super::router::{Home, module};

const CONFIGURATION: &str = r#"
[[filter]]
name = "join"
module = "join.wasm"
[[filter]]
name = "parse"
module = "parse.wasm"
[[filter]]
name = "exceptions"
module = "exceptions.wasm"
options = { level = "ERROR" }
[[filter]]
name = "schema"
module = "schema.wasm"
[filter.options]
on_fail = "route"
route = "invalid"
schema = { properties = { order = { type = "integer" } } }
[[filter]]
name = "timeseries"
module = "timeseries.wasm"
options = { rules = [{ measurement = "orders", tags = ["source"], fields = ["took_ms"] }] }
[[filter]]
name = "sample"
module = "sample.wasm"
options = { rate = 1, rates = { chatty = 0 } }
[[filter]]
name = "traces"
module = "traces.wasm"
options = { id = "trace", rate = 0, window = 600 }
[[filter]]
name = "throttle"
module = "throttle.wasm"
options = { rate = 0.001, burst = 5, keep_level = "ERROR" }
[sink.all]
type = "file"
path = "all.jsonl"
[sink.invalid]
type = "file"
path = "invalid.jsonl"
routes = ["invalid"]
"#;

fn records() -> Value {
    let mut records = vec![
        json!({ "source": "shop", "message": r#"{"lvl":"warn","msg":"sold","order":17,"took_ms":5.5}"# }),
        json!({ "source": "shop", "message": "msg=\"sold badly\" order=many" }),
        json!({ "source": "jobs", "message": "Traceback (most recent call last):" }),
        json!({ "source": "jobs", "message": "  File \"/srv/jobs.py\", line 7, in run" }),
        json!({ "source": "jobs", "message": "ValueError: no room" }),
        json!({ "source": "chatty", "message": "nobody reads this" }),
        json!({ "source": "web", "message": "a begins", "trace": "a" }),
        json!({ "source": "web", "message": "b begins", "trace": "b" }),
        json!({ "source": "web", "message": "a fails", "trace": "a", "level": "ERROR" }),
    ];
    records.extend((0..8).map(|n| json!({ "source": "noisy", "message": format!("poll {n}") })));
    Value::Array(records)
}

#[test]
fn lines_become_records_that_are_parsed_validated_measured_and_sampled() {
    let home = Home::with(CONFIGURATION);
    for name in ["join", "parse", "exceptions", "schema", "timeseries", "sample", "traces", "throttle"] {
        home.put_filter(name, &std::fs::read(module(name)).unwrap());
    }
    let router = home.start();
    assert_eq!(post(&router, &records().to_string()).body, r#"{"accepted":17}"#);
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");

    let read = |file: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(home.path(file)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = read("all.jsonl");
    let one = |message: &str| {
        let found: Vec<&Value> = all.iter().filter(|record| record["message"] == message).collect();
        assert_eq!(found.len(), 1, "`{message}` in {all:#?}");
        found[0]
    };
    let sold = one("sold");
    assert_eq!((&sold["level"], &sold["order"]), (&json!("WARNING"), &json!(17)));
    let measured = one("orders");
    assert_eq!((&measured["tags"], &measured["fields"]), (&json!({ "source": "shop" }), &json!({ "took_ms": 5.5 })));
    let failed =
        one("Traceback (most recent call last):\n  File \"/srv/jobs.py\", line 7, in run\nValueError: no room");
    assert_eq!((&failed["error"]["type"], &failed["level"]), (&json!("ValueError"), &json!("ERROR")));
    assert_eq!(failed["error"]["frame"], json!({ "function": "run", "file": "/srv/jobs.py", "line": 7 }));
    one("a begins");
    one("a fails");
    assert_eq!(one("3 records were held back")["source"], "noisy");
    assert_eq!(all.len(), 6 + 5 + 1, "and five of noisy's, and the bad order: {all:#?}");
    let invalid = read("invalid.jsonl");
    assert_eq!(invalid.len(), 1);
    assert_eq!(invalid[0]["schema_errors"], json!(["`order` is not integer"]));
}
