//! Counts the records that have arrived in a sink.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// Time from the last answer until the last record is in the sink.
const ARRIVE: Duration = Duration::from_secs(120);

/// Where the records of a case arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere to count: every acknowledged record counts.
    Answered,
    /// As lines of `out.jsonl`.
    Lines,
    /// As rows of `data/logs.db`.
    Rows,
}

/// Waits until `expected` records have arrived. Returns how many did.
pub fn wait(place: Destination, folder: &Path, expected: u64) -> anyhow::Result<u64> {
    let until = Instant::now() + ARRIVE;
    let mut count = Counter::new(place, folder);
    loop {
        let arrived = count.poll(expected)?;
        if arrived >= expected || Instant::now() > until {
            return Ok(arrived);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Counts incrementally.
pub struct Counter {
    place: Destination,
    folder: PathBuf,
    file: Option<File>,
    lines: u64,
}

impl Counter {
    pub fn new(place: Destination, folder: &Path) -> Self {
        Self { place, folder: folder.to_path_buf(), file: None, lines: 0 }
    }

    /// The number of records that have arrived so far.
    pub fn poll(&mut self, expected: u64) -> anyhow::Result<u64> {
        match self.place {
            Destination::Answered => Ok(expected),
            Destination::Lines => self.lines(),
            Destination::Rows => rows(&self.folder.join("data/logs.db")),
        }
    }

    fn lines(&mut self) -> anyhow::Result<u64> {
        if self.file.is_none() {
            match File::open(self.folder.join("out.jsonl")) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
                opened => self.file = Some(opened?),
            }
        }
        let Some(file) = &mut self.file else {
            return Ok(0);
        };
        let mut chunk = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut chunk)?;
            if read == 0 {
                return Ok(self.lines);
            }
            self.lines += chunk[..read].iter().filter(|b| **b == b'\n').count() as u64;
        }
    }
}

/// Counts the rows of the table with an ordinary query.
fn rows(database: &Path) -> anyhow::Result<u64> {
    if !database.exists() {
        return Ok(0);
    }
    let options = SqliteConnectOptions::new().filename(database).read_only(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let count: i64 = sqlx::query_scalar("select count(*) from logs").fetch_one(&mut connection).await?;
        Ok(count as u64)
    })
}
