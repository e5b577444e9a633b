//! The crash sweep: a scripted workload is cut off at every single storage operation, with every kind of state that a
//! power cut may leave, then recovered, checked, used further, and recovered again.
//!
//! Checked each time: *acked ⊆ recovered ⊆ sent*, in order, with equal bytes; no number used twice; no reader ahead of
//! what it had delivered, and nothing skipped; the held records are those that were held and not released.

use crate::appender::Appender;
use crate::cipher::{KEY_BYTES, Key, Keys};
use crate::error::OpenError;
use crate::inspect;
use crate::journal::{open_parts, open_reader};
use crate::ledger::{Hold, Ledger};
use crate::options::{Options, SyncMode};
use crate::reader::{Entry, Reader};
use crate::simulated::{Fault, Simulated, Tear};
use crate::storage::{Lock, Storage};
use crate::writer::Pending;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const TEARS: [Tear; 6] =
    [Tear::Lost, Tear::Kept, Tear::Prefix(300), Tear::Prefix(995), Tear::Garbage(11), Tear::Holes(21)];
/// Sizes that produce groups within a segment, groups over several segments, and frames larger than a segment.
const SIZES: [usize; 9] = [0, 1, 37, 300, 900, 3000, 4200, 64, 9000];
const GROUPS: usize = 16;

/// A key for the sweeps with encryption.
pub fn encrypted(options: Options) -> Options {
    let key = Key::parse(&"5e".repeat(KEY_BYTES)).expect("a key");
    Options { keys: Keys::new(Some(key), Vec::new()), ..options }
}

fn options(sync: SyncMode, compress: bool) -> Options {
    Options { sync, compress, segment_bytes: 4096, max_size_bytes: 1 << 20, recent_bytes: 8192, ..Options::default() }
}

/// The payload of append number `id`: contains the number, and compresses a little.
fn payload(id: usize) -> Vec<u8> {
    let mut bytes = format!("append {id};").into_bytes();
    let size = SIZES[id % SIZES.len()];
    bytes.extend((0..size).map(|at| if at % 3 == 0 { (at * 31 + id * 17) as u8 } else { b'x' }));
    bytes
}

/// The ledger of append number `id`: some hold a record, which a later append releases, segments further on.
fn ledger(id: usize) -> Ledger {
    let token = |id: usize| id as u64;
    match id % 4 {
        0 => Ledger { holds: vec![Hold { token: token(id), payload: payload(id).into() }], releases: Vec::new() },
        2 if id >= 10 => Ledger { holds: Vec::new(), releases: vec![token(id - 10)] },
        _ => Ledger::default(),
    }
}

fn id_of(payload: &[u8]) -> usize {
    let text = payload.split(|byte| *byte == b';').next().expect("split gives at least one part");
    let digits = std::str::from_utf8(text).expect("payloads begin with text").strip_prefix("append ");
    digits.expect("payloads begin so").parse().expect("then a number")
}

/// What clients and readers know.
#[derive(Default)]
struct World {
    sent: usize,
    acked: Arc<Mutex<Vec<(u64, usize)>>>,
    /// The largest sequence that any reader could see.
    seen: u64,
    /// Everything up to here was delivered to every reader.
    delivered: u64,
}

/// An open journal without its thread.
struct Opened {
    appender: Appender,
    readers: Vec<Reader>,
    _lock: Box<dyn Lock>,
}

fn open(disk: &Simulated, options: &Options) -> Result<Opened, OpenError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (appender, _, lock) = open_parts(storage, options.clone())?;
    let reader = |name| open_reader(&appender.shared, name, None).expect("the name is free");
    let readers = vec![reader("archive"), reader("alerts")];
    Ok(Opened { appender, readers, _lock: lock })
}

impl World {
    fn append(&mut self, appender: &mut Appender, count: usize) {
        let batch: Vec<Pending> = (0..count).map(|_| self.pending()).collect();
        appender.append(batch);
        self.seen = self.seen.max(appender.shared.state().visible);
    }

    fn pending(&mut self) -> Pending {
        let id = self.sent;
        self.sent += 1;
        let acked = Arc::clone(&self.acked);
        let done = Box::new(move |result| {
            if let Ok(sequence) = result {
                acked.lock().expect("nothing panics with it").push((sequence, id));
            }
        });
        let mut payload = payload(id);
        let ledger = ledger(id);
        if !ledger.is_empty() {
            ledger.write(&mut payload);
        }
        Pending::append(payload, 1 + (id % 5) as u32, ledger, done)
    }

    /// The workload: appends, commits of two readers at different speeds, saved cursors, removed segments, a restart in
    /// the middle.
    fn run(&mut self, disk: &Simulated, options: &Options) -> Result<(), OpenError> {
        let mut opened = open(disk, options)?;
        for group in 0..GROUPS {
            self.append(&mut opened.appender, 1 + group % 4);
            if group % 3 == 2 {
                opened.appender.sync();
                self.seen = self.seen.max(opened.appender.shared.state().visible);
            }
            if group % 4 == 3 {
                let visible = opened.appender.shared.state().visible;
                opened.readers[0].commit(visible);
                opened.readers[1].commit(visible.saturating_sub(3));
                self.delivered = opened.readers[1].position();
                opened.appender.save_cursors();
            }
            if group == GROUPS / 2 {
                opened.appender.close();
                self.seen = self.seen.max(opened.appender.shared.state().visible);
                drop(opened);
                opened = open(disk, options)?;
            }
        }
        Ok(())
    }

    /// Checks the guarantees on a recovered disk.
    fn check(&self, disk: &Simulated, Options { sync, keys, .. }: &Options, what: &str) -> Vec<usize> {
        let mut found: Vec<Entry> = Vec::new();
        let read = inspect::entries(disk, keys, 0, |entry| {
            found.push(entry);
            true
        });
        read.expect("a recovered folder can be read");
        assert!(inspect::inspect(disk, keys).expect("it can be read").is_sound(), "{what}: damaged after recovery");
        let ids: Vec<usize> = found.iter().map(|entry| id_of(&entry.payload)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{what}: out of order {ids:?}");
        let sequences: Vec<u64> = found.iter().map(|entry| entry.sequence).collect();
        assert!(sequences.windows(2).all(|pair| pair[0] < pair[1]), "{what}: {sequences:?}");
        for (entry, id) in found.iter().zip(&ids) {
            assert!(*id < self.sent, "{what}: {id} was never sent");
            assert_eq!(entry.payload, payload(*id), "{what}: bytes of {id}");
            assert_eq!(entry.records, 1 + (*id % 5) as u32, "{what}: records of {id}");
        }
        let must_be_there = |sequence: u64| match sync {
            SyncMode::Always => sequence > self.delivered,
            SyncMode::Every(_) => sequence > self.delivered && sequence <= self.seen,
            SyncMode::Off => false,
        };
        for (sequence, id) in self.acked.lock().expect("nothing panics with it").iter() {
            match sequences.binary_search(sequence) {
                Ok(at) => assert_eq!(ids[at], *id, "{what}: number {sequence} means something else now"),
                Err(_) => assert!(!must_be_there(*sequence), "{what}: acknowledged {id} is lost ({sequence})"),
            }
        }
        ids
    }

    /// Checks the held records: all recovered appends count, and those that were acknowledged and seen, in order.
    fn check_held(&self, appender: &Appender, found: Vec<usize>, what: &str) {
        let mut ids = found;
        let acked = self.acked.lock().expect("nothing panics with it");
        ids.extend(acked.iter().filter(|(sequence, _)| *sequence <= self.seen).map(|(_, id)| *id));
        ids.sort_unstable();
        ids.dedup();
        let mut expected: Vec<Hold> = Vec::new();
        for id in ids {
            let Ledger { holds, releases } = ledger(id);
            expected.retain(|hold| !releases.contains(&hold.token));
            expected.extend(holds);
        }
        assert_eq!(appender.shared.state().held.all(), expected, "{what}: what is held");
    }

    /// Opens, checks, appends more, checks that numbers continue, cuts the power again, opens again.
    fn recover_and_go_on(mut self, disk: &Simulated, options: &Options, what: &str) {
        let mut opened = open(disk, options).unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = self.check(disk, options, what);
        if options.sync != SyncMode::Off {
            self.check_held(&opened.appender, found, what);
        }
        for reader in &opened.readers {
            assert_eq!(reader.skipped(), 0, "{what}");
            let before_oldest = opened.appender.shared.state().before_oldest();
            assert!(reader.position() <= self.seen.max(before_oldest), "{what}: a cursor ran ahead");
        }
        if options.sync != SyncMode::Always {
            // Appends that were acknowledged but neither durable nor seen by a reader may be lost, and their numbers
            // reused.
            let mut acked = self.acked.lock().expect("nothing panics with it");
            acked.retain(|(sequence, _)| *sequence <= self.seen);
        }
        let acked_before = self.acked.lock().expect("nothing panics with it").len();
        let seen_before = self.seen;
        self.append(&mut opened.appender, 3);
        opened.appender.sync();
        self.seen = opened.appender.shared.state().visible;
        let acked = self.acked.lock().expect("nothing panics with it")[acked_before..].to_vec();
        assert_eq!(acked.len(), 3, "{what}: can't append after recovery");
        assert!(acked.iter().all(|(sequence, _)| *sequence > seen_before), "{what}: a number was given twice");
        drop(opened);
        let disk = disk.power_cut(Tear::Lost);
        let opened = open(&disk, options).unwrap_or_else(|error| panic!("{what}, again: {error}"));
        let found = self.check(&disk, options, &format!("{what}, again"));
        if options.sync != SyncMode::Off {
            self.check_held(&opened.appender, found, what);
        }
        drop(opened);
    }
}

/// Runs the workload with the fault at operation `at`. Returns the world and the disk, or `None` if the workload ended
/// before it.
fn run_until(at: u64, fault: Fault, options: &Options) -> Option<(World, Simulated)> {
    let disk = Simulated::new();
    disk.fail_at(at, fault);
    let mut world = World::default();
    // The fault causes the error; what matters is the state afterwards.
    let _ = world.run(&disk, options);
    let came = disk.operations() >= at;
    disk.heal();
    came.then_some((world, disk))
}

/// Crashes recovery itself at each of its operations, with nothing unsynced surviving, until it completes.
fn crash_recovery(disk: &Simulated, options: &Options) -> (Simulated, u64) {
    let mut crashes = 0;
    let mut disk = disk.clone();
    loop {
        disk.fail_at(crashes + 1, Fault::Crash);
        match open(&disk, options) {
            Err(_) => {
                disk = disk.power_cut(if crashes % 2 == 0 { Tear::Lost } else { Tear::Kept });
                crashes += 1;
            }
            Ok(opened) => {
                drop(opened);
                disk.heal();
                return (disk.power_cut(Tear::Kept), crashes);
            }
        }
    }
}

fn described(options: &Options) -> String {
    let Options { sync, compress, keys, .. } = options;
    format!("sync {sync:?}, compress {compress}, encrypted {}", keys.encrypts())
}

fn sweep_crashes(options: &Options) -> u64 {
    let mut points = 0;
    let mut in_recovery = 0;
    for at in 1.. {
        let mut ended = false;
        for tear in TEARS {
            let Some((world, disk)) = run_until(at, Fault::Crash, options) else {
                ended = true;
                break;
            };
            let what = format!("{}, operation {at}, {tear:?}", described(options));
            let (disk, crashes) = crash_recovery(&disk.power_cut(tear), options);
            in_recovery += crashes;
            points += 1;
            world.recover_and_go_on(&disk, options, &what);
        }
        if ended {
            break;
        }
    }
    let what = described(options);
    eprintln!("crash sweep, {what}: {points} crash points, {in_recovery} more within recovery, 0 violations");
    points
}

#[test]
fn acknowledged_frames_survive_a_power_cut_at_every_operation() {
    let plain = sweep_crashes(&options(SyncMode::Always, false));
    let compressed = sweep_crashes(&options(SyncMode::Always, true));
    assert!(plain > 400 && compressed > 300, "{plain} and {compressed}: the workload has shrunk");
}

#[test]
fn acknowledged_encrypted_frames_survive_a_power_cut_at_every_operation() {
    for (sync, compress) in [
        (SyncMode::Always, false),
        (SyncMode::Always, true),
        (SyncMode::Every(Duration::from_secs(3600)), false),
        (SyncMode::Off, false),
    ] {
        let points = sweep_crashes(&encrypted(options(sync, compress)));
        assert!(points > 200, "{points}: the workload has shrunk");
    }
}

#[test]
fn frames_that_readers_saw_survive_a_power_cut_when_fsyncs_are_spaced_out() {
    assert!(sweep_crashes(&options(SyncMode::Every(Duration::from_secs(3600)), false)) > 300);
}

#[test]
fn without_fsyncs_surviving_frames_are_in_order_and_no_number_is_reused() {
    assert!(sweep_crashes(&options(SyncMode::Off, false)) > 200);
}

#[test]
fn a_release_that_waits_for_its_fsync_is_not_undone_by_copying_what_it_released() {
    let disk = Simulated::new();
    let mut opened = open(&disk, &options(SyncMode::Every(Duration::from_secs(3600)), false)).expect("it is empty");
    let appender = &mut opened.appender;
    let hold = Ledger { holds: vec![Hold { token: 7, payload: payload(1).into() }], releases: Vec::new() };
    let release = Ledger { holds: Vec::new(), releases: vec![7] };
    for ledger in [hold, release] {
        appender.sync();
        let mut payload = Vec::new();
        ledger.write(&mut payload);
        appender.append([Pending::append(payload, 0, ledger, Box::new(|_| {}))]);
    }
    assert!(appender.copy_held(1));
    appender.sync();
    assert_eq!(appender.shared.state().held.all(), []);
}

/// Removes the segment being written durably, then fails while the next appends detect it.
fn without_active_segment(at: u64, fault: Fault, options: &Options) -> Option<(World, Simulated)> {
    let disk = Simulated::new();
    let mut world = World::default();
    let mut opened = open(&disk, options).expect("the disk is empty");
    world.append(&mut opened.appender, 5);
    opened.appender.save_cursors();
    let active = opened.appender.active.as_ref().expect("it was written to").name.clone();
    disk.remove(&active).and_then(|()| disk.sync_folder()).expect("nothing fails yet");
    let at = disk.operations() + at;
    disk.fail_at(at, fault);
    world.append(&mut opened.appender, 3);
    let came = disk.operations() >= at;
    disk.heal();
    came.then_some((world, disk))
}

#[test]
fn after_the_active_segment_was_removed_all_acknowledged_frames_are_kept_or_opening_fails() {
    let plain = options(SyncMode::Always, false);
    for options in [encrypted(plain.clone()), plain] {
        sweep_removals(&options);
    }
}

fn sweep_removals(options: &Options) {
    let (mut whole, mut refused) = (0, 0);
    for fault in [Fault::Crash, Fault::Error(ErrorKind::Other), Fault::Error(ErrorKind::StorageFull)] {
        for at in 1.. {
            let Some((world, disk)) = without_active_segment(at, fault, options) else {
                break;
            };
            for tear in TEARS {
                let disk = disk.power_cut(tear);
                match open(&disk, options) {
                    Ok(opened) => {
                        drop(opened);
                        world.check(&disk, options, &format!("{fault:?} at operation {at}, {tear:?}"));
                        whole += 1;
                    }
                    Err(error) => {
                        assert!(error.is_damage(), "{fault:?} at operation {at}, {tear:?}: {error}");
                        refused += 1;
                    }
                }
            }
        }
    }
    eprintln!("sweep of a removed segment: {whole} whole, {refused} refused");
    assert!(whole > 50 && refused > 20, "{whole} and {refused}: the workload has shrunk");
}

#[test]
fn a_failed_operation_loses_no_acknowledged_frame() {
    let plain = options(SyncMode::Always, false);
    for options in [encrypted(plain.clone()), plain] {
        sweep_failures(&options);
    }
}

fn sweep_failures(options: &Options) {
    let mut points = 0;
    for kind in [ErrorKind::Other, ErrorKind::StorageFull] {
        for at in 1.. {
            let Some((world, disk)) = run_until(at, Fault::Error(kind), options) else {
                break;
            };
            let what = format!("{kind:?} at operation {at}");
            world.recover_and_go_on(&disk, options, &format!("{what}, restart"));
            points += 1;
            for tear in [Tear::Lost, Tear::Garbage(12), Tear::Holes(22)] {
                let Some((world, disk)) = run_until(at, Fault::Error(kind), options) else {
                    break;
                };
                points += 1;
                world.recover_and_go_on(&disk.power_cut(tear), options, &format!("{what}, then {tear:?}"));
            }
        }
    }
    eprintln!("fault sweep, {}: {points} points, 0 violations", described(options));
    assert!(points > 300, "{points}: the workload has shrunk");
}
