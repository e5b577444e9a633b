//! Replacing filters under load.

use std::collections::HashSet;

use super::clients::{Sender, curl, sqlite};
use super::hostile::guests;
use super::router::{Home, eventually};

/// Number of replacements per run.
const SWAPS: u64 = 100;

const CONFIGURATION: &str = r#"
[[filter]]
name = "keep"
module = "keep.wasm"
[sink.db]
type = "sqlite"
search = false
"#;

#[test]
fn replacing_a_filter_a_hundred_times_under_load_neither_loses_nor_repeats_records() {
    let home = Home::with(CONFIGURATION).with_own_cache();
    let wasm = guests::module(guests::KEEP);
    home.put_filter("keep", &wasm);
    let router = home.start();
    let sender = Sender::start(&router.url, "swap", home.path("acknowledged"));
    eventually("load", || !sender.acknowledged().is_empty());
    for number in 1..=SWAPS {
        let mut other = wasm.clone();
        // A custom section with a number makes other bytes each time.
        other.extend([0, 9, 0]);
        other.extend(number.to_le_bytes());
        home.put_filter("keep", &other);
        eventually("it is taken up", || swaps(&curl(&router, "/metrics", &[], b"").body) == number);
    }
    let acknowledged: HashSet<String> = sender.stop().into_iter().collect();
    assert_eq!(router.stop().0.code(), Some(0));
    let database = home.path("weir-data/logs.db");
    let rows = sqlite(&database, "select json_extract(fields, '$.id') from logs");
    let stored: Vec<&str> = rows.lines().collect();
    let distinct: HashSet<&str> = stored.iter().copied().collect();
    eprintln!("{SWAPS} swaps: {} acknowledged, {} stored", acknowledged.len(), stored.len());
    assert_eq!(stored.len(), distinct.len(), "something is repeated");
    let lost = acknowledged.iter().filter(|id| !distinct.contains(id.as_str()));
    assert_eq!(lost.count(), 0, "something is lost");
}

fn swaps(metrics: &str) -> u64 {
    metrics
        .lines()
        .find(|l| l.starts_with("weir_filter_swaps_total"))
        .and_then(|l| l.rsplit_once(' '))
        .map_or(0, |(_, n)| n.parse().unwrap())
}
