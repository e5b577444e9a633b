//! Fluent Forward from fluent-logger for Python and JavaScript and from @fluent-org/logger, with and without a
//! handshake; and senders that do everything wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::clients::curl;
use super::super::router::{Router, eventually};
use super::given::{self, assert_has, entries, exchange, script};
use super::{Client, all, arrived, confirm, home, listener, outcome};

const LISTEN: &str = "[[listen]]\nprotocol = \"forward\"\naddress = \"127.0.0.1:0\"\n";

/// Checks records that were sent as `shop.web`, with the time that all scripts give them.
fn assert_arrived(records: &[Value], sent: &[Value], nanos: &str) {
    assert_eq!(records.len(), sent.len());
    for (record, sent) in records.iter().zip(sent) {
        assert_has(record, sent);
        let head = (&record["source"], &record["tag"], &record["timestamp"]);
        let time = format!("2023-11-14T22:13:21.{nanos}Z");
        assert_eq!(head, (&json!("shop.web"), &json!("shop.web"), &json!(time)));
    }
}

/// Records with a level each.
fn sent(is_javascript: bool) -> Vec<Value> {
    let mut sent = entries(is_javascript);
    for entry in &mut sent {
        entry["level"] = json!("ERROR");
        // One of the encoders makes it a float.
        if is_javascript && !entry["safe"].is_null() {
            entry["safe"] = json!(u32::MAX);
        }
    }
    sent
}

#[test]
fn fluent_logger_for_python_sends_records_without_loss() {
    let home = home(LISTEN);
    let router = home.start();
    let sent = sent(false);
    let port = listener(&router, "forward").port().to_string();
    let said = exchange(script(&home, "forward.py").arg(port), &json!(sent));
    assert_eq!(said["error"], "");
    let records = arrived(&home, sent.len());
    assert_arrived(&records, &sent, "500000000");
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: "forward", name: "fluent-logger", from: "PyPI", version }, sent.len(), records.len());
}

fn javascript(client: &'static str, modes: &[&str]) {
    let sent = sent(true);
    let secured = format!("{LISTEN}shared_key = \"k\"\nusers = {{ shop = \"pässword\" }}\n");
    let (mut version, mut count) = (Value::Null, 0);
    for (listen, credentials) in [(LISTEN, &[][..]), (&secured, &["k", "shop", "pässword"])] {
        for mode in modes {
            let home = home(listen);
            let router = home.start();
            let port = listener(&router, "forward").port().to_string();
            let mut script = script(&home, "forward.mjs");
            let said = exchange(script.args(["facts", client, mode, &port]).args(credentials), &json!(sent));
            assert_eq!(said["stored"], json!(vec![true; sent.len()]), "{mode} {said}");
            // What is acknowledged is durable.
            let records = all(&home, router);
            assert_arrived(&records, &sent, "500000007");
            version = said["version"].clone();
            count += records.len();
        }
    }
    let version = version.as_str().unwrap().to_owned();
    let client = Client { protocol: "forward", name: client, from: "npm", version };
    confirm(&client, 2 * modes.len() * sent.len(), count);
}

#[test]
fn fluent_logger_for_javascript_sends_records_without_loss_in_each_of_its_modes() {
    javascript("fluent-logger", &["Message", "PackedForward", "CompressedPackedForward"]);
}

#[test]
fn the_logger_of_fluent_org_sends_records_without_loss_in_each_of_its_modes() {
    javascript("@fluent-org/logger", &["Message", "Forward", "PackedForward", "CompressedPackedForward"]);
}

#[test]
fn a_wrong_key_and_a_wrong_password_are_the_clients_own_error() {
    let home = home(&format!("{LISTEN}shared_key = \"k\"\nusers = {{ shop = \"p\" }}\n"));
    let router = home.start();
    let port = listener(&router, "forward").port().to_string();
    for client in ["fluent-logger", "@fluent-org/logger"] {
        let mut script = script(&home, "forward.mjs");
        let said = exchange(script.args(["facts", client, "Message", &port, "wrong", "shop", "p"]), &json!([{"a": 1}]));
        assert!(said["errors"].to_string().to_lowercase().contains("shared key"), "{said}");
    }
    assert!(all(&home, router).is_empty());
    outcome(
        "forward",
        "fluent-logger and @fluent-org/logger (npm)",
        "wrong credentials",
        "their own error: shared key mismatch",
    );
}

#[test]
fn an_address_that_guesses_keys_has_to_wait() {
    let home = home(&format!("{LISTEN}shared_key = \"k\"\n"));
    let router = home.start();
    // ["PING", "h", "s", "0", "", ""]
    let guess = b"\x96\xa4PING\xa1h\xa1s\xa10\xa0\xa0";
    let mut is_refused = false;
    for number in 0..30 {
        let mut stream = connect(&router);
        // It may be closed already.
        _ = stream.write_all(guess);
        let mut said = Vec::new();
        _ = stream.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said);
        is_refused = !said.contains("HELO");
        assert!(is_refused || said.contains("shared key mismatch"), "{said}");
        if is_refused {
            assert!(number >= 20, "the first ones are asked");
            break;
        }
    }
    assert!(is_refused);
    eventually("the reason is logged, within a second", || {
        drop(connect(&router));
        router.stderr().contains("too many wrong keys came from this address")
    });
    outcome("forward", "raw bytes", "wrong credentials, many times", "its address has to wait");
}

#[test]
fn nothing_acknowledged_is_lost_by_kills_and_stops() {
    given::assert_none_is_lost_at("forward.mjs", LISTEN, |router| listener(router, "forward").port().to_string());
    outcome(
        "forward",
        "fluent-logger and @fluent-org/logger (npm)",
        "restarted under load",
        "nothing acknowledged is lost",
    );
}

#[test]
fn a_full_journal_acknowledges_nothing_until_there_is_room() {
    let told =
        given::fill_the_journal_at("forward.mjs", LISTEN, |router| listener(router, "forward").port().to_string());
    assert_eq!(told, "no acknowledgement");
    outcome(
        "forward",
        "fluent-logger and @fluent-org/logger (npm)",
        "journal full",
        "no acknowledgement until there is room",
    );
}

/// A connection that gives up after a minute.
fn connect(router: &Router) -> TcpStream {
    let stream = TcpStream::connect(listener(router, "forward")).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

#[test]
fn messages_byte_by_byte_are_put_together_and_what_is_cut_off_leaves_nothing() {
    let home = home(LISTEN);
    let router = home.start();
    // ["t", 1, {"message": "slow"}, {"chunk": "c1"}]
    let message = b"\x94\xa1t\x01\x81\xa7message\xa4slow\x81\xa5chunk\xa2c1";
    let mut slow = connect(&router);
    for byte in message {
        slow.write_all(&[*byte]).unwrap();
    }
    let mut answer = [0; 8];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"\x81\xa3ack\xa2c1");
    // A heartbeat needs no answer, two messages at once have two acknowledgements, and a chunk that is repeated arrives
    // once.
    slow.write_all(&[&b"\xc0"[..], message, message].concat()).unwrap();
    let mut answers = [0; 16];
    slow.read_exact(&mut answers).unwrap();
    assert_eq!(answers, *b"\x81\xa3ack\xa2c1\x81\xa3ack\xa2c1");
    let mut cut = connect(&router);
    cut.write_all(&message[..message.len() - 1]).unwrap();
    drop(cut);
    assert_eq!(all(&home, router).len(), 1);
    outcome("forward", "raw bytes", "byte by byte, then cut", "put together; a message that is cut leaves nothing");
}

#[test]
fn what_is_no_message_closes_its_connection_and_no_other() {
    let configured = format!("{LISTEN}max_message = \"64KiB\"\n");
    let home = home(&configured);
    let router = home.start();
    let mut other = connect(&router);
    other.write_all(b"\x94\xa1t\x01").unwrap();
    let long = [&b"\x93\xa1t\x01\x81\xa1a\xc6\x00\x01\x00\x00"[..], &[0; 70_000]].concat();
    for bad in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\xc1",
        b"\x93\xa1t\xc1",
        b"\x91\x91\x91\x91",
        &b"\x91".repeat(100_000),
        &long,
    ] {
        let mut stream = connect(&router);
        // The end may come while it is written.
        _ = stream.write_all(bad);
        _ = stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{bad:?}");
    }
    other.write_all(b"\x81\xa7message\xa5other\x81\xa5chunk\xa1c").unwrap();
    let mut answer = [0; 7];
    other.read_exact(&mut answer).unwrap();
    assert!(router.stderr().contains("forward: closed a connection of 127.0.0.1: "), "{}", router.stderr());
    let metrics = curl(&router, "/metrics", &[], b"").body;
    assert!(metrics.contains(r#"weir_ingest_records_total{protocol="forward",outcome="accepted"} 1"#), "{metrics}");
    let records = all(&home, router);
    assert_eq!((records.len(), &records[0]["message"]), (1, &json!("other")));
}
