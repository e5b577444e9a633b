//! The cases of the bench.

use crate::arrived::Destination;
use crate::records::Encoding;

/// A benchmark case: records, filters and sink.
pub struct Case {
    pub name: &'static str,
    pub summary: &'static str,
    pub batch: usize,
    pub encoding: Encoding,
    pub records: u64,
    pub arrives_in: Destination,
    pub drops_debug: bool,
    /// Whether other routers can run it.
    pub peers: bool,
    /// Whether latencies are measured at half load instead of full load.
    pub latency: bool,
    filters: &'static str,
    sink: &'static str,
}

/// The configuration of cases with a report: masking, to a file.
pub const MASKING: &str = r#"
data = "data"
filters_folder = "filters"
[[filter]]
name = "redact"
module = "bundled:redact"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

const REDACT: &str = r#"
[[filter]]
name = "level"
module = "bundled:level"
[[filter]]
name = "redact"
module = "bundled:redact"
"#;

const FILE: &str = r#"
[sink.out]
type = "file"
path = "out.jsonl"
"#;

const SQLITE: &str = r#"
[sink.db]
type = "sqlite"
"#;

const JSON_FILE: Case = Case {
    name: "json-100",
    summary: "JSON arrays of 100, masked in WASM, DEBUG dropped, fsynced, to a file",
    batch: 100,
    encoding: Encoding::Json,
    records: 600_000,
    arrives_in: Destination::Lines,
    drops_debug: true,
    peers: true,
    latency: false,
    filters: REDACT,
    sink: FILE,
};

/// All cases, in the order in which they run.
pub const CASES: &[Case] = &[
    JSON_FILE,
    Case { name: "json-1000", summary: "the same, arrays of 1,000", batch: 1000, ..JSON_FILE },
    Case {
        name: "json-100-no-filter",
        summary: "JSON arrays of 100, no filter, fsynced, to a file",
        drops_debug: false,
        filters: "filter = []",
        ..JSON_FILE
    },
    Case {
        name: "json-1000-no-filter",
        summary: "the same, arrays of 1,000",
        batch: 1000,
        drops_debug: false,
        filters: "filter = []",
        ..JSON_FILE
    },
    Case {
        name: "msgpack-100",
        summary: "MessagePack arrays of 100, masked in WASM, DEBUG dropped, fsynced, to a file",
        encoding: Encoding::MessagePack,
        peers: false,
        ..JSON_FILE
    },
    Case {
        name: "json-1",
        summary: "one JSON record a request, masked in WASM, DEBUG dropped, fsynced, to a file",
        batch: 1,
        records: 60_000,
        ..JSON_FILE
    },
    Case {
        name: "sqlite-100",
        summary: "JSON arrays of 100, masked in WASM, DEBUG dropped, to SQLite with search index",
        records: 200_000,
        arrives_in: Destination::Rows,
        peers: false,
        sink: SQLITE,
        ..JSON_FILE
    },
    Case {
        name: "latency-100",
        summary: "json-100 with latencies at half load",
        latency: true,
        records: 200_000,
        ..JSON_FILE
    },
];

impl Case {
    /// The router's configuration for this case. Paths are relative to its folder.
    pub fn configuration(&self) -> String {
        format!("data = \"data\"\nfilters_folder = \"filters\"\n{}\n{}", self.filters, self.sink)
    }
}
