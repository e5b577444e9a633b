//! Searches over HTTP and with `weir query`.

use serde_json::{Value, json};

use super::clients::{curl, post, run};
use super::router::{Home, Router, eventually, weir};

fn get(router: &Router, path: &str) -> Value {
    let answer = curl(router, path, &["--globoff"], b"");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn messages(answer: &Value) -> Vec<&str> {
    answer["logs"].as_array().unwrap().iter().map(|log| log["message"].as_str().unwrap()).collect()
}

/// A router with ten records, a second apart, that can be found.
fn with_records(home: &Home) -> Router {
    let router = home.start();
    let records: Vec<Value> = (0..10)
        .map(|n| {
            json!({
                "timestamp": format!("2026-11-24T10:00:0{n}Z"), "source": if n < 7 { "shop" } else { "billing" },
                "level": if n % 5 == 0 { "ERROR" } else { "INFO" }, "message": format!("order {n} is paid"),
                "took_ms": 100 * n, "context": { "user": format!("u{}", n % 2) },
            })
        })
        .collect();
    assert_eq!(post(&router, &json!(records).to_string()).status, 200);
    eventually("they are stored", || messages(&get(&router, "/api/logs")).len() == 10);
    router
}

#[test]
fn records_are_found_page_by_page_by_id_and_by_their_neighbours() {
    let home = Home::new();
    let router = with_records(&home);
    let found = get(&router, "/api/logs?query=source:shop+took_ms%3E=300");
    let expected = ["order 6 is paid", "order 5 is paid", "order 4 is paid", "order 3 is paid"];
    assert_eq!(messages(&found), expected, "the newest first");
    assert_eq!((&found["next"], &found["sink"]), (&Value::Null, &json!("sqlite")));
    let record = &found["logs"][0];
    assert_eq!(record["timestamp"], "2026-11-24T10:00:06.000000000Z");
    assert_eq!((&record["service_name"], &record["content"]), (&json!("shop"), &record["message"]));
    let mut all = Vec::new();
    let mut path = "/api/logs?limit=3".to_owned();
    loop {
        let page = get(&router, &path);
        all.extend(messages(&page).iter().map(|message| (*message).to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/logs?limit=3&cursor={next}");
    }
    assert_eq!(all, (0..10).rev().map(|n| format!("order {n} is paid")).collect::<Vec<_>>());
    let id = record["entry_id"].as_str().unwrap();
    assert_eq!(&get(&router, &format!("/api/logs/{id}")), record);
    let around = get(&router, &format!("/api/logs?around={id}&limit=2"));
    assert_eq!(messages(&around), ["order 7 is paid", "order 6 is paid", "order 5 is paid"]);
    let own = get(&router, &format!("/api/logs/{id}?aliases=false"));
    assert!(own["content"].is_null() && own["entry_id"] == id, "{own}");
    // The stream has the same ids.
    let stream = curl(&router, "/api/tail?backlog=1&follow=false&query=message:%22order+6%22", &[], b"");
    assert!(stream.body.contains(&format!("id: {id}\n")), "{stream:?}");
}

#[test]
fn counts_fields_and_exports_agree_with_the_records() {
    let home = Home::new();
    let router = with_records(&home);
    let histogram =
        get(&router, "/api/histogram?query=since:2026-11-24T10:00:00Z+until:2026-11-24T10:00:10Z&buckets=5");
    assert_eq!(histogram["total"], 10);
    let buckets = histogram["buckets"].as_array().unwrap();
    let counts = buckets.iter().flat_map(|bucket| bucket["counts"].as_object().unwrap().values());
    assert_eq!(counts.map(|count| count.as_u64().unwrap()).sum::<u64>(), 10);
    assert!(buckets.len() > 1, "{histogram}");
    let by_source = get(&router, "/api/histogram?by=source&query=level:error&buckets=1");
    assert_eq!(by_source["total"], 2, "{by_source}");
    let fields = get(&router, "/api/fields?query=source:shop");
    assert_eq!((&fields["sampled"], &fields["complete"]), (&json!(7), &json!(true)));
    let field = |name: &str| {
        let fields = fields["fields"].as_array().unwrap();
        fields.iter().find(|field| field["field"] == name).unwrap_or_else(|| panic!("{name}: {fields:?}")).clone()
    };
    let users = json!([{ "value": "u0", "count": 4 }, { "value": "u1", "count": 3 }]);
    assert_eq!(field("context.user")["values"], users);
    assert_eq!(field("took_ms")["distinct"], 7);
    let lines = curl(&router, "/api/export?query=source:billing", &[], b"");
    let lines: Vec<Value> = lines.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["message"], "order 9 is paid");
    let table = curl(&router, "/api/export?query=source:billing&format=csv", &[], b"");
    assert!(table.body.starts_with("timestamp,level,source,message,entry_id,fields\r\n"), "{table:?}");
    assert_eq!(table.body.lines().count(), 4);
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let home = Home::new();
    let router = home.start();
    for (path, status, error) in [
        ("/api/logs?query=level%3E%3DLOUD", 400, "column 8"),
        ("/api/logs?limit=1001", 400, "up to 1000"),
        ("/api/logs?cursor=7", 400, "`next` of an earlier answer"),
        ("/api/logs?sink=nothing", 404, "there is `sqlite`"),
        ("/api/logs?querry=a", 400, "unknown parameter `querry`"),
        ("/api/logs/7", 400, "such as `4711-0`"),
        ("/api/logs/7-7", 404, "has no record 7-7"),
        ("/api/histogram?by=weight", 400, "`level` or `source`"),
        ("/api/export?format=pdf", 400, "`ndjson` or `csv`"),
        ("/api/nothing", 404, "there is nothing at /api/nothing"),
    ] {
        let answer = curl(&router, path, &[], b"");
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains(error), "{path}: {answer:?}");
    }
    assert_eq!(curl(&router, "/api/logs?query=level%3E%3DLOUD", &[], b"").json()["column"], 8);
    let refused = curl(&router, "/api/logs", &["-X", "DELETE"], b"");
    assert!(refused.status == 405 && refused.head.to_lowercase().contains("allow: get, head"), "{refused:?}");
}

#[test]
fn the_files_of_a_sink_are_searched_while_it_writes_them_and_after() {
    let home = Home::with(
        "[sink.lines]\ntype = \"file\"\npath = \"logs/{source}.jsonl\"\n\n[sink.text]\ntype = \"file\"\nformat = \"text\"\npath = \"text.log\"\n",
    );
    let router = with_records(&home);
    assert_eq!(get(&router, "/api/sinks"), json!({ "sinks": [{ "name": "lines", "type": "file" }] }));
    let found = get(&router, "/api/logs?query=paid&limit=3");
    assert_eq!(messages(&found), ["order 9 is paid", "order 8 is paid", "order 7 is paid"]);
    let next = found["next"].as_str().unwrap();
    let more = get(&router, &format!("/api/logs?query=paid&limit=3&cursor={next}"));
    assert_eq!(messages(&more), ["order 6 is paid", "order 5 is paid", "order 4 is paid"]);
    let id = more["logs"][1]["entry_id"].as_str().unwrap();
    assert_eq!(get(&router, &format!("/api/logs/{id}"))["message"], json!("order 5 is paid"));
    assert_eq!(get(&router, "/api/histogram?query=level:error")["total"], json!(2));
    assert_eq!(router.stop().0.code(), Some(0));
    let query = |arguments: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).args(["query", "--config", "weir.toml"]).args(arguments);
        let ran = command.output().unwrap();
        (
            ran.status.success(),
            String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr),
        )
    };
    let (succeeded, shown) = query(&["level:error"]);
    assert!(succeeded && shown.lines().count() == 2, "{shown}");
    let (succeeded, shown) = query(&["paid", "took_ms>250", "--explain"]);
    assert!(
        succeeded && shown.contains("of 2 files") && shown.contains("only lines with `paid` in any case"),
        "{shown}"
    );
    let (succeeded, shown) = query(&["--sink", "text"]);
    assert!(!succeeded && shown.contains("format = \"json\""), "{shown}");
}

#[test]
fn without_a_sink_that_can_be_searched_the_answer_says_which_can() {
    let home = Home::with("[sink.out]\ntype = \"console\"\n");
    let router = home.start();
    let answer = curl(&router, "/api/logs", &[], b"");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("add one of type `sqlite` or `postgres`"), "{answer:?}");
    assert_eq!(get(&router, "/api/sinks"), json!({ "sinks": [] }));
}

#[test]
fn weir_query_finds_records_whether_the_router_runs_or_not() {
    let home = Home::new();
    let router = with_records(&home);
    let query = |arguments: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).arg("query").args(arguments);
        command
    };
    let shown = |arguments: &[&str]| String::from_utf8(run(&mut query(arguments)).stdout).unwrap();
    let running = shown(&["level:error"]);
    let lines: Vec<&str> = running.lines().collect();
    assert_eq!(lines.len(), 2, "{running}");
    assert!(lines[0].contains("order 0 is paid") && lines[1].contains("order 5 is paid"), "the newest last: {running}");
    assert_eq!(router.stop().0.code(), Some(0));
    assert_eq!(shown(&["level:error"]), running);
    let json: Value = serde_json::from_str(&shown(&["-n", "1", "--format", "json"])).unwrap();
    assert_eq!((&json["message"], &json["took_ms"]), (&json!("order 9 is paid"), &json!(900)));
    assert!(json["entry_id"].is_string());
    assert_eq!(shown(&["source:billing", "--format", "csv"]).lines().count(), 4);
    let explained = shown(&["paid", "took_ms>250", "--explain"]);
    assert!(explained.contains("of 1 blocks") && explained.contains("condition in SQL: "), "{explained}");
    for (arguments, error) in [
        (&["level>=LOUD"][..], "column 8"),
        (&["--sink", "nothing"], "no sink `nothing`"),
        (&["--sink", "console"], "can't be searched"),
        (&["--data", "elsewhere"], "elsewhere"),
    ] {
        let refused = query(arguments).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(error), "{arguments:?}: {said}");
    }
}
