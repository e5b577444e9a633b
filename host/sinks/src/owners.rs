//! Which sink of this process owns a file. With two writers, each would truncate the other's lines after a crash.
//!
//! A file is identified by its real path, with symbolic links resolved. It belongs to
//! 1. the sink that **reserves** it: one whose path is fixed, a database, Weir's own folders; against sinks whose paths
//!    contain values of records, also one whose path depends on the time alone;
//! 2. otherwise the sink that **claimed** it: the one whose position record names the file, because it would truncate
//!    the file after a crash, or the first to ask. A claim ends when the position record no longer names the file.
//!
//! Claims of position records are read before any sink claims a new file, so the order in which sinks start does not
//! matter. Other processes are not considered: configure different files for two routers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex::Regex;

use crate::file::Rewrites;
use crate::limits;

/// Folders in the data folder that only Weir itself writes to.
const OWN_FOLDERS: [&str; 5] = ["journal", "quarantine", "sinks", "cache", "versions"];

/// The file owners of all sinks. Clones share them.
#[derive(Clone, Default)]
pub struct Owners {
    inner: Arc<Mutex<Inner>>,
    rewrites: Rewrites,
}

#[derive(Default)]
struct Inner {
    next_id: u64,
    /// Incremented by every reservation.
    generation: u64,
    /// In the order in which the sinks were created: the first match decides.
    reserved: Vec<Reserved>,
    /// By real path.
    claimed: HashMap<PathBuf, Claim>,
    /// Names of the sinks that have position records; `None` until they are known.
    configured: Option<BTreeSet<String>>,
    primed: bool,
    checked: HashSet<PathBuf>,
}

struct Reserved {
    id: u64,
    sink: String,
    files: Files,
    is_exact: bool,
}

/// The files that a sink reserves.
pub(crate) enum Reserves {
    /// None: values of records name its files.
    Nothing,
    /// Files whose paths are fixed.
    Exactly(Files),
    /// Files whose paths depend on the time alone.
    ByTime(Files),
}

struct Claim {
    /// Id of the owner; 0 if it has not started yet.
    id: u64,
    sink: String,
}

/// A set of paths.
pub(crate) struct Files {
    root: PathBuf,
    /// Matches the path below the root.
    below: Regex,
}

impl Files {
    /// All files below `root` whose relative path matches `pattern` as a whole.
    pub fn new(root: &Path, pattern: &str) -> Result<Files, String> {
        let below = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("path: {error}"))?;
        Ok(Files { root: root.into(), below })
    }

    /// True if the set contains this real path.
    pub fn has(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.root).ok().or_else(|| path.strip_prefix(real(&self.root)).ok());
        below.and_then(Path::to_str).is_some_and(|text| self.below.is_match(text))
    }
}

impl Owners {
    /// Sets the names of the configured sinks, after removed sinks have stopped. A sink that continues with the files
    /// of a removed sink takes over its position record.
    pub fn configure(&self, names: impl Iterator<Item = String>) {
        self.lock().configured = Some(names.collect());
    }

    /// When files of sinks were rewritten.
    pub(crate) fn rewrites(&self) -> Rewrites {
        self.rewrites.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a sink with its reservations. `data` is the data folder.
    pub(crate) fn register(&self, sink: &str, data: &Path, reserves: Reserves) -> Owner {
        let mut inner = self.lock();
        inner.next_id += 1;
        let id = inner.next_id;
        let claimant = |by_value| Claimant { owners: self.clone(), sink: sink.into(), data: data.into(), by_value };
        let (claimant, files) = match reserves {
            Reserves::Nothing => (claimant(true), None),
            Reserves::Exactly(files) => (claimant(false), Some((files, true))),
            Reserves::ByTime(files) => (claimant(false), Some((files, false))),
        };
        inner.generation += u64::from(files.is_some());
        inner.reserved.extend(files.map(|(files, is_exact)| Reserved { id, sink: sink.into(), files, is_exact }));
        Owner { claimant, id, held: HashMap::new(), generation: inner.generation }
    }

    /// True for a path that has not been checked off.
    pub(crate) fn is_unchecked(&self, path: &Path) -> bool {
        !self.lock().checked.contains(&real(path))
    }

    /// See [`Owners::is_unchecked`].
    pub(crate) fn check_off(&self, path: &Path) {
        self.lock().checked.insert(real(path));
    }
}

/// Asks about files on behalf of a sink.
#[derive(Clone)]
pub(crate) struct Claimant {
    owners: Owners,
    sink: String,
    data: PathBuf,
    by_value: bool,
}

impl Claimant {
    /// True if a path belongs to another sink.
    pub fn belongs_to_other(&self, path: &Path) -> bool {
        let real_path = real(path);
        let inner = self.owners.lock();
        self.other_reserving(&inner, &real_path).is_some()
            || inner.claimed.get(&real_path).is_some_and(|claim| claim.sink != self.sink)
    }

    /// Runs `work` if no sink has claimed the file. None can claim it meanwhile.
    pub fn unless_claimed(&self, path: &Path, work: impl FnOnce()) {
        let real_path = real(path);
        let inner = self.owners.lock();
        if !inner.claimed.contains_key(&real_path) {
            work();
        }
    }

    fn other_reserving(&self, inner: &Inner, path: &Path) -> Option<String> {
        if let Ok(below) = path.strip_prefix(real(&self.data))
            && OWN_FOLDERS.iter().any(|folder| below.starts_with(folder))
        {
            return Some("Weir itself".into());
        }
        let binds = |reserved: &&Reserved| (reserved.is_exact || self.by_value) && reserved.files.has(path);
        let first = inner.reserved.iter().find(binds)?;
        (first.sink != self.sink).then(|| format!("sink `{}`", first.sink))
    }
}

/// A sink as an owner of files. Dropping it ends its claims and reservations.
pub(crate) struct Owner {
    claimant: Claimant,
    id: u64,
    /// Claimed files: from the path as written to the real path.
    held: HashMap<PathBuf, PathBuf>,
    generation: u64,
}

impl Owner {
    /// The sink's name.
    pub fn sink(&self) -> &str {
        &self.claimant.sink
    }

    /// A handle to ask about files on behalf of this sink.
    pub fn claimant(&self) -> Claimant {
        self.claimant.clone()
    }

    /// Runs `work` while no sink claims anything, with the names of the configured sinks; `None` if they are not known.
    pub fn alone<T>(&self, work: impl FnOnce(Option<&BTreeSet<String>>) -> T) -> T {
        work(self.claimant.owners.lock().configured.as_ref())
    }

    /// Once per process: claims the files that position records name, for their sinks.
    pub fn claim_recorded_files(&self, records: impl FnOnce(&BTreeSet<String>) -> Vec<(String, Vec<PathBuf>)>) {
        let mut inner = self.claimant.owners.lock();
        if std::mem::replace(&mut inner.primed, true) {
            return;
        }
        let configured = inner.configured.clone().unwrap_or_default();
        for (sink, files) in records(&configured) {
            for file in files {
                inner.claimed.entry(real(&file)).or_insert_with(|| Claim { id: 0, sink: sink.clone() });
            }
        }
    }

    /// Claims a file; on failure, returns its owner.
    pub fn claim(&mut self, path: &Path) -> Result<(), String> {
        let real_path = real(path);
        let mut inner = self.claimant.owners.lock();
        if let Some(other) = self.claimant.other_reserving(&inner, &real_path) {
            return Err(other);
        }
        match inner.claimed.get(&real_path) {
            Some(claim) if claim.sink != self.claimant.sink => return Err(format!("sink `{}`", claim.sink)),
            _ => {}
        }
        inner.claimed.insert(real_path.clone(), Claim { id: self.id, sink: self.claimant.sink.clone() });
        self.held.insert(path.into(), real_path);
        Ok(())
    }

    /// The paths among `paths` that a later sink has reserved; this sink must release them.
    pub fn reserved_by_others<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
        let inner = self.claimant.owners.lock();
        if inner.generation == self.generation {
            return Vec::new();
        }
        let lost = paths.filter(|path| self.claimant.other_reserving(&inner, &real(path)).is_some()).cloned().collect();
        self.generation = inner.generation;
        lost
    }

    /// Releases all files except these.
    pub fn keep_only(&mut self, keep: impl Fn(&Path) -> bool) {
        self.held.retain(|path, _| keep(path));
        let kept: HashSet<&PathBuf> = self.held.values().collect();
        // A claim under this name by a sink that has not started yet is this sink's.
        self.claimant
            .owners
            .lock()
            .claimed
            .retain(|path, claim| claim.sink != self.claimant.sink || kept.contains(path));
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut inner = self.claimant.owners.lock();
        inner.reserved.retain(|reserved| reserved.id != self.id);
        inner.claimed.retain(|_, claim| claim.id != self.id);
    }
}

/// The real path: absolute, with symbolic links resolved, even if its last components don't exist yet.
pub(crate) fn real(path: &Path) -> PathBuf {
    let mut path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut missing = Vec::new();
    for _ in 0..limits::PATH_STEPS {
        if let Ok(found) = fs::canonicalize(&path) {
            return missing.iter().rev().fold(found, |path, name| path.join(name));
        }
        let (Some(name), Some(parent)) = (path.file_name().map(ToOwned::to_owned), path.parent().map(PathBuf::from))
        else {
            break;
        };
        match fs::read_link(&path) {
            // A link to a missing file.
            Ok(target) => path = parent.join(target),
            Err(_) => {
                missing.push(name);
                path = parent;
            }
        }
    }
    missing.iter().rev().fold(path, |path, name| path.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(root: &Path, pattern: &str) -> Reserves {
        Reserves::Exactly(Files::new(root, pattern).expect("an expression"))
    }

    #[test]
    fn real_paths_resolve_links_and_missing_components() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = fs::canonicalize(folder.path()).expect("there");
        fs::create_dir(root.join("logs")).expect("writable");
        std::os::unix::fs::symlink("logs", root.join("link")).expect("linked");
        std::os::unix::fs::symlink("logs/not-yet.log", root.join("dangling")).expect("linked");
        for (path, expected) in [
            ("link/a/b.log", "logs/a/b.log"),
            ("link", "logs"),
            ("dangling", "logs/not-yet.log"),
            ("nothing/b", "nothing/b"),
        ] {
            assert_eq!(real(&root.join(path)), root.join(expected), "{path}");
        }
    }

    #[test]
    fn a_file_has_one_owner_under_any_path_and_is_free_once_it_ends() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (root, data) = (folder.path(), folder.path().join("data"));
        fs::create_dir(root.join("logs")).expect("writable");
        std::os::unix::fs::symlink("logs", root.join("link")).expect("linked");
        let owners = Owners::default();
        let [mut a, mut b] = ["a", "b"].map(|name| owners.register(name, &data, Reserves::Nothing));
        assert_eq!(a.claim(&root.join("logs/x.log")), Ok(()));
        assert_eq!(b.claim(&root.join("link/x.log")), Err("sink `a`".into()));
        assert_eq!(b.claim(&root.join("link/y.log")), Ok(()));
        a.keep_only(|path| path != root.join("logs/x.log"));
        assert_eq!(b.claim(&root.join("link/x.log")), Ok(()));
        drop(b);
        assert_eq!(a.claim(&root.join("logs/y.log")), Ok(()));
        assert_eq!(a.claim(&data.join("sinks/a.position")), Err("Weir itself".into()));
    }

    #[test]
    fn a_reserved_file_is_released_by_its_previous_owner() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (root, data) = (folder.path(), folder.path().join("data"));
        let owners = Owners::default();
        let mut any = owners.register("any", &data, Reserves::Nothing);
        let audit = root.join("audit.log");
        assert_eq!(any.claim(&audit), Ok(()));
        assert_eq!(any.reserved_by_others([&audit].into_iter()), Vec::<PathBuf>::new());
        let mut own = owners.register("audit", &data, files(root, r"audit\.log"));
        assert_eq!(own.claim(&audit), Err("sink `any`".into()));
        assert_eq!(any.reserved_by_others([&audit].into_iter()), vec![audit.clone()]);
        any.keep_only(|_| false);
        assert_eq!(own.claim(&audit), Ok(()));
        assert_eq!(any.claim(&audit), Err("sink `audit`".into()));
    }

    #[test]
    fn files_named_by_time_are_reserved_against_values_only() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owners = Owners::default();
        let daily = || Reserves::ByTime(Files::new(folder.path(), r"\d+\.log").expect("an expression"));
        let _daily = owners.register("daily", folder.path(), daily());
        let mut values = owners.register("values", folder.path(), Reserves::Nothing);
        let mut yearly = owners.register("yearly", folder.path(), daily());
        assert_eq!(values.claim(&folder.path().join("1.log")), Err("sink `daily`".into()));
        assert_eq!(yearly.claim(&folder.path().join("1.log")), Ok(()));
    }

    #[test]
    fn claims_of_position_records_wait_for_their_sinks() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let owners = Owners::default();
        let [mut a, mut b] = ["a", "b"].map(|name| owners.register(name, folder.path(), Reserves::Nothing));
        let file = folder.path().join("x.log");
        b.claim_recorded_files(|_| vec![("a".into(), vec![file.clone()])]);
        assert_eq!(b.claim(&file), Err("sink `a`".into()));
        assert_eq!(a.claim(&file), Ok(()));
    }
}
