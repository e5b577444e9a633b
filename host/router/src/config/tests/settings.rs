//! The settings of valid files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use weir_access::Resource;
use weir_record::Level;

use super::{bad, good, in_short};
use crate::config::{
    EncryptionSettings, FilterSettings, Keep, KeySource, Module, OnError, Overrides, Settings, StandardKey, Sync,
    WhenFull, load_bytes,
};

#[test]
fn with_no_configuration_weir_is_useful_on_this_machine_alone() {
    let settings = Settings::default_for(Path::new("here"), &|_| None).expect("right");
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.data, Path::new("here/weir-data"));
    assert_eq!(settings.filters_folder, Path::new("here/filters"));
    assert!(settings.auto_load);
    assert_eq!(settings.filters.len(), 1);
    assert_eq!(settings.filters[0].module, Module::Bundled("redact".into()));
    let sinks: Vec<_> = settings.sinks.iter().map(|s| (&*s.name, &*s.kind)).collect();
    assert_eq!(sinks, [("console", "console"), ("sqlite", "sqlite")]);
    assert_eq!(settings.journal.sync, Sync::Always);
}

#[test]
fn the_defaults_are_themselves_valid() {
    // An empty file passes the same checks as any other file.
    let mut empty = good("");
    empty.auto_load = true;
    assert_eq!(empty, Settings::default_for(Path::new("/etc/weir"), &|_| None).expect("right"));
}

#[test]
fn keys_are_trusted_if_they_can_be_read() {
    let key = "ed25519:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(good("").trusted_keys, None);
    assert_eq!(good("trusted_keys = []").trusted_keys, Some(vec![]), "only bundled filters");
    let trusted = good(format!("trusted_keys = ['{key}']")).trusted_keys;
    assert_eq!(trusted, Some(vec![key.parse().expect("a key")]));
    let problems = bad(format!("trusted_keys = ['{key}', '{key}0']")).render(false);
    assert!(problems.contains("1:93") && problems.contains("`weir filter new-key` prints it"), "{problems}");
}

/// Neither settings nor a panic that prints them show a secret.
#[test]
fn settings_can_be_printed_without_their_secrets() {
    let settings = good(
        "[sink.a]\ntype = 'http'\nurl = 'http://me:hunter2@localhost/'\nheaders = { A = 'hunter2' }\n\
         [[filter]]\nname = 'f'\nmodule = 'f.wasm'\noptions = { key = 'hunter2' }\n\
         [token.x]\nrole = 'read'\nfile = 'x'\n",
    );
    let panic = std::panic::catch_unwind(|| panic!("{settings:#?}")).expect_err("it panics");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("headers") && !message.contains("hunter2"), "{message}");
}

#[test]
fn every_key_reaches_its_setting() {
    let settings = good(
        r#"
data = "d"
filters_folder = "f"
auto_load = true
[http]
listen = "localhost:1"
allowed_hosts = ["logs.example.com", "weir"]
allowed_origins = ["https://app.example.com"]
max_body = "1MiB"
max_decompressed = "2MiB"
max_in_flight = 3145728
max_connections = 4
header_timeout = "5s"
body_timeout = "1m30s"
[journal]
sync = "100ms"
max_size = "1GiB"
when_full = "drop_oldest"
keep = "2h"
segment_size = "8MiB"
compress = true
recent = "16MiB"
[encryption]
key = { file = "data.key" }
previous_keys = [{ env = "OLD_KEY" }, { file = "/etc/older.key" }]
[[filter]]
name = "one"
module = "./sub/one.wasm"
on_error = "reject"
timeout = "1s"
memory = "32MiB"
max_output = "1MiB"
options = { keys = ["a"], deep = { n = 1, f = 1.5, on = 2026-11-20 } }
[sink.out]
type = "console"
routes = ["audit", "all"]
min_level = "ERROR"
[quarantine]
keep = "reason"
max_size = "1MiB"
max_age = "7d"
[ingest]
aliases = { sev = "level" }
standard_aliases = false
default_source = "edge"
default_level = "DEBUG"
"#,
    );
    let EncryptionSettings { key, previous_keys } = &settings.encryption;
    assert_eq!(*key, Some(KeySource::File(settings.folder.join("data.key"))));
    let older = [KeySource::Environment("OLD_KEY".into()), KeySource::File("/etc/older.key".into())];
    assert_eq!(*previous_keys, older);
    assert_eq!(settings.data, Path::new("/etc/weir/d"));
    assert_eq!(settings.filters_folder, Path::new("/etc/weir/f"));
    assert!(settings.auto_load);
    let http = &settings.http;
    assert_eq!(http.listen.to_string(), "127.0.0.1:1");
    assert_eq!(
        [http.max_body_bytes, http.max_decompressed_bytes, http.max_in_flight_bytes],
        [1 << 20, 2 << 20, 3 << 20]
    );
    assert_eq!(http.allowed_hosts, ["logs.example.com", "weir"]);
    assert_eq!(http.allowed_origins, ["https://app.example.com"]);
    assert_eq!(http.max_connections, 4);
    assert_eq!(http.header_timeout, Duration::from_secs(5));
    assert_eq!(http.body_timeout, Duration::from_secs(90));
    let journal = &settings.journal;
    assert_eq!(journal.sync, Sync::Every(Duration::from_millis(100)));
    assert_eq!([journal.max_size_bytes, journal.segment_bytes, journal.recent_bytes], [1 << 30, 8 << 20, 16 << 20]);
    assert_eq!(journal.when_full, WhenFull::DropOldest);
    assert!(journal.compress);
    assert_eq!(journal.keep, Duration::from_secs(7200));
    let filter = &settings.filters[0];
    assert_eq!(filter.name, "one");
    assert_eq!(filter.module, Module::File(PathBuf::from("sub/one.wasm")));
    assert_eq!(filter.on_error, OnError::Reject);
    assert_eq!(filter.timeout, Duration::from_secs(1));
    assert_eq!([filter.memory_bytes, filter.output_bytes], [32 << 20, 1 << 20]);
    assert_eq!(filter.options, json!({ "keys": ["a"], "deep": { "n": 1, "f": 1.5, "on": "2026-11-20" } }));
    let sink = &settings.sinks[0];
    assert_eq!((&*sink.name, &*sink.kind), ("out", "console"));
    assert_eq!(sink.routes, Some(vec!["audit".to_owned(), "all".to_owned()]));
    assert_eq!(sink.min_level, Some(Level::Error));
    assert_eq!(sink.options, json!({}), "the common keys are not the kind's");
    assert_eq!(settings.quarantine.keep, Keep::Reason);
    assert_eq!(settings.quarantine.max_size_bytes, 1 << 20);
    assert_eq!(settings.quarantine.max_age, Duration::from_secs(7 * 86_400));
    assert_eq!(settings.ingest.aliases, [("sev".to_owned(), StandardKey::Level)]);
    assert!(!settings.ingest.standard_aliases);
    assert_eq!(settings.ingest.default_source.as_deref(), Some("edge"));
    assert_eq!(settings.ingest.default_level, Level::Debug);
}

#[test]
fn sinks_and_filters_keep_the_order_of_the_file() {
    let settings = good(
        "[sink.z]\ntype = 'console'\n[sink.a]\ntype = 'console'\n\
         [[filter]]\nname = 'z'\nmodule = 'z.wasm'\n[[filter]]\nname = 'a'\nmodule = 'a.wasm'\n",
    );
    let sinks: Vec<&str> = settings.sinks.iter().map(|sink| sink.name.as_str()).collect();
    let filters: Vec<&str> = settings.filters.iter().map(|filter| filter.name.as_str()).collect();
    assert_eq!((sinks, filters), (vec!["z", "a"], vec!["z", "a"]));
}

#[test]
fn an_empty_list_or_section_means_none() {
    let settings = good("filter = []\n[sink]\n");
    assert!(settings.filters.is_empty() && settings.sinks.is_empty());
}

#[test]
fn variables_are_converted_to_the_type_of_the_key() {
    let settings = good(
        "auto_load = '${YES}'\n[http]\nlisten = '127.0.0.1:${PORT}'\n\
         max_connections = '${COUNT}'\nmax_body = '${COUNT}MiB'\nmax_in_flight = '${NONE:-99999999}'",
    );
    assert!(settings.auto_load);
    assert_eq!(settings.http.listen.port(), 9000);
    assert_eq!(settings.http.max_connections, 12);
    assert_eq!(settings.http.max_body_bytes, 12 << 20);
    assert_eq!(settings.http.max_in_flight_bytes, 99_999_999);
}

#[test]
fn only_values_from_the_environment_are_converted() {
    bad("auto_load = 'true'");
    bad("[http]\nmax_connections = '12'");
    bad("[http]\nmax_connections = '$${COUNT}'");
}

#[test]
fn filter_options_stay_text_because_their_types_are_unknown() {
    let settings = good(
        "[[filter]]\nname = 'a'\nmodule = 'a.wasm'\n\
         options = { n = '${COUNT}', re = '^$${x}$', list = ['${WORD}'] }",
    );
    assert_eq!(settings.filters[0].options, json!({ "n": "12", "re": "^${x}$", "list": ["s3cret"] }));
}

#[test]
fn a_variable_can_not_add_anything_to_the_file() {
    let settings = good("data = '${TOML}'\n[sink.a]\ntype = 'console'");
    assert!(!settings.auto_load);
    assert_eq!(settings.sinks.len(), 1);
    assert!(settings.data.to_string_lossy().contains("[sink.evil]"));
}

#[test]
fn the_command_line_overrides_the_file_and_modules_follow_their_folder() {
    let settings = good("[[filter]]\nname = 'a'\nmodule = 'a.wasm'");
    let none = settings.clone().with_overrides(&Overrides::default());
    assert_eq!(none, settings);
    let settings = settings.with_overrides(&Overrides {
        listen: Some(([0, 0, 0, 0], 9).into()),
        data: Some("over".into()),
        filters_folder: Some("wasm".into()),
        insecure_open: true,
        sources: Vec::new(),
    });
    assert_eq!(settings.http.listen.to_string(), "0.0.0.0:9");
    assert_eq!(settings.data, Path::new("over"));
    assert_eq!(settings.filters_folder, Path::new("wasm"));
    assert_eq!(settings.filters[0].module, Module::File("a.wasm".into()), "still relative to that folder");
}

#[test]
fn a_found_module_has_the_same_defaults_as_a_configured_one() {
    let written = good("[[filter]]\nname = 'a'\nmodule = 'a.wasm'");
    let found = FilterSettings::with_defaults("a", Module::File("a.wasm".into()));
    assert_eq!(written.filters[0], found);
}

#[test]
fn debugging_shows_options_without_their_values() {
    let settings = good(
        "[[filter]]\nname = 'a'\nmodule = 'a.wasm'\noptions.key = '${WORD}'\n\
         [sink.a]\ntype = 'file'\npath = '${WORD}'",
    );
    let shown = format!("{settings:?}");
    assert!(shown.contains("path") && !shown.contains("s3cret"), "{shown}");
}

#[test]
fn fallback_chains_are_expanded_and_a_standby_has_no_routes() {
    let settings = good(
        "[sink.a]\ntype = 'console'\nfallback = 'b'\nfallback_after = '5s'\n[sink.b]\ntype = 'console'\nstandby = true\n\
         fallback = 'c'\n[sink.c]\ntype = 'console'\n",
    );
    let [a, b, c] = &settings.sinks[..] else { panic!("three sinks") };
    assert_eq!(a.fallback, ["b", "c"]);
    assert_eq!(a.fallback_after, Duration::from_secs(5));
    assert_eq!((&b.fallback[..], &c.fallback[..]), (&["c".to_owned()][..], &[][..]));
    assert_eq!((&a.routes, &b.routes), (&None, &Some(Vec::new())));
}

#[test]
fn the_environment_selects_sinks_and_options_unless_a_file_does() {
    let environment = |name: &str| match name {
        "WEIR_SINKS" => Some("file,nonesuch,sqlite".to_owned()),
        "WEIR_FILE_PATH" => Some("out/%Y.log".to_owned()),
        _ => None,
    };
    let settings = Settings::default_for(Path::new("here"), &environment).expect("right");
    let sinks: Vec<_> = settings.sinks.iter().map(|s| (&*s.name, &*s.kind, &s.options)).collect();
    assert_eq!(sinks, [("file", "file", &json!({ "path": "out/%Y.log" })), ("sqlite", "sqlite", &json!({}))]);
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
    // The sinks and options in a file take precedence.
    let file = "[sink.a]\ntype = 'file'\npath = 'a.log'\n[sink.b]\ntype = 'file'\n";
    let settings = load_bytes("weir.toml", Path::new("/etc/weir"), file.as_bytes(), &environment, &mut |_, _| None)
        .expect("right");
    let paths: Vec<_> = settings.sinks.iter().map(|sink| &sink.options["path"]).collect();
    assert_eq!(paths, ["a.log", "out/%Y.log"]);
    assert!(settings.warnings.is_empty());
}

#[test]
fn invalid_values_from_the_environment_are_refused_without_showing_them() {
    let environment = |name: &str| match name {
        "WEIR_SINKS" => Some("file".to_owned()),
        "WEIR_FILE_PATH" => Some("s3cret/{".to_owned()),
        _ => None,
    };
    let problems = Settings::default_for(Path::new("here"), &environment).expect_err("no path").to_string();
    assert!(problems.contains("sink `file`") && !problems.contains("s3cret"), "{problems}");
}

#[test]
fn limits_of_addresses_and_tokens_are_read() {
    let settings = good(
        "[limits]\nrecords_per_second = 500\nbytes_per_second = \"1MiB\"\nburst = \"3s\"\nstreams = 0\n\
         [token.ci]\nrole = \"ingest\"\nenv = \"CI\"\n[token.ci.limits]\nrequests_per_second = 7\n",
    );
    let of = |resource| settings.limits.get(resource);
    assert_eq!(
        [Resource::Records, Resource::Bytes, Resource::Streams, Resource::Requests, Resource::Searches].map(of),
        [Some(500), Some(1 << 20), Some(0), None, None]
    );
    assert_eq!(settings.limits.burst, Duration::from_secs(3));
    let token = &settings.tokens[0].limits;
    assert_eq!((token.get(Resource::Requests), token.get(Resource::Records)), (Some(7), None));
    for (text, expected) in
        [("burst = \"2h\"", "too long"), ("burst = \"0s\"", "too short"), ("records = 5", "`records`")]
    {
        let problems = in_short(&bad(format!("[limits]\n{text}\n")));
        assert!(problems.len() == 1 && problems[0].contains(expected), "{problems:?}");
    }
}
