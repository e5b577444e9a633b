//! The source of a filter's module: the binary itself, or a file.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use weir_record::escape::escaped;

use crate::limits::MODULE_BYTES;
use crate::{bundled, regular};

/// The source of a module.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Bundled(String),
    File(PathBuf),
}

impl Source {
    /// Parses `bundled:NAME` or the path of a file.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("bundled:") {
            Some(name) => Self::Bundled(name.to_string()),
            None => Self::File(PathBuf::from(text)),
        }
    }

    /// Its description in a version history.
    pub fn who(&self) -> &'static str {
        match self {
            Self::Bundled(_) => "bundled",
            Self::File(_) => "folder",
        }
    }

    /// The module's bytes.
    pub fn read(&self) -> Result<Cow<'static, [u8]>, String> {
        match self {
            Self::Bundled(name) => bundled::module(name).map(Cow::Borrowed).ok_or_else(|| {
                let all: Vec<_> = bundled::names().collect();
                format!("no bundled filter `{name}`; there are: {}", all.join(", "))
            }),
            Self::File(path) => read_module(path).map(Cow::Owned),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled(name) => write!(f, "bundled:{name}"),
            // Anyone who can write to the filters folder chooses the names in it.
            Self::File(path) => f.write_str(&escaped(&path.to_string_lossy())),
        }
    }
}

fn read_module(path: &Path) -> Result<Vec<u8>, String> {
    regular::read(path, MODULE_BYTES).map_err(|error| format!("can't read `{}`: {error}", path.display()))
}
