//! Writes a new project: a language's example under the requested name, its SDK, samples, and cases.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};

use super::languages::{COMMON, File, Language};
use super::manifest::check_name;

/// The example's name, which is replaced.
const NAME: &str = "my-filter";

/// The same as an identifier.
const IDENTIFIER: &str = "my_filter";

/// Writes a project to a new or empty folder.
pub fn write(name: &str, language: &Language, folder: &Path) -> anyhow::Result<()> {
    check_name(name)?;
    let filled = fs::read_dir(folder).map(|mut entries| entries.next().is_some());
    match filled {
        Ok(true) => bail!("`{}` is not empty; choose another folder with --folder", folder.display()),
        Ok(false) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("can't read `{}`", folder.display())),
    }
    for file in COMMON {
        let text = (file.adapt)(file.text)
            .replace("{language}", language.name)
            .replace("{title}", language.title)
            .replace("{source}", language.source)
            .replace("{needs}", language.needs)
            .replace("{get}", language.get);
        write_one(folder, file, &text, name)?;
    }
    for file in language.files {
        write_one(folder, file, &(file.adapt)(file.text), name)?;
    }
    Ok(())
}

fn write_one(folder: &Path, file: &File, text: &str, name: &str) -> anyhow::Result<()> {
    let path = folder.join(file.path);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).with_context(|| format!("can't create `{}`", parent.display()))?;
    let text = text.replace(NAME, name).replace(IDENTIFIER, &name.replace('-', "_"));
    fs::write(&path, text).with_context(|| format!("can't write `{}`", path.display()))
}
