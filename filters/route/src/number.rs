//! Numbers of records and options, compared exactly.
//!
//! Both numbers may be integers or floats. Integers are never rounded to floats
//! for a comparison: identifiers and times in nanoseconds exceed the 53 bits of a
//! float.

use std::cmp::Ordering;

/// A signed or unsigned integer of up to 64 bits, or a float.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    /// Parses a text that is only a number: `503`, `-1.5`, `2e3`.
    pub fn from_text(text: &str) -> Option<Number> {
        // Few texts are numbers; most are rejected by their first character. This
        // also rejects `inf` and `nan`, which Rust would parse.
        let first = text.bytes().find(|byte| *byte != b'-')?;
        if !(first.is_ascii_digit() || first == b'.') {
            return None;
        }
        if let Ok(integer) = text.parse::<i64>() {
            return Some(Number::Integer(integer.into()));
        }
        text.parse().ok().map(Number::Float)
    }

    /// The integer value, also of a float.
    pub fn whole(self) -> Option<i128> {
        match self {
            Number::Integer(integer) => Some(integer),
            // Beyond this range there is no equal 64-bit integer.
            Number::Float(float) if float.fract() == 0.0 && float.abs() <= 1e30 => Some(float as i128),
            Number::Float(_) => None,
        }
    }

    /// Compares two numbers; NaN is not comparable.
    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => Some(a.cmp(&b)),
            (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
            (Number::Integer(a), Number::Float(b)) => integer_with_float(a, b),
            (Number::Float(a), Number::Integer(b)) => integer_with_float(b, a).map(Ordering::reverse),
        }
    }
}

fn integer_with_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // `as` saturates floats out of range to values that no 64-bit integer
    // exceeds.
    let whole = float.trunc();
    let order = integer.cmp(&(whole as i128));
    Some(order.then_with(|| 0.0_f64.partial_cmp(&(float - whole)).unwrap_or(Ordering::Equal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Number::{Float, Integer};
    use proptest::prelude::*;

    #[test]
    fn integers_and_floats_compare_by_value_without_rounding() {
        let big = (1_i128 << 53) + 1;
        assert_eq!(Integer(big).compare(Float((1_i64 << 53) as f64)), Some(Ordering::Greater));
        assert_eq!(Integer(5).compare(Float(5.0)), Some(Ordering::Equal));
        assert_eq!(Integer(5).compare(Float(5.5)), Some(Ordering::Less));
        assert_eq!(Integer(-5).compare(Float(-5.5)), Some(Ordering::Greater));
        assert_eq!(Integer(0).compare(Float(-0.5)), Some(Ordering::Greater));
        assert_eq!(Float(1e300).compare(Integer(i128::from(u64::MAX))), Some(Ordering::Greater));
    }

    #[test]
    fn infinite_floats_are_beyond_every_integer_and_nan_compares_with_nothing() {
        let max = Integer(i128::from(u64::MAX));
        assert_eq!(max.compare(Float(f64::INFINITY)), Some(Ordering::Less));
        assert_eq!(max.compare(Float(f64::NEG_INFINITY)), Some(Ordering::Greater));
        assert_eq!(max.compare(Float(f64::NAN)), None);
        assert_eq!(Float(f64::NAN).compare(Float(1.0)), None);
    }

    #[test]
    fn a_text_is_a_number_only_as_a_whole() {
        for text in ["503", "-1.5", "2e3", ".5", "9223372036854775808"] {
            assert!(Number::from_text(text).is_some(), "{text}");
        }
        for text in ["", "-", "--1", "5 ms", " 5", "inf", "-inf", "NaN", "0x10", "१"] {
            assert!(Number::from_text(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_integer_compares_with_a_float_of_its_own_kind_as_integers_do(a: i32, b: i32) {
            let expected = Some(a.cmp(&b));
            prop_assert_eq!(Integer(a.into()).compare(Float(b.into())), expected);
            prop_assert_eq!(Float(a.into()).compare(Integer(b.into())), expected);
        }

        #[test]
        fn comparing_the_other_way_round_gives_the_reverse(a: i64, b: f64) {
            let there = Integer(a.into()).compare(Float(b));
            let back = Float(b).compare(Integer(a.into()));
            prop_assert_eq!(there, back.map(Ordering::reverse));
        }
    }
}
