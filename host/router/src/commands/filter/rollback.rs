//! `weir filter rollback`: pins a filter to an earlier version. A running router watches pins as it watches modules; a
//! starting router reads them.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::FilterRollbackArgs;
use crate::commands::run;
use crate::filters;
use crate::versions::{Pin, Versions, sha256, short};

pub fn run(args: &FilterRollbackArgs) -> anyhow::Result<ExitCode> {
    let settings = run::settings(&args.setup.run_args())?;
    let name = &args.name;
    let wanted = filters::wanted(&settings).into_iter().find(|wanted| wanted.spec.name == *name);
    let wanted =
        wanted.with_context(|| format!("there is no filter `{name}`; `weir filter list` shows the filters"))?;
    let current_digest = sha256(&wanted.source.read().map_err(anyhow::Error::msg)?);
    let versions = Versions::of(&settings.data);
    let history = versions.history(name);
    let target = history.rollback_target(name, args.to.as_deref()).map_err(anyhow::Error::msg)?;
    let module = versions.module(name, &target.digest).map_err(anyhow::Error::msg)?;
    if let Some(trusted) = &wanted.spec.trusted {
        // The router would refuse it, and not start with it.
        trusted.check(&module).with_context(|| format!("filter `{name}`: version {} stays", short(&target.digest)))?;
    }
    let by = current_user();
    let pin = Pin { instead_of: current_digest, run: target.digest.clone(), by, why: "rollback".to_owned() };
    versions.set_pin(name, &pin).map_err(anyhow::Error::msg)?;
    weir_terminal::text(&format!(
        "filter `{name}` is rolled back to {}, sha256 {}, until the module in {} changes\n",
        target.version,
        short(&target.digest),
        wanted.source
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// `user@host`, as far as known.
fn current_user() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    format!("{user}@{}", host.as_deref().map_or("an unnamed machine", str::trim))
}
