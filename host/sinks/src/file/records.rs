//! Reads and writes position records: one file per sink, `sinks/NAME.position` in the data folder. `store.rs` explains
//! their meaning. Also cleans up after sinks that are no longer configured.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::store::StoreError;
use crate::disk::{Disk, DiskError};
use crate::owners::{Files, real};
use crate::text::push_safe;

/// Version of the position record.
const VERSION: u32 = 1;

/// Suffixes of a sink's own files: its position, and the list of the files it created.
pub const POSITION: &str = "position";
pub const FILE_LIST: &str = "files";

/// The content of a position record.
#[derive(Debug, Serialize, Deserialize)]
pub struct PositionRecord {
    version: u32,
    /// Frames up to this one are in the files; `None`: up to the journal's cursor.
    pub sequence: Option<u64>,
    /// The path template of the sink, which identifies it under any name; absent in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    pub files: BTreeMap<PathBuf, ListedFile>,
}

/// A file at the position, and what may have happened to it since.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ListedFile {
    pub length: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotated: Vec<PathBuf>,
}

impl PositionRecord {
    /// The record of a sink that has written nothing.
    pub fn new() -> PositionRecord {
        PositionRecord { version: VERSION, sequence: None, template: None, files: BTreeMap::new() }
    }
}

/// Reads a record; `None` if it doesn't exist.
pub fn read(path: &Path) -> Result<Option<PositionRecord>, StoreError> {
    let bad = |reason: String| StoreError::Record { place: path.display().to_string(), reason };
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::new("read", path, error).into()),
    };
    let record: PositionRecord = serde_json::from_slice(&content).map_err(|error| bad(error.to_string()))?;
    if record.version != VERSION {
        return Err(bad(format!("it has version {}, this weir supports {VERSION}", record.version)));
    }
    Ok(Some(record))
}

/// Replaces a record, durably.
pub fn write(
    disk: &Disk,
    path: &Path,
    sequence: Option<u64>,
    template: Option<&str>,
    files: &BTreeMap<PathBuf, ListedFile>,
) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        version: u32,
        sequence: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        template: Option<&'a str>,
        files: &'a BTreeMap<PathBuf, ListedFile>,
    }
    let record = Borrowed { version: VERSION, sequence, template, files };
    let content = serde_json::to_vec(&record)
        .map_err(|error| StoreError::Record { place: path.display().to_string(), reason: error.to_string() })?;
    Ok(disk.replace(path, &content)?)
}

/// Handles the records of sinks that are no longer configured. If `own` doesn't exist, a record for `template` becomes
/// `own`: the sink was renamed. All other records drop the files that this sink can name.
pub fn settle_unconfigured(
    disk: &Disk,
    own: &Path,
    template: &str,
    files: &Files,
    configured: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let known: BTreeSet<PathBuf> = configured.iter().map(|name| of_sink(own, name)).collect();
    for stranger in all(own) {
        if known.contains(&stranger) || stranger == own {
            continue;
        }
        // A broken record doesn't concern other sinks.
        let Ok(Some(mut record)) = read(&stranger) else { continue };
        let mine = |path: &PathBuf| files.has(&real(path));
        let same = match &record.template {
            Some(text) => text == template,
            None => !record.files.is_empty() && record.files.keys().all(mine),
        };
        if same && !own.exists() {
            tracing::info!(from = %stranger.display(), to = %own.display(), "a renamed sink continues at its old position");
            let file_list = stranger.with_extension(FILE_LIST);
            if file_list.exists() {
                disk.rename(&file_list, &own.with_extension(FILE_LIST))?;
            }
            disk.rename(&stranger, own)?;
            disk.sync_folder(own.parent().unwrap_or(own))?;
        } else if record.files.keys().any(mine) {
            record.files.retain(|path, _| !mine(path));
            write(disk, &stranger, record.sequence, record.template.as_deref(), &record.files)?;
        }
    }
    Ok(())
}

/// The files that the records of these sinks name.
pub fn files_of_all(own: &Path, sinks: &BTreeSet<String>) -> Vec<(String, Vec<PathBuf>)> {
    let files = |name: &String| {
        let record = read(&of_sink(own, name)).ok().flatten()?;
        Some((name.clone(), record.files.into_keys().collect()))
    };
    sinks.iter().filter_map(files).collect()
}

/// Makes every sink of a data folder release the files outside of it: none is truncated, renamed, compressed or removed
/// because of the folder's records. The sinks' positions stay.
pub fn release_files(data: &Path) -> io::Result<()> {
    let disk = Disk::default();
    let any = data.join("sinks").join(format!("any.{POSITION}"));
    for path in all(&any) {
        let failed = |error: StoreError| io::Error::other(error.to_string());
        if let Some(record) = read(&path).map_err(failed)? {
            write(&disk, &path, record.sequence, None, &BTreeMap::new()).map_err(failed)?;
        }
        disk.replace(&path.with_extension(FILE_LIST), b"").map_err(|error| error.source)?;
    }
    Ok(())
}

/// All records in the same folder.
fn all(own: &Path) -> Vec<PathBuf> {
    let entries = own.parent().and_then(|folder| fs::read_dir(folder).ok());
    let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == POSITION)).collect();
    found.sort();
    found
}

/// The record of another sink.
fn of_sink(own: &Path, sink: &str) -> PathBuf {
    let mut name = String::new();
    push_safe(sink, &mut name);
    own.with_file_name(format!("{name}.{POSITION}"))
}
