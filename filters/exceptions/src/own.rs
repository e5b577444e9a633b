//! Classifies frames: the program's own code, or the language and its libraries.

use crate::trace::{Frame, Language};

/// The operator's prefixes of functions, or parts of file names.
#[derive(Debug, Default)]
pub struct InAppRules {
    pub in_app: Vec<String>,
    pub library: Vec<String>,
}

const PYTHON: [&str; 5] = ["/site-packages/", "/dist-packages/", "/lib/python", "\\lib\\", "<frozen "];
const NODE: [&str; 5] = ["node:", "/node_modules/", "\\node_modules\\", "<anonymous>", "internal/"];
const RUST_FILES: [&str; 4] = ["/rustc/", "/.cargo/registry/", "/.cargo/git/", "/library/std/"];
const RUST: [&str; 10] =
    ["std::", "core::", "alloc::", "__rust", "rust_", "_start", "__libc_", "test::", "tokio::", "<alloc::"];
const JAVA: [&str; 22] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "jakarta.",
    "kotlin.",
    "kotlinx.",
    "scala.",
    "akka.",
    "groovy.",
    "clojure.",
    "org.springframework.",
    "org.apache.",
    "org.hibernate.",
    "org.eclipse.",
    "org.junit.",
    "io.netty.",
    "io.undertow.",
    "reactor.",
    "com.google.common.",
    "com.fasterxml.",
];

impl InAppRules {
    pub fn is_own(&self, language: Language, frame: &Frame<'_>) -> bool {
        // The longest match wins: `com.example.vendored.` within `com.example.`.
        let named = |list: &[String]| {
            let says = |part: &&String| frame.function.starts_with(part.as_str()) || frame.file.contains(part.as_str());
            list.iter().filter(says).map(String::len).max()
        };
        match (named(&self.in_app), named(&self.library)) {
            (None, None) => {}
            (own, library) => return own >= library,
        }
        let function = |list: &[&str]| list.iter().any(|beginning| frame.function.starts_with(beginning));
        let file = |list: &[&str]| list.iter().any(|part| frame.file.contains(part));
        match language {
            Language::Python => !file(&PYTHON),
            Language::Java => !function(&JAVA),
            Language::Node => !file(&NODE) && !frame.file.is_empty(),
            Language::Go => is_own_go(frame),
            Language::Rust => !file(&RUST_FILES) && !function(&RUST) && !frame.function.contains(" as core::"),
        }
    }
}

/// Module paths have a dot in their first element; Go's standard packages have
/// not.
fn is_own_go(frame: &Frame<'_>) -> bool {
    let library = ["/pkg/mod/", "/vendor/", "@v", "/go/src/"].iter().any(|part| frame.file.contains(part));
    let (first, _) = frame.file.split_once('/').unwrap_or((frame.file, ""));
    let standard = !first.is_empty() && !first.contains('.') && !frame.function.starts_with("main.");
    !library && !standard && !frame.function.starts_with("runtime.")
}
