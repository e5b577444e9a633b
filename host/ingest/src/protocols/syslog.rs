//! Syslog: RFC 5424 and RFC 3164 over UDP, TCP (RFC 6587), TLS (RFC 5425) and Unix sockets such as `/dev/log`.
//!
//! ```text
//! <165>1 2026-11-30T22:14:15.003Z web1 shop 4711 ID47 [order@32473 id="1001"] it was placed
//! <34>Oct 11 22:14:15 web1 su[230]: 'su root' failed
//! ```
//!
//! | in a message | in a record |
//! |---|---|
//! | severity | `level`, and by its name in `severity` |
//! | facility | `facility`, by its name |
//! | time | `timestamp`. Without a year, the one is taken that brings it closest to now; without an offset, the time is local |
//! | host, process, id of the message | `host`, `pid`, `msgid` |
//! | application or tag | `source` |
//! | structured data | `structured_data`, by id and name; the values of a repeated name are a list |
//! | the rest | `message` |
//!
//! Invariant: no line is lost. What is not of either form is the message of a record, as a whole.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weir_record::{ComposeError, Composer, Level, MapWriter, Scale, time};

use crate::limits::MAX_PAIRS;
use crate::sockets::{Framing, Kind, OneWay, SocketProtocol, Transport};

pub(crate) const SOCKET: SocketProtocol = SocketProtocol {
    name: "syslog",
    summary: "syslog as in RFC 5424 and RFC 3164; over TCP, messages are counted or lines",
    transports: &[Transport::Udp, Transport::Tcp, Transport::Tls, Transport::UnixDatagram, Transport::Unix],
    has_key: false,
    kind: Kind::OneWay(OneWay { framing: Framing::Counted, has_chunks: false, compose }),
};

const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

fn compose(line: &[u8], received_ns: i64, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let line = line.trim_ascii_end();
    let line = line.strip_suffix(b"\0").unwrap_or(line);
    let Some((priority, rest)) = priority(line) else {
        composer.message(line);
        return Ok(());
    };
    compose_priority(priority, composer)?;
    match rest.strip_prefix(b"1 ").and_then(Structured::read) {
        Some(message) => message.compose(composer),
        None => compose_bsd(rest, received_ns, composer),
    }
}

/// The level, and the names of facility and severity.
pub(super) fn compose_priority(priority: usize, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let (facility, severity) = (FACILITIES[priority / 8], priority % 8);
    if let Some(level) = Level::from_number_in(severity as i64, Scale::Syslog) {
        composer.level(level);
    }
    composer.text("facility", facility.as_bytes())?;
    composer.text("severity", SEVERITIES[severity].as_bytes())
}

/// The number between `<` and `>`, at most that of the last facility, and what follows.
pub(super) fn priority(line: &[u8]) -> Option<(usize, &[u8])> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let rest = rest[digits..].strip_prefix(b">")?;
    (number < FACILITIES.len() * 8).then_some((number, rest))
}

/// A message of RFC 5424, without its priority and version. Absent parts are empty.
struct Structured<'m> {
    timestamp: Option<i64>,
    host: &'m [u8],
    app: &'m [u8],
    pid: &'m [u8],
    id: &'m [u8],
    /// In brackets.
    data: &'m [u8],
    message: &'m [u8],
}

impl<'m> Structured<'m> {
    fn read(rest: &'m [u8]) -> Option<Structured<'m>> {
        let mut rest = rest;
        let mut word = || {
            let (word, after) = split_word(rest)?;
            rest = after;
            Some(if word == b"-" { &b""[..] } else { word })
        };
        let timestamp = match word()? {
            b"" => None,
            text => Some(time::parse_rfc3339(text)?),
        };
        let (host, app, pid) = (word()?, word()?, word()?);
        // Structured data and message may be absent after the id.
        let (id, rest) = split_word(rest).unwrap_or((rest, b""));
        let id = if id == b"-" { b"" } else { id };
        let (data, message) = match rest {
            [b'-', after @ ..] => (&b""[..], after),
            [b'[', ..] => rest.split_at(data_length(rest)?),
            _ => (&b""[..], rest),
        };
        let message = message.strip_prefix(b" ").unwrap_or(message);
        Some(Structured { timestamp, host, app, pid, id, data, message })
    }

    fn compose(&self, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
        if let Some(timestamp) = self.timestamp {
            composer.time(timestamp);
        }
        if !self.app.is_empty() {
            composer.source(self.app);
        }
        composer.message(self.message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(self.message));
        for (key, text) in [("host", self.host), ("pid", self.pid), ("msgid", self.id)] {
            if !text.is_empty() {
                composer.text(key, text)?;
            }
        }
        if self.data.is_empty() {
            return Ok(());
        }
        composer.entry(b"structured_data", |value| value.map(|elements| write_elements(self.data, elements)))
    }
}

fn split_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    (end > 0).then(|| (&text[..end], &text[end + 1..]))
}

/// The length of the elements at the start; `None` if the last one has no end.
fn data_length(text: &[u8]) -> Option<usize> {
    let (mut at, mut is_quoted) = (0, false);
    loop {
        match (text.get(at)?, is_quoted) {
            (b'\\', true) => at += 1,
            (b'"', _) => is_quoted = !is_quoted,
            (b']', false) if text.get(at + 1) != Some(&b'[') => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

const EXCESSIVE: &str = "an element of its structured data has more than 16384 parameters; send less";

/// Writes `[id name="value" …][id …]`.
fn write_elements(data: &[u8], elements: &mut MapWriter<'_>) -> Result<(), ComposeError> {
    let mut rest = data;
    while let Some(inside) = rest.strip_prefix(b"[") {
        let id = inside.iter().position(|byte| matches!(byte, b' ' | b']')).unwrap_or(inside.len());
        rest = &inside[id..];
        elements.entry(&inside[..id]).map(|parameters| {
            let mut found = Vec::new();
            while let Some((name, after)) = parameter_name(rest) {
                if found.len() == MAX_PAIRS {
                    return Err(ComposeError::record(EXCESSIVE));
                }
                let (value, after) = parameter_value(after);
                found.push((name, value));
                rest = after;
            }
            // Equal names stay in the order in which they were sent.
            found.sort_by_key(|(name, _)| *name);
            for same in found.chunk_by(|(one, _), (other, _)| one == other) {
                match same {
                    [] => {}
                    [(name, value)] => parameters.entry(name).text(value),
                    [(name, _), ..] => parameters.entry(name).list(|list| {
                        same.iter().for_each(|(_, value)| list.item().text(value));
                        Ok(())
                    })?,
                }
            }
            Ok(())
        })?;
        let end = rest.iter().position(|byte| *byte == b']').unwrap_or(rest.len().saturating_sub(1));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok(())
}

/// The name before `="`, and what follows that.
fn parameter_name(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| matches!(byte, b'=' | b']'))?;
    Some((&text[..end], text[end..].strip_prefix(b"=\"")?))
}

/// The value up to its quote, and what follows that.
fn parameter_value(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut at = 0;
    while at < text.len() && text[at] != b'"' {
        if text[at] == b'\\' && matches!(text.get(at + 1), Some(b'"' | b'\\' | b']')) {
            at += 1;
        }
        value.push(text[at]);
        at += 1;
    }
    (value, text.get(at + 1..).unwrap_or_default())
}

/// A message of RFC 3164, and what is sent in its place: without a time, without a host, with a time of RFC 3339.
fn compose_bsd(text: &[u8], received_ns: i64, composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let Some((timestamp, rest)) = bsd_time(text, received_ns) else {
        return compose_tagged(text, composer);
    };
    composer.time(timestamp);
    // A tag ends with a colon or a bracket, a host doesn't.
    if let Some((host, after)) = split_word(rest)
        && !host.ends_with(b":")
        && !host.contains(&b'[')
    {
        composer.text("host", host)?;
        return compose_tagged(after, composer);
    }
    compose_tagged(rest, composer)
}

/// `tag[pid]: message`, or a message alone.
fn compose_tagged(text: &[u8], composer: &mut Composer<'_, '_>) -> Result<(), ComposeError> {
    let is_of_tag = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b'[');
    let end = text.iter().take_while(|byte| is_of_tag(byte)).count();
    let (tag, rest) = text.split_at(end);
    let (pid, rest) = match rest {
        [b'[', after @ ..] => match after.iter().position(|byte| *byte == b']') {
            Some(end) => (&after[..end], &after[end + 1..]),
            None => (&b""[..], rest),
        },
        _ => (&b""[..], rest),
    };
    let Some(message) = rest.strip_prefix(b":").filter(|_| !tag.is_empty()) else {
        composer.message(text);
        return Ok(());
    };
    composer.source(tag);
    if !pid.is_empty() {
        composer.text("pid", pid)?;
    }
    composer.message(message.strip_prefix(b" ").unwrap_or(message));
    Ok(())
}

/// The time at the start, and what follows it: `Oct 11 22:14:15 `, with a fraction or a year after the day if somebody
/// sends that, or a time of RFC 3339.
fn bsd_time(text: &[u8], received_ns: i64) -> Option<(i64, &[u8])> {
    if text.first().is_some_and(u8::is_ascii_digit) {
        let (time, rest) = split_word(text)?;
        return Some((time::parse_rfc3339(time)?, rest));
    }
    let (month, rest) = text.split_at_checked(3)?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let (day, rest) = split_word(rest.strip_prefix(b" ")?.trim_ascii_start())?;
    let (word, after) = split_word(rest).unwrap_or((rest, b""));
    let (year, clock, rest) = match number(word) {
        Some(year) if word.len() == 4 => {
            let (clock, rest) = split_word(after).unwrap_or((after, b""));
            (Some(year), clock, rest)
        }
        _ => (None, word, after),
    };
    let clock = clock.strip_suffix(b":").unwrap_or(clock);
    let (clock, fraction) = match clock.iter().position(|byte| *byte == b'.') {
        Some(point) => (&clock[..point], &clock[point + 1..]),
        None => (clock, &b""[..]),
    };
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let part = |part| i8::try_from(part).ok();
    let time = |year: i64| {
        let [hour, minute, second] = [number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?].map(part);
        let (month, day) = (part(i64::try_from(month).ok()?)?, part(number(day)?)?);
        let nanos = i32::try_from(fraction_ns(fraction)?).ok()?;
        // A leap second is the last one of its minute.
        let time = DateTime::new(i16::try_from(year).ok()?, month, day, hour?, minute?, second?.min(59), nanos).ok()?;
        let time = TimeZone::system().to_ambiguous_timestamp(time).compatible().ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    };
    if let Some(year) = year {
        return Some((time(year)?, rest));
    }
    let now = Timestamp::from_nanosecond(received_ns.into()).ok()?;
    let year = i64::from(now.to_zoned(TimeZone::UTC).year());
    let candidates = [year - 1, year, year + 1].into_iter().filter_map(time);
    Some((candidates.min_by_key(|time| time.abs_diff(received_ns))?, rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    let is_short = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_short.then(|| digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

/// Digits after the point, as nanoseconds.
fn fraction_ns(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() {
        return Some(0);
    }
    let shown = &digits[..digits.len().min(9)];
    Some(number(shown)? * 10_i64.pow(9 - u32::try_from(shown.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocols::test_bodies::{RECEIVED_NS, composed, mutations};

    fn read(line: &str) -> Value {
        let (mut records, bad) = composed(compose, &[line.as_bytes()]);
        assert!(bad.is_empty() && records.len() == 1, "{line}");
        let mut record = records.remove(0);
        if record["timestamp"] == "2023-11-14T22:13:20.000000000Z" {
            record.as_object_mut().expect("a record").remove("timestamp");
        }
        record
    }

    #[test]
    fn every_part_of_rfc_5424_has_its_place() {
        let line = concat!(
            r#"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 ID47 "#,
            r#"[exampleSDID@32473 iut="3" eventSource="A \"b\" \] \\ c"][empty][more x="é"] "#,
            "\u{feff}%% It's time."
        );
        let due = json!({
            "timestamp": "2003-08-24T12:14:15.000003000Z", "level": "INFO", "source": "myproc",
            "message": "%% It's time.", "facility": "local4", "severity": "notice", "host": "192.0.2.1",
            "pid": "8710", "msgid": "ID47",
            "structured_data": {
                "exampleSDID@32473": {"iut": "3", "eventSource": r#"A "b" ] \ c"#}, "empty": {}, "more": {"x": "é"}
            },
        });
        assert_eq!(read(line), due);
    }

    #[test]
    fn the_values_of_a_repeated_parameter_are_a_list() {
        let record = read(r#"<34>1 - - app - - [origin ip="192.0.2.1" enterpriseId="1" ip="192.0.2.129"] m"#);
        let due = json!({"origin": {"ip": ["192.0.2.1", "192.0.2.129"], "enterpriseId": "1"}});
        assert_eq!(record["structured_data"], due);
        let line = format!("<34>1 - - app - - [a{}] m", " b=\"\"".repeat(MAX_PAIRS + 1));
        let (records, bad) = composed(compose, &[line.as_bytes()]);
        assert_eq!((records.len(), bad.len()), (0, 1));
    }

    #[test]
    fn absent_parts_of_rfc_5424_are_absent() {
        let due = json!({"level": "CRITICAL", "source": "test", "message": "only this", "facility": "auth",
            "severity": "crit"});
        assert_eq!(read("<34>1 - - - - - - only this"), due);
        assert_eq!(read("<34>1 - - - - - -")["message"], "");
        assert_eq!(read("<34>1 - - app - -")["source"], "app");
    }

    #[test]
    fn rfc_3164_is_read_with_and_without_its_parts() {
        let line = "<34>Nov 11 22:14:15 mymachine su[230]: 'su root' failed";
        let record = read(line);
        for (key, due) in [
            ("source", "su"),
            ("message", "'su root' failed"),
            ("host", "mymachine"),
            ("pid", "230"),
            ("level", "CRITICAL"),
        ] {
            assert_eq!(record[key], due, "{key}");
        }
        let local = read("<13>Nov 11 22:14:15 app: no host");
        assert_eq!(
            (&local["source"], &local["message"], &local["host"]),
            (&json!("app"), &json!("no host"), &Value::Null)
        );
        let iso = read("<13>2003-10-11T22:14:15.123456+02:00 host app[1]: m");
        assert_eq!((&iso["timestamp"], &iso["source"]), (&json!("2003-10-11T20:14:15.123456000Z"), &json!("app")));
        let bare = read("<13>something happened");
        assert_eq!((&bare["message"], &bare["source"]), (&json!("something happened"), &json!("test")));
    }

    #[test]
    fn what_is_no_syslog_is_kept_as_a_message() {
        for line in ["hello", "<192>x", "<>x", "<1", "<abc>1 - - - - - -", "<99999>x", "{\"a\":1}"] {
            assert_eq!(read(line)["message"], line);
        }
        for (line, message) in [
            ("<13>1 yesterday host app - - - m", "1 yesterday host app - - - m"),
            ("<13>1 - host app - - [never ends", "1 - host app - - [never ends"),
            ("<13>Foo 11 22:14:15 host app: m", "Foo 11 22:14:15 host app: m"),
            ("<13>Nov 31 22:14:15 x", "Nov 31 22:14:15 x"),
            ("<13>Nov 11 25:14:15 x", "Nov 11 25:14:15 x"),
        ] {
            assert_eq!(read(line)["message"], message);
        }
    }

    #[test]
    fn the_year_is_the_one_that_is_closest() {
        let year = |text: &str, received: &str| {
            let received = time::parse_rfc3339(received.as_bytes()).expect("a time");
            let (found, rest) = bsd_time(text.as_bytes(), received).expect(text);
            assert_eq!(rest, b"x");
            Timestamp::from_nanosecond(found.into()).expect("a time").to_zoned(TimeZone::system()).year()
        };
        assert_eq!(year("Dec 31 23:59:59 x", "2027-01-01T12:00:00Z"), 2026);
        assert_eq!(year("Jan  1 00:00:01 x", "2026-12-31T12:00:00Z"), 2027);
        assert_eq!(year("Jun 30 00:00:01 x", "2026-12-01T12:00:00Z"), 2026);
        assert_eq!(year("Feb 29 00:00:01 x", "2027-01-01T12:00:00Z"), 2028);
        assert_eq!(year("Jun 30 2001 00:00:01 x", "2026-12-01T12:00:00Z"), 2001);
        let (found, _) = bsd_time(b"Jun 30 00:00:01.25 x", RECEIVED_NS).expect("a fraction");
        assert_eq!(found % 1_000_000_000, 250_000_000);
    }

    #[test]
    fn no_line_is_lost_however_it_is_damaged() {
        let seeds: [&[u8]; 3] = [
            br#"<165>1 2003-08-24T05:14:15.000003-07:00 h app 8710 ID47 [a@1 b="c\]"][d] message"#,
            b"<34>Nov 11 22:14:15 mymachine su[230]: 'su root' failed",
            b"<13>2003-10-11T22:14:15Z host app: m",
        ];
        mutations(&seeds, |_, line| {
            let (records, bad) = composed(compose, &[line]);
            assert!(records.len() == 1 && bad.is_empty(), "{}", String::from_utf8_lossy(line));
        });
    }
}
