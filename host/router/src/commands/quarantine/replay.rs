//! `weir quarantine replay`: sends quarantined records through the running router again.

use anyhow::{Context, bail};

use crate::config::Settings;
use crate::identity;
use crate::quarantine::read::{self, Found};
use weir_ingest::client::{self, RunningRouter};

/// Bytes of records per request.
const REPLAY_BYTES: usize = 1024 * 1024;

pub fn replay(settings: &Settings, router: &RunningRouter) -> anyhow::Result<()> {
    let folder = super::folder(settings)?;
    let files = read::files(&folder.path)?;
    if files.is_empty() {
        return Ok(weir_terminal::text(&format!("the quarantine {} is empty\n", folder.path.display()))?);
    }
    // The key makes the router keep the routes that filters assigned to these records.
    let key = identity::replay_key(&settings.data)?;
    let headers = [("content-type", "application/msgpack"), (weir_ingest::REPLAY_HEADER, key.as_str())];
    let (mut sent, mut left) = (0, 0);
    // Records that fail again are appended after the part that is read here; each file is read once.
    for file in files {
        let found = read::entries(&file.path, &folder.keys)?;
        let mut body = Vec::new();
        // The records in the body, and the end of the last one.
        let (mut waiting, mut last) = (0, 0);
        for (number, Found { entry, end }) in found.iter().enumerate() {
            match &entry.record {
                Some(record) if !entry.raw => {
                    body.extend_from_slice(record);
                    waiting += 1;
                    last = *end;
                }
                _ => left += 1,
            }
            if body.len() < REPLAY_BYTES && number + 1 < found.len() {
                continue;
            }
            if waiting > 0 {
                let body = std::mem::take(&mut body);
                let answer = client::post(router, "/ingest", &headers, body)?;
                let answer: serde_json::Value = serde_json::from_str(&answer)
                    .with_context(|| format!("{router} is not a Weir router: {answer}"))?;
                if answer.get("accepted").is_none() {
                    bail!("{router} answered {answer}");
                }
                if let Some(rejected) = answer.get("rejected") {
                    // They are stored nowhere else, and the mark can only pass all of them.
                    bail!(
                        "{sent} records were replayed, then filters rejected {rejected} of {waiting}; these stay in {}, \
                         and the next replay sends them all again, so change the filter first: {}",
                        file.path.display(),
                        answer["errors"][0]["error"].as_str().unwrap_or("no reason was given")
                    );
                }
                sent += waiting;
                waiting = 0;
                read::mark_replayed(&file.path, last)?;
            }
        }
    }
    weir_terminal::text(&format!("{sent} records replayed through {router}\n"))?;
    if left > 0 {
        weir_terminal::text(&format!(
            "{left} entries don't contain a complete record and can't be replayed; they stay in {}\n",
            folder.path.display()
        ))?;
    }
    Ok(())
}
