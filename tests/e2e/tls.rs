//! TLS as real clients see it: curl, openssl, sslscan, and Weir's own commands.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::clients::{curl, run, sqlite};
use super::page::browse;
use super::router::{Home, PATIENCE, Router, eventually, weir};
use super::servers::certificates::certificates;

/// A configuration with the certificates that `openssl` has made in `certificates`.
const SIGNED: &str = "[tls]\ncertificate = \"certificates/server.pem\"\nkey = \"certificates/server.key\"\n";

/// A folder with a certificate of its own; `more` is added to the configuration.
fn self_signed(more: &str) -> Home {
    let home = Home::new();
    let made = run(weir().current_dir(home.path("")).args(["tls", "self-signed"]));
    home.configure(&format!("{more}\n{}", String::from_utf8(made.stdout).unwrap()));
    home
}

/// A folder with certificates that an authority has signed.
fn signed(more: &str) -> Home {
    let home = Home::new();
    std::fs::create_dir(home.path("certificates")).unwrap();
    certificates(&home.path("certificates"));
    home.configure(&format!("{SIGNED}{more}"));
    home
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Replaces a file atomically.
fn replace(home: &Home, from: &str, to: &str) {
    std::fs::copy(home.path(from), home.path("replacement")).unwrap();
    std::fs::rename(home.path("replacement"), home.path(to)).unwrap();
}

fn address(router: &Router) -> &str {
    router.url.strip_prefix("https://").expect("it speaks TLS")
}

/// The certificate that a new connection gets, as PEM.
fn served(router: &Router) -> String {
    let shown = run(Command::new("openssl").args(["s_client", "-connect", address(router)]));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----\n");
    shown[shown.find(begin).unwrap()..shown.find(end).unwrap() + end.len()].to_owned()
}

/// A metric's value; `name` includes its labels.
fn metric(router: &Router, name: &str) -> f64 {
    let metrics = curl(router, "/metrics", &["-k"], b"").body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

fn failed(reason: &str) -> String {
    format!("weir_ingest_tls_handshakes_failed_total{{reason=\"{reason}\"}}")
}

#[test]
fn every_version_of_tls_and_http_works_with_a_self_signed_certificate() {
    let home = self_signed("[live]\nlisten = \"127.0.0.1:0\"\n");
    let certificate = home.path("weir-data/tls/certificate.pem");
    let mode = |name: &str| std::fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("weir-data/tls/key.pem"), 0o600);
    let mut again = weir();
    let again = again.current_dir(home.path("")).args(["tls", "self-signed"]).output().unwrap();
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("--replace"), "{again:?}");
    let mut router = home.start();
    for (least, most) in [("--tlsv1.2", "1.2"), ("--tlsv1.3", "1.3")] {
        for (http, version) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
            let options = ["--cacert", text(&certificate), least, "--tls-max", most, http];
            let json = ["-H", "Content-Type: application/json", "--data-binary", "@-"];
            let answer = curl(&router, "/ingest", &[&options[..], &json].concat(), br#"{"message":"a"}"#);
            assert!(answer.head.starts_with(version), "{most} {http}: {answer:?}");
            assert!(answer.head.contains("strict-transport-security: max-age="), "{answer:?}");
            let large = vec![b'x'; 3 << 20];
            let answer =
                curl(&router, "/ingest?source=large", &[&options[..], &["--data-binary", "@-"]].concat(), &large);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    // Browsers would use TLS for everything else on localhost, too.
    let port = router.url.rsplit(':').next().unwrap().to_owned();
    let local = Command::new("curl")
        .args(["-sSi", "--cacert", text(&certificate)])
        .arg(format!("https://localhost:{port}/ready"))
        .output();
    let local = String::from_utf8(local.unwrap().stdout).unwrap();
    assert!(local.starts_with("HTTP/2 200") && !local.contains("strict-transport-security"), "{local}");
    let front = curl(&router, "/", &["--cacert", text(&certificate)], b"");
    assert!(front.body.contains(&format!("{}/ingest", router.url)), "{front:?}");
    // The second address is encrypted as well.
    let line = router.wait_for_line("stream   wss://");
    let address = line.rsplit("wss://").next().unwrap().trim().to_owned();
    let ready =
        run(Command::new("curl").args(["-sS", "--cacert", text(&certificate)]).arg(format!("https://{address}/ready")));
    assert!(String::from_utf8(ready.stdout).unwrap().contains("true"));
    assert!(metric(&router, "weir_tls_certificate_expiry_timestamp_seconds") > 1.8e9);
}

#[test]
fn the_page_is_safe_over_tls() {
    let home = self_signed("");
    run(weir().current_dir(home.path("")).args(["token", "new", "reader", "--role", "read"]));
    let token = run(weir().current_dir(home.path("")).args(["token", "new", "ops", "--role", "admin"])).stdout;
    let body = json!({ "token": String::from_utf8(token).unwrap().trim() }).to_string();
    let router = home.start();
    let log_in = |origin: &str| {
        let origin = format!("Origin: {origin}");
        let options = ["-k", "-H", "Content-Type: application/json", "-H", &origin, "--data-binary", "@-"];
        curl(&router, "/api/session", &options, body.as_bytes())
    };
    let answer = log_in(&router.url);
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(["Secure", "HttpOnly", "SameSite=Strict"].iter().all(|part| cookie.contains(part)), "{cookie}");
    // Whoever changes what is sent without TLS could show a page there.
    for other in [router.url.replace("https:", "http:"), "https://evil.example".to_owned()] {
        assert_eq!(log_in(&other).status, 403, "{other}");
    }
    let page = curl(&router, "/", &["-k", "-H", "Accept: text/html"], b"");
    let policy = page.head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
}

#[test]
fn a_person_can_log_in_over_tls_in_a_browser() {
    let home = self_signed("");
    let token = run(weir().current_dir(home.path("")).args(["token", "new", "ops", "--role", "admin"])).stdout;
    browse(&home, "tls.mjs", String::from_utf8(token).unwrap().trim());
}

#[test]
fn commands_find_out_which_certificate_to_trust() {
    let home = self_signed("");
    let router = home.start();
    let bare = address(&router).to_owned();
    let command = |folder: &Path, arguments: &[&str], variables: &[(&str, &str)]| -> Output {
        weir().current_dir(folder).args(arguments).envs(variables.iter().copied()).output().unwrap()
    };
    let here = home.path("");
    for arguments in [["levels", "--address", &bare], ["levels", "--url", &router.url], ["tail", "--address", &bare]] {
        let done = command(&here, &arguments, &[]);
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let certificate = home.path("weir-data/tls/certificate.pem");
    let refused = command(elsewhere.path(), &["levels", "--url", &router.url], &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("--ca FILE"), "{refused:?}");
    let named = command(elsewhere.path(), &["levels", "--url", &router.url, "--ca", text(&certificate)], &[]);
    assert!(named.status.success(), "{named:?}");
    let named = command(elsewhere.path(), &["levels", "--url", &router.url], &[("WEIR_CA", text(&certificate))]);
    assert!(named.status.success(), "{named:?}");
    // Without TLS, the router says what to do.
    let plain = command(elsewhere.path(), &["levels", "--address", &bare], &[]);
    assert!(String::from_utf8_lossy(&plain.stderr).contains("use https://"), "{plain:?}");
    drop(router);
    // What an earlier run has left doesn't confuse them.
    home.configure("");
    let router = home.start();
    let done = command(&here, &["levels", "--address", router.url.trim_start_matches("http://")], &[]);
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn the_commands_refuse_a_certificate_for_another_name() {
    let home = signed("");
    home.configure(&SIGNED.replace("server.", "other."));
    let router = home.start();
    let elsewhere = tempfile::tempdir().unwrap();
    let authority = home.path("certificates/ca.pem");
    let ask = || {
        weir().current_dir(elsewhere.path()).args(["levels", "--url", &router.url, "--ca", text(&authority)]).output()
    };
    assert!(!ask().unwrap().status.success());
    replace(&home, "certificates/server.key", "certificates/other.key");
    replace(&home, "certificates/server.pem", "certificates/other.pem");
    eventually("the other certificate is taken up", || ask().unwrap().status.success());
}

#[test]
fn client_certificates_have_roles() {
    let home = signed("");
    let fingerprint = ["x509", "-noout", "-fingerprint", "-sha256", "-in", "certificates/localhost.pem"];
    let fingerprint = run(Command::new("openssl").current_dir(home.path("")).args(fingerprint)).stdout;
    let fingerprint = String::from_utf8(fingerprint).unwrap();
    let fingerprint = fingerprint.trim().rsplit('=').next().unwrap();
    let configuration = format!(
        "{SIGNED}client_certificates = \"certificates/ca.pem\"\n\n[token.reader]\nrole = \"read\"\ncertificate = \
         \"client\"\n\n[token.ops]\nrole = \"admin\"\ncertificate = \"sha256:{fingerprint}\"\n"
    );
    home.configure(&configuration);
    let router = home.start();
    let authority = home.path("certificates/ca.pem");
    let with = |name: &str, path: &str, more: &[&str]| {
        let (certificate, key) = (format!("certificates/{name}.pem"), format!("certificates/{name}.key"));
        let (certificate, key) = (home.path(&certificate), home.path(&key));
        let own = ["--cacert", text(&authority), "--cert", text(&certificate), "--key", text(&key)];
        curl(&router, path, &[&own[..], more].concat(), b"{\"levels\":{\"a\":\"ERROR\"}}")
    };
    let set = ["-X", "PATCH", "-H", "Content-Type: application/json", "--data-binary", "@-"];
    assert_eq!(with("client", "/api/logs", &[]).status, 200);
    assert_eq!(with("client", "/api/session", &[]).json()["name"], "reader");
    let refused = with("client", "/api/levels", &set);
    assert!(refused.status == 403 && refused.body.contains("`reader` has the role read"), "{refused:?}");
    assert_eq!(with("client", "/ingest", &["-X", "POST"]).status, 403);
    assert_eq!(with("localhost", "/api/levels", &set).status, 200);
    // A session that is over doesn't stand in the way, and a wrong token does.
    assert_eq!(with("client", "/api/logs", &["-H", "Cookie: weir_session=old"]).status, 200);
    assert_eq!(with("client", "/api/logs", &["-H", "Authorization: Bearer weir_wrong"]).status, 401);
    let unknown = with("server", "/api/logs", &[]);
    assert!(
        unknown.status == 401 && unknown.body.contains("sha256:") && unknown.body.contains("[token.NAME]"),
        "{unknown:?}"
    );
    let none = curl(&router, "/api/logs", &["--cacert", text(&authority)], b"");
    assert_eq!(none.status, 401);
    let audit = "SELECT group_concat(message, ';') FROM logs WHERE source = 'weir.audit'";
    eventually("both acts are recorded", || {
        let told = sqlite(&home.path("weir-data/logs.db"), audit);
        told.contains("reader from 127.0.0.1: set levels: refused")
            && told.contains("ops from 127.0.0.1: set levels: done")
    });
    // The commands have one, too, also created by `weir token` with an end.
    let both =
        ["client.pem", "client.key"].map(|name| std::fs::read_to_string(home.path("certificates").join(name)).unwrap());
    std::fs::write(home.path("certificates/both.pem"), both.concat()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let (own, url) = (home.path("certificates/both.pem"), router.url.as_str());
    let tail = ["tail", "--url", url, "--ca", text(&authority), "--client-certificate", text(&own)];
    let tail = weir().current_dir(elsewhere.path()).args(tail).output().unwrap();
    assert!(tail.status.success(), "{tail:?}");
    let new = ["token", "new", "short", "--role", "read", "--certificate", "server", "--expires", "2s"];
    run(weir().current_dir(home.path("")).args(new));
    eventually("it is known", || with("server", "/api/logs", &[]).status == 200);
    eventually("it has ended", || with("server", "/api/logs", &[]).status == 401);
}

#[test]
fn strangers_do_not_connect_if_a_client_certificate_is_required() {
    let home = signed("client_certificates = \"certificates/ca.pem\"\nrequire_client_certificate = true\n");
    let others = tempfile::tempdir().unwrap();
    certificates(others.path());
    let router = home.start();
    let ask = |folder: &Path, certificate: Option<&str>| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--cacert"]).arg(home.path("certificates/ca.pem"));
        if let Some(name) = certificate {
            command
                .arg("--cert")
                .arg(folder.join(format!("{name}.pem")))
                .arg("--key")
                .arg(folder.join(format!("{name}.key")));
        }
        command.arg(format!("{}/metrics", router.url)).output().unwrap()
    };
    let own = home.path("certificates");
    assert!(!ask(&own, None).status.success());
    assert!(!ask(others.path(), Some("client")).status.success());
    let metrics = ask(&own, Some("client"));
    assert!(metrics.status.success(), "{metrics:?}");
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.contains(&format!("{} 2\n", failed("client_certificate"))), "{metrics}");
}

/// A WebSocket over `openssl s_client`.
struct Socket {
    process: Child,
    got: Arc<Mutex<Vec<u8>>>,
}

impl Socket {
    fn open(router: &Router) -> Socket {
        let mut process = Command::new("openssl")
            .args(["s_client", "-quiet", "-ign_eof", "-alpn", "http/1.1", "-connect", address(router)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        let request = format!(
            "GET /api/tail HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            address(router)
        );
        process.stdin.as_mut().unwrap().write_all(request.as_bytes()).unwrap();
        let (mut stdout, got) = (process.stdout.take().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let into = got.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..read]);
            }
        });
        Socket { process, got }
    }

    fn got(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.got.lock().unwrap()).contains(text)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

#[test]
fn a_new_certificate_is_for_new_connections_and_a_bad_one_for_none() {
    let home = self_signed("");
    let mut router = home.start();
    let file = |name: &str| std::fs::read_to_string(home.path(name)).unwrap();
    let first = file("weir-data/tls/certificate.pem");
    assert_eq!(served(&router), first);
    let socket = Socket::open(&router);
    eventually("the stream begins", || socket.got("101 Switching Protocols"));
    // A request whose body goes on.
    let mut slow = Command::new("curl")
        .args(["-sSik", "--http1.1", "-X", "POST", "-T", "-", "-H", "Content-Type: text/plain"])
        .arg(format!("{}/ingest?source=slow", router.url))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    slow.stdin.as_mut().unwrap().write_all(b"before\n").unwrap();
    eventually("it is in progress", || metric(&router, "weir_ingest_in_flight_bytes") > 0.0);
    run(weir().current_dir(home.path("")).args(["tls", "self-signed", "--replace"]));
    let second = file("weir-data/tls/certificate.pem");
    assert_ne!(second, first);
    router.wait_for_line("new connections get a new certificate");
    assert_eq!(served(&router), second);
    let mut input = slow.stdin.take().unwrap();
    input.write_all(b"after\n").unwrap();
    drop(input);
    let answer = String::from_utf8(slow.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer.contains("200 OK") && answer.contains("\"accepted\":2"), "{answer}");
    eventually("the stream goes on", || socket.got("before") && socket.got("after"));
    // Half of a pair: the certificate in use stays, and `/health` says so until it is mended.
    let third = run(weir().current_dir(home.path("")).args(["tls", "self-signed", "--out", "third"]));
    drop(third);
    replace(&home, "third/certificate.pem", "weir-data/tls/certificate.pem");
    let line = router.wait_for_line("the certificate stays as it was");
    assert!(line.contains("does not belong to the certificate"), "{line}");
    assert_eq!(served(&router), second);
    let health = curl(&router, "/health", &["-k"], b"").json();
    assert!(health["status"] == "degraded" && health["reasons"].to_string().contains("does not belong"), "{health}");
    replace(&home, "third/key.pem", "weir-data/tls/key.pem");
    eventually("the pair is used", || served(&router) == file("third/certificate.pem"));
    assert_eq!(curl(&router, "/health", &["-k"], b"").json()["status"], "ok");
    assert_eq!(router.stderr().matches("stays as it was").count(), 1);
    // Other files, with the configuration.
    let fourth = run(weir().current_dir(home.path("")).args(["tls", "self-signed", "--out", "fourth"])).stdout;
    home.configure(&String::from_utf8(fourth).unwrap());
    router.wait_for_line("configuration reloaded");
    assert_eq!(served(&router), file("fourth/certificate.pem"));
    // Commands know it.
    let levels = weir().current_dir(home.path("")).args(["levels", "--address", address(&router)]).output().unwrap();
    assert!(levels.status.success(), "{levels:?}");
    home.configure("");
    router.wait_for_line("changes to tls take effect after a restart");
    assert_eq!(served(&router), file("fourth/certificate.pem"));
}

#[test]
fn an_expired_certificate_is_reported() {
    let home = Home::new();
    let made = run(weir().current_dir(home.path("")).args(["tls", "self-signed", "--valid", "1s"]));
    home.configure(&String::from_utf8(made.stdout).unwrap());
    let mut router = home.start();
    router.wait_for_line("the certificate has expired");
    let health = curl(&router, "/health", &["-k"], b"").json();
    assert!(health["status"] == "degraded" && health["reasons"].to_string().contains("has expired"), "{health}");
}

#[test]
fn files_that_do_not_fit_are_refused_at_the_start() {
    let home = signed("");
    for (configuration, said) in [
        (SIGNED.replace("server.key", "client.key"), "does not belong to the certificate"),
        (SIGNED.replace("server.pem", "missing.pem"), "weir tls self-signed"),
        (format!("{SIGNED}require_client_certificate = true\n"), "client_certificates"),
        (format!("{SIGNED}[token.a]\nrole = \"read\"\ncertificate = \"a\"\n"), "client_certificates"),
        ("[tls]\ncertificate = \"certificates/server.pem\"\n".to_owned(), "`key`"),
    ] {
        home.configure(&configuration);
        for arguments in [&["validate", "weir.toml"][..], &["run", "--config=weir.toml", "--listen=127.0.0.1:0"]] {
            let refused = weir().current_dir(home.path("")).args(arguments).output().unwrap();
            let stderr = String::from_utf8_lossy(&refused.stderr);
            assert!(stderr.contains(said), "{arguments:?} {configuration}: {stderr}");
            // The files may be on another machine than a configuration that is only checked.
            let is_started = arguments[0] == "run";
            assert!(!(is_started && refused.status.success()), "{configuration}: {stderr}");
        }
    }
}

/// What is read from a socket until its end.
fn rest(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // An end with unread bytes is a reset.
    _ = stream.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).into_owned()
}

#[test]
fn clients_without_tls_are_told_and_slow_ones_are_closed() {
    let home = self_signed("[http]\nheader_timeout = \"2s\"\nmax_connections = 8\n");
    let router = home.start();
    let connect = || TcpStream::connect(address(&router)).unwrap();
    let mut plain = connect();
    plain.write_all(b"POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun").unwrap();
    let answer = rest(plain);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("use https://"), "{answer}");
    let over_http = curl(&router, "/ready", &["-k"], b"");
    assert_eq!(over_http.status, 200, "others are served");
    eventually("only the question has a place", || metric(&router, "weir_ingest_open_connections") <= 1.0);
    // Nothing, half of a hello, something else.
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    let begun: Vec<TcpStream> = (0..8)
        .map(|number| {
            let mut stream = connect();
            stream.write_all(&hello[..if number % 2 == 0 { 0 } else { hello.len() }]).unwrap();
            stream
        })
        .collect();
    // They occupy all places; one more is closed at once.
    drop(rest(connect()));
    begun.into_iter().for_each(|stream| drop(rest(stream)));
    // The question before may have had one of the places until then.
    eventually("they are closed as too slow", || metric(&router, &failed("timeout")) >= 7.0);
    assert!(metric(&router, "weir_ingest_connections_turned_away_total") >= 1.0);
    let mut other = connect();
    other.write_all(b"\x00\x01\x02\x03").unwrap();
    drop(rest(other));
    eventually("all are counted", || metric(&router, &failed("other")) == 1.0);
    assert_eq!(metric(&router, &failed("plain_http")), 1.0);
    let lines = router.stderr().matches("a TLS handshake with").count();
    assert!((1..8).contains(&lines), "{lines} lines:\n{}", router.stderr());
    // Somebody who only looks whether the port is open is no failure, and a stop doesn't wait for a handshake.
    drop(connect());
    let waiting = connect();
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    drop(waiting);
}

#[test]
fn a_scanner_finds_nothing_weak() {
    let home = self_signed("");
    let router = home.start();
    let scanned = run(Command::new("sslscan").args(["--no-colour", address(&router)]));
    let scanned = String::from_utf8(scanned.stdout).unwrap();
    let versions: Vec<Vec<&str>> = scanned
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() == 2 && ["enabled", "disabled"].contains(&words[1]))
        .collect();
    let expected = [
        ["SSLv2", "disabled"],
        ["SSLv3", "disabled"],
        ["TLSv1.0", "disabled"],
        ["TLSv1.1", "disabled"],
        ["TLSv1.2", "enabled"],
        ["TLSv1.3", "enabled"],
    ];
    assert_eq!(versions, expected, "{scanned}");
    let ciphers: Vec<&str> =
        scanned.lines().filter(|line| line.starts_with("Accepted") || line.starts_with("Preferred")).collect();
    let is_strong = |line: &&str| {
        let is_forward_secret = line.contains("ECDHE-") || line.contains("TLSv1.3");
        is_forward_secret && (line.contains("GCM") || line.contains("CHACHA20"))
    };
    assert!(ciphers.len() >= 6 && ciphers.iter().all(is_strong), "{scanned}");
    assert!(scanned.contains("Session renegotiation not supported"), "{scanned}");
    assert_eq!(scanned.matches("not vulnerable to heartbleed").count(), 2, "{scanned}");
}
