//! The path for a record's line: `logs/{source}/%Y-%m-%d.jsonl`, rendered from the record, safe whatever its values
//! are.
//!
//! Invariants
//! - **A value never leaves its component.** Separators, NUL, control characters and characters reserved by other
//!   systems become `_`; so does a leading `.` or `-`, so no value is `..`, hides a file or looks like an option; an
//!   empty or absent value is `_`. So the folders of a path are exactly those of the template.
//! - Values and components have a maximum length that leaves room for the suffixes of rotation and compression.
//! - A path that contains values is never the name of a rotated file (`rotate::neutralize`).
//! - The time is the record's own, in UTC; only `{session}` is the start of this run.

use std::path::{Path, PathBuf};

use jiff::civil::{Date, Weekday};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use weir_record::Record;

use super::gather::OVERFLOW;
use super::rotate::neutralize;
use crate::limits;
use crate::owners::{Files, real};
use crate::template::{self, Part, RecordValue};
use crate::text::{push_safe, push_value};

/// A parsed template.
#[derive(Debug)]
pub struct PathTemplate {
    /// The whole template as an absolute path.
    text: String,
    pieces: Vec<Piece>,
    root: PathBuf,
    /// Within one such time step, equal values give equal paths; `None` if the path doesn't depend on the time.
    step_ns: Option<i64>,
}

#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Time(String),
    /// The Monday of the record's week.
    WeekStart,
    /// The Sunday of the record's week.
    WeekEnd,
    /// The start of this run, as text.
    Session(String),
    Value(RecordValue),
}

impl PathTemplate {
    /// Parses a template; a relative one starts at `base`. `started_ns` is the start of this run.
    pub fn parse(template: &str, base: &Path, started_ns: i64) -> Result<PathTemplate, String> {
        if template.is_empty() || template.ends_with('/') || template.contains('\0') {
            return Err(format!("path `{template}` names no file; end it with a file name such as `app.jsonl`"));
        }
        let full = std::path::absolute(base.join(template)).map_err(|error| format!("path `{template}`: {error}"))?;
        let full = full.to_str().ok_or_else(|| format!("path `{}` is not UTF-8", full.display()))?;
        if ["/dev/", "/proc/", "/sys/"].iter().any(|folder| full.starts_with(folder)) {
            return Err(format!(
                "path `{template}` leads to a device, which can't be truncated after a crash; for standard output use a \
                 sink with `type = \"console\"`, and to write nothing, remove the sink"
            ));
        }
        let pieces = parse_pieces(full, started_ns)?;
        let mut fixed = String::new();
        if let Some(Piece::Text(text)) = pieces.first() {
            fixed.push_str(text);
        }
        // What follows the last separator of the fixed part belongs to a name.
        let root = PathBuf::from(
            fixed.rsplit_once('/').map_or("/", |(folder, _)| if folder.is_empty() { "/" } else { folder }),
        );
        let mut steps = pieces.iter().filter_map(|piece| match piece {
            Piece::Time(format) => Some(step_of(format)),
            Piece::WeekStart | Piece::WeekEnd => Some(DAY_NS),
            _ => None,
        });
        let step_ns = steps.next().map(|first| steps.fold(first, i64::min));
        Ok(PathTemplate { text: full.into(), pieces, root, step_ns })
    }

    /// True if values of records are part of the path. Only then can a record be the cause of an invalid path.
    pub fn depends_on_records(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Value(_)))
    }

    /// The folder that contains every file the template can name.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True if all records go to the same file.
    pub fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_) | Piece::Session(_)))
    }

    /// Appends a key for the path: equal keys mean equal paths. Much cheaper than the path itself; for a template with
    /// a time alone, only the record's time is read. As in the path, no value takes more than its maximum length.
    pub fn push_key(&self, record: Record<'_>, out: &mut Vec<u8>) {
        if let Some(step_ns) = self.step_ns {
            out.extend_from_slice(&record.timestamp().div_euclid(step_ns).to_le_bytes());
        }
        for piece in &self.pieces {
            let Piece::Value(value) = piece else { continue };
            let before = out.len();
            match value {
                RecordValue::Source => out.extend_from_slice(record.source().as_bytes()),
                RecordValue::Level => out.push(record.level() as u8),
                RecordValue::Field(path) => {
                    if let Some(value) = record.get(path) {
                        push_value(value, out);
                    }
                }
            }
            out.truncate(before + limits::PATH_VALUE_BYTES);
            // Lengths separate adjacent values.
            out.extend_from_slice(&(out.len() - before).to_le_bytes());
        }
    }

    /// The path of a record's line.
    pub fn render(&self, record: Record<'_>) -> PathBuf {
        let head = record.head();
        self.fill(head.timestamp, |value, path| value.push(record, &head, path, push_safe))
    }

    /// The path with one word in place of every value.
    pub fn render_with(&self, word: &str, timestamp_ns: i64) -> PathBuf {
        self.fill(timestamp_ns, |_, path| path.push_str(word))
    }

    /// The range of times of all lines in a record's file: from the first, up to but not including the second. `None` if
    /// the path doesn't tell, or if the file is not where the record's line is written to now.
    pub fn range(&self, record: Record<'_>, is_file: impl Fn(&Path) -> bool) -> Option<(i64, i64)> {
        let step_ns = self.step_ns.filter(|step_ns| self.names_each_step(*step_ns))?;
        let at = record.timestamp();
        if !is_file(&self.render(record)) && !is_file(&self.render_with(OVERFLOW, at)) {
            return None;
        }
        let start = at.div_euclid(step_ns).checked_mul(step_ns)?;
        Some((start, start.checked_add(step_ns)?))
    }

    /// Whether different time steps give different paths: a year, month and day, and whatever is finer.
    fn names_each_step(&self, step_ns: i64) -> bool {
        let has = |specifiers: &[&str]| {
            let mut formats = self.pieces.iter().filter_map(|piece| match piece {
                Piece::Time(format) => Some(format.as_str()),
                _ => None,
            });
            formats.any(|format| specifiers.iter().any(|specifier| format.contains(specifier)))
        };
        (has(&["%F"]) || (has(&["%Y"]) && has(&["%m"]) && has(&["%d"])))
            && (step_ns == DAY_NS || has(&["%H", "%T", "%R"]))
            && (step_ns >= HOUR_NS || has(&["%M", "%T", "%R"]))
            && step_ns >= MINUTE_NS
    }

    /// The path with the names of the values in their places, which no record can produce.
    pub fn outline(&self, timestamp_ns: i64) -> PathBuf {
        self.fill(timestamp_ns, |value, path| path.extend(["{", value.name(), "}"]))
    }

    /// The template with its folder's real path: equal for all spellings of the same template.
    pub fn identity(&self) -> String {
        let below = self.text.strip_prefix(self.root.to_str().unwrap_or_default()).unwrap_or(&self.text);
        format!("{}/{}", real(&self.root).display(), below.trim_start_matches('/'))
    }

    /// Renders the path; `push` appends a value.
    fn fill(&self, timestamp_ns: i64, push: impl Fn(&RecordValue, &mut String)) -> PathBuf {
        let mut path = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) | Piece::Session(text) => path.push_str(text),
                Piece::WeekStart => path.push_str(&week(timestamp_ns, 0).unwrap_or_else(|_| "_".into())),
                Piece::WeekEnd => path.push_str(&week(timestamp_ns, 6).unwrap_or_else(|_| "_".into())),
                Piece::Time(format) => path.push_str(&time(format, timestamp_ns).unwrap_or_else(|_| "_".into())),
                Piece::Value(value) => push(value, &mut path),
            }
        }
        let names = path.split('/').map(|name| cut(name, limits::PATH_COMPONENT_BYTES));
        let path = names.collect::<Vec<_>>().join("/");
        match path.rsplit_once('/') {
            Some((folder, name)) if self.depends_on_records() => format!("{folder}/{}", neutralize(name)).into(),
            _ => path.into(),
        }
    }

    /// All paths that the template can name, relative to the root.
    pub fn files(&self) -> Result<Files, String> {
        let pattern = self.pattern();
        let root = regex::escape(self.root.to_str().unwrap_or_default());
        let below = pattern.strip_prefix(&root).unwrap_or(&pattern).trim_start_matches('/');
        Files::new(&self.root, below)
    }

    /// A regular expression without anchors that matches every path the template can name.
    fn pattern(&self) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(&regex::escape(text)),
                Piece::Value(_) => out.push_str("[^/]+"),
                Piece::WeekStart | Piece::WeekEnd => out.push_str("[-0-9]+"),
                // The start of this run or of an earlier one.
                Piece::Session(_) => out.push_str("[0-9]{8}_[0-9]{6}"),
                Piece::Time(format) => push_time_pattern(format, &mut out),
            }
        }
        out
    }
}

/// The path beside this one that contains the sink's name: `audit.jsonl` becomes `audit.all.jsonl`.
pub fn neighbour_path(path: &Path, sink: &str) -> PathBuf {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (stem, ending) = name.rsplit_once('.').map_or((name, String::new()), |(stem, end)| (stem, format!(".{end}")));
    let room = limits::PATH_COMPONENT_BYTES.saturating_sub(sink.len() + ending.len() + 1);
    path.with_file_name(format!("{}.{sink}{ending}", cut(stem, room)))
}

/// True if a name in a path has the maximum length, and may have lost its end, with the time in it: then lines of all
/// times may be in the file.
pub fn may_be_cut(path: &Path) -> bool {
    // Names are cut between characters, which have up to 4 bytes.
    path.iter().any(|name| name.len() > limits::PATH_COMPONENT_BYTES - 4)
}

fn parse_pieces(template: &str, started_ns: i64) -> Result<Vec<Piece>, String> {
    let placeholder = |name: &str| match name {
        "week_start" => Ok(Piece::WeekStart),
        "week_end" => Ok(Piece::WeekEnd),
        "session" => time("%Y%m%d_%H%M%S", started_ns).map(Piece::Session).map_err(|error| error.to_string()),
        "" | "timestamp" | "message" => Err(format!(
            "`{{{name}}}` can't be part of a path; use {{source}}, {{level}}, a field such as {{context.tenant}}, \
             {{session}}, or a time such as %Y-%m-%d or {{week_start}}"
        )),
        name => Ok(Piece::Value(RecordValue::named(name))),
    };
    let parts = template::parse(template, placeholder).map_err(|error| format!("path `{template}`: {error}"))?;
    let mut pieces = Vec::new();
    for part in parts {
        match part {
            Part::Text(text) => push_text(&text, &mut pieces)?,
            Part::Placeholder(piece) => pieces.push(piece),
        }
    }
    Ok(pieces)
}

/// Splits a text into a fixed part, up to the last separator before any time specifier, and the part with the time.
fn push_text(text: &str, pieces: &mut Vec<Piece>) -> Result<(), String> {
    let Some(percent) = text.find('%') else {
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_string()));
        }
        return Ok(());
    };
    let (fixed, format) = text.split_at(percent);
    if !fixed.is_empty() {
        pieces.push(Piece::Text(fixed.to_string()));
    }
    let sample = time(format, 0).map_err(|error| format!("path: `{format}` is not a time format: {error}"))?;
    if sample.matches('/').count() != format.matches('/').count() || sample.contains('\0') {
        return Err(format!("path: `{format}` writes separators into a file name; use %Y, %m and %d"));
    }
    pieces.push(Piece::Time(format.to_string()));
    Ok(())
}

fn time(format: &str, timestamp_ns: i64) -> Result<String, jiff::Error> {
    BrokenDownTime::from(&utc(timestamp_ns)?).to_string(format)
}

/// A day of the record's week, which begins on Monday as in `%V`.
fn week(timestamp_ns: i64, days_after_monday: i64) -> Result<String, jiff::Error> {
    let date: Date = utc(timestamp_ns)?.date();
    let since_monday = i64::from(date.weekday().since(Weekday::Monday));
    Ok(date.checked_add((days_after_monday - since_monday).days())?.to_string())
}

fn utc(timestamp_ns: i64) -> Result<Zoned, jiff::Error> {
    Ok(Timestamp::from_nanosecond(i128::from(timestamp_ns))?.to_zoned(TimeZone::UTC))
}

/// Appends a pattern for a time format: mostly numbers, so that few other names match.
fn push_time_pattern(format: &str, out: &mut String) {
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        out.push_str(&regex::escape(&rest[..percent]));
        let after = &rest[percent + 1..];
        let end = after.find(|c: char| c.is_ascii_alphabetic() || c == '%').map_or(after.len(), |at| at + 1);
        out.push_str(match after[..end].chars().next_back() {
            Some(
                'Y' | 'C' | 'y' | 'm' | 'd' | 'e' | 'j' | 'u' | 'w' | 'U' | 'W' | 'G' | 'g' | 'V' | 'H' | 'k' | 'I'
                | 'l' | 'M' | 'S' | 's',
            ) => "[- 0-9]+",
            Some('F') => "[-0-9]+",
            Some('T' | 'R') => "[:0-9]+",
            _ => "[^/]+",
        });
        rest = &after[end..];
    }
    out.push_str(&regex::escape(rest));
}

const DAY_NS: i64 = 24 * HOUR_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const MINUTE_NS: i64 = 60_000_000_000;

/// For how many nanoseconds a time format gives the same text.
fn step_of(format: &str) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let mut step = DAY_NS;
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        let after = &rest[percent + 1..];
        let Some(at) = after.find(|c: char| c.is_ascii_alphabetic() || c == '%') else { break };
        step = step.min(match after.as_bytes()[at] {
            b'Y' | b'y' | b'C' | b'm' | b'B' | b'b' | b'h' | b'd' | b'e' | b'j' | b'a' | b'A' | b'u' | b'w' | b'U'
            | b'W' | b'G' | b'g' | b'V' | b'F' | b'%' => step,
            b'H' | b'k' | b'I' | b'l' | b'p' | b'P' => 3600 * SECOND,
            b'M' | b'R' => 60 * SECOND,
            b'S' | b'T' | b's' => SECOND,
            // Fractions, and specifiers that later versions add.
            _ => 1,
        });
        rest = &after[at + 1..];
    }
    step
}

/// At most `bytes` of the text, cut between characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record_at;
    use crate::text::needs_escape;

    /// 2025-06-08 14:30:22.
    const STARTED_NS: i64 = 1_749_393_022_000_000_000;

    fn render(template: &str, fields: &[(&str, &str)]) -> String {
        let bytes = record_at(1_700_000_000_123_456_789, fields, &[]);
        let template = PathTemplate::parse(template, Path::new("/base"), STARTED_NS).expect("a template");
        let record = Record::new(&bytes);
        template.render(record).to_str().expect("UTF-8").to_string()
    }

    #[test]
    fn time_and_fields_of_the_record_are_substituted() {
        let fields = [("source", "api"), ("level", "ERROR"), ("context.tenant", "acme")];
        assert_eq!(
            render("logs/{source}/{context.tenant}-{level}/%Y-%m-%d_%H.jsonl", &fields),
            "/base/logs/api/acme-ERROR/2023-11-14_22.jsonl"
        );
        assert_eq!(render("/var/log/app.log", &fields), "/var/log/app.log");
        assert_eq!(render("{nothing}.log", &fields), "/base/_.log");
    }

    #[test]
    fn weeks_begin_on_monday_and_a_session_is_named_by_its_start() {
        let weekly = "wk%V_{week_start}--{week_end}.json";
        for (at, expected) in [
            ("2024-01-08T00:00:00Z", "wk02_2024-01-08--2024-01-14.json"),
            ("2024-01-14T23:59:59.999999999Z", "wk02_2024-01-08--2024-01-14.json"),
            ("2023-01-01T12:00:00Z", "wk52_2022-12-26--2023-01-01.json"),
            ("1969-12-31T12:00:00Z", "wk01_1969-12-29--1970-01-04.json"),
        ] {
            let ns = i64::try_from(at.parse::<Timestamp>().expect("a time").as_nanosecond()).expect("in range");
            let bytes = record_at(ns, &[], &[]);
            let template = PathTemplate::parse(weekly, Path::new("/"), 0).expect("a template");
            assert_eq!(template.render(Record::new(&bytes)), Path::new("/").join(expected));
        }
        assert_eq!(render("logs/session_{session}.log", &[]), "/base/logs/session_20250608_143022.log");
        let template = PathTemplate::parse("session_{session}.log", Path::new("/"), STARTED_NS).expect("a template");
        assert!(template.is_fixed() && !template.depends_on_records());
    }

    #[test]
    fn no_value_ever_leaves_its_component() {
        let hostile = [
            "..",
            ".",
            "../../etc/passwd",
            "/etc/passwd",
            "a/../../b",
            "a\0b",
            "..\\..\\x",
            "\u{202e}x",
            "",
            "-rf",
            ".ssh",
            "a\nb",
            "C:\\x",
            "%Y",
            "{source}",
            "\u{2028}",
            "....//....//",
        ];
        for value in hostile.iter().map(|s| s.to_string()).chain(["é".repeat(5000), "/".repeat(5000)]) {
            let path =
                render("logs/{source}/{context.tenant}.jsonl", &[("source", &value), ("context.tenant", &value)]);
            let names: Vec<_> = path.split('/').collect();
            assert_eq!(names.len(), 5, "{value:?} gave {path:?}");
            assert_eq!(names[..3], ["", "base", "logs"]);
            for name in &names[3..] {
                assert!(
                    !name.is_empty() && !name.starts_with(['.', '-']) && name.len() <= 200,
                    "{value:?} gave {path:?}"
                );
                assert!(!name.contains(needs_escape) && !name.contains('\\'), "{value:?} gave {path:?}");
            }
        }
    }

    #[test]
    fn no_value_can_produce_the_name_of_a_rotated_file() {
        let rotated = "api.log.20991231T000000.000000Z";
        for (template, fields) in [
            ("{source}.log", vec![("source", rotated)]),
            ("{source}", vec![("source", "api.log.20991231T000000.000000Z.log.zst")]),
            ("{source}", vec![("source", "api.log.20991231T000000.000000Z.log.zst.new")]),
            ("{a}T{b}.log", vec![("a", "api.log.20991231"), ("b", "000000.000000Z")]),
        ] {
            let path = render(template, &fields);
            assert!(super::super::rotate::read_name(Path::new(&path)).is_none(), "{path}");
            assert!(path.contains("20991231_000000.000000Z"), "{path}");
        }
    }

    #[test]
    fn a_templates_identity_ignores_spelling_and_its_outline_names_its_values() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("logs")).expect("writable");
        std::os::unix::fs::symlink("logs", folder.path().join("link")).expect("linked");
        let of = |text| PathTemplate::parse(text, folder.path(), 0).expect("a template");
        assert_eq!(of("logs/{source}.log").identity(), of("link/{source}.log").identity());
        assert_ne!(of("logs/{source}.log").identity(), of("logs/{level}.log").identity());
        let outline = of("{source}/{a.b}-%Y.log").outline(0);
        assert_eq!(outline, folder.path().join("{source}/{a.b}-1970.log"));
        assert_eq!(
            of("{source}/{a}-%Y.log").render_with("_overflow", 0),
            folder.path().join("_overflow/_overflow-1970.log")
        );
        assert_eq!(neighbour_path(Path::new("/x/audit.jsonl"), "all"), Path::new("/x/audit.all.jsonl"));
        assert_eq!(neighbour_path(Path::new("/x/audit"), "all"), Path::new("/x/audit.all"));
        assert_eq!(
            neighbour_path(Path::new(&format!("/x/{}.jsonl", "é".repeat(97))), "all")
                .file_name()
                .expect("a name")
                .len(),
            200
        );
    }

    #[test]
    fn a_path_that_has_lost_its_day_is_known() {
        let days = |value: &str, sink: Option<&str>| {
            let template = PathTemplate::parse("{a}_{a}_%Y-%m-%d.log", Path::new("/"), 0).expect("a template");
            [0, DAY_NS].map(|at| {
                let path = template.render(Record::new(&record_at(at, &[("a", value)], &[])));
                sink.map_or(path.clone(), |sink| neighbour_path(&path, sink))
            })
        };
        for (letter, times, sink) in [("x", 100, None), ("é", 48, None), ("x", 90, Some("a-long-name"))] {
            let [one, next] = days(&letter.repeat(times), sink);
            assert!(one == next && may_be_cut(&one), "{one:?}");
        }
        assert!(!may_be_cut(&days(&"x".repeat(90), None)[0]));
    }

    #[test]
    fn equal_keys_mean_equal_paths_and_different_values_different_keys() {
        for (template, apart_ns) in
            [("%Y/%m.log", 86_400_000_000_000), ("%H:%M.log", 60_000_000_000), ("%s.log", 1_000_000_000)]
        {
            let template = PathTemplate::parse(template, Path::new("/"), 0).expect("a template");
            let key = |ns| {
                let bytes = record_at(ns, &[], &[]);
                let (record, mut key) = (Record::new(&bytes), Vec::new());
                template.push_key(record, &mut key);
                (key, template.render(record))
            };
            assert_eq!(key(0), key(apart_ns - 1));
            assert_ne!(key(0).0, key(apart_ns).0);
            assert_ne!(key(0).0, key(-1).0);
        }
        let template = PathTemplate::parse("{a}{b}", Path::new("/"), 0).expect("a template");
        let key = |a: &str, b: &str| {
            let bytes = record_at(0, &[("a", a), ("b", b)], &[]);
            let (record, mut key) = (Record::new(&bytes), Vec::new());
            template.push_key(record, &mut key);
            key
        };
        assert_ne!(key("xy", "z"), key("x", "yz"));
        let long = "é".repeat(limits::PATH_VALUE_BYTES);
        assert_eq!(key(&long, "z"), key(&format!("{long}x"), "z"));
        assert!(key(&long, &long).len() < 3 * limits::PATH_VALUE_BYTES, "keys are kept");
    }

    #[test]
    fn invalid_templates_and_templates_without_a_file_name_are_refused() {
        for template in [
            "",
            "logs/",
            "a{b",
            "a}b",
            "{}",
            "{message}",
            "%",
            "%Q!%!",
            "%D.log",
            "/dev/stdout",
            "/dev/null",
            "/proc/x",
        ] {
            assert!(PathTemplate::parse(template, Path::new("/"), 0).is_err(), "{template}");
        }
    }

    #[test]
    fn the_pattern_matches_rendered_paths_and_the_root_contains_them() {
        for template in [
            "logs/{source}/%Y-%m-%d.jsonl",
            "%Y/x{level}.log",
            "plain.log",
            "s_{session}.log",
            "wk%V_{week_start}.json",
        ] {
            let path = render(template, &[("source", "we.ird(+)")]);
            let template = PathTemplate::parse(template, Path::new("/base"), 0).expect("a template");
            assert!(template.files().expect("an expression").has(Path::new(&path)), "{path}");
            assert!(!template.files().expect("an expression").has(Path::new("/base/other.txt")));
            assert!(Path::new(&path).starts_with(template.root()));
            assert!(template.root().starts_with("/base"));
        }
    }
}
