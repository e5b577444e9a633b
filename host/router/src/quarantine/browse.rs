//! Entries for the API: newest first, page by page, and by their place.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use weir_api::Entries;
use weir_record::{Record, write_json};

use super::read::{self, Found};
use super::{QuarantineEntry, QuarantineFolder};
use crate::versions::at;

/// Where an entry is: its time, file and end. Orders entries by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    time_ns: i64,
    /// The file's name without its extension.
    file: String,
    end: u64,
}

impl Place {
    pub fn of(file: &Path, end: u64, entry: &QuarantineEntry) -> Place {
        let file = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Place { time_ns: entry.time, file, end }
    }

    /// Reads the text of [`Place::id`].
    pub fn parse(id: &str) -> Option<Place> {
        let mut parts = id.split('.');
        let (time_ns, file, end) = (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Place { time_ns, file, end })
    }

    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.time_ns, self.file, self.end)
    }
}

/// Which entries are meant.
pub enum Choice {
    All,
    From(String),
    /// `None` for an id that no entry can have.
    These(Vec<Option<Place>>),
}

impl Choice {
    pub fn of(entries: &Entries) -> Choice {
        match entries {
            Entries::All => Choice::All,
            Entries::From(from) => Choice::From(from.clone()),
            Entries::These(ids) => Choice::These(ids.iter().map(|id| Place::parse(id)).collect()),
        }
    }

    pub fn has(&self, place: &Place, entry: &QuarantineEntry) -> bool {
        match self {
            Choice::All => true,
            Choice::From(from) => *from == entry.from,
            Choice::These(places) => places.iter().flatten().any(|chosen| chosen == place),
        }
    }
}

/// Some entries, and how many there are.
pub struct Page {
    entries: Vec<(Place, QuarantineEntry)>,
    /// The place after which the next page begins.
    next: Option<Place>,
    /// The number of entries by origin, whatever was asked for.
    groups: BTreeMap<String, u64>,
    size_bytes: u64,
}

/// Calls `visit` for every entry that was not replayed.
pub fn each(folder: &QuarantineFolder, mut visit: impl FnMut(Place, QuarantineEntry)) -> io::Result<()> {
    for file in read::files(&folder.path)? {
        let found = match read::entries(&file.path, &folder.keys) {
            // Removed in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for Found { entry, end } in found {
            visit(Place::of(&file.path, end, &entry), entry);
        }
    }
    Ok(())
}

/// The newest entries before a place. All are read, since each file has those of one origin; a page of them is kept.
pub fn page(folder: &QuarantineFolder, from: Option<&str>, limit: usize, after: Option<Place>) -> io::Result<Page> {
    let mut page = Page { entries: Vec::new(), next: None, groups: BTreeMap::new(), size_bytes: 0 };
    let mut newest: BTreeMap<Place, QuarantineEntry> = BTreeMap::new();
    each(folder, |place, entry| {
        *page.groups.entry(entry.from.clone()).or_default() += 1;
        page.size_bytes += entry.size_bytes();
        let is_asked_for =
            from.is_none_or(|from| from == entry.from) && after.as_ref().is_none_or(|after| place < *after);
        if is_asked_for {
            newest.insert(place, entry);
            // One more than the page, to know whether there is a next one.
            if newest.len() > limit + 1 {
                newest.pop_first();
            }
        }
    })?;
    page.entries = newest.into_iter().rev().collect();
    if page.entries.len() > limit {
        page.entries.truncate(limit);
        page.next = page.entries.last().map(|(place, _)| place.clone());
    }
    Ok(page)
}

impl Page {
    pub fn to_json(&self) -> Value {
        let groups = self.groups.iter().map(|(from, entries)| json!({ "from": from, "entries": entries }));
        let entries = self.entries.iter().map(|(place, entry)| entry_json(place, entry));
        json!({
            "total": self.groups.values().sum::<u64>(),
            "size_bytes": self.size_bytes,
            "groups": groups.collect::<Vec<_>>(),
            "entries": entries.collect::<Vec<_>>(),
            "next": self.next.as_ref().map(Place::id),
        })
    }
}

fn entry_json(place: &Place, entry: &QuarantineEntry) -> Value {
    let kept = entry.record.as_ref();
    let record = kept.filter(|_| !entry.raw).and_then(|record| {
        let mut text = Vec::new();
        write_json(Record::new(record), &mut text);
        serde_json::from_slice::<Value>(&text).ok()
    });
    json!({
        "id": place.id(),
        "time": at(entry.time),
        "from": entry.from,
        "reason": entry.reason,
        "raw": entry.raw,
        "can_replay": record.is_some(),
        "record": record,
        "text": kept.filter(|_| entry.raw).map(|text| String::from_utf8_lossy(text)),
        "size_bytes": entry.size_bytes(),
    })
}

#[cfg(test)]
mod tests {
    use weir_journal::Keys;

    use super::*;
    use crate::quarantine::delete;

    fn put(folder: &Path, file: &str, entries: &[(i64, &str)]) {
        let entry = |(time, from): &(i64, &str)| QuarantineEntry {
            time: *time,
            from: (*from).to_owned(),
            reason: "it failed".to_owned(),
            raw: true,
            record: Some(b"what was sent".to_vec().into()),
        };
        let bytes: Vec<u8> = entries.iter().flat_map(|one| entry(one).to_bytes()).collect();
        std::fs::write(folder.join(format!("{file}.quarantine")), bytes).unwrap();
    }

    fn times(page: &Page) -> Vec<i64> {
        page.entries.iter().map(|(_, entry)| entry.time).collect()
    }

    #[test]
    fn entries_come_newest_first_page_by_page_whatever_file_has_them() {
        let temp = tempfile::tempdir().unwrap();
        let folder = QuarantineFolder { path: temp.path().to_owned(), keys: Keys::default() };
        put(&folder.path, "1-aa", &[(1, "ingest"), (4, "ingest"), (5, "ingest")]);
        put(&folder.path, "2-bb", &[(2, "sink:a"), (3, "sink:a")]);
        let first = page(&folder, None, 2, None).unwrap();
        assert_eq!(times(&first), [5, 4]);
        let next = Place::parse(&first.next.as_ref().unwrap().id());
        let second = page(&folder, None, 2, next).unwrap();
        assert_eq!(times(&second), [3, 2]);
        let third = page(&folder, None, 2, second.next).unwrap();
        assert_eq!((times(&third), third.next), (vec![1], None));
        let of_sink = page(&folder, Some("sink:a"), 9, None).unwrap().to_json();
        assert_eq!(of_sink["total"], 5);
        assert_eq!(of_sink["groups"][0], json!({ "from": "ingest", "entries": 3 }));
        assert_eq!(of_sink["entries"].as_array().map(Vec::len), Some(2));
        assert_eq!(of_sink["entries"][0]["text"], "what was sent");
    }

    #[test]
    fn an_entry_is_chosen_by_its_place() {
        let temp = tempfile::tempdir().unwrap();
        let folder = QuarantineFolder { path: temp.path().to_owned(), keys: Keys::default() };
        put(&folder.path, "1-aa", &[(1, "ingest"), (1, "ingest")]);
        let second = page(&folder, None, 1, None).unwrap().entries[0].0.id();
        let choice = Choice::of(&Entries::These(vec![second, "nonsense".to_owned(), "1./etc/passwd.4".to_owned()]));
        let deleted = delete::delete(&folder, |place, entry| choice.has(place, entry), false).unwrap();
        assert_eq!(deleted.entries, 1);
        assert_eq!(page(&folder, None, 9, None).unwrap().entries.len(), 1);
    }
}
