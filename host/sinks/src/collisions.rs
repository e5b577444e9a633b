//! Finds sinks that would always write to the same file, before any of them starts.
//!
//! Paths that are equal only for certain values of records are kept apart at run time (`owners.rs`).

use std::path::PathBuf;

use serde_json::Value;

use crate::owners::real;
use crate::registry::{BuildContext, options};
use crate::{file, sqlite};

/// One configured sink: its name, its kind, and its options.
pub type Configured<'a> = (&'a str, &'a str, &'a Value);

/// For each sink that writes to a file of an earlier one: its index, and what to do about it. With `resolve`, symbolic
/// links are followed; without it, the disk is not touched.
pub fn collisions(sinks: &[Configured<'_>], context: &BuildContext, resolve: bool) -> Vec<(usize, String)> {
    let places: Vec<Vec<Place>> = sinks.iter().map(|sink| places(sink, context, resolve)).collect();
    let mut found = Vec::new();
    for (at, own) in places.iter().enumerate() {
        let meets = |other: &[Place]| own.iter().find(|place| other.iter().any(|other| place.meets(other))).cloned();
        let first = places[..at].iter().enumerate().find_map(|(other, places)| Some((other, meets(places)?)));
        if let Some((other, place)) = first {
            found.push((
                at,
                format!(
                    "sinks `{}` and `{}` both write to `{}`; give one of them another `path`, or combine them into one sink",
                    sinks[other].0,
                    sinks[at].0,
                    place.path.display()
                ),
            ));
        }
    }
    found
}

#[derive(Clone)]
struct Place {
    path: PathBuf,
    /// Several sinks may write to the same database.
    is_database: bool,
}

impl Place {
    fn meets(&self, other: &Place) -> bool {
        self.path == other.path && !(self.is_database && other.is_database)
    }
}

/// The files that a sink writes. Invalid options name none; they are reported elsewhere.
fn places(&(name, kind, given): &Configured<'_>, context: &BuildContext, resolve: bool) -> Vec<Place> {
    let (paths, is_database) = match kind {
        "file" => {
            let outlines = options(name, given.clone()).and_then(|options| file::outlines(&options, context));
            (outlines.unwrap_or_default(), false)
        }
        "sqlite" => {
            let place = options(name, given.clone()).map(|options| sqlite::place(&options, context));
            (place.into_iter().flat_map(with_companions).collect(), true)
        }
        _ => (Vec::new(), false),
    };
    let place = |path: PathBuf| {
        let path = if resolve { real(&path) } else { std::path::absolute(&path).unwrap_or(path) };
        Place { path, is_database }
    };
    paths.into_iter().map(place).collect()
}

/// A database and the files that SQLite keeps beside it.
fn with_companions(path: PathBuf) -> Vec<PathBuf> {
    let beside = |ending: &str| -> PathBuf {
        [path.as_os_str(), ending.as_ref()].into_iter().collect::<std::ffi::OsString>().into()
    };
    ["", "-wal", "-shm", "-journal"].map(beside).to_vec()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn found(folder: &Path, sinks: &[(&str, Value)], resolve: bool) -> Vec<usize> {
        let context = BuildContext { data: folder.join("data"), base: folder.into(), ..Default::default() };
        let names: Vec<String> = (0..sinks.len()).map(|n| format!("s{n}")).collect();
        let sinks: Vec<_> =
            sinks.iter().zip(&names).map(|((kind, given), name)| (name.as_str(), *kind, given)).collect();
        collisions(&sinks, &context, resolve).into_iter().map(|(at, _)| at).collect()
    }

    #[test]
    fn certain_collisions_are_found_and_possible_ones_are_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |path: &str| ("file", json!({ "path": path }));
        let database = |path: &str| ("sqlite", json!({ "path": path }));
        for (first, second, meet) in [
            (file("a.log"), file("a.log"), true),
            (file("a.log"), file("./a.log"), true),
            (file("{source}/%Y-%m-%d.log"), file("{source}/%F.log"), true),
            (file("{source}.log"), file("{source}.log"), true),
            (file("{source}.log"), file("audit.log"), false),
            (file("{source}.log"), file("{level}.log"), false),
            (file("%Y.log"), file("%Y-%m.log"), false),
            (file("data/logs.db"), database("logs.db"), true),
            (file("data/logs.db-wal"), database("logs.db"), true),
            (database("logs.db"), database("logs.db"), false),
            (file("a.log"), ("file", json!({ "path": 1 })), false),
            (file("a.log"), ("console", json!({})), false),
        ] {
            let expected: &[usize] = if meet { &[1] } else { &[] };
            for resolve in [true, false] {
                assert_eq!(
                    found(folder.path(), &[first.clone(), second.clone()], resolve),
                    expected,
                    "{first:?} {second:?}"
                );
            }
        }
    }

    #[test]
    fn two_paths_of_one_file_are_found_through_a_link() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("logs")).expect("writable");
        std::os::unix::fs::symlink("logs", folder.path().join("link")).expect("linked");
        let file = |path: &str| ("file", json!({ "path": path }));
        assert_eq!(found(folder.path(), &[file("logs/a.log"), file("link/a.log")], true), [1]);
        assert_eq!(found(folder.path(), &[file("logs/a.log"), file("link/a.log")], false), [] as [usize; 0]);
    }
}
