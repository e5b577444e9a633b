//! Bodies that are small and mean much.

use std::process::Command;

use super::{Cost, Target};
use crate::clients::run;

#[test]
fn bombs_are_stopped_at_the_limit() {
    let target = Target::new("2 GB of zeros as gzip and zstd, 8 at a time");
    for (encoding, tool) in [("gzip", "gzip -1"), ("zstd", "zstd -1")] {
        let bomb = run(Command::new("sh").args(["-c", &format!("head -c 2000000000 /dev/zero | {tool}")])).stdout;
        let header = format!("Content-Encoding: {encoding}");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let status = target.post(&["Content-Type: application/json", &header], &bomb).status;
                    assert!(status == 413 || status == 503, "{encoding}: {status}");
                });
            }
        });
        assert_eq!(target.post(&["Content-Type: application/json", &header], &bomb).status, 413, "{encoding}");
    }
    target.ends("413, or 503 while too many bytes are in flight", Cost { mib: 900, descriptors: 30 });
}

#[test]
fn deep_and_wide_values_are_quarantined_or_refused() {
    let target = Target::new("16 MiB of `[`, a million keys, keys and values of 1 MB");
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n}\":1")).collect();
    let key = "k".repeat(1_000_000);
    for (name, body) in [
        ("opening brackets", "[".repeat(16 << 20)),
        ("brackets in a field", format!("{{\"message\":\"deep\",\"x\":{}}}", "[".repeat(16_000_000))),
        ("a million keys", format!("{{\"message\":\"wide\",{}}}", keys.join(","))),
        ("a key of a megabyte", format!("{{\"message\":\"long\",\"{key}\":1}}")),
        ("a number of a megabyte", format!("{{\"message\":\"long\",\"x\":{}}}", "9".repeat(1_000_000))),
        ("a million escapes", format!("{{\"message\":\"{}\"}}", "\\u0000".repeat(1_000_000))),
        ("half of a surrogate", r#"{"message":"\ud800"}"#.repeat(100_000)),
    ] {
        let answer = target.post(&["Content-Type: application/json"], body.as_bytes());
        assert!([200, 207, 400, 413, 422].contains(&answer.status), "{name}: {answer:?}");
        assert!(answer.body.len() < 10_000, "{name}: an answer of {} bytes", answer.body.len());
    }
    target.ends("400, or quarantined", Cost { mib: 400, descriptors: 30 });
}

#[test]
fn messagepack_that_promises_more_than_it_has_is_refused() {
    let target = Target::new("MessagePack that claims 4 GiB, or nests 16 million deep");
    for (name, body) in [
        ("a string", b"\x81\xa7message\xdb\xff\xff\xff\xff".to_vec()),
        ("an array", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("a map", b"\xdf\xff\xff\xff\xff".to_vec()),
        ("binary", b"\x81\xa1x\xc6\xff\xff\xff\xff".to_vec()),
        ("an extension", b"\x81\xa1x\xc9\xff\xff\xff\xff\x01".to_vec()),
        ("deep arrays", vec![0x91; 16_000_000]),
        ("deep maps", b"\x81\xa1x".repeat(5_000_000)),
    ] {
        let answer = target.post(&["Content-Type: application/msgpack"], &body);
        assert!([200, 207, 400, 422].contains(&answer.status), "{name}: {answer:?}");
    }
    target.ends("400, or quarantined", Cost { mib: 200, descriptors: 30 });
}
