//! `weir filter new-key` and `weir filter sign`.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use weir_engine::{PrivateKey, component_bytes};
use weir_filter_kit::Source;

use crate::limits;
use weir_filter_kit::regular;

/// Creates a key.
pub fn new_key(file: &Path) -> anyhow::Result<ExitCode> {
    let key = PrivateKey::random().map_err(anyhow::Error::msg)?;
    let shown = file.display();
    // Never replaces a key, without which nobody can sign for the routers that trust it.
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).with_context(|| {
        format!("can't create `{shown}` for the private key; name a file that doesn't exist in a folder that does")
    })?;
    writeln!(written, "{}", key.expose()).with_context(|| format!("can't write `{shown}`"))?;
    written.sync_all().with_context(|| format!("can't write `{shown}`"))?;
    eprintln!("wrote {shown}, the private key; its public key, for `trusted_keys`, is:");
    weir_terminal::text(&format!("{}\n", key.public()))?;
    Ok(ExitCode::SUCCESS)
}

/// Signs a module.
pub fn sign(file: &Path, key: &Path, output: Option<&Path>) -> anyhow::Result<ExitCode> {
    let text = regular::read(key, limits::KEY_FILE_BYTES).with_context(|| format!("can't read `{}`", key.display()))?;
    let key: PrivateKey = String::from_utf8_lossy(&text)
        .parse()
        .map_err(|wrong: String| anyhow::anyhow!("`{}`: {wrong}", key.display()))?;
    let module = Source::File(file.to_path_buf()).read().map_err(anyhow::Error::msg)?;
    // Whoever signs by mistake what is no filter learns it now.
    component_bytes(&module).with_context(|| format!("`{}` is not signed", file.display()))?;
    let target = output.unwrap_or(file);
    replace(target, file, &key.sign(&module)).with_context(|| format!("can't write `{}`", target.display()))?;
    weir_terminal::text(&format!("{} is signed by {}\n", target.display(), key.public()))?;
    Ok(ExitCode::SUCCESS)
}

/// Replaces a file at once, as a router may be watching it. The new one has the permissions of `like`.
fn replace(target: &Path, like: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut beside = target.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    fs::write(&beside, content)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(fs::metadata(like)?.permissions().mode() & 0o777))?;
    fs::File::open(&beside)?.sync_all()?;
    fs::rename(&beside, target)
}
