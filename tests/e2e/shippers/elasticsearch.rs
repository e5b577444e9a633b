//! Elasticsearch's clients for Python (8 and 9) and JavaScript, and rsyslog.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Child, Command};

use serde_json::{Value, json};

use super::super::clients::curl;
use super::super::router::{Home, Router, eventually, weir};
use super::given::{
    LEVELS, assert_has, assert_none_is_lost, assert_pieces_are_put_together, entries, exchange, fill_the_journal,
    script, token,
};
use super::{Client, arrived, confirm, home, outcome};

const PROTOCOL: &str = "elasticsearch";

/// Documents in the Elastic Common Schema, one for each level, and some with everything that is easily lost.
fn documents(is_javascript: bool) -> Vec<Value> {
    let levels = LEVELS.iter().enumerate().map(|(number, (name, _))| {
        json!({"@timestamp": format!("2026-11-20T10:00:0{number}.123456789Z"), "message": format!("a {name} 界"),
            "log": {"level": name, "logger": "l"}, "service": {"name": "shop"}, "trace": {"id": "abc"}})
    });
    levels.chain(entries(is_javascript)).collect()
}

/// Checks the records of [`documents`].
fn assert_are(records: &[Value], documents: &[Value]) {
    for (at, (record, sent)) in records.iter().zip(documents).enumerate() {
        let sent = sent.clone();
        if let Some((_, level)) = LEVELS.get(at) {
            assert_eq!(record["level"], *level);
            assert_eq!(record["source"], "shop");
            assert_eq!(record["context"]["trace_id"], "abc");
            assert_eq!(record["timestamp"], sent["@timestamp"]);
            assert_eq!((&record["log"], &record["message"]), (&sent["log"], &sent["message"]));
        } else {
            assert_has(record, &sent);
            assert_eq!(record["source"], record["index"]);
        }
    }
}

fn python(module: &'static str) {
    let home = home("");
    let router = home.start();
    let documents = documents(false);
    let said = exchange(script(&home, "elasticsearch.py").args(["bulk", module, &router.url]), &json!(documents));
    let major = &module[module.len() - 1..];
    assert_eq!(said["number"].as_str().unwrap().split('.').next(), Some(major));
    assert_eq!((&said["tagline"], &said["health"]), (&json!("You Know, for Search"), &json!("green")));
    assert_eq!((&said["ping"], &said["exists"], &said["license"]), (&json!(true), &json!(false), &json!("basic")));
    let count = documents.len() + 2;
    assert_eq!(said["stored"], count, "{said}");
    assert_eq!(said["ids"], documents.len() - documents.len() / 2);
    assert_eq!((&said["errors"], &said["filtered"]), (&json!([400, 400]), &json!({"errors": false})));
    assert_eq!(said["search"], "resource_not_found_exception");
    let records = arrived(&home, count);
    assert_eq!(records.len(), count);
    assert_are(&records, &documents);
    assert_eq!((&records[0]["index"], &records[0]["_id"]), (&json!("logs"), &json!("0")));
    assert_eq!(
        (&records[documents.len() - 1]["index"], &records[count - 2]["message"]),
        (&json!("streamed"), &json!("the last"))
    );
    let version = said["version"].as_str().unwrap().to_owned();
    confirm(&Client { protocol: PROTOCOL, name: module, from: "PyPI", version }, count, records.len());
}

#[test]
fn the_client_of_version_8_for_python_sends_documents_without_loss() {
    python("elasticsearch8");
}

#[test]
fn the_client_of_version_9_for_python_sends_documents_without_loss() {
    python("elasticsearch9");
}

#[test]
fn the_client_for_javascript_sends_documents_without_loss() {
    let home = home("");
    let router = home.start();
    let documents = documents(true);
    let said = exchange(script(&home, "elasticsearch.mjs").arg(&router.url), &json!(documents));
    assert_eq!((&said["stored"], &said["failed"]), (&json!(documents.len()), &json!(0)), "{said}");
    assert_eq!((&said["ping"], &said["deleted"]), (&json!(true), &json!(400)));
    let mut records = arrived(&home, documents.len());
    assert_eq!(records.len(), documents.len());
    // It sends several requests at a time.
    let place = |record: &Value| documents.iter().position(|sent| sent["message"] == record["message"]);
    records.sort_by_key(place);
    assert_are(&records, &documents);
    let version = said["version"].as_str().unwrap().to_owned();
    let client = Client { protocol: PROTOCOL, name: "@elastic/elasticsearch", from: "npm", version };
    confirm(&client, documents.len(), records.len());
}

#[test]
fn a_wrong_token_is_the_clients_own_error_and_a_right_one_is_taken() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let documents = json!([{"message": "hello"}]);
    for module in ["elasticsearch8", "elasticsearch9"] {
        let python = |token: &str| {
            exchange(script(&home, "elasticsearch.py").args(["bulk", module, &router.url, token]), &documents)
        };
        assert_eq!(python("weir_wrong")["error"], json!(["AuthenticationException", 401, "security_exception"]));
        assert_eq!(python(&token)["stored"], 3);
    }
    let javascript = |token: &str| exchange(script(&home, "elasticsearch.mjs").args([&router.url, token]), &documents);
    assert_eq!(javascript("weir_wrong")["error"], json!(["ResponseError", 401, "security_exception"]));
    assert_eq!(javascript(&token)["stored"], 1);
    for client in ["elasticsearch8", "elasticsearch9"] {
        outcome(PROTOCOL, client, "wrong credentials", "AuthenticationException, 401");
    }
    outcome(PROTOCOL, "@elastic/elasticsearch", "wrong credentials", "ResponseError, 401");
}

#[test]
fn nothing_acknowledged_to_the_client_is_lost_by_kills_and_stops() {
    assert_none_is_lost("elasticsearch.py");
    outcome("elasticsearch", "elasticsearch9", "restarted under load", "nothing acknowledged is lost");
}

#[test]
fn the_client_waits_for_a_full_journal_in_its_own_way() {
    let told = fill_the_journal("elasticsearch.py");
    assert!(told.contains("429") && told.contains("es_rejected_execution_exception"), "{told}");
    outcome(
        "elasticsearch",
        "elasticsearch9",
        "journal full",
        "429 is its own error, for which it repeats the request",
    );
}

#[test]
fn a_bulk_request_in_pieces_is_put_together_and_half_of_one_leaves_nothing() {
    let body = "{\"create\":{}}\n{\"message\":\"slow\"}\n";
    assert_pieces_are_put_together("/logs/_bulk", "content-type: application/x-ndjson\r\n", body);
    outcome(
        "elasticsearch",
        "raw bytes",
        "byte by byte, then cut",
        "put together; a request that is cut leaves nothing",
    );
}

#[test]
fn the_front_page_is_weirs_for_everybody_else() {
    let router = home("").start();
    let page = curl(&router, "/", &[], b"");
    assert!(page.body.starts_with("This is Weir") && !page.head.to_lowercase().contains("x-elastic"), "{page:?}");
    let head = curl(&router, "/", &["-I", "-H", "accept: application/vnd.elasticsearch+json; compatible-with=9"], b"");
    assert!(head.status == 200 && head.head.to_lowercase().contains("x-elastic-product: elasticsearch"), "{head:?}");
}

/// An rsyslogd of its own, which sends what it gets over TCP.
struct Rsyslog {
    process: Child,
    address: String,
}

impl Rsyslog {
    fn start(home: &Home, url: &str, more: &str) -> Rsyslog {
        let folder = home.path("rsyslog");
        let folder = folder.to_str().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        let port = url.rsplit(':').next().unwrap();
        let property =
            |name: &str, property: &str| format!("property(outname=\"{name}\" name=\"{property}\" format=\"jsonf\")\n");
        let properties = [
            property("message", "msg"),
            property("log.level", "syslogseverity-text"),
            property("service.name", "programname"),
            property("host.name", "hostname"),
        ];
        let configuration = format!(
            r#"global(workDirectory="{folder}")
module(load="imtcp")
module(load="omelasticsearch")
input(type="imtcp" port="0" address="127.0.0.1" listenPortFileName="{folder}/port")
template(name="ecs" type="list" option.jsonf="on") {{
property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
{}}}
action(type="omelasticsearch" server="127.0.0.1" serverport="{port}" template="ecs" searchIndex="syslog" searchType=""
    bulkmode="on" action.resumeRetryCount="-1" action.resumeInterval="1" {more})
"#,
            properties.concat()
        );
        std::fs::write(home.path("rsyslog/conf"), configuration).unwrap();
        let process = Command::new("rsyslogd")
            .args(["-n", "-f", &format!("{folder}/conf"), "-i", &format!("{folder}/pid")])
            .spawn()
            .expect("rsyslogd is installed; `tests/run` installs it");
        let port = || std::fs::read_to_string(home.path("rsyslog/port")).unwrap_or_default().trim().to_owned();
        eventually("rsyslogd listens", || !port().is_empty());
        Rsyslog { process, address: format!("127.0.0.1:{}", port()) }
    }

    fn send(&self, lines: &[String]) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        for line in lines {
            stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn rsyslog_sends_its_messages_without_loss_also_while_weir_is_down_or_wants_a_token() {
    let home = home("");
    let token = token(&home);
    let router = home.start();
    let rsyslog = Rsyslog::start(&home, &router.url, &format!("uid=\"weir\" pwd=\"{token}\""));
    let lines = |count: usize| -> Vec<String> {
        let line = |n| format!("<{}>1 2026-11-20T10:00:00.{n:06}Z web-1 shop 1 - - Grüße \"{n}\"", 8 + n % 8);
        (0..count).map(line).collect()
    };
    rsyslog.send(&lines(100));
    let records = arrived(&home, 100);
    for (n, record) in records.iter().enumerate() {
        let level = ["CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG"][n % 8];
        assert_eq!((&record["level"], &record["source"]), (&json!(level), &json!("shop")), "{record}");
        assert_eq!(record["timestamp"], format!("2026-11-20T10:00:00.{n:06}000Z"));
        assert!(record["message"].as_str().unwrap().ends_with(&format!("Grüße \"{n}\"")), "{record}");
        assert_eq!((&record["host.name"], &record["index"]), (&json!("web-1"), &json!("syslog")));
    }
    // It keeps what it can't send, and sends it when the same address answers again.
    let address = router.url.trim_start_matches("http://").to_owned();
    router.kill();
    rsyslog.send(&lines(50));
    let mut again = weir();
    again.current_dir(home.path("")).args(["run", "--config", "weir.toml", "--listen", &address]);
    let router = Router::start(again);
    let records = arrived(&home, 150);
    assert_eq!(records.len(), 150);
    let version = Command::new("rsyslogd").arg("-v").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap().split_whitespace().nth(1).unwrap().to_owned();
    confirm(&Client { protocol: PROTOCOL, name: "rsyslog-elasticsearch", from: "Debian", version }, 150, records.len());
    drop(router);
    outcome(PROTOCOL, "rsyslog-elasticsearch", "restarted", "it keeps what it can't send");
}
