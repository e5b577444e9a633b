//! Numbers of schemas and records, compared without rounding integers.

use std::cmp::Ordering;

use weir_guest::Value;

use crate::canonical::whole;

/// A signed or unsigned integer of up to 64 bits, or a float.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    pub fn of(value: Value<'_>) -> Option<Number> {
        match value {
            Value::Int(number) => Some(Number::Integer(number.into())),
            Value::UInt(number) => Some(Number::Integer(number.into())),
            Value::Float(number) => Some(whole(number).map_or(Number::Float(number), |n| Number::Integer(n.into()))),
            _ => None,
        }
    }

    pub fn is_whole(self) -> bool {
        match self {
            Number::Integer(_) => true,
            Number::Float(number) => number.is_finite() && number.fract() == 0.0,
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

    /// Whether it is a multiple of another number, which is above zero.
    pub fn is_multiple_of(self, other: Number) -> bool {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => a % b == 0,
            (a, b) => {
                let times = a.to_f64() / b.to_f64();
                // 0.3 / 0.1 is not quite 3.
                times.is_finite() && (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
            }
        }
    }

    fn to_f64(self) -> f64 {
        match self {
            Number::Integer(number) => number as f64,
            Number::Float(number) => number,
        }
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Integer(number) => number.fmt(f),
            Number::Float(number) => number.fmt(f),
        }
    }
}

fn integer_with_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // `as` saturates floats out of range to values that no 64-bit integer
    // exceeds.
    let trunc = float.trunc();
    let order = integer.cmp(&(trunc as i128));
    Some(order.then_with(|| 0.0_f64.partial_cmp(&(float - trunc)).unwrap_or(Ordering::Equal)))
}
