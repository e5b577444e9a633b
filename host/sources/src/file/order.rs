//! Which files are generations of one log, so that an older one is read before a newer one.
//!
//! `app.log`, `app.log.1`, `app.log-20240131.gz` and `app.log.old` are. A number before the last dot, as in
//! `worker-2.log`, is part of the name, unless it is a date.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::bytes::Regex;

/// The log that a file belongs to: its path without what rotation adds.
pub(super) fn log_of(path: &Path) -> PathBuf {
    // A date, perhaps with a time; then what is at the end.
    static DATE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u)[-._]?[0-9]{4}[-._]?[0-9]{2}[-._]?[0-9]{2}(?:[-._T]?[0-9]{1,12})*").ok());
    static END: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?-u)(?:[-._](?:[0-9]+|old|bak|gz|zst|GZ|ZST))+\z").ok());
    let mut name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    for regex in [&DATE, &END].into_iter().filter_map(|regex| regex.as_ref()) {
        name = regex.replace_all(&name, &b""[..]).into_owned();
    }
    path.with_file_name(std::ffi::OsStr::from_bytes(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_adds_to_the_name_of_a_log() {
        for name in
            ["app.log", "app.log.1", "app.log.12.gz", "app.log-20240131.zst", "app-2024-01-31.log", "app.log.old"]
        {
            assert_eq!(log_of(&Path::new("/l").join(name)), Path::new("/l/app.log"), "{name}");
        }
        assert_eq!(log_of(Path::new("/l/app-2024-01-31T10-22-07.123.log.gz")), Path::new("/l/app.log"));
        for name in ["worker-1.log", "run_002.txt", "app2.log"] {
            assert_eq!(log_of(&Path::new("/l").join(name)), Path::new("/l").join(name));
        }
    }
}
