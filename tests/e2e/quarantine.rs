//! Records that were set aside: listed, and replayed once their filter is mended.

use super::clients::{post, run};
use super::router::{Home, eventually, module, weir};

const CONFIGURATION: &str = r#"
[[filter]]
name = "trap"
module = "trap.wasm"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

#[test]
fn a_record_that_a_filter_fails_on_is_listed_and_arrives_once_the_filter_is_mended() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("trap", &super::hostile::guests::module(super::hostile::guests::TRAP));
    let mut router = home.start();
    let marked = format!(r#"[{{"message":"fine"}},{{"message":"{}"}}]"#, super::hostile::guests::MARKER);
    let answer = post(&router, &marked).json();
    assert_eq!(answer["quarantined"], 1, "{answer}");
    let list = run(weir().args(["quarantine", "list", "--data"]).arg(home.path("weir-data")));
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(list.contains("filter:trap"), "{list}");

    home.put_filter("trap", &std::fs::read(module("level")).unwrap());
    router.wait_for_line("replaced by");
    let address = router.url.trim_start_matches("http://");
    let replay = run(weir().args(["quarantine", "replay", "--address", address, "--data"]).arg(home.path("weir-data")));
    assert!(String::from_utf8(replay.stdout).unwrap().starts_with("1 records replayed"));
    eventually("it arrived", || {
        std::fs::read_to_string(home.path("out.jsonl")).is_ok_and(|all| all.contains(super::hostile::guests::MARKER))
    });
    let again = run(weir().args(["quarantine", "replay", "--address", address, "--data"]).arg(home.path("weir-data")));
    assert!(String::from_utf8(again.stdout).unwrap().starts_with("0 records replayed"));
}

#[test]
fn nothing_of_a_record_is_kept_when_the_operator_wants_only_reasons() {
    let home = Home::with(&format!("{CONFIGURATION}\n[quarantine]\nkeep = \"reason\"\n"));
    home.put_filter("trap", &super::hostile::guests::module(super::hostile::guests::TRAP));
    let router = home.start();
    let marked = format!(r#"{{"message":"{} hunter2"}}"#, super::hostile::guests::MARKER);
    assert_eq!(post(&router, &marked).json()["quarantined"], 1);
    drop(router);
    for (path, bytes) in home.files() {
        let found = bytes.windows(7).any(|w| w == b"hunter2");
        assert!(!found, "it is in {}", path.display());
    }
}

#[test]
fn what_is_replayed_keeps_the_routes_that_filters_gave_it_and_only_with_the_folders_key() {
    let sinks = "[sink.audit]\ntype = \"file\"\npath = \"audit.jsonl\"\nroutes = [\"audit\"]\n";
    let home = Home::with(&format!(
        "[[filter]]\nname = \"route\"\nmodule = \"bundled:route\"\noptions = {{ rules = [{{ routes = [\"audit\"] }}] }}\n\
         [[filter]]\nname = \"trap\"\nmodule = \"trap.wasm\"\n{sinks}"
    ));
    home.put_filter("trap", &super::hostile::guests::module(super::hostile::guests::TRAP));
    let router = home.start();
    let marked = format!(r#"{{"message":"{}"}}"#, super::hostile::guests::MARKER);
    assert_eq!(post(&router, &marked).json()["quarantined"], 1);
    drop(router);

    // No filter gives routes any more: they can only come from before.
    home.configure(&format!("filter = []\n{sinks}"));
    let router = home.start();
    let address = router.url.trim_start_matches("http://");
    let stranger = Home::with("");
    std::fs::create_dir_all(stranger.path("weir-data")).unwrap();
    std::process::Command::new("cp")
        .arg("-r")
        .args([home.path("weir-data/quarantine"), stranger.path("weir-data/")])
        .status()
        .unwrap();
    let replay = |home: &Home| {
        weir()
            .args(["quarantine", "replay", "--address", address, "--data"])
            .arg(home.path("weir-data"))
            .output()
            .unwrap()
    };
    let refused = replay(&stranger);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("another router"), "{said}");
    let sent = String::from_utf8(replay(&home).stdout).unwrap();
    assert!(sent.starts_with("1 records replayed"), "{sent}");
    eventually("it arrived where its route leads", || {
        std::fs::read_to_string(home.path("audit.jsonl"))
            .is_ok_and(|all| all.contains(super::hostile::guests::MARKER) && all.lines().count() == 1)
    });
}
