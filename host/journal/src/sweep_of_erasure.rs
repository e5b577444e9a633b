//! The crash sweep of an erasure: it is cut off at every single storage operation, with every kind of state that a power
//! cut may leave. Then all frames are there, each as it was or without what is erased; a second erasure finishes the
//! work, and the erased bytes are in no file.

use crate::appender::Appender;
use crate::erase::{self, Erase, Erased};
use crate::error::OpenError;
use crate::inspect;
use crate::journal::{open_parts, open_reader};
use crate::ledger::{Hold, Ledger};
use crate::options::Options;
use crate::simulated::{Fault, Simulated, Tear};
use crate::storage::{Lock, Storage};
use crate::sweep::encrypted;
use crate::writer::Pending;
use bytes::Bytes;
use std::io::ErrorKind;
use std::sync::Arc;

const TEARS: [Tear; 4] = [Tear::Lost, Tear::Kept, Tear::Prefix(300), Tear::Garbage(11)];
const FRAMES: usize = 24;
/// Only what is erased contains it.
const MARKER: &[u8] = b"person-42";

fn is_marked(bytes: &[u8]) -> bool {
    bytes.windows(MARKER.len()).any(|window| window == MARKER)
}

/// Every third batch and every fourth held record is the person's.
fn payload(id: usize) -> Vec<u8> {
    let who = if id % 3 == 1 { "person-42" } else { "person-7" };
    format!("{id};{who};{}", "x".repeat(id * 97 % 900)).into_bytes()
}

fn rest(id: usize) -> Vec<u8> {
    if id % 3 == 1 { format!("{id};").into_bytes() } else { payload(id) }
}

fn ledger(id: usize) -> Ledger {
    let who = if id.is_multiple_of(4) { "person-42" } else { "person-7" };
    let hold = Hold { token: id as u64, payload: format!("held {id} {who}").into() };
    Ledger { holds: (id.is_multiple_of(2)).then_some(hold).into_iter().collect(), releases: Vec::new() }
}

struct Person;

impl Erase for Person {
    fn batch(&mut self, batch: &Bytes) -> Option<Vec<u8>> {
        let id = batch.split(|byte| *byte == b';').next().expect("split gives at least one part");
        is_marked(batch).then(|| [id, b";"].concat())
    }

    fn hold(&mut self, payload: &Bytes) -> bool {
        is_marked(payload)
    }

    fn go_on(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

fn options(compress: bool) -> Options {
    Options { compress, segment_bytes: 4096, max_size_bytes: 1 << 20, recent_bytes: 4096, ..Options::default() }
}

fn open(disk: &Simulated, options: &Options) -> Result<(Appender, Box<dyn Lock>), OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (appender, _, lock) = open_parts(storage, options.clone())?;
    drop(open_reader(&appender.shared, "archive", None).expect("the name is free"));
    Ok((appender, lock))
}

fn filled(disk: &Simulated, options: &Options) {
    let (mut appender, _lock) = open(disk, options).expect("the disk is empty");
    for id in 0..FRAMES {
        let (mut bytes, ledger) = (payload(id), ledger(id));
        if !ledger.is_empty() {
            ledger.write(&mut bytes);
        }
        appender.append([Pending::append(bytes, 1 + id as u32, ledger, Box::new(|_| {}))]);
    }
    appender.close();
}

/// Erases as the journal's handle does, without its thread.
fn run(disk: &Simulated, options: &Options) -> Result<Erased, String> {
    let (mut appender, _lock) = open(disk, options).map_err(|error| error.to_string())?;
    appender.close_segment().map_err(|error| error.to_string())?;
    let shared = Arc::clone(&appender.shared);
    Ok(erase::erase(&shared, u64::MAX, &mut Person, |rewritten| {
        appender.put_in_place(rewritten).map_err(|error| error.to_string())
    }))
}

/// The payloads by id, after checking that every frame is there with its number and count.
fn found(disk: &Simulated, Options { keys, .. }: &Options, what: &str) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    inspect::entries(disk, keys, 0, |entry| {
        assert_eq!(entry.sequence, payloads.len() as u64 + 1, "{what}");
        assert_eq!(entry.records as usize, payloads.len() + 1, "{what}: the count of records stays");
        payloads.push(entry.payload.to_vec());
        true
    })
    .expect("it can be read");
    assert_eq!(payloads.len(), FRAMES, "{what}");
    assert!(inspect::inspect(disk, keys).expect("it can be read").is_sound(), "{what}");
    payloads
}

fn check_finished(disk: &Simulated, options: &Options, what: &str) {
    for (id, payload) in found(disk, options, what).into_iter().enumerate() {
        assert_eq!(payload, rest(id), "{what}: {id}");
    }
    for file in disk.list().expect("listed") {
        let stays_readable = !options.compress || file.name == "cursors";
        let bytes = disk.bytes(&file.name).expect("there");
        assert!(!stays_readable || !is_marked(&bytes), "{what}: {} contains it", file.name);
        assert!(!file.name.ends_with(".erased"), "{what}: {} is left", file.name);
    }
    let (appender, _lock) = open(disk, options).expect("it opens");
    let held: Vec<Hold> =
        (0..FRAMES).flat_map(|id| ledger(id).holds).filter(|hold| !is_marked(&hold.payload)).collect();
    assert_eq!(appender.shared.state().held.all(), held, "{what}");
}

fn sweep(options: &Options, fault: Fault) -> u32 {
    let mut points = 0;
    for at in 1.. {
        for tear in TEARS {
            let disk = Simulated::new();
            filled(&disk, options);
            let at = disk.operations() + at;
            disk.fail_at(at, fault);
            let outcome = run(&disk, options);
            if disk.operations() < at {
                assert_eq!(outcome.expect("nothing failed").failures, Vec::<String>::new());
                return points;
            }
            disk.heal();
            let disk = disk.power_cut(tear);
            let what = format!("{fault:?} at operation {at}, {tear:?}");
            drop(open(&disk, options).unwrap_or_else(|error| panic!("{what}: {error}")));
            for (id, bytes) in found(&disk, options, &what).into_iter().enumerate() {
                assert!(bytes == payload(id) || bytes == rest(id), "{what}: {id}");
            }
            let again = run(&disk, options).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((again.failures, again.is_partial), (Vec::new(), false), "{what}");
            check_finished(&disk, options, &what);
            points += 1;
        }
    }
    points
}

#[test]
fn an_erasure_that_is_cut_off_anywhere_loses_nothing_and_can_be_repeated() {
    for options in [options(false), options(true), encrypted(options(false))] {
        let crashes = sweep(&options, Fault::Crash);
        let errors = sweep(&options, Fault::Error(ErrorKind::Other));
        let full = sweep(&options, Fault::Error(ErrorKind::StorageFull));
        eprintln!("sweep of an erasure: {crashes} crashes, {errors} and {full} errors");
        assert!(crashes > 30 && errors > 30 && full > 30, "{crashes}, {errors}, {full}: the workload has shrunk");
    }
}

#[test]
fn an_unfinished_copy_never_takes_the_place_of_a_segment_that_was_removed_meanwhile() {
    for options in [options(false), encrypted(options(false))] {
        let disk = Simulated::new();
        filled(&disk, &options);
        let (appender, lock) = open(&disk, &options).expect("it was closed");
        let oldest = appender.shared.state().segments[0].clone();
        // The copy is created and has its header, but only a part of its frames.
        disk.fail_at(disk.operations() + 3, Fault::Crash);
        erase::rewrite(&disk, &oldest, &options, &mut Person).err().expect("the power fails");
        drop((appender, lock));
        let disk = disk.power_cut(Tear::Kept);
        disk.remove(&oldest.name).and_then(|()| disk.sync_folder()).expect("the power is back");
        assert!(disk.list().expect("listed").iter().any(|file| file.name.ends_with(".erased")));
        drop(open(&disk, &options).expect("all that is left is whole"));
        assert!(disk.list().expect("listed").iter().all(|file| !file.name.starts_with(&oldest.name)));
    }
}

#[test]
fn nothing_to_erase_leaves_every_file_as_it_is() {
    let (disk, options) = (Simulated::new(), options(false));
    filled(&disk, &options);
    assert!(erase::count(&disk, &options.keys, &mut Person).expect("readable").segments > 1);
    run(&disk, &options).expect("erased");
    assert_eq!(erase::count(&disk, &options.keys, &mut Person).expect("readable"), Erased::default());
    let files = || {
        let files = disk.list().expect("listed").into_iter();
        files.map(|file| (disk.bytes(&file.name), file.name)).collect::<Vec<_>>()
    };
    let before = files();
    assert_eq!(run(&disk, &options), Ok(Erased::default()));
    assert!(files() == before);
}
