//! What a listener can have of its own: one protocol of those over HTTP, routes, and limits.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use super::super::clients::{curl_at, run};
use super::super::router::{Home, eventually, weir};
use super::given::{exchange, script, token};
use super::{arrived, home, listener};

const OTLP: &str = "[[listen]]\nprotocol = \"otlp\"\naddress = \"127.0.0.1:0\"\n";

#[test]
fn a_port_for_otlp_takes_grpc_and_http_and_nothing_else() {
    let home = home(&format!(
        "{OTLP}routes = [\"own\", \"otlp\"]\n[sink.own]\ntype = \"file\"\npath = \"own.jsonl\"\nroutes = [\"own\"]\n"
    ));
    let router = home.start();
    let url = format!("http://{}", listener(&router, "otlp"));
    for kind in ["grpc", "http"] {
        let said = exchange(script(&home, "otlp.py").args(["facts", kind, &url]), &json!(null));
        assert_eq!((&said["stored"], &said["said"]), (&json!([true]), &json!([])));
    }
    let records = arrived(&home, 12);
    assert!(records.iter().all(|record| record["routes"] == json!(["own", "otlp"]) && record["source"] == "shop"));
    let own = || std::fs::read_to_string(home.path("own.jsonl")).unwrap_or_default().lines().count();
    eventually("the sink of the route has them too", || own() == 12);
    let body = ["-H", "content-type: application/json", "-d", "{}"];
    for (path, arguments) in [("/ingest", &body[..]), ("/", &[]), ("/metrics", &[]), ("/live", &[]), ("/_license", &[])]
    {
        let answer = curl_at(&format!("{url}{path}"), arguments, b"");
        assert_eq!(answer.status, 404, "{path} {answer:?}");
        assert!(answer.body.contains("/v1/logs") && !answer.body.contains("/ingest,"), "{answer:?}");
    }
    assert_eq!(curl_at(&format!("{url}/ready"), &[], b"").status, 200);
    // Where everything is taken, records have no routes.
    assert_eq!(curl_at(&format!("{}/ingest", router.url), &["--json", r#"{"message":"x"}"#], b"").status, 200);
    assert_eq!(arrived(&home, 13)[12]["routes"], json!(null));
}

#[test]
fn the_exporter_of_grpc_sends_over_tls_to_a_port_of_its_own() {
    let home = Home::new();
    let made = run(weir().current_dir(home.path("")).args(["tls", "self-signed"]));
    let tls = String::from_utf8(made.stdout).unwrap();
    let sink = "[sink.out]\ntype = \"file\"\npath = \"out.jsonl\"\n";
    home.configure(&format!("{sink}{OTLP}{tls}"));
    let token = token(&home);
    let router = home.start();
    let certificate = home.path("weir-data/tls/certificate.pem");
    let url = format!("https://localhost:{}", listener(&router, "otlp").port());
    let python = |token: &str| {
        let mut script = script(&home, "otlp.py");
        exchange(script.args(["facts", "grpc", &url, token]).arg(&certificate), &json!(null))
    };
    let wrong = python("weir_wrong");
    assert!(wrong["said"].to_string().contains("UNAUTHENTICATED"), "{wrong}");
    let said = python(&token);
    assert_eq!((&said["stored"], &said["said"]), (&json!([true]), &json!([])));
    assert_eq!(arrived(&home, 6).len(), 6);
}

#[test]
fn senders_of_a_listener_share_its_rate_and_nothing_is_lost() {
    let limited = "records_per_second = 20\n";
    let home = home(&format!(
        "[[listen]]\nprotocol = \"lines\"\naddress = \"127.0.0.1:0\"\n{limited}\
         [[listen]]\nprotocol = \"weir\"\naddress = \"127.0.0.1:0\"\n{limited}"
    ));
    let router = home.start();
    let address = listener(&router, "lines");
    // More than a second's records at once: they are taken, and those that come after them have to wait.
    let send = |name: &str, count: usize| {
        let lines: String = (0..count).map(|n| format!("{name} {n}\n")).collect();
        TcpStream::connect(address).unwrap().write_all(lines.as_bytes()).unwrap();
    };
    send("one", 40);
    arrived(&home, 40);
    send("other", 10);
    let by = |name: &str| {
        curl_at(&format!("{}/metrics", router.url), &[], b"").body.lines().any(|line| {
            line.starts_with("weir_limited_total{") && line.contains("by=\"listener\"") && line.contains(name)
        })
    };
    eventually("the other waits", || by("limit=\"records\""));
    let records = arrived(&home, 50);
    assert!(records[40..].iter().all(|record| record["message"].as_str().unwrap().starts_with("other")));
    let url = format!("http://{}/ingest", listener(&router, "weir"));
    let many = format!("[{}]", vec![r#"{"message":"x"}"#; 100].join(","));
    assert_eq!(curl_at(&url, &["--json", &many], b"").status, 200);
    let refused = curl_at(&url, &["--json", &many], b"");
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.head.to_lowercase().contains("retry-after: "), "{refused:?}");
    assert!(refused.body.contains("all senders of tcp://127.0.0.1:0 may send 20 records per second"), "{refused:?}");
    // Elsewhere, the same sender is not limited.
    assert_eq!(curl_at(&format!("{}/ingest", router.url), &["--json", &many], b"").status, 200);
    assert_eq!(arrived(&home, 250).len(), 250);
    assert!(router.stop().0.success());
}
