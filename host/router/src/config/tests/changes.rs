//! What a reload detects as changed.

use std::path::PathBuf;

use super::good;
use crate::config::Overrides;

const BASE: &str = "
data = 'd'
[[filter]]
name = 'a'
module = 'a.wasm'
[[filter]]
name = 'b'
module = 'bundled:level'
[sink.one]
type = 'console'
[sink.two]
type = 'console'
";

#[test]
fn comments_and_quotes_change_nothing() {
    let rewritten = format!("# a comment\n{}", BASE.replace('\'', "\""));
    assert!(good(rewritten).are_same(&good(BASE)));
}

#[test]
fn filters_sinks_quarantine_and_auto_load_are_applied_without_a_restart() {
    let one = "[sink.one]\ntype = 'console'";
    for changed in [
        BASE.replace(one, &format!("{one}\nmin_level = 'ERROR'")),
        BASE.replace("[sink.two]", "[sink.three]"),
        BASE.replace("name = 'a'", "name = 'c'"),
        BASE.replace("'bundled:level'", "'bundled:level'\ntimeout = '1s'"),
        format!("filters_folder = 'other'\n{BASE}"),
        format!("auto_load = true\n{BASE}"),
        format!("{BASE}[quarantine]\nkeep = 'nothing'"),
    ] {
        let new = good(&changed);
        assert!(!new.are_same(&good(BASE)), "{changed}");
        assert_eq!(new.keys_that_need_a_restart(&good(BASE)), [""; 0], "{changed}");
    }
}

#[test]
fn reordering_filters_is_a_change() {
    let filter = |name: &str| format!("[[filter]]\nname = '{name}'\nmodule = 'm.wasm'\n");
    let file = |order: [&str; 3]| good(order.map(filter).concat());
    assert!(!file(["a", "b", "c"]).are_same(&file(["a", "c", "b"])));
}

#[test]
fn keys_that_need_a_restart_are_named() {
    for (rest, key) in [
        ("[http]\nlisten = '127.0.0.1:1'", "http.listen"),
        ("[http]\nallowed_hosts = ['a']", "http.allowed_hosts"),
        ("[http]\nallowed_origins = ['*']", "http.allowed_origins"),
        ("[http]\nmax_body = '1MiB'", "http.max_body"),
        ("[http]\nmax_decompressed = '65MiB'", "http.max_decompressed"),
        ("[http]\nmax_in_flight = '65MiB'", "http.max_in_flight"),
        ("[http]\nmax_connections = 1", "http.max_connections"),
        ("[http]\nheader_timeout = '1s'", "http.header_timeout"),
        ("[http]\nbody_timeout = '1s'", "http.body_timeout"),
        ("[journal]\nsync = 'off'", "journal.sync"),
        ("[journal]\nmax_size = '1GiB'", "journal.max_size"),
        ("[journal]\nwhen_full = 'drop_oldest'", "journal.when_full"),
        ("[journal]\nsegment_size = '1MiB'", "journal.segment_size"),
        ("[journal]\nkeep = '1h'", "journal.keep"),
        ("[journal]\ncompress = true", "journal.compress"),
        ("[journal]\nrecent = '1MiB'", "journal.recent"),
        ("[ingest]\ndefault_level = 'ERROR'", "ingest"),
        ("[log]\nlevel = 'debug'", "log"),
    ] {
        let new = good(format!("{BASE}{rest}"));
        assert_eq!(new.keys_that_need_a_restart(&good(BASE)), [key]);
    }
    let moved = good(BASE.replace("data = 'd'", "data = 'e'"));
    assert_eq!(moved.keys_that_need_a_restart(&good(BASE)), ["data"]);
}

#[test]
fn a_key_that_the_command_line_overrides_needs_no_restart() {
    let overrides =
        Overrides { listen: Some(([127, 0, 0, 1], 9).into()), data: Some(PathBuf::from("x")), ..Overrides::default() };
    let with = |text: String| good(text).with_overrides(&overrides);
    let new = with(format!("{}[http]\nlisten = '127.0.0.1:1'", BASE.replace("data = 'd'", "data = 'e'")));
    assert_eq!(new.keys_that_need_a_restart(&with(BASE.to_owned())), [""; 0]);
}
