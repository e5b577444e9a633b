//! What clients get, whatever the memory does.

use bytes::Bytes;
use proptest::prelude::*;
use weir_query::EntryId;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use crate::{Client, Live, Start, limits};

/// A frame with one record for each message.
fn frame(messages: &[&str]) -> (u32, Bytes) {
    let aliases = Aliases::none();
    let defaults = Defaults {
        received_ns: 1,
        source: "test",
        level: Level::Info,
        context: &[],
        aliases: &aliases,
        keeps_routes: false,
    };
    let mut batch = Batch::new();
    for message in messages {
        let json = serde_json::json!({ "message": message }).to_string();
        read_json(json.as_bytes(), &defaults, &mut batch).expect("it is JSON");
    }
    (batch.len() as u32, Bytes::from(batch.encode()))
}

/// Almost as much as a record may have.
fn big() -> String {
    "x".repeat(limits::MAX_BUFFER_BYTES / 18)
}

fn push(live: &Live, sequence: u64, messages: &[&str]) {
    let (records, payload) = frame(messages);
    live.push(sequence, records, payload);
}

fn watch(live: &std::sync::Arc<Live>, query: &str, start: Start) -> Client {
    live.watch(query, start).expect("the query is valid").expect("there is room")
}

/// The messages that a client gets without waiting, and how many it missed.
async fn take(client: &mut Client) -> (Vec<String>, u64) {
    let (mut messages, mut missed) = (Vec::new(), 0);
    while !client.is_current() {
        let next = client.next().await.expect("the stream goes on");
        missed += next.missed;
        messages.extend(next.step.items.iter().map(|item| item.record().message().to_owned()));
    }
    (messages, missed)
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_what_matches_from_when_it_began() {
    let live = Live::new(10, "s".into());
    push(&live, 1, &["old yes"]);
    let mut client = watch(&live, "yes", Start::Backlog(0));
    push(&live, 2, &["yes 1", "no", "yes 2"]);
    push(&live, 5, &["no"]);
    push(&live, 6, &["yes 3"]);
    assert_eq!(take(&mut client).await, (vec!["yes 1".into(), "yes 2".into(), "yes 3".into()], 0));
    let totals = client.totals();
    assert_eq!((totals.seen, totals.matched, totals.missed), (5, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_news_and_ends_with_the_stream() {
    let live = Live::new(10, "s".into());
    let mut client = watch(&live, "", Start::Backlog(0));
    let waiting = tokio::spawn(async move {
        let first = client.next().await.map(|next| next.step.items.len());
        (first, client.next().await.is_none())
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    push(&live, 1, &["hello"]);
    tokio::task::yield_now().await;
    live.close();
    assert_eq!(waiting.await.expect("no panic"), (Some(1), true));
    assert_eq!(live.clients(), 0, "a client that is gone takes no place");
}

#[tokio::test(start_paused = true)]
async fn the_backlog_has_the_newest_matches() {
    let live = Live::new(10, "s".into());
    push(&live, 1, &["yes 1", "yes 2", "no"]);
    push(&live, 2, &["yes 3", "no", "yes 4"]);
    for (backlog, expected) in [(0, ""), (1, "4"), (2, "34"), (3, "234"), (9, "1234")] {
        let (messages, _) = take(&mut watch(&live, "yes", Start::Backlog(backlog))).await;
        let got: String = messages.iter().map(|message| message.trim_start_matches("yes ")).collect();
        assert_eq!(got, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_continues_after_a_record_that_is_in_memory_and_learns_of_one_that_is_not() {
    let live = Live::new(2, "s".into());
    for sequence in 1..=4 {
        push(&live, sequence, &["a", "b"]);
    }
    let mut client = watch(&live, "", Start::After(EntryId { sequence: 4, index: 0 }));
    assert_eq!(take(&mut client).await, (vec!["b".into()], 0));
    for gone in
        [EntryId { sequence: 1, index: 0 }, EntryId { sequence: 9, index: 0 }, EntryId { sequence: 4, index: 2 }]
    {
        let mut client = watch(&live, "", Start::After(gone));
        let next = client.next().await.expect("there are records");
        assert!(next.is_reset, "{gone}");
        assert_eq!(next.step.items[0].id(), EntryId { sequence: 4, index: 0 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_told_the_exact_number_of_matches_it_missed() {
    let live = Live::new(4, "s".into());
    let mut client = watch(&live, "yes", Start::Backlog(0));
    let big = big();
    for sequence in 1..=40 {
        push(&live, sequence, &["yes", "no", &big]);
    }
    let (messages, missed) = take(&mut client).await;
    assert!(messages.len() >= 10 && missed >= 10, "what is in memory arrives: {} and {missed}", messages.len());
    assert_eq!(messages.len() as u64 + missed, 40);
    let totals = client.totals();
    assert_eq!((totals.seen, totals.matched, totals.missed), (120, 40, missed));
}

#[tokio::test(start_paused = true)]
async fn records_stay_in_memory_until_every_client_has_them() {
    let live = Live::new(1, "s".into());
    let mut client = watch(&live, "", Start::Backlog(0));
    for sequence in 1..=1000 {
        push(&live, sequence, &["a"]);
    }
    assert_eq!(take(&mut client).await.0.len(), 1000);
    push(&live, 1001, &["a"]);
    drop(client);
    push(&live, 1002, &["a"]);
    let all = take(&mut watch(&live, "", Start::Backlog(usize::MAX))).await.0;
    assert_eq!(all.len(), 1, "without clients, only the configured number stays");
}

#[tokio::test(start_paused = true)]
async fn another_query_applies_at_once_and_a_wrong_one_changes_nothing() {
    let live = Live::new(10, "s".into());
    push(&live, 1, &["a", "b"]);
    let mut client = watch(&live, "a", Start::Backlog(9));
    assert!(client.set_query("(", 0).is_err());
    assert_eq!(client.query(), "a");
    client.set_query("b", 5).expect("it is valid");
    push(&live, 2, &["a", "b2 b"]);
    assert_eq!(take(&mut client).await.0, ["b", "b2 b"]);
    assert_eq!(client.totals().matched, 2);
}

#[tokio::test(start_paused = true)]
async fn levels_and_sources_of_all_that_passed_are_counted() {
    let live = Live::new(10, "s".into());
    let mut client = watch(&live, "nothing", Start::Backlog(0));
    client.count_all();
    push(&live, 1, &["a", "b"]);
    push(&live, 2, &["c"]);
    assert_eq!(take(&mut client).await, (vec![], 0));
    let totals = client.totals();
    assert_eq!(totals.levels().collect::<Vec<_>>(), [(Level::Info, 3)]);
    assert_eq!(totals.sources(10), [("test", 3)]);
}

#[derive(Debug, Clone)]
enum Event {
    Push(Vec<bool>, bool),
    Look(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let push = (prop::collection::vec(any::<bool>(), 0..5), prop::bool::weighted(0.3));
    let event = prop_oneof![
        3 => push.prop_map(|(records, is_big)| Event::Push(records, is_big)),
        1 => (0..3usize).prop_map(Event::Look),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_match_is_received_once_in_order_or_counted_as_missed(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let live = Live::new(3, "s".into());
            let mut clients: Vec<_> = (0..3).map(|_| watch(&live, "yes", Start::Backlog(0))).collect();
            let mut got = [const { Vec::new() }; 3];
            let mut missed = [0; 3];
            let (mut sequence, mut matched) = (0, 0);
            let big = big();
            for event in events.iter().chain(&[Event::Look(0), Event::Look(1), Event::Look(2)]) {
                match event {
                    Event::Push(records, is_big) => {
                        sequence += 1;
                        let text = |matches: &bool| match matches {
                            true => { matched += 1; format!("yes {matched}") }
                            false => "no".to_owned(),
                        };
                        let mut messages: Vec<String> = records.iter().map(text).collect();
                        messages.extend(is_big.then(|| vec![big.clone(); 8]).into_iter().flatten());
                        push(&live, sequence, &messages.iter().map(String::as_str).collect::<Vec<_>>());
                    }
                    Event::Look(at) => {
                        let (messages, gap) = take(&mut clients[*at]).await;
                        got[*at].extend(messages);
                        missed[*at] += gap;
                    }
                }
            }
            for (got, missed) in got.iter().zip(missed) {
                let numbers: Vec<u64> = got.iter().map(|text| text["yes ".len()..].parse().expect("a number")).collect();
                assert!(numbers.is_sorted_by(|a, b| a < b), "in order, once: {numbers:?}");
                assert_eq!(numbers.len() as u64 + missed, matched);
            }
        });
    }
}
