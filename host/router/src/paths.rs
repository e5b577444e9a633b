//! Checks at startup and in `weir validate` that configured paths are writable, because a sink that can't open its file
//! only retries.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::config::{Settings, SinkSettings};

/// One warning for each path that this process can't write to.
pub fn unwritable(settings: &Settings) -> Vec<String> {
    let of_sinks = settings.sinks.iter().filter_map(|sink| {
        let folder = folder_of(sink, settings)?;
        let why = write_error(&folder)?;
        Some(format!("sink `{}` can't write into {}: {why}", sink.name, folder.display()))
    });
    let data =
        write_error(&settings.data).map(|why| format!("`data` {} can't be written: {why}", settings.data.display()));
    data.into_iter().chain(of_sinks).collect()
}

/// The fixed part of a sink's folder, before any placeholder or time format.
fn folder_of(sink: &SinkSettings, settings: &Settings) -> Option<PathBuf> {
    if !matches!(sink.kind.as_str(), "file" | "sqlite") {
        return None;
    }
    let path = sink.options.get("path")?.as_str()?;
    let fixed = &path[..path.find(['{', '%']).unwrap_or(path.len())];
    let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| if folder.is_empty() { "/" } else { folder });
    Some(settings.folder.join(folder))
}

/// Why a folder can't be written to or created.
fn write_error(folder: &Path) -> Option<String> {
    let absolute = std::path::absolute(folder).ok()?;
    for ancestor in absolute.ancestors() {
        match ancestor.metadata() {
            Ok(about) if !about.is_dir() => return Some(format!("{} is not a folder", ancestor.display())),
            Ok(_) => {
                let denied = access(ancestor, Access::WRITE_OK | Access::EXEC_OK).err()?;
                let missing = if ancestor == absolute { "" } else { ", and the folders below it don't exist" };
                return Some(format!("{}: {denied}{missing}", ancestor.display()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // An ancestor is a file, or access is denied.
            Err(error) if error.kind() == ErrorKind::NotADirectory => {}
            Err(error) => return Some(format!("{}: {error}", ancestor.display())),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_can_be_created_is_accepted_and_one_below_a_file_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(write_error(temp.path()), None);
        assert_eq!(write_error(&temp.path().join("not/there/yet")), None);
        for folder in [file.clone(), file.join("below")] {
            let why = write_error(&folder).unwrap();
            assert!(why.ends_with("file is not a folder"), "{why}");
        }
    }
}
