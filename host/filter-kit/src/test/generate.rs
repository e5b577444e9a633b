//! Generates unusual records: random ones, ones with words and paths known to the filter, and mutated samples. The same
//! seed gives the same records in the same order.

use std::borrow::Cow;
use std::collections::BTreeSet;

use weir_record::{Batch, path};

use super::random::Random;
use super::text;
use super::tree::Tree;
use crate::limits::{FUZZ_DEPTH, FUZZ_KEYS, FUZZ_TEXT_BYTES, FUZZ_WORDS};

/// Common keys of records.
const KEYS: &[&str] = &[
    "message",
    "level",
    "source",
    "timestamp",
    "context",
    "metadata",
    "routes",
    "msg",
    "time",
    "severity",
    "service",
    "user",
    "id",
    "email",
    "password",
    "token",
    "error",
    "stack",
    "status",
    "duration_ms",
    "tags",
    "host",
    "ip",
    "trace_id",
    "a",
    "",
    "0",
    "__proto__",
    "constructor",
    "a.b",
    "ключ",
    "🗝",
    "level_original",
];
const LEVELS: &[&str] =
    &["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "warn", "fatal", "7", "", "nonsense"];

/// Generates records.
#[derive(Debug)]
pub struct Generator {
    random: Random,
    /// Words known to the filter.
    words: Vec<String>,
    /// Paths that the filter reads or writes.
    paths: Vec<Vec<String>>,
    samples: Vec<Tree>,
}

impl Generator {
    /// `paths` come from the filter's description; a star stands for any key.
    pub fn new<'a>(seed: u64, module: &[u8], paths: impl IntoIterator<Item = &'a String>, samples: &Batch) -> Self {
        Self {
            random: Random::new(seed),
            words: words_in(module),
            paths: paths.into_iter().map(|path| path::keys(path).map(Cow::into_owned).collect()).collect(),
            samples: samples.iter().map(Tree::of).collect(),
        }
    }

    /// Usually one record, sometimes a few, rarely many.
    pub fn batch(&mut self) -> Vec<Tree> {
        let count = match self.random.below(20) {
            0 => 2 + self.random.below(100),
            1..5 => 2 + self.random.below(6),
            _ => 1,
        };
        (0..count).map(|_| self.record(count == 1)).collect()
    }

    fn record(&mut self, may_be_large: bool) -> Tree {
        match self.random.below(20) {
            0 if may_be_large => self.extreme(),
            0..10 if !self.samples.is_empty() => self.mutated(),
            _ => self.fresh(),
        }
    }

    /// A random record.
    fn fresh(&mut self) -> Tree {
        let mut record = Tree::Map(Vec::new());
        if self.random.percent(90) {
            record.set(&["message".into()], Tree::Text(self.text()));
        }
        if self.random.percent(70) {
            let level = self.random.pick(LEVELS).copied().unwrap_or_default();
            record.set(&["level".into()], Tree::Text(level.to_owned()));
        }
        if self.random.percent(60) {
            record.set(&["source".into()], Tree::Text(self.text()));
        }
        for key in ["context", "metadata"] {
            if self.random.percent(40) {
                let value = self.map(2);
                record.set(&[key.into()], value);
            }
        }
        for _ in 0..self.random.below(4) {
            let (key, value) = (self.key(), self.value(1));
            record.set(&[key], value);
        }
        self.set_paths(&mut record);
        record
    }

    /// Sets random values at the filter's paths.
    fn set_paths(&mut self, record: &mut Tree) {
        for _ in 0..self.paths.len().min(3) {
            let Some(path) = self.random.pick(&self.paths).cloned() else { return };
            let path: Vec<String> =
                path.into_iter().map(|segment| if segment == "*" { self.key() } else { segment }).collect();
            let value = self.value(2);
            record.set(&path, value);
        }
    }

    /// A mutated sample.
    fn mutated(&mut self) -> Tree {
        let Some(mut record) = self.random.pick(&self.samples).cloned() else { return self.fresh() };
        for _ in 0..=self.random.below(3) {
            let number = 1 + self.random.below(record.nodes());
            let replacement = self.value(2);
            let (key, word) = (self.key(), self.text());
            let how = self.random.below(6);
            let cut = self.random.next() as usize;
            match record.node_mut(number) {
                Some(Tree::Text(text)) if how < 4 => change_text(text, &word, how, cut),
                Some(Tree::Int(n)) if how < 3 => *n = n.wrapping_mul(3).wrapping_sub(cut as i64 % 5),
                Some(Tree::List(items)) if how < 3 && !items.is_empty() => match how {
                    0 => items.clear(),
                    1 => items.push(replacement),
                    _ => items.truncate(cut % items.len()),
                },
                Some(Tree::Map(entries)) if how < 4 && !entries.is_empty() => match how {
                    0 => entries.clear(),
                    1 => entries.push((key, replacement)),
                    2 => drop(entries.remove(cut % entries.len())),
                    _ => entries.reverse(),
                },
                Some(node) => *node = replacement,
                None => record.set(&[key], replacement),
            }
        }
        if self.random.percent(30) {
            self.set_paths(&mut record);
        }
        record
    }

    /// An empty record, or one with something in excess.
    fn extreme(&mut self) -> Tree {
        let many = self.random.size(FUZZ_KEYS);
        match self.random.below(7) {
            0 => Tree::Map(Vec::new()),
            1 | 2 => {
                let piece = self.text();
                let bytes = self.random.size(FUZZ_TEXT_BYTES);
                let text = piece.repeat(1 + bytes / piece.len().max(1));
                Tree::Map(vec![("message".into(), Tree::Text(text))])
            }
            3 => Tree::Map((0..many).map(|n| (format!("k{n}"), Tree::Int(n as i64))).collect()),
            4 => {
                let items = (0..many).map(|_| self.value(FUZZ_DEPTH)).collect();
                Tree::Map(vec![("list".into(), Tree::List(items))])
            }
            5 => {
                let mut deep = self.value(FUZZ_DEPTH);
                for _ in 0..self.random.below(weir_record::limits::MAX_DEPTH - 2) {
                    deep = match self.random.percent(50) {
                        true => Tree::List(vec![deep]),
                        false => Tree::Map(vec![(self.key(), deep)]),
                    };
                }
                Tree::Map(vec![(self.key(), deep)])
            }
            _ => {
                let key = self.text().repeat(1 + self.random.below(500));
                Tree::Map(vec![(key, self.value(1))])
            }
        }
    }

    fn map(&mut self, depth: usize) -> Tree {
        let entries = (0..self.random.size(12)).map(|_| (self.key(), self.value(depth + 1)));
        Tree::Map(entries.collect())
    }

    fn value(&mut self, depth: usize) -> Tree {
        let kinds = if depth < FUZZ_DEPTH { 14 } else { 11 };
        match self.random.below(kinds) {
            0 => Tree::Nil,
            1 => Tree::Bool(self.random.percent(50)),
            2 | 3 => self.integer(),
            4 => Tree::Float(self.float()),
            5 => {
                let length = self.random.size(40);
                Tree::Bytes((0..length).map(|_| self.random.next() as u8).collect())
            }
            6 if self.random.percent(20) => Tree::Ext(self.random.next() as i8, vec![self.random.next() as u8; 5]),
            11 => Tree::List((0..self.random.size(8)).map(|_| self.value(depth + 1)).collect()),
            12 | 13 => self.map(depth),
            _ => Tree::Text(self.text()),
        }
    }

    fn integer(&mut self) -> Tree {
        match self.random.below(8) {
            0 => Tree::Int(0),
            1 => Tree::Int(i64::MAX - self.random.below(2) as i64),
            2 => Tree::Int(i64::MIN + self.random.below(2) as i64),
            3 => Tree::UInt(u64::MAX - self.random.below(2) as u64),
            4 => Tree::Int((1 << 53) + self.random.below(3) as i64 - 1),
            5 => Tree::Int(self.random.next() as i64),
            _ => Tree::Int(self.random.below(1000) as i64 - 100),
        }
    }

    fn float(&mut self) -> f64 {
        const ODD: &[f64] =
            &[0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e15];
        match self.random.percent(60) {
            true => self.random.pick(ODD).copied().unwrap_or_default(),
            false => f64::from_bits(self.random.next()),
        }
    }

    fn key(&mut self) -> String {
        match self.random.below(10) {
            0 => self.text(),
            1 | 2 if !self.words.is_empty() => self.random.pick(&self.words).cloned().unwrap_or_default(),
            _ => self.random.pick(KEYS).copied().unwrap_or_default().to_owned(),
        }
    }

    fn text(&mut self) -> String {
        text::make(&mut self.random, &self.words)
    }
}

fn change_text(text: &mut String, word: &str, how: usize, cut: usize) {
    let at = text.floor_char_boundary(cut % (text.len() + 1));
    match how {
        0 => text.insert_str(at, word),
        1 => text.truncate(at),
        2 => *text = text.repeat(1 + cut % 40),
        _ => *text = word.to_owned(),
    }
}

/// Extracts words from the bytes of a module, which contain what the filter looks for. Texts that a compiler
/// concatenated are used as a whole and in pieces.
fn words_in(module: &[u8]) -> Vec<String> {
    let mut words = BTreeSet::new();
    let is_printable = |byte: &u8| (0x20..0x7f).contains(byte);
    for run in module.chunk_by(|a, b| is_printable(a) && is_printable(b)) {
        if words.len() >= FUZZ_WORDS {
            break;
        }
        let Ok(run) = std::str::from_utf8(run) else { continue };
        let run = &run[..run.len().min(200)];
        if run.len() >= 3 && run.bytes().all(|byte| is_printable(&byte)) {
            if run.len() <= 40 {
                words.insert(run.to_owned());
            }
            let pieces = run.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
            words.extend(pieces.filter(|piece| (3..=40).contains(&piece.len())).map(str::to_owned));
        }
    }
    words.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    fn generator(seed: u64) -> Generator {
        let mut samples = Batch::new();
        super::super::samples::read_json(br#"{"message":"sample","context":{"n":[1,2]}}"#, &mut samples).unwrap();
        Generator::new(seed, b"\0asm\x01\0\0\0HOSTILE\0two words\0", [&"context.user.*".to_owned()], &samples)
    }

    #[test]
    fn the_seed_determines_the_records() {
        let make = |seed| {
            let mut generator = generator(seed);
            (0..50).map(|_| format!("{:?}", generator.batch())).collect::<Vec<_>>()
        };
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }

    #[test]
    fn most_generated_records_are_valid_and_every_edge_case_occurs() {
        let mut generator = generator(1);
        let (mut taken, mut refused, mut seen) = (0, 0, String::new());
        let (mut largest, mut smallest) = (0, usize::MAX);
        for _ in 0..3000 {
            let trees = generator.batch();
            match tree::batch(&trees) {
                Some(batch) => {
                    taken += 1;
                    largest = largest.max(batch.byte_len());
                    smallest = smallest.min(batch.byte_len() / batch.len());
                }
                None => refused += 1,
            }
            if seen.len() < 10_000_000 {
                seen.push_str(&format!("{trees:?}"));
            }
        }
        assert!(refused * 20 < taken, "{refused} of {taken} were no records");
        assert!(largest > 100_000 && smallest < 100, "{smallest} to {largest} bytes");
        for oddity in
            ["HOSTILE", "two words", "NaN", "9223372036854775807", "18446744073709551615", "Bytes", "Ext", "Nil"]
        {
            assert!(seen.contains(oddity), "{oddity} never came");
        }
        assert!(seen.contains(r#"("user", Map"#), "the filter's own path never came");
    }
}
