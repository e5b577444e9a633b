//! `weir exec`: runs an application and sends its output to a running router.
//!
//! | file | purpose |
//! |---|---|
//! | `exec.rs` | starts the application, passes signals and its exit code on |
//! | `exec/output.rs` | passes its output through, and makes its lines records |
//! | `exec/queue.rs` | records in memory, bounded |
//! | `exec/sender.rs` | sends them |
//!
//! Invariant: the application runs as if it were started directly. Reading its output never waits for the router, and
//! whether there is a router changes neither its end nor its exit code.

mod output;
mod queue;
mod sender;

use std::io::{self, PipeReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::cli::ExecArgs;
use crate::commands::quarantine;
use crate::limits;
use output::{Output, Stream};
use queue::Queue;
use sender::Sender;

/// As shells report a program that can't be started, or found.
const NOT_STARTED: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Added to the number of the signal that ended the application.
const SIGNALLED: i32 = 128;

pub fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let settings = quarantine::settings(&args.stored)?;
    let router = args.running.router(&settings)?;
    let program = &args.command[0];
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let source = args.source.as_deref().unwrap_or(&name);
    let queue = Arc::new(Queue::new(usize::try_from(args.buffer.bytes())?));
    // One thread is enough: output and sending have their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = forwarded()?;
        let (out, out_end) = io::pipe().context("can't create a pipe")?;
        let (err, err_end) = io::pipe().context("can't create a pipe")?;
        let mut command = Command::new(program);
        command.args(&args.command[1..]).stdout(out_end).stderr(err_end);
        let started = command.spawn();
        // It holds the ends that are written to, and they must be closed for the output to end.
        drop(command);
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                eprintln!("weir exec: can't start `{program}`: {error}");
                let is_missing = error.kind() == io::ErrorKind::NotFound;
                return Ok(ExitCode::from(if is_missing { NOT_FOUND } else { NOT_STARTED }));
            }
        };
        let sender = Sender::start(router, source, args.buffer, queue.clone())?;
        let mut reading = read(args, [(Stream::Stdout, out), (Stream::Stderr, err)], &queue)?;
        let status = wait(&mut child, &mut signals).await?;
        // Processes that the application has started may still have its output.
        _ = timeout(limits::EXEC_LINGER, reading.recv()).await;
        queue.close();
        sender.finish();
        Ok(exit_code(status))
    })
}

/// Reads the output on threads. The channel is closed when both are at their end.
fn read(args: &ExecArgs, streams: [(Stream, PipeReader); 2], queue: &Arc<Queue>) -> anyhow::Result<mpsc::Receiver<()>> {
    let (ended, reading) = mpsc::channel(1);
    for (stream, from) in streams {
        let output = Output { stream, from, passes: !args.quiet, queue: queue.clone() };
        let ended = ended.clone();
        let read = move || {
            output.read();
            drop(ended);
        };
        thread::Builder::new().name(format!("weir-{}", stream.name())).spawn(read).context("can't start a thread")?;
    }
    Ok(reading)
}

/// Waits for the end of the application, and passes signals on to it.
async fn wait(child: &mut Child, signals: &mut mpsc::Receiver<Signal>) -> anyhow::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status.context("can't wait for the application"),
            Some(signal) = signals.recv() => {
                if let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed()))
                    && !(is_of_keyboard(signal) && is_in_foreground())
                {
                    // An error: it has ended.
                    _ = kill_process(id, signal);
                }
            }
        }
    }
}

/// The signals that are passed on. Those that are ignored (by `nohup`, for example) stay so for the application, too.
fn forwarded() -> anyhow::Result<mpsc::Receiver<Signal>> {
    let ignored = ignored_signals();
    let (send, signals) = mpsc::channel(limits::EXEC_SIGNALS);
    for (kind, number) in [
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
    ] {
        if ignored & (1 << (number.as_raw() - 1)) != 0 {
            continue;
        }
        let (mut arrivals, send) = (signal(kind)?, send.clone());
        tokio::spawn(async move { while arrivals.recv().await.is_some() && send.send(number).await.is_ok() {} });
    }
    Ok(signals)
}

/// A bit for each signal that this process ignores.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn is_of_keyboard(signal: Signal) -> bool {
    signal == Signal::INT || signal == Signal::QUIT
}

/// Whether this process is in the foreground of its terminal. Then the terminal sends the signals of the keyboard to the
/// application, too.
fn is_in_foreground() -> bool {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| SIGNALLED + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
