//! The senders' names for time, level, source and message.

use crate::keys::fingerprint;
use crate::level::Scale;

/// What a key of a record means to Weir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The time; the unit of a number is determined by its size.
    Timestamp,
    /// The time; integers are always nanoseconds.
    Nanoseconds,
    /// The severity; numbers are on this scale.
    Level(Scale),
    /// The component or service that logged the record.
    Source,
    /// The message.
    Message,
}

/// The senders' names for the head of a record. The names of a role are tried in the order in which they were added,
/// after the canonical name. The first one with a usable value is taken; the others are kept as ordinary keys.
#[derive(Clone, Debug)]
pub struct Aliases {
    /// The first [`CANONICAL`] names are the canonical ones.
    names: Vec<(String, Role)>,
    /// A hash table with open addressing, by fingerprint; [`EMPTY`] marks free slots.
    slots: Vec<u16>,
}

/// Why an alias can't be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// The name is reserved.
    #[error("alias `{0}` is a reserved key; choose another name")]
    Reserved(String),
    /// The table is full.
    #[error("alias `{name}` is one too many: at most {MAX_ALIASES} are allowed")]
    TooMany {
        /// The name.
        name: String,
    },
}

/// Maximum number of aliases in a table. It keeps the table sparse, so that one probe is enough for most other keys.
pub const MAX_ALIASES: usize = 256;

const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;

/// The canonical keys, in the order of a canonical record.
pub(crate) const CANONICAL: [(&str, Role); 4] = [
    ("timestamp", Role::Timestamp),
    ("level", Role::Level(Scale::Any)),
    ("source", Role::Source),
    ("message", Role::Message),
];

/// Keys with a fixed type, which can't be aliases.
const RESERVED: [&str; 3] = ["context", "metadata", "routes"];

const COMMON: [(&str, Role); 42] = [
    ("time", Role::Timestamp),
    ("ts", Role::Timestamp),
    ("@timestamp", Role::Timestamp),
    ("datetime", Role::Timestamp),
    ("date", Role::Timestamp),
    ("eventTime", Role::Timestamp),
    ("event_time", Role::Timestamp),
    ("timeUnixNano", Role::Timestamp),
    ("time_unix_nano", Role::Timestamp),
    ("_SOURCE_REALTIME_TIMESTAMP", Role::Timestamp),
    ("__REALTIME_TIMESTAMP", Role::Timestamp),
    ("severity", Role::Level(Scale::Any)),
    ("levelname", Role::Level(Scale::Any)),
    ("level_name", Role::Level(Scale::Any)),
    ("loglevel", Role::Level(Scale::Any)),
    ("log_level", Role::Level(Scale::Any)),
    ("log.level", Role::Level(Scale::Any)),
    ("lvl", Role::Level(Scale::Any)),
    ("@level", Role::Level(Scale::Any)),
    ("severity_text", Role::Level(Scale::Any)),
    ("severityText", Role::Level(Scale::Any)),
    ("levelno", Role::Level(Scale::Python)),
    ("severity_number", Role::Level(Scale::Otlp)),
    ("severityNumber", Role::Level(Scale::Otlp)),
    ("PRIORITY", Role::Level(Scale::Syslog)),
    ("service", Role::Source),
    ("service_name", Role::Source),
    ("service.name", Role::Source),
    ("serviceName", Role::Source),
    ("source_module", Role::Source),
    ("component", Role::Source),
    ("logger", Role::Source),
    ("logger_name", Role::Source),
    ("loggerName", Role::Source),
    ("SYSLOG_IDENTIFIER", Role::Source),
    ("msg", Role::Message),
    ("log", Role::Message),
    ("content", Role::Message),
    ("short_message", Role::Message),
    ("@message", Role::Message),
    ("text", Role::Message),
    ("MESSAGE", Role::Message),
];

impl Default for Aliases {
    fn default() -> Aliases {
        let mut aliases = Aliases::none();
        for (name, role) in COMMON {
            aliases.insert(name, role);
        }
        aliases
    }
}

impl Aliases {
    /// A table of the canonical keys only.
    pub fn none() -> Aliases {
        let mut aliases = Aliases { names: Vec::new(), slots: vec![EMPTY; SLOTS] };
        for (name, role) in CANONICAL {
            aliases.insert(name, role);
        }
        aliases
    }

    /// Returns the same table, except that numbers in `timestamp` are always nanoseconds. For records from filters,
    /// which use Weir's own form.
    pub fn in_nanoseconds(mut self) -> Aliases {
        // The first canonical key is the time.
        self.names[0].1 = Role::Nanoseconds;
        self
    }

    /// Adds a name. An existing name gets the new role and keeps its place in the order.
    pub fn add(&mut self, name: &str, role: Role) -> Result<(), AliasError> {
        if RESERVED.contains(&name) || CANONICAL.iter().any(|(canonical, _)| *canonical == name) {
            return Err(AliasError::Reserved(name.to_owned()));
        }
        match self.index_of(name.as_bytes(), fingerprint(name.as_bytes())) {
            Some(index) => self.names[usize::from(index)].1 = role,
            None if self.names.len() >= MAX_ALIASES => {
                return Err(AliasError::TooMany { name: name.to_owned() });
            }
            None => self.insert(name, role),
        }
        Ok(())
    }

    /// Removes a name, which is then an ordinary key.
    pub fn remove(&mut self, name: &str) {
        let names = std::mem::take(&mut self.names);
        self.slots.fill(EMPTY);
        for (at, (kept, role)) in names.into_iter().enumerate() {
            if at < CANONICAL.len() || kept != name {
                self.insert(&kept, role);
            }
        }
    }

    /// The names and their roles in order, canonical names first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Role)> {
        self.names.iter().map(|(name, role)| (name.as_str(), *role))
    }

    fn insert(&mut self, name: &str, role: Role) {
        let mut slot = first_slot(fingerprint(name.as_bytes()));
        while self.slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = self.names.len() as u16;
        self.names.push((name.to_owned(), role));
    }

    /// Finds a key in the table by its fingerprint.
    #[inline]
    pub(crate) fn index_of(&self, key: &[u8], print: u64) -> Option<u16> {
        let mut slot = first_slot(print);
        // Terminates, because the table is at most an eighth full.
        loop {
            let index = self.slots[slot];
            if index == EMPTY {
                return None;
            }
            if self.names[usize::from(index)].0.as_bytes() == key {
                return Some(index);
            }
            slot = (slot + 1) % SLOTS;
        }
    }

    /// The name and the role at an index of the table.
    #[inline]
    pub(crate) fn at(&self, index: u16) -> (&str, Role) {
        let (name, role) = &self.names[usize::from(index)];
        (name, *role)
    }
}

#[inline]
fn first_slot(print: u64) -> usize {
    (print >> 40) as usize % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(aliases: &Aliases, name: &str) -> Option<Role> {
        aliases.index_of(name.as_bytes(), fingerprint(name.as_bytes())).map(|index| aliases.at(index).1)
    }

    #[test]
    fn every_name_of_the_default_table_is_found_once() {
        let aliases = Aliases::default();
        for (name, expected) in CANONICAL.iter().chain(&COMMON) {
            assert_eq!(role(&aliases, name), Some(*expected), "{name}");
            assert_eq!(aliases.iter().filter(|(n, _)| n == name).count(), 1, "{name}");
        }
        assert_eq!(role(&aliases, "user"), None);
    }

    #[test]
    fn names_can_be_added_replaced_and_removed() {
        let mut aliases = Aliases::default();
        assert_eq!(aliases.add("app", Role::Source), Ok(()));
        assert_eq!(aliases.add("text", Role::Source), Ok(()));
        aliases.remove("log");
        assert_eq!(role(&aliases, "app"), Some(Role::Source));
        assert_eq!(role(&aliases, "text"), Some(Role::Source));
        assert_eq!(role(&aliases, "log"), None);
        assert_eq!(role(&aliases, "content"), Some(Role::Message));
    }

    #[test]
    fn in_nanoseconds_affects_only_the_canonical_timestamp() {
        let aliases = Aliases::default().in_nanoseconds();
        assert_eq!(role(&aliases, "timestamp"), Some(Role::Nanoseconds));
        assert_eq!(role(&aliases, "ts"), Some(Role::Timestamp));
        assert_eq!(role(&aliases, "level"), Some(Role::Level(Scale::Any)));
    }

    #[test]
    fn reserved_keys_can_not_be_added_or_removed() {
        let mut aliases = Aliases::default();
        for name in ["level", "context", "routes"] {
            assert_eq!(aliases.add(name, Role::Message), Err(AliasError::Reserved(name.into())));
        }
        aliases.remove("level");
        assert_eq!(role(&aliases, "level"), Some(Role::Level(Scale::Any)));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut aliases = Aliases::none();
        let refused = (0..=MAX_ALIASES).find(|n| aliases.add(&format!("a{n}"), Role::Source).is_err());
        assert_eq!(refused, Some(MAX_ALIASES - CANONICAL.len()));
    }
}
