//! Payment card numbers.
//!
//! A number is a card number if it has the prefix and length of a card network
//! and a valid Luhn digit, and is not part of a longer run of letters or digits.
//! Digits may be grouped by spaces or dashes as on cards. Timestamps start with
//! digits that no network uses. Other identifiers can look like card numbers: one
//! in ten with the prefix and length of a network does.

use crate::classes;
use crate::kind::{Finding, Kind};
use crate::limits::CARD_DIGITS;

/// The card number whose first digit is at `at`, unless another digit precedes
/// it.
#[inline(never)]
pub fn find(text: &[u8], at: usize) -> Option<Finding> {
    // No network uses other first digits.
    if !matches!(text[at], b'2'..=b'6') || at > 0 && is_joined(text[at - 1]) {
        return None;
    }
    let first = classes::run(&text[at..], classes::DIGIT);
    let mut end = at + first;
    let separator = match text[end..] {
        [separator @ (b' ' | b'-'), b'0'..=b'9', ..] => separator,
        _ => {
            let alone = !text.get(end).is_some_and(|byte| is_joined(*byte));
            let is_card = alone && CARD_DIGITS.contains(&first) && is_card(&digits(&text[at..end])[..first]);
            return is_card.then_some(Finding { start: at, end, kind: Kind::Card });
        }
    };
    // On all cards, the first group has four digits.
    if first != 4 {
        return None;
    }
    let mut printed = [0; 20];
    let mut groups = [0; 6];
    let (mut count, mut group) = (0, 0);
    end = at;
    loop {
        let from = end;
        while let Some(digit @ 0..=9) = text.get(end).map(|byte| byte.wrapping_sub(b'0'))
            && let Some(place) = printed.get_mut(count)
        {
            *place = digit;
            count += 1;
            end += 1;
        }
        groups[group] = end - from;
        // Single separators between digits. A card has fewer digits than there is room for, so a group that is cut
        // off is another number.
        match text[end..] {
            [byte, b'0'..=b'9', ..] if byte == separator && group < 5 && count < printed.len() => group += 1,
            _ => break,
        }
        end += 1;
    }
    let len = printed_card(&printed[..count], &groups[..=group])?;
    Some(Finding { start: at, end: at + len, kind: Kind::Card })
}

/// The digits of a text of up to 20 digits.
fn digits(text: &[u8]) -> [u8; 20] {
    let mut digits = [0; 20];
    for (digit, byte) in digits.iter_mut().zip(text) {
        *digit = byte.wrapping_sub(b'0');
    }
    digits
}

/// The length of the groups that form a card number; what follows is another
/// number.
fn printed_card(digits: &[u8], groups: &[usize]) -> Option<usize> {
    let printed: &[usize] = match groups {
        [4, 4, 4, 4, 3, ..] => &[5, 4],
        [4, 4, 4, 4, ..] => &[4],
        [4, 6, 4 | 5, ..] => &[3],
        _ => &[],
    };
    printed.iter().find_map(|used| {
        let len: usize = groups[..*used].iter().sum();
        is_card(&digits[..len]).then_some(len + used - 1)
    })
}

/// Whether a byte next to a card number means that it is not one.
fn is_joined(byte: u8) -> bool {
    classes::is(byte, classes::WORD) || byte == b'_'
}

/// Whether an integer is a card number.
pub fn is_card_number(number: u64) -> bool {
    // 13 to 19 digits; more don't fit.
    if number < 1_000_000_000_000 {
        return false;
    }
    let text = number.to_string();
    let digits: Vec<u8> = text.bytes().map(|byte| byte - b'0').collect();
    is_card(&digits)
}

fn is_card(digits: &[u8]) -> bool {
    CARD_DIGITS.contains(&digits.len()) && has_network(digits) && luhn(digits)
}

/// Whether a network issues numbers with this prefix and length.
fn has_network(digits: &[u8]) -> bool {
    let first = digits[..4].iter().fold(0_u16, |n, digit| n * 10 + u16::from(*digit));
    let len = digits.len();
    match first {
        4000..=4999 => matches!(len, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 => len == 16,
        3400..=3499 | 3700..=3799 => len == 15,
        6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 => len >= 16,
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => len >= 14,
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => true,
        _ => false,
    }
}

fn luhn(digits: &[u8]) -> bool {
    const DOUBLED: [u8; 10] = [0, 2, 4, 6, 8, 1, 3, 5, 7, 9];
    let mut sum = 0;
    let mut doubles = false;
    for &digit in digits.iter().rev() {
        let doubled = DOUBLED.get(usize::from(digit)).copied().unwrap_or_default();
        sum += u32::from(if doubles { doubled } else { digit });
        doubles = !doubles;
    }
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        (0..text.len())
            .filter(|at| text.as_bytes()[*at].is_ascii_digit())
            .find_map(|at| find(text.as_bytes(), at))
            .map(|finding| &text[finding.start..finding.end])
    }

    #[test]
    fn cards_of_every_network_are_found() {
        for card in [
            "4111111111111111",
            "4222222222222",
            "5555555555554444",
            "2223003122003222",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "6200000000000005",
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            "3782 822463 10005",
        ] {
            assert_eq!(found(card), Some(card), "{card}");
            let text = format!("paid with {card}, thanks");
            assert_eq!(found(&text), Some(card), "{card}");
        }
    }

    #[test]
    fn a_number_after_a_printed_card_is_not_part_of_it() {
        assert_eq!(found("4111 1111 1111 1111 1234"), Some("4111 1111 1111 1111"));
        assert_eq!(found("4111 1111 1111 1111 20 EUR"), Some("4111 1111 1111 1111"));
        assert_eq!(found("4111 1111 1111 1111 1700000000"), Some("4111 1111 1111 1111"));
        assert_eq!(found("4111 1111 1111 1111 1700 0000 0000"), Some("4111 1111 1111 1111"));
        assert_eq!(found("3782 822463 10005 1700000000"), Some("3782 822463 10005"));
    }

    #[test]
    fn numbers_that_only_resemble_cards_are_left_alone() {
        for text in [
            "4111111111111112",
            "1763632800123456789",
            "1763632800123",
            "41111111111111111111111",
            "x4111111111111111",
            "4111111111111111a",
            "4111 111 11111 1111",
            "2026-11-20 10-00-00",
            "4111  1111  1111  1111",
            "411111111111",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn time_in_nanoseconds_is_never_a_card() {
        for step in 0..10_000_u64 {
            assert!(!is_card_number(1_763_632_800_000_000_000 + step * 86_400_123_457));
        }
        assert!(is_card_number(4_111_111_111_111_111));
    }
}
