//! The examples run.

use std::process::Command;

use super::clients::{post, python, run};
use super::router::{Home, eventually, repository, weir};

#[test]
fn the_python_handler_delivers_what_is_logged_before_the_program_ends() {
    let home = Home::new();
    let router = home.start();
    let example = repository().join("examples/clients/python_logging.py");
    run(python().arg(example).arg(format!("{}/ingest", router.url)));
    eventually("both are shown", || {
        let shown = router.printed();
        shown.contains("order 1234 paid by ********") && shown.contains("could not be made")
    });
    assert!(router.printed().contains("ZeroDivisionError"), "{}", router.printed());
}

#[test]
fn the_javascript_client_is_acknowledged() {
    let home = Home::new();
    let router = home.start();
    let example = repository().join("examples/clients/send.mjs");
    let output = run(Command::new("node").arg(example).arg(format!("{}/ingest", router.url)));
    assert_eq!(output.stdout, b"{ accepted: 2 }\n");
    eventually("both are shown", || router.printed().contains("ERROR") && router.printed().contains("page viewed"));
    assert!(!router.printed().contains("alice@example.com"));
}

#[test]
fn the_example_filters_are_built_from_source_and_do_what_they_say() {
    let home = Home::new();
    let mut router = home.start();
    for (folder, file) in [("greeter", "greeter"), ("typed-rust", "typed_rust")] {
        let project = repository().join("examples/filters").join(folder);
        run(weir().args(["filter", "build"]).arg(&project));
        let module = project.join(format!("{file}.wasm"));
        let tested = run(weir().args(["filter", "test"]).arg(&project));
        assert!(String::from_utf8_lossy(&tested.stdout).ends_with("cases passed\n"), "{tested:?}");
        home.put_filter(file, &std::fs::read(module).unwrap());
        router.wait_for_line(&format!("filter `{file}`"));
    }
    let record = r#"{"message":"done","context":{"user":"Ada","email":"ada@example.com","duration_ms":2500}}"#;
    assert_eq!(post(&router, record).status, 200);
    eventually("the console shows it", || router.printed().contains("done"));
    let shown = router.printed();
    assert!(shown.contains("hello Ada") && shown.contains("WARNING") && shown.contains("slow"), "{shown}");
    assert!(!shown.contains("ada@example.com"), "{shown}");
}
