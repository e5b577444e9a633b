//! Minimum levels: records below the minimum of their source are not stored, although their senders get the usual
//! answer. They apply after the filters, which may change levels, and can be changed while the router runs.
//!
//! A minimum can be temporary. Then it knows what comes after it, and no timer is needed: whoever reads it looks at the
//! clock. The file `levels.json` in the data folder keeps them over a restart.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use metrics::{Counter, counter, describe_counter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weir_journal::disk::replace_file;
use weir_record::time::now_ns;
use weir_record::{Batch, Level, Record};

use crate::limits;
use crate::versions::at;
use crate::wiring::lock;

/// The source that stands for all others.
pub const OTHERS: &str = "*";

const BELOW: &str = "weir_records_below_level_total";

/// The minimum levels of a router.
pub struct Levels {
    file: PathBuf,
    minimums: ArcSwap<Minimums>,
    below: AtomicU64,
    below_metric: Counter,
    /// Held during a change.
    changing: Mutex<()>,
}

/// Minimums by source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Minimums(BTreeMap<String, Minimum>);

/// The minimum of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Minimum {
    #[serde(with = "name")]
    level: Option<Level>,
    /// When a temporary one ends, in nanoseconds since 1970.
    until_ns: Option<i64>,
    /// What comes after it.
    #[serde(with = "name")]
    then: Option<Level>,
}

impl Minimum {
    fn at(&self, now_ns: i64) -> Option<Level> {
        if self.until_ns.is_some_and(|until| until <= now_ns) { self.then } else { self.level }
    }
}

impl Minimums {
    fn of(&self, source: &str, now_ns: i64) -> Option<Level> {
        let minimum = |source| self.0.get(source).and_then(|minimum| minimum.at(now_ns));
        minimum(source).or_else(|| minimum(OTHERS))
    }

    fn admit(&self, record: Record<'_>, now_ns: i64) -> bool {
        let head = record.head();
        self.of(head.source, now_ns).is_none_or(|minimum| head.level >= minimum)
    }

    /// Without those that have ended.
    fn at(&self, now_ns: i64) -> Minimums {
        let current = self.0.iter().filter_map(|(source, minimum)| {
            let minimum = match minimum.until_ns {
                Some(until) if until <= now_ns => Minimum { level: minimum.then, until_ns: None, then: None },
                _ => minimum.clone(),
            };
            (minimum.level.is_some() || minimum.until_ns.is_some()).then(|| (source.clone(), minimum))
        });
        Minimums(current.collect())
    }
}

impl Levels {
    /// Reads the minimums of a data folder. If that fails, there are none, and everything is stored.
    pub fn open(data: &Path) -> Levels {
        describe_counter!(BELOW, "Records that were not stored because of a minimum level.");
        let file = data.join("levels.json");
        let minimums = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!("no minimum level applies: {} can't be read: {error}; set them again", file.display());
                Minimums::default()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Minimums::default(),
            Err(error) => {
                tracing::error!("no minimum level applies: {} can't be read: {error}", file.display());
                Minimums::default()
            }
        };
        Levels {
            file,
            minimums: ArcSwap::from_pointee(minimums),
            below: AtomicU64::new(0),
            below_metric: counter!(BELOW),
            changing: Mutex::new(()),
        }
    }

    /// The records that are to be stored.
    pub fn above_minimum<'b>(&self, batch: &'b Batch) -> Cow<'b, Batch> {
        let minimums = self.minimums.load();
        if minimums.0.is_empty() {
            return Cow::Borrowed(batch);
        }
        let now_ns = now_ns();
        let admitted = batch.iter().filter(|record| minimums.admit(*record, now_ns)).count();
        if admitted == batch.len() {
            return Cow::Borrowed(batch);
        }
        let below = (batch.len() - admitted) as u64;
        self.below.fetch_add(below, Ordering::Relaxed);
        self.below_metric.increment(below);
        let mut kept = Batch::with_capacity(batch.byte_len(), admitted);
        for record in batch.iter().filter(|record| minimums.admit(*record, now_ns)) {
            kept.push(record.as_bytes());
        }
        Cow::Owned(kept)
    }

    /// Sets or removes minimums, for some time or for good. On an error, nothing has changed.
    pub fn change(&self, levels: &BTreeMap<String, Option<Level>>, time: Option<Duration>) -> Result<(), String> {
        let _changing = lock(&self.changing);
        let now_ns = now_ns();
        let mut new = self.minimums.load().at(now_ns);
        let until_ns = time.map(|time| now_ns.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)));
        for (source, level) in levels {
            // A temporary one that is changed for some time still ends in what was there before.
            let before = new.0.get(source).and_then(|old| if old.until_ns.is_some() { old.then } else { old.level });
            if level.is_none() && until_ns.is_none() {
                new.0.remove(source);
                continue;
            }
            let then = if until_ns.is_some() { before } else { None };
            new.0.insert(source.clone(), Minimum { level: *level, until_ns, then });
        }
        if new.0.len() > limits::LEVELS {
            return Err(format!("there can be minimum levels for {} sources; remove some", limits::LEVELS));
        }
        if let Some(long) = new.0.keys().find(|source| source.len() > limits::LEVEL_SOURCE_BYTES) {
            let bytes = limits::LEVEL_SOURCE_BYTES;
            return Err(format!(
                "the source `{}…` is longer than {bytes} bytes",
                long.chars().take(32).collect::<String>()
            ));
        }
        let bytes = serde_json::to_vec_pretty(&new).map_err(|error| error.to_string())?;
        replace_file(&self.file, &bytes)
            .map_err(|error| format!("can't write {}: {error}; free disk space", self.file.display()))?;
        self.minimums.store(std::sync::Arc::new(new));
        Ok(())
    }

    /// Records that were not stored, since the start.
    pub fn below(&self) -> u64 {
        self.below.load(Ordering::Relaxed)
    }

    /// The current minimums by source.
    pub fn to_json(&self) -> Value {
        let minimums = self.minimums.load().at(now_ns());
        let level = |level: Option<Level>| level.map(Level::as_str);
        let levels = minimums.0.iter().map(|(source, minimum)| (source.clone(), json!(level(minimum.level))));
        let until = minimums.0.iter().filter_map(|(source, minimum)| {
            let ends = json!({ "time": at(minimum.until_ns?), "then": level(minimum.then) });
            Some((source.clone(), ends))
        });
        json!({
            "levels": levels.collect::<serde_json::Map<_, _>>(),
            "until": until.collect::<serde_json::Map<_, _>>(),
            "below_level": self.below(),
        })
    }
}

/// A level by its name, in a file.
mod name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use weir_record::Level;

    pub fn serialize<S: Serializer>(level: &Option<Level>, serializer: S) -> Result<S::Ok, S::Error> {
        level.map(Level::as_str).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Level>, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        let level = |name: String| {
            Level::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is not a level")))
        };
        name.map(level).transpose()
    }
}

#[cfg(test)]
mod tests {
    use weir_record::{Aliases, Defaults, read_json};

    use super::*;

    fn batch(records: &[(&str, &str)]) -> Batch {
        let json: Vec<_> = records.iter().map(|(source, level)| json!({ "source": source, "level": level })).collect();
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 1,
            source: "none",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        read_json(json!(json).to_string().as_bytes(), &defaults, &mut batch).unwrap();
        batch
    }

    fn kept(levels: &Levels) -> Vec<String> {
        let all =
            batch(&[("auth", "DEBUG"), ("auth", "ERROR"), ("shop", "DEBUG"), ("shop", "INFO"), ("shop", "ERROR")]);
        let kept = levels.above_minimum(&all);
        kept.iter().map(|record| format!("{} {}", record.source(), record.level().as_str())).collect()
    }

    fn set(levels: &Levels, changes: &[(&str, Option<Level>)], time: Option<Duration>) {
        let changes = changes.iter().map(|(source, level)| ((*source).to_owned(), *level)).collect();
        levels.change(&changes, time).unwrap();
    }

    #[test]
    fn a_source_has_its_own_minimum_or_that_of_all_others() {
        let data = tempfile::tempdir().unwrap();
        let levels = Levels::open(data.path());
        assert_eq!(kept(&levels).len(), 5);
        set(&levels, &[(OTHERS, Some(Level::Error)), ("shop", Some(Level::Info))], None);
        assert_eq!(kept(&levels), ["auth ERROR", "shop INFO", "shop ERROR"]);
        assert_eq!(levels.below(), 2);
        set(&levels, &[("shop", None)], None);
        assert_eq!(kept(&levels), ["auth ERROR", "shop ERROR"]);
        let again = Levels::open(data.path());
        assert_eq!(kept(&again), ["auth ERROR", "shop ERROR"], "kept over a restart");
    }

    #[test]
    fn a_temporary_minimum_ends_in_the_one_before_it() {
        let data = tempfile::tempdir().unwrap();
        let levels = Levels::open(data.path());
        set(&levels, &[("auth", Some(Level::Error))], None);
        set(&levels, &[("auth", Some(Level::Debug)), ("shop", None)], Some(Duration::from_secs(600)));
        set(&levels, &[("auth", Some(Level::Info))], Some(Duration::from_secs(600)));
        let minimums = levels.minimums.load();
        let now = now_ns();
        assert_eq!(minimums.of("auth", now), Some(Level::Info));
        assert_eq!(minimums.of("auth", now + 601_000_000_000), Some(Level::Error));
        let later = minimums.at(now + 601_000_000_000);
        assert_eq!(later.0["auth"], Minimum { level: Some(Level::Error), until_ns: None, then: None });
        assert!(!later.0.contains_key("shop"));
        set(&levels, &[("auth", Some(Level::Warning))], None);
        assert_eq!(levels.to_json()["until"].get("auth"), None, "for good");
    }

    #[test]
    fn a_damaged_file_means_that_everything_is_stored() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("levels.json"), r#"{"auth": {"level": "LOUD"}}"#).unwrap();
        assert_eq!(kept(&Levels::open(data.path())).len(), 5);
    }

    #[test]
    fn names_and_their_number_are_limited() {
        let data = tempfile::tempdir().unwrap();
        let levels = Levels::open(data.path());
        let many = (0..=limits::LEVELS).map(|n| (n.to_string(), Some(Level::Info))).collect();
        assert!(levels.change(&many, None).unwrap_err().contains("remove some"));
        let long = BTreeMap::from([("x".repeat(limits::LEVEL_SOURCE_BYTES + 1), Some(Level::Info))]);
        assert!(levels.change(&long, None).unwrap_err().contains("longer than"));
        assert_eq!(kept(&levels).len(), 5);
    }
}
