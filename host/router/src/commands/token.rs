//! `weir token`: creates, lists and revokes the tokens of a data folder.

use anyhow::{Context, bail};
use serde_json::json;
use weir_access::{Grant, Token, TokenEntry};
use weir_record::time::now_ns;

use crate::cli::{TokenArgs, TokenCommand, TokenNewArgs};
use crate::commands::quarantine;
use crate::tokens::TokenFile;
use crate::versions::at;

pub fn run(args: &TokenArgs) -> anyhow::Result<()> {
    let file = TokenFile::of(&quarantine::settings(&args.stored)?.data);
    match &args.command {
        TokenCommand::New(new) => create(&file, new),
        TokenCommand::List { json } => list(&file, *json),
        TokenCommand::Revoke { names } => revoke(&file, names),
    }
}

fn create(file: &TokenFile, args: &TokenNewArgs) -> anyhow::Result<()> {
    let token = Token::random().context("can't get random bytes from the operating system")?;
    let now = now_ns();
    let lifetime = args.expires.map(|time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    let entry = TokenEntry {
        name: args.name.clone(),
        role: args.role,
        sources: args.sources.clone(),
        routes: args.routes.clone(),
        hash: args.certificate.unwrap_or_else(|| token.hash()),
        created_ns: now,
        expires_ns: lifetime.map(|lifetime| now.saturating_add(lifetime)),
    };
    // Refused here rather than by the running router.
    let entry = Grant::new(entry)?.entry;
    if args.hash {
        return Ok(weir_terminal::text(&format!("{}\n{}\n", entry.hash, token.reveal()))?);
    }
    file.change(|tokens| {
        if tokens.iter().any(|token| token.name == entry.name) {
            bail!("there is a token `{0}`; choose another name, or `weir token revoke {0}` first", entry.name);
        }
        tokens.push(entry);
        Ok(())
    })?;
    if args.certificate.is_some() {
        return Ok(());
    }
    Ok(weir_terminal::text(&format!("{}\n", token.reveal()))?)
}

fn list(file: &TokenFile, as_json: bool) -> anyhow::Result<()> {
    let tokens = file.read()?;
    if as_json {
        let shown: Vec<_> = tokens
            .iter()
            .map(|token| {
                json!({
                    "name": token.name, "role": token.role, "sources": token.sources, "routes": token.routes,
                    "created": at(token.created_ns), "expires": token.expires_ns.map(at),
                })
            })
            .collect();
        return Ok(weir_terminal::json(&shown)?);
    }
    if tokens.is_empty() {
        return Ok(weir_terminal::text("there is no token; `weir token new NAME --role ROLE` creates one\n")?);
    }
    let now = now_ns();
    let lines = tokens.iter().map(|token| {
        let end = match token.expires_ns {
            Some(end) if end <= now => "expired".to_owned(),
            Some(end) => format!("until {}", day(end)),
            None => "never expires".to_owned(),
        };
        let limited = [("sources", &token.sources), ("routes", &token.routes)];
        let limited = limited.iter().filter(|(_, values)| !values.is_empty());
        let limited: String = limited.map(|(name, values)| format!("  {name} {}", values.join(", "))).collect();
        format!("{:<20} {:<7} since {}  {end}{limited}\n", token.name, token.role.as_str(), day(token.created_ns))
    });
    Ok(weir_terminal::text(&lines.collect::<String>())?)
}

fn day(ns: i64) -> String {
    at(ns).chars().take_while(|c| *c != 'T').collect()
}

fn revoke(file: &TokenFile, names: &[String]) -> anyhow::Result<()> {
    let left = file.change(|tokens| {
        for name in names {
            let at = tokens.iter().position(|token| token.name == *name);
            let at = at.with_context(|| format!("there is no token `{name}`; `weir token list` shows all"))?;
            tokens.remove(at);
        }
        Ok(tokens.len())
    })?;
    if left == 0 {
        weir_terminal::text("no token is left here: on a loopback address, a router without others is open again\n")?;
    }
    Ok(())
}
