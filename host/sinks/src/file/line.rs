//! The format of a record's line: JSON, or a text template such as `[{timestamp}] {level:8} {source:20} {message}`.
//!
//! In a template, `{path}` is any field by its path, `{path:N}` pads it to N characters, `{timestamp:%H:%M:%S}` is a
//! time in a custom format (UTC), `{fields}` is everything else as JSON, `{record}` is the whole record as JSON, and
//! `{{` and `}}` are braces. An absent field is written as `-`. A record is always one line, whatever its values are.

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use weir_record::time::format_rfc3339;
use weir_record::{Record, write_json};

use crate::limits;
use crate::template::{self, Part};
use crate::text::{Rest, push_escaped, push_value};

/// Writes lines in one format.
pub enum LineFormat {
    /// One JSON object.
    Json,
    /// A text template.
    Text(TextTemplate),
}

/// A parsed text template.
pub struct TextTemplate {
    parts: Vec<Part<Field>>,
    rest: Rest,
    scratch: Vec<u8>,
}

struct Field {
    what: What,
    /// The minimum number of characters, padded with spaces.
    width: usize,
}

#[derive(Debug, PartialEq)]
enum What {
    Timestamp,
    Time(String),
    Level,
    Source,
    Message,
    Rest,
    Record,
    Path(String),
}

impl LineFormat {
    /// Appends a record's line with its line end.
    pub fn push_line(&mut self, record: Record<'_>, out: &mut Vec<u8>) {
        match self {
            LineFormat::Json => write_json(record, out),
            LineFormat::Text(template) => template.push(record, out),
        }
        out.push(b'\n');
    }
}

impl TextTemplate {
    /// Parses a template.
    pub fn parse(template: &str) -> Result<TextTemplate, String> {
        let parts =
            template::parse(template, parse_field).map_err(|error| format!("template `{template}`: {error}"))?;
        if parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains('\n'))) {
            return Err(format!("template `{}` contains a line break; a record is one line", template.escape_debug()));
        }
        Ok(TextTemplate { parts, rest: Rest::default(), scratch: Vec::new() })
    }

    fn push(&mut self, record: Record<'_>, out: &mut Vec<u8>) {
        let head = record.head();
        for part in &self.parts {
            let Field { what, width } = match part {
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    continue;
                }
                Part::Placeholder(field) => field,
            };
            self.scratch.clear();
            match what {
                What::Timestamp => format_rfc3339(head.timestamp, &mut self.scratch),
                What::Time(format) => push_time(format, head.timestamp, &mut self.scratch),
                What::Level => self.scratch.extend_from_slice(head.level.as_str().as_bytes()),
                What::Source => self.scratch.extend_from_slice(head.source.as_bytes()),
                What::Message => self.scratch.extend_from_slice(head.message.as_bytes()),
                What::Rest => self.rest.push_json(record, &mut self.scratch),
                What::Record => write_json(record, &mut self.scratch),
                What::Path(path) => match record.get(path) {
                    Some(value) => push_value(value, &mut self.scratch),
                    None => self.scratch.push(b'-'),
                },
            }
            let text = String::from_utf8_lossy(&self.scratch);
            push_escaped(&text, out);
            if *width > 0 {
                let missing = width.saturating_sub(text.chars().count());
                out.resize(out.len() + missing, b' ');
            }
        }
    }
}

fn parse_field(field: &str) -> Result<Field, String> {
    let (name, format) = field.split_once(':').unwrap_or((field, ""));
    if name.is_empty() {
        return Err("`{}` does not name a field".into());
    }
    let mut what = match name {
        "timestamp" => What::Timestamp,
        "level" => What::Level,
        "source" => What::Source,
        "message" => What::Message,
        "fields" => What::Rest,
        "record" => What::Record,
        path => What::Path(path.to_string()),
    };
    let mut width = 0;
    if what == What::Timestamp && format.contains('%') {
        let epoch = BrokenDownTime::from(&Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC));
        epoch.to_string(format).map_err(|error| format!("`{format}` is not a time format: {error}"))?;
        what = What::Time(format.to_string());
    } else if !format.is_empty() {
        width = format
            .parse()
            .ok()
            .filter(|width| *width <= limits::TEMPLATE_WIDTH)
            .ok_or_else(|| format!("`{{{field}}}`: the width must be a number up to {}", limits::TEMPLATE_WIDTH))?;
    }
    Ok(Field { what, width })
}

fn push_time(format: &str, timestamp_ns: i64, out: &mut Vec<u8>) {
    // Every i64 of nanoseconds is a time, and the format was checked when it was parsed.
    let text = Timestamp::from_nanosecond(i128::from(timestamp_ns))
        .and_then(|timestamp| BrokenDownTime::from(&timestamp.to_zoned(TimeZone::UTC)).to_string(format));
    out.extend_from_slice(text.as_deref().unwrap_or("-").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record_at;

    fn line(template: &str, fields: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        let template = TextTemplate::parse(template).expect("a template");
        LineFormat::Text(template).push_line(Record::new(&record_at(1_700_000_000_000_000_001, fields, &[])), &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_usual_template_aligns_its_columns() {
        assert_eq!(
            line("[{timestamp}] {level:8} {source:20} {message}", &[("source", "api"), ("message", "done")]),
            "[2023-11-14T22:13:20.000000001Z] INFO     api                  done\n"
        );
    }

    #[test]
    fn paths_formats_braces_and_absent_fields_are_written() {
        let fields = [("context.user", "ann"), ("source", "api")];
        assert_eq!(line("{{{timestamp:%H:%M}}} {context.user:5}|{no.such}|", &fields), "{22:13} ann  |-|\n");
        assert_eq!(line("{fields}", &fields), "{\"context\":{\"user\":\"ann\"}}\n");
    }

    #[test]
    fn a_record_is_always_one_line() {
        let text = line(
            "{source} {message} {fields}",
            &[("source", "a\nb"), ("message", "x\r\n[fake] line\x1b[2J"), ("k", "\n")],
        );
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.contains('\x1b') && text.ends_with('\n'));
    }

    #[test]
    fn broken_templates_are_refused() {
        for template in ["{level", "level}", "{}", "{level:x}", "{level:99999}", "a\nb", "{timestamp:%!}"] {
            assert!(TextTemplate::parse(template).is_err(), "{template:?}");
        }
    }
}
