//! The journal's id, the replay key, and the name of a run. The journal's id is globally unique; together with a position it identifies a
//! record, even if a new journal is created in the same folder. It is stored in the journal's folder and deleted with
//! it. The replay key is stored in the data folder and readable only by its owner. A client that sends it is replaying
//! records from that folder's quarantine, so the router keeps their routes. It is also the token of the commands that
//! run where they can read it.

use std::path::Path;

use anyhow::Context;
use weir_journal::disk::replace_file;

/// The file in the journal's folder.
pub const FILE: &str = "id";
const BYTES: usize = 12;
const REPLAY_FILE: &str = "replay.key";
const REPLAY_BYTES: usize = 32;
const SESSION_BYTES: usize = 8;

/// Reads or creates the journal's id. The folder must exist.
pub fn of_journal(folder: &Path) -> anyhow::Result<String> {
    read_or_create(folder, FILE, BYTES)
}

/// Reads or creates the replay key. The folder must exist.
pub fn replay_key(data: &Path) -> anyhow::Result<String> {
    read_or_create(data, REPLAY_FILE, REPLAY_BYTES)
}

/// The replay key of a router that has run, for whoever can read its data folder.
pub fn existing_key(data: &Path) -> Option<String> {
    let text = std::fs::read_to_string(data.join(REPLAY_FILE)).ok()?;
    Some(text.trim().to_owned()).filter(|text| is_valid(text, REPLAY_BYTES))
}

/// Reads or creates a file with random bytes in hexadecimal.
fn read_or_create(folder: &Path, file: &str, length: usize) -> anyhow::Result<String> {
    let path = folder.join(file);
    let failed = || format!("can't use {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) if is_valid(text.trim(), length) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        // Missing, or truncated by a crash before it was used.
        _ => {}
    }
    create(folder, file, length)
}

/// Creates a new id for the journal.
pub fn renew(folder: &Path) -> anyhow::Result<String> {
    create(folder, FILE, BYTES)
}

/// A name for this run of the router.
pub fn session() -> anyhow::Result<String> {
    random_hex(SESSION_BYTES)
}

fn create(folder: &Path, file: &str, length: usize) -> anyhow::Result<String> {
    let path = folder.join(file);
    let failed = || format!("can't use {}", path.display());
    let name = random_hex(length)?;
    replace_file(&path, name.as_bytes()).with_context(failed)?;
    Ok(name)
}

fn random_hex(length: usize) -> anyhow::Result<String> {
    let mut random = vec![0; length];
    getrandom::fill(&mut random).context("can't get random bytes from the operating system")?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn is_valid(text: &str, length: usize) -> bool {
    text.len() == 2 * length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn journal_ids_are_stable_and_unique() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let names = folders.each_ref().map(|folder| of_journal(folder.path()).expect("a name"));
        assert_ne!(names[0], names[1]);
        assert_eq!(of_journal(folders[0].path()).expect("a name"), names[0]);
        std::fs::write(folders[0].path().join(FILE), "").expect("writable");
        let anew = of_journal(folders[0].path()).expect("a name");
        assert!(is_valid(&anew, BYTES) && anew != names[0]);
    }

    #[test]
    fn only_the_owner_can_read_the_replay_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = replay_key(folder.path()).expect("a key");
        assert_eq!(replay_key(folder.path()).expect("a key"), key);
        let mode = folder.path().join(REPLAY_FILE).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
