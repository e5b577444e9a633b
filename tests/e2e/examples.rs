//! The examples run.

use std::process::Command;

use super::clients::{python, run};
use super::router::{Home, eventually, repository};

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
