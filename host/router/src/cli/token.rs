//! `weir token`: its commands and options.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Subcommand};
use weir_access::{Role, TokenHash, certificate_hash};
use weir_record::time;

use super::DataArgs;

#[derive(Args, Debug)]
pub struct TokenArgs {
    #[command(subcommand)]
    pub command: TokenCommand,
    #[command(flatten)]
    pub stored: DataArgs,
}

#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Creates a token, and prints it on the last line. It can't be shown again.
    #[command(after_help = "Examples:\n  \
        weir token new ci --role ingest --sources 'shop*,checkout'\n  \
        weir token new alice --role read --expires 90d\n  \
        weir token new auditor --role read --routes audit\n  \
        weir token new agent --role ingest --certificate agent.example.com\n  \
        weir token new deploy --role ingest --hash    print its hash as well, for a configuration\n\n\
        Clients send it as `authorization: Bearer TOKEN`, or as the password of Basic.")]
    New(TokenNewArgs),
    /// Lists the tokens of the data folder.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revokes tokens: a running router refuses them within a second, and ends their sessions and streams.
    Revoke {
        /// Names of tokens.
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

#[derive(Args, Debug)]
pub struct TokenNewArgs {
    /// A name, by which it is listed, revoked, and named in audit records.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it permits: to send records, to read them, or everything.
    #[arg(long, value_parser = role())]
    pub role: Role,
    /// Only records of these sources, in any case; `*` is any text, `?` one character.
    #[arg(long, value_delimiter = ',', value_name = "SOURCES")]
    pub sources: Vec<String>,
    /// Only records with one of these routes, to read.
    #[arg(long, value_delimiter = ',', value_name = "ROUTES")]
    pub routes: Vec<String>,
    /// When it ends, such as 12h or 90d [default: never].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires: Option<Duration>,
    /// Print its hash, too, and don't keep it: for a `[token]` table of a configuration.
    #[arg(long)]
    pub hash: bool,
    /// In place of a token, a client certificate: its common name, one of its alternative names, or its fingerprint
    /// (`sha256:…`). Needs `client_certificates` under `[tls]`.
    #[arg(long, value_name = "NAME", conflicts_with = "hash", value_parser = certificate)]
    pub certificate: Option<TokenHash>,
}

fn certificate(name: &str) -> Result<TokenHash, String> {
    certificate_hash(name)
}

fn role() -> impl clap::builder::TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
        .map(|name| Role::ALL.into_iter().find(|role| role.as_str() == name).unwrap_or(Role::Ingest))
}

fn duration(text: &str) -> Result<Duration, String> {
    let ns = time::parse_duration(text).map_err(|_| "write a time such as 12h or 90d".to_owned())?;
    Ok(Duration::from_nanos(ns))
}
