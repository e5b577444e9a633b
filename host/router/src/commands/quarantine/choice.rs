//! Selects the quarantine entries that a command applies to.

use anyhow::Context;
use weir_query::moment;
use weir_record::time;

use crate::cli::EntryFilterArgs;
use crate::quarantine::QuarantineEntry;

/// A parsed [`EntryFilterArgs`].
pub struct EntryFilter {
    by: Option<String>,
    reason: Option<String>,
    source: Option<String>,
    since_ns: i64,
    until_ns: i64,
    is_everything: bool,
}

impl EntryFilter {
    pub fn of(choice: &EntryFilterArgs) -> anyhow::Result<Self> {
        let now_ns = time::now_ns();
        let moment = |text: &Option<String>, option: &str, default: i64| match text {
            None => Ok(default),
            Some(text) => moment::time_ns(text, now_ns)
                .with_context(|| format!("--{option} `{text}` is not a time; write {}", moment::FORMS)),
        };
        let EntryFilterArgs { by, reason, source, since, until } = choice;
        Ok(Self {
            by: by.clone(),
            reason: reason.as_ref().map(|reason| reason.to_lowercase()),
            source: source.clone(),
            since_ns: moment(since, "since", i64::MIN)?,
            until_ns: moment(until, "until", i64::MAX)?,
            is_everything: [by, reason, source, since, until].iter().all(|given| given.is_none()),
        })
    }

    /// Whether there are no conditions.
    pub fn is_everything(&self) -> bool {
        self.is_everything
    }

    pub fn has(&self, entry: &QuarantineEntry) -> bool {
        self.by.as_ref().is_none_or(|by| *by == entry.from)
            && self.reason.as_ref().is_none_or(|reason| entry.reason.to_lowercase().contains(reason))
            && self.source.as_ref().is_none_or(|source| entry.source() == Some(source))
            && (self.since_ns..self.until_ns).contains(&entry.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(from: &str, reason: &str, time: i64, record: &str) -> QuarantineEntry {
        let mut batch = weir_record::Batch::new();
        let aliases = weir_record::Aliases::default();
        let level = weir_record::Level::Info;
        let defaults = weir_record::Defaults {
            received_ns: 1,
            source: "http",
            level,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        weir_record::read_json(record.as_bytes(), &defaults, &mut batch).unwrap();
        let record = Some(batch.record(0).as_bytes().to_vec().into());
        QuarantineEntry { time, from: from.into(), reason: reason.into(), raw: false, record }
    }

    #[test]
    fn all_conditions_must_match() {
        let second = 1_000_000_000;
        let entry = entry("filter:x", "It Trapped at 17", 100 * second, r#"{"source":"shop"}"#);
        let text = |text: &str| Some(text.to_owned());
        let has = |choice: EntryFilterArgs| EntryFilter::of(&choice).unwrap().has(&entry);
        assert!(has(EntryFilterArgs::default()));
        let all = EntryFilterArgs {
            by: text("filter:x"),
            reason: text("trapped AT"),
            source: text("shop"),
            since: text("1970-01-01T00:01:40Z"),
            until: text("1970-01-01T00:01:41Z"),
        };
        assert!(has(all.clone()));
        for wrong in [
            EntryFilterArgs { by: text("filter"), ..all.clone() },
            EntryFilterArgs { reason: text("timeout"), ..all.clone() },
            EntryFilterArgs { source: text("sho"), ..all.clone() },
            EntryFilterArgs { since: text("1h"), ..all.clone() },
            EntryFilterArgs { until: text("1970-01-01T00:01:40Z"), ..all.clone() },
        ] {
            assert!(!has(wrong.clone()), "{wrong:?}");
        }
        let raw = QuarantineEntry { raw: true, ..entry.clone() };
        assert!(
            !EntryFilter::of(&EntryFilterArgs { source: text("shop"), ..EntryFilterArgs::default() })
                .unwrap()
                .has(&raw)
        );
        let error = EntryFilter::of(&EntryFilterArgs { since: text("soon"), ..EntryFilterArgs::default() })
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("--since `soon`"), "{error}");
    }
}
