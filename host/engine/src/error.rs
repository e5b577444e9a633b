//! The errors of the engine, written for operators: one line that names the filter, the problem and the remedy.
//!
//! Text from a guest or a module is included only through [`one_line`].

use weir_record::escape::escaped;

use crate::limits;

/// The engine can't start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Wasmtime rejected its configuration.
    #[error("can't start the webassembly runtime: {0}")]
    Runtime(String),
    /// The compile cache can't be used.
    #[error("can't use `{folder}` as the cache for compiled filters: {reason}; make it writable for weir")]
    Cache {
        /// The configured folder.
        folder: String,
        /// The error of the operating system.
        reason: String,
    },
    /// The deadline thread could not be started.
    #[error("can't start the thread that watches the deadlines of filters: {0}")]
    Ticker(#[from] std::io::Error),
}

/// A filter can't be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("filter `{filter}`: {kind}")]
pub struct LoadError {
    /// The filter's name in the configuration.
    pub filter: String,
    /// The reason.
    pub kind: LoadErrorKind,
}

/// Why a filter can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadErrorKind {
    /// It has no signature, and needs one.
    #[error(
        "it has no signature at its end, and `trusted_keys` is set; sign it with `weir filter sign FILE --key KEY`"
    )]
    Unsigned,
    /// Its signer is not trusted.
    #[error(
        "it is signed by `{0}`, which is not one of `trusted_keys`; add that key if you trust it, or sign it again"
    )]
    Untrusted(String),
    /// Its signature doesn't match its contents.
    #[error("it was changed after it was signed by `{0}`; copy it again, or build and sign it again")]
    WrongSignature(String),
    /// The file is empty.
    #[error("the file is empty; was it still being written? copy the module again")]
    Empty,
    /// The file is too large.
    #[error("the file has {0} bytes, more than the {max} allowed", max = limits::MAX_MODULE_BYTES)]
    TooLarge(usize),
    /// Not WebAssembly.
    #[error("not a webassembly file (it begins with {0}); give the `.wasm` file that the compiler wrote")]
    NotWasm(String),
    /// WebAssembly in its text format.
    #[error("this is webassembly in text format; convert it to a `.wasm` file first (`wasm-tools parse`)")]
    Text,
    /// The file ends too early.
    #[error("the file ends too early, after {0} bytes; copy or build it again")]
    Truncated(usize),
    /// The file violates the format.
    #[error("not valid webassembly: {0}; build it again")]
    Invalid(String),
    /// It has no exports that Weir can call.
    #[error("it exports none of the worlds of weir:filter; it exports {0}; build it against `wit/v1/filter.wit`")]
    NoWorld(String),
    /// It exports a world of a version that this Weir doesn't support.
    #[error("it was built for {0}, and this weir serves weir:filter@1.0.0; use a newer weir or build it for that")]
    OtherVersion(String),
    /// It exceeds a limit on the structure of modules.
    #[error("it has {0}, which exceeds a limit; weir does not compile it")]
    Structure(String),
    /// The compiler failed or exceeded its bounds.
    #[error("{0}")]
    Compiler(String),
    /// A core module that can't be converted to a component.
    #[error("can't convert the module to a component: {0}")]
    Encode(String),
    /// An unsupported import.
    #[error("it imports `{0}`, which weir doesn't have; a filter may import weir:filter/host and wasi")]
    UnknownImport(String),
    /// A function has the wrong type.
    #[error("it doesn't match the contract: {0}; build it against `wit/v1/filter.wit`")]
    WrongShape(String),
    /// A configured limit is out of range.
    #[error("{0}")]
    Limit(String),
    /// It could not be started.
    #[error("can't start it: {0}")]
    Start(String),
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    Describe(String),
    /// It rejected its options. One line per error.
    #[error("it refuses its options: {}", .0.join("; "))]
    Options(Vec<String>),
    /// `configure` failed.
    #[error("`configure` failed: {0}")]
    Configure(String),
    /// It failed on recent records.
    #[error("it failed on recent records: {0}")]
    Trial(String),
    /// It failed on recent records that the running version accepts.
    #[error("it fails on recent records that the running version accepts: {0}")]
    Worse(String),
    /// It can't restore the state of the previous version.
    #[error("it can't take over the state of version {version}: {reason}")]
    Restore {
        /// The previous version.
        version: String,
        /// The error it returned, or how it failed.
        reason: String,
    },
}

/// The kinds of failed calls, as labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A WebAssembly trap: a panic, an access out of bounds, a division by zero.
    Trap,
    /// It exceeded its deadline.
    Timeout,
    /// It exceeded its memory limit.
    Memory,
    /// It overflowed its stack.
    Stack,
    /// It exceeded its output limit.
    Output,
    /// It returned something invalid.
    Nonsense,
    /// It returned an error.
    Refused,
    /// It changed something that it may not change.
    Overstep,
    /// It added too much to a batch, or its verdicts take too long to apply.
    Budget,
    /// It could not be restarted after a failure.
    Start,
}

impl FailureKind {
    /// All of them, in declaration order.
    pub const ALL: [FailureKind; 10] = [
        Self::Trap,
        Self::Timeout,
        Self::Memory,
        Self::Stack,
        Self::Output,
        Self::Nonsense,
        Self::Refused,
        Self::Overstep,
        Self::Budget,
        Self::Start,
    ];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Output => "output",
            Self::Nonsense => "nonsense",
            Self::Refused => "refused",
            Self::Overstep => "overstep",
            Self::Budget => "budget",
            Self::Start => "start",
        }
    }
}

/// A call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct CallError {
    pub kind: FailureKind,
    /// The reason, in one line.
    pub reason: String,
}

impl CallError {
    pub fn new(kind: FailureKind, reason: impl AsRef<str>) -> Self {
        Self { kind, reason: one_line(reason.as_ref()) }
    }

    pub fn overstep(reason: impl AsRef<str>) -> Self {
        Self::new(FailureKind::Overstep, reason)
    }

    /// Whether the instance can be called again: if it returned an error, or its answer exceeded its rights or the
    /// budget. After any other failure, its memory may be inconsistent.
    pub fn leaves_instance_sound(&self) -> bool {
        matches!(self.kind, FailureKind::Refused | FailureKind::Overstep | FailureKind::Budget)
    }
}

impl LoadErrorKind {
    /// The errors in a filter's options. If every line of the text quotes a name, each line is an error of its own;
    /// otherwise the whole text is one error.
    pub(crate) fn of_options(refusal: &str) -> LoadErrorKind {
        let lines = || refusal.lines().filter(|line| !line.trim().is_empty());
        let is_list = lines().count() > 1 && lines().all(|line| line.contains('`'));
        Self::Options(match is_list {
            true => lines().take(limits::MAX_OPTION_MISTAKES).map(one_line).collect(),
            false => vec![one_line(refusal)],
        })
    }
}

/// Converts untrusted text to one line of bounded length. Control and invisible characters are escaped.
pub(crate) fn one_line(text: &str) -> String {
    bounded_line(text, limits::MAX_REASON_BYTES)
}

/// The same with another bound.
pub(crate) fn bounded_line(text: &str, max_bytes: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max_bytes));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        // A single word may be megabytes long.
        line.push_str(&escaped(&word[..word.floor_char_boundary(max_bytes + 1)]));
        if line.len() > max_bytes {
            let end = line.floor_char_boundary(max_bytes);
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_line_breaks_and_escapes_becomes_one_bounded_line() {
        assert_eq!(one_line("a\n  b\u{1b}[31mc\t"), "a b [31mc");
        assert_eq!(one_line("ad\u{202e}min\u{2028}x"), "ad\\u{202e}min x");
        assert!(one_line(&"é".repeat(5000)).len() <= limits::MAX_REASON_BYTES + "…".len());
    }

    #[test]
    fn an_options_error_is_a_list_if_every_line_names_something() {
        let told = |text: &str| LoadErrorKind::of_options(text).to_string();
        assert_eq!(told("option `a`: x\noption `b`: y\n"), "it refuses its options: option `a`: x; option `b`: y");
        assert!(
            matches!(LoadErrorKind::of_options("`a`: no regex:\n    (\n    ^\nan open group"), LoadErrorKind::Options(all) if all.len() == 1)
        );
        let many = "`a`\n".repeat(1000);
        assert!(
            matches!(LoadErrorKind::of_options(&many), LoadErrorKind::Options(all) if all.len() == limits::MAX_OPTION_MISTAKES)
        );
    }
}
