//! `[journal]` and `[encryption]`, as written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_document::units::{Size, TimeSpan};

use super::{mib, seconds};

/// The durable log between filters and sinks.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Journal {
    /// When writes are synced to disk: `always` (before a sender is answered), an interval (a power failure loses at
    /// most that much), or `off` (left to the operating system).
    #[schemars(example = &"always", example = &"100ms", example = &"off")]
    pub sync: String,
    /// Maximum disk space; at least two segments.
    pub max_size: Size,
    /// How long to keep records that every sink has, for `weir journal replay`; `max_size` takes precedence.
    #[schemars(example = &"24h")]
    pub keep: TimeSpan,
    /// What happens when `max_size` is reached: `refuse` answers 503 until the sinks catch up, `drop_oldest` deletes
    /// the oldest records even if a slow sink hasn't read them.
    pub when_full: WhenFull,
    /// Size at which a new segment file is started; disk space is freed one segment at a time.
    pub segment_size: Size,
    /// Whether records are compressed (LZ4) on disk.
    pub compress: bool,
    /// Memory for the newest batches; sinks that keep up read from it instead of from disk.
    pub recent: Size,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            sync: "always".to_owned(),
            max_size: mib(8 * 1024),
            keep: seconds(0),
            when_full: WhenFull::Refuse,
            segment_size: mib(64),
            compress: false,
            recent: mib(32),
        }
    }
}

/// Encryption of the journal and the quarantine on disk (AES-256-GCM).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Encryption {
    /// The key for new files. Default: none, new files are not encrypted.
    pub key: Option<KeySource>,
    /// The keys of files that were written before `key` was changed or removed.
    pub previous_keys: Vec<KeySource>,
}

/// Where a key comes from: `file` or `env`. A key has 32 bytes, as 64 hexadecimal digits or as Base64.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct KeySource {
    /// The file that contains it, as `weir journal new-key` makes one; relative to this file.
    #[schemars(length(min = 1), example = &"/etc/weir/data.key")]
    pub file: Option<String>,
    /// The environment variable that contains it.
    #[schemars(length(min = 1), example = &"WEIR_DATA_KEY")]
    pub env: Option<String>,
}

/// What the journal does when it reaches its size limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WhenFull {
    Refuse,
    DropOldest,
}
