//! What every client promises, for each of them: nothing is doubled, and lost is only what its bounds say and it counts.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::driver::{Driver, Options};
use super::home;
use super::scripted::{Hung, Request, Scripted, answer, free_address, ids, numbered};
use crate::clients::python;
use crate::router::{Home, eventually, repository};
use crate::shippers::{all, ingest_token, start_at};

/// How often the router is killed.
const KILLS: usize = 4;

/// A script that drives a client, in a folder of its own beside the client.
pub fn driver_beside(client: &str, driver: &str) -> (Home, PathBuf) {
    let home = Home::new();
    for file in
        [repository().join("examples/clients").join(client), repository().join("tests/clients/small").join(driver)]
    {
        std::fs::copy(&file, home.path(file.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    let path = home.path(driver);
    (home, path)
}

macro_rules! promises {
    ($client:ident, $command:expr) => {
        mod $client {
            #[test]
            fn everything_arrives_once_and_in_order_before_the_program_ends() {
                super::arrives($command);
            }

            #[test]
            fn while_the_router_is_away_records_wait_and_what_found_no_room_is_counted() {
                super::waits($command);
            }

            #[test]
            fn a_hung_router_is_noticed_and_neither_loses_records_nor_holds_up_the_end() {
                super::hangs($command);
            }

            #[test]
            fn a_router_killed_under_load_has_every_record_once() {
                super::is_killed($command);
            }

            #[test]
            fn every_answer_has_its_consequence() {
                super::is_answered($command);
            }
        }
    };
}

promises!(python, super::python_driver);
promises!(node, crate::small_clients::node::driver);
promises!(browser, crate::small_clients::browser::driver);
promises!(go, crate::small_clients::go::driver);
promises!(rust, crate::small_clients::rust::driver);

fn python_driver() -> (Home, Command) {
    let (home, path) = driver_beside("python/weir_logging.py", "driver.py");
    let mut command = python();
    command.arg(path);
    (home, command)
}

/// The folder that a driver needs, and its command.
type Start = fn() -> (Home, Command);

/// The lines of standard error that tell of the router.
fn told(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains("weir: ")).collect()
}

/// Checks that each of these arrived once, and in this order.
fn assert_once_in_order(records: &[Value], due: &[String]) {
    let found = ids(records);
    assert_eq!(found.len(), found.iter().collect::<HashSet<_>>().len(), "some are doubled");
    assert_eq!(found.len(), due.len());
    assert_eq!(found, due);
}

fn arrives(start: Start) {
    let home = home("");
    let token = ingest_token(&home);
    let router = home.start();
    let (_folder, command) = start();
    let mut driver = Driver::start(command, &router.url, Options { token: &token, ..Options::default() });
    assert_eq!(driver.log("a", 2500), 0);
    let (lost, said) = driver.end();
    assert_eq!((lost, told(&said)), (0, vec![]));
    let records = all(&home, router);
    assert_once_in_order(&records, &numbered("a", 2500));
    for record in &records {
        assert_eq!((&record["message"], &record["level"]), (&json!("record"), &json!("INFO")), "{record}");
        assert_eq!(record["source"], "driver", "{record}");
    }
    let times: Vec<_> = records.iter().map(|record| record["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "in the order of their times");
}

fn waits(start: Start) {
    let home = home("");
    let address = free_address();
    let (_folder, command) = start();
    let mut driver =
        Driver::start(command, &format!("http://{address}"), Options { capacity: 100, ..Options::default() });
    assert_eq!(driver.log("a", 250), 150);
    driver.wait_until_it_says("is away");
    eventually("those that wait are printed", || driver.said().matches("record").count() >= 100);
    let router = start_at(&home, &address);
    driver.wait_until_it_says("is back");
    let (lost, said) = driver.end();
    assert_eq!((lost, told(&said).len()), (150, 2), "{said}");
    let records = all(&home, router);
    assert_once_in_order(&records, &numbered("a", 100));
    let reports: Vec<_> = records.iter().filter(|record| record.get("id").is_none()).collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((&reports[0]["metadata"]["lost"], &reports[0]["level"]), (&json!(150), &json!("WARNING")));
}

fn hangs(start: Start) {
    let home = home("");
    let hung = Hung::start();
    let options = Options { timeout_s: 1, ..Options::default() };
    let (_folder, command) = start();
    let mut driver = Driver::start(command, &hung.url(), options);
    assert_eq!(driver.log("a", 50), 0);
    driver.wait_until_it_says("is away");
    // Another one has to end meanwhile.
    let (_folder, command) = start();
    let mut impatient = Driver::start(command, &hung.url(), Options { deadline_s: 1, ..options });
    assert_eq!(impatient.log("b", 50), 0);
    let (lost, said) = impatient.end();
    assert_eq!(lost, 50, "{said}");
    assert!(said.contains("50 records were not acknowledged"), "{said}");
    // Some print a text that ends with the message, others the record as it is.
    let printed = said.lines().filter(|line| line.contains("record") && !line.contains("records")).count();
    assert_eq!(printed, 50, "each is printed once: {said}");
    let address = hung.address.clone();
    hung.stop();
    let router = start_at(&home, &address);
    let (lost, said) = driver.end();
    assert_eq!(lost, 0, "{said}");
    assert_once_in_order(&all(&home, router), &numbered("a", 50));
}

fn is_killed(start: Start) {
    let home = home("");
    let address = free_address();
    let mut router = start_at(&home, &address);
    let (_folder, command) = start();
    let mut driver = Driver::start(command, &router.url, Options::default());
    let (stop, mut due) = (AtomicBool::new(false), Vec::new());
    std::thread::scope(|scope| {
        let (driver, due, stop) = (&mut driver, &mut due, &stop);
        scope.spawn(move || {
            for round in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let prefix = format!("r{round}");
                assert_eq!(driver.log(&prefix, 20), 0);
                due.extend(numbered(&prefix, 20));
                // Some thousands a second: more would only make the test longer.
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        for _ in 0..KILLS {
            let before = stored(&home);
            eventually("more records arrive", || stored(&home) > before + 100);
            router.signal("-KILL");
            router.wait();
            router = start_at(&home, &address);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (lost, said) = driver.end();
    assert_eq!(lost, 0, "{said}");
    assert_once_in_order(&all(&home, router), &due);
}

/// How many records the router has written, at a moment when it may be writing another.
fn stored(home: &Home) -> usize {
    let written = std::fs::read(home.path("out.jsonl")).unwrap_or_default();
    written.iter().filter(|byte| **byte == b'\n').count()
}

/// What the server of [`is_answered`] does with the requests of one step after the other.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Closes,
    IsFull,
    IsBusy,
    TakesTenAtMost,
    Refuses,
    Takes,
}

const STEPS: [Step; 6] = [Step::Closes, Step::IsFull, Step::IsBusy, Step::TakesTenAtMost, Step::Refuses, Step::Takes];

fn is_answered(start: Start) {
    let step = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let (at, accepts) = (step.clone(), accepted.clone());
    let server = Scripted::start(move |request| {
        let few = request.records().len() <= 10;
        match STEPS[at.load(Ordering::SeqCst)] {
            Step::Closes => {
                at.fetch_add(1, Ordering::SeqCst);
                None
            }
            Step::IsFull => {
                at.fetch_add(1, Ordering::SeqCst);
                answer("503 Service Unavailable", "", r#"{"error":"full"}"#)
            }
            Step::IsBusy => {
                at.fetch_add(1, Ordering::SeqCst);
                answer("429 Too Many Requests", "retry-after: 1\r\n", r#"{"error":"slower"}"#)
            }
            Step::TakesTenAtMost if !few => answer("413 Content Too Large", "", r#"{"error":"too large"}"#),
            Step::Refuses => answer("401 Unauthorized", "", r#"{"error":"no such token"}"#),
            Step::TakesTenAtMost | Step::Takes => {
                accepts.lock().unwrap().extend(request.ids());
                answer("200 OK", "", r#"{"accepted":1}"#)
            }
        }
    });
    let (_folder, command) = start();
    let mut driver = Driver::start(command, &server.url, Options { token: "weir_x", ..Options::default() });
    assert_eq!(driver.log("a", 35), 0);
    eventually("all are accepted", || accepted.lock().unwrap().len() >= 35);
    let requests = server.requests();
    assert_eq!(*accepted.lock().unwrap(), numbered("a", 35));
    for request in &requests {
        assert_eq!(request.header("authorization"), "bearer weir_x");
        assert!(request.header("content-type").starts_with("application/json"));
    }
    let key = |request: &Request| (request.header("idempotency-key").to_owned(), request.body.clone());
    assert!(requests[..4].iter().all(|request| key(request) == key(&requests[0])), "{requests:?}");
    assert!(requests[3].at - requests[2].at >= Duration::from_secs(1), "it comes back when it was told to");
    let keys: HashSet<_> = requests.iter().map(|request| key(request).0).collect();
    assert_eq!(keys.len(), requests.len() - 3, "another body has another key: {requests:?}");

    step.store(4, Ordering::SeqCst);
    driver.log("b", 5);
    eventually("they are lost", || driver.lost_now() == 5);
    driver.log("c", 5);
    eventually("these, too", || driver.lost_now() == 10);
    let refused: Vec<_> = server.requests()[requests.len()..].iter().flat_map(Request::ids).collect();
    assert_eq!(refused, [numbered("b", 5), numbered("c", 5)].concat(), "what is refused is not sent again");
    let before = server.requests().len();
    step.store(5, Ordering::SeqCst);
    driver.log("d", 1);
    let (lost, said) = driver.end();
    assert_eq!((lost, said.matches("refuses").count()), (10, 1), "{said}");
    let last: Vec<_> = server.requests()[before..].iter().flat_map(Request::records).collect();
    assert_eq!((last.len(), ids(&last)), (2, numbered("d", 1)), "{last:?}");
    assert!(last.iter().any(|record| record["metadata"]["lost"] == 10), "{last:?}");
    server.stop();
}
