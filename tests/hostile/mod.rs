//! Guests for tests, hostile and simple, written as WebAssembly text without an SDK. Each file in this folder is what
//! one guest does with a record; `common.wat`, `lifecycle.wat` and `each.wat` are shared.
//!
//! Hostile guests misbehave on records that contain the word [`MARKER`], and keep every other record.

/// The hostile guests misbehave on records that contain this.
pub const MARKER: &str = "HOSTILE";

const COMMON: &str = include_str!("common.wat");
const LIFECYCLE: &str = include_str!("lifecycle.wat");
const EACH: &str = include_str!("each.wat");

/// A guest: its name and its source.
pub type Guest = (&'static str, &'static str);

/// Keeps every record.
pub const KEEP: Guest = ("keep", include_str!("keep.wat"));
/// Drops records with the marker.
pub const DROP: Guest = ("drop", include_str!("drop.wat"));
/// Adds `patched: true` to every record.
pub const PATCH: Guest = ("patch", include_str!("patch.wat"));
/// Duplicates records with the marker, and replaces others with themselves.
pub const EXPAND: Guest = ("expand", include_str!("expand.wat"));
/// Counts records, with state, and traps on the marker.
pub const COUNT: Guest = ("count", include_str!("count.wat"));
/// Typed: sets the message to the path of the first field.
pub const TYPED: Guest = ("typed", include_str!("typed.wat"));
/// Typed, with state: replaces each record with two copies, and emits at each tick how many it has seen.
pub const TYPED_COUNT: Guest = ("typed_count", include_str!("typed_count.wat"));
/// Runs forever on the marker.
pub const LOOP: Guest = ("loop", include_str!("loop.wat"));
/// Fails records with the marker, and does no harm.
pub const REFUSE: Guest = ("refuse", include_str!("refuse.wat"));
/// Traps on the marker.
pub const TRAP: Guest = ("trap", include_str!("trap.wat"));

/// Allocates memory for records with the marker, and never frees it.
pub const LEAK: Guest = ("leak", include_str!("leak.wat"));
/// Takes long for records with the marker.
pub const SLOW: Guest = ("slow", include_str!("slow.wat"));

/// Expands every record to 60,000.
pub const FLOOD: Guest = ("flood", include_str!("flood.wat"));
/// Typed: makes 600,000 changes to a record with the marker.
pub const SETS: Guest = ("sets", include_str!("sets.wat"));
/// With state: emits 60,000 records at each tick.
pub const TICK_FLOOD: Guest = ("tick_flood", include_str!("tick_flood.wat"));

/// The guests that misbehave on the marker, each with a word of the reason that the operator gets.
pub const HOSTILE: &[(Guest, &str)] = &[
    (LOOP, "ran longer"),
    (TRAP, "trapped"),
    (("memory_bomb", include_str!("memory_bomb.wat")), "memory"),
    (("recursion", include_str!("recursion.wat")), "stack"),
    (("huge_output", include_str!("huge_output.wat")), "returned more"),
    (("bomb", include_str!("bomb.wat")), "made more than"),
    (("wrong_count", include_str!("wrong_count.wat")), "verdicts"),
    (("too_many", include_str!("too_many.wat")), "more verdicts"),
    (("bad_messagepack", include_str!("bad_messagepack.wat")), "messagepack"),
    (("left_over", include_str!("left_over.wat")), "left over"),
    (("bad_verdict", include_str!("bad_verdict.wat")), "unknown verdict"),
];

/// The source of a guest's module.
pub fn text(guest: Guest) -> String {
    let each = if guest.1.contains("(func $verdict") { EACH } else { "" };
    format!("(module {COMMON} {LIFECYCLE} {each} {})", guest.1)
}

/// A guest as a core module without a type section, which the host adds.
pub fn module(guest: Guest) -> Vec<u8> {
    assemble(&text(guest))
}

/// Assembles a module from text.
pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("the guest's text is wrong: {error}"))
}
