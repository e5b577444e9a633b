//! Times in every form, and invalid ones.

use super::*;

/// 2026-11-20T10:00:00Z.
const MOMENT: i64 = 1_795_168_800 * SECOND;

fn formatted(ns: i64) -> String {
    let mut out = Vec::new();
    format_rfc3339(ns, &mut out);
    String::from_utf8(out).expect("ASCII")
}

#[test]
fn formatting_is_utc_with_nine_digits() {
    assert_eq!(formatted(0), "1970-01-01T00:00:00.000000000Z");
    assert_eq!(formatted(MOMENT + 123_456_789), "2026-11-20T10:00:00.123456789Z");
    assert_eq!(formatted(-1), "1969-12-31T23:59:59.999999999Z");
    assert_eq!(formatted(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    assert_eq!(formatted(i64::MIN), "1677-09-21T00:12:43.145224192Z");
    assert_eq!(formatted(951_782_400 * SECOND), "2000-02-29T00:00:00.000000000Z");
}

#[test]
fn every_formatted_time_parses_to_itself() {
    let mut ns = i64::MIN;
    while ns < i64::MAX - 86_400 * 3 * SECOND {
        assert_eq!(parse(&formatted(ns)), Some(ns));
        ns += 86_399 * 3 * SECOND + 123_456_789;
    }
    assert_eq!(parse(&formatted(i64::MAX)), Some(i64::MAX));
}

#[test]
fn rfc3339_offsets_and_variants_parse_to_the_same_time() {
    for text in [
        "2026-11-20T10:00:00Z",
        "2026-11-20t10:00:00z",
        "2026-11-20 10:00:00",
        "2026-11-20T10:00:00.000",
        "2026-11-20 10:00:00,000",
        "2026-11-20T12:00:00+02:00",
        "2026-11-20T12:00:00+0200",
        "2026-11-20T12:00:00+02",
        "2026-11-20T04:30:00-05:30",
        "2026-11-20 10:00:00.000000 UTC",
        " 2026-11-20T10:00:00.000000000000Z ",
        "2026-11-20T09:59:60Z",
    ] {
        assert_eq!(parse(text), Some(MOMENT), "{text}");
    }
    assert_eq!(parse("2026-11-20T10:00:00.1234567891Z"), Some(MOMENT + 123_456_789));
    assert_eq!(parse("1969-12-31T23:59:59.5Z"), Some(-SECOND / 2));
}

#[test]
fn invalid_times_are_rejected() {
    for text in [
        "",
        "yesterday",
        "2026-11-20",
        "2026-13-20T10:00:00Z",
        "2026-02-29T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T10:60:00Z",
        "2026-11-20T10:00:00.Z",
        "2026-11-20T10:00:00+2",
        "2026-11-20T10:00:00+25:00",
        "2026-11-20T10:00:00 PST",
        "9999-11-20T10:00:00Z",
        "é026-11-20T10:00:00Z",
        "-",
        "1.2.3",
        "+5",
        "--5",
        "12345678901234567890",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn numbers_are_seconds_millis_micros_or_nanos_by_their_size() {
    for number in [1_795_168_800, 1_795_168_800_000, 1_795_168_800_000_000, 1_795_168_800_000_000_000] {
        assert_eq!(from_int(number), Some(MOMENT), "{number}");
        assert_eq!(parse(&number.to_string()), Some(MOMENT), "{number}");
        assert_eq!(from_float(number as f64), Some(MOMENT), "{number}");
        assert_eq!(from_int(-number), Some(-MOMENT), "{number}");
        assert_eq!(parse(&format!("-{number}")), Some(-MOMENT), "{number}");
    }
    assert_eq!(parse("1795168800.123456789"), Some(MOMENT + 123_456_789));
    assert_eq!(parse("1795168800123.456789"), Some(MOMENT + 123_456_789));
    assert_eq!(from_float(1_795_168_800.25), Some(MOMENT + SECOND / 4));
    assert_eq!(from_float(1_795_168_800.123_456), Some(MOMENT + 123_456_000));
    for number in [f64::NAN, f64::INFINITY, 1e300, -1e300, 9.9e10] {
        assert_eq!(from_float(number), None, "{number}");
    }
    assert_eq!(from_int(99_999_999_999), None);
    assert_eq!(from_int(i64::MIN), Some(i64::MIN));
}

#[test]
fn extension_times_of_every_width_are_read() {
    let (seconds, nanos) = (1_795_168_800u32, 123_456_789u32);
    let packed = u64::from(nanos) << 34 | u64::from(seconds);
    let fluent = [seconds.to_be_bytes(), nanos.to_be_bytes()].concat();
    let wide = [&nanos.to_be_bytes()[..], &i64::from(seconds).to_be_bytes()].concat();
    assert_eq!(from_ext(-1, &seconds.to_be_bytes()), Some(MOMENT));
    assert_eq!(from_ext(-1, &packed.to_be_bytes()), Some(MOMENT + i64::from(nanos)));
    assert_eq!(from_ext(-1, &wide), Some(MOMENT + i64::from(nanos)));
    assert_eq!(from_ext(0, &fluent), Some(MOMENT + i64::from(nanos)));
    assert_eq!(from_ext(1, &fluent), None);
    assert_eq!(from_ext(-1, &fluent[..5]), None);
    assert_eq!(from_ext(0, &[255; 8]), None);
    assert_eq!(from_ext(-1, &[0, 0, 0, 0, 127, 255, 255, 255, 255, 255, 255, 255]), None);
}
