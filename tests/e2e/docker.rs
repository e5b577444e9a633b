//! Containers of a real Docker engine, which `tests/run` installs.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use super::clients::{curl, sqlite};
use super::router::{Home, Router, eventually};
use super::servers::docker::{Engine, IMAGE};

fn configuration(engine: &Engine, more: &str) -> String {
    let socket = engine.socket();
    format!(
        "[sink.db]\ntype = \"sqlite\"\n[source.containers]\ntype = \"docker\"\nsocket = \"{}\"\n{more}\n",
        socket.display()
    )
}

/// What is stored: container, stream and message, in order.
fn stored(home: &Home) -> Vec<(String, String, String)> {
    let database = home.path("weir-data/logs.db");
    if !database.exists() {
        return Vec::new();
    }
    // The file is there before its table.
    if sqlite(&database, "select count(*) from sqlite_master where name = 'logs'") == "0" {
        return Vec::new();
    }
    let query = "select json_array(json_extract(fields, '$.container.name'), json_extract(fields, '$.stream'), message) \
                 from logs order by rowid";
    let rows = sqlite(&database, query);
    rows.lines()
        .map(|row| serde_json::from_str::<(String, Option<String>, String)>(row).expect("JSON"))
        .map(with_stream)
        .collect()
}

/// Changes of health have no stream.
fn with_stream((container, stream, message): (String, Option<String>, String)) -> (String, String, String) {
    (container, stream.unwrap_or_default(), message)
}

/// The messages of one stream of a container.
fn messages(stored: &[(String, String, String)], container: &str, stream: &str) -> Vec<String> {
    let own = stored.iter().filter(|(name, of, _)| name == container && of == stream);
    own.map(|(_, _, message)| message.clone()).collect()
}

/// What the engine has kept of a container: standard output and standard error.
fn kept(engine: &Engine, container: &str) -> [Vec<String>; 2] {
    let Output { status, stdout, stderr } = engine.command(&["logs", container]).output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    [stdout, stderr].map(|text| String::from_utf8(text).unwrap().lines().map(str::to_owned).collect())
}

/// Records as they are, by message.
fn records(router: &Router) -> BTreeMap<String, Value> {
    let text = curl(router, "/api/tail?follow=false&backlog=1000", &[], b"").body;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let records = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    records.filter_map(|record| Some((record["message"].as_str()?.to_owned(), record.clone()))).collect()
}

#[test]
fn lines_of_containers_are_records_with_what_is_known_about_them() {
    let engine = Engine::start();
    let home = Home::with(&configuration(
        &engine,
        "exclude = [\"*-test\", \"label:hidden\"]\nlabels = [\"version\"]\nroutes = [\"containers\"]",
    ));
    // Before the router, with a line in parts.
    let long = "printf start; head -c 40000 /dev/zero | tr '\\0' y; echo end";
    let id = engine.container("before", &["--label", "version=7"], &format!("echo out; echo err >&2; {long}"));
    let router = home.start();
    let labels = [
        "--label=weir.source=cart",
        "--label=weir.level=warn",
        "--label=weir.route=cart, audit",
        "--label=com.docker.compose.project=shop",
    ];
    engine.container("labelled", &labels, "echo plain; echo '{\"level\":\"debug\",\"msg\":\"own level\",\"n\":1}'");
    engine.container("terminal", &["--tty"], &format!("echo first of tty; {long}"));
    for (name, options) in
        [("a-test", &[][..]), ("hidden", &["--label", "hidden"]), ("ignored", &["--label", "weir.ignore=true"])]
    {
        engine.container(name, options, "echo unwanted");
    }
    let health = ["--health-cmd", "test -e /ok", "--health-interval", "300ms", "--health-retries", "1"];
    engine.container("checked", &health, "sleep 2; echo > /ok; echo made it; sleep 60");
    let due = 2 + 1 + 2 + 2 + 1;
    eventually("all lines and two changes of health", || {
        let stored = stored(&home);
        let changes = stored.iter().filter(|(name, stream, _)| name == "checked" && stream.is_empty()).count();
        stored.len() >= due + 2 && changes >= 2
    });
    let records = records(&router);
    let out = &records["out"];
    assert_eq!(
        out["container"],
        json!({"name": "before", "id": &id[..12], "image": IMAGE, "labels": {"version": "7"}})
    );
    assert_eq!((&out["source"], &out["stream"], &out["level"]), (&json!("before"), &json!("stdout"), &json!("INFO")));
    assert_eq!(records["err"]["stream"], "stderr");
    let plain = &records["plain"];
    assert_eq!((&plain["source"], &plain["level"]), (&json!("cart"), &json!("WARNING")));
    assert_eq!(plain["container"]["project"], "shop");
    assert_eq!(plain["routes"], json!(["containers", "cart", "audit"]));
    assert_eq!(out["routes"], json!(["containers"]));
    let own = &records["own level"];
    assert_eq!((&own["source"], &own["level"], &own["n"]), (&json!("cart"), &json!("DEBUG"), &json!(1)));
    assert_eq!(records["container checked is unhealthy"]["level"], "ERROR");
    assert_eq!(records["container checked is healthy"]["level"], "INFO");
    let whole = format!("start{}end", "y".repeat(40_000));
    let stored = stored(&home);
    assert_eq!(messages(&stored, "before", "stdout"), ["out", &whole]);
    assert_eq!(messages(&stored, "terminal", "stdout"), ["first of tty", &whole]);
    assert!(stored.iter().all(|(_, _, message)| message != "unwanted"));
    assert!(router.stop().0.success());
}

#[test]
fn a_new_container_is_read_within_a_second_and_an_engine_that_is_started_again_is_found() {
    let mut engine = Engine::start();
    let home = Home::with(&configuration(&engine, ""));
    let router = home.start();
    engine.container("warm", &[], "echo warm");
    eventually("it is read", || stored(&home).len() == 1);
    let mut shortest = Duration::MAX;
    for number in 0..5 {
        let name = format!("new{number}");
        engine.container(&name, &[], "echo new; sleep 60");
        // The container runs; so much longer takes its line.
        let began = Instant::now();
        eventually("its line", || stored(&home).iter().any(|(container, ..)| *container == name));
        shortest = shortest.min(began.elapsed());
    }
    eprintln!("a new container's line is stored {shortest:?} after `docker run` returns");
    assert!(shortest < Duration::from_secs(1), "{shortest:?}");
    engine.stop();
    eventually("the router is degraded", || curl(&router, "/health", &[], b"").body.contains("source `containers`: "));
    engine.run();
    engine.docker(&["start", "new0"]);
    eventually("it is read again", || messages(&stored(&home), "new0", "stdout").len() == 2);
    eventually("the router is well", || curl(&router, "/health", &[], b"").body.contains("\"status\":\"ok\""));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let stored = stored(&home);
    assert_eq!(stored.len(), 1 + 5 + 1, "{stored:?}");
}

/// Lines with a number on both streams, some of them in parts.
const WRITER: &str = "i=0; while :; do i=$((i+1)); echo o $i; echo e $i >&2; \
     if [ $((i%15)) = 0 ]; then printf 'long %s ' $i; head -c 20000 /dev/zero | tr '\\0' y; echo; fi; sleep 0.03; done";

/// Checks that the lines of each run of the writer are there without a gap or a repetition.
fn are_whole(messages: &[String]) -> Result<(), String> {
    let mut last = 0_u64;
    for message in messages {
        // What remains of a long line is a piece of it, or the first line of the next run.
        let short = match message.strip_prefix("long ") {
            Some(long) => long.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ' || c == 'y'),
            None => message.trim_start_matches('y'),
        };
        if short.is_empty() {
            continue;
        }
        let number: u64 =
            short.get(2..).and_then(|number| number.parse().ok()).ok_or_else(|| format!("{message:?}"))?;
        if number != last + 1 && number != 1 {
            return Err(format!("{number} after {last}"));
        }
        last = number;
    }
    Ok(())
}

#[test]
fn containers_that_come_and_go_while_weir_is_killed_lose_nothing_that_the_engine_kept() {
    const CONTAINERS: usize = 50;
    const ALIVE: usize = 6;
    let engine = Engine::start();
    let home = Home::with(&configuration(&engine, ""));
    let mut random = Rng::with_seed(15);
    let (mut alive, mut stopped, mut removed) = (Vec::<String>::new(), Vec::<String>::new(), Vec::<String>::new());
    let (mut started, mut kills, mut restarts) = (0, 0, 0);
    let mut router = home.start();
    while started < CONTAINERS {
        let name = format!("c{started}");
        engine.container(&name, &[], WRITER);
        started += 1;
        alive.push(name);
        if alive.len() > ALIVE {
            let name = alive.swap_remove(random.usize(..alive.len()));
            engine.docker(&["stop", "--time", "0", &name]);
            stopped.push(name);
        }
        match random.u8(..6) {
            0 if !stopped.is_empty() => {
                let name = stopped.swap_remove(random.usize(..stopped.len()));
                engine.docker(&["start", &name]);
                restarts += 1;
                alive.push(name);
            }
            1 if !stopped.is_empty() => {
                let name = stopped.swap_remove(random.usize(..stopped.len()));
                engine.docker(&["rm", &name]);
                removed.push(name);
            }
            2 => {
                router.kill();
                kills += 1;
                // For a while, containers come and go without Weir.
                let name = format!("c{started}");
                engine.container(&name, &[], WRITER);
                started += 1;
                alive.push(name);
                router = home.start();
            }
            _ => sleep(Duration::from_millis(random.u64(..200))),
        }
    }
    for name in alive.drain(..) {
        engine.docker(&["stop", "--time", "0", &name]);
        stopped.push(name);
    }
    let due: BTreeMap<String, [Vec<String>; 2]> =
        stopped.iter().map(|name| (name.clone(), kept(&engine, name))).collect();
    let count: usize = due.values().flatten().map(Vec::len).sum();
    // Bytes, because a line that was cut counts as one or two.
    let bytes: usize = due.values().flatten().flatten().map(String::len).sum();
    eventually("everything is stored", || {
        let stored = stored(&home);
        let own = stored.iter().filter(|(name, ..)| due.contains_key(name));
        own.map(|(_, _, message)| message.len()).sum::<usize>() >= bytes
    });
    // What would come twice comes now.
    router.kill();
    let router = home.start();
    engine.container("last", &[], "echo o 1");
    eventually("the last is stored", || stored(&home).iter().any(|(name, ..)| name == "last"));
    let (status, said) = router.stop();
    assert!(status.success(), "{said}");
    let stored = stored(&home);
    eprintln!(
        "{started} containers, {restarts} started again, {} removed, {kills} kills of Weir: {count} lines kept by the engine",
        removed.len()
    );
    assert!(kills >= 3 && restarts >= 3 && removed.len() >= 3 && count > 1_000);
    for (name, [out, err]) in &due {
        for (stream, kept) in [("stdout", out), ("stderr", err)] {
            let messages = messages(&stored, name, stream);
            // `docker logs` joins a line that was cut by the end of a run with the first of the next.
            assert!(
                messages == *kept || messages.concat() == kept.concat(),
                "{name} {stream}:\n{messages:?}\n{kept:?}"
            );
        }
    }
    for name in &removed {
        for stream in ["stdout", "stderr"] {
            are_whole(&messages(&stored, name, stream)).unwrap_or_else(|error| panic!("{name} {stream}: {error}"));
        }
    }
}

#[test]
fn weir_in_a_container_does_not_collect_itself() {
    let engine = Engine::start();
    let home = Home::new();
    fs::create_dir(home.path("out")).unwrap();
    let text = "[sink.file]\ntype = \"file\"\npath = \"/out/all.jsonl\"\n[sink.console]\ntype = \"console\"\n\
                [source.containers]\ntype = \"docker\"\nsocket = \"/docker.sock\"\n";
    fs::write(home.path("out/weir.toml"), text).unwrap();
    let socket = format!("{}:/docker.sock", engine.socket().display());
    let binary = format!("{}:/weir:ro", env!("CARGO_BIN_EXE_weir"));
    let out = format!("{}:/out", home.path("out").display());
    let mounts = [&*socket, &binary, &out, "/usr/lib:/usr/lib:ro", "/usr/lib:/lib:ro", "/usr/lib64:/lib64:ro"];
    let mut options: Vec<&str> = mounts.iter().flat_map(|mount| ["--volume", mount]).collect();
    options.extend(["--env", "WEIR_LOG=trace"]);
    engine.container("weir", &options, "exec /weir run --config /out/weir.toml --data /out/data");
    engine.container("other", &[], "for i in $(seq 1 50); do echo other $i; sleep 0.02; done");
    let all = || fs::read_to_string(home.path("out/all.jsonl")).unwrap_or_default();
    let until = Instant::now() + super::router::PATIENCE;
    while all().lines().count() < 50 {
        assert!(Instant::now() < until, "{}\n{:?}", all(), kept(&engine, "weir"));
        sleep(Duration::from_millis(50));
    }
    engine.docker(&["stop", "weir"]);
    let sources: Vec<Value> =
        all().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["source"].clone()).collect();
    assert_eq!(sources, vec![json!("other"); 50]);
    // It had something to say that could have been collected.
    let [out, err] = kept(&engine, "weir");
    assert!(out.len() >= 50 && !err.is_empty());
}
