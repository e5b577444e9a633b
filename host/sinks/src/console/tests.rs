//! The console's output, and that it never blocks the journal.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use weir_record::write;

use super::*;
use crate::testing::{frame, numbered, record, record_at};
use crate::text::needs_escape;

const AT: i64 = 1_700_000_000_123_456_789;

fn human(color: bool) -> ConsoleStyle {
    ConsoleStyle::human(color, Clock::Utc)
}

fn shown(style: &ConsoleStyle, record: &[u8]) -> String {
    let mut out = Vec::new();
    style.push(Record::new(record), &mut out);
    String::from_utf8(out).expect("text")
}

fn line(style: &ConsoleStyle, fields: &[(&str, &str)]) -> String {
    shown(style, &record_at(AT, fields, &[]))
}

/// A record with one more field, of any type.
fn with(key: &str, value: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = record_at(AT, &[], &[]);
    write::str(&mut out, key);
    value(&mut out);
    // The header of a canonical record is a map16: one marker, then the count.
    out[2] += 1;
    out
}

#[test]
fn a_line_is_aligned_and_shows_every_field() {
    let fields = [("level", "WARNING"), ("source", "api"), ("message", "slow"), ("zone", "eu"), ("note", "two words")];
    assert_eq!(
        line(&human(false), &fields),
        "2023-11-14 22:13:20.123Z WARNING  api              slow zone=eu note=\"two words\"\n"
    );
}

#[test]
fn a_time_shows_its_zone() {
    for (hours, shown) in [(2, "2023-11-15 00:13:20.123+02:00 "), (-5, "2023-11-14 17:13:20.123-05:00 ")] {
        let zone = Some(TimeZone::fixed(jiff::tz::offset(hours)));
        let text = line(&ConsoleStyle(Style::Human(HumanStyle { color: false, zone })), &[]);
        assert!(text.starts_with(shown), "{text}");
    }
    assert!(line(&ConsoleStyle::json(), &[]).contains("2023-11-14T22:13:20.123456789Z"), "JSON is UTC in any case");
}

#[test]
fn colours_come_only_when_asked_for() {
    assert!(!line(&human(false), &[("k", "v")]).contains('\x1b'));
    assert!(line(&human(true), &[("level", "ERROR")]).contains("\x1b[31mERROR   \x1b[0m"));
}

#[test]
fn a_hostile_record_can_not_control_the_terminal_or_forge_a_record() {
    let evil =
        "\x1b]0;owned\x07\r\n2023-11-14 22:13:20.123Z INFO\u{9b}2J\u{202e}\u{61c}\u{200b}\u{2060}\u{feff}\u{2029}";
    let fields = [("source", evil), ("message", evil), (evil, evil)];
    for style in [human(false), ConsoleStyle::json()] {
        let text = line(&style, &fields);
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        assert!(lines[1..].iter().all(|line| line.starts_with("    ")), "{text:?}");
        assert!(!lines.concat().contains(needs_escape), "{text:?}");
    }
    assert_eq!(line(&ConsoleStyle::json(), &fields).matches('\n').count(), 1);
}

#[test]
fn a_stack_trace_is_shown_as_lines_below_the_record() {
    let trace = "Traceback:\n  File \"a.py\", line 3\r\n\tat x\u{1b}[0m\n\nValueError: no\n";
    let fields = [("message", trace), ("exception", trace), ("zone", "eu"), ("note", "ends\n")];
    assert_eq!(
        line(&human(false), &fields),
        "2023-11-14 22:13:20.123Z INFO     app              Traceback: zone=eu note=\"ends\\n\"
      File \"a.py\", line 3
        at x\\x1b[0m
    \n    ValueError: no
    exception:
        Traceback:
          File \"a.py\", line 3
            at x\\x1b[0m
        \n        ValueError: no\n"
    );
    assert!(line(&human(true), &fields).contains("\n    \x1b[2mexception:\x1b[0m\n        \x1b[2mTraceback:\x1b[0m\n"));
    let nested = with("error", |out| {
        write::array_header(out, 2);
        write::map_header(out, 2);
        write::str(out, "stack");
        write::str(out, "first\nsecond");
        write::str(out, "code");
        write::int(out, 7);
        write::str(out, "plain");
    });
    assert!(shown(&human(false), &nested).ends_with(
        " error=[{\"stack\":…,\"code\":7},\"plain\"]\n    error[0].stack:\n        first\n        second\n"
    ));
}

#[test]
fn a_long_stack_trace_is_cut_with_a_mark() {
    let trace: String = (0..limits::CONSOLE_LINES + 9).map(|n| format!("{n}\n")).collect();
    let text = line(&human(false), &[("exception", &trace)]);
    assert!(text.ends_with("\n        … 9 more lines\n"), "{text}");
}

#[test]
fn of_many_texts_with_lines_the_last_are_counted() {
    let texts = with("traces", |out| {
        write::array_header(out, limits::CONSOLE_TEXTS as u32 + 3);
        (0..limits::CONSOLE_TEXTS + 3).for_each(|_| write::str(out, "first\nsecond"));
    });
    let text = shown(&human(false), &texts);
    assert!(text.contains("\n    traces[99]:\n        first\n        second\n"), "{text}");
    assert!(text.ends_with("\n    … 3 more texts\n"), "{text}");
}

#[test]
fn long_nested_values_are_folded_with_a_count_of_the_rest() {
    let folded = |record: &[u8]| {
        let text = shown(&human(false), record);
        assert!(text.len() < 3 * limits::CONSOLE_VALUE_BYTES, "{text}");
        text
    };
    let numbers = with("list", |out| {
        write::array_header(out, 1000);
        (0..1000).for_each(|n| write::int(out, n));
    });
    let text = folded(&numbers);
    let left_out = text.rsplit_once("… ").expect("a mark").1;
    let (count, rest) = left_out.split_once(' ').expect("a number");
    let first: u32 = count.parse().expect("a number");
    assert!(rest == "more items]\n" && text.contains(&format!(",{},… ", 999 - first)), "{text}");
    let map = with("context", |out| {
        write::map_header(out, 3);
        write::str(out, "id");
        write::int(out, 7);
        write::str(out, "body");
        write::str(out, &"é".repeat(5000));
        write::str(out, "after");
        write::int(out, 1);
    });
    let text = folded(&map);
    assert!(text.contains("context={\"id\":7,\"body\":\"éé"), "{text}");
    assert!(text.contains(" more bytes\"") && text.ends_with(",… 1 more keys}\n"), "{text}");
    assert!(folded(&record_at(AT, &[("body", &"x".repeat(5000))], &[])).contains("x… "));
    assert!(folded(&with("raw", |out| write::bin(out, &[0; 5000]))).contains("AAA… "));
    let short = with("list", |out| {
        write::array_header(out, 2);
        (0..2).for_each(|n| write::int(out, n));
    });
    assert!(folded(&short).ends_with(" list=[0,1]\n"));
}

#[test]
fn a_very_long_record_is_cut_as_human_and_complete_as_json() {
    let long = "é".repeat(limits::CONSOLE_LINE_BYTES);
    let text = line(&human(true), &[("message", &long)]);
    assert!(text.len() < limits::CONSOLE_LINE_BYTES + 64 && text.ends_with(" more bytes\x1b[0m\n"), "{text}");
    assert!(line(&ConsoleStyle::json(), &[("message", &long)]).contains(&long));
}

/// Writes nothing until released.
struct Stuck {
    go: Receiver<()>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Once the sender is dropped, it writes freely.
        let _ = self.go.recv();
        self.shown.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_terminal_blocks_nothing_and_shows_how_many_lines_were_dropped() {
    let (go, wait) = channel();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let out = Stuck { go: wait, shown: shown.clone() };
    let mut sink = ConsoleSink::new(human(false), Box::new(out));
    sink.start(0).await.expect("starts");
    for sequence in 0..100 {
        sink.deliver(&[frame(sequence, numbered(sequence..sequence + 1))]).await.expect("never fails");
    }
    let missed = sink.left_out;
    assert!(missed > 0);
    drop(go);
    sink.left_out = 0;
    let jobs = sink.jobs.clone().expect("started");
    while jobs.capacity() < limits::CONSOLE_QUEUE {
        thread::yield_now();
    }
    sink.left_out = missed;
    sink.deliver(&[frame(100, numbered(100..101))]).await.expect("never fails");
    drop(jobs);
    let (done, written) = oneshot::channel();
    assert!(sink.send(Job::Flush(done)).await);
    written.await.expect("flushed");
    let text = String::from_utf8(shown.lock().expect("not poisoned").clone()).expect("text");
    assert!(text.contains(&format!("… {missed} records not shown")), "{text}");
    assert!(text.contains("n=100"));
}

#[tokio::test]
async fn a_closed_pipe_does_not_fail_the_sink() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = ConsoleSink::new(ConsoleStyle::json(), Box::new(Closed));
    sink.start(0).await.expect("starts");
    for sequence in 0..10 {
        let mut batch = weir_record::Batch::new();
        batch.push(&record(&[], &[]));
        sink.deliver(&[frame(sequence, batch)]).await.expect("goes on");
        sink.flush().await.expect("goes on");
    }
}
