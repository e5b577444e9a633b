//! Lines that a command writes, to its standard output and its standard error.
//!
//! The command waits while the router has no room for what it writes: nothing is dropped. When it is to stop, what it says
//! until its end is still read.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, sleep_until};
use weir_document::Secret;
use weir_document::units::TimeSpan;

use crate::destination::{Delivery, Destination};
use crate::limits;
use crate::process::{Process, ended};
use crate::registry::{BuildContext, Kind, options, schema_of};
use crate::source::Source;
use crate::text::{self, Lines};

/// The registration.
pub(crate) const KIND: Kind = Kind {
    name: "exec",
    summary: "runs a command and reads the lines of JSON or text that it writes",
    example: r#"[source.kernel]
type = "exec"
command = ["dmesg", "--follow"]
# command = ["df", "-h"]
# interval = "1m"
# directory = "/srv/app"
# environment = { LANG = "C" }
restart = "always"  # "always" | "on-failure" | "never"
"#,
    schema: schema_of::<Options>,
    build,
};

/// When a command that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Restart {
    /// However it ended.
    #[default]
    Always,
    /// Unless its exit code is 0.
    OnFailure,
    /// Never.
    Never,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The program and its arguments. There is no shell between; for one, write `["sh", "-c", "…"]`.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// The folder that it runs in. Default: the folder of the configuration.
    directory: Option<PathBuf>,
    /// Variables of its environment besides those of Weir, of which it gets all but `WEIR_…`.
    environment: BTreeMap<String, Secret>,
    /// Whether it is started again when it has ended, after a pause that grows: `always`, `on-failure` or `never`.
    restart: Option<Restart>,
    /// For a command that ends: run it once in this time.
    interval: Option<TimeSpan>,
}

struct Exec {
    options: Options,
    folder: PathBuf,
}

fn build(name: &str, value: Value, context: &BuildContext) -> Result<Box<dyn Source>, String> {
    let options: Options = options(name, value)?;
    let at_fault = |what: &str| Err(format!("source `{name}`: {what}"));
    let has_nul = |text: &str| text.contains('\0');
    if options.command.first().is_none_or(String::is_empty) {
        return at_fault("`command` is missing: name a program and its arguments");
    }
    if options.command.iter().any(|part| has_nul(part)) {
        return at_fault("`command` contains a NUL");
    }
    for (variable, value) in &options.environment {
        if variable.is_empty() || variable.contains('=') || has_nul(variable) || has_nul(value.expose()) {
            return at_fault("`environment` has a name that is empty or contains `=`, or a NUL");
        }
    }
    match options.interval {
        Some(_) if options.restart.is_some() => return at_fault("`restart` and `interval` can't be used together"),
        Some(TimeSpan(interval)) if interval < limits::COMMAND_INTERVAL => {
            return at_fault(&format!("`interval` is less than {:?}", limits::COMMAND_INTERVAL));
        }
        _ => {}
    }
    let folder = context.base.join(options.directory.clone().unwrap_or_default());
    Ok(Box::new(Exec { options, folder }))
}

#[async_trait]
impl Source for Exec {
    async fn run(&self, to: Destination) -> Result<(), String> {
        let Some(TimeSpan(interval)) = self.options.interval else {
            let ended = self.once(&to).await?;
            return self.is_enough(ended, &to);
        };
        loop {
            let began = Instant::now();
            match self.once(&to).await? {
                None => return Ok(()),
                Some(status) if status.success() => {}
                Some(status) => tracing::warn!("source `{}`: `{}` {}", to.name(), self.program(), ended(status)),
            }
            if to.pause(interval.saturating_sub(began.elapsed())).await.is_err() {
                return Ok(());
            }
        }
    }
}

impl Exec {
    fn program(&self) -> &str {
        &self.options.command[0]
    }

    /// Whether a command that ended this way, or was stopped, is not started again. An error starts it again.
    fn is_enough(&self, status: Option<ExitStatus>, to: &Destination) -> Result<(), String> {
        let Some(status) = status else { return Ok(()) };
        let end = format!("`{}` {}", self.program(), ended(status));
        match self.options.restart.unwrap_or_default() {
            Restart::OnFailure if status.success() => Ok(()),
            Restart::Always | Restart::OnFailure => Err(end),
            Restart::Never => {
                tracing::warn!("source `{}`: {end} and is not started again", to.name());
                Ok(())
            }
        }
    }

    fn command(&self) -> Command {
        let program = self.program();
        // A path is found where other paths of the configuration are, not in the folder of the command.
        let mut command = match program.contains('/') {
            true => Command::new(std::path::absolute(self.folder.join(program)).unwrap_or_else(|_| program.into())),
            false => Command::new(program),
        };
        command.args(&self.options.command[1..]);
        if !self.folder.as_os_str().is_empty() {
            command.current_dir(&self.folder);
        }
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value.expose())));
        command
    }

    /// Runs the command to its end, and returns how it ended; `None`: because the source is to stop.
    async fn once(&self, to: &Destination) -> Result<Option<ExitStatus>, String> {
        let (mut process, out, err) = Process::start(&mut self.command())?;
        let (mut out, mut err) = (Output::new("stdout", out), Output::new("stderr", err));
        let mut status = None;
        let mut is_stopping = false;
        let mut patience = Patience::default();
        while status.is_none() || out.is_open() || err.is_open() {
            tokio::select! {
                () = to.stopped(), if !is_stopping => {
                    is_stopping = true;
                    process.terminate();
                    patience.begin(limits::COMMAND_STOP);
                }
                chunk = out.read(), if out.is_open() => out.deliver(chunk, to).await?,
                chunk = err.read(), if err.is_open() => err.deliver(chunk, to).await?,
                ended = process.wait(), if status.is_none() => {
                    status = Some(ended?);
                    patience.begin(limits::COMMAND_LINGER);
                }
                () = patience.ended() => {
                    if patience.is_over {
                        break;
                    }
                    patience.is_over = true;
                    process.kill();
                    patience.begin(limits::COMMAND_LINGER);
                }
            }
        }
        // What has no line end, if a process that left the group still has the output.
        out.close(to).await?;
        err.close(to).await?;
        Ok(status.filter(|_| !is_stopping))
    }
}

/// How long a command that ends may take.
#[derive(Default)]
struct Patience {
    until: Option<Instant>,
    /// It was killed.
    is_over: bool,
}

impl Patience {
    fn begin(&mut self, time: Duration) {
        let until = Instant::now() + time;
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
    }

    async fn ended(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

/// One of the two outputs of a command.
struct Output<R> {
    name: &'static str,
    /// `None`: it is at its end.
    from: Option<R>,
    buffer: Vec<u8>,
    lines: Lines,
}

impl<R: AsyncRead + Unpin> Output<R> {
    fn new(name: &'static str, from: R) -> Self {
        Output { name, from: Some(from), buffer: vec![0; limits::CHUNK_BYTES], lines: Lines::default() }
    }

    fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// Reads what is there now, or waits for it. Returns its length; 0 at the end.
    async fn read(&mut self) -> std::io::Result<usize> {
        match &mut self.from {
            Some(from) => from.read(&mut self.buffer).await,
            None => Ok(0),
        }
    }

    /// Delivers what was read. The source goes on even if it is to stop, for the output may follow.
    async fn deliver(&mut self, read: std::io::Result<usize>, to: &Destination) -> Result<(), String> {
        let length = match read {
            Ok(0) => return self.close(to).await,
            Ok(length) => length,
            Err(error) => return Err(format!("can't read the output of the command: {error}")),
        };
        let delivery = text::delivery(to, Some(self.name), |each| self.lines.push(&self.buffer[..length], each))?;
        store(delivery, to).await;
        Ok(())
    }

    /// Delivers the last line if it has no end.
    async fn close(&mut self, to: &Destination) -> Result<(), String> {
        self.from = None;
        let delivery = text::delivery(to, Some(self.name), |each| self.lines.end(each))?;
        store(delivery, to).await;
        Ok(())
    }
}

/// Stores what a command wrote, which can't be read again.
async fn store(delivery: Delivery, to: &Destination) {
    let count = delivery.batch.len() + delivery.bad.len();
    if to.deliver(delivery).await.is_err() {
        tracing::warn!("source `{}`: {count} lines are lost: there is no room, and the source stops", to.name());
    }
}
