//! The origin of an entry: the filter or sink that quarantined it, and the `source` of the record. Each file contains
//! entries of one origin. Over the size limit, the largest origin loses its oldest file, so that one sender can't
//! displace the entries of others.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::read::QuarantineFile;

/// An origin, as encoded in file names. [`Origin::OTHERS`] stands for files of earlier versions, which contain all
/// origins, and for origins beyond the limit on their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(u64);

impl Origin {
    pub const OTHERS: Origin = Origin(0);

    /// The origin of an entry. Raw bytes have no source.
    pub fn of(from: &str, source: Option<&str>) -> Origin {
        let mut digest = Sha256::new();
        digest.update(from);
        digest.update([0]);
        digest.update(source.unwrap_or_default());
        let digest = digest.finalize();
        Origin(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The part of a file name after the time.
    pub fn suffix(self) -> String {
        match self {
            Origin::OTHERS => String::new(),
            Origin(number) => format!("-{number:016x}"),
        }
    }

    /// The origin of a file.
    pub fn of_file(path: &Path) -> Origin {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let number = stem.split_once('-').and_then(|(_, digits)| u64::from_str_radix(digits, 16).ok());
        number.map_or(Origin::OTHERS, Origin)
    }
}

/// Bytes by origin.
pub fn shares(files: &[QuarantineFile]) -> BTreeMap<Origin, u64> {
    let mut shares = BTreeMap::new();
    for file in files {
        *shares.entry(Origin::of_file(&file.path)).or_default() += file.size_bytes;
    }
    shares
}

/// The files to remove so that `more_bytes` fit in `max_bytes`: repeatedly the oldest file of the largest origin. An
/// origin that is smaller than `more_bytes` loses nothing.
pub fn to_remove(mut files: Vec<QuarantineFile>, more_bytes: u64, max_bytes: u64) -> Vec<QuarantineFile> {
    let mut removed = Vec::new();
    let mut total: u64 = files.iter().map(|file| file.size_bytes).sum();
    while total + more_bytes > max_bytes {
        let Some((origin, share)) = shares(&files).into_iter().max_by_key(|(_, share)| *share) else { break };
        let oldest = files.iter().position(|file| Origin::of_file(&file.path) == origin);
        let Some(oldest) = oldest.filter(|_| share >= more_bytes) else { break };
        let file = files.remove(oldest);
        total -= file.size_bytes;
        removed.push(file);
    }
    removed
}
