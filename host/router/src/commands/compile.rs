//! `weir compile`: the child process that compiles a module. It sets its own resource limits, so that a module that
//! needs too much ends only this process.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use weir_engine::CompileBounds;

/// The file and value that make this process the first choice of the OOM killer.
const OOM_SCORE: (&str, &str) = ("/proc/self/oom_score_adj", "1000");

/// Compiles the module on standard input and stores it in the cache.
pub fn run(cache: &Path, bounds: CompileBounds) -> anyhow::Result<ExitCode> {
    end_with_parent();
    let most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, limit) in [
        (Resource::Data, most(bounds.memory_bytes)),
        // The soft limit sends a signal, the hard limit kills the process.
        (Resource::Cpu, Rlimit { current: Some(bounds.seconds), maximum: Some(bounds.seconds + 1) }),
        (Resource::Core, most(0)),
    ] {
        setrlimit(resource, limit).context("can't set the resource limits of the compiler")?;
    }
    // An error means that the system has no such file; the limits must suffice.
    let _ = std::fs::write(OOM_SCORE.0, OOM_SCORE.1);
    let mut module = Vec::new();
    std::io::stdin().lock().read_to_end(&mut module)?;
    let code = weir_engine::compile_into(cache, &module);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Ends this process if the parent exits or is killed.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        tracing::debug!("this process may outlive its parent: {error}");
    }
}
