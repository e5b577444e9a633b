//! `weir quarantine`: what was set aside, and sending it through the router once more.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, bail};

use super::{run, show};
use crate::cli::{QuarantineCommand, RunArgs, Stored};
use crate::client;
use crate::config::Settings;
use crate::identity;
use crate::parts;
use crate::quarantine::Entry;
use crate::quarantine::read::{self, Found};

/// Bytes of records sent in one request of a replay.
const REPLAY_BYTES: usize = 1024 * 1024;

pub fn run(command: QuarantineCommand) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::List { stored, records } => list(&settings(&stored)?, records),
        QuarantineCommand::Replay { stored, address } => {
            let settings = settings(&stored)?;
            replay(&settings, address.unwrap_or(settings.http.listen))
        }
    }
}

/// The settings of the router whose data a command reads.
pub fn settings(stored: &Stored) -> anyhow::Result<Settings> {
    run::settings(&RunArgs { config: stored.config.clone(), data: stored.data.clone(), ..RunArgs::default() })
}

fn list(settings: &Settings, records: bool) -> anyhow::Result<()> {
    let folder = parts::quarantine_folder(settings);
    let files = read::files(&folder).with_context(|| format!("can't read the quarantine {}", folder.display()))?;
    let mut reasons: BTreeMap<(String, String), u64> = BTreeMap::new();
    for file in files {
        for Found { entry, .. } in read::entries(&file.path)? {
            show::text(&line(&entry, records))?;
            *reasons.entry((entry.from, entry.reason)).or_default() += 1;
        }
    }
    if reasons.is_empty() {
        return show::text(&format!("nothing is in quarantine in {}\n", folder.display()));
    }
    show::text("\n")?;
    for ((from, reason), count) in reasons {
        show::text(&format!("{count:>8} × {from}: {reason}\n"))?;
    }
    Ok(())
}

fn line(entry: &Entry, records: bool) -> String {
    let size = entry.record.as_ref().map_or("not kept".to_string(), |r| show::size(r.len() as u64));
    let mut text = format!("{}  {:<18} {:>9}  {}\n", show::time(entry.time), entry.from, size, entry.reason);
    if let (true, Some(record)) = (records, &entry.record) {
        let shown = match entry.raw {
            // Control characters are escaped: whoever sent this may mean the terminal harm.
            true => record.escape_ascii().to_string(),
            false => {
                let mut json = Vec::new();
                weir_record::write_json(weir_record::Record::new(record), &mut json);
                String::from_utf8_lossy(&json).into_owned()
            }
        };
        text.push_str(&format!("    {shown}\n"));
    }
    text
}

fn replay(settings: &Settings, address: SocketAddr) -> anyhow::Result<()> {
    let folder = parts::quarantine_folder(settings);
    let files = read::files(&folder)?;
    if files.is_empty() {
        return show::text(&format!("nothing is in quarantine in {}\n", folder.display()));
    }
    // Their routes are those that filters gave them, which the router believes of nobody else.
    let key = identity::replay_key(&settings.data)?;
    let headers = [("content-type", "application/msgpack"), (weir_ingest::REPLAY_HEADER, key.as_str())];
    let (mut sent, mut left) = (0, 0);
    // What fails again is set aside again, behind what is read here: each file is read once.
    for file in files {
        let found = read::entries(&file.path)?;
        let mut body = Vec::new();
        let mut waiting = 0;
        for (number, Found { entry, end }) in found.iter().enumerate() {
            match &entry.record {
                Some(record) if !entry.raw => {
                    body.extend_from_slice(record);
                    waiting += 1;
                }
                _ => left += 1,
            }
            if body.len() < REPLAY_BYTES && number + 1 < found.len() {
                continue;
            }
            if waiting > 0 {
                let body = std::mem::take(&mut body);
                let answer = client::post(address, "/ingest", &headers, body)?;
                let answer: serde_json::Value = serde_json::from_str(&answer)
                    .with_context(|| format!("http://{address} is not a weir: {answer}"))?;
                if answer.get("accepted").is_none() {
                    bail!("http://{address} answered {answer}");
                }
                sent += waiting;
                waiting = 0;
            }
            read::mark_replayed(&file.path, *end)?;
        }
    }
    show::text(&format!("{sent} records replayed through http://{address}\n"))?;
    if left > 0 {
        show::text(&format!(
            "{left} entries are no records that could be replayed, and stay in {}\n",
            folder.display()
        ))?;
    }
    Ok(())
}
