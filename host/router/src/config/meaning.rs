//! Converts the raw configuration to [`Settings`] and checks the rules that a schema can't express. Each problem has a
//! position.
//!
//! Runs after `check`, even if that found problems: refused values have their defaults here, so all remaining problems
//! are found in the same run. If there are problems, the resulting `Settings` are never returned to the caller.

mod chosen;
mod encryption;
mod filters;
pub(super) mod hints;
mod listen;
mod live;
mod place;
mod quota;
pub(super) mod refusals;
mod sinks;
mod sources;
mod tls;
mod tokens;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use weir_document::units::{Size, TimeSpan};
use weir_record::{Aliases, Level, Role};

use place::{Location, hide_expanded};

use super::address::address;
use super::diff::at_start;
use super::names::{is_name, name_rule};
use super::settings::{
    FilterSettings, HttpSettings, IngestSettings, JournalSettings, LogSettings, Module, QuarantineSettings, Settings,
    Sync,
};
use super::{limits, raw};
use weir_document::Diagnostic;
use weir_document::Environment;
use weir_document::{Node, TableEntry, Value};

/// Converts the whole configuration. `root` has the position of each value; paths are relative to `folder`.
pub(super) fn read(
    raw: raw::Config,
    root: &Node,
    folder: &Path,
    environment: Environment<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Settings {
    let mut reader = Reader { problems, warnings: Vec::new() };
    let at = Location::root(root);
    let data = reader.folder(&at.key("data"), &raw.data, folder);
    let filters_folder = reader.folder(&at.key("filters_folder"), &raw.filters_folder, folder);
    if data == filters_folder {
        let place = at.key("filters_folder").or(at.key("data"));
        reader.report(&place, "the filters folder and the data folder are the same");
    }
    let at_start = at_start(&raw);
    let sinks = reader.sinks(&at.key("sink"), raw.sink, &data, folder, environment);
    let asks_for_certificates = raw.tls.as_ref().is_some_and(|tls| tls.client_certificates.is_some());
    let tokens = reader.tokens(&at.key("token"), raw.token, folder, asks_for_certificates);
    let tls = reader.tls(&at.key("tls"), raw.tls, folder);
    let ingest = reader.ingest(&at.key("ingest"), raw.ingest);
    let sources = reader.sources(&at.key("source"), raw.source, folder, ingest.default_level);
    let listeners = reader.listeners(&at.key("listen"), raw.listen, folder, tls.as_ref());
    Settings {
        folder: folder.to_owned(),
        data,
        filters_folder,
        auto_load: raw.auto_load,
        trusted_keys: raw.trusted_keys.map(|keys| reader.trusted_keys(&at.key("trusted_keys"), &keys)),
        http: reader.http(&at.key("http"), &raw.http),
        listeners,
        live: reader.live(&at.key("live"), &raw.live, environment),
        limits: reader.quota(&at.key("limits"), &raw.limits),
        tokens,
        tls,
        journal: reader.journal(&at.key("journal"), &raw.journal),
        encryption: reader.encryption(&at.key("encryption"), raw.encryption, folder),
        filters: reader.filters(&at.key("filter"), raw.filter),
        sinks,
        sources,
        quarantine: reader.quarantine(&at.key("quarantine"), &raw.quarantine),
        ingest,
        log: LogSettings { level: raw.log.level, format: raw.log.format },
        at_start,
        warnings: reader.warnings,
        notes: Vec::new(),
    }
}

/// A filter without a configuration entry: its defaults are valid, so no position is needed.
pub(super) fn filter_with_defaults(raw: raw::Filter, name: &str, module: Module) -> FilterSettings {
    let mut reader = Reader { problems: &mut Vec::new(), warnings: Vec::new() };
    reader.bounds_of_filter(&Location::nowhere(), raw, name.to_owned(), module)
}

struct Reader<'p> {
    problems: &'p mut Vec<Diagnostic>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn report(&mut self, at: &Location<'_>, message: impl Into<String>) {
        self.problems.push(Diagnostic::at(at.span.clone(), message));
    }

    fn report_with(&mut self, at: &Location<'_>, message: impl Into<String>, help: impl Into<String>) {
        let problem = Diagnostic::at(at.span.clone(), message);
        self.problems.push(problem.help(help));
    }

    fn folder(&mut self, at: &Location<'_>, text: &str, base: &Path) -> PathBuf {
        if text.is_empty() || text.contains('\0') {
            self.report(at, "this is not the path of a folder");
        }
        base.join(text)
    }

    fn bytes(&mut self, at: &Location<'_>, size: Size, bounds: RangeInclusive<u64>) -> u64 {
        let bytes = size.bytes();
        if !bounds.contains(&bytes) {
            let [least, most] = [*bounds.start(), *bounds.end()].map(Size::from_bytes);
            let which = if bytes < least.bytes() { "small" } else { "large" };
            let message = format!("{size} is too {which}");
            self.report_with(at, message, format!("it must be from {least} to {most}"));
        }
        bytes
    }

    fn time(&mut self, at: &Location<'_>, span: TimeSpan, bounds: RangeInclusive<Duration>) -> Duration {
        let time = span.duration();
        if !bounds.contains(&time) {
            let [least, most] = [*bounds.start(), *bounds.end()].map(TimeSpan::from_duration);
            let which = if time < least.duration() { "short" } else { "long" };
            let message = format!("{span} is too {which}");
            self.report_with(at, message, format!("it must be from {least} to {most}"));
        }
        time
    }

    fn http(&mut self, at: &Location<'_>, raw: &raw::Http) -> HttpSettings {
        let body = at.key("max_body");
        let decompressed = at.key("max_decompressed");
        let in_flight = at.key("max_in_flight");
        let settings = HttpSettings {
            listen: self.address(&at.key("listen"), &raw.listen),
            insecure_open: false,
            allowed_hosts: self.hosts(&at.key("allowed_hosts"), &raw.allowed_hosts),
            allowed_origins: self.origins(&at.key("allowed_origins"), &raw.allowed_origins),
            max_body_bytes: self.bytes(&body, raw.max_body, limits::BODY_BYTES),
            max_decompressed_bytes: self.bytes(&decompressed, raw.max_decompressed, limits::DECOMPRESSED_BYTES),
            max_in_flight_bytes: self.bytes(&in_flight, raw.max_in_flight, limits::IN_FLIGHT_BYTES),
            max_connections: usize::try_from(raw.max_connections).unwrap_or(usize::MAX),
            header_timeout: self.time(&at.key("header_timeout"), raw.header_timeout, limits::HTTP_TIMEOUT),
            body_timeout: self.time(&at.key("body_timeout"), raw.body_timeout, limits::HTTP_TIMEOUT),
        };
        for (larger, place, name) in [
            (settings.max_decompressed_bytes, decompressed, "max_decompressed"),
            (settings.max_in_flight_bytes, in_flight, "max_in_flight"),
        ] {
            let judged = !body.is_refused() && !place.is_refused();
            if judged && larger < settings.max_body_bytes {
                let sizes = (Size::from_bytes(larger), Size::from_bytes(settings.max_body_bytes));
                let message = format!("`{name}` ({}) is smaller than `max_body` ({})", sizes.0, sizes.1);
                self.report_with(&place.or(body.clone()), message, "a body of the largest size must fit");
            }
        }
        settings
    }

    fn hosts(&mut self, at: &Location<'_>, names: &[String]) -> Vec<String> {
        if names.len() > limits::MAX_ALLOWED_HOSTS {
            self.report(at, format!("{} hosts, at most {}", names.len(), limits::MAX_ALLOWED_HOSTS));
        }
        for (place, name) in at.items().iter().zip(names) {
            if let Err(wrong) = weir_ingest::check_allowed_host(name) {
                self.report_with(place, format!("{} is not a host name", place.shown(name)), wrong);
            }
        }
        names.to_vec()
    }

    fn origins(&mut self, at: &Location<'_>, origins: &[String]) -> Vec<String> {
        if origins.len() > limits::MAX_ALLOWED_ORIGINS {
            self.report(at, format!("{} origins, at most {}", origins.len(), limits::MAX_ALLOWED_ORIGINS));
        }
        for (place, origin) in at.items().iter().zip(origins) {
            if let Err(wrong) = weir_ingest::check_allowed_origin(origin) {
                self.report_with(place, format!("{} is not an origin", place.shown(origin)), wrong);
            }
        }
        origins.to_vec()
    }

    fn address(&mut self, at: &Location<'_>, text: &str) -> SocketAddr {
        address(text).unwrap_or_else(|help| {
            self.report_with(at, format!("{} is not an address to listen on", at.shown(text)), help);
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
        })
    }

    fn journal(&mut self, at: &Location<'_>, raw: &raw::Journal) -> JournalSettings {
        let (max, segment) = (at.key("max_size"), at.key("segment_size"));
        let settings = JournalSettings {
            sync: self.sync(&at.key("sync"), &raw.sync),
            max_size_bytes: self.bytes(&max, raw.max_size, limits::JOURNAL_BYTES),
            keep: self.time(&at.key("keep"), raw.keep, limits::JOURNAL_KEEP),
            when_full: raw.when_full,
            segment_bytes: self.bytes(&segment, raw.segment_size, limits::SEGMENT_BYTES),
            compress: raw.compress,
            recent_bytes: self.bytes(&at.key("recent"), raw.recent, limits::RECENT_BYTES),
        };
        let needed = settings.segment_bytes.saturating_mul(limits::MIN_SEGMENTS);
        let judged = !max.is_refused() && !segment.is_refused();
        if judged && settings.max_size_bytes < needed {
            let message = format!(
                "`max_size` ({}) is less than two segments of {}",
                Size::from_bytes(settings.max_size_bytes),
                Size::from_bytes(settings.segment_bytes)
            );
            let help = "one is written while the other is read: increase `max_size` or \
                        decrease `segment_size`";
            self.report_with(&max.or(segment), message, help);
        }
        settings
    }

    fn sync(&mut self, at: &Location<'_>, text: &str) -> Sync {
        match text {
            "always" => Sync::Always,
            "off" => Sync::Off,
            text => {
                if let Ok(interval) = text.parse() {
                    return Sync::Every(self.time(at, interval, limits::SYNC_INTERVAL));
                }
                let message = format!("{} is not a sync mode", at.shown(text));
                let help = "use `always`, `off` or an interval such as `100ms`";
                self.report_with(at, message, help);
                Sync::Always
            }
        }
    }

    fn quarantine(&mut self, at: &Location<'_>, raw: &raw::Quarantine) -> QuarantineSettings {
        QuarantineSettings {
            keep: raw.keep,
            max_size_bytes: self.bytes(&at.key("max_size"), raw.max_size, limits::QUARANTINE_BYTES),
            max_age: self.time(&at.key("max_age"), raw.max_age, limits::QUARANTINE_AGE),
        }
    }

    fn ingest(&mut self, at: &Location<'_>, raw: raw::Ingest) -> IngestSettings {
        let place = at.key("aliases");
        let mut judged = if raw.standard_aliases { Aliases::default() } else { Aliases::none() };
        for alias in raw.aliases.keys() {
            if alias.is_empty() {
                self.report(&place.key(alias), "an alias can't be empty");
            } else if let Err(error) = judged.add(alias, Role::Message) {
                // The role doesn't matter, because only the name can be invalid.
                self.report(&place.key(alias), error.to_string());
            }
        }
        if raw.default_source.as_deref() == Some("") {
            let help = "omit it to use the name of the endpoint";
            self.report_with(&at.key("default_source"), "a source can't be empty", help);
        }
        IngestSettings {
            aliases: raw.aliases.into_iter().collect(),
            standard_aliases: raw.standard_aliases,
            default_source: raw.default_source,
            default_level: level(raw.default_level),
            repeat_window: self.time(&at.key("repeat_window"), raw.repeat_window, limits::REPEAT_WINDOW),
        }
    }

    /// Reports what a sink or a source says about the options in its table, at the option that the message names.
    fn report_options(&mut self, entry: &TableEntry, mut message: String) {
        hide_expanded(&entry.node, &mut message);
        let Value::Table(options) = &entry.node.value else { return };
        // Errors name the option, either quoted or as their first word.
        let named = options.iter().find(|option| {
            let key = &option.key;
            message.contains(&format!("`{key}`")) || message.contains(&format!(": {key} "))
        });
        let span = named.map_or(&entry.node.span, |option| &option.node.span);
        self.problems.push(Diagnostic::at(span.clone(), message));
    }

    fn name(&mut self, at: &Location<'_>, name: &str, what: &str) {
        if is_name(name) {
            return;
        }
        let message = if name.is_empty() {
            format!("the name of a {what} can't be empty")
        } else if name.chars().count() > limits::MAX_NAME_CHARS {
            format!("the name of this {what} is too long")
        } else {
            format!("{} can't be the name of a {what}", at.shown(name))
        };
        self.report_with(at, message, name_rule());
    }
}

fn level(name: raw::LevelName) -> Level {
    match name {
        raw::LevelName::Trace => Level::Trace,
        raw::LevelName::Debug => Level::Debug,
        raw::LevelName::Info => Level::Info,
        raw::LevelName::Warning => Level::Warning,
        raw::LevelName::Error => Level::Error,
        raw::LevelName::Critical => Level::Critical,
    }
}
