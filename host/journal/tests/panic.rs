//! A writer that panics: no caller waits for ever, nothing more is accepted, and the reason is reported.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use weir_journal::simulated::Simulated;
use weir_journal::storage::{FileInfo, Lock, Storage, StoredFile};
use weir_journal::{AppendError, Journal, Options};

/// A disk whose next write panics once it is armed.
#[derive(Clone)]
struct PanickingDisk {
    disk: Simulated,
    armed: Arc<AtomicBool>,
}

struct File {
    file: Arc<dyn StoredFile>,
    armed: Arc<AtomicBool>,
}

impl PanickingDisk {
    fn file(&self, file: Arc<dyn StoredFile>) -> Arc<dyn StoredFile> {
        Arc::new(File { file, armed: self.armed.clone() })
    }
}

impl Storage for PanickingDisk {
    fn place(&self) -> String {
        self.disk.place()
    }
    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>> {
        self.disk.lock()
    }
    fn list(&self) -> io::Result<Vec<FileInfo>> {
        self.disk.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        Ok(self.file(self.disk.create(name)?))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        Ok(self.file(self.disk.open(name)?))
    }
    fn exists(&self, name: &str) -> bool {
        self.disk.exists(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_folder(&self) -> io::Result<()> {
        self.disk.sync_folder()
    }
}

impl StoredFile for File {
    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
    fn is_linked(&self) -> io::Result<bool> {
        self.file.is_linked()
    }
    fn append(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "on purpose");
        self.file.append(parts)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        self.file.truncate(size_bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

/// The outcome of an append; `None` if its callback was dropped without a call.
fn append(journal: &Journal) -> Option<Result<u64, AppendError>> {
    let (done, heard) = mpsc::channel();
    journal.append(b"payload".to_vec(), 1, move |result| done.send(result).unwrap_or_default());
    heard.recv_timeout(Duration::from_secs(60)).ok()
}

#[test]
fn a_panicking_writer_poisons_the_journal_and_acknowledged_entries_survive() {
    let disk = Simulated::new();
    let trapped = PanickingDisk { disk: disk.clone(), armed: Arc::default() };
    let armed = trapped.armed.clone();
    let (journal, _) = Journal::open(Arc::new(trapped), Options::default()).unwrap();
    assert!(matches!(append(&journal), Some(Ok(1))));
    assert!(!journal.has_ended() && journal.stats().poisoned.is_none());
    armed.store(true, Ordering::SeqCst);
    assert!(!matches!(append(&journal), Some(Ok(_))), "it is not stored");
    while !journal.has_ended() {
        std::thread::yield_now();
    }
    let why = journal.stats().poisoned.unwrap();
    assert!(why.contains("ended unexpectedly"), "{why}");
    assert!(matches!(append(&journal), Some(Err(_))), "nothing is taken any more");
    journal.close();
    drop(journal);
    let (journal, _) = Journal::open(Arc::new(disk), Options::default()).unwrap();
    assert_eq!(journal.last_sequence(), 1);
    assert!(matches!(append(&journal), Some(Ok(2))));
}
