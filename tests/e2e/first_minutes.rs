//! The first five minutes of a new user: no configuration, one command, and the line that it suggests.

use super::clients::{post, run, sqlite};
use super::router::{Home, eventually, module};

/// Different from those in the line that the greeting suggests.
const SECRETS: [&str; 3] = ["carol@example.org", "key-98765", "4111 1111 1111 1111"];

const RECORD: &str = r#"{"source":"shop","message":"carol@example.org paid with 4111 1111 1111 1111","api_key":"key-98765","nested":[{"API_KEY":"key-98765"}]}"#;

#[test]
fn without_a_configuration_records_are_masked_everywhere() {
    let home = Home::new().with_own_cache();
    let mut router = home.start();
    for part in ["data", "filters", "redact", "sinks", "console", "sqlite", "curl"] {
        router.wait_for_line(part);
    }
    let answer = post(&router, RECORD);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"accepted":1}"#));

    // Without a message, the record's JSON is the message: the key must be masked there, too.
    let answer = post(&router, r#"{"source":"shop","api_key":"key-98765"}"#);
    assert_eq!(answer.body, r#"{"accepted":1}"#);

    let database = home.path("weir-data/logs.db");
    eventually("the rows are there", || database.exists() && sqlite(&database, "select count(*) from logs") == "2");
    let row = sqlite(&database, "select sequence, position, timestamp > 0, level, source, message, fields from logs");
    assert!(row.starts_with("1|0|1|INFO|shop|"), "{row}");
    assert!(row.contains("********"), "{row}");
    eventually("the console shows it", || router.stdout().contains("shop"));
    let console = router.stdout();
    assert!(console.contains("********") && console.contains("INFO"), "{console}");
    for secret in SECRETS {
        assert!(!row.contains(secret) && !console.contains(secret), "{secret}");
    }

    let (status, said) = router.stop();
    assert_eq!(status.code(), Some(0));
    assert!(said.contains("flushed and delivered"), "{said}");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in weir's own log");
        for (path, bytes) in home.files() {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} is in {}", path.display());
        }
    }
}

#[test]
fn the_command_that_the_greeting_suggests_works() {
    let home = Home::new().with_own_cache();
    let mut router = home.start();
    let first = router.wait_for_line("curl http");
    let second = router.wait_for_line("api_key");
    let line = format!("{} {}", first.trim().trim_start_matches("try").trim_end_matches('\\'), second.trim());
    let output = run(std::process::Command::new("sh").args(["-c", &line]));
    assert_eq!(output.stdout, br#"{"accepted":1}"#, "{line}");
    eventually("the console shows it", || router.stdout().contains("signed in"));
    assert!(!router.stdout().contains("alice@example.com"));
}

#[test]
fn a_module_in_the_folder_is_loaded_swapped_and_unloaded() {
    let home = Home::new().with_own_cache();
    let mut router = home.start();
    let wasm = std::fs::read(module("level")).unwrap();
    home.put_filter("mine", &wasm);
    router.wait_for_line("filter `mine`");
    assert!(router.stderr().contains("loaded from"), "{}", router.stderr());
    let debug = r#"{"level":"DEBUG","message":"too fine to keep"}"#;
    assert_eq!(post(&router, debug).status, 200);
    assert_eq!(post(&router, r#"{"message":"the last one"}"#).status, 200);
    eventually("the console shows it", || router.stdout().contains("the last one"));
    assert!(!router.stdout().contains("too fine to keep"));

    // A custom section makes other bytes of the same module.
    let mut other = wasm.clone();
    other.extend([0, 3, 1, b'x', b'y']);
    home.put_filter("mine", &other);
    router.wait_for_line("replaced by");

    std::fs::remove_file(home.path("filters/mine.wasm")).unwrap();
    router.wait_for_line("unloaded");
    assert_eq!(post(&router, debug).status, 200);
    eventually("it is kept now", || router.stdout().contains("too fine to keep"));
}

#[test]
fn an_invalid_module_is_reported_and_changes_nothing() {
    let home = Home::new().with_own_cache();
    let mut router = home.start();
    home.put_filter("broken", b"this is no module");
    let line = router.wait_for_line("broken");
    assert!(line.contains("ERROR"), "{line}");
    assert_eq!(post(&router, RECORD).status, 200);
}
