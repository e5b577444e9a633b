//! `weir filter rollback`: pins a filter to an earlier version. A running router watches pins as it watches modules; a
//! starting router reads them.

use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::cli::FilterRollbackArgs;
use crate::commands::run;
use crate::filters;
use crate::versions::{History, Pin, VersionEntry, Versions, sha256, short};

pub fn run(args: &FilterRollbackArgs) -> anyhow::Result<ExitCode> {
    let settings = run::settings(&args.setup.run_args())?;
    let name = &args.name;
    let wanted = filters::wanted(&settings).into_iter().find(|wanted| wanted.spec.name == *name);
    let wanted =
        wanted.with_context(|| format!("there is no filter `{name}`; `weir filter list` shows the filters"))?;
    let current_digest = sha256(&wanted.source.read().map_err(anyhow::Error::msg)?);
    let versions = Versions::of(&settings.data);
    let history = versions.history(name);
    let target = target(name, &history, args.to.as_deref())?;
    versions.module(name, &target.digest).map_err(anyhow::Error::msg)?;
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

/// The version to roll back to: the requested one, or the previous one.
fn target<'a>(name: &str, history: &'a History, to: Option<&str>) -> anyhow::Result<&'a VersionEntry> {
    let Some((running, before)) = history.versions.split_last() else {
        bail!("filter `{name}` has no version to roll back to: it never ran with this data folder");
    };
    let Some(to) = to else {
        return before.last().with_context(|| format!("filter `{name}` has no other version to roll back to"));
    };
    let mut found = history.versions.iter().filter(|kept| kept.digest.starts_with(to));
    match (found.next(), found.next()) {
        (Some(kept), None) if kept.digest == running.digest => bail!("filter `{name}` already runs that version"),
        (Some(kept), None) => Ok(kept),
        (None, _) => {
            bail!("filter `{name}` has no version `{to}`; `weir filter list --versions` shows the versions")
        }
        (Some(_), Some(_)) => {
            bail!("filter `{name}` has several versions that begin with `{to}`; give a longer prefix of the digest")
        }
    }
}

/// `user@host`, as far as known.
fn current_user() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
    format!("{user}@{}", host.as_deref().map_or("an unnamed machine", str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(digests: &[&str]) -> History {
        let kept = |digest: &&str| VersionEntry {
            digest: (*digest).to_owned(),
            version: "1.0.0".to_owned(),
            when: String::new(),
            by: "folder".to_owned(),
        };
        History { versions: digests.iter().map(kept).collect() }
    }

    #[test]
    fn the_default_target_is_the_previous_version() {
        let digest = |digests: &[&str], to| target("f", &history(digests), to).map(|kept| kept.digest.clone());
        assert_eq!(digest(&["a1", "b2", "c3"], None).unwrap(), "b2");
        assert_eq!(digest(&["a1", "b2", "c3"], Some("a")).unwrap(), "a1");
        for (digests, to, reason) in [
            (&[][..], None, "never ran"),
            (&["a1"], None, "no other version"),
            (&["a1", "b2"], Some("b"), "already"),
            (&["a1", "b2"], Some("c"), "no version `c`"),
            (&["a1", "a2", "b3"], Some("a"), "several"),
        ] {
            let error = digest(digests, to).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
