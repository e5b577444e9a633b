//! What Fluent Bit and Vector send to `/ingest`.

use super::{all, home, script};
use crate::clients::run;

#[test]
fn every_form_of_fluent_bit_and_vector_becomes_the_same_record() {
    let home = home("");
    let router = home.start();
    run(script("agents.py").arg(&router.url));
    let records = all(&home, router);
    let said: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
    let due = [
        "msgpack",
        "msgpack 2.1",
        "msgpack gzip",
        "json",
        "json_lines",
        "json_stream",
        "json epoch_ms",
        "json array",
        "json newline",
        "json gzip",
        "json zlib",
    ];
    assert_eq!(said, due);
    for record in &records {
        assert_eq!(record["timestamp"], "2023-11-14T22:13:20.250000000Z", "{record}");
        assert_eq!((&record["level"], &record["source"]), (&"INFO".into(), &"node".into()), "{record}");
        assert!(record.get("date").is_none() && record.get("metadata").is_none(), "{record}");
        match record.get("host") {
            Some(host) => assert_eq!((host, &record["source_type"]), (&"node-1".into(), &"file".into())),
            None => assert_eq!(record["kubernetes"]["labels"]["app"], "shop", "{record}"),
        }
    }
}
