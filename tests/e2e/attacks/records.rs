//! Values that become names of files, lines, cells and text on a terminal.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Cost, Target};
use crate::clients::{curl, run};
use crate::router::{eventually, weir};

const PATHS: &str = "[sink.files]\ntype = \"file\"\npath = \"out/{source}/{context.tenant}.jsonl\"\n";

fn send(target: &Target, records: &[Value]) {
    let body = serde_json::to_vec(records).unwrap();
    let answer = target.post(&["Content-Type: application/json"], &body);
    assert_eq!(answer.body, format!("{{\"accepted\":{}}}", records.len()), "{answer:?}");
}

/// The files of the sink, and their number of records of attackers.
fn written(target: &Target) -> Vec<(PathBuf, usize)> {
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().filter(|line| line.contains("hostile")).count();
    let outside = ["weir.toml", "weir-data", "filters"].map(|name| target.home.path(name));
    let files =
        target.home.files().into_iter().filter(|(path, _)| !outside.iter().any(|other| path.starts_with(other)));
    files.map(|(path, bytes)| (path, lines(&bytes))).collect()
}

#[test]
fn sources_without_end_make_a_bounded_number_of_files() {
    let target = Target::with("100,000 sources, each in the path of a file", PATHS);
    for batch in 0..100 {
        let records: Vec<Value> = (0..1000)
            .map(|n| json!({ "source": format!("s-{batch}-{n}"), "message": "hostile", "context": { "tenant": n } }))
            .collect();
        send(&target, &records);
    }
    eventually("every record is written", || written(&target).iter().map(|file| file.1).sum::<usize>() == 100_000);
    let files = written(&target).len();
    target.ends(&format!("{files} files; further records share one"), Cost { mib: 200, descriptors: 200 });
    // `max_new_files` a day, and the one for all others.
    assert!(files <= 10_001, "{files} files");
}

#[test]
fn values_in_paths_stay_below_the_folder() {
    let target = Target::with("values in paths: parents, absolute paths, NUL, names of 5,000 bytes", PATHS);
    let long = "n".repeat(5000);
    let parts = [
        "..",
        ".",
        "",
        "/",
        "//",
        "../../escaped",
        "/tmp/escaped",
        "a/../../b",
        "..\\..\\escaped",
        "C:\\escaped",
        "a\0b",
        "a\nb",
        "~",
        "~root",
        "$HOME",
        "%2e%2e%2f",
        "\u{ff0e}\u{ff0e}",
        "{source}",
        "%Y",
        "-rf",
        "weir.toml",
        ".ssh",
        "CON",
        "*",
        " ",
        "\u{202e}",
        &long,
    ];
    let mut records = Vec::new();
    for source in parts {
        records.extend(
            parts.map(|tenant| json!({ "source": source, "message": "hostile", "context": { "tenant": tenant } })),
        );
    }
    send(&target, &records);
    let sum = || written(&target).iter().map(|file| file.1).sum::<usize>();
    eventually("every record is written below the folder", || sum() == records.len());
    let folder = target.home.path("out");
    for (path, _) in written(&target) {
        let below = path.strip_prefix(&folder).unwrap_or_else(|_| panic!("outside: {}", path.display()));
        assert_eq!(below.components().count(), 2, "{}", below.display());
        let name = below.as_os_str().to_str().expect("text");
        assert!(!name.contains(|c: char| c.is_control() || c == '\u{202e}'), "{name:?}");
    }
    target.ends("every file is in the folder", Cost { mib: 30, descriptors: 200 });
}

/// What a terminal would obey, and what looks like another line.
const FORGED: &str = "\x1b]0;owned\x07\x1b[2J\x1b[31m\r\n2026-01-01T00:00:00Z ERROR forged\u{9b}2J\u{202e}gpj.exe\u{2066}\u{2028}\u{85}\x08\x7f";

fn is_harmless(text: &str) -> bool {
    !text.contains(|c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    }) && !text.lines().any(|line| line.contains("forged") && line.starts_with("2026-01-01"))
}

#[test]
fn terminals_and_lines_are_not_forged() {
    let configuration = "[sink.console]\ntype = \"console\"\n[sink.text]\ntype = \"file\"\nformat = \"text\"\npath = \"text.log\"\n\
                         template = \"{timestamp} {level} {source} {message} {fields}\"\n[sink.db]\ntype = \"sqlite\"\n";
    let target = Target::with("escape sequences, line breaks and bidirectional marks in every field", configuration);
    send(
        &target,
        &[
            json!({ "source": FORGED, "message": FORGED, "hostname": FORGED, "context": { FORGED: FORGED }, FORGED: [FORGED] }),
        ],
    );
    eventually("it is printed", || target.router.stdout().contains("gpj.exe"));
    assert!(is_harmless(&target.router.stdout()), "{:?}", target.router.stdout());
    let text = || std::fs::read_to_string(target.home.path("text.log")).unwrap_or_default();
    eventually("it is written", || text().contains("gpj.exe"));
    let lines: Vec<_> = text().lines().map(str::to_owned).filter(|line| line.contains("gpj.exe")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for command in [
        &["tail", "-n", "10", "--address", target.address()][..],
        &["query", "gpj.exe"],
        &["query", "gpj.exe", "--format", "csv"],
    ] {
        let mut weir = weir();
        weir.current_dir(target.home.path("")).args(command);
        let printed = String::from_utf8(run(&mut weir).stdout).unwrap();
        assert!(printed.contains("gpj.exe"), "{command:?}: {printed}");
        // CSV is a format for programs, and contains what the record contains.
        assert!(command.contains(&"csv") || is_harmless(&printed), "{command:?}: {printed:?}");
    }
    // What senders choose, and the router may log.
    for path in [
        "/%0d%0a2026-01-01%20forged",
        "/api/logs?query=%22%0d%0a2026-01-01%20forged%1b[2J",
        "/ingest?level=%0a2026-01-01%20forged",
    ] {
        curl(&target.router, path, &["--globoff", "-H", "User-Agent: \x1b[2Jforged"], b"");
    }
    assert!(is_harmless(&target.router.stderr()), "{:?}", target.router.stderr());
    target.ends("escaped, one line each", Cost { mib: 30, descriptors: 30 });
}

#[test]
fn cells_of_an_export_are_no_formulas() {
    let target = Target::new("formulas in an export as CSV");
    let formulas = ["=HYPERLINK(\"http://x\")", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"];
    send(
        &target,
        &formulas.map(|formula| json!({ "source": formula, "message": formula, "context": { formula: formula } })),
    );
    let exported = || curl(&target.router, "/api/export?format=csv&query=-source:honest", &[], b"").body;
    eventually("all are stored", || exported().matches("HYPERLINK").count() == 4 && exported().contains("SUM"));
    let script = "
import csv, sys
rows = list(csv.reader(sys.stdin))[1:]
assert len(rows) == 6, rows
for row in rows:
    for cell in row:
        assert cell[0] not in '=+-@\\t\\r', cell
print('no formulas')
";
    let file = target.home.path("logs.csv");
    std::fs::write(&file, exported()).unwrap();
    let mut python = crate::clients::python();
    let output = python.args(["-c", script]).stdin(std::fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.ends("an apostrophe precedes them", Cost { mib: 30, descriptors: 10 });
}
