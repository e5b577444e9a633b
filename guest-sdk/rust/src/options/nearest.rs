//! "Did you mean": finds the accepted word that is most similar to a wrong one.

/// The word most similar to `wrong`, if any is similar enough: at most a third of its letters differ, or one of both is
/// a prefix of the other.
pub fn nearest<'w>(wrong: &str, right: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let wrong = folded(wrong);
    let near = right.into_iter().filter_map(|word| {
        let other = folded(word);
        let distance = distance(&wrong, &other);
        let is_near = distance <= (other.len() / 3).max(1);
        let shorter = wrong.len().min(other.len());
        let is_part = shorter >= 4 && wrong[..shorter] == other[..shorter];
        (is_near || is_part).then_some((distance, word))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Ignores case, and treats `-` and `_` alike.
fn folded(word: &str) -> Vec<char> {
    word.to_lowercase().replace('-', "_").chars().collect()
}

/// The edit distance: insertions, deletions, substitutions, and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == &b[j - 1] && &a[i - 1] == y {
                let swapped: &Vec<usize> = &before;
                least = least.min(swapped[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_get_a_suggestion_and_other_words_get_none() {
        let words = ["keys", "only_keys", "timeout", "mode", "modes"];
        for (wrong, expected) in [
            ("kyes", Some("keys")),
            ("only-keys", Some("only_keys")),
            ("timeout_ms", Some("timeout")),
            ("moeds", Some("modes")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, words), expected, "{wrong}");
        }
    }
}
