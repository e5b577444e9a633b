//! The process that compiles a module for a router: within bounds, so that a module that takes more ends this process and
//! no other.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Where a process says how readily the system should end it when there is no memory left, and the most of that.
const OOM_SCORE: (&str, &str) = ("/proc/self/oom_score_adj", "1000");

/// Compiles what is on standard input into a cache.
pub fn run(cache: &Path) -> anyhow::Result<ExitCode> {
    let bounds = weir_engine::compile_bounds();
    let most = |most: u64| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, limit) in [
        (Resource::Data, most(bounds.memory_bytes)),
        // A process is told at the first that its time is over, and ended at the second.
        (Resource::Cpu, Rlimit { current: Some(bounds.seconds), maximum: Some(bounds.seconds + 1) }),
        (Resource::Core, most(0)),
    ] {
        setrlimit(resource, limit).context("can't set the bounds of the compiler")?;
    }
    // An error: another system, whose limits have to do.
    let _ = std::fs::write(OOM_SCORE.0, OOM_SCORE.1);
    let mut module = Vec::new();
    std::io::stdin().lock().read_to_end(&mut module)?;
    let code = weir_engine::compile_into(cache, &module);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}
