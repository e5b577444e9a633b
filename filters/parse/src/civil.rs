//! Converts a date and time of day to nanoseconds since 1970.

const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// A parsed date and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    /// Seconds since midnight.
    pub second_of_day: i64,
    pub ns: i64,
    /// Offset from UTC in seconds, positive east of it.
    pub offset_seconds: i64,
}

impl Civil {
    /// Nanoseconds since 1970-01-01 UTC; `None` for an invalid day, or if they don't fit 64 bits.
    pub fn to_ns(self) -> Option<i64> {
        if !(1..=12).contains(&self.month) || !(1..=days_of(self.year, self.month)).contains(&self.day) {
            return None;
        }
        let days = days_before(self.year, self.month) + self.day - 1;
        let seconds = days * SECONDS_PER_DAY + self.second_of_day - self.offset_seconds;
        seconds.checked_mul(NS_PER_SECOND)?.checked_add(self.ns)
    }
}

/// The UTC year of a time in nanoseconds since 1970.
pub fn year_of(ns: i64) -> i64 {
    let days = ns.div_euclid(NS_PER_SECOND * SECONDS_PER_DAY);
    // Never too late, as years have 365 or 366 days; the loop corrects the rest.
    let mut year = 1970 + days.div_euclid(if days < 0 { 365 } else { 366 });
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    year
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first day of a month.
fn days_before(year: i64, month: i64) -> i64 {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let last = year - 1;
    let leap_days = last.div_euclid(4) - last.div_euclid(100) + last.div_euclid(400) - 477;
    let in_year = BEFORE[(month - 1) as usize] + i64::from(month > 2 && is_leap(year));
    (year - 1970) * 365 + leap_days + in_year
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_calendar_of_others(ns: i64) {
            let time = jiff::Timestamp::from_nanosecond(ns.into()).expect("64 bits are within its range");
            let civil = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
            let ours = Civil {
                year: civil.year().into(),
                month: civil.month().into(),
                day: civil.day().into(),
                second_of_day: i64::from(civil.hour()) * 3600 + i64::from(civil.minute()) * 60 + i64::from(civil.second()),
                ns: civil.subsec_nanosecond().into(),
                offset_seconds: 0,
            };
            prop_assert_eq!(year_of(ns), i64::from(civil.year()));
            // The first second may be before the range of 64 bits.
            prop_assert!(ours.to_ns() == Some(ns) || ns < i64::MIN + NS_PER_SECOND);
        }
    }

    #[test]
    fn days_that_no_month_has_are_none() {
        let day = |year, month, day| Civil { year, month, day, second_of_day: 0, ns: 0, offset_seconds: 0 }.to_ns();
        assert!(day(2024, 2, 29).is_some());
        for (year, month, number) in [(2026, 2, 29), (2026, 4, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0)] {
            assert_eq!(day(year, month, number), None, "{year}-{month}-{number}");
        }
        assert_eq!(day(9999, 1, 1), None, "64 bits end in 2262");
    }
}
