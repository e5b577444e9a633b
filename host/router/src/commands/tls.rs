//! `weir tls self-signed`: a certificate and its key for a start.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use weir_ingest::{SelfSigned, check_allowed_host};
use weir_journal::disk::{create_folder, replace_file};
use weir_record::time::now_ns;

use crate::cli::{SelfSignedArgs, TlsCommand};
use crate::commands::quarantine;

/// Names that every certificate has.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Before now, since clocks differ.
const BEFORE_NS: i64 = 3600 * 1_000_000_000;

pub fn run(command: &TlsCommand) -> anyhow::Result<()> {
    match command {
        TlsCommand::SelfSigned(args) => self_signed(args),
    }
}

fn self_signed(args: &SelfSignedArgs) -> anyhow::Result<()> {
    let mut hosts: Vec<String> = LOCAL.map(str::to_owned).into();
    for host in &args.hosts {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.parse::<std::net::IpAddr>().is_err() {
            check_allowed_host(host).map_err(|wrong| anyhow::anyhow!("--host {host}: {wrong}"))?;
        }
        if !hosts.iter().any(|known| known == host) {
            hosts.push(host.to_owned());
        }
    }
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => quarantine::settings(&args.stored)?.data.join("tls"),
    };
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name));
    if !args.replace
        && let Some(there) = [&certificate, &key].into_iter().find(|path| path.exists())
    {
        bail!("{} is there already; `--replace` replaces it, --out chooses another folder", there.display());
    }
    let now = now_ns();
    let expires_ns = now.saturating_add(i64::try_from(args.valid.as_nanos()).unwrap_or(i64::MAX));
    let made = SelfSigned::new(&hosts, now - BEFORE_NS, expires_ns);
    let made = made.ok().context("can't get random bytes from the operating system")?;
    create_folder(&folder, 0o700).with_context(|| format!("can't create {}", folder.display()))?;
    for (path, content) in [(&key, made.key), (&certificate, made.certificate)] {
        replace_file(path, content.as_bytes()).with_context(|| format!("can't write {}", path.display()))?;
    }
    let until = weir_terminal::time(expires_ns);
    eprintln!("a certificate for {}, valid until {until}; add to the configuration:", hosts.join(", "));
    let [certificate, key] = [certificate, key].map(absolute);
    Ok(weir_terminal::text(&format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n"))?)
}

fn absolute(path: PathBuf) -> String {
    std::path::absolute(&path).as_deref().unwrap_or(Path::new(&path)).display().to_string()
}
