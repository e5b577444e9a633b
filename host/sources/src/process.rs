//! A command in a process group of its own, so that its end is also that of the processes that it has started.
//!
//! Invariant: when a [`Process`] is dropped, no process of its group is left; what left the group itself (a daemon, with
//! `setsid`) is on its own. Nothing here reads its output.

use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// A running command.
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    /// Starts a command without standard input, whose output can be read.
    pub fn start(command: &mut Command) -> Result<(Process, ChildStdout, ChildStderr), String> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        // Weir's own options: a command has no need for a token of the router.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"WEIR_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("can't start `{program}`: {error}"))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let process = Process { child, group };
        match (out, err) {
            (Some(out), Some(err)) => Ok((process, out, err)),
            _ => Err(format!("`{program}` has no output")),
        }
    }

    /// Waits for the end of the command itself.
    pub async fn wait(&mut self) -> Result<ExitStatus, String> {
        let status = self.child.wait().await.map_err(|error| format!("can't wait for the command: {error}"))?;
        // From here on, its number may be that of another process, unless processes of the group are left.
        self.group = self.group.filter(|group| test_kill_process_group(*group).is_ok());
        Ok(status)
    }

    /// Asks all processes of the group to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all processes of the group.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // An error: there is none any more.
            _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a command ended, for people.
pub(crate) fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was ended by signal {signal}"),
        _ => "ended".to_owned(),
    }
}
