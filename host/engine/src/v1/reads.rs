//! Selects the parts of a record that a typed filter is shown: the paths of its description as a tree, walked in
//! parallel with the record in one pass, so that everything else is skipped and never copied.

use weir_record::path::push_key;
use weir_record::{Head, Level, Record, Value};

use super::types::ValueIn;
use crate::paths::{HEAD, Paths};

/// The paths that a filter is shown.
#[derive(Debug)]
pub(crate) struct Reads {
    paths: Paths,
    /// Which keys of [`HEAD`] are hidden; their fields in the view stay empty.
    hidden: [bool; 4],
}

impl Reads {
    /// Everything.
    pub fn all() -> Reads {
        Reads { paths: Paths::everything(), hidden: [false; 4] }
    }

    /// The paths of a description; an empty list means everything. The head is always shown.
    pub fn of(paths: &[String]) -> Reads {
        match paths.is_empty() {
            true => Self::all(),
            false => Reads { paths: Paths::of(paths), hidden: [false; 4] },
        }
    }

    /// Exactly these paths.
    pub fn only(paths: &[String]) -> Reads {
        let paths = Paths::of(paths);
        Reads { hidden: HEAD.map(|key| !paths.has(key)), paths }
    }

    /// The head, with hidden keys left empty.
    pub fn head<'a>(&self, record: Record<'a>) -> Head<'a> {
        let mut head = record.head();
        let [time, level, source, message] = self.hidden;
        if time {
            head.timestamp = 0;
        }
        if level {
            head.level = Level::Info;
        }
        if source {
            head.source = "";
        }
        if message {
            head.message = "";
        }
        head
    }

    /// Calls `found` with each selected value and its path. `path` is scratch memory.
    pub fn walk<'a>(&self, record: Record<'a>, path: &mut String, found: &mut impl FnMut(&str, ValueIn<'a>)) {
        path.clear();
        for (key, value) in record.entries() {
            if HEAD.contains(&key) {
                continue;
            }
            if let Some(node) = self.paths.child(key) {
                step(node, key, value, path, found);
            }
        }
    }

    /// Calls `found` with each selected list or map that contains no value and so is shown by no field, outermost only.
    pub fn walk_empty_containers<'a>(
        &self,
        record: Record<'a>,
        path: &mut String,
        found: &mut impl FnMut(&str, Value<'a>),
    ) {
        path.clear();
        for (key, value) in record.entries().filter(|(key, _)| !HEAD.contains(key)) {
            if let Some(node) = self.paths.child(key) {
                step_empty_containers(node, key, value, path, found);
            }
        }
    }
}

/// One level down. The recursion is bounded by the depth of records.
fn step<'a>(node: &Paths, key: &str, value: Value<'a>, path: &mut String, found: &mut impl FnMut(&str, ValueIn<'a>)) {
    let length = path.len();
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

fn step_empty_containers<'a>(
    node: &Paths,
    key: &str,
    value: Value<'a>,
    path: &mut String,
    found: &mut impl FnMut(&str, Value<'a>),
) {
    let length = path.len();
    push_key(path, key);
    match value {
        empty_containers if node.all && has_no_values(empty_containers) => found(path, empty_containers),
        Value::Map(map) => {
            for (key, value) in map.iter() {
                if let Some(child) = node.child(key) {
                    step_empty_containers(child, key, value, path, found);
                }
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let index = index.to_string();
                if let Some(child) = node.child(&index) {
                    step_empty_containers(child, &index, value, path, found);
                }
            }
        }
        _ => {}
    }
    path.truncate(length);
}

/// Whether a value consists of nothing but lists and maps.
fn has_no_values(value: Value<'_>) -> bool {
    match value {
        Value::Map(map) => map.iter().all(|(_, value)| has_no_values(value)),
        Value::Array(list) => list.iter().all(has_no_values),
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
    fn hidden_keys_of_the_head_are_empty() {
        let bytes = record();
        let reads = Reads::only(&["message".to_owned(), "context.user.id".to_owned()]);
        let head = reads.head(Record::new(&bytes));
        assert_eq!(head, Head { timestamp: 0, level: Level::Info, source: "", message: "m" });
        assert_eq!(Reads::of(&["tags".to_owned()]).head(Record::new(&bytes)), Record::new(&bytes).head());
    }

    #[test]
    fn a_star_or_a_map_path_includes_everything_in_it() {
        let all = [r#"context.user.email=Text("e")"#, "context.user.id=Integer(7)"];
        assert_eq!(read(&["context.*"]), all);
        assert_eq!(read(&["context"]), all);
        assert_eq!(read(&["context.user.*", "context.user.id"]), all);
    }
}
