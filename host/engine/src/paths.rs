//! Sets of paths into a record, as descriptions and configurations write them: `message`, `context.user`, `context.*`.
//!
//! A path to a list or a map includes everything in it, with or without a trailing `.*`. A set is a tree that is walked
//! in parallel with the record, so that the rest of the record is skipped.

use std::borrow::Cow;

use weir_record::path;

/// The keys that every record has. A typed view has a field for each.
pub(crate) const HEAD: [&str; 4] = ["timestamp", "level", "source", "message"];

/// A set of paths.
#[derive(Default, Debug, Clone)]
pub(crate) struct Paths {
    /// Whether everything below this node is included.
    pub all: bool,
    children: Vec<(String, Paths)>,
}

impl Paths {
    /// All paths.
    pub fn everything() -> Paths {
        Paths { all: true, children: Vec::new() }
    }

    /// The set of these paths.
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

    /// The part of the set below a key.
    pub fn child(&self, key: &str) -> Option<&Paths> {
        if self.all {
            return Some(self);
        }
        self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Whether the set includes the whole value of a top-level key.
    pub fn has(&self, key: &str) -> bool {
        self.child(key).is_some_and(|node| node.all)
    }
}

/// The intersection of two lists of paths: if one path contains another, the narrower one.
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

/// The keys of a path, without a trailing `*`.
fn keys(path: &str) -> impl Iterator<Item = String> {
    path::keys(path).take_while(|key| key != "*").map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn the_intersection_keeps_the_narrower_paths() {
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
    fn a_set_includes_its_paths_and_everything_below() {
        let paths = Paths::of(&list(&["message", "context.user.*", r"a\.b"]));
        assert!(paths.has("message") && paths.has("a.b"));
        assert!(!paths.has("context") && !paths.has("level") && !paths.has("a"));
        let user = paths.child("context").and_then(|node| node.child("user")).unwrap();
        assert!(user.all && user.child("id").is_some());
        assert!(Paths::everything().has("anything"));
        assert!(!Paths::of::<String>(&[]).has("anything"));
    }
}
