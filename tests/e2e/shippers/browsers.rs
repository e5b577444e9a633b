//! Pages of other origins in a real browser.

use std::collections::BTreeSet;
use std::net::TcpListener;

use super::{arrived, home};
use crate::page::browse;

#[test]
fn pages_of_listed_origins_can_send_and_nothing_else() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = home(&format!("[http]\nallowed_origins = [\"http://app.example:{port}\"]\n"));
    browse(&home, "origins.mjs", &port.to_string());
    let router = home.start();
    let records = super::all(&home, router);
    let said: BTreeSet<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    let due = ["fetch", "beacon text", "beacon form", "beacon untyped", "beacon json", "page.opened"];
    assert_eq!(said, BTreeSet::from(due));
    assert_eq!(arrived(&home, 0).len(), due.len(), "each once");
    let beacons = records.iter().filter(|record| record["message"].as_str().unwrap().starts_with("beacon"));
    assert!(beacons.clone().count() == 4 && beacons.into_iter().all(|record| record["level"] == "ERROR"));
}
