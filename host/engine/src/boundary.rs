//! Enforces the configured limits on what a filter sees and changes: removes what it must not see from its input, and
//! compares its output with the input.
//!
//! - A packed filter gets records that contain only what it may see. In a list that it may see in part, the other items
//!   are null, so indexes stay the same. (For typed filters, `v1::reads` does this.)
//! - Every record that a filter derives from an input record, whether patched, changed, replaced or expanded, must
//!   equal it wherever the filter may not change it. A filter can't remove what it can't see, so one that sees only a
//!   part of a record can replace it only if there is nothing else in it.
//! - A record that the filter creates itself may contain the head of a record and the paths that it may change.
//!
//! The check compares records, not verdicts, so no form of answer can get around it. Untouched records are not
//! examined. For a filter without such limits, none of this runs.

use std::collections::HashMap;
use std::ops::Range;

use weir_record::path::push_key;
use weir_record::{Array, Batch, Map, Record, Value, write};

use crate::holds::NO_SENDER;
use crate::paths::{HEAD, Paths};
use crate::rewrite::Part;

/// Above this number, keys are looked up in a hash map.
const SEARCHED_KEYS: usize = 16;

/// The marker of a map with a 32-bit count.
const WIDE_MAP: u8 = 0xdf;

/// What a filter may see and change; `None` means everything.
#[derive(Debug, Default)]
pub(crate) struct Boundary {
    pub sees: Option<Paths>,
    pub changes: Option<Paths>,
}

impl Boundary {
    /// These records without what the filter may not see; `None` if it may see everything.
    pub fn project(&self, batch: &Batch, range: Range<usize>) -> Option<Batch> {
        let sees = self.sees.as_ref()?;
        let mut shown = Batch::with_capacity(batch.slice(range.clone()).len(), range.len());
        for index in range {
            // Can't fail: the closure always writes a map.
            let _: Result<(), ()> = shown.try_append(|out| {
                project(batch.record(index), sees, out);
                Ok(())
            });
        }
        Some(shown)
    }

    /// Compares the records of a part with the records of the batch that they come from. The error names the
    /// difference.
    pub fn check(&self, batch: &Batch, part: &mut Part) -> Result<(), String> {
        if self.sees.is_none() && self.changes.is_none() {
            return Ok(());
        }
        for (at, &origin) in part.origins.iter().enumerate() {
            if origin == NO_SENDER {
                self.check_made_record(part.batch.record(at))?;
                continue;
            }
            // A large record may have been expanded to many, each of which is compared with all of it.
            let (old, new) = (batch.record(origin as usize), part.batch.record(at));
            part.room.spend(old.as_bytes().len() + new.as_bytes().len())?;
            self.check_changed(old, new)?;
        }
        Ok(())
    }

    /// Checks what the filter holds of the records in `range`, whose ids are in `ids`: a record that it holds in place
    /// of one that it was given must be allowed as a change of that one, or as a record that it created. Otherwise the
    /// filter could return it later, unchanged.
    pub fn check_held(&self, batch: &Batch, range: Range<usize>, ids: &[u64], part: &mut Part) -> Result<(), String> {
        if self.sees.is_none() && self.changes.is_none() {
            return Ok(());
        }
        let Part { changes, room, .. } = part;
        let mut places = range;
        for (id, held) in &changes.held {
            // Both are in the order of the batch.
            let place = places.find(|at| ids.get(*at) == Some(id)).ok_or("it held a record that it was not given")?;
            let (old, held) = (batch.record(place), Record::new(held));
            room.spend(old.as_bytes().len() + held.as_bytes().len())?;
            if self.check_changed(old, held).is_err() {
                self.check_made_record(held)?;
            }
        }
        Ok(())
    }

    fn check_changed(&self, old: Record<'_>, new: Record<'_>) -> Result<(), String> {
        if old == new {
            return Ok(());
        }
        let mut path = String::new();
        if let Some(changes) = &self.changes {
            unchanged(old.map(), new.map(), changes, &mut path).map_err(|()| changed(&path))?;
        }
        if let Some(sees) = &self.sees {
            not_lost(old.map(), new.map(), sees, &mut path).map_err(|()| lost(&path))?;
        }
        Ok(())
    }

    /// Checks a record that the filter created itself. The error names the path that it may not change.
    pub fn check_made(&self, made: &Batch) -> Result<(), String> {
        made.iter().try_for_each(|record| self.check_made_record(record))
    }

    fn check_made_record(&self, record: Record<'_>) -> Result<(), String> {
        let Some(changes) = &self.changes else { return Ok(()) };
        let mut path = String::new();
        record
            .entries()
            .filter(|(key, _)| !HEAD.contains(key))
            .try_for_each(|(key, value)| below(None, Some(value), changes, key, &mut path))
            .map_err(|()| changed(&path))
    }
}

fn changed(path: &str) -> String {
    format!("it changed `{path}` without the right to")
}

fn lost(path: &str) -> String {
    format!("it removed `{path}`, which it may not see (a filter that sees only part of a record can't replace it)")
}

fn project(record: Record<'_>, sees: &Paths, out: &mut Vec<u8>) {
    let header = out.len();
    write::map16_header(out, 0);
    let mut count = 0u16;
    for (key, value) in record.entries() {
        if let Some(node) = sees.child(key) {
            count += u16::from(show(key, value, node, out));
        }
    }
    out[header + 1..header + 3].copy_from_slice(&count.to_be_bytes());
}

/// Appends an entry with the visible part of its value. Appends nothing and returns false if no part is visible.
fn show(key: &str, value: Value<'_>, node: &Paths, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    write::str(out, key);
    let shown = show_value(value, node, out);
    if !shown {
        out.truncate(start);
    }
    shown
}

/// The same for a value. The recursion is bounded by the depth of records.
fn show_value(value: Value<'_>, node: &Paths, out: &mut Vec<u8>) -> bool {
    match value {
        whole if node.all => {
            write::value(out, whole);
            true
        }
        Value::Map(map) => {
            let header = out.len();
            out.extend_from_slice(&[WIDE_MAP, 0, 0, 0, 0]);
            let mut count = 0u32;
            for (key, value) in map.iter() {
                if let Some(node) = node.child(key) {
                    count += u32::from(show(key, value, node, out));
                }
            }
            out[header + 1..header + 5].copy_from_slice(&count.to_be_bytes());
            count > 0
        }
        Value::Array(list) => {
            write::array_header(out, list.len() as u32);
            let mut any = false;
            for (index, item) in list.iter().enumerate() {
                let start = out.len();
                let shown = node.child(&index.to_string()).is_some_and(|node| show_value(item, node, out));
                if !shown {
                    out.truncate(start);
                    write::nil(out);
                }
                any |= shown;
            }
            any
        }
        _ => false,
    }
}

/// Fails if the maps differ outside of `changes`; `path` is then the difference.
fn unchanged(old: Map<'_>, new: Map<'_>, changes: &Paths, path: &mut String) -> Result<(), ()> {
    let olds = Keys::of(old);
    for (key, value) in new.iter() {
        below(olds.get(key), Some(value), changes, key, path)?;
    }
    let news = Keys::of(new);
    for (key, value) in old.iter().filter(|(key, _)| news.get(key).is_none()) {
        below(Some(value), None, changes, key, path)?;
    }
    Ok(())
}

/// The same for one key of a map or one index of a list.
fn below(
    old: Option<Value<'_>>,
    new: Option<Value<'_>>,
    changes: &Paths,
    key: &str,
    path: &mut String,
) -> Result<(), ()> {
    let node = changes.child(key);
    if node.is_some_and(|node| node.all) {
        return Ok(());
    }
    let length = path.len();
    push_key(path, key);
    let empty = Map::default();
    match (node, old, new) {
        (_, Some(old), Some(new)) if same(old, new) => {}
        (Some(node), Some(Value::Map(old)), Some(Value::Map(new))) => unchanged(old, new, node, path)?,
        (Some(node), Some(Value::Array(old)), Some(Value::Array(new))) => unchanged_list(old, new, node, path)?,
        // A map created on the way to a path that may be changed, or removed with it.
        (Some(node), None, Some(Value::Map(new))) if !new.is_empty() => unchanged(empty, new, node, path)?,
        (Some(node), Some(Value::Map(old)), None) if !old.is_empty() => unchanged(old, empty, node, path)?,
        _ => return Err(()),
    }
    path.truncate(length);
    Ok(())
}

fn unchanged_list(old: Array<'_>, new: Array<'_>, changes: &Paths, path: &mut String) -> Result<(), ()> {
    let (mut olds, mut news) = (old.iter(), new.iter());
    for index in 0..old.len().max(new.len()) {
        below(olds.next(), news.next(), changes, &index.to_string(), path)?;
    }
    Ok(())
}

/// Fails if something invisible to the filter is missing; `path` is then where.
fn not_lost(old: Map<'_>, new: Map<'_>, sees: &Paths, path: &mut String) -> Result<(), ()> {
    let news = Keys::of(new);
    for (key, value) in old.iter() {
        still_there(value, news.get(key), sees, key, path)?;
    }
    Ok(())
}

fn still_there(old: Value<'_>, new: Option<Value<'_>>, sees: &Paths, key: &str, path: &mut String) -> Result<(), ()> {
    let node = sees.child(key);
    if node.is_some_and(|node| node.all) {
        return Ok(());
    }
    let length = path.len();
    push_key(path, key);
    match (node, old, new) {
        (Some(node), Value::Map(old), new) => {
            let new = new.and_then(|new| new.as_map()).unwrap_or_default();
            not_lost(old, new, node, path)?;
        }
        (Some(node), Value::Array(old), new) => {
            let mut news = new.and_then(|new| new.as_array()).into_iter().flat_map(|list| list.iter());
            for (index, item) in old.iter().enumerate() {
                still_there(item, news.next(), node, &index.to_string(), path)?;
            }
        }
        // Items that the filter could not see were null in its input.
        (_, old, Some(Value::Nil)) if old != Value::Nil => return Err(()),
        (_, _, Some(_)) => {}
        (_, _, None) => return Err(()),
    }
    path.truncate(length);
    Ok(())
}

/// Whether two values are equal, regardless of key order and integer width.
fn same(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Map(one), Value::Map(other)) => {
            let others = Keys::of(other);
            one == other
                || one.len() == other.len()
                    && one.iter().all(|(key, value)| others.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one == other || one.len() == other.len() && one.iter().zip(other.iter()).all(|(a, b)| same(a, b))
        }
        (Value::Float(one), Value::Float(other)) => one == other || one.is_nan() && other.is_nan(),
        (one, other) => one == other,
    }
}

/// The values of a map by key. Filters can return maps with so many keys that a linear search would be too slow.
enum Keys<'a> {
    Few(Map<'a>),
    Many(HashMap<&'a str, Value<'a>>),
}

impl<'a> Keys<'a> {
    fn of(map: Map<'a>) -> Self {
        match map.len() {
            0..=SEARCHED_KEYS => Self::Few(map),
            _ => Self::Many(map.iter().collect()),
        }
    }

    fn get(&self, key: &str) -> Option<Value<'a>> {
        match self {
            Self::Few(map) => map.get(key),
            Self::Many(map) => map.get(key).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_record::{Aliases, Defaults, Level};

    fn batch(json: &str) -> Batch {
        let aliases = Aliases::default();
        let defaults = Defaults {
            received_ns: 7,
            source: "s",
            level: Level::Info,
            context: &[],
            aliases: &aliases,
            keeps_routes: true,
        };
        let mut batch = Batch::new();
        assert_eq!(weir_record::read_json(json.as_bytes(), &defaults, &mut batch), Ok(vec![]));
        batch
    }

    fn paths(paths: &[&str]) -> Option<Paths> {
        Some(Paths::of(paths))
    }

    fn shown(sees: &[&str], json: &str) -> String {
        let boundary = Boundary { sees: paths(sees), changes: None };
        let shown = boundary.project(&batch(json), 0..1).unwrap();
        let mut out = Vec::new();
        weir_record::write_json(shown.record(0), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn projection_removes_what_the_filter_may_not_see() {
        let json = r#"{"message":"m","a":{"b":1,"c":{"d":2}},"tags":["x",{"y":1,"z":2},"w"],"n":3}"#;
        for (sees, expected) in [
            (&["message"][..], r#"{"message":"m"}"#),
            (&["a.c", "n"], r#"{"a":{"c":{"d":2}},"n":3}"#),
            (&["a.c.*"], r#"{"a":{"c":{"d":2}}}"#),
            (&["a.x", "n.deeper"], "{}"),
            (&["tags.1.z"], r#"{"tags":[null,{"z":2},null]}"#),
            (&["tags.7"], "{}"),
            (&["level", "source"], r#"{"level":"INFO","source":"s"}"#),
            (&[], "{}"),
        ] {
            assert_eq!(shown(sees, json), expected, "{sees:?}");
        }
    }

    fn check(sees: Option<Paths>, changes: Option<Paths>, old: &str, new: &str) -> Result<(), String> {
        let mut part = Part { batch: batch(new), origins: vec![0], ..Part::default() };
        Boundary { sees, changes }.check(&batch(old), &mut part)
    }

    #[test]
    fn changes_outside_the_writable_paths_are_refused() {
        let old = r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":null}"#;
        for (changes, new, wrong) in [
            (&["a.b"][..], r#"{"message":"m","a":{"c":2,"b":9},"l":[1,{"x":1}],"n":null}"#, ""),
            (&["a.b"], r#"{"n":null,"l":[1,{"x":1}],"a":{"c":2},"message":"m"}"#, ""),
            (&["a.b"], r#"{"message":"m","a":{"b":9,"c":3},"l":[1,{"x":1}],"n":null}"#, "a.c"),
            (&["a.b"], r#"{"message":"m","a":{"b":9},"l":[1,{"x":1}],"n":null}"#, "a.c"),
            (&["a.b"], r#"{"message":"m","a":7,"l":[1,{"x":1}],"n":null}"#, "a"),
            (&["a.b"], r#"{"message":"m","l":[1,{"x":1}],"n":null}"#, "a.c"),
            (&["a"], r#"{"message":"m","l":[1,{"x":1}],"n":null}"#, ""),
            (&["a"], r#"{"message":"m","a":7,"l":[1,{"x":1}],"n":null,"new":1}"#, "new"),
            (&["a"], r#"{"message":"other","a":7,"l":[1,{"x":1}],"n":null}"#, "message"),
            (&["l.1.x"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":2}],"n":null}"#, ""),
            (&["l.1.x"], r#"{"message":"m","a":{"b":1,"c":2},"l":[2,{"x":2}],"n":null}"#, "l.0"),
            (&["l.2"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":1},3],"n":null}"#, ""),
            (&["l.2"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1],"n":null}"#, "l.1"),
            (&["n.deep.er"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":{"deep":{"er":1}}}"#, "n"),
            (&["d.e.f"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":null,"d":{"e":{"f":1}}}"#, ""),
            (&["d.e.f"], r#"{"message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":null,"d":{"e":{}}}"#, "d.e"),
            (&["level"], r#"{"level":"ERROR","message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":null}"#, ""),
            (&[], r#"{"level":"ERROR","message":"m","a":{"b":1,"c":2},"l":[1,{"x":1}],"n":null}"#, "level"),
            (&[], r#"{"l":[1,{"x":1}],"message":"m","n":null,"a":{"c":2,"b":1}}"#, ""),
        ] {
            let expected = if wrong.is_empty() { Ok(()) } else { Err(changed(wrong)) };
            assert_eq!(check(None, paths(changes), old, new), expected, "{changes:?}: {new}");
        }
    }

    #[test]
    fn removing_invisible_values_is_refused() {
        let old = r#"{"message":"m","a":{"b":1,"c":2},"l":[1,2]}"#;
        for (sees, new, gone) in [
            (&["message", "a.b"][..], r#"{"message":"n","a":{"c":2},"l":[1,2]}"#, ""),
            (&["message"], r#"{"message":"n","a":{"b":9,"c":2},"l":[1,2]}"#, ""),
            (&["message"], r#"{"message":"n","l":[1,2]}"#, "a"),
            (&["message", "a.b"], r#"{"message":"n","l":[1,2]}"#, "a.c"),
            (&["message", "a.b"], r#"{"message":"n","a":"text","l":[1,2]}"#, "a.c"),
            (&["message", "a", "l.1"], r#"{"message":"n","l":[null,3]}"#, "l.0"),
            (&["message", "a", "l.1"], r#"{"message":"n","l":[1]}"#, ""),
        ] {
            let expected = if gone.is_empty() { Ok(()) } else { Err(lost(gone)) };
            assert_eq!(check(paths(sees), None, old, new), expected, "{sees:?}: {new}");
        }
    }

    #[test]
    fn created_records_may_contain_only_the_head_and_writable_paths() {
        let boundary = |changes: &[&str]| Boundary { sees: None, changes: paths(changes) };
        let made = batch(r#"{"message":"m","source":"x","count":{"n":5}}"#);
        assert_eq!(boundary(&["count"]).check_made(&made), Ok(()));
        assert_eq!(boundary(&["count.n"]).check_made(&made), Ok(()));
        assert_eq!(boundary(&["count.m"]).check_made(&made), Err(changed("count.n")));
        assert_eq!(boundary(&[]).check_made(&made), Err(changed("count")));
    }

    #[test]
    fn large_maps_in_another_key_order_are_compared_in_linear_time() {
        let entry = |n: usize| format!("\"k{n}\":{n}");
        let forth = (0..30_000).map(entry).collect::<Vec<_>>().join(",");
        let back = (0..30_000).rev().map(entry).collect::<Vec<_>>().join(",");
        let old = format!("{{\"message\":\"m\",\"a\":{{{forth}}}}}");
        let new = format!("{{\"message\":\"m\",\"a\":{{{back}}}}}");
        assert_eq!(check(None, paths(&["b"]), &old, &new), Ok(()));
        assert_eq!(check(None, paths(&["a.k7"]), &old, &new.replace("\"k9\":9,", "")), Err(changed("a.k9")));
    }
}
