//! Compiles modules in a separate process with limits on memory and CPU time, because the cost of compiling a module
//! can't be known in advance: a few kilobytes can cost gigabytes. The process writes the compiled module to the cache,
//! where the runtime finds it.
//!
//! With a notes folder, the result for each module is remembered by its digest. A module that was compiled in a few
//! seconds is later compiled in this process if the cache has lost it. One that took longer always passes through the
//! other process, which costs little while the cache has it: compiling it here could take all of the memory of the
//! limits. So does one that was in the cache the first time, because nobody knows how long it takes. A module that
//! exceeded the limits is not tried again, even after a restart.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use wasmtime::component::Component;

use crate::component::{component_bytes, digest, invalid};
use crate::error::{LoadErrorKind, one_line};
use crate::limits::{
    CHEAP_COMPILE_TIME, COMPILE_MEMORY_BYTES, COMPILE_POLL_INTERVAL, COMPILE_SECONDS, COMPILE_WALL_TIME,
    MAX_COMPILE_NOTES, MAX_REASON_BYTES,
};
use crate::runtime::{bare_runtime, open_cache};

/// Exit code if the module can't be compiled; the reason is on standard output.
const EXIT_REFUSED: i32 = 3;
/// Exit code if the module was in the cache.
const EXIT_CACHED: i32 = 4;
/// SIGXCPU: the process used up its CPU time. The number is the same on every system.
const SIGXCPU: i32 = 24;
/// The remembered result for a module that is within the limits, but takes too much for this process.
const EXPENSIVE: &str = "expensive";
/// SIGKILL.
const SIGKILL: i32 = 9;

/// How to start the compiler process, and where to remember results.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program. It must limit itself to the bounds and call [`compile_into`] with its standard input.
    pub program: PathBuf,
    /// Its arguments. `--memory-bytes` and `--seconds` with the bounds are added.
    pub arguments: Vec<OsString>,
    /// Limits for the process.
    pub bounds: CompileBounds,
    /// Folder for the results, created if missing. Without it, nothing is remembered.
    pub notes: Option<PathBuf>,
}

/// Limits for a compiler process.
#[derive(Debug, Clone, Copy)]
pub struct CompileBounds {
    /// Writable memory in bytes.
    pub memory_bytes: u64,
    /// CPU time in seconds.
    pub seconds: u64,
}

impl Default for CompileBounds {
    fn default() -> Self {
        Self { memory_bytes: COMPILE_MEMORY_BYTES, seconds: COMPILE_SECONDS }
    }
}

/// What the compiler process did with a module within the limits.
enum Compiled {
    /// It compiled it.
    Now,
    /// It found it in the cache.
    Before,
}

/// Compiles a module into the cache. Runs in the compiler process and returns its exit code.
pub fn compile_into(cache: &Path, module: &[u8]) -> i32 {
    let compiled = component_bytes(module).and_then(|bytes| {
        let cache = open_cache(cache).map_err(|error| LoadErrorKind::Compiler(error.to_string()))?;
        let runtime = bare_runtime(cache.clone()).map_err(|error| LoadErrorKind::Compiler(format!("{error:#}")))?;
        Component::from_binary(&runtime, &bytes).map_err(|error| invalid(&error))?;
        Ok(cache.cache_hits() > 0)
    });
    match compiled {
        Ok(false) => 0,
        Ok(true) => EXIT_CACHED,
        Err(problem) => {
            // If this fails, nobody is reading.
            let _ = io::stdout().write_all(problem.to_string().as_bytes());
            EXIT_REFUSED
        }
    }
}

impl Compiler {
    /// A compiler that runs this program with the subcommand `compile`.
    pub fn this_program(cache: &Path, notes: Option<PathBuf>) -> io::Result<Compiler> {
        // The binary as it was at start, even if it has been replaced since.
        let running = Path::new("/proc/self/exe");
        let program = if running.exists() { running.to_path_buf() } else { std::env::current_exe()? };
        let arguments = vec!["compile".into(), "--cache".into(), std::path::absolute(cache)?.into()];
        Ok(Compiler { program, arguments, bounds: CompileBounds::default(), notes })
    }

    /// Makes sure that a module can be compiled within the limits, and is in the cache if there is one. Kills the
    /// process and returns early once `stop` is set.
    pub(crate) fn ensure_compilable(&self, module: &[u8], stop: &AtomicBool) -> Result<(), LoadErrorKind> {
        let Some(notes) = &self.notes else {
            return self.try_compile(module, stop);
        };
        let note = notes.join(digest(module));
        match read(&note) {
            Some(result) if result.is_empty() => return Ok(()),
            Some(result) if result == EXPENSIVE => return self.try_compile(module, stop),
            Some(reason) => {
                let place = note.display();
                return Err(LoadErrorKind::Compiler(format!(
                    "{reason}; it is not tried again unless you remove `{place}`"
                )));
            }
            None => {}
        }
        let begun = Instant::now();
        let compiled = self.compile(module, stop)?;
        let result = match &compiled {
            Ok(Compiled::Before) => return Ok(()),
            Ok(Compiled::Now) if begun.elapsed() > CHEAP_COMPILE_TIME => EXPENSIVE,
            Ok(Compiled::Now) => "",
            Err(reason) => reason,
        };
        write(notes, &note, result);
        compiled.map(drop).map_err(LoadErrorKind::Compiler)
    }

    fn try_compile(&self, module: &[u8], stop: &AtomicBool) -> Result<(), LoadErrorKind> {
        self.compile(module, stop)?.map(drop).map_err(LoadErrorKind::Compiler)
    }

    /// The inner error is that it exceeded the limits.
    fn compile(&self, module: &[u8], stop: &AtomicBool) -> Result<Result<Compiled, String>, LoadErrorKind> {
        let failed = |error: io::Error| LoadErrorKind::Compiler(format!("can't run the compiler: {error}"));
        let CompileBounds { memory_bytes, seconds } = self.bounds;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command.args(["--memory-bytes", &memory_bytes.to_string(), "--seconds", &seconds.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let status = thread::scope(|scope| {
            scope.spawn(move || {
                // A failed write means that the process ended early; its status says why.
                stdin.map(|mut stdin| stdin.write_all(module))
            });
            wait(&mut child, stop)
        });
        let Some(status) = status.map_err(failed)? else {
            return Err(LoadErrorKind::Compiler("compilation was cancelled because weir is stopping".to_owned()));
        };
        let mut error_text = String::new();
        if let Some(stdout) = stdout {
            stdout.take(2 * MAX_REASON_BYTES as u64).read_to_string(&mut error_text).map_err(failed)?;
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Ok(Compiled::Now)),
            (Some(EXIT_CACHED), _) => Ok(Ok(Compiled::Before)),
            (Some(EXIT_REFUSED), _) => Err(LoadErrorKind::Compiler(one_line(&error_text))),
            (Some(code), _) => Err(LoadErrorKind::Compiler(format!("the compiler failed with exit code {code}"))),
            (None, signal) => Ok(Err(self.bounds.exceeded(signal))),
        }
    }
}

/// The remembered result: empty for a module that can be compiled at little cost, [`EXPENSIVE`], or the reason why it
/// can't be compiled; `None` if this version has not tried it.
fn read(note: &Path) -> Option<String> {
    let text = fs::read_to_string(note).ok()?;
    let (version, reason) = text.split_once('\n')?;
    (version == env!("CARGO_PKG_VERSION")).then(|| one_line(reason))
}

fn write(notes: &Path, note: &Path, reason: &str) {
    let write = || {
        fs::create_dir_all(notes)?;
        sweep(notes)?;
        let beside = note.with_extension("new");
        fs::write(&beside, format!("{}\n{reason}", env!("CARGO_PKG_VERSION")))?;
        fs::rename(beside, note)
    };
    if let Err(error) = write() {
        tracing::warn!("can't remember in `{}` how a filter was compiled: {error}", notes.display());
    }
}

/// Makes room for one more note.
fn sweep(notes: &Path) -> io::Result<()> {
    let entries = fs::read_dir(notes)?.filter_map(Result::ok);
    let mut notes: Vec<_> =
        entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    notes.sort();
    let too_many = (notes.len() + 1).saturating_sub(MAX_COMPILE_NOTES);
    notes.into_iter().take(too_many).try_for_each(|(_, path)| fs::remove_file(path))
}

/// Waits for a process to end. Kills it if it takes too long, or once `stop` is set; in that case there is no status.
fn wait(child: &mut Child, stop: &AtomicBool) -> io::Result<Option<ExitStatus>> {
    let until = Instant::now() + COMPILE_WALL_TIME;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let stops = stop.load(Ordering::Relaxed);
        if stops || Instant::now() > until {
            child.kill()?;
            let status = child.wait()?;
            return Ok((!stops).then_some(status));
        }
        thread::sleep(COMPILE_POLL_INTERVAL);
    }
}

impl CompileBounds {
    /// The limit that a process exceeded, by the signal that ended it.
    fn exceeded(self, signal: Option<i32>) -> String {
        let (mib, seconds) = (self.memory_bytes >> 20, self.seconds);
        match signal {
            Some(SIGXCPU) => format!("compiling it takes longer than {seconds} s"),
            Some(SIGKILL) => format!("compiling it takes longer than {seconds} s or more memory than there is"),
            _ => format!("compiling it takes more than {mib} MiB of memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shell(notes: &Path, script: &str) -> Compiler {
        Compiler {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            bounds: CompileBounds::default(),
            notes: Some(notes.join("notes")),
        }
    }

    fn error_text(compiler: &Compiler, module: &[u8]) -> String {
        let result = compiler.ensure_compilable(module, &AtomicBool::new(false));
        result.map_or_else(|problem| problem.to_string(), |()| String::new())
    }

    #[test]
    fn compile_results_are_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let ends = shell(folder.path(), "kill -ABRT $$");
        assert!(error_text(&ends, b"a").contains("MiB of memory"));
        let good = shell(folder.path(), "cat >/dev/null");
        let again = error_text(&good, b"a");
        assert!(again.contains("MiB of memory") && again.contains("not tried again unless you remove"), "{again}");
        assert_eq!(error_text(&good, b"b"), "");
        assert_eq!(error_text(&ends, b"b"), "", "it is known to be within the bounds");
        assert!(error_text(&shell(folder.path(), "kill -XCPU $$"), b"c").contains("longer than"));
    }

    #[test]
    fn an_expensive_module_is_never_compiled_in_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let counted = format!("cat >/dev/null; echo >>{}", folder.path().join("runs").display());
        let slow = shell(folder.path(), &format!("{counted}; sleep {}", CHEAP_COMPILE_TIME.as_secs_f64() + 0.1));
        let fast = shell(folder.path(), &counted);
        let runs = || fs::read_to_string(folder.path().join("runs")).unwrap().lines().count();
        for (compiler, module, count) in [(&slow, b"a", 1), (&fast, b"a", 2), (&fast, b"a", 3), (&fast, b"b", 4)] {
            assert_eq!(error_text(compiler, module), "");
            assert_eq!(runs(), count);
        }
        assert_eq!(error_text(&fast, b"b"), "");
        assert_eq!(runs(), 4, "it is cheap");
    }

    #[test]
    fn a_module_found_in_the_cache_passes_through_the_other_process_again() {
        let folder = tempfile::tempdir().unwrap();
        let cached = shell(folder.path(), "cat >/dev/null; exit 4");
        assert_eq!(error_text(&cached, b"a"), "");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is known about its cost");
        assert!(error_text(&shell(folder.path(), "kill -ABRT $$"), b"a").contains("MiB of memory"));
    }

    #[test]
    fn without_a_notes_folder_every_module_is_compiled_again() {
        let folder = tempfile::tempdir().unwrap();
        let ends = Compiler { notes: None, ..shell(folder.path(), "kill -ABRT $$") };
        let good = Compiler { notes: None, ..shell(folder.path(), "cat >/dev/null") };
        assert!(error_text(&ends, b"a").contains("MiB of memory"));
        assert_eq!(error_text(&good, b"a"), "");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn compiler_errors_are_passed_on_and_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(error_text(&shell(folder.path(), "echo 'no such thing'; exit 3"), b"a"), "no such thing");
        assert!(error_text(&shell(folder.path(), "exit 2"), b"a").contains("exit code 2"));
        let missing = Compiler { program: "/nonexistent".into(), ..shell(folder.path(), "") };
        assert!(error_text(&missing, b"a").contains("can't run the compiler"));
        assert_eq!(error_text(&shell(folder.path(), "cat >/dev/null"), b"a"), "", "none of it is remembered");
    }

    #[test]
    fn a_stop_kills_the_compiler_and_remembers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let endless = shell(folder.path(), "exec sleep 600");
        let (stop, begun) = (AtomicBool::new(false), Instant::now());
        thread::scope(|scope| {
            let compiling = scope.spawn(|| endless.ensure_compilable(b"a", &stop));
            thread::sleep(Duration::from_millis(50));
            stop.store(true, Ordering::Relaxed);
            let refused = compiling.join().unwrap().unwrap_err().to_string();
            assert!(refused.contains("weir is stopping"), "{refused}");
        });
        assert!(begun.elapsed() < Duration::from_secs(60));
        assert_eq!(error_text(&shell(folder.path(), "cat >/dev/null"), b"a"), "");
    }

    #[test]
    fn the_number_of_notes_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for note in 0..MAX_COMPILE_NOTES + 5 {
            write(folder.path(), &folder.path().join(note.to_string()), "");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), MAX_COMPILE_NOTES);
    }
}
