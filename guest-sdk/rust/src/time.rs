//! Formatting times.
//!
//! Records contain nanoseconds since 1970 UTC. A filter that writes a time into
//! text should use [`rfc3339`], the format that Weir uses in JSON.

use std::fmt::Write;

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Appends a time in nanoseconds since 1970-01-01 UTC as RFC 3339 with nine
/// decimal places: `2026-11-20T10:00:00.123456789Z`.
pub fn rfc3339(ns: i64, out: &mut String) {
    let seconds = ns.div_euclid(NS_PER_SECOND);
    let fraction = ns.rem_euclid(NS_PER_SECOND);
    let (year, month, day) = civil(seconds.div_euclid(SECONDS_PER_DAY));
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    // Writing to a string can't fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z");
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
/// Years are counted from March, so that a leap day is the last of its year, and
/// in cycles of 400, which all have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    const CYCLE_DAYS: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let cycle = days.div_euclid(CYCLE_DAYS);
    let day = days.rem_euclid(CYCLE_DAYS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, twice, and then the
    // rest.
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    (year + cycle * 400, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(ns: i64) -> String {
        let mut out = String::new();
        rfc3339(ns, &mut out);
        out
    }

    #[test]
    fn times_are_written_with_nine_decimal_places() {
        for (ns, expected) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_767_225_600_000_000_001, "2026-01-01T00:00:00.000000001Z"),
            (951_826_154_123_456_789, "2000-02-29T12:09:14.123456789Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(written(ns), expected, "{ns}");
        }
    }

    #[test]
    fn dates_of_four_hundred_years_are_consecutive() {
        let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(civil(days), (year, month, day));
            let length = match month {
                4 | 6 | 9 | 11 => 30,
                2 => 28 + i64::from(leap(year)),
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }
}
