//! Which parts of a record a typed filter is shown: the paths of its description as a tree, walked beside the record
//! in one pass, so that what the filter doesn't read is stepped over and never copied.

use weir_record::{Record, Value};

use super::types::ValueIn;

/// The keys that a view has places of their own for.
const HEAD: [&str; 4] = ["timestamp", "level", "source", "message"];

/// The paths that a filter reads.
#[derive(Default, Debug)]
pub(crate) struct Reads(Node);

#[derive(Default, Debug)]
struct Node {
    /// Everything from here on is read.
    all: bool,
    children: Vec<(String, Node)>,
}

impl Reads {
    /// Everything.
    pub fn all() -> Reads {
        Reads(Node { all: true, children: Vec::new() })
    }

    /// What a description says. A path that names a map or a list means everything in it, as with `.*` after it.
    pub fn of(paths: &[String]) -> Reads {
        if paths.is_empty() {
            return Self::all();
        }
        let mut root = Node::default();
        for path in paths {
            let mut node = &mut root;
            for segment in segments(path) {
                if segment == "*" {
                    break;
                }
                let at = node.children.iter().position(|(key, _)| *key == segment).unwrap_or_else(|| {
                    node.children.push((segment, Node::default()));
                    node.children.len() - 1
                });
                node = &mut node.children[at].1;
            }
            node.all = true;
        }
        Reads(root)
    }

    /// Calls `found` for each value that is read, with its path. `path` is memory to use.
    pub fn walk<'a>(&self, record: Record<'a>, path: &mut String, found: &mut impl FnMut(&str, ValueIn<'a>)) {
        path.clear();
        for (key, value) in record.entries() {
            if HEAD.contains(&key) {
                continue;
            }
            if let Some(node) = self.0.child(key) {
                step(node, key, value, path, found);
            }
        }
    }

    /// Calls `found` for each list and map that is read and has no value in it, so that no field shows it: the
    /// outermost of each.
    pub fn walk_hollow<'a>(
        &self,
        record: Record<'a>,
        path: &mut String,
        found: &mut impl FnMut(&str, Value<'a>),
    ) {
        path.clear();
        for (key, value) in record.entries().filter(|(key, _)| !HEAD.contains(key)) {
            if let Some(node) = self.0.child(key) {
                step_hollow(node, key, value, path, found);
            }
        }
    }
}

impl Node {
    fn child(&self, key: &str) -> Option<&Node> {
        if self.all {
            return Some(self);
        }
        self.children.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }
}

/// One step down. How deep a record goes is bounded, so the recursion is.
fn step<'a>(node: &Node, key: &str, value: Value<'a>, path: &mut String, found: &mut impl FnMut(&str, ValueIn<'a>)) {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    push_key(path, key);
    match value {
        Value::Map(map) => {
            for (key, value) in map.iter() {
                if let Some(child) = node.child(key) {
                    step(child, key, value, path, found);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let index = index.to_string();
                if let Some(child) = node.child(&index) {
                    step(child, &index, value, path, found);
                }
            }
        }
        single => {
            if node.all {
                found(path, lower(single));
            }
        }
    }
    path.truncate(length);
}

fn step_hollow<'a>(
    node: &Node,
    key: &str,
    value: Value<'a>,
    path: &mut String,
    found: &mut impl FnMut(&str, Value<'a>),
) {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    push_key(path, key);
    match value {
        hollow if node.all && is_hollow(hollow) => found(path, hollow),
        Value::Map(map) => {
            for (key, value) in map.iter() {
                if let Some(child) = node.child(key) {
                    step_hollow(child, key, value, path, found);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let index = index.to_string();
                if let Some(child) = node.child(&index) {
                    step_hollow(child, &index, value, path, found);
                }
            }
        }
        _ => {}
    }
    path.truncate(length);
}

/// Whether nothing but lists and maps is in a value.
fn is_hollow(value: Value<'_>) -> bool {
    match value {
        Value::Map(map) => map.iter().all(|(_, value)| is_hollow(value)),
        Value::Array(list) => list.iter().all(is_hollow),
        _ => false,
    }
}

fn lower(value: Value<'_>) -> ValueIn<'_> {
    match value {
        Value::Bool(value) => ValueIn::Boolean(value),
        Value::Int(value) => ValueIn::Integer(value),
        Value::UInt(value) => ValueIn::Float(value as f64),
        Value::Float(value) => ValueIn::Float(value),
        Value::Str(text) => ValueIn::Text(text),
        Value::Bin(bytes) | Value::Ext(_, bytes) => ValueIn::Binary(bytes),
        Value::Nil | Value::Array(_) | Value::Map(_) => ValueIn::Null,
    }
}

fn push_key(path: &mut String, key: &str) {
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

/// The keys of a dotted path.
pub(super) fn segments(path: &str) -> impl Iterator<Item = String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use weir_record::write;

    /// {"timestamp": 1, "level": "INFO", "source": "s", "message": "m", "a.b": "dotted", "tags": ["x", "y"],
    ///  "context": {"user": {"email": "e", "id": 7}}}
    fn record() -> Vec<u8> {
        let mut out = Vec::new();
        write::map16_header(&mut out, 7);
        write::str(&mut out, "timestamp");
        write::int(&mut out, 1);
        for (key, value) in [("level", "INFO"), ("source", "s"), ("message", "m"), ("a.b", "dotted")] {
            write::str(&mut out, key);
            write::str(&mut out, value);
        }
        write::str(&mut out, "tags");
        write::array_header(&mut out, 2);
        write::str(&mut out, "x");
        write::str(&mut out, "y");
        write::str(&mut out, "context");
        write::map_header(&mut out, 1);
        write::str(&mut out, "user");
        write::map_header(&mut out, 2);
        write::str(&mut out, "email");
        write::str(&mut out, "e");
        write::str(&mut out, "id");
        write::int(&mut out, 7);
        out
    }

    fn read(paths: &[&str]) -> Vec<String> {
        let paths: Vec<String> = paths.iter().map(|path| path.to_string()).collect();
        let bytes = record();
        let mut found = Vec::new();
        Reads::of(&paths).walk(Record::new(&bytes), &mut String::new(), &mut |path, value| {
            found.push(format!("{path}={value:?}"));
        });
        found
    }

    #[test]
    fn without_paths_everything_but_the_head_is_shown() {
        assert_eq!(
            read(&[]),
            [
                r#"a\.b=Text("dotted")"#,
                r#"tags.0=Text("x")"#,
                r#"tags.1=Text("y")"#,
                r#"context.user.email=Text("e")"#,
                "context.user.id=Integer(7)"
            ]
        );
    }

    #[test]
    fn only_the_paths_that_are_read_are_shown() {
        assert_eq!(read(&["context.user.id", "missing.path"]), ["context.user.id=Integer(7)"]);
        assert_eq!(read(&["tags.1"]), [r#"tags.1=Text("y")"#]);
        assert_eq!(read(&[r"a\.b"]), [r#"a\.b=Text("dotted")"#]);
        assert_eq!(read(&["a.b"]), [""; 0]);
        assert_eq!(read(&["message"]), [""; 0]);
    }

    #[test]
    fn a_star_or_the_name_of_a_map_shows_everything_in_it() {
        let all = [r#"context.user.email=Text("e")"#, "context.user.id=Integer(7)"];
        assert_eq!(read(&["context.*"]), all);
        assert_eq!(read(&["context"]), all);
        assert_eq!(read(&["context.user.*", "context.user.id"]), all);
    }
}
