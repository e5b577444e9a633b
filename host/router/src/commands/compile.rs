//! `weir compile`: the child process that compiles a module for a router or a command. It limits itself, so that a module
//! that takes too much ends this process and no other.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};
use weir_engine::CompileBounds;

/// Where a process says how readily the system should end it when memory runs out, and the highest such score.
const OOM_SCORE: (&str, &str) = ("/proc/self/oom_score_adj", "1000");

/// Compiles what is on standard input into a cache.
pub fn run(cache: &Path, bounds: CompileBounds) -> anyhow::Result<ExitCode> {
    end_with_parent();
    let most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, limit) in [
        (Resource::Data, most(bounds.memory_bytes)),
        // A process gets a signal at the first limit, and is killed at the second.
        (Resource::Cpu, Rlimit { current: Some(bounds.seconds), maximum: Some(bounds.seconds + 1) }),
        (Resource::Core, most(0)),
    ] {
        setrlimit(resource, limit).context("can't set the resource limits of the compiler")?;
    }
    // An error: a system without this file, where the limits must do.
    let _ = std::fs::write(OOM_SCORE.0, OOM_SCORE.1);
    let mut module = Vec::new();
    std::io::stdin().lock().read_to_end(&mut module)?;
    let code = weir_engine::compile_into(cache, &module);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// A parent that is killed, or that exits without waiting, leaves no compiler behind.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        tracing::debug!("this process may outlive its parent: {error}");
    }
}
