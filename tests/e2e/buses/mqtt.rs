//! Messages of MQTT: each is stored at least once, whoever is killed or restarted.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::super::clients::curl;
use super::super::router::{Home, Router, eventually};
use super::super::servers::certificates::certificates;
use super::super::servers::free_port;
use super::super::servers::mosquitto::Mosquitto;
use super::{ROUNDS, counts, from_environment, stored};

/// How far the publisher may be ahead of what is stored: a server sends all of that again after each kill.
const AHEAD: u64 = 2_000;

const SINK: &str = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";

fn source(name: &str, url: &str, topics: &str, more: &str) -> String {
    format!("[source.{name}]\ntype = \"mqtt\"\nurl = \"{url}\"\ntopics = [{topics}]\n{more}\n")
}

fn event(number: u64) -> Vec<u8> {
    json!({"level": "warn", "message": "m", "source_module": "shop", "number": number}).to_string().into_bytes()
}

fn health(router: &Router) -> Value {
    curl(router, "/health", &[], b"").json()
}

fn messages(home: &Home) -> Vec<String> {
    stored(home).iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the server knows the subscriptions of a router that has just started: it keeps the messages from then on.
fn subscribed(home: &Home, mosquitto: &Mosquitto, topic: &str) {
    eventually("the router has subscribed", || {
        mosquitto.client().publish(topic, b"{\"message\":\"probe\"}");
        messages(home).contains(&"probe".to_owned())
    });
}

fn nothing_is_lost(version: u8) {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Arc::new(Mutex::new(Mosquitto::start(folder.path())));
    let configuration =
        source("bus", &mosquitto.lock().unwrap().url(), "\"log/#\", \"probe\"", &format!("version = {version}"));
    home.configure(&(configuration + SINK));
    let mut router = home.start();
    subscribed(&home, &mosquitto.lock().unwrap(), "probe");
    let (stop, published) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<u64>>::default());
    let arrived = Arc::new(AtomicU64::new(0));
    let publisher = {
        let (mosquitto, stop, published, arrived) =
            (mosquitto.clone(), stop.clone(), published.clone(), arrived.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Acquire) {
                if *published.lock().unwrap() > arrived.load(Ordering::Acquire) + AHEAD {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                }
                let mosquitto = mosquitto.lock().unwrap();
                let mut client = mosquitto.client();
                for _ in 0..20 {
                    let mut published = published.lock().unwrap();
                    client.publish(&format!("log/{}/entry", *published % 3), &event(*published));
                    *published += 1;
                }
            }
        })
    };
    let numbered = || -> Vec<Value> { stored(&home).into_iter().filter(|r| r["number"].is_u64()).collect() };
    for round in 0..from_environment("WEIR_BUS_ROUNDS", ROUNDS) {
        let (before, sent) = (arrived.load(Ordering::Acquire), *published.lock().unwrap());
        eventually("new messages arrive", || {
            let different = counts(&numbered()).len() as u64;
            arrived.store(different, Ordering::Release);
            different > before && *published.lock().unwrap() > sent + 50
        });
        match round % 4 {
            1 => mosquitto.lock().unwrap().restart(),
            3 => mosquitto.lock().unwrap().kill_and_restart(),
            _ => {
                router.kill();
                router = home.start();
            }
        }
    }
    stop.store(true, Ordering::Release);
    publisher.join().unwrap();
    let due = *published.lock().unwrap();
    eventually("every message is stored", || counts(&numbered()).len() as u64 == due);
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let records = numbered();
    // How many that are is up to the server: Mosquitto sends whatever waits, and a connection that is reset takes back
    // acknowledgements that it did not read yet.
    let again = records.len() - due as usize;
    let first = records.iter().find(|record| record["number"] == 1).unwrap();
    assert_eq!(first["mqtt"], json!({"topic": "log/1/entry"}));
    assert_eq!((&first["level"], &first["source"]), (&json!("WARNING"), &json!("shop")));
    println!("version {version}: {due} messages, and {again} of them again");
}

#[test]
fn no_message_is_lost_while_the_router_and_the_server_are_killed_and_restarted() {
    nothing_is_lost(5);
}

#[test]
fn no_message_is_lost_with_mqtt_3_1_1() {
    nothing_is_lost(4);
}

#[test]
fn what_is_no_record_is_quarantined_and_a_reload_changes_topics_and_removes_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path());
    let mut client = mosquitto.client();
    client.publish_retained("kept", b"{\"message\":\"kept\"}");
    let home = Home::with(SINK);
    let mut router = home.start();
    let with = |topics: &str| source("bus", &mosquitto.url(), topics, "format = \"json\"") + SINK;
    home.configure(&with("\"a/+/log\", \"b/#\", \"kept\""));
    subscribed(&home, &mosquitto, "a/1/log");
    let kept = stored(&home).into_iter().find(|record| record["message"] == "kept").unwrap();
    assert_eq!(kept["mqtt"], json!({"topic": "kept", "retained": true}));
    client.publish("a/1/2/log", b"{\"message\":\"not wanted\"}");
    client.publish("a/1/log", b"no record");
    // More than a record may have.
    client.publish("a/1/log", format!("{{\"message\":\"{}\"}}", "x".repeat(3 << 20)).as_bytes());
    client.publish("b", b"{\"message\":\"b\"}");
    client.publish("b/1/2", b"{\"message\":\"b12\"}");
    eventually("records arrive", || messages(&home).contains(&"b12".to_owned()));
    let quarantined = || fs::read_dir(home.path("weir-data/quarantine")).map_or(0, Iterator::count);
    eventually("the others are quarantined", || quarantined() > 0);
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains("weir_source_quarantined_total{source=\"bus\"} 2"), "{metrics}");

    home.configure(&with("\"c\", \"kept\""));
    router.wait_for_line("source `bus` restarts");
    eventually("the new topic is subscribed to", || {
        client.publish("c", b"{\"message\":\"c\"}");
        messages(&home).contains(&"c".to_owned())
    });
    client.publish("b/1/2", b"{\"message\":\"late\"}");
    client.publish("c", b"{\"message\":\"last\"}");
    eventually("the last arrives", || messages(&home).contains(&"last".to_owned()));
    let all = messages(&home);
    assert!(!all.iter().any(|message| message == "late" || message == "not wanted"), "{all:?}");
    assert_eq!(all.iter().filter(|message| *message == "kept").count(), 1, "a subscription that was there: {all:?}");
    home.configure(SINK);
    router.wait_for_line("source `bus` removed");
    assert_eq!(health(&router)["sources"], json!([]));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}

#[test]
fn routers_that_share_a_topic_get_each_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let mosquitto = Mosquitto::start(folder.path());
    let homes = [Home::new(), Home::new()];
    let shared = source("bus", &mosquitto.url(), "\"$share/weir/log/#\", \"probe\"", "") + SINK;
    homes.iter().for_each(|home| home.configure(&shared));
    let routers: Vec<Router> = homes.iter().map(Home::start).collect();
    homes.iter().for_each(|home| subscribed(home, &mosquitto, "probe"));
    let mut client = mosquitto.client();
    (0..500).for_each(|number| client.publish("log/entry", &event(number)));
    let numbered =
        |home: &Home| -> Vec<Value> { stored(home).into_iter().filter(|record| record["number"].is_u64()).collect() };
    eventually("all are stored", || homes.iter().map(|home| numbered(home).len()).sum::<usize>() >= 500);
    for router in routers {
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
    }
    let parts = [numbered(&homes[0]), numbered(&homes[1])];
    assert!(parts.iter().all(|part| !part.is_empty()));
    assert_eq!(counts(&parts.concat()), (0..500).map(|number| (number, 1)).collect());
}

#[test]
fn health_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let accounts = folder.path().join("accounts");
    fs::write(&accounts, "weir:sesame\n").unwrap();
    assert!(std::process::Command::new("mosquitto_passwd").arg("-U").arg(&accounts).status().unwrap().success());
    certificates(folder.path());
    let (tls, path) = (free_port(), |name: &str| folder.path().join(name).display().to_string());
    let mosquitto = Mosquitto::start_with(
        folder.path(),
        &format!(
            "allow_anonymous false\npassword_file {}\nlistener {tls} 127.0.0.1\ncertfile {}\nkeyfile {}",
            accounts.display(),
            path("server.pem"),
            path("server.key")
        ),
    );
    let unused = free_port();
    let mut text = SINK.to_owned();
    let right = mosquitto.url().replace("//", "//weir:sesame@");
    for (name, url, more) in [
        ("gone", &format!("mqtt://127.0.0.1:{unused}"), ""),
        ("wrong", &mosquitto.url(), "user = \"weir\"\npassword = \"open\""),
        ("wrong4", &mosquitto.url(), "user = \"weir\"\npassword = \"open\"\nversion = 4"),
        ("plain", &mosquitto.url().replace("mqtt:", "mqtts:"), ""),
        ("unknown", &format!("mqtts://weir:sesame@127.0.0.1:{tls}"), ""),
        ("same", &right, "client = \"one\""),
        ("also", &right, "client = \"one\""),
        ("right", &format!("mqtts://weir:sesame@127.0.0.1:{tls}"), &format!("tls = {{ ca = \"{}\" }}", path("ca.pem"))),
    ] {
        text += &source(name, url, "\"log/#\"", more);
    }
    let home = Home::with(&text);
    let mut router = home.start();
    let wrong = [
        ("gone", "can't connect"),
        ("wrong", "check `user`"),
        ("wrong4", "check `user`"),
        ("plain", "TLS"),
        ("unknown", "TLS"),
    ];
    eventually("it is said", || {
        let reasons = health(&router)["reasons"].to_string();
        let of = |name: &str| reasons.split("source `").find(|reason| reason.starts_with(&format!("{name}`")));
        wrong.iter().all(|(name, part)| of(name).is_some_and(|reason| reason.contains(part)))
    });
    router.wait_for_line("another client ha");
    let sources = health(&router)["sources"].as_array().unwrap().clone();
    let right = sources.iter().find(|source| source["name"] == "right").unwrap();
    assert_eq!(right["state"], "running", "{right}");
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
}
