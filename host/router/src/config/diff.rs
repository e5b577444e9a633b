//! What must be done to get from one configuration to the next. Start is the difference from nothing, so
//! start and reload take the same path and only what changed is restarted.

use super::settings::{FilterSettings, Module, Settings, SinkSettings};

/// What differs between two settings. Names are those of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    pub filters: Named,
    /// Filters that both have stand in another order.
    pub filters_reordered: bool,
    pub sinks: Named,
    /// Keys whose change takes effect at the next start only, such as `http.listen`; small sections are named as one.
    pub restart: Vec<&'static str>,
    pub filters_folder: bool,
    pub auto_load: bool,
    pub quarantine: bool,
}

/// Things told apart by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    pub changed: Vec<String>,
}

impl Changes {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The difference from what runs (`None`: nothing does) to `new`.
pub fn diff(old: Option<&Settings>, new: &Settings) -> Changes {
    let Some(old) = old else {
        return from_nothing(new);
    };
    let filters_folder = old.filters_folder != new.filters_folder;
    // A file of the same name in another folder is another module.
    let same_filter =
        |a: &FilterSettings, b: &FilterSettings| a == b && !(filters_folder && matches!(a.module, Module::File(_)));
    Changes {
        filters: named(&old.filters, &new.filters, |f| &f.name, same_filter),
        filters_reordered: reordered(&old.filters, &new.filters),
        sinks: named(&old.sinks, &new.sinks, |s| &s.name, SinkSettings::eq),
        restart: restart(old, new),
        filters_folder,
        auto_load: old.auto_load != new.auto_load,
        quarantine: old.quarantine != new.quarantine,
    }
}

fn from_nothing(new: &Settings) -> Changes {
    let added = |names: Vec<&String>| Named { added: names.into_iter().cloned().collect(), ..Named::default() };
    Changes {
        filters: added(new.filters.iter().map(|f| &f.name).collect()),
        sinks: added(new.sinks.iter().map(|s| &s.name).collect()),
        filters_folder: true,
        auto_load: new.auto_load,
        quarantine: true,
        ..Changes::default()
    }
}

fn named<T>(old: &[T], new: &[T], name: fn(&T) -> &String, same: impl Fn(&T, &T) -> bool) -> Named {
    let mut result = Named::default();
    for item in new {
        match old.iter().find(|other| name(other) == name(item)) {
            None => result.added.push(name(item).clone()),
            Some(other) if !same(other, item) => result.changed.push(name(item).clone()),
            Some(_) => {}
        }
    }
    for item in old {
        if !new.iter().any(|other| name(other) == name(item)) {
            result.removed.push(name(item).clone());
        }
    }
    result
}

fn reordered(old: &[FilterSettings], new: &[FilterSettings]) -> bool {
    let shared = |these: &[FilterSettings], those: &[FilterSettings]| -> Vec<String> {
        let kept = these.iter().filter(|f| those.iter().any(|o| o.name == f.name));
        kept.map(|f| f.name.clone()).collect()
    };
    shared(old, new) != shared(new, old)
}

/// The keys that a running Weir can't take up.
fn restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let (http, journal) = (&old.http, &old.journal);
    let (next_http, next_journal) = (&new.http, &new.journal);
    let keys = [
        ("data", old.data != new.data),
        ("ingest", old.ingest != new.ingest),
        ("log", old.log != new.log),
        ("http.listen", http.listen != next_http.listen),
        ("http.allowed_hosts", http.allowed_hosts != next_http.allowed_hosts),
        ("http.max_body", http.max_body_bytes != next_http.max_body_bytes),
        ("http.max_decompressed", http.max_decompressed_bytes != next_http.max_decompressed_bytes),
        ("http.max_in_flight", http.max_in_flight_bytes != next_http.max_in_flight_bytes),
        ("http.max_connections", http.max_connections != next_http.max_connections),
        ("http.header_timeout", http.header_timeout != next_http.header_timeout),
        ("http.body_timeout", http.body_timeout != next_http.body_timeout),
        ("journal.sync", journal.sync != next_journal.sync),
        ("journal.max_size", journal.max_size_bytes != next_journal.max_size_bytes),
        ("journal.keep", journal.keep != next_journal.keep),
        ("journal.when_full", journal.when_full != next_journal.when_full),
        ("journal.segment_size", journal.segment_bytes != next_journal.segment_bytes),
        ("journal.compress", journal.compress != next_journal.compress),
        ("journal.recent", journal.recent_bytes != next_journal.recent_bytes),
    ];
    let changed = keys.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key).collect()
}
