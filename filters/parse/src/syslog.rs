//! Syslog: RFC 5424, and RFC 3164 as programs and log files use it.

use weir_guest::encode::{self, Open};
use weir_guest::{Encode, Level};

use crate::fields::{Fields, ParseError};
use crate::limits::MAX_FIELDS;
use crate::pairs::quoted;

const NOT_5424: ParseError = "it is not an RFC 5424 syslog message";
const NOT_3164: ParseError = "it is not an RFC 3164 syslog message";

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

/// Either format, selected by what follows the priority.
pub fn either(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    match priority(text) {
        Some((_, rest)) if rest.starts_with("1 ") => rfc5424(text, fields),
        _ => rfc3164(text, fields),
    }
}

/// `<34>1 2026-11-20T10:00:00.003Z host app 111 ID47 [sd@1 key="value"] message`.
pub fn rfc5424(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    let (number, rest) = priority(text).ok_or(NOT_5424)?;
    let mut rest = rest.strip_prefix("1 ").ok_or(NOT_5424)?;
    add_priority(number, fields)?;
    for name in ["time", "host", "app", "pid", "msg_id"] {
        let (word, after) = rest.split_once(' ').ok_or(NOT_5424)?;
        if word.is_empty() {
            return Err(NOT_5424);
        }
        if word != "-" {
            if name == "pid" { fields.guess(name, word)? } else { fields.text(name, word)? }
        }
        rest = after;
    }
    rest = match rest.strip_prefix('-') {
        Some(after) => after,
        None => structured(rest, fields)?,
    };
    // A byte order mark announces UTF-8, which is expected anyway.
    let message = rest.strip_prefix(' ').unwrap_or(rest).trim_start_matches('\u{feff}');
    fields.text("message", message.trim_end_matches(['\n', '\r']))
}

/// `<34>Nov 20 10:00:00 host app[111]: message`. The priority is missing in
/// files, the host on a local socket.
pub fn rfc3164(text: &str, fields: &mut Fields) -> Result<(), ParseError> {
    let rest = match priority(text) {
        Some((number, rest)) => {
            add_priority(number, fields)?;
            rest
        }
        None => text,
    };
    let (time, rest) = time_3164(rest).ok_or(NOT_3164)?;
    fields.text("time", time)?;
    let rest = rest.trim_end_matches(['\n', '\r']);
    let (first, after) = rest.split_once(' ').unwrap_or((rest, ""));
    // If the first word is a tag, there is no host.
    let tagged = match tag(first) {
        Some(_) => rest,
        None => {
            fields.text("host", first)?;
            after
        }
    };
    let (word, said) = tagged.split_once(' ').unwrap_or((tagged, ""));
    match tag(word) {
        Some((app, pid)) => {
            fields.text("app", app)?;
            if let Some(pid) = pid {
                fields.guess("pid", pid)?;
            }
            fields.text("message", said)
        }
        None => fields.text("message", tagged),
    }
}

/// Splits the priority, up to 191, from the rest.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let digits = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|number| digits && *number <= 191)?;
    Some((number, rest))
}

fn add_priority(number: u8, fields: &mut Fields) -> Result<(), ParseError> {
    let level = match number % 8 {
        0..=2 => Level::Critical,
        3 => Level::Error,
        4 => Level::Warning,
        5 | 6 => Level::Info,
        _ => Level::Debug,
    };
    fields.text("facility", FACILITIES[usize::from(number / 8)])?;
    fields.add("level", level)
}

/// `Nov 20 10:00:00`, or RFC 3339 as newer daemons write it.
fn time_3164(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let old = bytes.len() >= 16
        && bytes[3] == b' '
        && bytes[6] == b' '
        && bytes[9] == b':'
        && bytes[12] == b':'
        && bytes[15] == b' '
        && bytes[..3].iter().all(u8::is_ascii_alphabetic);
    if old && text.is_char_boundary(15) {
        return Some((&text[..15], &text[16..]));
    }
    let (word, rest) = text.split_once(' ')?;
    let new = word.len() >= 19 && word.as_bytes()[4] == b'-' && word.as_bytes()[10] == b'T';
    new.then_some((word, rest))
}

/// `app[111]:` or `app:`.
fn tag(word: &str) -> Option<(&str, Option<&str>)> {
    let word = word.strip_suffix(':')?;
    match word.strip_suffix(']').and_then(|word| word.split_once('[')) {
        Some((app, pid)) => (!app.is_empty()).then_some((app, Some(pid))),
        None => (!word.is_empty()).then_some((word, None)),
    }
}

/// Parses `[id key="value" …][…]` into a map of maps, and returns the rest.
fn structured<'t>(text: &'t str, fields: &mut Fields) -> Result<&'t str, ParseError> {
    let mut rest = text;
    fields.write::<ParseError>("structured", |out| {
        let open = Open::begin(out);
        let mut elements = 0;
        while let Some(inside) = rest.strip_prefix('[') {
            rest = element(inside, out)?;
            elements += 1;
            if elements > MAX_FIELDS {
                return Err("it has too many structured elements");
            }
        }
        open.end_map(out, elements);
        if elements == 0 { Err(NOT_5424) } else { Ok(()) }
    })?;
    Ok(rest)
}

fn element<'t>(text: &'t str, out: &mut Vec<u8>) -> Result<&'t str, ParseError> {
    let end = text.find([' ', ']']).ok_or(NOT_5424)?;
    let (id, mut rest) = text.split_at(end);
    encode::str(out, id);
    let open = Open::begin(out);
    let mut count = 0;
    while let Some(inside) = rest.strip_prefix(' ') {
        let (name, after) = inside.split_once("=\"").ok_or(NOT_5424)?;
        let (value, after) = quoted(after).ok_or(NOT_5424)?;
        // `\]` is an escape that only syslog has.
        encode::str(out, name);
        value.replace("\\]", "]").encode(out);
        count += 1;
        rest = after;
    }
    open.end_map(out, count);
    rest.strip_prefix(']').ok_or(NOT_5424)
}
