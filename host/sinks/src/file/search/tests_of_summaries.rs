//! Summaries: they save reading, and never change an answer, whatever happens to them or to the files.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use weir_record::Batch;

use super::super::FileSink;
use super::super::tests::Place as Folder;
use super::tests::{at, messages, open_search, query, started};
use super::*;
use crate::sink::Sink;
use crate::testing::{eventually, frame};

/// Nanoseconds between two records.
const STEP_NS: i64 = 1_000_000_000;

fn options() -> Value {
    json!({ "path": "all.jsonl" })
}

/// Writes records that differ in their numbers, so that each is in one block.
async fn write(sink: &mut FileSink, sequence: u64, numbers: std::ops::Range<i64>) {
    let mut batch = Batch::new();
    numbers.for_each(|number| batch.push(&at(number * STEP_NS, &format!("some words and id{number:05}"))));
    sink.deliver(&[frame(sequence, batch)]).await.expect("delivers");
    sink.flush().await.expect("flushes");
}

async fn filled(folder: &Folder, given: &Value) -> FileSink {
    let mut sink = started(folder, given).await;
    write(&mut sink, 1, 0..400).await;
    sink
}

fn groups(folder: &Folder) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.path("data/search/sut")).into_iter().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.sort();
    found
}

/// The number of blocks that were read since the last call.
fn blocks_read(search: &FileSearch) -> usize {
    search.catalog.blocks_read.swap(0, Ordering::Relaxed)
}

async fn found(search: &FileSearch, text: &str) -> Vec<String> {
    let hits = search.newest(&query(text), None, 1000).await.expect("finds");
    messages(&hits).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_new_process_reads_only_the_blocks_with_the_word_and_those_at_edges_of_buckets() {
    let folder = Folder::new();
    let _sink = filled(&folder, &options()).await;
    let search = open_search(&folder, &options());
    let histogram = search.histogram(&query(""), By::Level, 4).await.expect("counts");
    assert!(blocks_read(&search) > 80);
    search.prepare().await.expect("summarises");
    assert!(groups(&folder).len() > 10);
    let search = open_search(&folder, &options());
    assert_eq!(found(&search, "id00123").await, ["some words and id00123"]);
    // The last block may grow, so it isn't summarised. One may be found wrongly.
    assert!(blocks_read(&search) <= 5, "times, the last block and one with the word");
    assert_eq!(found(&search, "id00123 OR id00124 nothing").await.len(), 1);
    assert_eq!(found(&search, "message=\"some words and id00007\"").await.len(), 1);
    assert!(found(&search, "nowhere=5").await.is_empty());
    assert!(blocks_read(&search) <= 12);
    let explained = search.explain(&query("id00123"), 10).await.expect("explains");
    assert!(explained.contains("filters of words exclude"), "{explained}");
    let total = |histogram: &Histogram| histogram.buckets.values().flat_map(|counts| counts.values()).sum::<u64>();
    for by in [By::Level, By::Source] {
        blocks_read(&search);
        let fast = search.histogram(&query(""), by, 4).await.expect("counts");
        assert_eq!((total(&fast), total(&histogram)), (400, 400));
        assert_eq!((fast.buckets.len(), histogram.buckets.len()), (4, 4));
        assert!(blocks_read(&search) <= 5, "three edges, and the last block");
    }
}

#[tokio::test]
async fn damaged_cut_or_foreign_summaries_are_ignored() {
    let folder = Folder::new();
    let _sink = filled(&folder, &options()).await;
    open_search(&folder, &options()).prepare().await.expect("summarises");
    let groups = groups(&folder);
    let check = async |context: &str| {
        let search = open_search(&folder, &options());
        for number in [3, 77, 200, 399] {
            assert_eq!(found(&search, &format!("id{number:05}")).await.len(), 1, "{context}: {number}");
        }
        let counted = search.histogram(&query(""), By::Source, 3).await.expect("counts");
        assert_eq!(counted.buckets.values().flat_map(|counts| counts.values()).sum::<u64>(), 400, "{context}");
    };
    for path in [&groups[0], &groups[groups.len() / 2]] {
        let whole = fs::read(path).expect("readable");
        for byte in (0..whole.len()).step_by(whole.len() / 40) {
            let mut damaged = whole.clone();
            damaged[byte] ^= 0xff;
            fs::write(path, &damaged).expect("writable");
            check(&format!("byte {byte} of {path:?}")).await;
        }
        for length in [0, 7, 12, 40, whole.len() / 2, whole.len() - 1] {
            fs::write(path, &whole[..length]).expect("writable");
            check(&format!("{length} bytes of {path:?}")).await;
        }
        fs::write(path, fs::read(&groups[3]).expect("readable")).expect("writable");
        check("another group").await;
        fs::write(path, &whole).expect("writable");
    }
    fs::remove_dir_all(folder.path("data/search")).expect("removable");
    check("none").await;
}

#[tokio::test]
async fn summaries_of_lines_that_were_replaced_are_ignored() {
    let folder = Folder::new();
    let sink = filled(&folder, &options()).await;
    open_search(&folder, &options()).prepare().await.expect("summarises");
    drop(sink);
    // As if a crash had taken lines back, and others had been written, of the same length.
    let content = fs::read_to_string(folder.path("all.jsonl")).expect("readable");
    let (kept, taken_back) = content.split_at(content.len() / 2);
    let others = taken_back.replace("and id", "and no");
    fs::write(folder.path("all.jsonl"), format!("{kept}{others}")).expect("writable");
    let search = open_search(&folder, &options());
    assert_eq!(found(&search, "no00300").await.len(), 1);
    assert_eq!(found(&search, "id00300").await.len(), 0);
    assert_eq!(found(&search, "id00100").await.len(), 1);
    fs::write(folder.path("all.jsonl"), kept).expect("writable");
    assert_eq!(found(&open_search(&folder, &options()), "some").await.len(), kept.lines().count());
}

#[tokio::test]
async fn only_lines_that_no_crash_takes_back_are_summarised() {
    let folder = Folder::new();
    let mut sink = started(&folder, &options()).await;
    let mut batch = Batch::new();
    (0..400).for_each(|number| batch.push(&at(number, &format!("words {number}"))));
    sink.deliver(&[frame(1, batch)]).await.expect("delivers");
    let search = open_search(&folder, &options());
    search.prepare().await.expect("works");
    assert!(groups(&folder).is_empty());
    sink.flush().await.expect("flushes");
    search.prepare().await.expect("works");
    assert!(!groups(&folder).is_empty());
}

#[tokio::test]
async fn summaries_grow_with_the_file() {
    let folder = Folder::new();
    let mut sink = started(&folder, &options()).await;
    let search = open_search(&folder, &options());
    for turn in 0..20 {
        write(&mut sink, turn + 1, turn as i64 * 31..(turn as i64 + 1) * 31).await;
        search.prepare().await.expect("summarises");
        let new = open_search(&folder, &options());
        for search in [&search, &new] {
            blocks_read(search);
            for number in [0, turn * 15, turn * 31 + 30] {
                assert_eq!(found(search, &format!("id{number:05}")).await.len(), 1, "turn {turn}: {number}");
            }
            assert_eq!(found(search, "some").await.len() as u64, (turn + 1) * 31);
        }
        assert!(blocks_read(&new) < 3 * 4 + (turn as usize + 1) * 8, "turn {turn}");
    }
    let count = groups(&folder).len();
    search.prepare().await.expect("summarises");
    assert_eq!(groups(&folder).len(), count, "nothing is new");
}

#[tokio::test]
async fn a_compressed_file_without_the_word_is_not_read_and_summaries_go_with_their_file() {
    let folder = Folder::new();
    let given = json!({ "path": "all.jsonl", "rotate_size": "10KiB", "compress": true });
    let sink = filled(&folder, &given).await;
    let rotated = || folder.files().into_iter().filter(|name| name != "all.jsonl").collect::<Vec<_>>();
    eventually("all rotated files are compressed", || rotated().iter().all(|name| name.ends_with(".zst"))).await;
    open_search(&folder, &given).prepare().await.expect("summarises");
    let search = open_search(&folder, &given);
    assert!(found(&search, "absent").await.is_empty());
    assert!(blocks_read(&search) <= 4, "only the end of the file that grows");
    assert_eq!(found(&search, "id00007").await.len(), 1);
    assert!(blocks_read(&search) <= 20, "one file, not {}", rotated().len());
    let counted = search.histogram(&query("level:INFO"), By::Level, 2).await.expect("counts");
    assert_eq!(counted.buckets.values().flat_map(|counts| counts.values()).sum::<u64>(), 400);
    drop(sink);
    let before = groups(&folder).len();
    fs::remove_file(folder.path(&rotated()[0])).expect("removable");
    search.prepare().await.expect("works");
    assert!(groups(&folder).len() < before);
    assert!(found(&search, "id00000").await.is_empty());
}

#[tokio::test]
async fn a_router_summarises_in_the_background_and_other_processes_write_nothing() {
    let folder = Folder::new();
    let _sink = filled(&folder, &options()).await;
    assert_eq!(found(&open_search(&folder, &options()), "id00009").await.len(), 1);
    assert!(groups(&folder).is_empty());
    let context = BuildContext { prepares_searches: true, ..folder.context() };
    let given = crate::registry::options("sut", options()).expect("options");
    let search = FileSearch::new("sut", given, &context).expect("opens");
    assert_eq!(found(&search, "id00009").await.len(), 1);
    eventually("the files are summarised", || !groups(&folder).is_empty()).await;
    drop(search);
    assert_eq!(found(&open_search(&folder, &options()), "id00009").await.len(), 1);
}

#[tokio::test]
async fn after_lines_were_erased_the_answers_are_those_of_the_new_files() {
    let folder = Folder::new();
    // As in a router, where both tell each other.
    let context = folder.context();
    let given = crate::registry::options("sut", options()).expect("options");
    let mut sink = FileSink::new("sut", given, &context, Disk::default()).expect("builds");
    sink.start(u64::MAX).await.expect("starts");
    write(&mut sink, 1, 0..400).await;
    let given = crate::registry::options("sut", options()).expect("options");
    let search = FileSearch::new("sut", given, &context).expect("opens");
    search.prepare().await.expect("prepares");
    assert!(!groups(&folder).is_empty());
    assert_eq!(found(&search, "id00200").await.len(), 1);

    let until = std::time::Instant::now() + std::time::Duration::from_secs(600);
    let erasure = crate::erasure::Erasure::new(query("id00003 OR id00200"), false, until);
    assert_eq!(sink.erase(&erasure, 1).await, Ok(crate::erasure::Erased::Records(2)));
    assert!(groups(&folder).is_empty(), "summaries have the words");
    for (text, records) in [("id00003", 0), ("id00200", 0), ("id00399", 1), ("words", 398)] {
        assert_eq!(found(&search, text).await.len(), records, "{text}");
    }
    assert_eq!(sink.start(u64::MAX).await, Ok(Some(1)));
    write(&mut sink, 2, 400..500).await;
    search.prepare().await.expect("prepares");
    assert!(!groups(&folder).is_empty());
    for (text, records) in [("id00200", 0), ("id00399", 1), ("id00499", 1), ("words", 498)] {
        assert_eq!(found(&search, text).await.len(), records, "{text}");
    }
}
