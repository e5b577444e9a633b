//! `weir quarantine list`: entries grouped by origin and reason, or individually.
//!
//! Memory holds one quarantine file at a time, plus the entries that are shown.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::io::ErrorKind;

use anyhow::Context;
use serde_json::{Value, json};
use weir_record::escape::escaped;

use super::choice::EntryFilter;
use crate::cli::QuarantineListArgs;
use crate::quarantine::read::{self, Found};
use crate::quarantine::{QuarantineEntry, QuarantineFolder};

/// Default for `--limit` when groups are shown.
const SHOWN_GROUPS: usize = 50;

/// Entries of one origin whose reasons differ only in numbers.
struct Group {
    by: String,
    reason: String,
    count: u64,
    bytes: u64,
    first_ns: i64,
    last_ns: i64,
    /// The full reason of the latest entry.
    example: String,
}

#[derive(Default)]
struct Total {
    entries: u64,
    bytes: u64,
}

pub fn run(args: &QuarantineListArgs) -> anyhow::Result<()> {
    let chosen = EntryFilter::of(&args.choice)?;
    let folder = super::folder(&super::settings(&args.stored)?)?;
    // `--records` implies `--entries`.
    if args.entries || args.records {
        return entries(&folder, args, &chosen);
    }
    let (groups, total) = grouped(&folder, &chosen)?;
    let limit = at_most(args.limit.unwrap_or(SHOWN_GROUPS));
    if args.json {
        let shown: Vec<Value> = groups.iter().take(limit).map(Group::to_json).collect();
        return Ok(weir_terminal::json(&json!({
            "folder": folder.path, "entries": total.entries, "bytes": total.bytes,
            "groups": shown, "groups_left_out": groups.len().saturating_sub(limit),
        }))?);
    }
    if groups.is_empty() {
        return Ok(weir_terminal::text(&nothing(&folder, &chosen))?);
    }
    for group in groups.iter().take(limit) {
        weir_terminal::text(&group.line())?;
    }
    if groups.len() > limit {
        weir_terminal::text(&format!("and {} more groups; use --limit 0 to show all\n", groups.len() - limit))?;
    }
    let entries = weir_terminal::count(total.entries, "entry", "entries");
    weir_terminal::text(&format!("\n{entries}, {}, in {}\n", weir_terminal::size(total.bytes), folder.path.display()))?;
    Ok(())
}

/// 0 means all.
fn at_most(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

fn nothing(folder: &QuarantineFolder, chosen: &EntryFilter) -> String {
    match chosen.is_everything() {
        true => format!("the quarantine {} is empty\n", folder.path.display()),
        false => format!("no matching entries in the quarantine {}\n", folder.path.display()),
    }
}

/// Calls `visit` for every selected entry, oldest first.
fn each(
    folder: &QuarantineFolder,
    chosen: &EntryFilter,
    mut visit: impl FnMut(QuarantineEntry) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let files =
        read::files(&folder.path).with_context(|| format!("can't read the quarantine {}", folder.path.display()))?;
    for file in files {
        let found = match read::entries(&file.path, &folder.keys) {
            // The router removed it in the meantime.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            other => other.with_context(|| format!("can't read {}", file.path.display()))?,
        };
        for Found { entry, .. } in found {
            if chosen.has(&entry) {
                visit(entry)?;
            }
        }
    }
    Ok(())
}

/// The groups, largest first.
fn grouped(folder: &QuarantineFolder, chosen: &EntryFilter) -> anyhow::Result<(Vec<Group>, Total)> {
    let mut groups: HashMap<(String, String), Group> = HashMap::new();
    let mut total = Total::default();
    each(folder, chosen, |entry| {
        let bytes = entry.size_bytes();
        total.entries += 1;
        total.bytes += bytes;
        let reason = without_numbers(&entry.reason);
        let group = groups.entry((entry.from.clone(), reason.clone())).or_insert_with(|| Group {
            by: entry.from,
            reason,
            count: 0,
            bytes: 0,
            first_ns: entry.time,
            last_ns: entry.time,
            example: String::new(),
        });
        group.count += 1;
        group.bytes += bytes;
        group.first_ns = group.first_ns.min(entry.time);
        group.last_ns = group.last_ns.max(entry.time);
        group.example = entry.reason;
        Ok(())
    })?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.by, &a.reason).cmp(&(&b.by, &b.reason))));
    Ok((groups, total))
}

/// Replaces every number in a reason by `#`.
fn without_numbers(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

impl Group {
    fn line(&self) -> String {
        // A single entry is shown with its exact reason.
        let reason = if self.count == 1 { &self.example } else { &self.reason };
        format!(
            "{:>8} × {}: {}\n{:>11}{}, {} to {}\n",
            self.count,
            escaped(&self.by),
            escaped(reason),
            "",
            weir_terminal::size(self.bytes),
            weir_terminal::time(self.first_ns),
            weir_terminal::time(self.last_ns)
        )
    }

    fn to_json(&self) -> Value {
        json!({
            "by": self.by, "reason": self.reason, "example": self.example, "count": self.count, "bytes": self.bytes,
            "first": weir_terminal::time(self.first_ns), "last": weir_terminal::time(self.last_ns),
        })
    }
}

/// Prints individual entries, oldest first; a limit selects the newest.
fn entries(folder: &QuarantineFolder, args: &QuarantineListArgs, chosen: &EntryFilter) -> anyhow::Result<()> {
    let limit = at_most(args.limit.unwrap_or(0));
    let mut newest: VecDeque<QuarantineEntry> = VecDeque::new();
    let mut printed = Printed { json: args.json, records: args.records, count: 0 };
    each(folder, chosen, |entry| {
        if limit == usize::MAX {
            return Ok(printed.entry(&entry)?);
        }
        if newest.len() == limit {
            newest.pop_front();
        }
        newest.push_back(entry);
        Ok(())
    })?;
    newest.iter().try_for_each(|entry| printed.entry(entry))?;
    match (printed.count, args.json) {
        (0, true) => weir_terminal::text("[]\n")?,
        (_, true) => weir_terminal::text("\n]\n")?,
        (0, false) => weir_terminal::text(&nothing(folder, chosen))?,
        (_, false) => {}
    }
    Ok(())
}

struct Printed {
    json: bool,
    records: bool,
    count: u64,
}

impl Printed {
    fn entry(&mut self, entry: &QuarantineEntry) -> io::Result<()> {
        self.count += 1;
        if !self.json {
            return weir_terminal::text(&self.line(entry));
        }
        let before = if self.count == 1 { "[\n" } else { ",\n" };
        weir_terminal::text(&format!("{before}{}", self.to_json(entry)))
    }

    fn line(&self, entry: &QuarantineEntry) -> String {
        let size = entry.record.as_ref().map_or("not kept".to_owned(), |_| weir_terminal::size(entry.size_bytes()));
        let time = weir_terminal::time(entry.time);
        let mut text = format!("{time}  {:<18} {size:>9}  {}\n", escaped(&entry.from), escaped(&entry.reason));
        if let (true, Some(record)) = (self.records, &entry.record) {
            let shown = match entry.raw {
                // The sender is untrusted, so the text is escaped.
                true => record.escape_ascii().to_string(),
                false => escaped(&String::from_utf8_lossy(&record_json(record))).into_owned(),
            };
            text.push_str(&format!("    {shown}\n"));
        }
        text
    }

    fn to_json(&self, entry: &QuarantineEntry) -> Value {
        let mut shown = json!({
            "time": weir_terminal::time(entry.time), "by": entry.from, "reason": entry.reason, "raw": entry.raw,
            "source": entry.source(), "bytes": entry.record.as_ref().map(|record| record.len()),
        });
        if let (true, Some(record)) = (self.records, &entry.record) {
            // Raw bytes are shown as text, decoded lossily.
            let lossy = || Value::from(String::from_utf8_lossy(record));
            shown["record"] = match entry.raw {
                true => lossy(),
                false => serde_json::from_slice(&record_json(record)).unwrap_or_else(|_| lossy()),
            };
        }
        shown
    }
}

fn record_json(record: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    weir_record::write_json(weir_record::Record::new(record), &mut json);
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_only_in_numbers_are_equal() {
        assert_eq!(without_numbers("it ran longer than 250 ms at 17:03"), "it ran longer than # ms at #:#");
        assert_eq!(without_numbers("no number"), "no number");
    }
}
