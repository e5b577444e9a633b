//! Who may read Weir's files: only the owner, whatever the umask, and the group for log files. Existing files keep
//! their mode.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::clients::{post, run, sqlite};
use super::router::{Home, Router, eventually, module, weir};

const EVERYTHING: &str = r#"
[journal]
keep = "1h"
[[filter]]
name = "level"
module = "level.wasm"
[sink.store]
type = "sqlite"
path = "stores/logs.db"
[sink.lines]
type = "file"
path = "logs/{source}/out.jsonl"
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

#[test]
fn only_the_owner_can_read_the_data_folder_and_the_group_can_read_logs_under_every_umask() {
    for umask in ["000", "022", "077", "277"] {
        let home = Home::with(EVERYTHING);
        home.put_filter("level", &std::fs::read(module("level")).unwrap());
        let router = start(&home, umask);
        assert_eq!(post(&router, r#"[{"message":"m","source":"api"}, 17]"#).json()["quarantined"], 1);
        let (data, logs) = (home.path("weir-data"), home.path("logs"));
        let database = data.join("stores/logs.db");
        let stored = || database.exists() && sqlite(&database, "select count(*) from logs") == "1";
        let counted = || data.join("sinks").read_dir().is_ok_and(|entries| entries.count() >= 2);
        eventually("all sinks have it", || stored() && counted() && logs.join("api/out.jsonl").exists());
        for file in ["stores/logs.db-wal", "stores/logs.db-shm", "cache", "quarantine", "versions", "journal/lock"] {
            assert!(data.join(file).exists(), "{file} is looked at, too");
        }
        let address = router.url.trim_start_matches("http://");
        let replay = format!("quarantine replay --config weir.toml --address {address}");
        run(&mut under(&home, umask, &replay));
        run(&mut under(&home, umask, "journal replay --config weir.toml --sink store --from 1h"));
        assert_eq!(wrong(&data, 0o700, 0o600), [], "umask {umask}");
        assert_eq!(wrong(&logs, 0o750, 0o640), [], "umask {umask}");
        let (status, said) = router.stop();
        assert!(status.success(), "{said}");
        assert_eq!(wrong(&data, 0o700, 0o600), [], "stopped, umask {umask}");
    }
}

#[test]
fn existing_files_keep_their_mode() {
    let home = Home::with(EVERYTHING);
    home.put_filter("level", &std::fs::read(module("level")).unwrap());
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
    for folder in ["weir-data", "weir-data/quarantine", "weir-data/stores", "logs"] {
        assert_eq!(mode(&home.path(folder)), 0o755, "{folder}");
    }
    for file in ["logs.db", "logs.db-wal", "logs.db-shm"] {
        assert_eq!(mode(&home.path("weir-data/stores").join(file)), 0o640, "{file} is for the same people");
    }
    assert_eq!(mode(&home.path("weir-data/journal")), 0o700);
}
