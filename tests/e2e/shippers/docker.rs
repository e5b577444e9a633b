//! Docker's log drivers, from a Docker engine of the test: `fluentd`, `gelf`, `syslog`, `splunk`.

use serde_json::{Value, json};

use super::super::router::Home;
use super::super::servers::docker::{Engine, IMAGE};
use super::given::token;
use super::{Client, all, arrived, confirm, home, listener, outcome};

/// What a container writes: text, an error, and a line that is longer than Docker's buffer of 16 KiB.
const PROGRAM: &str =
    "echo 'zażółć 😀 \"quoted\"'; echo failed >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; echo last";

const TEXT: &str = "zażółć 😀 \"quoted\"";

/// What Docker makes of it: the long line has two parts.
const RECORDS: usize = 5;

/// Runs a program in a container whose log goes to a driver.
fn run(engine: &Engine, driver: &str, options: &[(&str, &str)], program: &str) {
    let driver = format!("--log-driver={driver}");
    let options: Vec<_> = options.iter().map(|(key, value)| format!("--log-opt={key}={value}")).collect();
    let mut arguments = vec!["run", "--rm", "--network=none", &driver];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend([IMAGE, "sh", "-c", program]);
    engine.docker(&arguments);
}

fn version(engine: &Engine) -> String {
    let version = engine.docker(&["version", "--format", "{{.Server.Version}}"]);
    version.split('+').next().unwrap_or_default().to_owned()
}

/// Checks what has arrived of [`PROGRAM`]. Its two streams are read separately, so only the order of each is known.
fn assert_has_lines(records: &[Value]) {
    let (errors, output): (Vec<&Value>, Vec<&Value>) = records.iter().partition(|record| record["message"] == "failed");
    let text: String = output.iter().map(|record| record["message"].as_str().unwrap()).collect();
    assert_eq!(text, format!("{TEXT}{}last", "x".repeat(20_000)));
    assert_eq!((errors.len(), records.len()), (1, RECORDS));
}

/// Runs [`PROGRAM`] with each of some options, and returns what arrives.
fn arrive(engine: &Engine, home: &Home, driver: &str, variants: &[&[(&str, &str)]]) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for (number, options) in variants.iter().enumerate() {
        run(engine, driver, options, PROGRAM);
        let records = arrived(home, (number + 1) * RECORDS).split_off(number * RECORDS);
        assert_has_lines(&records);
        all.push(records);
    }
    all
}

fn confirmed(engine: &Engine, protocol: &'static str, name: &'static str, all: &[Vec<Value>]) {
    let count = all.iter().map(Vec::len).sum();
    let client = Client { protocol, name, from: "Debian", version: version(engine) };
    confirm(&client, all.len() * RECORDS, count);
}

fn level_of(record: &Value) -> Value {
    json!(if record["message"] == "failed" { "ERROR" } else { "INFO" })
}

#[test]
fn each_of_dockers_drivers_sends_the_lines_of_a_container_without_loss() {
    let engine = Engine::start();

    // With acknowledgements, Docker 20.10 sometimes stops in the middle if a container writes to both outputs.
    let own = home("[[listen]]\nprotocol = \"forward\"\naddress = \"127.0.0.1:0\"\n");
    let router = own.start();
    let address = listener(&router, "forward").to_string();
    let options = [("fluentd-address", &*address), ("tag", "shop"), ("fluentd-sub-second-precision", "true")];
    let all = arrive(&engine, &own, "fluentd", &[&options]);
    for record in all.iter().flatten() {
        let stream = if record["message"] == "failed" { "stderr" } else { "stdout" };
        assert_eq!((&record["source"], &record["tag"]), (&json!(stream), &json!("shop")));
        assert!(record["container_id"].as_str().unwrap().len() == 64 && record["container_name"].is_string());
    }
    assert!(!all[0][0]["timestamp"].as_str().unwrap().ends_with(".000000000Z"), "{}", all[0][0]);
    confirmed(&engine, "forward", "Docker (tcp)", &all);

    let listen = |kind: &str| format!("[[listen]]\nprotocol = \"gelf\"\naddress = \"{kind}://127.0.0.1:0\"\n");
    let mut all = Vec::new();
    for kind in ["udp", "tcp"] {
        let own = home(&listen(kind));
        let router = own.start();
        let address = format!("{kind}://{}", listener(&router, "gelf"));
        all.extend(arrive(&engine, &own, "gelf", &[&[("gelf-address", &address), ("tag", "shop")]]));
    }
    for record in all.iter().flatten() {
        assert_eq!((&record["level"], &record["tag"]), (&level_of(record), &json!("shop")));
        assert_eq!((&record["source"], &record["image_name"]), (&record["container_name"], &json!(IMAGE)));
    }
    confirmed(&engine, "gelf", "Docker (udp, tcp)", &all);

    let mut all = Vec::new();
    for (kind, format) in [("udp", "rfc5424micro"), ("tcp", "rfc5424"), ("tcp", "rfc3164"), ("unixgram", "rfc3164")] {
        let place = if kind == "unixgram" { "unixgram:log".to_owned() } else { format!("{kind}://127.0.0.1:0") };
        let own = home(&format!("[[listen]]\nprotocol = \"syslog\"\naddress = \"{place}\"\n"));
        let router = own.start();
        let address = match kind {
            "unixgram" => format!("unixgram://{}", own.path("log").display()),
            _ => format!("{kind}://{}", listener(&router, "syslog")),
        };
        let options = [("syslog-address", &*address), ("syslog-format", format), ("tag", "shop")];
        all.extend(arrive(&engine, &own, "syslog", &[&options[..]]));
    }
    for record in all.iter().flatten() {
        let due = (&level_of(record), &json!("shop"), &json!("daemon"));
        assert_eq!((&record["level"], &record["source"], &record["facility"]), due);
    }
    confirmed(&engine, "syslog", "Docker (udp, tcp, unixgram)", &all);

    let own = home("");
    let token = token(&own);
    let router = own.start();
    let splunk = [("splunk-url", &*router.url), ("splunk-token", &token), ("tag", "shop")];
    let with = |more: &[(&'static str, &'static str)]| [&splunk[..], more].concat();
    let all = arrive(&engine, &own, "splunk", &[&with(&[("splunk-gzip", "true")])[..]]);
    for record in all.iter().flatten() {
        let stream = if record["message"] == "failed" { "stderr" } else { "stdout" };
        assert_eq!((&record["source"], &record["tag"]), (&json!(stream), &json!("shop")));
    }
    run(&engine, "splunk", &with(&[("splunk-format", "raw"), ("splunk-source", "web")]), "echo one");
    let record = arrived(&own, RECORDS + 1).pop().unwrap();
    assert_eq!((&record["message"], &record["source"]), (&json!("shop one"), &json!("web")));
    confirmed(&engine, "splunk", "Docker", &all);
}

#[test]
fn docker_repeats_what_a_killed_router_did_not_acknowledge_and_it_arrives_once() {
    const COUNT: usize = 400;
    let engine = Engine::start();
    let home = home("[[listen]]\nprotocol = \"forward\"\naddress = \"unix:forward\"\n");
    let router = home.start();
    let address = format!("unix://{}", home.path("forward").display());
    let program = format!("i=0; while [ $i -lt {COUNT} ]; do echo line $i; i=$((i+1)); usleep 5000; done");
    let options = [("fluentd-address", &*address), ("fluentd-request-ack", "true"), ("fluentd-retry-wait", "100ms")];
    let records = std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(&engine, "fluentd", &options, &program));
        arrived(&home, 50);
        router.kill();
        let router = home.start();
        ran.join().unwrap();
        arrived(&home, COUNT);
        all(&home, router)
    });
    let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(messages, (0..COUNT).map(|n| format!("line {n}")).collect::<Vec<_>>());
    outcome("forward", "Docker", "restarted under load", "nothing is lost, nothing arrives twice");
}
