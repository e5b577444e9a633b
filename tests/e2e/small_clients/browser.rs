//! The browser's client in Chromium, with a page of another origin than the router's: leaving, errors, being offline.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use super::home;
use super::promises::driver_beside;
use crate::clients::run;
use crate::live::link_node_modules;
use crate::router::{Home, PATIENCE};
use crate::shippers::all;

const FILE: &str = "browser/weir.js";

/// A program that logs with the client, in a page.
pub fn driver() -> (Home, Command) {
    let (home, path) = driver_beside(FILE, "browser_driver.mjs");
    link_node_modules(&home);
    let mut command = Command::new("node");
    command.current_dir(home.path("")).arg(path);
    (home, command)
}

/// What arrives while `browser_test.mjs` runs, in a folder that is prepared for it.
fn tried(prepare: impl FnOnce(&Home, &str)) -> Vec<Value> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = home(&format!("[http]\nallowed_origins = [\"http://app.example:{port}\"]\n"));
    let router = home.start();
    let (folder, path) = driver_beside(FILE, "browser_test.mjs");
    link_node_modules(&folder);
    prepare(&folder, &router.url);
    let mut command = Command::new("node");
    command.current_dir(folder.path("")).arg(path).args([&router.url, &port.to_string()]);
    run(command.arg(PATIENCE.as_millis().to_string()));
    all(&home, router)
}

/// What arrives of a module that a page of an allowed origin loads. It gets the router's address.
pub fn visited(module: impl FnOnce(&str) -> String) -> Vec<Value> {
    tried(|folder, url| std::fs::write(folder.path("snippet.js"), module(url)).unwrap())
}

#[test]
fn without_a_browser_it_does_what_a_browser_seldom_asks_for() {
    let (folder, path) = driver_beside(FILE, "browser_alone.mjs");
    run(Command::new("node").current_dir(folder.path("")).arg(path));
}

#[test]
fn pages_that_are_left_lose_nothing_and_errors_and_offline_records_arrive_once() {
    let records = tried(|_, _| {});
    let mut said: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    said.sort_unstable();
    let mut due = vec![
        "left while it waited",
        "left while it was on its way",
        "offline",
        "offline, too",
        "hidden",
        "Uncaught TypeError: no such item",
        "unhandled rejection: no answer",
        "unhandled rejection: just text",
        "strange",
    ];
    due.sort_unstable();
    assert_eq!(said, due);
    let found = |message: &str| -> &Value { records.iter().find(|record| record["message"] == message).unwrap() };
    let error = found("Uncaught TypeError: no such item");
    assert!(error["exception"].as_str().unwrap().contains("at fail ("), "{error}");
    assert_eq!((&error["level"], &error["context"]["user"]), (&json!("ERROR"), &json!(7)));
    assert!(error["context"]["page"].as_str().unwrap().starts_with("http://app.example:"));
    assert!(found("unhandled rejection: no answer")["exception"].as_str().unwrap().contains("Error: no answer"));
    assert_eq!(found("strange")["big"], "1");
}
