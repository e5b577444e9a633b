//! `weir quarantine delete`: deletes entries permanently.

use anyhow::{Context, bail};

use super::choice::EntryFilter;
use crate::cli::QuarantineDeleteArgs;
use crate::quarantine::delete;

pub fn run(args: &QuarantineDeleteArgs) -> anyhow::Result<()> {
    let chosen = EntryFilter::of(&args.choice)?;
    if chosen.is_everything() && !args.all {
        bail!("select entries with --by, --reason, --source, --since or --until, or all entries with --all");
    }
    let folder = super::folder(&super::settings(&args.stored)?)?;
    let deleted = delete::delete(&folder, |_, entry| chosen.has(entry), args.dry_run)
        .with_context(|| format!("can't delete from the quarantine {}", folder.path.display()))?;
    let verb = if args.dry_run { "would be deleted" } else { "deleted" };
    let size = weir_terminal::size(deleted.bytes);
    weir_terminal::text(&format!(
        "{} {verb}, {size}, in {}\n",
        weir_terminal::count(deleted.entries, "entry", "entries"),
        folder.path.display()
    ))?;
    Ok(())
}
