//! The rest of the Python client: the fields of a context, exceptions, forks, frameworks and other logging libraries.

use std::collections::HashMap;

use serde_json::json;

use super::home;
use super::promises::driver_beside;
use super::scripted::Hung;
use crate::clients::{python, run};
use crate::shippers::all;

const FILE: &str = "python/weir_logging.py";

#[test]
fn fields_exceptions_frameworks_and_libraries_do_what_the_client_says() {
    let (_folder, path) = driver_beside(FILE, "python_test.py");
    run(python().args(["-W", "ignore"]).arg(path));
}

#[test]
fn processes_that_are_forked_send_their_own_records_and_no_others() {
    let home = home("");
    let router = home.start();
    let (_folder, path) = driver_beside(FILE, "python_fork.py");
    run(python().arg(path).arg(&router.url));
    let mut times = HashMap::new();
    for record in all(&home, router) {
        *times.entry(record["message"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let due =
        ["before", "in the parent", "in a fork", "in a fork's thread", "in a pool 0", "in a pool 1", "in a spawn"];
    assert_eq!(times, due.map(|message| (message.to_owned(), 1)).into());
}

#[test]
fn a_program_that_ends_by_an_exception_sends_what_it_logged_last() {
    let home = home("");
    let router = home.start();
    let (folder, _) = driver_beside(FILE, "driver.py");
    let program = "import weir_logging, atexit\n\
        weir_logging.setup_logger('shop')\n\
        log = weir_logging.get_logger('cart')\n\
        atexit.register(log.warning, 'the very last')\n\
        log.info('started')\n\
        try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('the order failed')\n\
        raise SystemExit('it ends')\n";
    let output = python()
        .current_dir(folder.path(""))
        .args(["-c", program])
        .env("WEIR_URL", &router.url)
        .env_remove("WEIR_TOKEN")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).trim()), (Some(1), "it ends"));
    let records = all(&home, router);
    let said: Vec<_> = records.iter().map(|record| &record["message"]).collect();
    assert_eq!(said, ["started", "the order failed", "the very last"]);
    let failed = &records[1];
    assert_eq!((&failed["source"], &failed["level"]), (&json!("shop"), &json!("ERROR")));
    assert_eq!(failed["metadata"]["logger"], "cart");
    let exception = failed["exception"].as_str().unwrap();
    assert!(exception.starts_with("Traceback (most") && exception.ends_with("ZeroDivisionError: division by zero"));
}

#[test]
fn calls_that_log_return_while_the_router_hangs_and_its_queue_is_full() {
    let hung = Hung::start();
    let (folder, _) = driver_beside(FILE, "driver.py");
    // The thread is kept from sending for as long as the test lasts; the end takes what the deadline says.
    let program = "import weir_logging\n\
        root = weir_logging.setup_logger(capacity=10, deadline=0.1, console=False)\n\
        log = weir_logging.get_logger('cart')\n\
        for n in range(100_000): log.info('%d', n)\n\
        print(root.handlers[0].lost, root.handlers[0].client.unsent)\n";
    let output = run(python().current_dir(folder.path("")).args(["-c", program]).env("WEIR_URL", hung.url()));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "99990 10");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "weir: 10 records were not acknowledged before the end\n");
    hung.stop();
}
