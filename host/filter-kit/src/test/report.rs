//! Reports results of cases, for people.

use super::compare::Mismatch;
use super::diff;
use super::judge::CaseResult;

/// One line for a case that passed; the reasons as well if it failed.
pub fn case(file: &str, judged: &CaseResult, colours: bool) -> String {
    let paint = |code: &str, word: &str| match colours {
        true => format!("\x1b[{code}m{word}\x1b[0m"),
        false => word.to_owned(),
    };
    if judged.passed() {
        return format!("  {}    {}\n", paint("32", "ok"), judged.name);
    }
    let mut text = format!("  {}  {} ({file}:{})\n", paint("1;31", "FAIL"), judged.name, judged.line);
    text.push_str(&indented(&reasons(judged, colours), "        "));
    text
}

/// Everything that differs from what was expected.
pub fn reasons(judged: &CaseResult, colours: bool) -> String {
    let mut text: String = judged.mismatches.iter().map(|mismatch| reason(mismatch, colours)).collect();
    for line in &judged.logged {
        text.push_str(&format!("the filter logged: {line}\n"));
    }
    text
}

fn reason(mismatch: &Mismatch, colours: bool) -> String {
    let mut text = format!("{}\n", mismatch.what);
    if let Some(diff) = &mismatch.diff {
        text.push_str("  - expected, + actual\n");
        text.push_str(&diff::render(&diff.expected, std::slice::from_ref(&diff.found), colours));
    }
    text
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

/// The summary line.
pub fn summary(all: &[CaseResult]) -> String {
    let failed = all.iter().filter(|judged| !judged.passed()).count();
    let cases = match all.len() {
        1 => "1 case".to_owned(),
        more => format!("{more} cases"),
    };
    match failed {
        0 => format!("{cases} passed\n"),
        _ => format!("{failed} of {cases} failed\n"),
    }
}
