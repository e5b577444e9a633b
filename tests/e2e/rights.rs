//! A filter sees and changes only what the configuration allows, which `filter list` shows.

use super::clients::{curl, post, run};
use super::hostile::guests;
use super::router::{Home, eventually, weir};

const CONFIGURATION: &str = r#"
[[filter]]
name = "f"
module = "f.wasm"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

fn home(guest: guests::Guest, rights: &str) -> Home {
    let home = Home::with(&CONFIGURATION.replace("[sink.out]", &format!("{rights}\n[sink.out]")));
    home.put_filter("f", &guests::module(guest));
    home
}

fn out(home: &Home) -> String {
    std::fs::read_to_string(home.path("out.jsonl")).unwrap_or_default()
}

#[test]
fn forbidden_changes_are_counted_and_their_records_are_quarantined() {
    let home = home(guests::PATCH, r#"writes = ["context.*", "message"]"#);
    let router = home.start();
    let answer = post(&router, r#"{"message":"m"}"#).json();
    assert_eq!(answer["quarantined"], 1, "{answer}");
    assert!(answer["errors"][0]["error"].as_str().unwrap().contains("changed `patched`"), "{answer}");
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains(r#"weir_filter_errors_total{filter="f",kind="overstep"} 1"#), "{metrics}");
}

#[test]
fn a_filter_sees_only_the_allowed_fields() {
    let home = home(guests::DROP, r#"reads = ["message"]"#);
    let router = home.start();
    let records = format!(r#"[{{"message":"{0}"}},{{"message":"m","secret":"{0}"}}]"#, guests::MARKER);
    assert_eq!(post(&router, &records).body, r#"{"accepted":2}"#);
    eventually("the other arrives", || out(&home).lines().count() == 1);
    assert!(out(&home).contains("secret"), "{}", out(&home));
}

#[test]
fn filter_list_shows_rights_imports_digest_and_live_memory_and_time() {
    let home = home(guests::PATCH, "reads = [\"message\"]\nwrites = []");
    let list = |address: &str| {
        let mut command = weir();
        command.current_dir(home.path("")).args(["filter", "list", "--config", "weir.toml", "--address", address]);
        String::from_utf8(run(&mut command).stdout).unwrap()
    };
    let router = home.start();
    let shown = list(router.url.trim_start_matches("http://"));
    for part in
        ["packed-filter", "sees message; may change nothing", "imports nothing", "sha256 ", "KiB in", "busy for"]
    {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    let address = router.url.trim_start_matches("http://").to_owned();
    router.stop();
    let shown = list(&address);
    assert!(shown.contains("sees message") && shown.contains("memory and busy time are unknown"), "{shown}");
}
