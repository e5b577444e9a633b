//! Builds records from the views that typed filters return: dotted paths become maps again, and maps with the keys 0,
//! 1, 2 … become lists. Empty lists and maps, which no field can show, are copied from the record that is expanded.

use std::sync::LazyLock;

use indexmap::IndexMap;
use indexmap::map::Entry;
use weir_record::path;
use weir_record::{Aliases, Batch, Defaults, limits, write};

use super::types::View;

static ALIASES: LazyLock<Aliases> = LazyLock::new(|| Aliases::default().in_nanoseconds());

enum Tree<'a> {
    Value(weir_record::Value<'a>),
    Map(Keys<'a>),
}

type Keys<'a> = IndexMap<String, Tree<'a>>;

/// Lists and maps without any value in them, with their paths.
pub(super) type EmptyContainers<'a> = [(String, weir_record::Value<'a>)];

/// Appends the record that a view describes. `empty_containers` is what no field of the original record shows.
pub(super) fn push_view(
    view: &View,
    empty_containers: &EmptyContainers<'_>,
    scratch: &mut Vec<u8>,
    out: &mut Batch,
) -> Result<(), String> {
    let mut keys = Keys::new();
    let mut made = 0;
    for field in &view.fields {
        insert(&mut keys, &field.path, field.value.as_record_value(), &mut made)?;
    }
    for (path, value) in empty_containers {
        put_back(&mut keys, path, *value);
    }
    for head in ["timestamp", "level", "source", "message"] {
        if keys.contains_key(head) {
            return Err(format!(
                "it made a record with `{head}` among its fields, but a view has its own field for it"
            ));
        }
    }
    scratch.clear();
    let count = u16::try_from(keys.len() + 4).map_err(|_| "it made a record with too many fields")?;
    write::map16_header(scratch, count);
    write::str(scratch, "timestamp");
    write::int(scratch, view.time);
    let level = weir_record::Level::from(view.level);
    for (key, text) in [("level", level.as_str()), ("source", &*view.source), ("message", &*view.message)] {
        write::str(scratch, key);
        write::str(scratch, text);
    }
    write_entries(&keys, scratch);
    let defaults = Defaults {
        received_ns: view.time,
        source: &view.source,
        level,
        context: &[],
        aliases: &ALIASES,
        keeps_routes: true,
    };
    let bad = weir_record::read_msgpack(scratch, &defaults, out)
        .map_err(|error| format!("it made a record that can't be read: {error}"))?;
    match bad.first() {
        Some(bad) => Err(format!("it made an invalid record: {}", bad.error)),
        None => Ok(()),
    }
}

/// `made` counts the entries created: a path of many short keys creates a map for each.
fn insert<'a>(keys: &mut Keys<'a>, path: &str, value: weir_record::Value<'a>, made: &mut usize) -> Result<(), String> {
    let mut path = path::keys(path).peekable();
    let mut keys = keys;
    for depth in 1.. {
        if depth > limits::MAX_DEPTH {
            return Err(format!("it made a record more than {} levels deep", limits::MAX_DEPTH));
        }
        let Some(key) = path.next() else { break };
        let tree = match keys.entry(key.into_owned()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                *made += 1;
                entry.insert(Tree::Map(Keys::new()))
            }
        };
        // An entry takes at least two bytes.
        if *made > limits::MAX_RECORD_BYTES / 2 {
            return Err("it made a record larger than 1 MiB".to_owned());
        }
        if path.peek().is_none() {
            *tree = Tree::Value(value);
            break;
        }
        if let Tree::Value(_) = tree {
            *tree = Tree::Map(Keys::new());
        }
        let Tree::Map(inner) = tree else { break };
        keys = inner;
    }
    Ok(())
}

/// Puts a value back at its path, if its parent exists and nothing else is there.
fn put_back<'a>(keys: &mut Keys<'a>, path: &str, value: weir_record::Value<'a>) {
    let mut path = path::keys(path).peekable();
    let mut keys = keys;
    while let Some(key) = path.next() {
        if path.peek().is_none() {
            keys.entry(key.into_owned()).or_insert(Tree::Value(value));
            return;
        }
        let Some(Tree::Map(inner)) = keys.get_mut(&*key) else { return };
        keys = inner;
    }
}

fn write_entries(keys: &Keys<'_>, out: &mut Vec<u8>) {
    for (key, tree) in keys {
        write::str(out, key);
        write_tree(tree, out);
    }
}

fn write_tree(tree: &Tree<'_>, out: &mut Vec<u8>) {
    match tree {
        Tree::Value(value) => write::value(out, *value),
        Tree::Map(keys) if is_list(keys) => {
            write::array_header(out, keys.len() as u32);
            for tree in (0..keys.len()).filter_map(|index| keys.get(index.to_string().as_str())) {
                write_tree(tree, out);
            }
        }
        Tree::Map(keys) => {
            write::map_header(out, keys.len() as u32);
            write_entries(keys, out);
        }
    }
}

/// Whether the keys are 0, 1, 2 … in any order: distinct and all below their number.
fn is_list(keys: &Keys<'_>) -> bool {
    let is_index = |key: &String| key.parse::<usize>().is_ok_and(|n| n < keys.len() && n.to_string() == *key);
    keys.keys().all(is_index)
}
