//! The page in a real browser: what a person does with it.

use std::io::Write;
use std::process::Command;

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

#[test]
fn a_person_can_watch_and_search_in_a_browser() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let address = router.url.trim_start_matches("http://").to_owned();
    let script = home.path("page.mjs");
    std::fs::copy(repository().join("tests/browser/page.mjs"), &script).unwrap();
    super::live::link_node_modules(&home);
    let module = home.path("another.wasm");
    std::fs::write(&module, guests::module(guests::PATCH)).unwrap();
    let mut browser = Watcher::start(Command::new("node").arg(&script).arg(&router.url).arg(&module));
    let mut router = Some(router);
    loop {
        let line = browser.line();
        eprintln!("{line}");
        match line.as_str() {
            "done" => break,
            "restart" => {
                assert_eq!(router.take().expect("it runs").stop().0.code(), Some(0));
                let mut command = weir();
                command.current_dir(home.path("")).args(["run", "--config", "weir.toml", "--listen", &address]);
                router = Some(Router::start(command));
                browser.input.as_mut().expect("piped").write_all(b"restarted\n").unwrap();
            }
            line => assert!(!line.starts_with("failed"), "{line}"),
        }
    }
}
