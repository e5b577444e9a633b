//! Compiles modules in a process of their own, which has bounds: what a module costs to compile is not known before, and a
//! few kilobytes can cost gigabytes. That process writes what it compiled into the cache, where the runtime finds it.
//!
//! What became of each module is remembered by its digest. One that was compiled once needs no such process again, also
//! when the cache has lost it: its cost is known to be within the bounds. One that went beyond them is not tried again,
//! also after a restart.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use wasmtime::component::Component;

use crate::engine::{bare_runtime, open_cache};
use crate::error::{Problem, one_line};
use crate::limits::{
    COMPILE_LOOK, COMPILE_MEMORY_BYTES, COMPILE_SECONDS, COMPILE_WALL_TIME, MAX_COMPILE_NOTES, MAX_REASON_BYTES,
};
use crate::module::{component_bytes, digest};

/// What the process exits with when the module can't be compiled; the reason is on its standard output.
const REFUSED: i32 = 3;
/// The signal that ends a process whose processor time is over, on every system.
const TIME_IS_OVER: i32 = 24;
/// The signal by which it is ended from outside.
const KILLED: i32 = 9;

/// How the process is started that compiles a module, and where is remembered what became of it.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program: it sets the bounds of [`compile_bounds`] and calls
    /// [`compile_into`] with what is on its standard input.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The folder of what is remembered. It is made when it is missing.
    pub notes: PathBuf,
}

/// What a process that compiles may take.
#[derive(Debug, Clone, Copy)]
pub struct CompileBounds {
    /// Writable memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time, in seconds.
    pub seconds: u64,
}

/// What a process that compiles may take.
pub fn compile_bounds() -> CompileBounds {
    CompileBounds { memory_bytes: COMPILE_MEMORY_BYTES, seconds: COMPILE_SECONDS }
}

/// Compiles a module into the cache, in the process that was started for it. Gives what that exits with.
pub fn compile_into(cache: &Path, module: &[u8]) -> i32 {
    let compiled = component_bytes(module).and_then(|bytes| {
        let cache = open_cache(cache).map_err(|error| Problem::Compiler(error.to_string()))?;
        let runtime = bare_runtime(cache).map_err(|error| Problem::Compiler(format!("{error:#}")))?;
        Component::from_binary(&runtime, &bytes).map_err(|error| crate::module::invalid(&error, module.len()))
    });
    match compiled {
        Ok(_) => 0,
        Err(problem) => {
            // An error: nobody wants to know.
            let _ = io::stdout().write_all(problem.to_string().as_bytes());
            REFUSED
        }
    }
}

impl Compiler {
    /// Sees to it that a module can be compiled within bounds, and is in the cache if there is one.
    pub(crate) fn prove(&self, module: &[u8]) -> Result<(), Problem> {
        let note = self.notes.join(digest(module));
        match self.read(&note) {
            Some(reason) if reason.is_empty() => return Ok(()),
            Some(reason) => {
                let place = note.display();
                return Err(Problem::Compiler(format!("{reason}; it is not tried again unless you remove `{place}`")));
            }
            None => {}
        }
        match self.compile(module)? {
            Ok(()) => self.write(&note, ""),
            Err(reason) => {
                self.write(&note, &reason);
                return Err(Problem::Compiler(reason));
            }
        }
        Ok(())
    }

    /// The inner error is that it went beyond the bounds.
    fn compile(&self, module: &[u8]) -> Result<Result<(), String>, Problem> {
        let failed = |error: io::Error| Problem::Compiler(format!("can't run the compiler: {error}"));
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let status = thread::scope(|scope| {
            scope.spawn(move || {
                // An error: it has ended before it had read all, and its status says why.
                stdin.map(|mut stdin| stdin.write_all(module))
            });
            wait(&mut child)
        });
        let status = status.map_err(failed)?;
        let mut said = String::new();
        if let Some(stdout) = stdout {
            stdout.take(2 * MAX_REASON_BYTES as u64).read_to_string(&mut said).map_err(failed)?;
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Ok(())),
            (Some(REFUSED), _) => Err(Problem::Compiler(one_line(&said))),
            (Some(code), _) => Err(Problem::Compiler(format!("the compiler failed with exit code {code}"))),
            (None, signal) => Ok(Err(beyond(signal))),
        }
    }

    /// Why a module can't be compiled, empty when it can; nothing when it has not been tried by this version.
    fn read(&self, note: &Path) -> Option<String> {
        let text = fs::read_to_string(note).ok()?;
        let (version, reason) = text.split_once('\n')?;
        (version == env!("CARGO_PKG_VERSION")).then(|| one_line(reason))
    }

    fn write(&self, note: &Path, reason: &str) {
        let write = || {
            fs::create_dir_all(&self.notes)?;
            self.sweep()?;
            let beside = note.with_extension("new");
            fs::write(&beside, format!("{}\n{reason}", env!("CARGO_PKG_VERSION")))?;
            fs::rename(beside, note)
        };
        if let Err(error) = write() {
            tracing::warn!("can't remember in `{}` how a filter was compiled: {error}", self.notes.display());
        }
    }

    /// Makes room for one note more.
    fn sweep(&self) -> io::Result<()> {
        let entries = fs::read_dir(&self.notes)?.filter_map(Result::ok);
        let mut notes: Vec<_> =
            entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
        notes.sort();
        let too_many = (notes.len() + 1).saturating_sub(MAX_COMPILE_NOTES);
        notes.into_iter().take(too_many).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// Waits for the end of a process; one that does not come to it is ended.
fn wait(child: &mut Child) -> io::Result<ExitStatus> {
    let until = Instant::now() + COMPILE_WALL_TIME;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(COMPILE_LOOK);
    }
}

fn beyond(signal: Option<i32>) -> String {
    let mib = COMPILE_MEMORY_BYTES >> 20;
    match signal {
        Some(TIME_IS_OVER) => format!("to compile it takes longer than {COMPILE_SECONDS} s"),
        Some(KILLED) => format!("to compile it takes longer than {COMPILE_SECONDS} s, or more memory than there is"),
        _ => format!("to compile it takes more than {mib} MiB of memory"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(notes: &Path, script: &str) -> Compiler {
        Compiler { program: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], notes: notes.join("notes") }
    }

    fn said(compiler: &Compiler, module: &[u8]) -> String {
        compiler.prove(module).map_or_else(|problem| problem.to_string(), |()| String::new())
    }

    #[test]
    fn a_module_that_took_too_much_is_not_tried_again_and_one_that_did_not_needs_no_process_again() {
        let folder = tempfile::tempdir().unwrap();
        let ends = shell(folder.path(), "kill -ABRT $$");
        assert!(said(&ends, b"a").contains("MiB of memory"));
        let good = shell(folder.path(), "cat >/dev/null");
        let again = said(&good, b"a");
        assert!(again.contains("MiB of memory") && again.contains("not tried again unless you remove"), "{again}");
        assert_eq!(said(&good, b"b"), "");
        assert_eq!(said(&ends, b"b"), "", "it is known to be within the bounds");
        assert!(said(&shell(folder.path(), "kill -XCPU $$"), b"c").contains("longer than"));
    }

    #[test]
    fn a_reason_is_passed_on_and_a_process_that_can_not_run_proves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(said(&shell(folder.path(), "echo 'no such thing'; exit 3"), b"a"), "no such thing");
        assert!(said(&shell(folder.path(), "exit 2"), b"a").contains("exit code 2"));
        let missing = Compiler { program: "/nonexistent".into(), ..shell(folder.path(), "") };
        assert!(said(&missing, b"a").contains("can't run the compiler"));
        assert_eq!(said(&shell(folder.path(), "cat >/dev/null"), b"a"), "", "none of it is remembered");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let folder = tempfile::tempdir().unwrap();
        let good = shell(folder.path(), "cat >/dev/null");
        for note in 0..MAX_COMPILE_NOTES + 5 {
            good.write(&good.notes.join(note.to_string()), "");
        }
        assert_eq!(fs::read_dir(&good.notes).unwrap().count(), MAX_COMPILE_NOTES);
    }
}
