//! The journal while a resource for the next segment is missing, and once it is back; when the segment being written is
//! removed; and when its creation is cut off.

use std::io::ErrorKind;
use std::sync::{Arc, mpsc};
use weir_journal::simulated::{Fault, Simulated, Tear};
use weir_journal::storage::Storage;
use weir_journal::{AppendError, Journal, Options, WhenFull};

fn options() -> Options {
    Options { segment_bytes: 4096, max_size_bytes: 1 << 20, ..Options::default() }
}

fn append(journal: &Journal, payload: Vec<u8>) -> Result<u64, AppendError> {
    let (sender, receiver) = mpsc::channel();
    journal.append(payload, 1, move |result| {
        sender.send(result).expect("the test waits");
    });
    receiver.recv().expect("every append is answered")
}

#[test]
fn without_file_descriptors_one_more_segment_is_begun_before_appends_fail_with_full() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("the folder is empty");
    assert_eq!(append(&journal, vec![0; 3000]), Ok(1));
    disk.set_out_of_descriptors(true);
    assert_eq!(append(&journal, vec![1; 3000]), Ok(2), "the next segment's file was open already");
    for _ in 0..3 {
        let refused = append(&journal, vec![2; 3000]).expect_err("no file can be opened for one more");
        assert!(matches!(&refused, AppendError::Full(why) if why.contains("limit of open files")), "{refused}");
    }
    assert_eq!(journal.stats().poisoned, None);
    disk.set_out_of_descriptors(false);
    assert_eq!(append(&journal, vec![3; 3000]), Ok(3));
    journal.close();
    let (_, recovery) = Journal::open(Arc::new(disk), options()).expect("it was closed");
    assert_eq!(recovery.frames, 3);
}

#[test]
fn a_removed_spare_file_is_created_again() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("the folder is empty");
    assert_eq!(append(&journal, vec![0; 3000]), Ok(1));
    disk.remove("spare").expect("it is there");
    assert_eq!(append(&journal, vec![1; 3000]), Ok(2));
    assert_eq!(journal.stats().poisoned, None);
}

const FIRST: &str = "00000000000000000001.seg";

#[test]
fn an_active_segment_that_is_removed_is_written_again() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("the folder is empty");
    assert_eq!(append(&journal, vec![1; 500]), Ok(1));
    disk.remove(FIRST).expect("it is there");
    assert_eq!(append(&journal, vec![2; 500]), Ok(2));
    assert_eq!(append(&journal, vec![3; 500]), Ok(3));
    // Another file replaces the next one.
    disk.put("00000000000000000003.seg", b"something else".to_vec());
    assert_eq!(append(&journal, vec![4; 500]), Ok(4));
    let (_, recovery) = Journal::open(Arc::new(disk.power_cut(Tear::Lost)), options()).expect("it is whole");
    assert_eq!(recovery.frames, 4);
    journal.close();
}

#[test]
fn a_segment_that_someone_has_removed_does_not_keep_later_ones_from_being_removed() {
    let disk = Simulated::new();
    let options = Options { when_full: WhenFull::DropOldest, max_size_bytes: 16 << 10, ..options() };
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options).expect("the folder is empty");
    for sequence in 1..=20 {
        assert_eq!(append(&journal, vec![1; 3000]), Ok(sequence), "the oldest makes room");
        if sequence == 2 {
            disk.remove(FIRST).expect("it is there");
        }
    }
    journal.close();
}

#[test]
fn nothing_is_acknowledged_when_a_removed_segment_cannot_be_written_again() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("the folder is empty");
    assert_eq!(append(&journal, vec![1; 500]), Ok(1));
    disk.remove(FIRST).expect("it is there");
    disk.set_out_of_descriptors(true);
    let refused = append(&journal, vec![2; 500]).expect_err("nothing can be opened");
    assert!(matches!(&refused, AppendError::Poisoned(why) if why.contains("was removed")), "{refused}");
}

#[test]
fn a_segment_that_a_killed_process_left_without_a_durable_name_gets_one_before_it_is_used() {
    let disk = Simulated::new();
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("the folder is empty");
    // The header is written and synced, and the file has its name; then the process ends.
    disk.fail_at(disk.operations() + 4, Fault::Error(ErrorKind::Other));
    append(&journal, vec![1; 500]).expect_err("the folder can't be synced");
    journal.close();
    disk.heal();
    assert!(disk.exists(FIRST));
    let (journal, _) = Journal::open(Arc::new(disk.clone()), options()).expect("it is whole");
    assert_eq!(append(&journal, vec![2; 500]), Ok(1));
    let (_, recovery) = Journal::open(Arc::new(disk.power_cut(Tear::Lost)), options()).expect("it is whole");
    assert_eq!(recovery.frames, 1);
    journal.close();
}
