//! "Did you mean" suggestions: finds the allowed word that is most similar.

/// A word with at least this similarity (Jaro-Winkler, 0 to 1) is suggested even if its length differs a lot:
/// `timeout_ms` for `timeout`.
const ALIKE: f64 = 0.88;

/// The allowed word that `word` most likely stands for, if any is similar enough.
pub fn nearest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    let mut best: Option<(usize, f64, &str)> = None;
    for candidate in allowed {
        let folded = candidate.to_lowercase().replace('-', "_");
        let distance = strsim::osa_distance(&lower, &folded);
        let likeness = strsim::jaro_winkler(&lower, &folded);
        let tolerated = (folded.chars().count() / 3).max(1);
        if distance > tolerated && likeness < ALIKE {
            continue;
        }
        let better = best.is_none_or(|(d, l, _)| distance < d || (distance == d && likeness > l));
        if better {
            best = Some((distance, likeness, candidate));
        }
    }
    best.map(|(_, _, candidate)| candidate)
}

/// `` `a`, `b` or `c` ``, for listing what is allowed.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_words_are_suggested_and_unrelated_ones_are_not() {
        let keys = ["listen", "max_body", "timeout", "sync", "memory"];
        for (word, expected) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("max-body", Some("max_body")),
            ("MAX_BODY", Some("max_body")),
            ("timeout_ms", Some("timeout")),
            ("snc", Some("sync")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(list(["a"], "or"), "`a`");
        assert_eq!(list(["a", "b", "c"], "and"), "`a`, `b` and `c`");
    }
}
