//! Names of rotated files: `{filename}.{timestamp}.log`, and how to recognise them.
//!
//! The timestamp is the UTC time of the rotation to the microsecond, so names sort by age.
//!
//! **A value of a record never produces such a name** ([`neutralize`]), and the name alone doesn't make a file a rotated
//! one: only the file list does.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;
use weir_record::time::now_ns;

/// Suffix of compressed files.
pub const COMPRESSED: &str = ".zst";
const FORMAT: &str = "%Y%m%dT%H%M%S.%6fZ";
const STAMP_BYTES: usize = "20260101T000000.000000Z".len();

static STAMPED: LazyLock<Regex> = LazyLock::new(|| {
    // A constant, covered by the tests.
    Regex::new(r"(?P<day>\.[0-9]{8})T(?P<time>[0-9]{6}\.[0-9]{6}Z\.log)").expect("an expression")
});

/// The information in the name of a rotated file.
#[derive(Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The path before the rotation.
    pub live: PathBuf,
    /// The time of the rotation.
    pub at: SystemTime,
    /// The path without the suffix of compression.
    pub uncompressed: PathBuf,
}

/// Parses a name, whoever created the file.
pub fn read_name(path: &Path) -> Option<Rotated> {
    let text = path.to_str()?;
    let uncompressed = text.strip_suffix(COMPRESSED).unwrap_or(text);
    let text = uncompressed.strip_suffix(".log")?;
    let (live, stamp) = text.split_at_checked(text.len().checked_sub(STAMP_BYTES)?)?;
    let live = live.strip_suffix('.').filter(|live| !live.is_empty() && !live.ends_with('/'))?;
    let at = BrokenDownTime::parse(FORMAT, stamp).ok()?.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()?;
    let at = SystemTime::from(at.timestamp());
    Some(Rotated { live: live.into(), at, uncompressed: uncompressed.into() })
}

/// The text without anything that would make a name look like a rotated file's.
pub fn neutralize(name: &str) -> Cow<'_, str> {
    STAMPED.replace_all(name, "${day}_${time}")
}

/// An unused name for the rotated file, compressed or not.
pub fn free_name(path: &Path, taken: impl Fn(&Path) -> bool) -> PathBuf {
    let mut ns = now_ns();
    // Terminates: each step is one microsecond later, and no folder contains them all.
    loop {
        let name = name_at(path, ns);
        if !taken(&name) && !name.exists() && !with_ending(&name, COMPRESSED).exists() {
            return name;
        }
        ns += 1_000;
    }
}

fn name_at(path: &Path, ns: i64) -> PathBuf {
    // Every i64 of nanoseconds is a time, and the format is constant.
    let stamp = Timestamp::from_nanosecond(i128::from(ns))
        .and_then(|time| BrokenDownTime::from(&time.to_zoned(TimeZone::UTC)).to_string(FORMAT))
        .unwrap_or_else(|_| format!("{ns}"));
    with_ending(path, &format!(".{stamp}.log"))
}

/// The path with a suffix appended to its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_name_is_recognised_and_leads_back_to_its_file() {
        let live = Path::new("/logs/api.jsonl");
        let rotated = name_at(live, 1_700_000_000_123_456_789);
        assert_eq!(rotated, Path::new("/logs/api.jsonl.20231114T221320.123456Z.log"));
        let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_123_456);
        let expected = Rotated { live: live.into(), at, uncompressed: rotated.clone() };
        assert_eq!(read_name(&rotated).as_ref(), Some(&expected));
        assert_eq!(read_name(&with_ending(&rotated, COMPRESSED)), Some(expected));
        for other in [
            "/logs/api.jsonl",
            "/logs/api.jsonl.old",
            "/logs/api.jsonl.20231114T221320.123456Z.log.zst.new",
            "/logs/.20231114T221320.123456Z.log",
            "/logs/api.20231114T999920.123456Z.log",
            "/logs/é.log",
            ".log",
        ] {
            assert_eq!(read_name(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_neutralized_name_is_not_a_rotated_files_and_others_are_unchanged() {
        for name in [
            "api.log.20991231T000000.000000Z.log",
            "api.log.20991231T000000.000000Z.log.zst",
            "api.log.20991231T000000.000000Z.log.zst.new",
            "a.20991231T000000.000000Z.log.20991231T000000.000000Z.log",
        ] {
            let disarmed = neutralize(name);
            assert_ne!(disarmed, name);
            assert_eq!(neutralize(&disarmed), disarmed, "nothing is left");
            assert_eq!(read_name(Path::new(&*format!("/{disarmed}"))), None);
        }
        for name in ["api.log", "2026-11-28.jsonl", "20991231T000000.000000Z.jsonl"] {
            assert_eq!(neutralize(name), name);
        }
    }

    #[test]
    fn names_chosen_in_the_same_microsecond_differ() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let live = folder.path().join("a.log");
        let mut taken = std::collections::HashSet::new();
        for _ in 0..100 {
            let name = free_name(&live, |name| taken.contains(name));
            assert!(taken.insert(name));
        }
    }
}
