//! The answers that senders get, and that they are true.

use std::process::Command;

use super::clients::{curl, post, python, run, sqlite};
use super::router::{Home, Router, eventually};

const CONFIGURATION: &str = "[sink.db]\ntype = \"sqlite\"\n";

fn stored(home: &Home, expected: usize) -> String {
    let database = home.path("weir-data/logs.db");
    eventually("all rows are there", || {
        database.exists() && sqlite(&database, "select count(*) from logs") == expected.to_string()
    });
    sqlite(&database, "select level, source, message from logs order by sequence, position")
}

fn send(router: &Router, content_type: &str, body: &[u8]) -> (u16, String) {
    let header = format!("Content-Type: {content_type}");
    let answer = curl(router, "/ingest", &["-H", &header, "--data-binary", "@-"], body);
    (answer.status, answer.body)
}

#[test]
fn every_encoding_of_the_same_record_becomes_the_same_row() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let json = br#"{"severity":"warn","service":"api","msg":"hello"}"#;
    let pack = b"\x83\xa8severity\xa4warn\xa7service\xa3api\xa3msg\xa5hello";
    let bodies: [(&str, &[u8]); 5] = [
        ("application/json", json),
        ("application/json", br#"[{"level":"WARNING","source":"api","message":"hello"}]"#),
        ("application/x-ndjson", b"{\"lvl\":0,\"level\":\"Warn\",\"logger\":\"api\",\"msg\":\"hello\"}\n"),
        ("application/msgpack", pack),
        ("application/json; charset=utf-8", json),
    ];
    for (content_type, body) in bodies {
        assert_eq!(send(&router, content_type, body), (200, r#"{"accepted":1}"#.into()));
    }
    let rows = stored(&home, bodies.len());
    assert!(rows.lines().all(|row| row == "WARNING|api|hello"), "{rows}");
}

#[test]
fn text_has_a_record_per_line_and_the_query_sets_missing_fields() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let answer = curl(
        &router,
        "/ingest?source=cron&level=error",
        &["-H", "Content-Type: text/plain", "-H", "X-Request-ID: r-17", "--data-binary", "@-"],
        b"one\ntwo\n",
    );
    assert_eq!(answer.body, r#"{"accepted":2}"#);
    assert_eq!(stored(&home, 2), "ERROR|cron|one\nERROR|cron|two");
    let fields = sqlite(&home.path("weir-data/logs.db"), "select distinct fields from logs");
    assert_eq!(fields, r#"{"context":{"request_id":"r-17"}}"#);
}

#[test]
fn good_records_are_kept_and_each_bad_one_is_reported() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let answer = post(&router, r#"[{"message":"good"}, 17, {"message":"also good"}]"#);
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!((&json["accepted"], &json["quarantined"]), (&2.into(), &1.into()));
    assert_eq!(json["errors"][0]["record"], 1, "{json}");
    assert!(stored(&home, 2).ends_with("also good"));
}

#[test]
fn rejected_requests_get_the_matching_status() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let cases: [(&str, &[u8], u16, &str); 4] = [
        ("application/json", b"[{\"a\":1},{\"a\":", 400, "byte 14"),
        ("application/msgpack", b"\xdf\xff\xff\xff\xff\xa1", 400, "error"),
        ("image/png", b"\x89PNG", 415, "application/json"),
        ("application/json", b"[[[[[[[[[", 400, "error"),
    ];
    for (content_type, body, status, says) in cases {
        let (got, text) = send(&router, content_type, body);
        assert_eq!(got, status, "{content_type}: {text}");
        assert!(text.starts_with("{\"error\":") && text.contains(says), "{says}: {text}");
    }
    let large = vec![b' '; 17 * 1024 * 1024];
    assert_eq!(send(&router, "application/json", &large).0, 413);
    assert_eq!(curl(&router, "/nowhere", &[], b"").status, 404);
    assert_eq!(curl(&router, "/ingest", &["-X", "DELETE"], b"").status, 405);
}

#[test]
fn compressed_bodies_are_read_and_a_bomb_is_stopped_at_the_limit() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let record = home.path("record.json");
    std::fs::write(&record, r#"{"message":"packed"}"#).unwrap();
    for (tool, encoding) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let packed = run(Command::new(tool).arg("-c").arg(&record)).stdout;
        let header = format!("Content-Encoding: {encoding}");
        let arguments = ["-H", "Content-Type: application/json", "-H", &header, "--data-binary", "@-"];
        assert_eq!(curl(&router, "/ingest", &arguments, &packed).body, r#"{"accepted":1}"#);
    }
    let bomb = run(Command::new("sh").args(["-c", "head -c 1000000000 /dev/zero | gzip -1"])).stdout;
    assert!(bomb.len() < 16 * 1024 * 1024);
    let arguments = ["-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "--data-binary", "@-"];
    assert_eq!(curl(&router, "/ingest", &arguments, &bomb).status, 413);
    let status = std::fs::read_to_string(format!("/proc/{}/status", router.pid())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 600 * 1024, "{kilobytes} kB at the peak");
    assert_eq!(stored(&home, 2).lines().count(), 2);
}

#[test]
fn pythons_requests_and_msgpack_are_understood() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let script = "
import datetime, msgpack, requests, sys
url = sys.argv[1] + '/ingest'
now = datetime.datetime.now(datetime.timezone.utc)
records = [{'timestamp': now, 'levelname': 'ERROR', 'logger': 'app.db', 'msg': 'naïve ☃'}]
packed = msgpack.packb(records, datetime=True)
answer = requests.post(url, data=packed, headers={'Content-Type': 'application/msgpack'})
assert answer.json() == {'accepted': 1}, answer.text
answer = requests.post(url, json={'ts': now.timestamp(), 'levelname': 'ERROR', 'logger': 'app.db', 'msg': 'naïve ☃'})
assert answer.json() == {'accepted': 1}, answer.text
";
    run(python().args(["-c", script, &router.url]));
    let rows = stored(&home, 2);
    assert!(rows.lines().all(|row| row == "ERROR|app.db|naïve ☃"), "{rows}");
    let database = home.path("weir-data/logs.db");
    let apart = sqlite(&database, "select max(timestamp) - min(timestamp) < 1000000 from logs");
    assert_eq!(apart, "1", "the two ways to write the same time mean the same time");
}

#[test]
fn http_2_works() {
    let home = Home::with(CONFIGURATION);
    let router = home.start();
    let arguments = ["--http2-prior-knowledge", "-H", "Content-Type: application/json", "--data-binary", "@-"];
    let answer = curl(&router, "/ingest", &arguments, br#"{"message":"over two"}"#);
    assert!(answer.head.starts_with("HTTP/2 200"), "{}", answer.head);
}

#[test]
fn a_request_for_another_host_is_refused_until_the_configuration_allows_it() {
    let home = Home::with(CONFIGURATION);
    let asked = |router: &Router, version: &str, path: &str| {
        curl(router, path, &[version, "-H", "Host: logs.example.com"], b"")
    };
    let router = home.start();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for path in ["/health", "/metrics", "/", "/ingest", "/nowhere"] {
            let answer = asked(&router, version, path);
            assert_eq!(answer.status, 403, "{answer:?}");
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(error.contains("allowed_hosts = [\"logs.example.com\"]"), "{error}");
        }
    }
    let answer = curl(&router, "/ingest", &["-H", "Host: logs.example.com", "--data-binary", "@-"], b"a line");
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(curl(&router, "/health", &["-H", "Host: localhost:1"], b"").status, 200);
    assert_eq!(curl(&router, "/health", &["--http1.0", "-H", "Host:"], b"").status, 200);
    drop(router);
    home.configure(&format!("{CONFIGURATION}\n[http]\nallowed_hosts = [\"logs.example.com\"]\n"));
    let router = home.start();
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        assert_eq!(asked(&router, version, "/health").status, 200);
    }
    assert_eq!(curl(&router, "/health", &["-H", "Host: evil.example"], b"").status, 403);
}

#[test]
fn a_body_of_millions_of_records_is_too_large_and_does_not_disturb_other_senders() {
    let home = Home::with(&format!("filter = []\n{CONFIGURATION}"));
    let router = home.start();
    let body = b"{}\n".repeat(2_300_000);
    std::thread::scope(|scope| {
        let (router, body) = (&router, &body);
        let tiny = scope.spawn(move || send(router, "application/x-ndjson", body));
        for _ in 0..100 {
            assert_eq!(post(router, r#"{"message":"a neighbour"}"#).status, 200);
        }
        let (status, error) = tiny.join().unwrap();
        assert!(status == 413 && error.contains("send smaller batches"), "{status} {error}");
    });
    // Records within the limit are stored.
    let (status, error) = send(&router, "application/x-ndjson", &b"{}\n".repeat(1 << 20));
    assert_eq!((status, error.as_str()), (200, r#"{"accepted":1048576}"#));
}

#[test]
fn senders_cannot_choose_the_sinks_of_their_records() {
    let home = Home::with(
        "filter = []\n[sink.all]\ntype = 'file'\npath = 'all.jsonl'\n\
         [sink.audit]\ntype = 'file'\npath = 'audit.jsonl'\nroutes = ['audit']\n",
    );
    let router = home.start();
    let pack = b"\x82\xa7message\xa1m\xa6routes\x91\xa5audit";
    for (content_type, body) in [
        ("application/json", &br#"{"message":"m","routes":["audit"]}"#[..]),
        ("application/json", br#"{"message":"m","routes":"audit"}"#),
        ("application/msgpack", pack),
    ] {
        assert_eq!(send(&router, content_type, body), (200, r#"{"accepted":1}"#.into()));
    }
    let (_, said) = router.stop();
    assert!(said.contains("flushed and delivered"), "{said}");
    let all = std::fs::read_to_string(home.path("all.jsonl")).unwrap();
    let kept: Vec<serde_json::Value> = all
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["routes_original"].clone())
        .collect();
    let list = serde_json::json!(["audit"]);
    assert_eq!(kept, [list.clone(), "audit".into(), list], "what it sent is there");
    assert_eq!(std::fs::read_to_string(home.path("audit.jsonl")).unwrap_or_default(), "");
}
