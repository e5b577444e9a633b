//! A digest as a Slack message: a heading, a section per group, and a line for records that are only counted.
//!
//! Log text has no special meaning in Slack: `&`, `<` and `>` are escaped (so no mention, link or channel can be
//! forged), invisible control characters are written out, and a message can't end its code block. Every text stays
//! below Slack's limits, counted as UTF-16 after escaping, which is the strictest way to count.

use serde_json::{Value, json};
use weir_record::Level;

use super::digest::{Digest, Group};
use crate::limits;
use crate::text::{Rest, needs_escape};

/// Characters in a section besides source, message and fields: marks, count and two times with fallbacks.
const SECTION_FRAME_CHARS: usize = 400;

/// The body of the request.
pub(super) fn message(digest: &Digest<'_>, sink: &str, fields: bool) -> Value {
    let mut blocks = Vec::with_capacity(digest.groups.len() + 2);
    if digest.records() > 1 {
        blocks.push(section(format!("*{}*", heading(digest))));
    }
    let most =
        limits::SLACK_SECTION_CHARS - SECTION_FRAME_CHARS - limits::SLACK_SOURCE_CHARS - limits::SLACK_FIELDS_CHARS;
    let room = (limits::SLACK_MESSAGE_CHARS / digest.groups.len().max(1)).min(most);
    blocks.extend(digest.groups.iter().map(|group| section(group_text(group, room, fields))));
    if digest.other_groups > 0 {
        let kinds = if digest.other_groups == 1 { "kind" } else { "kinds" };
        let text = format!(
            "and {} more in {} other {kinds}, not shown: search for them where `{}` doesn't count",
            digest.other_records,
            digest.other_groups,
            escaped(sink, limits::SLACK_SOURCE_CHARS)
        );
        blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": text }] }));
    }
    json!({ "text": fallback(digest), "blocks": blocks })
}

fn section(text: String) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// `3 CRITICAL, 12 ERROR`.
fn heading(digest: &Digest<'_>) -> String {
    let parts: Vec<String> = digest.levels.iter().map(|(level, count)| format!("{count} {level}")).collect();
    parts.join(", ")
}

/// The text of notifications.
fn fallback(digest: &Digest<'_>) -> String {
    let Some(group) = digest.groups.first() else { return heading(digest) };
    let source = escaped(group.source, limits::SLACK_SOURCE_CHARS);
    let said = escaped(group.last.message(), limits::SLACK_FIELDS_CHARS);
    match digest.records() {
        1 => format!("{} {source}: {said}", group.level),
        _ => format!("{}; {} {source}: {said}", heading(digest), group.level),
    }
}

fn group_text(group: &Group<'_>, room: usize, fields: bool) -> String {
    let mark = match group.level {
        Level::Critical => ":rotating_light:",
        Level::Error => ":red_circle:",
        Level::Warning => ":large_yellow_circle:",
        Level::Info => ":large_blue_circle:",
        Level::Debug | Level::Trace => ":white_circle:",
    };
    let mut text = format!("{mark} *{}*", group.level);
    let source = in_code(group.source, limits::SLACK_SOURCE_CHARS);
    if !source.trim().is_empty() {
        text.push_str(&format!(" `{source}`"));
    }
    if group.count > 1 {
        text.push_str(&format!(
            " *×{}*, first at {}, last at {}",
            group.count,
            moment(group.first_ns),
            moment(group.last_ns)
        ));
    } else {
        text.push_str(&format!(" at {}", moment(group.last_ns)));
    }
    let said = in_code(group.last.message(), room);
    if !said.trim().is_empty() {
        text.push_str(&format!("\n```{said}```"));
    }
    if fields {
        let mut json = Vec::new();
        Rest::default().push_json(group.last, &mut json);
        if json != b"{}" {
            let json = String::from_utf8_lossy(&json);
            text.push_str(&format!("\n`{}`", in_code(&json, limits::SLACK_FIELDS_CHARS).replace('\n', " ")));
        }
    }
    text
}

/// A time in the reader's time zone, with UTC as a fallback for other clients.
fn moment(ns: i64) -> String {
    let mut utc = Vec::new();
    weir_record::time::format_rfc3339(ns, &mut utc);
    let utc = String::from_utf8_lossy(&utc).into_owned();
    let seconds = ns.div_euclid(1_000_000_000);
    // `2026-11-20T10:00:00.123456789Z`: fractions are not needed here.
    let shown = utc.get(..19).unwrap_or(&utc).replace('T', " ");
    if seconds < 0 {
        return format!("{shown} UTC");
    }
    format!("<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{shown} UTC>")
}

/// Escaped text, at most `most` UTF-16 characters of it.
fn escaped(text: &str, most: usize) -> String {
    let (mut out, mut length) = (String::new(), 0);
    let mut buffer = [0; 4];
    for c in text.chars() {
        let written;
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '\n' | '\t' => c.encode_utf8(&mut buffer),
            c if needs_escape(c) => {
                written = format!("\\u{{{:x}}}", c as u32);
                &written
            }
            c => c.encode_utf8(&mut buffer),
        };
        let piece_length = piece.encode_utf16().count();
        if length + piece_length + 1 > most {
            out.push('…');
            return out;
        }
        out.push_str(piece);
        length += piece_length;
    }
    out
}

/// The same for text between backticks: its own backticks are replaced by a character that looks the same.
fn in_code(text: &str, most: usize) -> String {
    escaped(text, most).replace('`', "\u{2bb}")
}

#[cfg(test)]
mod tests {
    use weir_record::Record;

    use super::*;
    use crate::testing::record;

    fn blocks(heads: &[&[(&str, &str)]], most: usize) -> Vec<Value> {
        let records: Vec<Vec<u8>> = heads.iter().map(|head| record(head, &[])).collect();
        let digest = Digest::of(records.iter().map(|bytes| Record::new(bytes)), most);
        let message = message(&digest, "alerts", true);
        assert!(message["text"].as_str().is_some_and(|text| !text.is_empty()));
        message["blocks"].as_array().expect("blocks").clone()
    }

    fn text(block: &Value) -> &str {
        block["text"]["text"].as_str().expect("text")
    }

    #[test]
    fn one_record_is_one_section_with_level_source_time_message_and_fields() {
        let shown = blocks(&[&[("level", "ERROR"), ("source", "api"), ("message", "it broke"), ("zone", "eu")]], 20);
        let expected = ":red_circle: *ERROR* `api` at <!date^1700000000^{date_short_pretty} {time_secs}|2023-11-14 \
                        22:13:20 UTC>\n```it broke```\n`{\"zone\":\"eu\"}`";
        assert_eq!(shown.len(), 1);
        assert_eq!(text(&shown[0]), expected);
    }

    #[test]
    fn repeats_are_counted_with_first_and_last_time_under_a_heading() {
        let one: &[(&str, &str)] = &[("level", "ERROR"), ("message", "again")];
        let shown = blocks(&[one; 17], 20);
        assert_eq!(shown.len(), 2);
        assert_eq!(text(&shown[0]), "*17 ERROR*");
        assert!(text(&shown[1]).contains(" *×17*, first at <!date^") && text(&shown[1]).contains(", last at <!date^"));
    }

    #[test]
    fn no_text_of_a_record_has_a_special_meaning_in_slack() {
        let evil = "<!channel> <@U1> <https://evil|click> & ```out``` `x` \u{202e}\u{7}\0";
        let shown = blocks(&[&[("level", "ERROR"), ("source", evil), ("message", evil), ("k<", evil)]], 20);
        let text = text(&shown[0]);
        let ours = text.matches("<!date^").count();
        assert_eq!((text.matches('<').count(), ours), (1, 1), "{text}");
        assert_eq!(text.matches("```").count(), 2, "{text}");
        assert_eq!(text.replace("```", "").matches('`').count(), 4, "{text}");
        assert!(!text.contains(|c| c != '\n' && needs_escape(c)), "{text}");
        assert!(text.contains("&lt;!channel&gt;") && text.contains("&amp;"), "{text}");
    }

    #[test]
    fn texts_and_blocks_stay_within_slacks_limits() {
        for c in ["x", "&", "é", "\u{1f600}", "\0", "`"] {
            let long = c.repeat(100_000);
            let head: &[(&str, &str)] = &[("level", "ERROR"), ("source", &long), ("message", &long), ("k", &long)];
            let many: Vec<String> = (0..100).map(|n| format!("{n} {long}")).collect();
            let heads: Vec<[(&str, &str); 3]> =
                many.iter().map(|m| [("message", m.as_str()), ("source", &long), ("k", &long)]).collect();
            let heads: Vec<&[(&str, &str)]> = heads.iter().map(|head| &head[..]).collect();
            for shown in [blocks(&[head], 20), blocks(&heads, limits::MAX_SLACK_GROUPS)] {
                assert!(shown.len() <= limits::SLACK_BLOCKS);
                for block in shown.iter().filter(|block| block["type"] == "section") {
                    let length = text(block).encode_utf16().count();
                    assert!((1..=limits::SLACK_SECTION_CHARS).contains(&length), "{length}");
                }
            }
        }
    }

    #[test]
    fn records_that_are_not_shown_are_counted() {
        let heads: Vec<String> = (0..30).map(|n| format!("m{n}")).collect();
        let heads: Vec<[(&str, &str); 1]> = heads.iter().map(|message| [("message", message.as_str())]).collect();
        let heads: Vec<&[(&str, &str)]> = heads.iter().map(|head| &head[..]).collect();
        let shown = blocks(&heads, 5);
        assert_eq!(shown.len(), 7);
        let rest = shown[6]["elements"][0]["text"].as_str().expect("text");
        assert!(rest.starts_with("and 25 more in 25 other kinds, not shown"), "{rest}");
    }

    #[test]
    fn an_empty_record_is_still_a_section() {
        let shown = blocks(&[&[("source", ""), ("message", "")]], 20);
        assert!(text(&shown[0]).starts_with(":large_blue_circle: *INFO* at "), "{shown:?}");
    }
}
