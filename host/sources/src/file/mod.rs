//! The `file` source: reads files that others write, such as logs of applications.
//!
//! | file | purpose |
//! |---|---|
//! | `options` | the options, and what they mean |
//! | `glob` | which files are meant |
//! | `files` | all files of a source: turns, deliveries, positions |
//! | `scan` | finds files, and what became of known ones |
//! | `identify` | recognises a known file in a copy or a compressed one |
//! | `order` | generations of a log |
//! | `tracked` | one file |
//! | `seen` | what the bytes before a position look like |
//! | `stored` | positions as the journal keeps them |
//! | `reader` | reads a file from its position on |
//! | `content` | opens files, decompresses |
//! | `lines`, `grouping`, `compose` | bytes to lines, lines to texts, texts to records |
//! | `container` | files in which engines keep what containers write |
//! | `complaints`, `gauges` | what is said of files |
//!
//! Guarantee: every line is delivered once, whatever happens to Weir, if the file system still has the line when Weir
//! reads. The position of a file is stored in the frame of the records before it.
//!
//! Invariants: **a position never passes bytes that are not delivered, in quarantine, or said to be no line** (zeros, blank
//! lines). **What is before a position is compared with the file before anything after it is read**, so a position is
//! never used in another file. Only one delivery is in memory.

mod complaints;
mod compose;
mod container;
mod content;
mod files;
mod gauges;
mod glob;
mod grouping;
mod identify;
mod lines;
mod options;
mod order;
mod reader;
mod scan;
mod seen;
mod stored;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_rotation;
mod tracked;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use weir_record::time::now_ns;

use self::files::Files;
pub(crate) use self::gauges::describe_metrics;
use self::options::{Options, Settings};
use crate::destination::Destination;
use crate::limits;
use crate::registry::{Kind, options, schema_of};
use crate::source::Source;

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "file",
    summary: "reads lines of files, through rotation, truncation and compression, each exactly once",
    example: r#"[source.app]
type = "file"
paths = ["/var/log/app/*.log*"]         # with the rotated ones, so that nothing is missed between two looks
exclude = ["*.tmp"]
multiline = { start = '^\d{4}-\d\d-\d\d' } # a line that begins with a date begins a record
"#,
    schema: schema_of::<Options>,
    build: |name, value, context| {
        let options: Options = options(name, value)?;
        let settings = Settings::new(&options, context).map_err(|error| format!("source `{name}`: {error}"))?;
        Ok(Box::new(FileSource { settings: Arc::new(settings) }))
    },
};

struct FileSource {
    settings: Arc<Settings>,
}

#[async_trait]
impl Source for FileSource {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let positions = to.positions().await;
        let mut files = Files::new(to.name(), self.settings.clone(), &positions, Instant::now());
        while !to.is_stopping() {
            let destination = to.clone();
            let step = spawn_blocking(move || {
                let step = files.step(Instant::now(), &destination.defaults(now_ns()));
                (files, step)
            });
            let (back, step) = step.await.map_err(|error| error.to_string())?;
            files = back;
            let step = step?;
            if to.deliver(step.delivery).await.is_err() {
                break;
            }
            if step.is_idle && to.pause(limits::POLL).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}
