//! The commands other than `run`, and their help.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::clients::{post, run};
use super::router::{Home, Router, eventually, module, repository, weir};

fn stdout(command: &mut Command) -> String {
    String::from_utf8(run(command).stdout).unwrap()
}

#[test]
fn every_command_has_help_and_examples_where_needed() {
    let help = stdout(weir().arg("--help"));
    for command in ["run", "validate", "filter", "journal", "quarantine", "config", "bench", "completions"] {
        assert!(help.contains(command), "{command} is not in the help");
        assert!(stdout(weir().args([command, "--help"])).contains("Usage"));
    }
    for command in ["run", "validate", "bench", "completions"] {
        assert!(stdout(weir().args([command, "--help"])).contains("Example"), "{command}");
    }
}

#[test]
fn a_reader_that_has_ended_is_no_error() {
    let home = Home::with("[sink.shown]\ntype = \"console\"\n");
    for arguments in [["validate", "weir.toml"], ["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = weir().current_dir(home.path("")).args(arguments).stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn validate_reports_all_mistakes_at_once() {
    let home = Home::with("[[filter]]\nname = \"x\"\n[sink.a]\ntype = \"fil\"\n[http]\nlisten = 7\n");
    let output = weir().current_dir(home.path("")).args(["validate", "--config", "weir.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["module", "fil", "file", "listen", "weir.toml:1", "weir.toml:4", "weir.toml:6"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
}

#[test]
fn every_example_configuration_is_valid() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("examples/config")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let loaded = weir().args(["validate", "--config"]).arg(&path).output().unwrap();
            let said = String::from_utf8_lossy(&loaded.stderr).into_owned();
            // An example may name a module that the reader must provide.
            assert!(loaded.status.success() || said.contains("can't read"), "{}: {said}", path.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn the_configuration_in_the_readme_is_valid() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, configuring) = readme.split_once("## Configuring").unwrap();
    let (_, block) = configuring.split_once("```toml\n").unwrap();
    let home = Home::with(block.split_once("```").unwrap().0);
    run(weir().current_dir(home.path("")).args(["validate", "--config", "weir.toml"]));
    let router = home.start();
    let record = r#"{"message":"x","token":"hunter2-a","authorization":"hunter2-b","client_secret":"hunter2-c","cookie":"hunter2-d"}"#;
    assert_eq!(post(&router, record).status, 200);
    eventually("the record is stored", || {
        home.files().iter().any(|(path, _)| path.to_string_lossy().contains("/logs/"))
    });
    let stored: Vec<u8> = home.files().into_iter().flat_map(|(_, bytes)| bytes).collect();
    let secret = stored.windows(9).find(|window| window.starts_with(b"hunter2-"));
    assert_eq!(secret.map(String::from_utf8_lossy), None, "it is stored in clear");
}

#[test]
fn the_start_configuration_is_valid_and_runs() {
    let home = Home::with(&stdout(weir().args(["config", "init"])));
    let said = run(weir().current_dir(home.path("")).args(["validate", "weir.toml"]));
    assert!(said.stderr.is_empty() && String::from_utf8_lossy(&said.stdout).contains("1 filter, 2 sinks"), "{said:?}");
    let router = home.start();
    let record = r#"{"message":"ada@example.com signed in"}"#;
    assert_eq!(post(&router, record).body, r#"{"accepted":1}"#);
    eventually("the console shows it", || router.stdout().contains("******** signed in"));
}

#[test]
fn validate_reports_invalid_filter_options_with_their_lines() {
    let text = "[[filter]]\nname = \"level\"\nmodule = \"bundled:level\"\n[filter.options]\ndefualt = \"INFO\"\n\
                [filter.options.sources]\nauth = \"LOUD\"\n[sink.a]\ntype = \"fil\"\n";
    let home = Home::with(text);
    let output = weir().current_dir(home.path("")).args(["validate", "weir.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for part in ["filter `level`: unknown field `defualt`", "weir.toml:5:1", "weir.toml:9:8", "did you mean `file`?"] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    // The start reports the same.
    let fixed = text.replace("\"fil\"", "\"console\"");
    home.configure(&fixed);
    let run = ["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"];
    let said = weir().current_dir(home.path("")).args(run).output().unwrap();
    assert!(String::from_utf8_lossy(&said.stderr).contains("weir.toml:5:1"), "{said:?}");
}

#[test]
fn validate_and_run_warn_of_likely_mistakes() {
    let text = "[[filter]]\nname = \"route\"\nmodule = \"bundled:route\"\n\
                options = { rules = [{ when = { source = \"auth\" }, routes = [\"audit\"] }] }\n\
                [sink.a]\ntype = \"file\"\npath = \"weir.toml/logs/x.jsonl\"\nroutes = [\"audti\"]\n\
                [sink.b]\ntype = \"file\"\npath = \"{nosuch}-%Q.jsonl\"\n";
    let home = Home::with(text);
    let output = weir().current_dir(home.path("")).args(["validate", "weir.toml"]).output().unwrap();
    assert!(output.status.success(), "warnings are no errors: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    for part in [
        "warning: weir.toml:8:11: no rule sets the route `audti`; did you mean `audit`?",
        "warning: weir.toml:11:8: `%Q` is the time zone",
        "warning: weir.toml:11:8: no filter or alias sets the key `nosuch`",
        "warning: sink `a` can't write into weir.toml/logs: ",
        "weir.toml is not a folder",
    ] {
        assert!(said.contains(part), "{part} is missing in\n{said}");
    }
    let mut router = home.start();
    router.wait_for_line("did you mean `audit`?");
    router.wait_for_line("can't write into weir.toml/logs");
}

#[test]
fn all_commands_accept_the_same_addresses_and_help_lists_them() {
    let home = Home::new();
    let router = home.start();
    let port = router.url.rsplit(':').next().unwrap();
    for address in [format!("localhost:{port}"), router.url.clone(), format!("127.0.0.1:{port}")] {
        let sinks = run(weir().current_dir(home.path("")).args(["sinks", "--address", &address]));
        assert!(String::from_utf8_lossy(&sinks.stdout).contains("console"), "{sinks:?}");
        run(weir().current_dir(home.path("")).args(["filter", "list", "--address", &address]));
        run(weir().current_dir(home.path("")).args(["quarantine", "replay", "--address", &address]));
    }
    let refused = weir().args(["sinks", "--address", "8080"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("127.0.0.1:8080"), "{refused:?}");
    let help = stdout(weir().args(["bench", "--help"]));
    for case in ["json-100-no-filter", "sqlite-100", "swap", "outage", "compile"] {
        assert!(help.contains(case), "{case}: {help}");
    }
    let refused = weir().args(["bench", "json-10"]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("json-100"), "{refused:?}");
}

#[test]
fn the_bench_compares_two_binaries() {
    let this = weir().get_program().to_owned();
    let compare = |case: &str, other: &OsStr| {
        weir().args(["bench", case, "--runs", "2", "--records", "1000", "--compare"]).arg(other).output().unwrap()
    };
    let compared = compare("json-100", &this);
    let text = String::from_utf8_lossy(&compared.stdout);
    assert!(
        compared.status.success() && text.contains("µs CPU/record") && text.contains("of 2 below 1"),
        "{compared:?}"
    );
    assert!(!text.contains("not arrived"), "{text}");
    let missing = compare("json-100", OsStr::new("no-such-binary"));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("--compare no-such-binary: No such file"), "{missing:?}");
    let unfit = compare("swap", &this);
    assert!(String::from_utf8_lossy(&unfit.stderr).contains("json-100"), "{unfit:?}");
}

#[test]
fn filter_test_shows_verdicts_and_a_diff() {
    let shown = stdout(weir().args(["filter", "test"]).arg(module("redact")));
    assert!(shown.contains("record 1: changed") && shown.contains("record 2: kept unchanged"), "{shown}");
    assert!(shown.contains("-") && shown.contains("+") && shown.contains("********"), "{shown}");
    let shown = stdout(weir().args(["filter", "test", "bundled:level", "--options", r#"{"default":"ERROR"}"#]));
    assert!(shown.contains("record 1: dropped"), "{shown}");
}

#[test]
fn filter_test_reports_an_invalid_module_or_options() {
    let output =
        weir().args(["filter", "test", "bundled:level", "--options", r#"{"defualt":"INFO"}"#]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("defualt"), "{said}");
}

#[test]
fn filter_test_warns_if_the_module_is_older_than_its_source() {
    let home = Home::new();
    std::fs::copy(module("level"), home.path("mask.wasm")).unwrap();
    let test = || {
        let output = weir().current_dir(home.path("")).args(["filter", "test", "mask.wasm"]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let built = std::fs::File::options().write(true).open(home.path("mask.wasm")).unwrap();
    std::fs::write(home.path("filter.toml"), "name = \"mask\"\nlanguage = \"c\"\n").unwrap();
    built.set_modified(std::time::SystemTime::now()).unwrap();
    assert!(!test().contains("older"), "{}", test());
    std::fs::write(home.path("filter.c"), "int x;").unwrap();
    built.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(test().contains("mask.wasm is older than"), "{}", test());
}

#[test]
fn commands_and_routers_share_a_cache_of_compiled_filters_that_others_cannot_write_to() {
    let home = Home::new().with_own_cache();
    let shared = home.path("shared/cache");
    let sharing = |arguments: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).args(arguments).env("WEIR_CACHE", &shared);
        command
    };
    run(&mut sharing(&["filter", "list"]));
    let router = Router::start(sharing(&["run", "--listen", "127.0.0.1:0"]));
    assert_eq!(post(&router, r#"{"message":"m"}"#).status, 200);
    assert!(router.stop().0.success());
    // The router notes there what it compiled.
    let (cache, compiled) = (home.path("weir-data/cache"), home.path("weir-data/compiled"));
    assert!(!cache.exists() && !compiled.exists(), "it compiled the filter again");
    assert!(home.start().stop().0.success());
    assert!(cache.exists() && compiled.exists(), "without the variable, it compiles it");

    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o770)).unwrap();
    for command in [&["filter", "list"][..], &["run", "--listen", "127.0.0.1:0"]] {
        let output = sharing(command).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("other users can write to it"), "{said}");
    }
}

#[test]
fn filter_list_shows_the_configured_filters() {
    let home = Home::new();
    let shown = stdout(weir().current_dir(home.path("")).args(["filter", "list"]));
    assert!(shown.contains("redact") && shown.contains("bundled: redact, enrich"), "{shown}");
}

#[test]
fn the_schema_is_json_and_completions_are_a_script() {
    let schema: serde_json::Value = serde_json::from_str(&stdout(weir().args(["config", "schema"]))).unwrap();
    assert!(schema["properties"]["journal"].is_object());
    let script = Home::new();
    std::fs::write(script.path("weir.bash"), stdout(weir().args(["completions", "bash"]))).unwrap();
    run(Command::new("bash").arg("-n").arg(script.path("weir.bash")));
}

#[test]
fn journal_inspect_shows_segments_and_readers() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"x"}"#).status, 200);
    router.stop();
    let inspect = ["journal", "inspect", "--data"];
    let shown = stdout(weir().args(inspect).arg(home.path("weir-data")));
    assert!(shown.contains("console") && shown.contains("sqlite"), "{shown}");
}

#[test]
fn validate_warns_if_a_filter_holds_records_before_masking() {
    let filter = |name: &str| format!("[[filter]]\nname = \"{name}\"\nmodule = \"bundled:{name}\"\n");
    let sink = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";
    let validated = |first: &str, second: &str| {
        let home = Home::with(&format!("{}{}{sink}", filter(first), filter(second)));
        let output = weir().current_dir(home.path("")).args(["validate", "weir.toml"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let warned = validated("join", "redact");
    assert!(warned.contains("filter `join` runs before `redact` and holds records"), "{warned}");
    assert_eq!(validated("redact", "join"), "");
}
