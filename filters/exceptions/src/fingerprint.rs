//! A hash that is the same for the same kind of failure, whenever and wherever it
//! happens.
//!
//! It covers the language, the types of the error and of its cause, and the
//! innermost frames in the program's own code: functions and file names. Line
//! numbers, addresses, folders and compiler-generated numbers are left out, so
//! that the fingerprint survives a rebuild. The message counts only if there is
//! nothing else, and then without numbers and quoted parts.

use crate::own::InAppRules;
use crate::trace::{Frame, Trace};

/// The fingerprint of a trace from up to `frames` frames.
pub fn of(trace: &Trace<'_>, own: &InAppRules, frames: usize) -> u64 {
    let mut hash = Hash::new();
    hash.text(trace.language.as_str());
    hash.text(trace.kind);
    hash.text(trace.cause.unwrap_or_default());
    let is_own = |frame: &&Frame<'_>| own.is_own(trace.language, frame);
    let any_own = trace.frames.iter().any(|frame| is_own(&frame));
    let chosen = trace.frames.iter().filter(|frame| !any_own || is_own(frame));
    let mut last = None;
    let mut named = 0;
    for frame in chosen {
        // A recursion counts once, whatever its depth.
        if last == Some((frame.function, frame.file)) {
            continue;
        }
        last = Some((frame.function, frame.file));
        if named == frames {
            break;
        }
        named += usize::from(!frame.function.is_empty());
        hash.function(frame.function);
        hash.text(file_name(frame.file));
    }
    if named == 0 {
        hash.message(trace.message);
    }
    hash.end()
}

fn file_name(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// FNV-1a with 64 bits: the same on every machine and in every version.
struct Hash(u64);

impl Hash {
    fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Adds a terminator that does not occur in text.
    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
        self.byte(0xff);
    }

    /// Adds a function name without the parts that differ between builds:
    /// `lambda$run$0`, `$$Lambda$14/0x0008`, `$Proxy12`,
    /// `main::run::h0123456789abcdef`.
    fn function(&mut self, function: &str) {
        let function = function.split_once("$$").map_or(function, |(before, _)| before);
        let function = match function.rsplit_once("::h") {
            Some((before, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => before,
            _ => function,
        };
        let mut generated = false;
        for byte in function.bytes() {
            generated = byte == b'$' || generated && byte != b'.';
            if !(generated && byte.is_ascii_digit()) {
                self.byte(byte);
            }
        }
        self.byte(0xff);
    }

    /// Adds a message without numbers, identifiers and quoted parts.
    fn message(&mut self, message: &str) {
        let mut quoted = false;
        for word in message.split_whitespace() {
            let quote = |c: char| matches!(c, '"' | '\'' | '`');
            let quotes = word.chars().filter(|c| quote(*c)).count();
            let varies = quoted || quotes > 0 || word.bytes().any(|byte| byte.is_ascii_digit());
            quoted ^= quotes % 2 == 1;
            self.text(if varies { "" } else { word });
        }
        self.byte(0xfe);
    }

    /// One more mix, because the last bytes changed only the lower bits.
    fn end(self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}
