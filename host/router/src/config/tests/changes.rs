//! What a reload has to do.

use super::good;
use crate::config::diff;
use crate::config::diff::{Changes, Named};

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

#[track_caller]
fn changes(from: &str, to: &str) -> Changes {
    diff(Some(&good(from)), &good(to))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_same_file_changes_nothing() {
    assert!(changes(BASE, BASE).is_empty());
    let rewritten = format!("# a comment\n{}", BASE.replace('\'', "\""));
    assert!(changes(BASE, &rewritten).is_empty());
}

#[test]
fn from_nothing_everything_is_added_and_nothing_waits_for_a_restart() {
    let changes = diff(None, &good(BASE));
    assert_eq!(changes.filters.added, names(&["a", "b"]));
    assert_eq!(changes.sinks.added, names(&["one", "two"]));
    assert!(changes.restart.is_empty());
}

#[test]
fn sinks_are_told_apart_by_name() {
    let to = BASE
        .replace("[sink.one]\ntype = 'console'", "[sink.one]\ntype = 'console'\nmin_level = 'ERROR'")
        .replace("[sink.two]", "[sink.three]");
    let changes = changes(BASE, &to);
    let expected = Named { added: names(&["three"]), removed: names(&["two"]), changed: names(&["one"]) };
    assert_eq!(changes.sinks, expected);
    assert_eq!(changes.filters, Named::default(), "the filters are left alone");
}

#[test]
fn filters_added_removed_and_changed_are_named() {
    let to = BASE.replace("name = 'a'", "name = 'c'").replace("'bundled:level'", "'bundled:level'\ntimeout = '1s'");
    let changes = changes(BASE, &to);
    let expected = Named { added: names(&["c"]), removed: names(&["a"]), changed: names(&["b"]) };
    assert_eq!(changes.filters, expected);
    assert_eq!(changes.sinks, Named::default());
    assert!(!changes.filters_reordered);
}

#[test]
fn another_order_of_the_same_filters_is_noticed_and_an_insertion_is_not_one() {
    let filter = |name: &str| format!("[[filter]]\nname = '{name}'\nmodule = 'm.wasm'\n");
    let file = |order: &[&str]| order.iter().map(|name| filter(name)).collect::<String>();
    let swapped = changes(&file(&["a", "b", "c"]), &file(&["a", "c", "b"]));
    assert!(swapped.filters_reordered && swapped.filters == Named::default());
    let inserted = changes(&file(&["a", "b"]), &file(&["x", "a", "y", "b"]));
    assert!(!inserted.filters_reordered && inserted.filters.added == names(&["x", "y"]));
}

#[test]
fn another_filters_folder_changes_the_filters_from_files_and_not_the_bundled() {
    let changes = changes(BASE, &format!("filters_folder = 'other'\n{BASE}"));
    assert!(changes.filters_folder);
    assert_eq!(changes.filters.changed, names(&["a"]));
}

#[test]
fn what_needs_a_restart_is_named_by_its_key() {
    for (rest, key) in [
        ("[http]\nlisten = '127.0.0.1:1'", "http.listen"),
        ("[http]\nallowed_hosts = ['a']", "http.allowed_hosts"),
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
        let changes = changes(BASE, &format!("{BASE}{rest}"));
        assert_eq!(changes.restart, [key]);
    }
    let moved = changes(BASE, &BASE.replace("data = 'd'", "data = 'e'"));
    assert_eq!(moved.restart, ["data"]);
}

#[test]
fn every_key_of_http_and_journal_is_among_those_that_need_a_restart() {
    let mut other = good(BASE);
    other.http = good(
        "[http]\nlisten = '127.0.0.1:1'\nallowed_hosts = ['a']\nmax_body = '1MiB'\nmax_decompressed = '65MiB'\n\
        max_in_flight = '65MiB'\nmax_connections = 1\nheader_timeout = '1s'\nbody_timeout = '1s'",
    )
    .http;
    other.journal = good(
        "[journal]\nsync = 'off'\nmax_size = '1GiB'\nwhen_full = 'drop_oldest'\n\
        keep = '1h'\nsegment_size = '1MiB'\ncompress = true\nrecent = '1MiB'",
    )
    .journal;
    let restart = diff(Some(&good(BASE)), &other).restart;
    let schema = crate::config::schema();
    for section in ["Http", "Journal"] {
        let keys = schema["$defs"][section]["properties"].as_object().expect("keys");
        for key in keys.keys() {
            let name = format!("{}.{key}", section.to_lowercase());
            assert!(restart.contains(&name.as_str()), "{name} in {restart:?}");
        }
    }
}

#[test]
fn the_quarantine_and_auto_load_are_taken_up_at_once() {
    let quarantine = changes(BASE, &format!("{BASE}[quarantine]\nkeep = 'nothing'"));
    assert!(quarantine.quarantine && quarantine.restart.is_empty());
    let auto_load = changes(BASE, &format!("auto_load = true\n{BASE}"));
    assert!(auto_load.auto_load && auto_load.restart.is_empty());
}
