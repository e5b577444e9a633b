//! The rest of the Node client: pino, the console, and every way in which a process ends.

use std::process::Command;

use serde_json::{Value, json};

use super::home;
use super::promises::driver_beside;
use super::scripted::{Request, Scripted, answer, free_address};
use crate::clients::run;
use crate::live::link_node_modules;
use crate::router::Home;
use crate::shippers::all;

const FILE: &str = "node/weir.mjs";

/// A program that logs with the client.
pub fn driver() -> (Home, Command) {
    let (home, path) = driver_beside(FILE, "driver.mjs");
    let mut command = Command::new("node");
    command.arg(path);
    (home, command)
}

/// What arrives of a part of `node_test.mjs` that ends with this exit code.
fn logged(part: &str, code: i32) -> Vec<Value> {
    let home = home("");
    let router = home.start();
    let (folder, path) = driver_beside(FILE, "node_test.mjs");
    link_node_modules(&folder);
    let output = Command::new("node").arg(path).args([part, &router.url]).env_remove("WEIR_TOKEN").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("weir: "), "{said}");
    all(&home, router)
}

fn messages(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["message"].as_str().unwrap()).collect()
}

#[test]
fn pino_sends_through_a_worker_and_through_a_stream() {
    for (part, code) in [("pino_transport", 0), ("pino_exit", 3), ("pino_stream", 0)] {
        let records = logged(part, code);
        assert_eq!(messages(&records), ["started", "it failed", "zażółć 😀"], "{part}");
        let levels: Vec<_> = records.iter().map(|record| &record["level"]).collect();
        assert_eq!(levels, ["INFO", "ERROR", "DEBUG"]);
        assert_eq!((&records[0]["source"], &records[0]["order"]), (&json!("cart"), &json!(7)), "{part}");
        let stack = records[1]["err"]["stack"].as_str().unwrap();
        assert!(stack.starts_with("Error: no card\n    at "), "{stack}");
    }
}

#[test]
fn lines_of_other_writers_become_records_however_they_are_cut() {
    let records = logged("lines", 0);
    assert_eq!(messages(&records), ["json", "no json: ż", "[1]", "the end"]);
    assert!(records.iter().all(|record| record["source"] == "lines"), "{records:?}");
}

#[test]
fn the_console_is_captured_until_that_is_ended_and_process_exit_loses_nothing() {
    let records = logged("console", 3);
    assert_eq!(messages(&records), ["1 of { two: 2 }", "careful", "it failed: Error: no card", "a secret\nbreak"]);
    let levels: Vec<_> = records.iter().map(|record| &record["level"]).collect();
    assert_eq!(levels, ["INFO", "WARNING", "ERROR", "DEBUG"]);
    assert!(records[2]["exception"].as_str().unwrap().contains("Caused by: TypeError: the reason"));
}

#[test]
fn an_uncaught_exception_loses_nothing() {
    let records = logged("throws", 1);
    assert_eq!(messages(&records), ["before the exception"]);
}

#[test]
fn what_is_refused_at_the_end_keeps_nothing_else_from_arriving() {
    let server = Scripted::start(|request| match request.body.contains("refused") {
        true => answer("400 Bad Request", "", r#"{"error":"no"}"#),
        false => answer("200 OK", "", r#"{"accepted":1}"#),
    });
    let (folder, path) = driver_beside(FILE, "node_test.mjs");
    link_node_modules(&folder);
    let output = Command::new("node").arg(path).args(["exit_refused", &server.url]).output().unwrap();
    let records: Vec<_> = server.requests().iter().flat_map(Request::records).collect();
    server.stop();
    assert_eq!(messages(&records), ["the first", "refused", "the last"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 records were not acknowledged") && said.contains(": refused"), "{said}");
    assert!(!said.contains(": the last"), "{said}");
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_end_the_program() {
    let (folder, path) = driver_beside(FILE, "node_test.mjs");
    link_node_modules(&folder);
    let (reader, unread) = std::io::pipe().unwrap();
    drop(reader);
    let url = format!("http://{}", free_address());
    let status = Command::new("node").arg(path).args(["unread", &url]).stderr(unread).status().unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn fields_follow_into_promises_and_what_json_does_not_know_becomes_text() {
    let records = logged("context", 0);
    let found = |message: &str| records.iter().find(|record| record["message"] == message).unwrap();
    assert_eq!(found("inner")["context"], json!({ "request_id": 1, "part": "b" }));
    assert_eq!(found("later")["context"], json!({ "request_id": 1, "part": "a" }));
    assert_eq!(found("given")["context"], json!({ "request_id": 1, "user": 7 }));
    assert!(found("outside").get("context").is_none());
    assert_eq!(found("own metadata")["metadata"], json!({ "a": 1, "level": "mine" }));
    assert_eq!(found("text")["metadata"], json!({ "metadata": "m", "level": "mine" }));
    assert_eq!(found("text")["context"], json!({ "context": "c" }));
    let strange = found("strange");
    assert_eq!((&strange["big"], &strange["metadata"]["level"]), (&json!("12345678901234567890"), &json!("mine")));
    assert!(strange["rude"].as_str().unwrap().contains("can't be read"), "{strange}");
    assert_eq!(strange["self"]["inner"]["self"], "not shown again, or too deep", "{strange}");
}

#[test]
fn its_file_needs_no_package() {
    let (folder, _) = driver_beside(FILE, "driver.mjs");
    run(Command::new("node").current_dir(folder.path("")).args(["--input-type=module", "-e", "import './weir.mjs'"]));
}
