//! Times as numbers: the time since 1970 in some unit.

const NS_PER_SECOND: i64 = 1_000_000_000;

/// The unit of a numeric time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Guessed from the size of the number.
    Any,
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// Converts the digits of a fraction to nanoseconds; further digits are cut off.
pub fn fraction(text: &str) -> Option<(i64, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(count);
    let kept = &number[..count.min(9)];
    let scale = 10_i64.pow(9 - kept.len() as u32);
    Some((kept.parse::<i64>().ok()? * scale, rest))
}

/// Parses a decimal number with an optional fraction.
pub fn number(text: &str, unit: Unit) -> Option<i64> {
    let (whole, rest) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let ns = match rest.map(fraction) {
        None => 0,
        Some(Some((ns, ""))) => ns,
        Some(_) => return None,
    };
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    scaled(whole.parse().ok()?, ns, unit)
}

/// Converts a number and its fraction, in billionths of its unit, to nanoseconds.
pub fn scaled(whole: i64, billionths: i64, unit: Unit) -> Option<i64> {
    let per_unit = match unit {
        Unit::Seconds => NS_PER_SECOND,
        Unit::Millis => 1_000_000,
        Unit::Micros => 1_000,
        Unit::Nanos => 1,
        // In seconds up to the year 5138; each further unit has a thousand times
        // as many.
        Unit::Any => match whole.unsigned_abs() {
            0..100_000_000_000 => NS_PER_SECOND,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        },
    };
    let fraction_ns = (i128::from(billionths) * i128::from(per_unit) / i128::from(NS_PER_SECOND)) as i64;
    whole.checked_mul(per_unit)?.checked_add(fraction_ns)
}
