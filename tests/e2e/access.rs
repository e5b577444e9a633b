//! Who may do what: tokens, roles, scopes, sessions, tickets, and records about all of it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::clients::{Answer, curl, post, run, sqlite};
use super::router::{Home, Router, eventually, weir};

/// A new token of a router's data folder.
fn token(home: &Home, arguments: &[&str]) -> String {
    let mut command = weir();
    command.current_dir(home.path("")).args(["token", "new"]).args(arguments);
    let printed = String::from_utf8(run(&mut command).stdout).unwrap();
    printed.lines().last().unwrap().to_owned()
}

/// A router with records of two sources, and a token for each role.
struct Guarded {
    home: Home,
    router: Router,
    tokens: BTreeMap<&'static str, String>,
}

impl Guarded {
    fn start() -> Guarded {
        let home = Home::new();
        let tokens = ["ingest", "read", "admin"].map(|role| (role, token(&home, &[role, "--role", role])));
        let router = home.start();
        let guarded = Guarded { home, router, tokens: tokens.into() };
        let records = json!([
            {"source": "shop", "message": "an order"}, {"source": "billing", "message": "an invoice"},
        ]);
        assert_eq!(guarded.post("ingest", &records).status, 200);
        eventually("they are stored", || guarded.get("read", "/api/logs").json()["logs"][1].is_object());
        guarded
    }

    fn new_token(&mut self, name: &'static str, arguments: &[&str]) {
        let made = token(&self.home, &[&[name], arguments].concat());
        self.tokens.insert(name, made);
        eventually("the router knows it", || self.get(name, "/api/session").json()["role"].is_string());
    }

    fn bearer(&self, name: &str) -> String {
        format!("Authorization: Bearer {}", self.tokens[name])
    }

    fn get(&self, name: &str, path: &str) -> Answer {
        curl(&self.router, path, &["--globoff", "-H", &self.bearer(name)], b"")
    }

    fn send(&self, name: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let kind = format!("Content-Type: {kind}");
        let bearer = self.bearer(name);
        curl(&self.router, path, &["-X", method, "-H", &bearer, "-H", &kind, "--data-binary", "@-"], body)
    }

    fn post(&self, name: &str, records: &Value) -> Answer {
        self.send(name, "POST", "/ingest", "application/json", records.to_string().as_bytes())
    }
}

fn messages(answer: &Answer) -> Vec<String> {
    let answer = answer.json();
    let mut found: Vec<String> =
        answer["logs"].as_array().unwrap().iter().map(|log| log["message"].as_str().unwrap().to_owned()).collect();
    found.sort();
    found
}

/// What must be there for a role: each route of the API's own description, and all that is outside of it.
#[test]
fn every_route_answers_only_to_its_roles() {
    let guarded = Guarded::start();
    let description = guarded.get("read", "/api/openapi.json").json();
    let open = ["get /api/session", "post /api/session", "delete /api/session"];
    let (mut reading, mut acting) = (0, 0);
    for (path, methods) in description["paths"].as_object().unwrap() {
        let at = path.replace("{id}", "1-0").replace("{name}", "redact");
        // A stream would not end.
        let at = if at == "/api/tail" { format!("{at}?follow=false") } else { at };
        for (method, operation) in methods.as_object().unwrap() {
            let route = format!("{method} {path}");
            let kinds = operation["requestBody"]["content"].as_object();
            let kind = kinds.and_then(|kinds| kinds.keys().next()).map_or("application/json", String::as_str);
            let method = method.to_uppercase();
            let status = |name: &str| guarded.send(name, &method, &at, kind, b"{}").status;
            let nobody = curl(&guarded.router, &at, &["-X", &method, "-H", &format!("Content-Type: {kind}")], b"");
            if open.contains(&route.as_str()) {
                assert_ne!(nobody.status, 403, "{route}");
                continue;
            }
            assert_eq!(nobody.status, 401, "{route}: {nobody:?}");
            assert!(nobody.head.to_lowercase().contains("www-authenticate: bearer"), "{route}: {nobody:?}");
            assert_eq!(status("ingest"), 403, "{route}");
            let needs_admin = method != "GET" && path != "/api/ticket" || path == "/api/quarantine";
            match needs_admin {
                true => assert_eq!(status("read"), 403, "{route}"),
                false => assert!(![401, 403].contains(&status("read")), "{route}"),
            }
            assert!(![401, 403].contains(&status("admin")), "{route}");
            (reading, acting) = (reading + usize::from(!needs_admin), acting + usize::from(needs_admin));
        }
    }
    assert!(reading >= 10 && acting >= 6, "{reading} {acting}");
    for (path, roles) in [
        ("/health", "read admin"),
        ("/metrics", "read admin"),
        ("/ready", "ingest read admin"),
        ("/", "ingest read admin"),
    ] {
        for role in ["ingest", "read", "admin"] {
            let expected = if roles.contains(role) { 200 } else { 403 };
            assert_eq!(guarded.get(role, path).status, expected, "{role} {path}");
        }
        let nobody = curl(&guarded.router, path, &[], b"").status;
        assert_eq!(nobody, if roles.contains("ingest") { 200 } else { 401 }, "{path}");
    }
    assert_eq!(curl(&guarded.router, "/main.js", &[], b"").status, 200, "the page can be loaded, to log in");
    for (role, status) in [("ingest", 200), ("read", 403), ("admin", 200)] {
        assert_eq!(guarded.post(role, &json!({"message": "m"})).status, status, "{role}");
    }
    let refused = post(&guarded.router, r#"{"message":"m"}"#);
    assert_eq!(refused.status, 401);
    assert!(refused.json()["error"].as_str().unwrap().contains("weir token new"), "{refused:?}");
}

#[test]
fn a_reader_sees_only_its_sources_and_routes_wherever_it_looks() {
    let mut guarded = Guarded::start();
    guarded.new_token("shopper", &["--role", "read", "--sources", "SHOP*"]);
    let all = guarded.get("read", "/api/logs").json();
    let id_of = |source: &str| {
        let logs = all["logs"].as_array().unwrap();
        logs.iter().find(|log| log["source"] == source).unwrap()["entry_id"].as_str().unwrap().to_owned()
    };
    let (own, other) = (id_of("shop"), id_of("billing"));
    assert_eq!(messages(&guarded.get("shopper", "/api/logs")), ["an order"]);
    for query in [
        "billing",
        "*:billing",
        "source:billing",
        "NOT source:shop",
        "source:billing OR source:*",
        ") OR (source:billing",
    ] {
        let query = query.replace(' ', "+");
        let answer = guarded.get("shopper", &format!("/api/logs?query={query}"));
        assert!(!answer.body.contains("invoice"), "{query}: {answer:?}");
        let stream = guarded.get("shopper", &format!("/api/tail?backlog=10&follow=false&query={query}"));
        assert!(!stream.body.contains("invoice"), "{query}: {stream:?}");
    }
    assert_eq!(guarded.get("shopper", &format!("/api/logs/{own}")).status, 200);
    assert_eq!(guarded.get("shopper", &format!("/api/logs/{other}")).status, 404);
    for id in [&own, &other] {
        let around = guarded.get("shopper", &format!("/api/logs?around={id}"));
        assert!(!around.body.contains("invoice"), "{around:?}");
    }
    for by in ["level", "source"] {
        let histogram = guarded.get("shopper", &format!("/api/histogram?by={by}")).json();
        assert_eq!(histogram["total"], 1, "{histogram}");
    }
    for path in ["/api/fields", "/api/fields?field=source", "/api/export", "/api/export?format=csv", "/api/levels"] {
        let answer = guarded.get("shopper", path);
        assert!(answer.status == 200 && !answer.body.contains("billing"), "{path}: {answer:?}");
    }
    let stream = guarded.get("shopper", "/api/tail?backlog=10&follow=false&batch=true");
    assert!(stream.body.contains("an order") && !stream.body.contains("billing"), "{stream:?}");
    // Sending, too, can be limited to some sources.
    guarded.new_token("shipper", &["--role", "ingest", "--sources", "shop,cart-?"]);
    assert_eq!(guarded.post("shipper", &json!([{"source": "cart-1", "message": "a"}])).status, 200);
    let outside = json!([{"source": "shop", "message": "inside"}, {"source": "billing", "message": "outside"}]);
    let refused = guarded.post("shipper", &outside);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("`billing`") && refused.body.contains("nothing was stored"), "{refused:?}");
    assert_eq!(messages(&guarded.get("read", "/api/logs?query=inside")), [""; 0]);
}

#[test]
fn tokens_are_made_listed_and_revoked_while_the_router_runs() {
    let home = Home::new();
    let router = home.start();
    assert_eq!(post(&router, r#"{"message":"open"}"#).status, 200, "without tokens, everything is open");
    let admin = token(&home, &["ops", "--role", "admin", "--expires", "90d"]);
    eventually("a token is needed", || curl(&router, "/api/logs", &[], b"").status == 401);
    let bearer = format!("Authorization: Bearer {admin}");
    assert_eq!(curl(&router, "/api/logs", &["-H", &bearer], b"").status, 200);
    let command = |arguments: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).args(arguments).output().unwrap()
    };
    let listed = command(&["token", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&listed[0]["name"], &listed[0]["role"]), (&json!("ops"), &json!("admin")), "{listed}");
    for arguments in [["ops", "--role", "read"], ["a b", "--role", "read"], ["x", "--role", "root"]] {
        assert!(!command(&[&["token", "new"], &arguments[..]].concat()).status.success(), "{arguments:?}");
    }
    let file = home.path("weir-data/tokens.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let address = router.url.trim_start_matches("http://").to_owned();
    // Commands that can read the data folder need no token.
    let levels = command(&["levels", "--address", &address]);
    assert!(levels.status.success(), "{levels:?}");
    let elsewhere = weir().current_dir("/").args(["levels", "--address", &address]).output().unwrap();
    assert!(!elsewhere.status.success() && String::from_utf8_lossy(&elsewhere.stderr).contains("401"), "{elsewhere:?}");
    let shown = weir().current_dir("/").args(["levels", "--address", &address]).env("WEIR_TOKEN", &admin).output();
    assert!(shown.unwrap().status.success());
    // A stream ends with its token.
    let reader = token(&home, &["reader", "--role", "read"]);
    let header = format!("Authorization: Bearer {reader}");
    eventually("it is known", || curl(&router, "/api/logs", &["-H", &header], b"").status == 200);
    let mut stream = Command::new("curl");
    stream.args(["-sSN", "-H", &header]).arg(format!("{}/api/tail", router.url)).stdout(Stdio::null());
    let mut stream = stream.spawn().unwrap();
    assert!(command(&["token", "revoke", "reader"]).status.success());
    eventually("the stream ends", || stream.try_wait().unwrap().is_some());
    assert_eq!(curl(&router, "/api/logs", &["-H", &header], b"").status, 401);
    assert!(command(&["token", "revoke", "ops"]).status.success());
    eventually("it is open again", || curl(&router, "/api/logs", &[], b"").status == 200);
    for (path, bytes) in home.files() {
        let secret = admin.as_bytes();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret), "{}", path.display());
    }
    assert!(!router.stderr().contains(&admin));
}

#[test]
fn sessions_and_tickets_stand_for_a_token() {
    let guarded = Guarded::start();
    let log_in = |token: &str| {
        let body = json!({ "token": token }).to_string();
        let kind = ["-H", "Content-Type: application/json", "--data-binary", "@-"];
        curl(&guarded.router, "/api/session", &kind, body.as_bytes())
    };
    assert_eq!(log_in("weir_wrong").status, 401);
    let answer = log_in(&guarded.tokens["read"]);
    assert_eq!((answer.status, &answer.json()["role"]), (200, &json!("read")), "{answer:?}");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(["HttpOnly", "SameSite=Strict", "Path=/"].iter().all(|part| cookie.contains(part)), "{cookie}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let with_cookie = |method: &str, path: &str| curl(&guarded.router, path, &["-X", method, "-H", &cookie], b"");
    assert_eq!(with_cookie("GET", "/api/logs").status, 200);
    assert_eq!(with_cookie("GET", "/api/session").json()["name"], "read");
    let ticket = with_cookie("POST", "/api/ticket").json()["ticket"].as_str().unwrap().to_owned();
    let path = format!("/api/tail?follow=false&backlog=10&ticket={ticket}");
    assert_eq!(curl(&guarded.router, &path, &[], b"").status, 200);
    assert_eq!(curl(&guarded.router, &path, &[], b"").status, 401, "a ticket is good once");
    assert_eq!(with_cookie("DELETE", "/api/session").status, 200);
    assert_eq!(with_cookie("GET", "/api/logs").status, 401);
    // Wrong tokens are limited by address; right ones still work.
    let mut last = log_in("weir_wrong");
    for _ in 0..30 {
        last = log_in("weir_wrong");
    }
    assert_eq!(last.status, 429, "{last:?}");
    assert!(last.head.to_lowercase().contains("retry-after: "), "{last:?}");
    assert_eq!(guarded.get("read", "/api/logs").status, 200);
}

#[test]
fn what_is_changed_and_what_is_refused_is_recorded() {
    let guarded = Guarded::start();
    let change = json!({ "levels": { "noisy": "ERROR" } }).to_string();
    let set = |name: &str| guarded.send(name, "PATCH", "/api/levels", "application/json", change.as_bytes()).status;
    assert_eq!((set("read"), set("admin")), (403, 200));
    let anonymous = ["-X", "PATCH", "-H", "Content-Type: application/json"];
    assert_eq!(curl(&guarded.router, "/api/levels", &anonymous, b"").status, 401);
    let rollback = |name| guarded.send(name, "POST", "/api/filters/none/rollback", "application/json", b"{}").status;
    assert_eq!(rollback("admin"), 409);
    let audit = || guarded.get("read", "/api/logs?query=source:weir.audit").json()["logs"].clone();
    eventually("all are recorded", || audit().as_array().unwrap().len() == 4);
    let told: Vec<_> = audit().as_array().unwrap().iter().rev().map(|log| log["message"].clone()).collect();
    assert_eq!(
        told,
        [
            "read from 127.0.0.1: set levels: refused",
            "admin from 127.0.0.1: set levels: done",
            "somebody from 127.0.0.1: set levels: refused",
            "admin from 127.0.0.1: roll filter back `none`: failed",
        ]
    );
    let log = &audit()[0];
    assert_eq!((&log["who"], &log["outcome"]), (&json!("admin"), &json!("failed")), "{log}");
    // Nobody can fill the sinks with refusals.
    for _ in 0..30 {
        assert_eq!(curl(&guarded.router, "/api/levels", &anonymous, b"").status, 401);
    }
    assert_eq!(set("admin"), 200);
    let done = "SELECT count(*) FROM logs WHERE source = 'weir.audit' AND message LIKE '%: done'";
    eventually("all are stored", || sqlite(&guarded.home.path("weir-data/logs.db"), done) == "2");
    let refused = "SELECT count(*) FROM logs WHERE source = 'weir.audit' AND message LIKE '%: refused'";
    let refused: u32 = sqlite(&guarded.home.path("weir-data/logs.db"), refused).parse().unwrap();
    assert!((2..32).contains(&refused), "{refused} of 32 refusals are recorded");
}

#[test]
fn tokens_of_a_configuration_come_from_hashes_variables_and_files() {
    let home = Home::new();
    let mut command = weir();
    command.current_dir(home.path("")).args(["token", "new", "ci", "--role", "ingest", "--hash"]);
    let printed = String::from_utf8(run(&mut command).stdout).unwrap();
    let (hash, by_hash) = printed.trim().split_once('\n').unwrap();
    std::fs::write(home.path("token"), "a-token-from-a-file-1234\n").unwrap();
    home.configure(&format!(
        "[token.ci]\nrole = \"ingest\"\nhash = \"{hash}\"\n\n[token.env]\nrole = \"read\"\nenv = \"READ_TOKEN\"\n\n\
         [token.file]\nrole = \"admin\"\nfile = \"token\"\n"
    ));
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    let router = Router::start({
        command.env("READ_TOKEN", "a-token-from-a-variable");
        command
    });
    let role = |token: &str| {
        let answer = curl(&router, "/api/session", &["-H", &format!("Authorization: Bearer {token}")], b"");
        answer.json()["role"].clone()
    };
    assert_eq!(role(by_hash), "ingest");
    assert_eq!(role("a-token-from-a-variable"), "read");
    assert_eq!(role("a-token-from-a-file-1234"), "admin");
    std::fs::write(home.path("token.new"), "another-token-from-a-file").unwrap();
    std::fs::rename(home.path("token.new"), home.path("token")).unwrap();
    eventually("the file is read again", || role("another-token-from-a-file") == "admin");
    assert_eq!(role("a-token-from-a-file-1234"), Value::Null);
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let home = Home::new();
    let mut command = weir();
    command.current_dir(home.path("")).args(["run", "--listen", "0.0.0.0:0"]);
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("weir token new") && said.contains("--insecure-open"), "{said}");
    let reader = token(&home, &["reader", "--role", "read"]);
    let started = |arguments: &[&str]| {
        let mut command = weir();
        command.current_dir(home.path("")).args(["run", "--listen", "0.0.0.0:0"]).args(arguments);
        let mut router = Router::start(command);
        router.url = router.url.replace("0.0.0.0", "127.0.0.1");
        router
    };
    let router = started(&[]);
    assert_eq!(curl(&router, "/api/logs", &[], b"").status, 401);
    assert_eq!(curl(&router, "/api/logs", &["-H", &format!("Authorization: Bearer {reader}")], b"").status, 200);
    // Without its last token, it is closed, not open.
    run(weir().current_dir(home.path("")).args(["token", "revoke", "reader"]));
    eventually("the token is void", || {
        curl(&router, "/api/logs", &["-H", &format!("Authorization: Bearer {reader}")], b"").status == 401
    });
    let closed = curl(&router, "/api/logs", &[], b"");
    assert!(closed.status == 401 && closed.body.contains("no token exists"), "{closed:?}");
    drop(router);
    let mut router = started(&["--insecure-open"]);
    router.wait_for_line("may read all records and change this router");
    assert_eq!(curl(&router, "/api/logs", &[], b"").status, 200);
}
