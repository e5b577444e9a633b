//! Batches as typed lists, for filters in any language that has nothing but generated bindings. Costs several times as
//! much as the packed form, mostly depending on the number of fields that the filter reads.

use std::ops::Range;
use std::time::Duration;

use wasmtime::component::TypedFunc;
use weir_record::{Batch, Value};

use super::build::push_view;
use super::reads::Reads;
use super::types::{Change, FieldIn, ValueIn, Verdict, View, ViewIn};
use crate::budget::Room;
use crate::error::{CallError, FailureKind};
use crate::guest::Guest;
use crate::limits::MAX_PATH_BYTES;
use crate::rewrite::{Applied, Counts, Part};

/// The filter's function; the lifetime of its argument is shorter in practice.
pub(super) type Process = TypedFunc<(&'static [ViewIn<'static>],), (Result<Vec<Verdict>, String>,)>;

/// Calls the filter.
pub(super) fn call(
    process: &Process,
    reads: &Reads,
    guest: &mut Guest,
    batch: &Batch,
    range: Range<usize>,
    deadline: Duration,
) -> Result<Vec<Verdict>, CallError> {
    let process: TypedFunc<(&[ViewIn<'_>],), _> = *process;
    let found = Found::collect(reads, batch, range.clone());
    if found.paths.len() > MAX_PATH_BYTES {
        return Err(CallError::new(FailureKind::Budget, too_long_paths()));
    }
    let fields = found.fields();
    let mut views = Vec::with_capacity(range.len());
    let mut start = 0;
    for (index, &end) in range.zip(&found.ends) {
        let head = reads.head(batch.record(index));
        views.push(ViewIn {
            time: head.timestamp,
            level: head.level.into(),
            source: head.source,
            message: head.message,
            fields: &fields[start..end],
        });
        start = end;
    }
    let (result,) = guest.call(deadline, |store| process.call(store, (&views,)))?;
    result.map_err(|reason| CallError::new(FailureKind::Refused, format!("it returned an error: {reason}")))
}

/// The fields of several records. Their paths are stored in one string.
#[derive(Default)]
struct Found<'a> {
    paths: String,
    /// For each field, the end of its path in `paths`, and its value.
    values: Vec<(usize, ValueIn<'a>)>,
    /// For each record, the end of its fields in `values`.
    ends: Vec<usize>,
}

impl<'a> Found<'a> {
    fn collect(reads: &Reads, batch: &'a Batch, range: Range<usize>) -> Self {
        let mut found = Self::default();
        let mut path = String::new();
        for index in range {
            reads.walk(batch.record(index), &mut path, &mut |path, value| {
                // Fields beyond the limit are not shown to the filter.
                if found.paths.len() <= MAX_PATH_BYTES {
                    found.paths.push_str(path);
                    found.values.push((found.paths.len(), value));
                }
            });
            found.ends.push(found.values.len());
        }
        found
    }

    fn fields(&self) -> Vec<FieldIn<'_>> {
        let mut start = 0;
        let field = |&(end, value): &(usize, ValueIn<'a>)| {
            let path = &self.paths[start..end];
            start = end;
            FieldIn { path, value }
        };
        self.values.iter().map(field).collect()
    }
}

/// Applies the verdicts.
pub(super) fn apply(
    batch: &Batch,
    range: Range<usize>,
    reads: &Reads,
    verdicts: &[Verdict],
    part: &mut Part,
) -> Result<Applied, String> {
    if verdicts.len() != range.len() {
        return Err(format!("it gave {} verdicts on {} records", verdicts.len(), range.len()));
    }
    if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Keep)) {
        return Ok(Applied::Untouched);
    }
    part.clear();
    let mut counts = Counts::default();
    for (index, verdict) in range.zip(verdicts) {
        match verdict {
            Verdict::Keep => part.keep(batch, index..index + 1),
            Verdict::Drop => counts.dropped += 1,
            Verdict::Change(changes) => {
                change(batch.get(index), changes, &mut part.batch)?;
                part.origins.push(index as u32);
                part.room.spend(batch.get(index).len() + 64 * changes.len())?;
                part.check()?;
                counts.patched += 1;
            }
            Verdict::Expand(views) => {
                let empty_containers = empty_containers(reads, batch, index, &mut part.room)?;
                for view in views {
                    push_view(view, &empty_containers, &mut part.scratch, &mut part.batch)?;
                    part.origins.push(index as u32);
                    part.room.spend(64 * (empty_containers.len() + view.fields.len()))?;
                    part.check()?;
                }
                counts.patched += 1;
            }
        }
    }
    Ok(Applied::Rewritten(counts))
}

/// The lists and maps of a record that the filter reads but no field shows.
fn empty_containers<'a>(
    reads: &Reads,
    batch: &'a Batch,
    index: usize,
    room: &mut Room,
) -> Result<Vec<(String, Value<'a>)>, String> {
    let (mut empty_containers, mut bytes) = (Vec::new(), 0);
    reads.walk_empty_containers(batch.record(index), &mut String::new(), &mut |path, value| {
        bytes += path.len();
        if bytes <= MAX_PATH_BYTES {
            empty_containers.push((path.to_owned(), value));
        }
    });
    if bytes > MAX_PATH_BYTES { room.exceed(too_long_paths()) } else { Ok(empty_containers) }
}

fn too_long_paths() -> String {
    format!("the paths of the fields that it reads exceed {} MiB", MAX_PATH_BYTES >> 20)
}

fn change(record: &[u8], changes: &[Change], out: &mut Batch) -> Result<(), String> {
    let changes: Vec<_> = changes.iter().map(as_record_change).collect();
    out.try_append(|bytes| weir_record::apply_changes(record, &changes, bytes))
        .map_err(|error| format!("its changes can't be made: {error}"))
}

fn as_record_change(change: &Change) -> weir_record::Change<'_> {
    match change {
        Change::Set(field) => weir_record::Change::Set(&field.path, field.value.as_record_value()),
        Change::Remove(path) => weir_record::Change::Remove(path),
        Change::Level(level) => weir_record::Change::Level((*level).into()),
        Change::Message(message) => weir_record::Change::Message(message),
        Change::Route(route) => weir_record::Change::Route(route),
    }
}

/// Reads records that a filter created itself.
pub(super) fn read_views(views: &[View], out: &mut Batch, room: &mut Room) -> Result<(), String> {
    let mut scratch = Vec::new();
    views.iter().try_for_each(|view| {
        push_view(view, &[], &mut scratch, out)?;
        room.check(out)
    })
}
