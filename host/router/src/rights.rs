//! Who may use the data folder, if it existed before Weir: container runtimes and service managers create folders that
//! everybody can read. As PostgreSQL does, Weir accepts 0700 and 0750. It doesn't refuse others, it tightens them:
//! nobody but the owner can change anything in the folder, and nobody but owner and group can look into it.
//!
//! A folder that belongs to somebody else can't be tightened. Weir starts all the same, because the files in it are for
//! their owner anyway, unless everybody could replace them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};

/// What owner and group may have.
const WIDEST: u32 = 0o750;
const ALL: u32 = 0o777;
const EVERYBODY_WRITES: u32 = 0o002;

/// Takes rights to the data folder away that nobody should have.
pub fn tighten(data: &Path) -> anyhow::Result<()> {
    let failed = || format!("can't read the permissions of the data folder {}", data.display());
    let mode = fs::metadata(data).with_context(failed)?.permissions().mode();
    if mode & ALL & !WIDEST == 0 {
        return Ok(());
    }
    let (was, is) = (mode & ALL, mode & WIDEST);
    match fs::set_permissions(data, Permissions::from_mode(mode & (WIDEST | !ALL))) {
        Ok(()) => tracing::warn!("the data folder {} had mode {was:o}; it has {is:o} now", data.display()),
        Err(error) if mode & EVERYBODY_WRITES != 0 => bail!(
            "everybody may write to the data folder {} (mode {was:o}), and weir can't change that: {error}; run `chmod \
             o= {0}` as its owner, or choose another folder with --data",
            data.display()
        ),
        Err(error) => {
            tracing::warn!("the data folder {} has mode {was:o}, and weir can't change that: {error}", data.display());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_open_to_others_is_tightened_and_a_group_may_still_read() {
        let folder = tempfile::tempdir().expect("a folder");
        for (before, after) in [(0o777, 0o750), (0o755, 0o750), (0o2775, 0o2750), (0o750, 0o750), (0o700, 0o700)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(before)).expect("its owner");
            tighten(folder.path()).expect("its owner");
            let mode = folder.path().metadata().expect("it is there").permissions().mode();
            assert_eq!(mode & 0o7777, after, "{before:o}");
        }
    }
}
