//! Reports what fuzzing found, and writes the records to files for `--samples`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use weir_record::escape::escaped;
use weir_record::{Batch, write_json};

use super::fuzz::{Finding, FuzzReport};
use super::{run, samples, tree};

/// Writes a file for each finding and returns the report.
pub fn report(fuzzed: &FuzzReport, folder: &Path, target: &str, options: &str) -> anyhow::Result<String> {
    let (from, to) = fuzzed.memory_bytes;
    let mut text = format!(
        "{} records in {} calls; memory {} at first, {} at most\n",
        fuzzed.records,
        fuzzed.calls,
        weir_terminal::size(from as u64),
        weir_terminal::size(to as u64)
    );
    if fuzzed.findings.is_empty() {
        text.push_str("no faults found\n");
    }
    for (number, finding) in fuzzed.findings.iter().enumerate() {
        text.push_str(&one(finding, number + 1, folder, target, options)?);
    }
    if fuzzed.not_kept > 0 {
        text.push_str(&format!("\nand {} more calls with other kinds of faults\n", fuzzed.not_kept));
    }
    Ok(text)
}

fn one(finding: &Finding, number: usize, folder: &Path, target: &str, options: &str) -> anyhow::Result<String> {
    let seen = &finding.seen;
    let mut text = format!("\n{}: {}\n", seen.fault.name(), seen.reason);
    text.push_str(&match seen.times {
        1 => format!("  seen once, after {} records\n", seen.after_records),
        times => format!("  seen {times} times, first after {} records\n", seen.after_records),
    });
    // These were given to the filter, so they are records.
    let batch = tree::batch(&finding.records).context("a finding is no longer a valid record")?;
    match (finding.is_reproducible, batch.len()) {
        (true, 0) => text.push_str("  it is reproduced without any record\n"),
        (true, 1) => text.push_str("  the smallest record that reproduces it:\n"),
        (true, more) => text.push_str(&format!("  the smallest batch that reproduces it, of {more} records:\n")),
        (false, more) => text.push_str(&format!("  not reproduced with these and the {more} last records\n")),
    }
    if finding.is_reproducible {
        for record in batch.iter().take(3) {
            let line = run::line(record);
            let end = line.floor_char_boundary(crate::limits::SHOWN_RECORD_BYTES);
            let more = if end < line.len() { "…" } else { "" };
            text.push_str(&format!("    {}{more}\n", escaped(&line[..end])));
        }
    }
    if !batch.is_empty() {
        let file = write(&batch, folder, &format!("{number}-{}", seen.fault.name()))?;
        text.push_str(&format!("  weir filter test {target}{options} --samples {}\n", file.display()));
    }
    Ok(text)
}

/// Writes JSON, which people can read, if it represents the records exactly, and MessagePack otherwise.
fn write(batch: &Batch, folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("can't create the folder {}", folder.display()))?;
    let mut lines = Vec::new();
    for record in batch.iter() {
        write_json(record, &mut lines);
        lines.push(b'\n');
    }
    let mut again = Batch::new();
    let says_all = samples::read_json(&lines, &mut again).is_ok() && again == *batch;
    let (file, bytes) = match says_all {
        true => (folder.join(format!("{name}.jsonl")), &lines[..]),
        false => (folder.join(format!("{name}.msgpack")), batch.bytes()),
    };
    std::fs::write(&file, bytes).with_context(|| format!("can't write {}", file.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_written_as_json_if_exact_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut plain = Batch::new();
        samples::read_json(r#"{"message":"é","n":1.5}"#.as_bytes(), &mut plain).unwrap();
        let mut odd = Batch::new();
        samples::read_msgpack(&[0x81, 0xa1, b'b', 0xc4, 2, 0, 255], &mut odd).unwrap();
        for (batch, ending) in [(plain, "jsonl"), (odd, "msgpack")] {
            let file = write(&batch, folder.path(), "x").unwrap();
            assert_eq!(file.extension().unwrap(), ending);
            assert_eq!(samples::read(Some(&file)).unwrap(), batch);
        }
    }
}
