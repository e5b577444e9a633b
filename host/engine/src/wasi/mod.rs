//! The stub of WASI that filters get. Most compilers produce modules that import WASI whether they use it or not. A
//! filter has no files, environment or arguments. Its output goes to Weir's log under its name. Clocks and random
//! numbers work, because runtimes seed their hash tables with them. Sleeping returns at once. Every other function
//! traps with its name. Nothing here gives access to the system.
//!
//! There are two forms. Components import the interfaces of WASI 0.2, whose functions are defined here by name for all
//! versions. Core modules import `wasi_snapshot_preview1`, which the module in `preview1.wat` implements inside the
//! component.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::Instant;

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, Resource, ResourceType, Val};
use weir_record::Level;

use crate::guest::HostState;

/// The implementation of WASI preview 1, assembled from `preview1.wat`.
pub(crate) const PREVIEW1: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/preview1.wasm"));

/// AssemblyScript's `abort`, assembled from `assemblyscript.wat`.
pub(crate) const ASSEMBLYSCRIPT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/assemblyscript.wasm"));

/// Maximum number of random bytes per call.
const MAX_RANDOM_BYTES: u64 = 64 << 10;
/// How many bytes a stream accepts at once.
const STREAM_BYTES: u64 = 4096;

/// The handle of standard output, and of standard input, which is always at its end.
const STDOUT: u32 = 1;
/// The handle of standard error.
const STDERR: u32 = 2;

/// Stands for every WASI resource. There is nothing behind them.
struct Nothing;

type Store<'a> = StoreContextMut<'a, HostState>;

/// Adds the WASI functions that a component imports to a linker.
pub(crate) fn link(linker: &mut Linker<HostState>, component: &Component) -> wasmtime::Result<()> {
    let runtime = component.engine().clone();
    for (import, item) in component.component_type().imports(&runtime) {
        let ComponentItem::ComponentInstance(instance) = item.ty else { continue };
        if !import.starts_with("wasi:") {
            continue;
        }
        let interface = import.split_once('@').map_or(import, |(name, _)| name);
        let mut linked = linker.instance(import)?;
        for (name, item) in instance.exports(&runtime) {
            match item.ty {
                ComponentItem::Resource(_) => {
                    linked.resource(name, ResourceType::host::<Nothing>(), |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(_) => {
                    let called = format!("{interface}#{name}");
                    linked.func_new(name, move |store, _, given, results| answer(&called, store, given, results))?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn answer(called: &str, mut store: Store<'_>, given: &[Val], results: &mut [Val]) -> wasmtime::Result<()> {
    let handles = take_handles(&mut store, given)?;
    let Some(value) = value(called, &mut store, given, &handles)? else {
        wasmtime::bail!("it called `{called}`, which is not available to filters");
    };
    match (results, value) {
        ([], _) => {}
        ([result], value) => *result = value,
        _ => wasmtime::bail!("`{called}` has another type than expected"),
    }
    Ok(())
}

/// Takes the handles among the arguments. A call must not end while it holds any.
fn take_handles(store: &mut Store<'_>, given: &[Val]) -> wasmtime::Result<Vec<u32>> {
    let mut handles = Vec::new();
    for value in given {
        match value {
            Val::Resource(handle) => handles.push(handle.try_into_resource::<Nothing>(&mut *store)?.rep()),
            Val::List(values) if matches!(values.first(), Some(Val::Resource(_))) => {
                handles.extend(take_handles(store, values)?);
            }
            _ => {}
        }
    }
    Ok(handles)
}

fn handle(store: &mut Store<'_>, number: u32) -> wasmtime::Result<Val> {
    Ok(Val::Resource(Resource::<Nothing>::new_own(number).try_into_resource_any(store)?))
}

/// Returns `None` for functions that filters don't have.
fn value(called: &str, store: &mut Store<'_>, given: &[Val], handles: &[u32]) -> wasmtime::Result<Option<Val>> {
    let value = match called {
        "wasi:cli/environment#get-environment"
        | "wasi:cli/environment#get-arguments"
        | "wasi:filesystem/preopens#get-directories" => Val::List(Vec::new()),
        "wasi:cli/environment#initial-cwd"
        | "wasi:cli/terminal-stdin#get-terminal-stdin"
        | "wasi:cli/terminal-stdout#get-terminal-stdout"
        | "wasi:cli/terminal-stderr#get-terminal-stderr" => Val::Option(None),
        "wasi:cli/stdin#get-stdin" | "wasi:cli/stdout#get-stdout" => handle(store, STDOUT)?,
        "wasi:cli/stderr#get-stderr" => handle(store, STDERR)?,
        "wasi:clocks/monotonic-clock#subscribe-instant" | "wasi:clocks/monotonic-clock#subscribe-duration" => {
            handle(store, 0)?
        }
        "wasi:io/poll#[method]pollable.ready" | "wasi:io/poll#[method]pollable.block" => Val::Bool(true),
        "wasi:io/poll#poll" => Val::List((0..handles.len() as u32).map(Val::U32).collect()),
        "wasi:clocks/wall-clock#now" => wall_clock(weir_record::time::now_ns()),
        "wasi:clocks/wall-clock#resolution" => wall_clock(1),
        "wasi:clocks/monotonic-clock#now" => Val::U64(monotonic_ns()),
        "wasi:clocks/monotonic-clock#resolution" => Val::U64(1),
        "wasi:random/random#get-random-u64" | "wasi:random/insecure#get-insecure-random-u64" => Val::U64(random()),
        "wasi:random/random#get-random-bytes" | "wasi:random/insecure#get-insecure-random-bytes" => {
            random_bytes(given)?
        }
        "wasi:random/insecure-seed#insecure-seed" | "wasi:random/insecure-seed#get-insecure-seed" => {
            Val::Tuple(vec![Val::U64(random()), Val::U64(random())])
        }
        _ => return Ok(stream(called.strip_prefix("wasi:io/streams#").unwrap_or_default(), store, given, handles)),
    };
    Ok(Some(value))
}

fn stream(method: &str, store: &Store<'_>, given: &[Val], handles: &[u32]) -> Option<Val> {
    Some(match method {
        "[method]output-stream.check-write" => done(Some(Val::U64(STREAM_BYTES))),
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => {
            if let Some(Val::List(bytes)) = given.get(1) {
                let level = if handles.first() == Some(&STDERR) { Level::Warning } else { Level::Info };
                print(store, level, bytes);
            }
            done(None)
        }
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => done(None),
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            Val::Result(Err(Some(Box::new(Val::Variant("closed".into(), None)))))
        }
        _ => return None,
    })
}

fn done(value: Option<Val>) -> Val {
    Val::Result(Ok(value.map(Box::new)))
}

fn print(store: &Store<'_>, level: Level, bytes: &[Val]) {
    let bytes: Vec<u8> =
        bytes.iter().filter_map(|byte| if let Val::U8(byte) = byte { Some(*byte) } else { None }).collect();
    let text = String::from_utf8_lossy(&bytes);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        store.data().context.log(level, line.trim_end());
    }
}

fn wall_clock(ns: i64) -> Val {
    let seconds = u64::try_from(ns / 1_000_000_000).unwrap_or_default();
    let nanoseconds = u32::try_from(ns % 1_000_000_000).unwrap_or_default();
    Val::Record(vec![("seconds".into(), Val::U64(seconds)), ("nanoseconds".into(), Val::U32(nanoseconds))])
}

fn monotonic_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Good enough for hash tables, which is what runtimes use it for, but not for secrets.
fn random() -> u64 {
    RandomState::new().hash_one(monotonic_ns())
}

fn random_bytes(given: &[Val]) -> wasmtime::Result<Val> {
    match given {
        [Val::U64(count)] if *count <= MAX_RANDOM_BYTES => {
            Ok(Val::List((0..*count).map(|_| Val::U8(random() as u8)).collect()))
        }
        _ => wasmtime::bail!("it asked for more than {MAX_RANDOM_BYTES} random bytes at once"),
    }
}
