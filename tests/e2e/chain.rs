//! Five bundled filters in one chain, in a running router.

use serde_json::Value;

use super::clients::post;
use super::router::{Home, eventually, module};

const CONFIGURATION: &str = r#"
[[filter]]
name = "level"
module = "level.wasm"
options = { default = "INFO", sources = { auth = "DEBUG" } }
[[filter]]
name = "enrich"
module = "enrich.wasm"
[filter.options]
fields = { env = "test" }
rename = { user_name = "context.user" }
message = "{source}: {message}"
tables = [{ field = "context.user", key = "user", csv = "user,team\nada,engines\n", prefix = "metadata" }]
[[filter]]
name = "redact"
module = "redact.wasm"
[[filter]]
name = "route"
module = "route.wasm"
[filter.options]
rules = [{ when = { source = "auth" }, routes = ["audit"] }, { when = { message = { glob = "shop: health*" } }, drop = true }]
[[filter]]
name = "dedup"
module = "dedup.wasm"
options = { window = 3600 }
[sink.all]
type = "file"
path = "all.jsonl"
[sink.audit]
type = "file"
path = "audit.jsonl"
routes = ["audit"]
"#;

const RECORDS: &str = r#"[
    {"level":"debug","source":"auth","message":"login of ada@example.com","user_name":"ada"},
    {"level":"debug","source":"shop","message":"too fine"},
    {"source":"shop","message":"health check"},
    {"source":"shop","message":"hello"}
]"#;

fn lines(home: &Home, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path(file)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn five_bundled_filters_work_together_and_dedup_emits_its_counts_at_the_end() {
    let home = Home::with(CONFIGURATION);
    for name in ["level", "enrich", "redact", "route", "dedup"] {
        home.put_filter(name, &std::fs::read(module(name)).unwrap());
    }
    let router = home.start();
    for _ in 0..3 {
        assert_eq!(post(&router, RECORDS).body, r#"{"accepted":4}"#);
    }
    eventually("the first of each arrives", || lines(&home, "all.jsonl").len() == 2);
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");

    let all = lines(&home, "all.jsonl");
    assert_eq!(all.len(), 4, "two records, and two counts when it stopped: {all:#?}");
    let login = &all[0];
    assert_eq!(login["message"], "auth: login of ********");
    assert_eq!(login["metadata"]["team"], "engines");
    assert_eq!(login["env"], "test");
    assert_eq!(login["routes"][0], "audit");
    assert_eq!(all[1]["message"], "shop: hello");
    for count in &all[2..] {
        assert_eq!(count["repeated"], 2, "{count}");
    }
    assert_eq!(lines(&home, "audit.jsonl").len(), 2, "the login and its count");
}
