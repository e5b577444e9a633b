//! A disk in memory that fails on request: at the n-th operation, for lack of space, or by losing power, with every
//! state that a power cut may leave in unsynced data.
//!
//! It keeps two states: what programs see, and what is durable. `StoredFile::sync` copies one file from the first to
//! the second, `Storage::sync_folder` copies the names. [`Simulated::power_cut`] returns the disk as the next start
//! finds it.

use crate::storage::{FileInfo, Lock, Storage, StoredFile};
use crate::tear::{next_random, torn};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use crate::tear::Tear;

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The power fails: this operation happens in part, and every later one fails.
    Crash,
    /// Only this operation fails, with this error. Half the bytes of a write are written.
    Error(io::ErrorKind),
}

#[derive(Debug, Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Clone)]
enum FolderChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
struct DiskState {
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_changes: Vec<FolderChange>,
    contents: BTreeMap<u64, Content>,
    next_id: u64,
    operations: u64,
    fault: Option<(u64, Fault)>,
    down: bool,
    locked: bool,
    capacity_bytes: Option<u64>,
    no_descriptors: bool,
}

/// The disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Simulated {
    state: Arc<Mutex<DiskState>>,
}

fn lock(state: &Mutex<DiskState>) -> MutexGuard<'_, DiskState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulated {
    /// An empty disk.
    pub fn new() -> Simulated {
        Simulated::default()
    }

    /// The number of operations so far that change or sync something.
    pub fn operations(&self) -> u64 {
        lock(&self.state).operations
    }

    /// Makes operation `n` fail, counted from 1 since the disk was created.
    pub fn fail_at(&self, n: u64, fault: Fault) {
        lock(&self.state).fault = Some((n, fault));
    }

    /// Cancels a fault that has not occurred yet.
    pub fn heal(&self) {
        lock(&self.state).fault = None;
    }

    /// Limits the total size of all files; writes beyond it fail with `StorageFull`.
    pub fn set_capacity(&self, capacity_bytes: Option<u64>) {
        lock(&self.state).capacity_bytes = capacity_bytes;
    }

    /// While set, no further file can be opened (EMFILE).
    pub fn set_out_of_descriptors(&self, out: bool) {
        lock(&self.state).no_descriptors = out;
    }

    /// Changes one byte, as a failing disk would.
    pub fn flip_byte(&self, name: &str, offset: usize) {
        let mut state = lock(&self.state);
        let id = state.names.get(name).copied();
        if let Some(content) = id.and_then(|id| state.contents.get_mut(&id)) {
            for bytes in [&mut content.now, &mut content.durable] {
                if let Some(byte) = bytes.get_mut(offset) {
                    *byte ^= 0x40;
                }
            }
        }
    }

    /// The bytes of a file, as programs see them.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = lock(&self.state);
        let id = state.names.get(name)?;
        state.contents.get(id).map(|content| content.now.clone())
    }

    /// Adds a durable file.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = lock(&self.state);
        let id = state.new_id();
        state.names.insert(name.to_string(), id);
        state.durable_names.insert(name.to_string(), id);
        state.contents.insert(id, Content { now: bytes.clone(), durable: bytes });
    }

    /// The disk as found after a power cut at this moment.
    pub fn power_cut(&self, tear: Tear) -> Simulated {
        let state = lock(&self.state);
        let mut seed = match tear {
            Tear::Lost | Tear::Kept => 0,
            Tear::Prefix(seed) | Tear::Garbage(seed) | Tear::Holes(seed) => seed,
        };
        let mut names = state.durable_names.clone();
        for change in &state.unsynced_changes {
            let survives = match tear {
                Tear::Lost => false,
                Tear::Kept => true,
                _ => next_random(&mut seed).is_multiple_of(2),
            };
            if survives {
                apply(&mut names, change);
            }
        }
        let mut found = DiskState { next_id: state.next_id, ..DiskState::default() };
        for (name, id) in names {
            let content = state.contents.get(&id).cloned().unwrap_or_default();
            let bytes = torn(&content.now, &content.durable, tear, &mut seed);
            found.contents.insert(id, Content { now: bytes.clone(), durable: bytes });
            found.names.insert(name.clone(), id);
            found.durable_names.insert(name, id);
        }
        Simulated { state: Arc::new(Mutex::new(found)) }
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &FolderChange) {
    match change {
        FolderChange::Create(name, id) => {
            names.insert(name.clone(), *id);
        }
        FolderChange::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
        FolderChange::Remove(name) => {
            names.remove(name);
        }
    }
}

impl DiskState {
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn check_up(&self) -> io::Result<()> {
        if self.down { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    fn check_descriptors(&self) -> io::Result<()> {
        // EMFILE.
        if self.no_descriptors { Err(io::Error::from_raw_os_error(24)) } else { Ok(()) }
    }

    /// Counts an operation. Returns the fault that hits it, if any.
    fn operation(&mut self) -> io::Result<Option<Fault>> {
        self.check_up()?;
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if at == self.operations => {
                self.down = fault == Fault::Crash;
                Ok(Some(fault))
            }
            _ => Ok(None),
        }
    }

    /// An operation that happens completely or not at all.
    fn whole_operation(&mut self) -> io::Result<()> {
        match self.operation()? {
            None => Ok(()),
            Some(fault) => Err(fault.error()),
        }
    }

    fn id(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn content(&mut self, id: u64) -> &mut Content {
        self.contents.entry(id).or_default()
    }

    fn used_bytes(&self) -> u64 {
        let lengths = self.names.values().filter_map(|id| self.contents.get(id));
        lengths.map(|content| content.now.len() as u64).sum()
    }

    fn change(&mut self, change: FolderChange) {
        apply(&mut self.names, &change);
        self.unsynced_changes.push(change);
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Fault::Crash => io::Error::other("the power went off"),
            Fault::Error(kind) => kind.into(),
        }
    }
}

struct Held(Arc<Mutex<DiskState>>);

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.0).locked = false;
    }
}

impl Storage for Simulated {
    fn place(&self) -> String {
        "simulated".to_string()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Lock>>> {
        let mut state = lock(&self.state);
        state.check_up()?;
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Held(Arc::clone(&self.state)))))
    }

    fn list(&self) -> io::Result<Vec<FileInfo>> {
        let state = lock(&self.state);
        state.check_up()?;
        let size = |id| state.contents.get(id).map_or(0, |content| content.now.len() as u64);
        let files = state.names.iter();
        Ok(files.map(|(name, id)| FileInfo { name: name.clone(), size_bytes: size(id) }).collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        state.check_descriptors()?;
        let id = match state.id(name) {
            Ok(id) => id,
            Err(_) => {
                let id = state.new_id();
                state.change(FolderChange::Create(name.to_string(), id));
                id
            }
        };
        state.content(id).now.clear();
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), id }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StoredFile>> {
        let state = lock(&self.state);
        state.check_up()?;
        state.check_descriptors()?;
        let id = state.id(name)?;
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), id }))
    }

    fn exists(&self, name: &str) -> bool {
        lock(&self.state).names.contains_key(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        state.id(from)?;
        state.change(FolderChange::Rename(from.to_string(), to.to_string()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        state.id(name)?;
        state.change(FolderChange::Remove(name.to_string()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        state.unsynced_changes.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }
}

struct SimulatedFile {
    state: Arc<Mutex<DiskState>>,
    id: u64,
}

impl StoredFile for SimulatedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        let mut state = lock(&self.state);
        state.check_up()?;
        Ok(state.content(self.id).now.len() as u64)
    }

    fn is_linked(&self) -> io::Result<bool> {
        let state = lock(&self.state);
        state.check_up()?;
        Ok(state.names.values().any(|id| *id == self.id))
    }

    fn append(&self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let mut state = lock(&self.state);
        let fault = state.operation()?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let room = state.capacity_bytes.map(|most| most.saturating_sub(state.used_bytes()));
        let mut outcome = Ok(());
        if let Some(room) = room
            && (bytes.len() as u64) > room
        {
            bytes.truncate(room as usize);
            outcome = Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(fault) = fault {
            bytes.truncate(bytes.len() / 2);
            outcome = Err(fault.error());
        }
        state.content(self.id).now.extend_from_slice(&bytes);
        outcome
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = lock(&self.state);
        state.check_up()?;
        let bytes = &state.content(self.id).now;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let read = buffer.len().min(bytes.len() - from);
        buffer[..read].copy_from_slice(&bytes[from..from + read]);
        Ok(read)
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        let size = usize::try_from(size_bytes).unwrap_or(usize::MAX);
        state.content(self.id).now.resize(size, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.whole_operation()?;
        let content = state.content(self.id);
        content.durable = content.now.clone();
        Ok(())
    }
}
