//! Quarantined records: listed, and replayed after their filter is fixed.

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
fn a_record_that_a_filter_fails_on_is_listed_and_arrives_after_the_filter_is_fixed() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("trap", &super::hostile::guests::module(super::hostile::guests::TRAP));
    let mut router = home.start();
    let marked = format!(r#"[17,{{"message":"fine"}},{{"message":"{}"}}]"#, super::hostile::guests::MARKER);
    let answer = post(&router, &marked).json();
    assert_eq!(answer["quarantined"], 2, "{answer}");
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
    // What is not a record can't be replayed, and stays.
    let left = quarantine(&home, &["list"]);
    assert!(left.contains("1 × ingest: ") && !left.contains("filter:trap"), "{left}");
}

#[test]
fn with_only_reasons_no_part_of_a_record_is_stored() {
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
fn replayed_records_keep_their_routes_only_with_the_key_of_the_folder() {
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

    // No filter sets routes now, so they are from before.
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

#[test]
fn records_that_a_filter_rejects_in_a_replay_stay_in_quarantine() {
    use super::hostile::guests::{MARKER, PATCH, TRAP, module};
    let configuration = |rule: &str| CONFIGURATION.replace("[sink.out]", &format!("{rule}\n[sink.out]"));
    let home = Home::with(&configuration("writes = []"));
    home.put_filter("trap", &module(PATCH));
    let router = home.start();
    let both = format!(r#"[{{"message":"fine"}},{{"message":"{MARKER}"}}]"#);
    assert_eq!(post(&router, &both).json()["quarantined"], 2);
    drop(router);
    home.configure(&configuration("on_error = \"reject\""));
    home.put_filter("trap", &module(TRAP));
    let router = home.start();
    let mut replay = weir();
    replay.args(["quarantine", "replay", "--address", router.url.trim_start_matches("http://"), "--data"]);
    let replay = replay.arg(home.path("weir-data")).output().unwrap();
    let said = String::from_utf8(replay.stderr).unwrap();
    assert!(!replay.status.success() && said.contains("rejected 1 of 2"), "{said}");
    let listed = quarantine(&home, &["list"]);
    assert!(listed.contains("filter:trap"), "{listed}");
}

#[test]
fn while_quarantine_fails_nothing_of_a_request_is_stored_so_its_repetition_doubles_nothing() {
    let home = Home::with("[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n");
    let router = home.start();
    let (folder, away) = (home.path("weir-data/quarantine"), home.path("away"));
    std::fs::rename(&folder, &away).unwrap();
    let mixed = r#"[{"message":"good"},17]"#;
    for _ in 0..3 {
        let answer = post(&router, mixed);
        assert_eq!(answer.status, 500, "{answer:?}");
    }
    std::fs::rename(&away, &folder).unwrap();
    for body in [mixed, r#"{"message":"last"}"#] {
        assert_eq!(post(&router, body).status, 200);
    }
    let stored = || std::fs::read_to_string(home.path("out.jsonl")).unwrap_or_default();
    eventually("the last record arrived", || stored().contains("last"));
    assert_eq!(stored().matches(r#""message":"good""#).count(), 1);
}

/// The output of a command about the quarantine in a folder.
fn quarantine(home: &Home, arguments: &[&str]) -> String {
    let output = run(weir().current_dir(home.path("")).arg("quarantine").args(arguments).args(["--data", "weir-data"]));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn quarantined_records_are_grouped_filtered_limited_and_deleted_while_the_router_runs() {
    let home = Home::with(CONFIGURATION);
    home.put_filter("trap", &super::hostile::guests::module(super::hostile::guests::TRAP));
    let router = home.start();
    let marker = super::hostile::guests::MARKER;
    for n in 0..3 {
        let record = format!(r#"{{"source":"shop","message":"{marker} hunter2 {n}"}}"#);
        assert_eq!(post(&router, &record).json()["quarantined"], 1);
    }
    // `ingest` quarantines what is not a record.
    let answer = post(&router, &format!(r#"[17, {{"source":"auth","message":"{marker} two\\u001b[31m"}}]"#)).json();
    assert_eq!(answer["quarantined"], 2, "{answer}");

    let list = quarantine(&home, &["list"]);
    assert!(list.contains("4 × filter:trap: ") && list.contains("1 × ingest: "), "{list}");
    assert!(list.ends_with("in weir-data/quarantine\n") && list.contains("\n5 entries, "), "{list}");
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&quarantine(&home, &[&["list", "--json"], arguments].concat())).unwrap()
    };
    let groups = json(&[]);
    assert_eq!((&groups["entries"], &groups["groups"][0]["count"]), (&5.into(), &4.into()), "{groups}");
    let one = json(&["--limit", "1"]);
    assert_eq!((one["groups"].as_array().unwrap().len(), &one["groups_left_out"]), (1, &1.into()), "{one}");
    for (filters, count) in [
        (&["--by", "ingest"][..], 1),
        (&["--by", "filter:trap", "--source", "shop"], 3),
        (&["--reason", "TRAPPED"], 4),
        (&["--since", "1h"], 5),
        (&["--until", "2026-01-01"], 0),
    ] {
        assert_eq!(json(filters)["entries"], count, "{filters:?}");
    }

    let lines = quarantine(&home, &["list", "--entries"]);
    assert_eq!(lines.lines().count(), 5, "{lines}");
    let newest = quarantine(&home, &["list", "--entries", "--limit", "2", "--records"]);
    assert!(!newest.contains("hunter2") && newest.contains("two") && !newest.contains('\u{1b}'), "{newest}");
    let entries = json(&["--entries", "--records", "--source", "shop", "--limit", "1"]);
    assert_eq!(entries[0]["record"]["message"], format!("{marker} hunter2 2"), "{entries}");
    assert_eq!(json(&["--entries", "--by", "nobody"]), serde_json::json!([]));

    let refused =
        weir().current_dir(home.path("")).args(["quarantine", "delete", "--data", "weir-data"]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--all"), "{refused:?}");
    assert!(quarantine(&home, &["delete", "--source", "shop", "--dry-run"]).starts_with("3 entries would be deleted"));
    assert!(quarantine(&home, &["delete", "--source", "shop"]).starts_with("3 entries deleted"));
    assert_eq!(json(&[])["entries"], 2);
    for (path, bytes) in home.files() {
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "it is in {}", path.display());
    }
    // The router continues in the same file.
    assert_eq!(post(&router, &format!(r#"{{"message":"{marker}"}}"#)).json()["quarantined"], 1);
    assert_eq!(json(&[])["entries"], 3);
    assert!(quarantine(&home, &["delete", "--all"]).starts_with("3 entries deleted"));
    assert!(quarantine(&home, &["list"]).starts_with("the quarantine weir-data/quarantine is empty"));
    drop(router);
}
