//! Minimises records that reproduce a fault: removes and simplifies parts as long as a test still reproduces it.
//! Limited by a number of tests and by time.

use std::time::{Duration, Instant};

use super::tree::Tree;

/// Limits for the search.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub tests: u32,
    pub time: Duration,
}

/// Finds the smallest records for which `shows` returns true, as it does for the given ones.
pub fn shrink(records: Vec<Tree>, budget: Budget, shows: &mut dyn FnMut(&[Tree]) -> bool) -> Vec<Tree> {
    let mut search = Search { left: budget.tests, until: Instant::now() + budget.time, shows };
    let mut best = search.fewer(records, &mut |records, search| search.test(records));
    for at in 0..best.len() {
        let record = best[at].clone();
        let mut tested = best.clone();
        best[at] = search.smaller(record, &mut |record, search| {
            tested[at] = record.clone();
            search.test(&tested)
        });
    }
    best
}

struct Search<'a> {
    left: u32,
    until: Instant,
    shows: &'a mut dyn FnMut(&[Tree]) -> bool,
}

/// Tests whether the fault is reproduced with a part replaced.
type Test<'t, T> = dyn FnMut(&T, &mut Search<'_>) -> bool + 't;

impl Search<'_> {
    fn is_spent(&self) -> bool {
        self.left == 0 || Instant::now() >= self.until
    }

    fn test(&mut self, records: &[Tree]) -> bool {
        if self.is_spent() {
            return false;
        }
        self.left -= 1;
        (self.shows)(records)
    }

    /// Minimises the number of items: removes halves, then quarters, down to single items.
    fn fewer<T: Clone>(&mut self, items: Vec<T>, test: &mut Test<'_, Vec<T>>) -> Vec<T> {
        let mut best = items;
        if best.is_empty() || (best.len() > 1 && test(&Vec::new(), self)) {
            return Vec::new();
        }
        let mut size = best.len().div_ceil(2);
        while size > 0 && !self.is_spent() {
            let mut start = 0;
            while start < best.len() && !self.is_spent() {
                let mut without = best.clone();
                without.drain(start..(start + size).min(best.len()));
                match test(&without, self) {
                    true => best = without,
                    false => start += size,
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        best
    }

    /// Minimises a value.
    fn smaller(&mut self, tree: Tree, test: &mut Test<'_, Tree>) -> Tree {
        for simple in simplest(&tree) {
            if !self.is_spent() && test(&simple, self) {
                return simple;
            }
        }
        match tree {
            Tree::Text(text) => {
                Tree::Text(self.smaller_text(text, &mut |text, search| test(&Tree::Text(text.clone()), search)))
            }
            Tree::Bytes(bytes) => {
                Tree::Bytes(self.fewer(bytes, &mut |bytes, search| test(&Tree::Bytes(bytes.clone()), search)))
            }
            Tree::List(items) => {
                let mut best = self.fewer(items, &mut |items, search| test(&Tree::List(items.clone()), search));
                for at in 0..best.len() {
                    let mut tested = best.clone();
                    best[at] = self.smaller(best[at].clone(), &mut |item, search| {
                        tested[at] = item.clone();
                        test(&Tree::List(tested.clone()), search)
                    });
                }
                let inner = only(best.iter()).filter(|inner| test(inner, self));
                inner.unwrap_or(Tree::List(best))
            }
            Tree::Map(entries) => self.smaller_map(entries, test),
            Tree::Int(n) => {
                let mut best = n;
                while best != 0 && !self.is_spent() && test(&Tree::Int(best / 2), self) {
                    best /= 2;
                }
                Tree::Int(best)
            }
            other => other,
        }
    }

    fn smaller_map(&mut self, entries: Vec<(String, Tree)>, test: &mut Test<'_, Tree>) -> Tree {
        let mut best = self.fewer(entries, &mut |entries, search| test(&Tree::Map(entries.clone()), search));
        for at in 0..best.len() {
            let mut tested = best.clone();
            let (key, value) = best[at].clone();
            let value = self.smaller(value, &mut |value, search| {
                tested[at].1 = value.clone();
                test(&Tree::Map(tested.clone()), search)
            });
            tested[at].1 = value.clone();
            let key = match key.len() > 1 {
                true => self.smaller_text(key, &mut |key, search| {
                    tested[at].0 = key.clone();
                    test(&Tree::Map(tested.clone()), search)
                }),
                false => key,
            };
            best[at] = (key, value);
        }
        let inner = only(best.iter().map(|(_, value)| value)).filter(|inner| test(inner, self));
        inner.unwrap_or(Tree::Map(best))
    }

    fn smaller_text(&mut self, text: String, test: &mut Test<'_, String>) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut best = self.fewer(chars, &mut |chars, search| test(&chars.iter().collect(), search));
        for at in 0..best.len() {
            if best[at] == 'a' || self.is_spent() {
                continue;
            }
            let mut plain = best.clone();
            plain[at] = 'a';
            if test(&plain.iter().collect(), self) {
                best = plain;
            }
        }
        best.into_iter().collect()
    }
}

/// Candidates to replace a whole value, the simplest first.
fn simplest(tree: &Tree) -> Vec<Tree> {
    match tree {
        Tree::Nil | Tree::Bool(false) | Tree::Int(0) => vec![],
        Tree::Bool(true) => vec![Tree::Bool(false)],
        Tree::Int(_) => vec![Tree::Int(0)],
        Tree::UInt(_) | Tree::Float(_) => vec![Tree::Int(0), Tree::Int(i64::MAX)],
        Tree::Text(text) if text.is_empty() => vec![],
        Tree::Text(_) => vec![Tree::Text(String::new())],
        Tree::Bytes(_) | Tree::Ext(..) => vec![Tree::Nil, Tree::Text(String::new())],
        Tree::List(items) => [Tree::Nil].into_iter().chain(only(items.iter())).collect(),
        Tree::Map(entries) => [Tree::Nil].into_iter().chain(only(entries.iter().map(|(_, value)| value))).collect(),
    }
}

/// The only item of a container, if there is exactly one.
fn only<'a>(mut items: impl ExactSizeIterator<Item = &'a Tree>) -> Option<Tree> {
    (items.len() == 1).then(|| items.next().cloned()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPLE: Budget = Budget { tests: 10_000, time: Duration::from_secs(60) };

    fn holds(tree: &Tree, word: &str) -> bool {
        match tree {
            Tree::Text(text) => text.contains(word),
            Tree::List(items) => items.iter().any(|item| holds(item, word)),
            Tree::Map(entries) => entries.iter().any(|(key, value)| key.contains(word) || holds(value, word)),
            _ => false,
        }
    }

    fn record(message: &str) -> Tree {
        Tree::Map(vec![
            ("message".into(), Tree::Text(message.into())),
            ("n".into(), Tree::Int(12345)),
            ("deep".into(), Tree::List(vec![Tree::Bool(true), Tree::Map(vec![("x".into(), Tree::Float(1.5))])])),
        ])
    }

    #[test]
    fn shrinking_leaves_one_record_with_the_relevant_part() {
        let mut records: Vec<Tree> = (0..40).map(|n| record(&format!("harmless {n}"))).collect();
        records[23] = record("before it HOSTILE and é after it");
        let shrunk = shrink(records, AMPLE, &mut |records| records.iter().any(|record| holds(record, "HOSTILE")));
        // The result need not be a map here; ingest would require one.
        assert_eq!(shrunk, [Tree::Text("HOSTILE".into())]);
    }

    #[test]
    fn shrinking_keeps_two_records_if_both_are_needed() {
        let records: Vec<Tree> = (0..20).map(|n| Tree::Map(vec![("n".into(), Tree::Int(n))])).collect();
        let shrunk = shrink(records, AMPLE, &mut |records| records.len() >= 2);
        assert_eq!(shrunk, [Tree::Nil, Tree::Nil]);
    }

    #[test]
    fn shrinking_simplifies_numbers_and_characters() {
        let is_large = |tree: &Tree| {
            matches!(tree, Tree::Map(entries) if entries.iter().any(|(_, value)|
            matches!(value, Tree::Int(n) if *n >= 1000)))
        };
        let shrunk = shrink(vec![record("x")], AMPLE, &mut |records| records.iter().any(is_large));
        assert_eq!(shrunk, [Tree::Map(vec![("n".into(), Tree::Int(1543))])]);
        let is_long = |tree: &Tree| {
            matches!(tree, Tree::Map(entries) if entries.iter().any(|(_, value)|
            matches!(value, Tree::Text(text) if text.chars().count() >= 3)))
        };
        let shrunk = shrink(vec![record("größer")], AMPLE, &mut |records| records.iter().any(is_long));
        assert!(matches!(&shrunk[0], Tree::Map(entries) if entries[0].1 == Tree::Text("aaa".into())), "{shrunk:?}");
    }

    #[test]
    fn shrinking_stops_when_the_budget_is_used_up() {
        let mut tests = 0;
        let budget = Budget { tests: 5, ..AMPLE };
        shrink((0..100).map(|_| record("x")).collect(), budget, &mut |_| {
            tests += 1;
            false
        });
        assert_eq!(tests, 5);
    }
}
