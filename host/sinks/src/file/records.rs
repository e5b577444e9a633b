//! Position records on the disk: one file a sink, `sinks/NAME.position` in the data folder.
//!
//! `store.rs` says what a record means. Here it is read and written, and what is left of sinks that are gone is settled.

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

/// The endings of a sink's files: its position, and the list of what it made.
pub const POSITION: &str = "position";
pub const LEDGER: &str = "files";

/// What a record says.
#[derive(Debug, Serialize, Deserialize)]
pub struct PositionRecord {
    version: u32,
    /// Frames up to this are in the files; none yet: up to the journal's cursor.
    pub sequence: Option<u64>,
    /// Whose record it is, whatever the sink is called; absent in those of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    pub files: BTreeMap<PathBuf, Listed>,
}

/// A file as it was at the position, and what may have become of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Listed {
    pub length: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotated: Vec<PathBuf>,
}

impl PositionRecord {
    /// Of a sink that has written nothing.
    pub fn new() -> PositionRecord {
        PositionRecord { version: VERSION, sequence: None, template: None, files: BTreeMap::new() }
    }
}

/// Reads a record; none when it is not there.
pub fn read(path: &Path) -> Result<Option<PositionRecord>, StoreError> {
    let bad = |reason: String| StoreError::Record { place: path.display().to_string(), reason };
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::new("read", path, error).into()),
    };
    let record: PositionRecord = serde_json::from_slice(&content).map_err(|error| bad(error.to_string()))?;
    if record.version != VERSION {
        return Err(bad(format!("it has version {}, this program knows {VERSION}", record.version)));
    }
    Ok(Some(record))
}

/// Replaces a record, durably.
pub fn write(
    disk: &Disk,
    path: &Path,
    sequence: Option<u64>,
    template: Option<&str>,
    files: &BTreeMap<PathBuf, Listed>,
) -> Result<(), StoreError> {
    #[derive(Serialize)]
    struct Borrowed<'a> {
        version: u32,
        sequence: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        template: Option<&'a str>,
        files: &'a BTreeMap<PathBuf, Listed>,
    }
    let record = Borrowed { version: VERSION, sequence, template, files };
    let content = serde_json::to_vec(&record)
        .map_err(|error| StoreError::Record { place: path.display().to_string(), reason: error.to_string() })?;
    Ok(disk.replace(path, &content)?)
}

/// Looks at the records of sinks that are not configured any more. One for `template` becomes `own` when that is not
/// there: the sink has another name. From all others go the files that this sink can name.
pub fn settle_strangers(
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
        // A broken record is no other sink's affair.
        let Ok(Some(mut record)) = read(&stranger) else { continue };
        let mine = |path: &PathBuf| files.has(&real(path));
        let same = match &record.template {
            Some(text) => text == template,
            None => !record.files.is_empty() && record.files.keys().all(mine),
        };
        if same && !own.exists() {
            tracing::info!(from = %stranger.display(), to = %own.display(), "a sink has another name and goes on where it was");
            let ledger = stranger.with_extension(LEDGER);
            if ledger.exists() {
                disk.rename(&ledger, &own.with_extension(LEDGER))?;
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

/// Makes every sink of a data folder let go of the files outside of it: none is cut back, renamed, compressed or
/// removed on account of what the folder says. Where each sink is stays.
pub fn let_go(data: &Path) -> io::Result<()> {
    let disk = Disk::default();
    let any = data.join("sinks").join(format!("any.{POSITION}"));
    for path in all(&any) {
        let failed = |error: StoreError| io::Error::other(error.to_string());
        if let Some(record) = read(&path).map_err(failed)? {
            write(&disk, &path, record.sequence, None, &BTreeMap::new()).map_err(failed)?;
        }
        disk.replace(&path.with_extension(LEDGER), b"").map_err(|error| error.source)?;
    }
    Ok(())
}

/// Every record in the folder of this one.
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
