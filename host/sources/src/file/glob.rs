//! Globs: which files a source reads.
//!
//! `*` and `?` stay within a name and don't match a dot at its start, as in a shell. `**` is any number of folders; it
//! doesn't follow symbolic links, so it always ends. `[a-z]`, `[!a]`, `{a,b}` and `\*` are as usual.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use crate::limits;

/// Which files are meant.
#[derive(Debug)]
pub(super) struct Globs {
    paths: Vec<Glob>,
    /// Compared with the whole path, or with the name if there is no slash in the pattern.
    excluded: Vec<(Regex, bool)>,
    /// The patterns, absolute, one a line; excluded ones begin with `!`.
    text: String,
}

#[derive(Debug)]
struct Glob {
    parts: Vec<Part>,
    whole: Regex,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(OsString),
    Pattern(Regex),
    Folders,
}

/// What a walk has found.
#[derive(Default)]
pub(super) struct Walk {
    /// At most as many as the limit.
    pub paths: BTreeSet<PathBuf>,
    /// Folders that can't be listed.
    pub errors: Vec<(PathBuf, io::Error)>,
    /// There were more files than the limit.
    pub is_cut: bool,
}

impl Globs {
    /// Globs relative to a folder.
    pub fn new(base: &Path, paths: &[String], excluded: &[String]) -> Result<Globs, String> {
        // The folder of a file that is named without one.
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
        let (mut globs, mut text) = (Vec::new(), String::new());
        for pattern in paths {
            let absolute = absolute(&base, pattern);
            text.push_str(&format!("{absolute}\n"));
            for one in alternatives(&absolute)? {
                globs.push(Glob::new(&one).map_err(|error| format!("`{pattern}` is not a glob: {error}"))?);
            }
        }
        let mut regexes = Vec::new();
        for pattern in excluded {
            let is_name = !pattern.contains('/');
            let pattern = if is_name { pattern.clone() } else { absolute(&base, pattern) };
            text.push_str(&format!("!{pattern}\n"));
            for one in alternatives(&pattern)? {
                let regex = match is_name {
                    true => name_regex(&one, false),
                    false => Glob::new(&one).map(|glob| glob.whole),
                };
                regexes.push((regex.map_err(|error| format!("`{pattern}` is not a glob: {error}"))?, is_name));
            }
        }
        Ok(Globs { paths: globs, excluded: regexes, text })
    }

    /// The patterns as [`Globs::text`] returned them.
    pub fn from_text(text: &str) -> Result<Globs, String> {
        let (excluded, paths): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('!'));
        let paths: Vec<String> = paths.into_iter().map(String::from).collect();
        let excluded: Vec<String> = excluded.into_iter().map(|line| line[1..].to_owned()).collect();
        Globs::new(Path::new("/"), &paths, &excluded)
    }

    /// The patterns, to compare them with later ones.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a path is meant.
    pub fn matches(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        self.paths.iter().any(|glob| glob.whole.is_match(bytes)) && !self.is_excluded(path)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default();
        let text = |is_name| if is_name { name } else { path.as_os_str() };
        self.excluded.iter().any(|(regex, is_name)| regex.is_match(text(*is_name).as_bytes()))
    }

    /// Looks for the files that are there.
    pub fn walk(&self) -> Walk {
        let mut walk = Walk::default();
        for glob in &self.paths {
            self.below(Path::new("/").to_owned(), &glob.parts, 0, &mut walk);
        }
        walk
    }

    fn below(&self, folder: PathBuf, parts: &[Part], depth: usize, walk: &mut Walk) {
        let Some((part, rest)) = parts.split_first() else {
            return;
        };
        if depth > limits::FOLDER_DEPTH || walk.paths.len() >= limits::FILES {
            walk.is_cut = true;
            return;
        }
        match part {
            Part::Literal(name) => match rest {
                [] => self.found(folder.join(name), walk),
                rest => self.below(folder.join(name), rest, depth + 1, walk),
            },
            Part::Pattern(regex) => {
                for (path, kind) in list(&folder, walk) {
                    if !regex.is_match(path.file_name().unwrap_or_default().as_bytes()) {
                        continue;
                    }
                    match rest {
                        [] if !kind.is_dir() => self.found(path, walk),
                        [] => {}
                        rest if kind.is_dir() || (kind.is_symlink() && path.is_dir()) => {
                            self.below(path, rest, depth + 1, walk);
                        }
                        _ => {}
                    }
                }
            }
            Part::Folders => {
                self.below(folder.clone(), rest, depth + 1, walk);
                for (path, kind) in list(&folder, walk) {
                    let is_hidden = path.file_name().unwrap_or_default().as_bytes().starts_with(b".");
                    if kind.is_dir() && !is_hidden {
                        self.below(path, parts, depth + 1, walk);
                    }
                }
            }
        }
    }

    fn found(&self, path: PathBuf, walk: &mut Walk) {
        if self.is_excluded(&path) {
            return;
        }
        if walk.paths.len() < limits::FILES {
            walk.paths.insert(path);
        } else if !walk.paths.contains(&path) {
            walk.is_cut = true;
        }
    }
}

fn list(folder: &Path, walk: &mut Walk) -> Vec<(PathBuf, std::fs::FileType)> {
    match std::fs::read_dir(folder) {
        Ok(entries) => {
            let entries = entries.filter_map(Result::ok);
            entries.filter_map(|entry| Some((entry.path(), entry.file_type().ok()?))).collect()
        }
        Err(error) => {
            if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                walk.errors.push((folder.to_owned(), error));
            }
            Vec::new()
        }
    }
}

/// A pattern below a folder, whose own name is no pattern.
fn absolute(base: &Path, pattern: &str) -> String {
    if pattern.starts_with('/') {
        return pattern.to_owned();
    }
    let mut text = String::new();
    for c in base.to_string_lossy().chars() {
        if "*?[]{}\\,!".contains(c) {
            text.push('\\');
        }
        text.push(c);
    }
    format!("{text}/{pattern}")
}

/// The patterns that one with `{a,b}` stands for.
fn alternatives(pattern: &str) -> Result<Vec<String>, String> {
    let (mut done, mut rest) = (Vec::new(), vec![pattern.to_owned()]);
    while let Some(pattern) = rest.pop() {
        if done.len() + rest.len() > limits::ALTERNATIVES {
            return Err(format!("`{pattern}` stands for more than {} patterns", limits::ALTERNATIVES));
        }
        let Some((open, close, commas)) = first_braces(&pattern)? else {
            done.push(pattern);
            continue;
        };
        let starts = std::iter::once(open).chain(commas.iter().copied());
        let ends = commas.iter().copied().chain([close]);
        for (start, end) in starts.zip(ends) {
            rest.push(format!("{}{}{}", &pattern[..open], &pattern[start + 1..end], &pattern[close + 1..]));
        }
    }
    Ok(done)
}

/// The first `{`, its `}` and the commas between.
fn first_braces(pattern: &str) -> Result<Option<(usize, usize, Vec<usize>)>, String> {
    let (mut open, mut depth, mut commas, mut is_escaped) = (0, 0, Vec::new(), false);
    for (at, c) in pattern.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '{' => {
                depth += 1;
                if depth == 1 {
                    open = at;
                }
            }
            '}' if depth == 1 => return Ok(Some((open, at, commas))),
            '}' if depth > 1 => depth -= 1,
            ',' if depth == 1 => commas.push(at),
            _ => {}
        }
    }
    match depth {
        0 => Ok(None),
        _ => Err(format!("`{pattern}` has a `{{` without `}}`")),
    }
}

impl Glob {
    /// One absolute pattern without alternatives.
    fn new(pattern: &str) -> Result<Glob, regex::Error> {
        let mut names: Vec<&str> = pattern.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
        if names.last() == Some(&"**") {
            names.push("*");
        }
        let mut parts = Vec::new();
        let mut whole = String::from("(?-u)\\A");
        for name in names {
            match name {
                "**" => {
                    whole.push_str("(?:/[^/.][^/]*)*");
                    parts.push(Part::Folders);
                }
                name => {
                    whole.push('/');
                    whole.push_str(&translated(name, true));
                    parts.push(match literal(name) {
                        Some(name) => Part::Literal(name),
                        None => Part::Pattern(name_regex(name, true)?),
                    });
                }
            }
        }
        whole.push_str("\\z");
        Ok(Glob { parts, whole: Regex::new(&whole)? })
    }
}

/// The name that a pattern without wildcards means.
fn literal(name: &str) -> Option<OsString> {
    let (mut bytes, mut is_escaped) = (Vec::new(), false);
    for &byte in name.as_bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => {
                is_escaped = true;
                continue;
            }
            b'*' | b'?' | b'[' => return None,
            _ => {}
        }
        bytes.push(byte);
    }
    Some(OsString::from_vec(bytes))
}

fn name_regex(name: &str, hides_dots: bool) -> Result<Regex, regex::Error> {
    Regex::new(&format!("(?-u)\\A{}\\z", translated(name, hides_dots)))
}

/// The regular expression of a name. Only ASCII stays as it is; of other text, every byte is escaped.
fn translated(name: &str, hides_dots: bool) -> String {
    let mut regex = String::new();
    let mut chars = name.chars().peekable();
    if hides_dots && matches!(chars.peek(), Some('*' | '?' | '[')) {
        // There is no look-ahead: the first character of the name is not a dot.
        let first = chars.next();
        match first {
            Some('*') => regex.push_str("(?:[^/.][^/]*)?"),
            Some('?') => regex.push_str("(?:[^/.\\x80-\\xff]|[\\xc0-\\xff][\\x80-\\xbf]*)"),
            _ => regex.push_str(&class(&mut chars)),
        }
    }
    while let Some(c) = chars.next() {
        match c {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("(?:[^/\\x80-\\xff]|[\\xc0-\\xff][\\x80-\\xbf]*)"),
            '[' => regex.push_str(&class(&mut chars)),
            '\\' => escape(chars.next().unwrap_or('\\'), &mut regex),
            c => escape(c, &mut regex),
        }
    }
    regex
}

/// A class in brackets, after the `[`. Without a `]`, the bracket means itself.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let rest: String = chars.clone().collect();
    let end = rest.char_indices().skip(1).find(|(_, c)| *c == ']').map(|(at, _)| at);
    let Some(end) = end else {
        return "\\[".to_owned();
    };
    for _ in rest[..=end].chars() {
        chars.next();
    }
    let (negation, items) = match rest[..end].strip_prefix(['!', '^']) {
        Some(items) => ("^/", items),
        None => ("", &rest[..end]),
    };
    let mut class = format!("[{negation}");
    for c in items.chars() {
        match c {
            '-' => class.push('-'),
            c => escape(c, &mut class),
        }
    }
    class + "]"
}

fn escape(c: char, regex: &mut String) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        match byte {
            byte if byte.is_ascii_alphanumeric() => regex.push(byte.into()),
            byte => regex.push_str(&format!("\\x{byte:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(paths: &[&str], excluded: &[&str]) -> Globs {
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Globs::new(Path::new("/base [x]"), &own(paths), &own(excluded)).expect("globs")
    }

    #[test]
    fn patterns_match_what_they_match_in_a_shell() {
        for (pattern, path, due) in [
            ("/var/log/*.log", "/var/log/app.log", true),
            ("/var/log/*.log", "/var/log/.app.log", false),
            ("/var/log/*.log", "/var/log/a/app.log", false),
            ("/var/log/.*", "/var/log/.app", true),
            ("/var/**/*.log", "/var/app.log", true),
            ("/var/**/*.log", "/var/a/b/app.log", true),
            ("/var/**/*.log", "/var/a/.b/app.log", false),
            ("/var/**", "/var/a/b", true),
            ("/var/{a,b{c,d}}.log", "/var/bd.log", true),
            ("/var/{a,b{c,d}}.log", "/var/b.log", false),
            ("/var/[ab]?.log", "/var/bé.log", true),
            ("/var/[!ab]?.log", "/var/bx.log", false),
            ("/var/\\*.log", "/var/*.log", true),
            ("/var/\\*.log", "/var/x.log", false),
            ("/var/a[.log", "/var/a[.log", true),
            ("/été/*", "/été/à", true),
            ("app*", "/base [x]/app1", true),
            ("./app*", "/base [x]/app1", true),
        ] {
            assert_eq!(globs(&[pattern], &[]).matches(Path::new(path)), due, "{pattern} {path}");
        }
        assert!(!globs(&["/a/*"], &["*.gz"]).matches(Path::new("/a/b.gz")));
        assert!(!globs(&["/a/**"], &["/a/old/**"]).matches(Path::new("/a/old/x/b")));
        assert!(Globs::new(Path::new("/"), &["/a{b".to_owned()], &[]).is_err());
        let again = Globs::from_text(globs(&["app*"], &["*.gz"]).text()).expect("globs");
        assert!(again.matches(Path::new("/base [x]/app1")) && !again.matches(Path::new("/base [x]/app.gz")));
    }

    #[test]
    fn a_walk_finds_what_matches_and_nothing_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["a/x.log", "a/b/y.log", "a/b/.hidden.log", "z.log", "a/b/old.gz"] {
            std::fs::create_dir_all(at(name).parent().expect("a parent")).expect("created");
            std::fs::write(at(name), "").expect("written");
        }
        std::os::unix::fs::symlink(folder.path(), at("a/loop")).expect("linked");
        let own = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let globs = Globs::new(folder.path(), &own(&["**/*.log", "a/*.log", "z.log", "none/*"]), &[]).expect("globs");
        let walk = globs.walk();
        assert_eq!(walk.paths, BTreeSet::from([at("a/b/y.log"), at("a/x.log"), at("z.log")]));
        assert!(walk.errors.is_empty() && !walk.is_cut);
        assert!(walk.paths.iter().all(|path| globs.matches(path)));
    }

    #[test]
    fn a_walk_finds_no_more_files_than_the_limit_in_one_folder_either() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a", "b", "c"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let globs = Globs::new(folder.path(), &["*".to_owned()], &[]).expect("globs");
        let others = (1..limits::FILES).map(|number| PathBuf::from(format!("/others/{number}")));
        let mut walk = Walk { paths: others.collect(), ..Walk::default() };
        globs.below(PathBuf::from("/"), &globs.paths[0].parts, 0, &mut walk);
        assert_eq!(walk.paths.len(), limits::FILES);
        assert!(walk.is_cut);
        // One that is found twice is not one too many.
        walk.is_cut = false;
        globs.found(PathBuf::from("/others/1"), &mut walk);
        assert!(!walk.is_cut);
    }
}
