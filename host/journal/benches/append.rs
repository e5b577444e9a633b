//! The cost of an append, compared with the floor: a plain write and fdatasync of the same bytes in the same groups.
//!
//! `cargo bench -p weir-journal` · frames of 100 records of 300 bytes from 8 senders, each waiting for its answer
//! before the next, as a request does. Compare the CPU time per record; the wall-clock time depends on what else runs.
//! `WEIR_BENCH_FOLDER` chooses the disk (default: the temporary folder).

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Instant;
use weir_journal::cipher::{Key, Keys};
use weir_journal::{Disk, Journal, Options, Reader, SyncMode, WhenFull};

const RECORDS: u32 = 100;
const FRAME_BYTES: usize = RECORDS as usize * 300;
const FRAMES: u64 = 8_000;
const SENDERS: u64 = 8;
/// Like segments, files begin anew at this size.
const FILE_BYTES: u64 = 64 << 20;

/// Processor time of this process so far, in microseconds.
fn cpu_us() -> u64 {
    // Fields 14 and 15, user and system, in ticks of 1/100 s; the name in field 2 may hold spaces.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10_000
}

fn payload() -> Vec<u8> {
    (0..FRAME_BYTES).map(|at| (at * 7 + at / 300) as u8 % 96 + 32).collect()
}

struct Outcome {
    name: String,
    frames: u64,
    frames_a_group: f64,
    seconds: f64,
    cpu_us: u64,
}

impl Outcome {
    fn print(&self) {
        let records = (self.frames * u64::from(RECORDS)) as f64;
        println!(
            "{:<34} {:>10.0} records/s {:>8.4} µs CPU a record {:>6.1} frames a group",
            self.name,
            records / self.seconds,
            self.cpu_us as f64 / records,
            self.frames_a_group,
        );
    }
}

/// Sends all frames from several threads; each waits for its answer.
fn drive(journal: &Journal, payload: &[u8]) {
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let (sender, receiver) = mpsc::channel();
                for _ in 0..FRAMES / SENDERS {
                    let sender = sender.clone();
                    journal.append(payload.to_vec(), RECORDS, move |result| {
                        // The receiver lives as long as this loop.
                        let _ = sender.send(result);
                    });
                    if let Ok(Err(error)) = receiver.recv() {
                        println!("not taken: {error}");
                    }
                }
            });
        }
    });
}

fn journal(folder: &Path, name: &str, options: Options, reads: bool) -> Result<Outcome, Box<dyn std::error::Error>> {
    let place = folder.join("journal");
    let keys = options.keys.clone();
    let _ = fs::remove_dir_all(&place);
    let (journal, _) = Journal::open(Arc::new(Disk::new(&place)), options)?;
    let reader = if reads { Some(journal.reader("bench", None)?) } else { None };
    let payload = payload();
    let (began, cpu) = (Instant::now(), cpu_us());
    std::thread::scope(|scope| {
        if let Some(reader) = reader {
            scope.spawn(|| read_all(reader));
        }
        drive(&journal, &payload);
    });
    let (seconds, cpu_us) = (began.elapsed().as_secs_f64(), cpu_us() - cpu);
    journal.close();
    let frames_a_group = frames_a_group(&place, &keys)?;
    let outcome = Outcome { name: name.to_string(), frames: FRAMES, frames_a_group, seconds, cpu_us };
    fs::remove_dir_all(&place)?;
    Ok(outcome)
}

/// Frames that were written together have the same time.
fn frames_a_group(place: &Path, keys: &Keys) -> Result<f64, Box<dyn std::error::Error>> {
    let (mut frames, mut groups, mut time_ns) = (0u32, 0u32, 0);
    weir_journal::inspect::entries(&Disk::new(place), keys, 0, |entry| {
        frames += 1;
        groups += u32::from(entry.time_ns != time_ns);
        time_ns = entry.time_ns;
        true
    })?;
    Ok(f64::from(frames) / f64::from(groups.max(1)))
}

fn read_all(mut reader: Reader) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        while let Ok(entries) = reader.next(1 << 20).await {
            let last = entries.last().map_or(0, |entry| entry.sequence);
            reader.commit(last);
            if last == FRAMES {
                return;
            }
        }
    });
}

/// The same bytes in groups of this many frames: one write, one fdatasync. Each frame's bytes are created anew, as the
/// senders do.
fn floor(folder: &Path, frames_a_group: u64, sync: bool) -> Result<Outcome, std::io::Error> {
    let place = folder.join("floor");
    let payload = payload();
    let mut file = fresh(&place)?;
    let (began, cpu) = (Instant::now(), cpu_us());
    let mut written = 0;
    let mut group = Vec::new();
    for _ in 0..FRAMES / frames_a_group {
        group.clear();
        for _ in 0..frames_a_group {
            group.extend_from_slice(&payload);
        }
        if written + group.len() as u64 > FILE_BYTES {
            file = fresh(&place)?;
            written = 0;
        }
        file.write_all(&group)?;
        written += group.len() as u64;
        if sync {
            file.sync_data()?;
        }
    }
    let outcome = Outcome {
        name: format!("floor, {frames_a_group} a group, sync {sync}"),
        frames: FRAMES,
        frames_a_group: frames_a_group as f64,
        seconds: began.elapsed().as_secs_f64(),
        cpu_us: cpu_us() - cpu,
    };
    fs::remove_file(&place)?;
    Ok(outcome)
}

fn fresh(place: &Path) -> Result<File, std::io::Error> {
    OpenOptions::new().create(true).write(true).truncate(true).open(place)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::var_os("WEIR_BENCH_FOLDER").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("weir-journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    // Old segments are removed continuously, as when sinks keep up.
    let options = || Options { max_size_bytes: 512 << 20, when_full: WhenFull::DropOldest, ..Options::default() };
    let keys = Keys::new(Some(Key::parse(&Key::random()?)?), Vec::new());
    for _ in 0..3 {
        let off_encrypted = Options { sync: SyncMode::Off, keys: keys.clone(), ..options() };
        floor(&folder, 4, true)?.print();
        floor(&folder, 8, true)?.print();
        floor(&folder, 8, false)?.print();
        journal(&folder, "journal, always", options(), false)?.print();
        journal(&folder, "journal, always, encrypted", Options { keys: keys.clone(), ..options() }, false)?.print();
        journal(&folder, "journal, always, a reader", options(), true)?.print();
        journal(&folder, "journal, off", Options { sync: SyncMode::Off, ..options() }, false)?.print();
        journal(&folder, "journal, off, encrypted", off_encrypted, false)?.print();
        journal(&folder, "journal, always, LZ4", Options { compress: true, ..options() }, false)?.print();
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
