//! Times of many kinds, compared with what another calendar makes of them.

use super::*;
use proptest::prelude::*;

/// 2026-03-01T00:00:00Z.
const NEAR_NS: i64 = 1_772_323_200_000_000_000;

fn read(formats: &[&str], text: &str) -> Option<String> {
    let formats: Vec<String> = formats.iter().map(ToString::to_string).collect();
    let times = Times::new(&formats, 3600).unwrap_or_else(|error| panic!("{error:?}"));
    let ns = times.read(Value::Str(text), NEAR_NS)?;
    Some(jiff::Timestamp::from_nanosecond(ns.into()).expect("within its range").to_string())
}

#[test]
fn without_formats_the_built_in_ones_are_used() {
    for (text, expected) in [
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ("2026-11-20T10:00:00.123456789+02:00", "2026-11-20T08:00:00.123456789Z"),
        ("2026-11-20 10:00:00,5", "2026-11-20T09:00:00.5Z"),
        ("2026-11-20 10:00:00.25 -0330", "2026-11-20T13:30:00.25Z"),
        ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z"),
        ("2026/11/20 10:00:00", "2026-11-20T09:00:00Z"),
        ("Fri Nov 20 10:00:00.123456 2026", "2026-11-20T09:00:00.123456Z"),
        ("1767225600", "2026-01-01T00:00:00Z"),
        ("1767225600.25", "2026-01-01T00:00:00.25Z"),
        ("1767225600123", "2026-01-01T00:00:00.123Z"),
        ("1767225600123456", "2026-01-01T00:00:00.123456Z"),
        ("1767225600123456789", "2026-01-01T00:00:00.123456789Z"),
    ] {
        assert_eq!(read(&[], text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn a_time_without_a_year_gets_the_closest_year() {
    assert_eq!(read(&[], "Feb  3 04:05:06").as_deref(), Some("2026-02-03T03:05:06Z"));
    assert_eq!(read(&[], "Dec 31 23:59:59").as_deref(), Some("2025-12-31T22:59:59Z"), "last winter, not next");
    assert_eq!(read(&[], "Feb 29 00:00:00"), None, "no year nearby has it");
}

#[test]
fn formats_are_tried_in_order_and_must_match_the_whole_text() {
    let formats = ["%d.%m.%y %I:%M %p", "%A, %e %B %Y %R %Z", "unix_ms"];
    for (text, expected) in [
        ("20.11.26 01:30 PM", Some("2026-11-20T12:30:00Z")),
        ("20.11.26 12:30 am", Some("2026-11-19T23:30:00Z")),
        ("Friday, 20 November 2026 10:00 UTC", Some("2026-11-20T10:00:00Z")),
        ("1500", Some("1970-01-01T00:00:01.5Z")),
        ("20.11.26 01:30 PM and more", None),
        ("20.11.26 13:30 PM", None),
        ("31.02.26 01:30 PM", None),
        ("2026-11-20T10:00:00Z", None),
        ("", None),
    ] {
        assert_eq!(read(&formats, text).as_deref(), expected, "{text}");
    }
}

#[test]
fn numbers_are_times_if_a_unit_is_configured() {
    let times = Times::new(&["%Y-%m-%d".to_owned(), "unix_s".to_owned()], 0).expect("they are valid");
    assert_eq!(times.read(Value::Int(1), 0), Some(1_000_000_000));
    assert_eq!(times.read(Value::Float(1.5), 0), Some(1_500_000_000));
    assert_eq!(times.read(Value::Int(i64::MAX), 0), None);
    assert_eq!(times.read(Value::Float(f64::NAN), 0), Some(0), "a number that is none is the start");
    let times = Times::new(&["%Y-%m-%d".to_owned()], 0).expect("it is valid");
    assert_eq!(times.read(Value::Int(1), 0), None);
}

#[test]
fn invalid_formats_are_refused() {
    for (format, expected) in [
        ("%Q", FormatError::Unknown('Q')),
        ("%Y-%m-%d %", FormatError::Ends),
        ("iso8601", FormatError::Plain),
        ("%H:%M:%S", FormatError::NoDay),
        ("%d %.3", FormatError::Unknown('3')),
    ] {
        assert_eq!(Times::new(&[format.to_owned()], 0).expect_err("refused"), (0, expected), "{format}");
    }
}

proptest! {
    #[test]
    fn times_of_another_calendar_are_parsed(seconds in -9_000_000_000_i64..9_000_000_000, offset_minutes in -1000_i32..1000) {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(offset_minutes * 60).expect("in range"));
        let time = jiff::Timestamp::from_second(seconds).expect("in range").to_zoned(zone);
        for format in ["%Y-%m-%dT%H:%M:%S%z", "%d/%b/%Y:%T %z", "%a, %d %B %y %I:%M:%S %p %z"] {
            // Two digits of a year mean 1969 to 2068.
            if format.contains("%y") && !(1969..2069).contains(&time.year()) {
                continue;
            }
            let text = time.strftime(format).to_string();
            let times = Times::new(&[format.to_owned()], 0).expect("it is valid");
            prop_assert_eq!(times.read(Value::Str(&text), 0), Some(seconds * 1_000_000_000), "{}", text);
        }
    }

    #[test]
    fn no_text_causes_a_panic(text in "\\PC{0,40}|[0-9TZ:. +-]{0,30}|[A-Za-z]{3} {1,2}[0-9]{1,2} [0-9:]{0,9}", near: i64) {
        let times = Times::new(&[], 0).expect("the built-in formats are valid");
        times.read(Value::Str(&text), near);
    }
}
