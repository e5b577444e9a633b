//! Lines of standard input: `app | weir run --stdin`.
//!
//! A thread reads, because standard input may be a terminal or a file, for which a read can't be waited for otherwise. It
//! belongs to the process, not to a source: what it has read ahead stays for the next source after a reload. The channel
//! to it is bounded, so the application waits while the router has no room.

use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::time::Instant;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::destination::{Delivery, Destination, Stopping};
use crate::limits;
use crate::registry::{Kind, options, schema_of};
use crate::source::Source;
use crate::text::{self, Lines};

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "stdin",
    summary: "reads lines of JSON or text from standard input, such as the output of an application",
    example: "[source.app]\ntype = \"stdin\"\npass_through = true\n",
    schema: schema_of::<Options>,
    build: |name, value, _| Ok(Box::new(Stdin { options: options(name, value)? })),
};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Write everything to standard output as well, unchanged. A sink of type `console` writes there, too.
    pass_through: bool,
}

struct Stdin {
    options: Options,
}

/// What was read. It is closed at the end.
type Chunks = mpsc::Receiver<Vec<u8>>;

/// The chunks of this process's standard input.
fn input() -> Result<&'static Mutex<Chunks>, String> {
    static INPUT: OnceLock<Result<Mutex<Chunks>, String>> = OnceLock::new();
    let input = INPUT.get_or_init(|| {
        let (chunks, input) = mpsc::channel(limits::STDIN_CHUNKS);
        let thread = std::thread::Builder::new().name("weir-stdin".into()).spawn(move || read(&chunks));
        thread.map(|_| Mutex::new(input)).map_err(|error| format!("can't start a thread: {error}"))
    });
    input.as_ref().map_err(Clone::clone)
}

fn read(chunks: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = vec![0; limits::CHUNK_BYTES];
    loop {
        match io::stdin().lock().read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                if chunks.blocking_send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return tracing::error!("can't read standard input any further: {error}"),
        }
    }
}

#[async_trait]
impl Source for Stdin {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let mut chunks = input()?.try_lock().map_err(|_| "another source reads standard input")?;
        let mut input = Input { chunks: &mut chunks, ending: None };
        let mut passes = self.options.pass_through;
        let mut lines = Lines::default();
        loop {
            let chunk = input.next(&to).await;
            passes = passes && pass(chunk.clone(), &to).await;
            let stored = to.deliver(compose(&mut lines, &chunk, &to)?).await;
            if chunk.is_empty() || stored == Err(Stopping) {
                return Ok(());
            }
        }
    }
}

/// What is read, and until when after the source was told to stop.
struct Input<'c> {
    chunks: &'c mut Chunks,
    ending: Option<Instant>,
}

impl Input<'_> {
    /// What has arrived by now, or the next that arrives; empty at the end, or when the source is to stop.
    async fn next(&mut self, to: &Destination) -> Vec<u8> {
        if self.ending.is_none() {
            tokio::select! {
                biased;
                () = to.stopped() => self.ending = Some(Instant::now() + limits::STDIN_LAST),
                chunk = self.chunks.recv() => return self.with_more(chunk),
            }
        }
        let left = self.ending.map_or(limits::STDIN_QUIET, |ending| ending.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            // A timeout of zero still returns what is there, and an application that never pauses always has more.
            return Vec::new();
        }
        let chunk = timeout(left.min(limits::STDIN_QUIET), self.chunks.recv()).await;
        self.with_more(chunk.ok().flatten())
    }

    /// Adds what was read meanwhile, so that it shares an fsync.
    fn with_more(&mut self, chunk: Option<Vec<u8>>) -> Vec<u8> {
        let mut chunk = chunk.unwrap_or_default();
        while !chunk.is_empty() && chunk.len() < limits::BATCH_BYTES {
            match self.chunks.try_recv() {
                Ok(more) => chunk.extend(more),
                Err(_) => break,
            }
        }
        chunk
    }
}

/// Writes a chunk to standard output. Returns whether the next can be written, too: if nobody reads it any more, that is
/// all that ends.
async fn pass(chunk: Vec<u8>, to: &Destination) -> bool {
    let writing = spawn_blocking(move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&chunk)?;
        stdout.flush()
    });
    let given_up = async {
        to.stopped().await;
        sleep(limits::STDIN_LAST).await;
    };
    tokio::select! {
        written = writing => {
            let written = written.unwrap_or_else(|error| Err(error.into()));
            if let Err(error) = &written {
                tracing::warn!("source `{}`: nothing is passed through any more: {error}", to.name());
            }
            written.is_ok()
        }
        () = given_up => false,
    }
}

/// The records of a chunk; at the end, which is empty, of what is left.
fn compose(lines: &mut Lines, chunk: &[u8], to: &Destination) -> Result<Delivery, String> {
    text::delivery(to, None, |each| match chunk {
        [] => lines.end(each),
        chunk => lines.push(chunk, each),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::tests::destination;

    #[tokio::test]
    async fn a_source_that_is_to_stop_ends_in_time_though_more_input_waits() {
        let (stop, to) = destination();
        let (sender, mut chunks) = mpsc::channel(2);
        sender.try_send(b"more".to_vec()).expect("there is room");
        stop.send_replace(true);
        let mut input = Input { chunks: &mut chunks, ending: Some(Instant::now()) };
        assert_eq!(input.next(&to).await, b"");
        assert_eq!(chunks.try_recv().expect("it stays for the next source"), b"more");
    }
}
