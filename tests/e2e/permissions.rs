//! Who may read Weir's files: only the owner, whatever the umask, and the group for log files elsewhere. Existing files
//! keep their mode; an existing data folder loses what others may do in it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::clients::{curl, post, run, sqlite};
use super::router::{Home, Router, eventually, module, weir};

const EVERYTHING: &str = r#"
[journal]
keep = "1h"
[encryption]
key = { file = "data.key" }
[[filter]]
name = "level"
module = "level.wasm"
[sink.store]
type = "sqlite"
path = "stores/logs.db"
[sink.lines]
type = "file"
path = "logs/{source}/out.jsonl"
[sink.within]
type = "file"
path = "weir-data/logs/{source}.jsonl"
[sink.numbers]
type = "prometheus"
rule = [{ name = "seen_total", type = "counter" }]
"#;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// A folder and everything below it, with the actual and the expected mode.
fn wrong(folder: &Path, of_folders: u32, of_files: u32) -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    let mut look = |path: &Path, wanted: u32| {
        if mode(path) != wanted {
            found.push((path.to_path_buf(), format!("{:o} is not {wanted:o}", mode(path))));
        }
    };
    while let Some(folder) = folders.pop() {
        look(&folder, of_folders);
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => look(&path, of_files),
            }
        }
    }
    found
}

/// A home with the configuration above, a filter and a key.
fn home() -> Home {
    let home = Home::with(EVERYTHING);
    home.put_filter("level", &std::fs::read(module("level")).unwrap());
    run(&mut under(&home, "000", "journal new-key data.key"));
    assert_eq!(mode(&home.path("data.key")), 0o600);
    home
}

/// Runs `weir` in a home with this umask.
fn under(home: &Home, umask: &str, arguments: &str) -> Command {
    let program = weir();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask}; exec \"$0\" {arguments}")]).arg(program.get_program());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.current_dir(home.path(""));
    command
}

fn start(home: &Home, umask: &str) -> Router {
    Router::start(under(home, umask, "run --listen 127.0.0.1:0 --config weir.toml"))
}

/// Lets the router summarise a file for searches: it must have a few blocks.
fn summarise(router: &Router, data: &Path) {
    let key = std::fs::read_to_string(data.join("replay.key")).unwrap();
    let with_key = |path: &str, arguments: &[&str], body: &str| {
        let authorization = format!("Authorization: Bearer {key}");
        let answer = curl(router, path, &[&["-H", &authorization], arguments].concat(), body.as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    let record = format!(r#"{{"message":"{}","source":"large"}}"#, "words ".repeat(200));
    let records = format!("[{}]", vec![record; 1500].join(","));
    with_key("/ingest", &["-H", "Content-Type: application/json", "--data-binary", "@-"], &records);
    let file = data.join("logs/large.jsonl");
    eventually("the file is written", || file.metadata().is_ok_and(|found| found.len() > 1500 * 1200));
    eventually("it is summarised", || {
        with_key("/api/logs?sink=within&query=absent", &[], "");
        data.join("search/within").read_dir().is_ok_and(|mut entries| entries.next().is_some())
    });
}

#[test]
fn only_the_owner_can_read_the_data_folder_and_the_group_can_read_logs_under_every_umask() {
    for umask in ["000", "022", "077", "277"] {
        let home = home();
        let router = start(&home, umask);
        assert_eq!(post(&router, r#"[{"message":"m","source":"api"}, 17]"#).json()["quarantined"], 1);
        let (data, logs) = (home.path("weir-data"), home.path("logs"));
        let database = data.join("stores/logs.db");
        let stored = || database.exists() && sqlite(&database, "select count(*) from logs") == "1";
        let counted = || data.join("sinks").read_dir().is_ok_and(|entries| entries.count() >= 2);
        eventually("all sinks have it", || stored() && counted() && logs.join("api/out.jsonl").exists());
        let address = router.url.trim_start_matches("http://");
        run(&mut under(&home, umask, &format!("levels set noisy=ERROR --config weir.toml --address {address}")));
        run(&mut under(&home, umask, "token new ops --role admin --data weir-data"));
        for file in [
            "stores/logs.db-wal",
            "stores/logs.db-shm",
            "logs/api.jsonl",
            "levels.json",
            "tokens.json",
            "replay.key",
            "cache",
            "quarantine",
            "versions",
            "journal/lock",
        ] {
            assert!(data.join(file).exists(), "{file} is looked at, too");
        }
        let replay = format!("quarantine replay --config weir.toml --address {address}");
        run(&mut under(&home, umask, &replay));
        run(&mut under(&home, umask, "journal replay --config weir.toml --sink store --from 1h"));
        assert_eq!(wrong(&data, 0o700, 0o600), [], "umask {umask}");
        assert_eq!(wrong(&logs, 0o750, 0o640), [], "umask {umask}");
        if umask == "000" {
            summarise(&router, &data);
            assert_eq!(wrong(&data, 0o700, 0o600), [], "with summaries");
        }
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
        assert_eq!(wrong(&data, 0o700, 0o600), [], "stopped, umask {umask}");
    }
}

#[test]
fn existing_files_keep_their_mode() {
    let home = home();
    let open = |path: &str, mode| {
        std::fs::set_permissions(home.path(path), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for folder in ["weir-data", "weir-data/quarantine", "weir-data/stores", "logs"] {
        std::fs::create_dir(home.path(folder)).unwrap();
        open(folder, 0o755);
    }
    std::fs::write(home.path("weir-data/stores/logs.db"), "").unwrap();
    open("weir-data/stores/logs.db", 0o640);
    let router = start(&home, "022");
    post(&router, r#"{"message":"m","source":"api"}"#);
    let database = home.path("weir-data/stores/logs.db");
    eventually("it is stored", || {
        database.metadata().unwrap().len() > 0 && sqlite(&database, "select count(*) from logs") == "1"
    });
    for folder in ["weir-data/quarantine", "weir-data/stores", "logs"] {
        assert_eq!(mode(&home.path(folder)), 0o755, "{folder}");
    }
    assert_eq!(mode(&home.path("weir-data")), 0o750, "others can't look into it any more");
    for file in ["logs.db", "logs.db-wal", "logs.db-shm"] {
        assert_eq!(mode(&home.path("weir-data/stores").join(file)), 0o640, "{file} is for the same people");
    }
    assert_eq!(mode(&home.path("weir-data/journal")), 0o700);
}
