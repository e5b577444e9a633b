//! What names a router's data. The journal's name in the whole world: with it a record's position is an id that no other
//! journal uses, not even one that begins anew in the same folder. It lies in the journal's folder, and goes when that
//! goes. And the key of replays, which lies in the data folder and only its owner can read: who shows it to the router
//! posts records of that folder's quarantine, and their routes count.

use std::path::Path;

use anyhow::Context;
use weir_journal::disk::replace_file;

/// Its file in the journal's folder.
pub const FILE: &str = "id";
const BYTES: usize = 12;
const REPLAY_FILE: &str = "replay.key";
const REPLAY_BYTES: usize = 32;

/// Reads the name, or makes one. The folder exists.
pub fn of_journal(folder: &Path) -> anyhow::Result<String> {
    kept(folder, FILE, BYTES)
}

/// Reads the key of replays, or makes one. The folder exists.
pub fn replay_key(data: &Path) -> anyhow::Result<String> {
    kept(data, REPLAY_FILE, REPLAY_BYTES)
}

/// Random bytes as text that the file keeps.
fn kept(folder: &Path, file: &str, length: usize) -> anyhow::Result<String> {
    let path = folder.join(file);
    let failed = || format!("can't use {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) if is_name(text.trim(), length) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        // Absent, or cut short by a crash before anybody was given it.
        _ => {}
    }
    fresh(folder, file, length)
}

/// Gives the journal a new name.
pub fn renew(folder: &Path) -> anyhow::Result<String> {
    fresh(folder, FILE, BYTES)
}

fn fresh(folder: &Path, file: &str, length: usize) -> anyhow::Result<String> {
    let path = folder.join(file);
    let failed = || format!("can't use {}", path.display());
    let mut random = vec![0; length];
    getrandom::fill(&mut random).context("can't get random bytes from the operating system")?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    replace_file(&path, name.as_bytes()).with_context(failed)?;
    Ok(name)
}

fn is_name(text: &str, length: usize) -> bool {
    text.len() == 2 * length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_journal_keeps_its_name_and_another_has_another() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let names = folders.each_ref().map(|folder| of_journal(folder.path()).expect("a name"));
        assert_ne!(names[0], names[1]);
        assert_eq!(of_journal(folders[0].path()).expect("a name"), names[0]);
        std::fs::write(folders[0].path().join(FILE), "").expect("writable");
        let anew = of_journal(folders[0].path()).expect("a name");
        assert!(is_name(&anew, BYTES) && anew != names[0]);
    }

    #[test]
    fn the_key_of_replays_is_its_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = replay_key(folder.path()).expect("a key");
        assert_eq!(replay_key(folder.path()).expect("a key"), key);
        let mode = folder.path().join(REPLAY_FILE).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
