//! Names of rotated files: `{filename}.{timestamp}.log`, and how to know them again.
//!
//! The timestamp is the UTC time of the rotation to the microsecond, so names sort by age.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use regex::Regex;
use weir_record::time::now_ns;

/// Ending of compressed files.
pub const COMPRESSED: &str = ".zst";
const STAMP: &str = r"\d{8}T\d{6}\.\d{6}Z";

/// What a file of the sink is.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// Written to, now or once.
    Live,
    /// Rotated away from the live file of that path at that time.
    Rotated { live: PathBuf, stamp: String, compressed: bool },
}

/// Tells the files of a template.
#[derive(Debug)]
pub struct Names {
    live: Regex,
    rotated: Regex,
}

impl Names {
    /// For paths that match `pattern`.
    pub fn new(pattern: &str) -> Result<Names, String> {
        let regex = |text: String| Regex::new(&text).map_err(|error| format!("path: {error}"));
        Ok(Names {
            live: regex(format!("^{pattern}$"))?,
            rotated: regex(format!(r"^(?P<live>{pattern})\.(?P<stamp>{STAMP})\.log(?P<zst>\.zst)?$"))?,
        })
    }

    /// What a path is; none when it is not the sink's.
    pub fn role(&self, path: &Path) -> Option<Role> {
        let text = path.to_str()?;
        if let Some(found) = self.rotated.captures(text) {
            return Some(Role::Rotated {
                live: found["live"].into(),
                stamp: found["stamp"].into(),
                compressed: found.name("zst").is_some(),
            });
        }
        self.live.is_match(text).then_some(Role::Live)
    }
}

/// A name for the rotated file that nothing has, compressed or not.
pub fn free_name(path: &Path, taken: impl Fn(&Path) -> bool) -> PathBuf {
    let mut ns = now_ns();
    // Ends: each step is another microsecond, and a folder can't hold them all.
    loop {
        let name = name_at(path, ns);
        if !taken(&name) && !name.exists() && !with_ending(&name, COMPRESSED).exists() {
            return name;
        }
        ns += 1_000;
    }
}

fn name_at(path: &Path, ns: i64) -> PathBuf {
    // Every i64 of nanoseconds is a time, and the format is fixed.
    let stamp = Timestamp::from_nanosecond(i128::from(ns))
        .and_then(|time| BrokenDownTime::from(&time.to_zoned(TimeZone::UTC)).to_string("%Y%m%dT%H%M%S.%6fZ"))
        .unwrap_or_else(|_| format!("{ns}"));
    with_ending(path, &format!(".{stamp}.log"))
}

/// The path with something after its name.
pub fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_name_is_known_again_and_leads_back_to_its_file() {
        let names = Names::new(r"/logs/[^/]+\.jsonl").expect("an expression");
        let live = Path::new("/logs/api.jsonl");
        let rotated = name_at(live, 1_700_000_000_123_456_789);
        assert_eq!(rotated, Path::new("/logs/api.jsonl.20231114T221320.123456Z.log"));
        let role =
            |compressed| Role::Rotated { live: live.into(), stamp: "20231114T221320.123456Z".into(), compressed };
        assert_eq!(names.role(&rotated), Some(role(false)));
        assert_eq!(names.role(&with_ending(&rotated, COMPRESSED)), Some(role(true)));
        assert_eq!(names.role(live), Some(Role::Live));
        for foreign in
            ["/logs/api.jsonl.old", "/logs/x/api.jsonl", "/logs/api.jsonl.20231114T221320.123456Z.log.zst.new"]
        {
            assert_eq!(names.role(Path::new(foreign)), None, "{foreign}");
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
