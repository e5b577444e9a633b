//! The options as the operator writes them, and their validation.

use std::collections::BTreeMap;

use serde::Deserialize;
use weir_guest::{OptionError, Path};

use crate::fields::{FieldType, FieldTypes, Fields};
use crate::format::{Format, Reader};
use crate::limits::{MAX_PATH_DEPTH, MAX_PATTERNS, MAX_TIME_FORMATS};
use crate::pairs::Separators;
use crate::pattern::Pattern;
use crate::place::Place;
use crate::time::{Times, offset};

/// All options of the filter.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The path of the text.
    pub field: Path,
    /// The format of the text, or several to try in order.
    pub format: OneOrMore,
    /// Expressions with named groups, for `regex` and `auto`.
    pub patterns: Vec<String>,
    /// The path under which the fields are put; by default the record itself.
    pub into: Option<Path>,
    /// A prefix for field names.
    pub prefix: String,
    /// Whether a field replaces an existing value.
    pub overwrite: bool,
    /// Which parts of the record are set from fields.
    pub set: Vec<RecordPart>,
    /// Whether the text is removed after parsing.
    pub remove_text: bool,
    /// Whether numbers, `true` and `false` are recognised in formats that have
    /// only text.
    pub guess_types: bool,
    /// Types of fields, which override guessing.
    pub types: BTreeMap<String, FieldType>,
    /// Formats of times; the common ones if empty.
    pub time_formats: Vec<String>,
    /// The zone of times without one.
    pub time_zone: String,
    /// Characters that separate pairs in `key_value`.
    pub pair_separators: String,
    /// The character between key and value in `key_value`.
    pub key_separator: char,
    /// What happens to a record whose text can't be parsed.
    pub on_fail: OnFail,
    /// The path for the reason, with `tag`.
    pub error_path: Path,
    /// The label to add, with `tag`.
    pub fail_route: Option<String>,
}

/// `"json"` or `["json", "logfmt"]`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a format is auto, json, logfmt, key_value, common, combined, nginx_error, apache_error, syslog, syslog3164, syslog5424, regex or time; or a list of these"
)]
pub enum OneOrMore {
    One(Format),
    More(Vec<Format>),
}

/// A part of the record that fields may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordPart {
    Time,
    Level,
    Message,
    Source,
}

/// What happens to a record whose text can't be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    Keep,
    Tag,
    Drop,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            field: Path::parse("message"),
            format: OneOrMore::One(Format::Auto),
            patterns: Vec::new(),
            into: None,
            prefix: String::new(),
            overwrite: false,
            set: vec![RecordPart::Time, RecordPart::Level, RecordPart::Message],
            remove_text: false,
            guess_types: true,
            types: BTreeMap::new(),
            time_formats: Vec::new(),
            time_zone: "UTC".to_owned(),
            pair_separators: " ,;\t\n".to_owned(),
            key_separator: '=',
            on_fail: OnFail::Keep,
            error_path: Path::parse("parse_error"),
            fail_route: None,
        }
    }
}

fn wrong<T>(option: &str, problem: impl Into<String>) -> Result<T, OptionError> {
    Err(OptionError::new(option, problem))
}

/// The validated options.
#[derive(Debug)]
pub struct Plan {
    pub field: Path,
    pub reader: Reader,
    pub fields: Fields,
    pub place: Place,
    pub on_fail: OnFail,
    pub error_path: Path,
    pub fail_route: Option<String>,
}

impl Plan {
    pub fn make(options: Options) -> Result<Self, OptionError> {
        let formats = match options.format {
            OneOrMore::One(format) => vec![format],
            OneOrMore::More(formats) => formats,
        };
        let patterns = patterns(&formats, &options.patterns)?;
        let separators = separators(&options.pair_separators, options.key_separator)?;
        check_path("field", &options.field)?;
        check_path("error_path", &options.error_path)?;
        if own_field(&options.error_path) {
            return wrong("error_path", "it is a reserved field; name another one, such as `parse_error`");
        }
        let into = options.into.filter(|path| path.keys() != [""]);
        if let Some(into) = &into {
            check_path("into", into)?;
            if own_field(into) {
                return wrong("into", "it is a reserved field that can't contain fields; name another one");
            }
        }
        if options.remove_text && own_field(&options.field) {
            return wrong("remove_text", format!("every record has `{}`; it can't be removed", options.field));
        }
        if options.fail_route.is_some() && options.on_fail != OnFail::Tag {
            return wrong("fail_route", "it requires on_fail = \"tag\"");
        }
        let Some(zone) = offset(&options.time_zone) else {
            return wrong(
                "time_zone",
                format!("`{}` is not a time zone; use UTC or an offset such as +02:00", options.time_zone),
            );
        };
        if options.time_formats.len() > MAX_TIME_FORMATS {
            return wrong("time_formats", format!("more than the {MAX_TIME_FORMATS} allowed"));
        }
        let times = Times::new(&options.time_formats, zone)
            .or_else(|(index, error)| wrong(&format!("time_formats[{index}]"), error.to_string()))?;
        Ok(Plan {
            place: Place {
                text_at: options.remove_text.then(|| options.field.clone()),
                into,
                prefix: options.prefix,
                overwrite: options.overwrite,
                set: options.set,
                times,
            },
            field: options.field,
            reader: Reader { formats, patterns, separators },
            fields: Fields::new(FieldTypes { guess: options.guess_types, known: options.types }),
            on_fail: options.on_fail,
            error_path: options.error_path,
            fail_route: options.fail_route,
        })
    }
}

fn patterns(formats: &[Format], patterns: &[String]) -> Result<Vec<Pattern>, OptionError> {
    if formats.is_empty() {
        return wrong("format", "the list is empty; name at least one format");
    }
    let used = formats.iter().any(|format| matches!(format, Format::Regex | Format::Auto));
    match patterns.len() {
        0 if formats.contains(&Format::Regex) => {
            return wrong("patterns", "format `regex` needs at least one, such as '^(?<user>\\w+) logged in'");
        }
        1.. if !used => return wrong("patterns", "they are only used by the formats `regex` and `auto`"),
        0..=MAX_PATTERNS => {}
        _ => return wrong("patterns", format!("more than the {MAX_PATTERNS} allowed")),
    }
    let parse = |(index, pattern): (usize, &String)| {
        Pattern::parse(pattern).or_else(|error| wrong(&format!("patterns[{index}]"), error.to_string()))
    };
    patterns.iter().enumerate().map(parse).collect()
}

fn separators(pairs: &str, key: char) -> Result<Separators, OptionError> {
    if pairs.is_empty() {
        return wrong("pair_separators", "it is empty; name at least one character");
    }
    if pairs.contains(key) {
        return wrong("key_separator", format!("`{key}` also separates pairs; choose another one"));
    }
    Ok(Separators { pairs: pairs.chars().collect(), key })
}

fn check_path(option: &str, path: &Path) -> Result<(), OptionError> {
    match path.keys() {
        [key] if key.is_empty() => wrong(option, "it is empty; name a path, such as context.raw"),
        keys if keys.len() > MAX_PATH_DEPTH => {
            wrong(option, format!("more than the {MAX_PATH_DEPTH} keys allowed on the way"))
        }
        _ => Ok(()),
    }
}

/// Whether a path has a meaning in Weir.
fn own_field(path: &Path) -> bool {
    matches!(path.keys(), [key] if crate::place::is_own(key))
}
