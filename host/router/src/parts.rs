//! Converts settings to the options of each crate, since the crates don't know the configuration.

use std::path::PathBuf;
use std::sync::Arc;

use weir_engine::{FilterSpec, TrustedKeys};
use weir_ingest::HttpOptions;
use weir_journal::{Keys, OnDamage, Options, SyncMode};
use weir_record::{Aliases, Role, Scale};
use weir_sinks::{BuildContext, RunnerOptions, Selection};

use crate::config::{self, FilterSettings, Settings, SinkSettings, StandardKey};
use crate::descriptors;
use crate::quarantine::{Keep, QuarantineOptions};

/// Options of the journal, encrypted with these keys.
pub fn journal(settings: &Settings, keys: Keys) -> Options {
    let journal = &settings.journal;
    Options {
        sync: match journal.sync {
            config::Sync::Always => SyncMode::Always,
            config::Sync::Every(time) => SyncMode::Every(time),
            config::Sync::Off => SyncMode::Off,
        },
        max_size_bytes: journal.max_size_bytes,
        keep: journal.keep,
        segment_bytes: journal.segment_bytes,
        when_full: match journal.when_full {
            config::WhenFull::Refuse => weir_journal::WhenFull::Refuse,
            config::WhenFull::DropOldest => weir_journal::WhenFull::DropOldest,
        },
        compress: journal.compress,
        recent_bytes: journal.recent_bytes as usize,
        on_damage: OnDamage::Refuse,
        keys,
    }
}

/// Folder of the journal.
pub fn journal_folder(settings: &Settings) -> PathBuf {
    settings.data.join("journal")
}

/// Options of the quarantine.
pub fn quarantine(settings: &Settings) -> QuarantineOptions {
    let quarantine = &settings.quarantine;
    QuarantineOptions {
        keep: match quarantine.keep {
            config::Keep::Record => Keep::Record,
            config::Keep::Reason => Keep::Reason,
            config::Keep::Nothing => Keep::Nothing,
        },
        max_size_bytes: quarantine.max_size_bytes,
        max_age: quarantine.max_age,
    }
}

/// Folder of the quarantine.
pub fn quarantine_folder(settings: &Settings) -> PathBuf {
    settings.data.join("quarantine")
}

/// Options of the HTTP server.
pub fn http(settings: &Settings) -> anyhow::Result<HttpOptions> {
    let (http, ingest) = (&settings.http, &settings.ingest);
    let defaults = HttpOptions::default();
    Ok(HttpOptions {
        source: ingest.default_source.clone().unwrap_or(defaults.source),
        level: ingest.default_level,
        aliases: aliases(settings)?,
        allowed_hosts: http.allowed_hosts.clone(),
        allowed_origins: http.allowed_origins.clone(),
        max_body_bytes: http.max_body_bytes as usize,
        max_decompressed_bytes: http.max_decompressed_bytes as usize,
        max_in_flight_bytes: http.max_in_flight_bytes as usize,
        max_connections: descriptors::for_connections(http.max_connections, settings.sinks.len()),
        quiet_timeout: http.header_timeout,
        body_total_timeout: http.body_timeout,
        ..defaults
    })
}

/// The other names of the standard fields.
pub fn aliases(settings: &Settings) -> anyhow::Result<Arc<Aliases>> {
    let mut aliases = match settings.ingest.standard_aliases {
        true => Aliases::default(),
        false => Aliases::none(),
    };
    for (name, key) in &settings.ingest.aliases {
        aliases.add(name, role(*key))?;
    }
    Ok(Arc::new(aliases))
}

fn role(key: StandardKey) -> Role {
    match key {
        StandardKey::Timestamp => Role::Timestamp,
        StandardKey::Level => Role::Level(Scale::Any),
        StandardKey::Source => Role::Source,
        StandardKey::Message => Role::Message,
    }
}

/// The engine's specification of a filter.
pub fn filter(settings: &Settings, filter: &FilterSettings) -> FilterSpec {
    FilterSpec {
        name: filter.name.clone(),
        options: filter.options.clone(),
        timeout: filter.timeout,
        memory_bytes: filter.memory_bytes,
        output_bytes: filter.output_bytes,
        on_error: match filter.on_error {
            config::OnError::Quarantine => weir_engine::OnError::Quarantine,
            config::OnError::Pass => weir_engine::OnError::Pass,
            config::OnError::Reject => weir_engine::OnError::Reject,
        },
        reads: filter.reads.clone(),
        writes: filter.writes.clone(),
        trusted: settings.trusted_keys.as_ref().map(|keys| {
            Arc::new(TrustedKeys { keys: keys.clone(), built_in: weir_filter_kit::bundled::digests().to_vec() })
        }),
    }
}

/// The names of the sinks that own files.
pub fn sinks_with_files(sinks: &[SinkSettings]) -> impl Iterator<Item = String> {
    sinks.iter().filter(|sink| sink.kind == "file").map(|sink| sink.name.clone())
}

/// Sinks that would write to the same file: their indexes and messages. `resolve`: follow symbolic links.
pub fn collisions(sinks: &[SinkSettings], context: &BuildContext, resolve: bool) -> Vec<(usize, String)> {
    let sinks: Vec<_> = sinks.iter().map(|sink| (sink.name.as_str(), sink.kind.as_str(), &sink.options)).collect();
    weir_sinks::collisions(&sinks, context, resolve)
}

/// Options of a sink's runner.
pub fn sink(sink: &SinkSettings) -> RunnerOptions {
    // Some sink types have a default minimum level.
    let of_kind = || weir_sinks::kind(&sink.kind).and_then(|kind| kind.min_level);
    RunnerOptions {
        name: sink.name.clone(),
        selection: Selection { routes: sink.routes.clone(), min_level: sink.min_level.or_else(of_kind) },
        fallback: sink.fallback.clone(),
        fallback_after: sink.fallback_after,
    }
}
