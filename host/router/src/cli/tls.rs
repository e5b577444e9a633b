//! `weir tls`: its commands and options.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use weir_record::time;

use super::DataArgs;

#[derive(Subcommand, Debug)]
pub enum TlsCommand {
    /// Creates a certificate that is signed with its own key, and prints what to add to the configuration.
    #[command(after_help = "Examples:\n  \
        weir tls self-signed                              for localhost, in the data folder\n  \
        weir tls self-signed --host logs.example.com --host 10.0.0.7\n  \
        weir tls self-signed --replace                    a new one; a running router takes it up\n\n\
        Clients must be told to trust it, such as with curl --cacert FILE. Commands on this machine\n\
        trust it by themselves.")]
    SelfSigned(SelfSignedArgs),
}

#[derive(Args, Debug)]
pub struct SelfSignedArgs {
    /// A name or an address by which clients reach the router, besides localhost. Can be repeated.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
    /// Folder for `certificate.pem` and `key.pem` [default: `tls` in the data folder].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How long it is valid.
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = lifetime)]
    pub valid: Duration,
    /// Replace files that are there already.
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub stored: DataArgs,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match time::parse_duration(text) {
        Ok(ns) if ns > 0 => Ok(Duration::from_nanos(ns)),
        _ => Err("write a time such as 90d".to_owned()),
    }
}
