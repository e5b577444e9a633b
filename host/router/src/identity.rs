//! The journal's name in the whole world: with it a record's position is an id that no other journal uses, not even one
//! that begins anew in the same folder. It lies in the journal's folder, and goes when that goes.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

/// Its file in the journal's folder.
pub const FILE: &str = "id";
const BYTES: usize = 12;

/// Reads the name, or makes one. The folder exists.
pub fn of_journal(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(FILE);
    let failed = || format!("can't use {}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(text) if is_name(text.trim()) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(failed),
        // Absent, or cut short by a crash before anybody was given it.
        _ => {}
    }
    renew(folder)
}

/// Gives the journal a new name.
pub fn renew(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join(FILE);
    let failed = || format!("can't use {}", path.display());
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let new = folder.join("id.new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(name.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(folder)?.sync_all()
    };
    write().with_context(failed)?;
    Ok(name)
}

fn is_name(text: &str) -> bool {
    text.len() == 2 * BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_keeps_its_name_and_another_has_another() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let names = folders.each_ref().map(|folder| of_journal(folder.path()).expect("a name"));
        assert_ne!(names[0], names[1]);
        assert_eq!(of_journal(folders[0].path()).expect("a name"), names[0]);
        std::fs::write(folders[0].path().join(FILE), "").expect("writable");
        let anew = of_journal(folders[0].path()).expect("a name");
        assert!(is_name(&anew) && anew != names[0]);
    }
}
