//! Erases lines from the files of a sink: a file with matching lines is written again without them and replaced as a
//! whole, so a crash leaves the old file or the new one. Rotated and compressed files are treated like the others.
//!
//! The sink is held meanwhile: it has nothing open, nothing is tidied, and its position lists no file
//! ([`Store::release`](super::store::Store::release)). A file keeps its permissions, its owner and its time of change,
//! from which `retention` counts.
//!
//! Only lines that are records can match. Summaries for searches are removed first, since they have the words of the lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use memchr::memrchr;
use weir_journal::disk::replace_file_with;
use weir_query::Query;
use weir_record::Record;

use super::rewrites::Rewriting;
use super::rotate::{COMPRESSED, with_ending};
use super::search::line::{Parser, Prefilter};
use super::{FileSink, Format};
use crate::disk::DiskError;
use crate::erasure::{Erased, Erasure};
use crate::limits;
use crate::owners::real;
use crate::sink::SinkError;

impl FileSink {
    /// See [`Sink::erase`](crate::sink::Sink::erase).
    pub(super) fn erase_lines(&mut self, erasure: &Erasure, last_sequence: u64) -> Result<Erased, SinkError> {
        if self.options.format != Format::Json {
            let reason = "its lines are text, in which no query finds fields; edit its files";
            return Ok(Erased::OutOfReach(Some(reason.into())));
        }
        let files = self.files_to_erase()?;
        if !erasure.dry_run && !files.is_empty() {
            // Ends its thread. The next start begins it again.
            self.tidier = None;
            self.store.release(last_sequence).map_err(|error| self.failed(&error))?;
        }
        let mut lines = Lines::new(&erasure.query);
        let (mut erased, mut rewriting) = (0, None);
        for path in files {
            erased +=
                self.erase_from(&path, &mut lines, erasure, &mut rewriting).map_err(|error| match erasure.go_on() {
                    Ok(()) => self.retry(&DiskError::new("erase from", &path, error)),
                    Err(reason) => self.retry(&reason),
                })?;
        }
        Ok(Erased::Records(erased))
    }

    fn files_to_erase(&self) -> Result<Vec<PathBuf>, SinkError> {
        let mut files = self.store.files().map_err(|error| self.failed(&error))?;
        let template = self.lines.path();
        // It may have been there before the sink.
        files.extend(template.is_fixed().then(|| template.outline(0)));
        files.sort();
        files.dedup();
        let claimant = self.store.claimant();
        files.retain(|path| !claimant.belongs_to_other(path));
        Ok(files)
    }

    fn erase_from(
        &self,
        path: &Path,
        lines: &mut Lines<'_>,
        erasure: &Erasure,
        rewriting: &mut Option<Rewriting>,
    ) -> io::Result<u64> {
        erasure.go_on().map_err(io::Error::other)?;
        // A link stays a link.
        let path = real(path);
        if !erasure.dry_run {
            // Left by a crash while the file was compressed or replaced.
            for leftover in [".new", ".zst.new"] {
                remove(&with_ending(&path, leftover))?;
            }
        }
        if !fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            return Ok(0);
        }
        let is_compressed = path.to_string_lossy().ends_with(COMPRESSED);
        let matching = lines.pass(&mut open(&path, is_compressed)?, erasure, &mut |_| Ok(()))?;
        if erasure.dry_run || matching == 0 {
            return Ok(matching);
        }
        if rewriting.is_none() {
            *rewriting = Some(self.rewrites.begin(|| remove_folder(&self.summaries))?);
        }
        replace_file_with(&path, |out| rewrite(&path, is_compressed, out, lines, erasure))?;
        erasure.count(matching);
        Ok(matching)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open(path: &Path, is_compressed: bool) -> io::Result<Box<dyn Read>> {
    let file = File::open(path)?;
    Ok(if is_compressed { Box::new(zstd::stream::read::Decoder::new(file)?) } else { Box::new(file) })
}

fn rewrite(
    path: &Path,
    is_compressed: bool,
    out: &mut File,
    lines: &mut Lines<'_>,
    erasure: &Erasure,
) -> io::Result<()> {
    let found = fs::metadata(path)?;
    // Another owner can be kept by root alone; the permissions say who may read it then.
    let _ = fchown(&*out, Some(found.uid()), Some(found.gid()));
    out.set_permissions(found.permissions())?;
    let mut source = open(path, is_compressed)?;
    if is_compressed {
        let mut encoder = zstd::stream::write::Encoder::new(&mut *out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
        lines.pass(&mut source, erasure, &mut |rest| encoder.write_all(rest))?;
        encoder.finish()?;
    } else {
        let mut writer = BufWriter::new(&mut *out);
        lines.pass(&mut source, erasure, &mut |rest| writer.write_all(rest))?;
        writer.flush()?;
    }
    out.set_modified(found.modified()?)
}

/// Finds matching lines.
struct Lines<'q> {
    query: &'q Query,
    prefilter: Prefilter,
    parser: Parser,
    candidates: Vec<Range<usize>>,
}

impl<'q> Lines<'q> {
    fn new(query: &'q Query) -> Lines<'q> {
        Lines { query, prefilter: Prefilter::new(query), parser: Parser::default(), candidates: Vec::new() }
    }

    /// Passes everything on but matching lines, and returns their number. Reads whole lines, some hundred KiB at a time.
    fn pass(
        &mut self,
        source: &mut dyn Read,
        erasure: &Erasure,
        rest: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<u64> {
        let (mut bytes, mut matching) = (Vec::new(), 0);
        loop {
            erasure.go_on().map_err(io::Error::other)?;
            let got = Read::take(&mut *source, limits::FILE_BLOCK_BYTES).read_to_end(&mut bytes)?;
            let end = match memrchr(b'\n', &bytes) {
                Some(last) if got > 0 => last + 1,
                // No record is that long.
                None if got > 0 && bytes.len() <= limits::FILE_LINE_BYTES => continue,
                _ => bytes.len(),
            };
            matching += self.pass_block(&bytes[..end], rest)?;
            bytes.drain(..end);
            if got == 0 {
                return Ok(matching);
            }
        }
    }

    fn pass_block(&mut self, block: &[u8], rest: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
        let mut candidates = std::mem::take(&mut self.candidates);
        self.prefilter.lines(block, &mut candidates);
        let (mut passed, mut matching) = (0, 0);
        for line in &candidates {
            let record = self.parser.record(&block[line.clone()]).map(Record::new);
            if record.is_some_and(|record| self.query.matches(record)) {
                rest(&block[passed..line.start])?;
                passed = (line.end + 1).min(block.len());
                matching += 1;
            }
        }
        self.candidates = candidates;
        rest(&block[passed..])?;
        Ok(matching)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn without(text: &str, query: &str) -> (String, u64) {
        let query = Query::parse(query, None).expect("a query");
        let erasure = Erasure::new(query.clone(), false, Instant::now() + Duration::from_secs(600));
        let mut rest = Vec::new();
        let mut lines = Lines::new(&query);
        let matching = lines.pass(&mut text.as_bytes(), &erasure, &mut |bytes| {
            rest.extend_from_slice(bytes);
            Ok(())
        });
        (String::from_utf8(rest).expect("UTF-8"), matching.expect("read"))
    }

    #[test]
    fn matching_lines_go_and_every_other_byte_stays() {
        let line = |user: u32, text: &str| format!("{{\"message\":\"{text}\",\"context\":{{\"user_id\":{user}}}}}\n");
        let long = "x".repeat(3 * limits::FILE_BLOCK_BYTES as usize);
        let others = [line(7, "42"), "no record 42\n".into(), "\n".into(), line(7, &long), line(421, "b")];
        let mine = [line(42, "a"), line(42, &long), line(42, "c")];
        let mixed = [&others[0], &mine[0], &others[1], &others[2], &mine[1], &others[3], &others[4], &mine[2]];
        let text: String = mixed.into_iter().map(String::as_str).collect();
        for end in ["", "half a line 42"] {
            let text = format!("{text}{end}");
            assert_eq!(without(&text, "context.user_id=42"), (others.concat() + end, 3));
            assert_eq!(without(&text, "context.user_id=43"), (text, 0));
        }
        let whole = line(42, "the last line, without its end");
        assert_eq!(without(whole.trim_end(), "context.user_id=42"), (String::new(), 1));
    }
}
