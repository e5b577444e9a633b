//! The code in `examples/clients/README.md` runs as it is there, but for the router's address.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::promises::driver_beside;
use super::{browser, go, home};
use crate::clients::{python, run};
use crate::pages::Page;
use crate::router::{Home, repository};
use crate::shippers::all;

const ADDRESS: &str = "http://127.0.0.1:8080";

/// The block with this language that has this text in it.
fn block(language: &str, has: &str) -> String {
    let blocks = Page::read(Path::new("examples/clients/README.md")).blocks();
    let mut found = blocks.into_iter().filter(|block| block.language == language && block.text.contains(has));
    let block = found.next().unwrap_or_else(|| panic!("no block of {language} with {has:?}"));
    assert!(found.next().is_none() && block.text.contains(ADDRESS));
    block.text
}

/// What arrives of a snippet that is written to this file, in a folder with the client, and run by this command.
fn logged(snippet: &str, client: &str, file: &str, command: impl FnOnce(&Home) -> Command) -> Vec<Value> {
    let home = home("");
    let router = home.start();
    let (folder, _) = driver_beside(client, "driver.py");
    std::fs::write(folder.path(file), snippet.replace(ADDRESS, &router.url)).unwrap();
    run(command(&folder).current_dir(folder.path("")).env_remove("WEIR_TOKEN").env_remove("WEIR_URL"));
    all(&home, router)
}

fn messages(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["message"].as_str().unwrap()).collect()
}

#[test]
fn of_python() {
    let records = logged(&block("python", "weir_logging"), "python/weir_logging.py", "snippet.py", |_| {
        let mut command = python();
        command.arg("snippet.py");
        command
    });
    assert_eq!(messages(&records), ["order 1234 is paid", "the invoice can't be made"]);
    assert!(records.iter().all(|record| record["context"]["request_id"] == "r-17"), "{records:?}");
}

#[test]
fn of_node() {
    let records = logged(&block("js", "./weir.mjs"), "node/weir.mjs", "snippet.mjs", |_| {
        let mut command = Command::new("node");
        command.arg("snippet.mjs");
        command
    });
    assert_eq!(messages(&records), ["order is paid", "the invoice can't be made: Error: no printer"]);
    assert!(records.iter().all(|record| record["context"]["request_id"] == "r-17"), "{records:?}");
}

#[test]
fn of_the_browser() {
    let records = browser::visited(|url| block("js", "./weir.js").replace(ADDRESS, url));
    assert_eq!(messages(&records), ["basket is open"]);
    assert_eq!((&records[0]["items"], &records[0]["context"]["user"]), (&3.into(), &7.into()));
}

#[test]
fn of_go() {
    let home = home("");
    let router = home.start();
    go::run_main(&block("go", "package main").replace(ADDRESS, &router.url));
    let records = all(&home, router);
    assert_eq!(messages(&records), ["order is paid"]);
    assert_eq!((&records[0]["order"], &records[0]["context"]["request_id"]), (&1234.into(), &"r-17".into()));
}

/// `rust.rs` runs it.
#[test]
fn of_rust() {
    let tests = std::fs::read_to_string(repository().join("tests/e2e/small_clients/rust.rs")).unwrap();
    let plain = |text: &str| text.split_whitespace().collect::<String>();
    let (_, after) = tests.split_once("// The snippet of the documentation, but for the address.").unwrap();
    let snippet = block("rust", "weir_tracing").replace(&format!("{ADDRESS:?}.into()"), "server.url.clone()");
    assert!(plain(after).starts_with(&plain(&snippet)), "{after}");
}

#[test]
fn of_the_shell() {
    let records = logged(&block("sh", "weir_log"), "shell/weir.sh", "snippet.sh", |_| {
        let mut command = Command::new("sh");
        command.arg("snippet.sh");
        command
    });
    assert_eq!(messages(&records), ["backup is done"]);
    assert_eq!((&records[0]["files"], &records[0]["source"]), (&1234.into(), &"backup".into()));
}
