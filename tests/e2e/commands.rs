//! The commands beside `run`, and that their help helps.

use std::process::Command;

use super::clients::run;
use super::router::{Home, module, repository, weir};

fn printed(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap()
}

#[test]
fn every_command_has_help_and_those_that_need_it_an_example() {
    let help = printed(weir().arg("--help"));
    for command in ["run", "validate", "filter", "journal", "quarantine", "config", "bench", "completions"] {
        assert!(help.contains(command), "{command} is not in the help");
        assert!(printed(weir().args([command, "--help"])).contains("Usage"));
    }
    for command in ["run", "validate", "bench", "completions"] {
        assert!(printed(weir().args([command, "--help"])).contains("Example"), "{command}");
    }
}

#[test]
fn validate_lists_everything_that_is_wrong_at_once() {
    let home = Home::with("[[filter]]\nname = \"x\"\n[sink.a]\ntype = \"fil\"\n[http]\nlisten = 7\n");
    let output = weir().current_dir(home.path("")).args(["validate", "--config", "weir.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["module", "fil", "file", "listen", "weir.toml:1", "weir.toml:4", "weir.toml:6"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
}

#[test]
fn every_example_configuration_is_right() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("examples/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let loaded = weir().args(["validate", "--config"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&loaded.stderr).into_owned();
            // An example may name a module that the reader is to bring.
            assert!(loaded.status.success() || said.contains("can't read"), "{}: {said}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn the_configuration_in_the_readme_is_right() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, configuring) = readme.split_once("## Configuring").unwrap();
    let (_, block) = configuring.split_once("```toml\n").unwrap();
    let home = Home::with(block.split_once("```").unwrap().0);
    run(weir().current_dir(home.path("")).args(["validate", "--config", "weir.toml"]));
}

#[test]
fn filter_test_shows_verdicts_and_a_diff() {
    let shown = printed(weir().args(["filter", "test"]).arg(module("redact")));
    assert!(shown.contains("record 1: changed") && shown.contains("record 2: kept as it is"), "{shown}");
    assert!(shown.contains("-") && shown.contains("+") && shown.contains("********"), "{shown}");
    let shown = printed(weir().args(["filter", "test", "bundled:level", "--options", r#"{"default":"ERROR"}"#]));
    assert!(shown.contains("record 1: dropped"), "{shown}");
}

#[test]
fn filter_test_says_what_is_wrong_with_a_module_or_its_options() {
    let output =
        weir().args(["filter", "test", "bundled:level", "--options", r#"{"defualt":"INFO"}"#]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("defualt"), "{said}");
}

#[test]
fn filter_test_says_when_the_module_is_older_than_its_source() {
    let home = Home::new();
    std::fs::copy(module("level"), home.path("mask.wasm")).unwrap();
    let test = || {
        let output = weir().current_dir(home.path("")).args(["filter", "test", "mask.wasm"]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let built = std::fs::File::options().write(true).open(home.path("mask.wasm")).unwrap();
    std::fs::write(home.path("filter.toml"), "name = \"mask\"\nlanguage = \"c\"\n").unwrap();
    assert!(!test().contains("older"), "{}", test());
    std::fs::write(home.path("filter.c"), "int x;").unwrap();
    built.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(test().contains("mask.wasm is older than"), "{}", test());
}

#[test]
fn filter_list_shows_what_would_run() {
    let home = Home::new();
    let shown = printed(weir().current_dir(home.path("")).args(["filter", "list"]));
    assert!(shown.contains("redact") && shown.contains("bundled: redact, enrich"), "{shown}");
}

#[test]
fn the_schema_is_json_and_the_completions_are_a_script() {
    let schema: serde_json::Value = serde_json::from_str(&printed(weir().args(["config", "schema"]))).unwrap();
    assert!(schema["properties"]["journal"].is_object());
    let script = Home::new();
    std::fs::write(script.path("weir.bash"), printed(weir().args(["completions", "bash"]))).unwrap();
    run(Command::new("bash").arg("-n").arg(script.path("weir.bash")));
}

#[test]
fn journal_inspect_shows_segments_and_readers() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(super::clients::post(&router, r#"{"message":"x"}"#).status, 200);
    router.stop();
    let inspect = ["journal", "inspect", "--data"];
    let shown = printed(weir().args(inspect).arg(home.path("weir-data")));
    assert!(shown.contains("console") && shown.contains("sqlite"), "{shown}");
}
