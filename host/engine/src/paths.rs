//! Sets of paths into a record, as descriptions and configurations name them: `message`, `context.user`, `context.*`.
//!
//! A path that names a list or a map means everything in it, with or without `.*` behind it. The set is a tree, walked
//! beside the record, so that whatever is not in it is stepped over.

/// The keys that every record has, and that a typed view has places of their own for.
pub(crate) const HEAD: [&str; 4] = ["timestamp", "level", "source", "message"];

/// A set of paths.
#[derive(Default, Debug, Clone)]
pub(crate) struct Paths {
    /// Everything from here on.
    pub all: bool,
    children: Vec<(String, Paths)>,
}

impl Paths {
    /// All paths.
    pub fn everything() -> Paths {
        Paths { all: true, children: Vec::new() }
    }

    /// These paths and no others.
    pub fn of<P: AsRef<str>>(paths: &[P]) -> Paths {
        let mut root = Paths::default();
        for path in paths {
            let mut node = &mut root;
            for segment in keys(path.as_ref()) {
                let at = node.children.iter().position(|(key, _)| *key == segment).unwrap_or_else(|| {
                    node.children.push((segment, Paths::default()));
                    node.children.len() - 1
                });
                node = &mut node.children[at].1;
            }
            node.all = true;
        }
        root
    }

    /// What of the set lies under a key.
    pub fn child(&self, key: &str) -> Option<&Paths> {
        if self.all {
            return Some(self);
        }
        self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Whether the set has a path of one key, or everything below it.
    pub fn has(&self, key: &str) -> bool {
        self.child(key).is_some_and(|node| node.all)
    }
}

/// The paths that are in both lists: of two that lie in one another, the narrower.
pub(crate) fn common(one: &[String], other: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for a in one {
        for b in other {
            let (in_a, in_b): (Vec<_>, Vec<_>) = (keys(a).collect(), keys(b).collect());
            let narrower = if in_b.starts_with(&in_a) {
                b
            } else if in_a.starts_with(&in_b) {
                a
            } else {
                continue;
            };
            if !found.contains(narrower) {
                found.push(narrower.clone());
            }
        }
    }
    found
}

/// The keys of a path without the star that may end it.
fn keys(path: &str) -> impl Iterator<Item = String> {
    segments(path).take_while(|segment| segment != "*")
}

/// The keys of a dotted path.
pub(crate) fn segments(path: &str) -> impl Iterator<Item = String> {
    let mut characters = path.chars();
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut segment = String::new();
        loop {
            match characters.next() {
                Some('.') => return Some(segment),
                Some('\\') => segment.extend(characters.next()),
                Some(character) => segment.push(character),
                None => {
                    ended = true;
                    return Some(segment);
                }
            }
        }
    })
}

/// Adds a key to a dotted path.
pub(crate) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    if !key.contains(['.', '\\']) {
        path.push_str(key);
        return;
    }
    for character in key.chars() {
        if matches!(character, '.' | '\\') {
            path.push('\\');
        }
        path.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn of_two_lists_the_narrower_paths_are_in_common() {
        for (one, other, both) in [
            (&["message", "context.*"][..], &["context.user", "level"][..], &["context.user"][..]),
            (&["context.user.id"], &["context.*"], &["context.user.id"]),
            (&["context"], &["context.*"], &["context.*"]),
            (&["a", "b"], &["c"], &[]),
            (&["ab"], &["a"], &[]),
            (&["a.b"], &[r"a\.b"], &[]),
            (&["*"], &["a", "b.c"], &["a", "b.c"]),
        ] {
            assert_eq!(common(&list(one), &list(other)), list(both), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_set_has_what_it_names_and_all_that_is_below() {
        let paths = Paths::of(&list(&["message", "context.user.*", r"a\.b"]));
        assert!(paths.has("message") && paths.has("a.b"));
        assert!(!paths.has("context") && !paths.has("level") && !paths.has("a"));
        let user = paths.child("context").and_then(|node| node.child("user")).unwrap();
        assert!(user.all && user.child("id").is_some());
        assert!(Paths::everything().has("anything"));
        assert!(!Paths::of::<String>(&[]).has("anything"));
    }
}
