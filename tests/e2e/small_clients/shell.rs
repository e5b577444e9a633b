//! The shell client, in `dash` and in `bash`: what it sends, and that it never fails or holds up a script for long.

use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use super::home;
use super::scripted::{Hung, Request, Scripted, answer, free_address, ids, numbered};
use crate::router::{Home, eventually, repository};
use crate::shippers::{all, ingest_token, start_at};

const SHELLS: [&str; 2] = ["dash", "bash"];

/// A script that logs one strange record, and `count` with the ids `a-0` and so on. It is under `set -eu`.
fn script(shell: &str, url: &str, count: usize, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(shell);
    command.arg(repository().join("tests/clients/small/shell.sh"));
    command.arg(repository().join("examples/clients/shell/weir.sh")).arg(count.to_string());
    command.env("WEIR_URL", url).env_remove("WEIR_TOKEN").envs(variables.iter().copied());
    command
}

/// What it printed last, and its standard error. It must have succeeded.
fn ended(output: &Output) -> (String, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    (String::from_utf8_lossy(&output.stdout).trim().to_owned(), said)
}

#[test]
fn records_arrive_as_they_are_in_every_shell() {
    for shell in SHELLS {
        let home = home("");
        let token = ingest_token(&home);
        let router = home.start();
        let variables = [("WEIR_TOKEN", token.as_str()), ("WEIR_SOURCE", "backup")];
        let output = script(shell, &router.url, 3, &variables).output().unwrap();
        assert_eq!(ended(&output), ("lost 0".to_owned(), String::new()));
        let records = all(&home, router);
        assert_eq!(ids(&records), numbered("a", 3));
        let due = json!({ "level": "WARNING", "source": "backup",
            "message": "two\nlines, a \"quote\", a \\ and a\ttab word -n", "empty": "", "number": -1.5, "zip": "01234",
            "long": "12345678901234567", "json": "{\"a\":\"b\"}", "path": "a=b", "control": "a\u{1}\u{1b}[0m",
            "unicode": "zażółć 😀", "broken": "a????b", "metadata": { "level": "mine" } });
        let mut strange = records[0].clone();
        assert!(strange.as_object_mut().unwrap().remove("timestamp").is_some());
        assert_eq!(strange, due, "{shell}");
    }
}

#[test]
fn a_router_that_is_away_or_hangs_costs_a_script_one_timeout() {
    let hung = Hung::start();
    for (shell, url) in SHELLS.into_iter().zip([format!("http://{}", free_address()), hung.url()]) {
        let output = script(shell, &url, 20, &[("WEIR_TIMEOUT", "1")]).output().unwrap();
        let (printed, said) = ended(&output);
        assert_eq!((printed.as_str(), said.matches("is away").count()), ("lost 21", 1), "{said}");
        assert_eq!(said.matches("info record id=a-").count(), 20, "each is printed: {said}");
    }
    hung.stop();
}

/// Logs with a clock that only pauses turn, to a router that is always full.
const FULL: &str = r#"
date() { cat clock; }
sleep() { echo "$(($(cat clock) + $1))" > clock; }
curl() {
    while [ "$1" != --max-time ]; do shift; done
    echo "$(cat clock) $2" >> attempts
    cat > /dev/null
    printf '\n503'
}
echo 0 > clock
. "$1"
weir_log INFO "never sent"
"#;

#[test]
fn all_attempts_together_take_one_timeout() {
    for shell in SHELLS {
        let home = Home::new();
        let mut command = Command::new(shell);
        command.current_dir(home.path("")).args(["-eu", "-c", FULL, shell]).env("WEIR_TIMEOUT", "5");
        command.arg(repository().join("examples/clients/shell/weir.sh"));
        ended(&command.output().unwrap());
        // When each begins, and how long it may take.
        let attempts = std::fs::read_to_string(home.path("attempts")).unwrap();
        assert_eq!(attempts, "0 5\n1 3\n2 2\n3 1\n", "{shell}");
    }
}

#[test]
fn records_arrive_once_while_the_router_is_killed() {
    let home = home("");
    let address = free_address();
    let mut router = start_at(&home, &address);
    let variables = [("WEIR_TIMEOUT", "120")];
    let mut command = script("dash", &router.url, 40, &variables);
    let running = std::thread::spawn(move || command.output().unwrap());
    let stored = || std::fs::read_to_string(home.path("out.jsonl")).unwrap_or_default().matches('\n').count();
    for kill in 1..3 {
        eventually("some are stored", || stored() > kill * 10);
        router.signal("-KILL");
        router.wait();
        router = start_at(&home, &address);
    }
    assert_eq!(ended(&running.join().unwrap()).0, "lost 0");
    assert_eq!(ids(&all(&home, router)), numbered("a", 40));
}

#[test]
fn every_answer_has_its_consequence() {
    let answers = Mutex::new(0);
    let server = Scripted::start(move |_| {
        let mut count = answers.lock().unwrap();
        *count += 1;
        match *count {
            1 => None,
            2 => answer("503 Service Unavailable", "retry-after: 1\r\n", r#"{"error":"full"}"#),
            4 | 5 => answer("401 Unauthorized", "", r#"{"error":"no such token"}"#),
            _ => answer("200 OK", "", r#"{"accepted":1}"#),
        }
    });
    let output = script("dash", &server.url, 3, &[("WEIR_TIMEOUT", "60"), ("WEIR_TOKEN", "weir_x")]).output().unwrap();
    let (printed, said) = ended(&output);
    assert_eq!((printed.as_str(), said.matches("refuses").count()), ("lost 2", 1), "{said}");
    let requests = server.requests();
    server.stop();
    let key = |request: &Request| (request.header("idempotency-key").to_owned(), request.body.clone());
    assert!(key(&requests[0]) == key(&requests[1]) && key(&requests[1]) == key(&requests[2]), "{requests:?}");
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(1));
    assert!(requests.iter().all(|request| request.header("authorization") == "bearer weir_x"));
    assert!(key(&requests[3]).0 != key(&requests[4]).0);
    assert_eq!(requests.len(), 7, "{requests:?}");
    assert!(requests[6].body.contains(r#""message":"2 records were lost before this one","lost":2"#), "{requests:?}");
}
