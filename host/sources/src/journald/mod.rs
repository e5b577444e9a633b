//! The journal of systemd, through `journalctl`.
//!
//! | file | purpose |
//! |---|---|
//! | `mod.rs` | options, and `journalctl` as it follows the journal |
//! | `export.rs` | reads its export format, which is safe for binary values |
//! | `entry.rs` | an entry as a record |
//!
//! The cursor of the last entry is stored with the entry's record, so every entry arrives exactly once as long as the
//! journal keeps it. `journalctl` waits while the router has no room.

mod entry;
mod export;

use std::path::PathBuf;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use self::entry::Shape;
use self::export::{Entry, Export};
use crate::destination::{Delivery, Destination, Position};
use crate::limits;
use crate::process::{Process, ended};
use crate::registry::{BuildContext, Kind, options, schema_of};
use crate::source::Source;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "journald",
    summary: "reads the journal of systemd, every entry once, through `journalctl`",
    example: r#"[source.system]
type = "journald"
units = ["nginx.service", "ssh*"]   # all without
since = "-2h"                       # at the first start; only new entries without
"#,
    schema: schema_of::<Options>,
    build,
};

/// The key of the only position.
const CURSOR: &[u8] = b"cursor";

const PROGRAM: &str = "journalctl";

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Only entries of these units, and what systemd says about them; patterns such as `ssh*` are possible. Default: all.
    units: Vec<String>,
    /// Where to begin at the first start: a time as `journalctl --since` takes it, such as `-2h`, `yesterday` or
    /// `2026-11-24 10:00`. Default: only new entries.
    since: Option<String>,
    /// The folder of the journal, such as `/host/var/log/journal` in a container. Default: that of this machine.
    directory: Option<PathBuf>,
    /// Keep every field of an entry, also those that systemd adds and that are the same in all entries of a service.
    all_fields: bool,
}

struct Journald {
    options: Options,
    directory: Option<PathBuf>,
}

fn build(name: &str, value: Value, context: &BuildContext) -> Result<Box<dyn Source>, String> {
    let options: Options = options(name, value)?;
    if options.units.iter().chain(&options.since).any(|text| text.is_empty() || text.contains('\0')) {
        return Err(format!("source `{name}`: a unit or `since` is empty, or contains a NUL"));
    }
    let directory = options.directory.as_ref().map(|directory| context.base.join(directory));
    Ok(Box::new(Journald { options, directory }))
}

#[async_trait]
impl Source for Journald {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let stored = to.positions().await.into_iter().find(|position| position.key == CURSOR);
        let mut cursor = stored.and_then(|position| position.value);
        if cursor.is_none() && self.options.since.is_none() {
            cursor = self.newest().await?;
            // So that what is written until the first record is not skipped if the router stops before that.
            let positions = cursor.iter().map(|cursor| position(cursor)).collect();
            if to.deliver(Delivery { positions, ..Delivery::default() }).await.is_err() {
                return Ok(());
            }
        }
        let mut command = self.command();
        command.arg("--follow").arg("--no-tail").args(self.options.units.iter().map(|unit| format!("--unit={unit}")));
        match (&cursor, &self.options.since) {
            (Some(cursor), _) => _ = command.arg(format!("--after-cursor={}", String::from_utf8_lossy(cursor))),
            (None, Some(since)) => _ = command.arg(format!("--since={since}")),
            (None, None) => {}
        }
        self.follow(&mut command, &to).await
    }
}

fn position(cursor: &[u8]) -> Position {
    Position { key: CURSOR.to_vec(), value: Some(cursor.to_vec()) }
}

impl Journald {
    fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--output=export", "--quiet"]);
        if let Some(directory) = &self.directory {
            command.arg("--directory").arg(directory);
        }
        command
    }

    /// The cursor of the newest entry; `None` if the journal is empty.
    async fn newest(&self) -> Result<Option<Vec<u8>>, String> {
        let mut command = self.command();
        let (mut process, mut out, err) = Process::start(command.arg("--lines=1"))?;
        let (mut export, mut newest) = (Export::default(), None);
        let mut buffer = vec![0; limits::CHUNK_BYTES];
        loop {
            match out.read(&mut buffer).await.map_err(|error| format!("can't read from `{PROGRAM}`: {error}"))? {
                0 => break,
                length => export.push(&buffer[..length], |entry| newest = entry.cursor().map(<[u8]>::to_vec)),
            }
        }
        let status = process.wait().await?;
        if status.success() { Ok(newest) } else { Err(format!("`{PROGRAM}` {}{}", ended(status), said(err).await)) }
    }

    async fn follow(&self, command: &mut Command, to: &Destination) -> Result<(), String> {
        let (mut process, mut out, err) = Process::start(command)?;
        let mut export = Export::default();
        let mut buffer = vec![0; limits::CHUNK_BYTES];
        loop {
            let read = tokio::select! {
                () = to.stopped() => return Ok(()),
                read = out.read(&mut buffer) => read,
            };
            let length = read.map_err(|error| format!("can't read from `{PROGRAM}`: {error}"))?;
            if length == 0 {
                let status = process.wait().await?;
                return Err(format!("`{PROGRAM}` {}{}", ended(status), said(err).await));
            }
            let mut entries = Vec::new();
            export.push(&buffer[..length], |entry| entries.push(entry));
            if to.deliver(self.delivery(&entries, to)?).await.is_err() {
                return Ok(());
            }
        }
    }

    fn delivery(&self, entries: &[Entry], to: &Destination) -> Result<Delivery, String> {
        let shape = Shape { all_fields: self.options.all_fields };
        let delivery = to.compose(|composer| {
            for entry in entries {
                composer.begin();
                let composed = shape.compose(entry, composer);
                composer.end(composed, || entry.message().to_vec()).map_err(|error| error.to_string())?;
            }
            Ok(())
        })?;
        let positions = entries.iter().rev().find_map(Entry::cursor).map(position).into_iter().collect();
        Ok(Delivery { positions, ..delivery })
    }
}

/// What a program has written to standard error, as the rest of a message.
async fn said(err: impl AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    // An error: then there is nothing to add.
    _ = err.take(limits::MAX_ERROR_BYTES).read_to_end(&mut text).await;
    match String::from_utf8_lossy(&text).trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
