//! Makes untrusted text safe to show: text from a record, a filter or a server can't move a cursor, change colours,
//! forge a second line, hide itself or reverse the reading direction.
//!
//! Everything that shows such text on a terminal or writes it to a line goes through here: the console sink, log files,
//! Weir's own log, the output of commands. All characters of the Unicode categories Cc (control), Cf (format), Zl and
//! Zp (line and paragraph separator) are escaped. No information is lost, because the escape shows the character.

use std::borrow::Cow;

/// Whether a character is a control character or invisible.
pub fn needs_escape(c: char) -> bool {
    if c < '\u{ad}' {
        return c.is_control();
    }
    matches!(c,
        '\u{ad}'                        // soft hyphen
        | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'       // of no width, and direction marks
        | '\u{2028}'..='\u{202e}'       // separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'       // of no width, and isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}' | '\u{e0020}'..='\u{e007f}' // tags: invisible text
    )
}

/// Escapes every such character: `\n`, `\x1b`, `\u{202e}`.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(needs_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if needs_escape(c) {
            push_written_out(c, &mut out);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Appends text as escaped by [`escaped`].
pub fn push_escaped(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(escaped(text).as_bytes());
}

fn push_written_out(c: char, out: &mut String) {
    match (c, u32::from(c)) {
        ('\n', _) => out.push_str("\\n"),
        ('\r', _) => out.push_str("\\r"),
        ('\t', _) => out.push_str("\\t"),
        (_, code @ ..=0xff) => out.push_str(&format!("\\x{code:02x}")),
        (_, code) => out.push_str(&format!("\\u{{{code:x}}}")),
    }
}

/// Appends JSON, with such characters that JSON allows in strings escaped as `\u....`.
pub fn push_escaped_json(json: &[u8], out: &mut Vec<u8>) {
    // The JSON writer produces valid UTF-8 and escapes everything below 0x20.
    for c in String::from_utf8_lossy(json).chars() {
        if needs_escape(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_or_forges_a_line_survives() {
        assert_eq!(escaped("a\x1b[31m\nb\r\t\u{9b}2J\u{7f}\u{202e}é✓"), "a\\x1b[31m\\nb\\r\\t\\x9b2J\\x7f\\u{202e}é✓");
        assert!(matches!(escaped("plain é ✓"), Cow::Borrowed("plain é ✓")));
    }

    #[test]
    fn invisible_and_direction_characters_are_escaped() {
        let marks = ('\u{200b}'..='\u{200f}')
            .chain('\u{2028}'..='\u{202e}')
            .chain('\u{2060}'..='\u{2069}')
            .chain("\u{61c}\u{ad}\u{180e}\u{feff}\u{fff9}\u{e0001}\u{e0041}".chars());
        for mark in marks {
            let shown = escaped(&format!("ad{mark}min")).into_owned();
            assert!(shown.starts_with("ad\\") && shown.ends_with("min") && !shown.contains(mark), "{shown:?}");
        }
    }

    #[test]
    fn letters_combining_marks_and_emoji_stay() {
        for text in ["Zürich", "e\u{301}", "日本語", "سلام", "❤\u{fe0f}", "a\u{a0}b", "👍🏽"] {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let mut out = Vec::new();
        push_escaped_json("{\"a\":\"\u{9b}\u{202e}\u{e0041}é\"}".as_bytes(), &mut out);
        assert_eq!(out, "{\"a\":\"\\u009b\\u202e\\udb40\\udc41é\"}".as_bytes());
    }
}
