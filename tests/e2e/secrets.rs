//! No secret of a configuration leaves it: a test plants one in every option that takes one, in tokens and in the
//! environment, lets servers refuse and repeat it, and looks for it in everything that Weir says.
//!
//! The options come from the registries of sinks and of sources. An option that the test can't plant makes it fail.

mod echo;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use weir_document::secret::is_secret;
use weir_sinks::{KINDS, Kind};

use super::clients::{Answer, curl};
use super::router::{Home, Router, eventually, weir};
use echo::Echo;

/// The token of the requests.
const ADMIN: &str = "planted-admin-token-0123456789";
/// Another, from a file.
const READER: &str = "planted-reader-token-0123456789";
/// The shared key of a listener, and a password.
const LISTENER: [&str; 2] = ["planted-shared-key-0123456789", "planted-password-0123456789"];
/// A variable of a command's environment.
const COMMAND: &str = "planted-variable-0123456789";
/// The password of a source.
const BUS: &str = "planted-kafka-0123456789";
/// The password of a proxy.
const PROXY: &str = "planted-proxy-0123456789";

/// The secret options of sources, but for the environment of commands, and for `kafka`, which sends its password only to
/// what answers as a broker does: see `kafka.rs`.
fn source_options() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for kind in weir_sources::KINDS.iter().filter(|kind| !["exec", "kafka"].contains(&kind.name)) {
        let mut schema = (kind.schema)();
        weir_document::without_null(&mut schema);
        for (name, property) in schema["properties"].as_object().expect("properties") {
            if count_secrets(property) > 0 {
                assert!(is_secret(property), "{}.{name}: plant it", kind.name);
                all.push((kind.name, name.clone()));
            }
        }
    }
    all
}

fn source_secret(kind: &str, option: &str) -> String {
    format!("planted-source-{kind}-{option}-0123456789")
}

/// A source that uses its secret option, with a server on that port.
fn source_section(name: &str, kind: &str, option: &str, port: u16) -> String {
    let secret = source_secret(kind, option);
    let more = match kind {
        "nats" => "stream = 'LOGS'\n",
        "redis" => "streams = ['events']\n",
        "mqtt" => "topics = ['log']\n",
        kind => panic!("{kind}: say what it needs, and which server refuses it"),
    };
    let login = match option {
        "url" => format!("url = '{kind}://weir:{secret}@127.0.0.1:{port}'\n"),
        option => {
            let user = if option == "password" { "user = 'weir'\n" } else { "" };
            format!("url = '{kind}://127.0.0.1:{port}'\n{user}{option} = '{secret}'\n")
        }
    };
    format!("[source.{name}]\ntype = '{kind}'\n{more}{login}")
}

/// An option that takes a secret.
struct SecretOption {
    kind: &'static Kind,
    name: String,
    /// Whether it is a table of secrets.
    is_table: bool,
}

impl SecretOption {
    /// All of them.
    fn all() -> Vec<SecretOption> {
        let mut all = Vec::new();
        for kind in KINDS {
            let mut schema = (kind.schema)();
            weir_document::without_null(&mut schema);
            for (name, property) in schema["properties"].as_object().expect("properties") {
                let is_table = is_secret(&property["additionalProperties"]);
                let secrets = count_secrets(property);
                if secrets > 0 {
                    assert!(secrets == 1 && (is_table || is_secret(property)), "{}.{name}: plant it", kind.name);
                    all.push(SecretOption { kind, name: name.clone(), is_table });
                }
            }
        }
        all
    }

    /// What is planted in it.
    fn secret(&self) -> String {
        format!("planted-{}-{}-0123456789", self.kind.name, self.name)
    }

    fn is_url(&self) -> bool {
        self.name == "url"
    }

    /// The options of a sink that uses it, with a server on that port.
    fn table(&self, port: u16) -> Value {
        let (scheme, secret) = (scheme(self.kind), self.secret());
        let mut table = json!({ "type": self.kind.name, "url": format!("{scheme}://127.0.0.1:{port}") });
        let more = match (self.kind.name, self.name.as_str()) {
            ("influxdb", "password") => json!({ "database": "logs", "user": "weir", "count": "n" }),
            ("influxdb", _) => json!({ "bucket": "logs", "org": "acme", "count": "n" }),
            ("datadog", "url") => json!({ "api_key": "another" }),
            ("postgres", _) => json!({ "database": "logs", "user": "weir" }),
            (_, "password") => json!({ "user": "weir" }),
            _ => json!({}),
        };
        table.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
        table[&self.name] = match (self.is_table, scheme) {
            (true, _) => json!({ "X-Key": secret }),
            (_, "http") if self.is_url() => {
                format!("http://weir:{secret}@127.0.0.1:{port}/{secret}?key={secret}").into()
            }
            _ if self.is_url() => format!("{scheme}://weir:{secret}@127.0.0.1:{port}").into(),
            _ => secret.into(),
        };
        table
    }
}

fn count_secrets(schema: &Value) -> usize {
    match schema {
        Value::Object(object) => usize::from(is_secret(schema)) + object.values().map(count_secrets).sum::<usize>(),
        Value::Array(items) => items.iter().map(count_secrets).sum(),
        _ => 0,
    }
}

/// The scheme of the kind's URLs.
fn scheme(kind: &Kind) -> &'static str {
    match kind.name {
        "postgres" => "postgres",
        "nats" => "nats",
        _ => "http",
    }
}

/// A sink's section.
fn section(name: &str, table: &Value) -> String {
    let lines = table.as_object().expect("a table").iter().map(|(key, value)| match value {
        Value::Object(inner) => {
            let inner: Vec<String> = inner.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            format!("{key} = {{ {} }}\n", inner.join(", "))
        }
        value => format!("{key} = {value}\n"),
    });
    format!("[sink.{name}]\n{}", lines.collect::<String>())
}

/// What Weir said, and where.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    fn command(&mut self, command: &mut Command) {
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        // Otherwise the command line is wrong, and nothing was printed.
        assert_ne!(output.status.code(), Some(2), "{command:?}: {}", String::from_utf8_lossy(&text));
        self.add(format!("{command:?}"), String::from_utf8_lossy(&text));
    }

    /// Fails if any of it contains one of the secrets, as it is or as part of HTTP's `Basic`.
    fn check(&self, secrets: &[String]) {
        let mut shown = Vec::new();
        for secret in secrets {
            // Three encodings, by where the secret begins.
            let encoded = (0..3).map(|at| base64(format!("{}{secret}", "x".repeat(at)).as_bytes(), at));
            for form in encoded.chain([secret.clone()]) {
                for (place, text) in &self.0 {
                    let line = text.lines().find(|line| line.contains(&form));
                    shown.extend(line.map(|line| format!("{place} shows {secret} as {form}: {line}")));
                }
            }
        }
        assert!(shown.is_empty(), "{}", shown.join("\n"));
    }
}

/// The part of an encoding that doesn't depend on what is around it.
fn base64(bytes: &[u8], skipped: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks_exact(3).skip(usize::from(skipped > 0)) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        (0..4).for_each(|digit| text.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char));
    }
    text
}

fn get(router: &Router, path: &str) -> Answer {
    curl(router, path, &["--globoff", "-H", &format!("Authorization: Bearer {ADMIN}")], b"")
}

/// Sends a record that every sink takes.
fn send(router: &Router) {
    let record = json!([{ "level": "ERROR", "source": "shop", "message": "an order failed" }]).to_string();
    let bearer = format!("Authorization: Bearer {ADMIN}");
    let sent = curl(router, "/ingest", &["-H", &bearer, "-H", "Content-Type: application/json", "-d", &record], b"");
    assert_eq!(sent.status, 200, "{sent:?}");
}

fn in_home(home: &Home, arguments: &[&str]) -> Command {
    let mut command = weir();
    command.current_dir(home.path("")).args(arguments).env("ADMIN_TOKEN", ADMIN).env("WEIR_TOKEN", ADMIN);
    command.env("RUST_BACKTRACE", "full");
    command
}

fn sink_errors(router: &Router) -> Vec<(String, String)> {
    let health = get(router, "/health").json();
    let sinks = health["sinks"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    sinks.iter().map(|sink| (text(&sink["name"]), text(&sink["last_error"]))).collect()
}

/// Everything that a running router says over HTTP.
fn ask(router: &Router, said: &mut Said) {
    let description = get(router, "/api/openapi.json").json();
    let paths = description["paths"].as_object().unwrap();
    for path in paths.keys().filter(|path| paths[*path]["get"].is_object()) {
        let path = path.replace("{id}", "1-0").replace("{name}", "redact");
        let path = if path == "/api/tail" { "/api/tail?follow=false&backlog=10".to_owned() } else { path };
        said.add(format!("GET {path}"), get(router, &path).body);
    }
    for path in ["/health", "/metrics", "/ready", "/nonesuch"] {
        said.add(format!("GET {path}"), get(router, path).body);
    }
    let page = curl(router, "/", &["-H", "Accept: text/html"], b"").body;
    let files: BTreeSet<&str> =
        page.split('"').filter(|part| part.ends_with(".js") || part.ends_with(".css")).collect();
    assert!(!files.is_empty(), "{page}");
    for file in files {
        let path = format!("/{}", file.trim_start_matches('/'));
        let answer = get(router, &path);
        assert_eq!(answer.status, 200, "{path}");
        said.add(format!("GET {path}"), answer.body);
    }
    said.add("GET /", page);
}

/// Every command that reads a configuration or asks a router.
fn run_commands(home: &Home, router: &Router, said: &mut Said) {
    let address = router.url.strip_prefix("http://").unwrap();
    let config = ["--config", "weir.toml"];
    let commands: &[(&[&str], bool)] = &[
        (&["validate"], false),
        (&["sinks"], true),
        (&["sinks", "--json"], true),
        (&["tail"], true),
        (&["levels"], true),
        (&["query"], false),
        (&["filter", "list"], true),
        (&["token", "list"], false),
        (&["journal", "inspect"], false),
        (&["quarantine", "list", "--entries"], false),
        (&["quarantine", "list", "--json"], false),
        (&["erase", "--where", "nobody", "--dry-run"], true),
    ];
    for (command, asks) in commands {
        let mut arguments = [command, &config[..]].concat();
        if *asks {
            arguments.extend(["--address", address]);
        }
        said.command(&mut in_home(home, &arguments));
    }
    let exec = [&["exec"][..], &config[..], &["--address", address, "--", "true"]].concat();
    said.command(&mut in_home(home, &exec));
    said.command(&mut in_home(home, &["config", "schema"]));
    said.command(&mut in_home(home, &["config", "init"]));
    // A command that is missing here has to be added, unless it reads no configuration.
    let help = String::from_utf8(in_home(home, &["--help"]).output().unwrap().stdout).unwrap();
    let listed = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names = listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.filter_map(|line| line.split_whitespace().next()) {
        let known = commands.iter().any(|(command, _)| command[0] == name);
        assert!(
            known || ["run", "exec", "config", "tls", "bench", "completions", "help"].contains(&name),
            "`weir {name}`"
        );
    }
    said.add("weir --help", help);
}

fn configuration(options: &[SecretOption], servers: &dyn Fn(&str) -> u16) -> String {
    let mut text = String::from(
        "filter = []\n[live]\nbuffer = 100\n[log]\nlevel = 'trace'\n\
         [token.admin]\nrole = 'admin'\nenv = 'ADMIN_TOKEN'\n[token.reader]\nrole = 'read'\nfile = 'reader'\n\
         [sink.db]\ntype = 'sqlite'\n[[listen]]\nprotocol = 'forward'\naddress = '127.0.0.1:0'\n",
    );
    let [key, password] = LISTENER;
    text.push_str(&format!("shared_key = '{key}'\nusers = {{ shop = '{password}' }}\n"));
    text.push_str(&format!(
        "[source.kafka]\ntype = 'kafka'\nbrokers = ['127.0.0.1:1']\ntopics = ['a']\nsasl = 'PLAIN'\nuser = 'weir'\n\
         password = '{BUS}'\n"
    ));
    for (name, command) in [("command", "false"), ("absent", "./no-such-program")] {
        text.push_str(&format!(
            "[source.{name}]\ntype = 'exec'\ncommand = ['{command}']\nenvironment = {{ KEY = '{COMMAND}' }}\n"
        ));
    }
    // Nothing listens on the port of a closed listener.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for option in options {
        // InfluxDB's URL may contain no secret.
        if (option.kind.name, option.name.as_str()) == ("influxdb", "url") {
            continue;
        }
        let name = format!("{}_{}", option.kind.name, option.name);
        text.push_str(&section(&name, &option.table(servers(scheme(option.kind)))));
        text.push_str(&section(&format!("{name}_down"), &option.table(closed)));
    }
    for (kind, option) in source_options() {
        text.push_str(&source_section(&format!("{kind}_{option}"), kind, &option, servers(kind)));
        text.push_str(&source_section(&format!("{kind}_{option}_down"), kind, &option, closed));
    }
    // The reason for a refused record is in quarantine.
    let mut refused = SecretOption { kind: weir_sinks::kind("http").unwrap(), name: "token".into(), is_table: false }
        .table(servers("http"));
    refused["headers"] = json!({ "X-Test": "refuse-for-good" });
    text + &section("refused", &refused)
}

#[test]
fn no_secret_is_shown_when_servers_refuse_and_repeat_it() {
    let options = SecretOption::all();
    assert!(options.len() >= 15, "{}", options.len());
    let servers = ["http", "nats", "postgres", "redis", "mqtt"].map(|scheme| (scheme, Echo::start(scheme)));
    let server = |scheme: &str| servers.iter().find(|(name, _)| *name == scheme).map(|(_, echo)| echo).unwrap();
    let home = Home::with(&configuration(&options, &|scheme| server(scheme).port));
    std::fs::write(home.path("reader"), READER).unwrap();
    let mut command = in_home(&home, &["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    // More than `[log] level` can ask for.
    command.env("WEIR_LOG", "trace");
    let router = Router::start(command);
    send(&router);
    eventually("every sink was refused", || {
        let errors = sink_errors(&router);
        let failing = |(name, error): &(String, String)| ["db", "refused"].contains(&&**name) || !error.is_empty();
        errors.len() > options.len() && errors.iter().all(failing)
    });
    for kind in ["redis", "mqtt"] {
        eventually("sources were refused, with their secrets", || {
            let health = get(&router, "/health").json();
            let of_kind = health["sources"].as_array().unwrap().iter().filter(|source| source["type"] == kind);
            of_kind.filter(|source| source["error"].to_string().contains("[secret]")).count() >= 2
        });
    }
    eventually("a record is in quarantine", || get(&router, "/api/quarantine").body.contains("status 400"));
    let mut said = Said::default();
    ask(&router, &mut said);
    run_commands(&home, &router, &mut said);

    // The servers got the secrets and repeated them, so there was something to hide.
    let heard: String = servers.iter().map(|(_, echo)| echo.heard()).collect();
    for option in options.iter().filter(|option| option.kind.name != "influxdb" || option.name != "url") {
        let secret = option.secret();
        let user = format!("weir:{secret}");
        let is_heard = heard.contains(&secret) || heard.contains(&base64(user.as_bytes(), 0)[..40]);
        assert!(is_heard, "{}.{} did not reach its server:\n{heard}", option.kind.name, option.name);
    }
    let sources = source_options();
    assert!(sources.len() >= 7, "{sources:?}");
    for (kind, option) in &sources {
        let secret = source_secret(kind, option);
        assert!(heard.contains(&secret), "{kind}.{option} did not reach its server:\n{heard}");
    }
    let errors = sink_errors(&router);
    assert!(errors.iter().filter(|(_, error)| error.contains("[secret]")).count() >= 10, "{errors:#?}");

    // A reload of a configuration that is wrong next to a secret.
    let good = std::fs::read_to_string(home.path("weir.toml")).unwrap();
    home.configure(&good.replacen("type = \"http\"", "type = \"http\"\nbatch = \"many\"", 1));
    eventually("it is refused", || router.stderr().contains("nothing was changed"));
    said.add("/health", get(&router, "/health").body);
    let (_, log) = router.stop();
    assert!(log.contains("TRACE"), "the log is as verbose as it can be");
    said.add("the log", log);
    let secrets = options.iter().map(SecretOption::secret).chain([ADMIN, READER].map(str::to_owned));
    let secrets = secrets.chain(sources.iter().map(|(kind, option)| source_secret(kind, option)));
    said.check(
        &secrets.chain(LISTENER.map(str::to_owned)).chain([COMMAND, BUS].map(str::to_owned)).collect::<Vec<_>>(),
    );
}

#[test]
fn no_secret_is_shown_by_mistakes_next_to_it() {
    let options = SecretOption::all();
    let home = Home::new();
    let mut said = Said::default();
    for option in &options {
        let (name, secret, kind) = (&option.name, option.secret(), option.kind.name);
        let with = |line: String| format!("[sink.x]\ntype = \"{kind}\"\n{line}\n");
        let mut invalid = option.table(1);
        invalid["no_such_option"] = true.into();
        let mistakes = [
            with(format!("{name} = \"{secret}")),
            with(format!("{name} = {secret}")),
            with(format!("{name} = \"{secret}\" x")),
            with(format!("{name} = [\"{secret}\", 1]")),
            with(format!("{name} = {{ a = \"{secret}\", b = 1 }}")),
            with(format!("{name} = \"{secret}\"\n{name} = \"{secret}\"")),
            with(format!("{name}x = \"{secret}\"")),
            with(format!("{name} = \"${{{secret}\"")),
            with(format!("{name} = \"${{{secret}}}\"")),
            // Not a URL, and not the only option that is needed.
            with(format!("{name} = \"{secret}\"")),
            format!("{name} = \"{secret}\"\n"),
            format!("[sink]\nx = {{ type = \"{kind}x\", {name} = \"{secret}\" }}\n"),
            format!("[sink]\nx = {{ type = \"{kind}\", {name} = \"{secret}\", no_such_option = 1 }}\n"),
            format!("[sink]\nx = \"{secret}\"\n"),
            format!("[token.x]\nrole = \"read\"\nhash = \"{secret}\"\n"),
            section("x", &invalid),
        ];
        for mistake in mistakes {
            // Without the filter that is there by default, which would be compiled each time.
            home.configure(&format!("filter = []\n{mistake}"));
            let output = in_home(&home, &["validate", "weir.toml"]).output().unwrap();
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            // An option that is right alone is the one exception.
            assert!(!output.status.success() || mistake == with(format!("{name} = \"{secret}\"")), "{mistake}\n{text}");
            said.add(format!("validate:\n{mistake}"), text);
        }
        // From the environment, an option may be anything.
        for variable in option.kind.variables.iter().filter(|variable| variable.option == *name) {
            home.configure(&format!("filter = []\n[sink.x]\ntype = \"{kind}\"\n"));
            said.command(in_home(&home, &["validate", "weir.toml"]).env(variable.name, &secret));
        }
        home.configure(&format!("filter = []\n{}", section("x", &invalid)));
        said.command(&mut in_home(&home, &["run", "--config", "weir.toml", "--listen", "127.0.0.1:0"]));
    }
    // The commands' own environment contains some of the secrets.
    said.0.iter_mut().for_each(|(place, _)| place.truncate(200));
    said.check(&options.iter().map(SecretOption::secret).collect::<Vec<_>>());
}

#[test]
fn the_password_of_a_proxy_is_not_shown() {
    let proxy = Echo::start("http");
    let home = Home::with(
        "filter = []\n[token.admin]\nrole = 'admin'\nenv = 'ADMIN_TOKEN'\n[sink.x]\ntype = 'http'\nurl = 'http://logs.example.com/'\nlinger = '0s'\n",
    );
    let mut command = in_home(&home, &["run", "--listen", "127.0.0.1:0", "--config", "weir.toml"]);
    command.env("WEIR_LOG", "trace").env("http_proxy", format!("http://weir:{PROXY}@127.0.0.1:{}", proxy.port));
    let router = Router::start(command);
    send(&router);
    eventually("the proxy refuses", || sink_errors(&router).iter().any(|(_, error)| !error.is_empty()));
    assert!(proxy.heard().to_lowercase().contains("proxy-authorization"), "{}", proxy.heard());
    let mut said = Said::default();
    ask(&router, &mut said);
    let (_, log) = router.stop();
    assert!(log.contains("[secret]"), "{log}");
    said.add("the log", log);
    said.check(&[PROXY.to_owned()]);
}
