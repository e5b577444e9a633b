//! The page in a real browser: what a person does with it, and what a page of another site can't.

use std::io::Write;
use std::process::Command;

use serde_json::json;

use super::clients::run;
use super::hostile::guests;
use super::live::Watcher;
use super::router::{Home, Router, repository, weir};

const CONFIGURATION: &str = r#"
[[filter]]
name = "level"
module = "bundled:level"
options = { default = "TRACE" }
[sink.sqlite]
type = "sqlite"
"#;

/// One has the name of a protocol, and one can't fetch anything.
const SOURCES: &str = r#"
[source.weir]
type = "file"
paths = ["app.log"]
[source.jobs]
type = "redis"
url = "redis://127.0.0.1:1"
streams = ["jobs"]
group = "weir"
"#;

#[test]
fn a_person_can_watch_and_search_in_a_browser() {
    let home = Home::with(&format!("{CONFIGURATION}{SOURCES}"));
    let module = home.path("another.wasm");
    std::fs::write(&module, guests::module(guests::PATCH)).unwrap();
    browse(&home, "page.mjs", module.to_str().unwrap());
}

/// Without a browser: there, no test could say when a connection breaks.
#[test]
fn the_stream_of_the_page_goes_on_whatever_becomes_of_its_connections() {
    let home = Home::new();
    for file in std::fs::read_dir(repository().join("host/api/page")).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, home.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    // The scripts are modules, which Node can't tell from their names.
    std::fs::write(home.path("package.json"), r#"{"type":"module"}"#).unwrap();
    run(Command::new("node").arg(repository().join("tests/browser/stream.mjs")).arg(home.path("")));
}

#[test]
fn a_person_can_log_in_and_other_sites_can_do_nothing() {
    let home = Home::with(CONFIGURATION);
    let token = |arguments: &[&str]| {
        let printed = run(weir().current_dir(home.path("")).args(["token", "new"]).args(arguments)).stdout;
        String::from_utf8(printed).unwrap().trim().to_owned()
    };
    let tokens = json!({
        "admin": token(&["admin", "--role", "admin"]),
        "alice": token(&["alice", "--role", "read"]),
        "shopper": token(&["shopper", "--role", "read", "--sources", "shop"]),
        "sender": token(&["sender", "--role", "ingest"]),
    });
    browse(&home, "login.mjs", &tokens.to_string());
}

/// Runs a script in a browser against a router until it is done, and does what the script asks for.
pub fn browse(home: &Home, script: &str, argument: &str) {
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let copy = home.path(script);
    std::fs::copy(repository().join("tests/browser").join(script), &copy).unwrap();
    super::live::link_node_modules(home);
    let mut browser = Watcher::start(Command::new("node").arg(&copy).args([router.url.as_str(), argument]));
    let mut router = Some(router);
    loop {
        let line = browser.line();
        eprintln!("{line}");
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("done", _) => break,
            ("restart", _) => {
                assert_eq!(router.take().expect("it runs").stop().0.code(), Some(0));
                let mut command = weir();
                command.current_dir(home.path("")).args(["run", "--config", "weir.toml", "--listen", &address]);
                router = Some(Router::start(command));
            }
            ("revoke", name) => {
                run(weir().current_dir(home.path("")).args(["token", "revoke", name]));
            }
            ("failed", reason) => panic!("{reason}"),
            _ => continue,
        }
        browser.input.as_mut().expect("piped").write_all(b"done\n").unwrap();
    }
}
