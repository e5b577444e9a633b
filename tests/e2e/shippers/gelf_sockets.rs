//! GELF over UDP and TCP from graypy and gelf-pro.

use serde_json::{Value, json};

use super::given::{exchange, script};
use super::{Client, arrived, confirm, home, listener};

fn sent() -> Vec<Value> {
    let message = |level: &str, message: &str, n: u32| json!({"level": level, "message": message, "n": n});
    vec![
        message("INFO", "plain", 1),
        message("WARNING", "zażółć 😀 \"quoted\"", 2),
        // Longer than a datagram, even if it is compressed.
        message("ERROR", &(0..40_000).map(|n| format!("{:x}", n * 7919)).collect::<String>(), 3),
    ]
}

fn arrive(name: &str, client: &'static str, from: &'static str, level: impl Fn(&Value) -> Value) {
    let (mut count, mut version) = (0, Value::Null);
    for kind in ["udp", "tcp"] {
        let home = home(&format!("[[listen]]\nprotocol = \"gelf\"\naddress = \"{kind}://127.0.0.1:0\"\n"));
        let router = home.start();
        let port = listener(&router, "gelf").port().to_string();
        let mut given = sent();
        given.iter_mut().for_each(|record| record["level"] = level(&record["level"]));
        version = exchange(script(&home, name).args([kind, &port]), &json!(given))["version"].clone();
        let mut records = arrived(&home, 3);
        // Datagrams need not be put together in order.
        records.sort_by_key(|record| record["n"].to_string());
        for (record, sent) in records.iter().zip(sent()) {
            for key in ["level", "message"] {
                assert_eq!(record[key], sent[key], "{kind} {key}");
            }
            assert_eq!(record["n"].to_string().trim_matches('"'), sent["n"].to_string());
            assert!(record["host"].is_string());
        }
        count += records.len();
    }
    let version = version.as_str().unwrap().to_owned();
    confirm(&Client { protocol: "gelf", name: client, from, version }, 6, count);
}

#[test]
fn graypy_sends_chunks_and_compressed_messages() {
    arrive("gelf_sockets.py", "graypy (udp, tcp)", "PyPI", Value::clone);
}

#[test]
fn gelf_pro_sends_chunks_and_compressed_messages() {
    let number = |level: &Value| match level.as_str() {
        Some("INFO") => json!(6),
        Some("WARNING") => json!(4),
        _ => json!(3),
    };
    arrive("gelf_sockets.mjs", "gelf-pro (udp, tcp)", "npm", number);
}
