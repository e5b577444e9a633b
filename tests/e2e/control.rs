//! What the API reports about the router and changes in it: the pipeline, versions of filters, the quarantine, levels.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::clients::{Answer, curl, post, run};
use super::hostile::guests::{self, KEEP, MARKER, PATCH, TRAP};
use super::router::{Home, Router, eventually, weir};

const CONFIGURATION: &str = r#"
[[filter]]
name = "f"
module = "f.wasm"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

fn get(router: &Router, path: &str) -> Value {
    let answer = curl(router, path, &[], b"");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn act(router: &Router, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    let kind = format!("Content-Type: {kind}");
    curl(router, path, &["-X", method, "-H", &kind, "--data-binary", "@-"], body)
}

fn act_json(router: &Router, method: &str, path: &str, body: &Value) -> Answer {
    act(router, method, path, "application/json", body.to_string().as_bytes())
}

fn try_module(router: &Router, name: &str, module: &[u8]) -> Answer {
    act(router, "POST", &format!("/api/filters/{name}/try"), "application/wasm", module)
}

fn stored(home: &Home, text: &str) -> String {
    let line = || {
        let all = std::fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
        all.lines().find(|line| line.contains(text)).map(str::to_owned)
    };
    eventually(text, || line().is_some());
    line().unwrap()
}

#[test]
fn the_pipeline_is_reported_with_its_counts_states_and_versions() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(post(&router, r#"[{"message":"ada@example.com"},{"message":"b"}]"#).status, 200);
    eventually("the sink has them", || get(&router, "/api/pipeline")["sinks"][0]["records"] == 2);
    let shown = get(&router, "/api/pipeline");
    assert_eq!((&shown["status"], &shown["journal"]["records"]), (&json!("ok"), &json!(2)), "{shown}");
    assert_eq!((&shown["sources"][0]["name"], &shown["sources"][0]["records"]), (&json!("weir"), &json!(2)));
    let filter = &shown["filters"][0];
    assert_eq!((&filter["name"], &filter["origin"]), (&json!("redact"), &json!("bundled:redact")), "{filter}");
    assert_eq!((&filter["records_in"], &filter["changed"], &filter["state"]), (&json!(2), &json!(1), &json!("ok")));
    assert_eq!(filter["versions"][0]["digest"], filter["digest"]);
    assert!(filter["pin"].is_null() && filter["trial"].is_null(), "{filter}");
    let names: Vec<_> = shown["sinks"].as_array().unwrap().iter().map(|sink| sink["name"].clone()).collect();
    assert!(names.contains(&json!("sqlite")), "{names:?}");
}

#[test]
fn a_module_is_tried_swapped_in_and_rolled_back_over_http() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("f", &guests::module(KEEP));
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"first"}"#).status, 200);
    let before = get(&router, "/api/pipeline")["filters"][0]["digest"].clone();

    let tried = try_module(&router, "f", &guests::module(PATCH));
    assert_eq!(tried.status, 200, "{tried:?}");
    let tried = tried.json();
    assert_eq!((&tried["records"], &tried["same"], &tried["failed"]), (&json!(1), &json!(0), &json!(0)), "{tried}");
    let difference = &tried["differences"][0];
    assert_eq!(difference["running"]["records"][0]["message"], "first");
    assert_ne!(difference["running"]["records"][0], difference["new"]["records"][0]);
    assert_eq!(get(&router, "/api/pipeline")["filters"][0]["digest"], before, "trying changes nothing");

    let swapped = act_json(&router, "POST", "/api/filters/f/swap", &json!({ "digest": tried["digest"] }));
    assert_eq!(swapped.status, 200, "{swapped:?}");
    let filter = get(&router, "/api/pipeline")["filters"][0].clone();
    assert_eq!((&filter["digest"], &filter["pin"]["by"]), (&tried["digest"], &json!("api")));
    assert_eq!(post(&router, r#"{"message":"second"}"#).status, 200);
    assert!(stored(&home, "second").contains("patched"));

    let back = act_json(&router, "POST", "/api/filters/f/rollback", &json!({}));
    assert_eq!((back.status, &back.json()["digest"]), (200, &before), "{back:?}");
    assert!(get(&router, "/api/pipeline")["filters"][0]["pin"].is_null(), "the module of the folder runs again");
    assert_eq!(post(&router, r#"{"message":"third"}"#).status, 200);
    assert!(!stored(&home, "third").contains("patched"));

    // A swap stays over a restart, until the folder has another module.
    assert_eq!(act_json(&router, "POST", "/api/filters/f/swap", &json!({ "digest": tried["digest"] })).status, 200);
    router.stop();
    let mut router = home.start();
    assert_eq!(get(&router, "/api/pipeline")["filters"][0]["digest"], tried["digest"]);
    let mut other = guests::module(KEEP);
    other.extend([0, 3, 1, b'v', 1]);
    home.put_filter("f", &other);
    router.wait_for_line("replaced by");
    assert!(get(&router, "/api/pipeline")["filters"][0]["pin"].is_null());
}

#[test]
fn a_module_that_cannot_run_is_refused_with_the_reason() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("f", &guests::module(KEEP));
    let router = home.start();
    assert_eq!(post(&router, &format!(r#"{{"message":"{MARKER}"}}"#)).status, 200);
    let running = get(&router, "/api/pipeline")["filters"][0]["digest"].clone();
    for (name, module, status, error) in
        [("f", b"not a module".as_slice(), 422, "f"), ("f", b"", 422, "f"), ("g", b"", 404, "there is no filter `g`")]
    {
        let answer = try_module(&router, name, module);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["error"].as_str().unwrap().contains(error), "{answer:?}");
    }
    let tried = try_module(&router, "f", &guests::module(TRAP));
    assert_eq!((tried.status, &tried.json()["failed"]), (200, &json!(1)), "{tried:?}");
    let swap = |digest: &Value| act_json(&router, "POST", "/api/filters/f/swap", &json!({ "digest": digest }));
    let refused = swap(&tried.json()["digest"]);
    assert_eq!(refused.status, 422, "it fails on a record that the running version accepts: {refused:?}");
    assert_eq!(swap(&json!("0".repeat(64))).status, 409);
    assert_eq!(swap(&json!("../../etc/passwd")).status, 409);
    assert_eq!(act(&router, "POST", "/api/filters/f/swap", "application/json", b"{").status, 400);
    assert_eq!(act(&router, "POST", "/api/filters/f/swap", "text/plain", b"{}").status, 415);
    assert_eq!(curl(&router, "/api/filters/f/swap", &[], b"").status, 405);
    let foreign =
        ["-X", "POST", "-H", "Origin: http://example.com", "-H", "Content-Type: application/json", "-d", "{}"];
    assert_eq!(curl(&router, "/api/filters/f/rollback", &foreign, b"").status, 403, "another site");
    let form = ["-X", "POST", "-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate", "-d", "{}"];
    assert_eq!(curl(&router, "/api/filters/f/rollback", &form, b"").status, 403, "a form on another site");
    assert_eq!(get(&router, "/api/pipeline")["filters"][0]["digest"], running);
    router.stop();
    let router = home.start();
    assert_eq!(get(&router, "/api/pipeline")["filters"][0]["digest"], running, "also after a restart");
}

#[test]
fn minimum_levels_apply_at_once_end_in_time_and_stay_over_a_restart() {
    let home = Home::with(&CONFIGURATION.replace("[[filter]]\nname = \"f\"\nmodule = \"f.wasm\"\n", ""));
    let router = home.start();
    let send = |router: &Router, source: &str, level: &str, message: &str| {
        let body = json!({ "source": source, "level": level, "message": message }).to_string();
        assert_eq!(post(router, &body).body, r#"{"accepted":1}"#);
    };
    let levels = |router: &Router, arguments: &[&str]| {
        let address = router.url.trim_start_matches("http://");
        let output = run(weir().arg("levels").args(arguments).args(["--address", address]));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(levels(&router, &[]).contains("everything is stored"));
    let set = levels(&router, &["set", "INFO", "auth=DEBUG", "--for", "1h"]);
    assert!(set.contains("all other sources") && set.contains("until"), "{set}");
    send(&router, "shop", "DEBUG", "not stored");
    send(&router, "auth", "DEBUG", "a detail");
    stored(&home, "a detail");
    let changed = act_json(&router, "PATCH", "/api/levels", &json!({ "levels": { "auth": "ERROR", "*": null } }));
    assert_eq!(changed.json()["levels"], json!({ "auth": "ERROR" }), "{changed:?}");
    assert_eq!(get(&router, "/health")["levels"], json!({ "auth": "ERROR" }));
    router.stop();

    let router = home.start();
    send(&router, "auth", "WARN", "not stored either");
    send(&router, "shop", "TRACE", "stored again");
    stored(&home, "stored again");
    assert!(!std::fs::read_to_string(home.path("out.jsonl")).unwrap().contains("not stored"));
    assert_eq!(get(&router, "/api/pipeline")["below_level"], 1);
    let wrong = act_json(&router, "PATCH", "/api/levels", &json!({ "levels": { "auth": "LOUD" } }));
    assert!(wrong.status == 400 && wrong.body.contains("`LOUD` is not a level"), "{wrong:?}");
    // A short time is over when a record is stored that was below the minimum.
    let short = json!({ "levels": { "shop": "CRITICAL" }, "for": "300ms" });
    assert_eq!(act_json(&router, "PATCH", "/api/levels", &short).status, 200);
    eventually("the minimum ends", || {
        send(&router, "shop", "INFO", "after its end");
        std::fs::read_to_string(home.path("out.jsonl")).unwrap().contains("after its end")
    });
}

#[test]
fn quarantined_records_are_listed_replayed_and_deleted_over_http() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("f", &guests::module(TRAP));
    let mut router = home.start();
    let marked = |n: u32| format!(r#"{{"message":"{MARKER} {n}"}}"#);
    for n in 0..3 {
        assert_eq!(post(&router, &marked(n)).json()["quarantined"], 1);
    }
    assert_eq!(post(&router, "[17]").json()["quarantined"], 1);
    let page = get(&router, "/api/quarantine?limit=2");
    assert_eq!((&page["total"], page["entries"].as_array().unwrap().len()), (&json!(4), 2), "{page}");
    assert_eq!((&page["entries"][0]["text"], &page["entries"][0]["can_replay"]), (&json!("17"), &json!(false)));
    let of_filter = get(&router, "/api/quarantine?from=filter:f");
    let entries = of_filter["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[2]["record"]["message"]), (3, &json!(format!("{MARKER} 0"))));
    let more = get(&router, &format!("/api/quarantine?cursor={}", page["next"].as_str().unwrap()));
    assert_eq!(more["entries"].as_array().unwrap().len(), 2);
    assert!(more["next"].is_null());
    assert_eq!(curl(&router, "/api/quarantine?cursor=7", &[], b"").status, 400);

    let again = act_json(&router, "POST", "/api/quarantine/replay", &json!({ "ids": [entries[2]["id"]] })).json();
    assert_eq!((&again["replayed"], &again["left"]), (&json!(0), &json!(1)), "it fails again: {again}");
    assert_eq!(get(&router, "/api/quarantine")["total"], 4);
    home.put_filter("f", &guests::module(KEEP));
    router.wait_for_line("replaced by");
    let all = act_json(&router, "POST", "/api/quarantine/replay", &json!({ "all": true })).json();
    assert_eq!((&all["replayed"], &all["left"]), (&json!(3), &json!(1)), "{all}");
    (0..3).for_each(|n| drop(stored(&home, &format!("{MARKER} {n}"))));
    let deleted = act_json(&router, "POST", "/api/quarantine/delete", &json!({ "from": "ingest" })).json();
    assert_eq!(deleted["deleted"], 1);
    assert_eq!(get(&router, "/api/quarantine")["entries"], json!([]));
    assert_eq!(act_json(&router, "POST", "/api/quarantine/delete", &json!({})).status, 400);
}

/// A server that refuses every request until it is told to take them, and those with a hopeless record even then.
struct Server {
    url: String,
    takes: Arc<AtomicBool>,
    /// The requests that it took.
    taken: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let takes = Arc::new(AtomicBool::new(false));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (taking, took) = (takes.clone(), taken.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                // The head says how long the body is; small requests come in one or two pieces.
                while !is_whole(&request) {
                    match stream.read(&mut piece) {
                        Ok(0) | Err(_) => break,
                        Ok(read) => request.extend_from_slice(&piece[..read]),
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let is_good = taking.load(Ordering::SeqCst) && !text.contains("hopeless");
                let status = if is_good { "200 OK" } else { "400 Bad Request" };
                if is_good {
                    took.lock().unwrap().push(text);
                }
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        Server { url, takes, taken }
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

fn with_sink(server: &Server) -> Home {
    // The records of what is done here have lower levels.
    Home::with(&format!(
        "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n[sink.web]\ntype = \"http\"\nurl = \"{}\"\ncompression = \"none\"\n\
         min_level = \"ERROR\"\n",
        server.url
    ))
}

#[test]
fn what_a_sink_refused_is_replayed_to_that_sink_alone() {
    let server = Server::start();
    let home = with_sink(&server);
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"refused","level":"ERROR"}"#).status, 200);
    eventually("it is quarantined", || get(&router, "/api/quarantine?from=sink:web")["entries"] != json!([]));
    stored(&home, "refused");
    let replay = || act_json(&router, "POST", "/api/quarantine/replay", &json!({ "from": "sink:web" })).json();
    let refused = replay();
    assert_eq!((&refused["replayed"], &refused["left"]), (&json!(0), &json!(1)), "{refused}");
    assert!(refused["errors"][0].as_str().unwrap().contains("sink `web` refuses"), "{refused}");
    server.takes.store(true, Ordering::SeqCst);
    assert_eq!(replay()["replayed"], 1);
    assert_eq!(get(&router, "/api/quarantine")["total"], 0);
    let lines = std::fs::read_to_string(home.path("out.jsonl")).unwrap();
    assert_eq!(lines.matches(r#""message":"refused""#).count(), 1, "the other sink has it once");
}

#[test]
fn a_record_that_a_sink_refuses_again_repeats_none_of_those_replayed_with_it() {
    let server = Server::start();
    let home = with_sink(&server);
    let router = home.start();
    for message in ["good 1", "hopeless", "good 2", "good 3"] {
        assert_eq!(post(&router, &format!(r#"{{"message":"{message}","level":"ERROR"}}"#)).status, 200);
    }
    let left = || get(&router, "/api/quarantine?from=sink:web")["entries"].as_array().map(Vec::len);
    eventually("all are quarantined", || left() == Some(4));
    server.takes.store(true, Ordering::SeqCst);
    let replayed = act_json(&router, "POST", "/api/quarantine/replay", &json!({ "from": "sink:web" })).json();
    assert_eq!((&replayed["replayed"], &replayed["left"]), (&json!(3), &json!(1)), "{replayed}");
    assert_eq!(left(), Some(1));
    let taken = server.taken.lock().unwrap().concat();
    for n in 1..=3 {
        assert_eq!(taken.matches(&format!("good {n}")).count(), 1, "{taken}");
    }
}
