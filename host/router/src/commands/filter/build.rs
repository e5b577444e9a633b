//! `weir filter new` and `weir filter build`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::cli::FilterNewArgs;
use weir_filter_kit::build::{self, LANGUAGES, Manifest};

/// Creates a project.
pub fn new(args: &FilterNewArgs) -> anyhow::Result<ExitCode> {
    let language = LANGUAGES.iter().find(|language| language.name == args.lang).context("clap knows the languages")?;
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    build::write(&args.name, language, &folder)?;
    let shown = folder.display();
    weir_terminal::text(&format!(
        "wrote {shown}: a filter in {}, in {}\nnext: cd {shown} && weir filter build\n",
        language.title, language.source
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds a project.
pub fn once(project: &Path, into: Option<&Path>) -> anyhow::Result<ExitCode> {
    let built = build_into(project, into)?;
    if into.is_none() {
        eprintln!("copy {} to the filters folder of a running weir; a configuration must name it", built.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds a project now and after each save. A failed build is reported and changes nothing.
pub fn watch(project: &Path, into: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Fail immediately if the folder is not a project.
    let folder = Manifest::read(project)?.folder;
    build::watch(&folder, || {
        if let Err(error) = build_into(&folder, into) {
            eprintln!("{error:#}");
        }
        eprintln!("watching {}; press Ctrl-C to stop", folder.display());
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Rebuilds the bundled filters.
pub fn bundled(repository: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let folder = output.map_or_else(|| repository.join("filters/bundled"), Path::to_path_buf);
    build::build_bundled(repository, &folder)?;
    Ok(ExitCode::SUCCESS)
}

fn build_into(project: &Path, into: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(into) = into.filter(|into| !into.is_dir()) {
        bail!("`{}` is not a folder; give the filters folder of a running weir", into.display());
    }
    let built = build::build(project)?;
    eprintln!("{}", built.tried);
    eprintln!("built {} ({})", built.module.display(), weir_terminal::size(built.bytes as u64));
    if let Some(into) = into {
        let name = built.module.file_name().context("a module has a name")?;
        let place = into.join(name);
        let bytes = std::fs::read(&built.module).with_context(|| format!("can't read `{}`", built.module.display()))?;
        build::put(&bytes, &place)?;
        eprintln!("copied to {}", place.display());
    }
    Ok(built.module)
}
