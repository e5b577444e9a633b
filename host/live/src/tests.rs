//! What clients get, whatever the memory does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use weir_query::EntryId;
use weir_record::{Aliases, Batch, Defaults, Level, read_json};

use crate::message::Names;
use crate::{Client, Edit, Form, Item, Live, Start, limits};

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

fn watch(live: &Arc<Live>, query: &str, start: Start) -> Client {
    live.watch(query, None, start).expect("the query is valid").expect("there is room")
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
async fn a_client_that_is_refused_for_want_of_room_removes_no_other() {
    let live = Live::new(10, "s".into());
    let mut clients: Vec<_> = (0..limits::MAX_CLIENTS).map(|_| watch(&live, "", Start::Backlog(0))).collect();
    assert!(live.watch("", None, Start::Backlog(0)).expect("the query is valid").is_err());
    assert_eq!(live.clients(), limits::MAX_CLIENTS);
    push(&live, 1, &["a"]);
    assert_eq!(take(&mut clients[0]).await, (vec!["a".into()], 0));
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

#[tokio::test(start_paused = true)]
async fn clients_at_the_same_place_share_what_was_found_and_rendered() {
    let live = Live::new(10, "s".into());
    let mut clients: Vec<_> = ["a", "a", "b"].map(|query| watch(&live, query, Start::Backlog(0))).into();
    push(&live, 1, &["a", "b"]);
    push(&live, 2, &["a"]);
    let mut steps = Vec::new();
    for client in &mut clients {
        steps.push(client.next().await.expect("there are records").step);
        assert!(client.is_current());
    }
    assert!(Arc::ptr_eq(&steps[0], &steps[1]) && !Arc::ptr_eq(&steps[0], &steps[2]));
    let form = |is_events| Form { is_events, is_batched: true, names: Names::Own };
    let once = |_: &[Item]| vec![Bytes::from_static(b"once")];
    assert_eq!(steps[0].messages(form(true), once)[..], ["once"]);
    assert_eq!(steps[1].messages(form(true), |_| panic!("it is there"))[..], ["once"]);
    assert_eq!(steps[1].messages(form(false), |_| vec![]).len(), 0, "another form");
}

#[tokio::test(start_paused = true)]
async fn news_are_there_at_once_after_a_pause_and_come_together_under_load() {
    let live = Live::new(1000, "s".into());
    let mut client = watch(&live, "", Start::Backlog(0));
    for sequence in 1..=3 {
        tokio::time::advance(limits::MIN_INTERVAL * 2).await;
        push(&live, sequence, &["a"]);
        let before = tokio::time::Instant::now();
        assert_eq!(client.next().await.map(|next| next.step.items.len()), Some(1));
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
    let feed = tokio::spawn({
        let live = live.clone();
        async move {
            for sequence in 4..404 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                push(&live, sequence, &["a"]);
            }
        }
    });
    let (mut looks, mut records) = (0, 0);
    while records < 400 {
        records += client.next().await.expect("the stream goes on").step.items.len();
        looks += 1;
    }
    feed.await.expect("no panic");
    assert!(looks <= 21, "in 400 ms: {looks}");
}

#[tokio::test(start_paused = true)]
async fn clients_are_told_of_records_that_nobody_could_read_between_those_around_them() {
    let live = Live::new(10, "s".into());
    let mut client = watch(&live, "", Start::Backlog(0));
    push(&live, 1, &["a"]);
    live.skip(7, 55);
    push(&live, 8, &["b"]);
    let mut got = Vec::new();
    while !client.is_current() {
        let next = client.next().await.expect("the stream goes on");
        got.extend((next.skipped > 0).then(|| next.skipped.to_string()));
        got.extend(next.step.items.iter().map(|item| item.record().message().to_owned()));
    }
    assert_eq!(got, ["a", "55", "b"]);
    assert_eq!(client.totals().seen, 2);
}

#[derive(Debug, Clone)]
enum Event {
    /// Records that match "a", "b", both or nothing, and whether big ones follow.
    Push(Vec<&'static str>, bool),
    Skip(u64),
    /// A client takes everything, or one step.
    Look(usize, bool),
    Query(usize, &'static str, usize),
    /// A client leaves, and another one comes.
    Replace(usize, &'static str, Begin),
}

#[derive(Debug, Clone)]
enum Begin {
    Backlog(usize),
    /// After one of the records pushed, the newest ones first.
    After(usize),
}

const CLIENTS: usize = 4;

fn events() -> impl Strategy<Value = Vec<Event>> {
    let texts = prop::sample::select(vec!["a", "b", "a b", "no"]);
    let query = prop::sample::select(vec!["a", "b", ""]);
    let push = (prop::collection::vec(texts, 0..5), prop::bool::weighted(0.3));
    let begin = prop_oneof![(0..9usize).prop_map(Begin::Backlog), (0..20usize).prop_map(Begin::After)];
    let event = prop_oneof![
        8 => push.prop_map(|(texts, is_big)| Event::Push(texts, is_big)),
        1 => (1..9u64).prop_map(Event::Skip),
        3 => (0..CLIENTS, any::<bool>()).prop_map(|(client, all)| Event::Look(client, all)),
        1 => (0..CLIENTS, query.clone(), 0..3usize).prop_map(|(client, query, backlog)| Event::Query(client, query, backlog)),
        1 => (0..CLIENTS, query, begin).prop_map(|(client, query, begin)| Event::Replace(client, query, begin)),
    ];
    prop::collection::vec(event, 1..80)
}

/// A client with what it was told since it began or changed its query.
struct Watcher {
    client: Client,
    query: &'static str,
    got: Vec<EntryId>,
    missed: u64,
    skipped: u64,
}

impl Watcher {
    fn begin(live: &Arc<Live>, query: &'static str, start: Start) -> Watcher {
        let client = watch(live, query, start);
        client.count_all();
        Watcher { client, query, got: vec![], missed: 0, skipped: 0 }
    }

    fn set_query(&mut self, query: &'static str, backlog: usize) {
        self.client.set_query(query, backlog).expect("it is valid");
        (self.query, self.missed, self.skipped) = (query, 0, 0);
        self.got.clear();
    }

    async fn look(&mut self, all: bool) {
        while !self.client.is_current() {
            let next = self.client.next().await.expect("the stream goes on");
            self.missed += next.missed;
            self.skipped += next.skipped;
            self.got.extend(next.step.items.iter().map(Item::id));
            if !all {
                return;
            }
        }
    }
}

/// All that was pushed.
#[derive(Default)]
struct Pushed {
    records: Vec<(EntryId, String)>,
    /// How many records could not be read, and after how many others.
    skipped: Vec<(usize, u64)>,
}

impl Pushed {
    /// What a client was told adds up to what was pushed since it began.
    fn check(&self, watcher: &Watcher) {
        let totals = watcher.client.totals();
        let begin = self.records.len() - totals.seen as usize;
        let matches = |text: &str| text.split(' ').any(|word| watcher.query.is_empty() || word == watcher.query);
        let matching: Vec<EntryId> =
            self.records[begin..].iter().filter(|(_, text)| matches(text)).map(|(id, _)| *id).collect();
        assert!(watcher.got.is_sorted_by(|a, b| a < b), "in order, once: {:?}", watcher.got);
        assert!(watcher.got.iter().all(|id| matching.contains(id)), "what matches: {:?}", watcher.got);
        assert_eq!(watcher.got.len() as u64 + watcher.missed, matching.len() as u64);
        assert_eq!((totals.matched, totals.missed), (matching.len() as u64, watcher.missed));
        assert_eq!(totals.levels().map(|(_, count)| count).sum::<u64>(), totals.seen);
        assert_eq!(totals.sources(9).iter().map(|(_, count)| count).sum::<u64>(), totals.seen);
        // Whether it began before or after those between two records isn't known here.
        let skipped = |from| self.skipped.iter().filter(|(at, _)| *at >= from).map(|(_, count)| count).sum::<u64>();
        assert!((skipped(begin + 1)..=skipped(begin)).contains(&watcher.skipped));
    }
}

async fn play(events: &[Event]) {
    let live = Live::new(3, "s".into());
    let mut watchers: Vec<_> = ["a", "a", "b", ""].map(|query| Watcher::begin(&live, query, Start::Backlog(0))).into();
    let mut pushed = Pushed::default();
    let big = big();
    for (event, sequence) in events.iter().zip(1..) {
        match event {
            Event::Push(texts, is_big) => {
                let mut texts = texts.clone();
                texts.extend(is_big.then(|| [big.as_str(); 5]).into_iter().flatten());
                push(&live, sequence, &texts);
                let records = texts
                    .iter()
                    .zip(0..)
                    .map(|(text, index)| (EntryId { sequence, index }, text[..text.len().min(9)].to_owned()));
                pushed.records.extend(records);
            }
            Event::Skip(records) => {
                live.skip(sequence, *records);
                pushed.skipped.push((pushed.records.len(), *records));
            }
            Event::Look(at, all) => watchers[*at].look(*all).await,
            Event::Query(at, query, backlog) => watchers[*at].set_query(query, *backlog),
            Event::Replace(at, query, begin) => {
                let start = match begin {
                    Begin::Backlog(records) => Start::Backlog(*records),
                    Begin::After(back) => {
                        pushed.records.iter().rev().nth(*back).map_or(Start::Backlog(0), |(id, _)| Start::After(*id))
                    }
                };
                watchers[*at] = Watcher::begin(&live, query, start);
            }
        }
    }
    for watcher in &mut watchers {
        watcher.look(true).await;
        pushed.check(watcher);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_match_is_received_once_in_order_or_counted_as_missed(events in events()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(play(&events));
    }
}

/// Erases the records whose messages begin like this.
fn edit(begin: &'static str) -> Edit {
    Arc::new(move |payload: &[u8]| {
        let batch = Batch::decode(payload).expect("a batch");
        let is_erased = |index: usize| batch.record(index).message().starts_with(begin);
        let mut rest = Batch::new();
        (0..batch.len()).for_each(|index| rest.push(if is_erased(index) { &[0xde, 0, 0] } else { batch.get(index) }));
        (0..batch.len()).any(is_erased).then(|| rest.encode())
    })
}

#[tokio::test(start_paused = true)]
async fn erased_records_are_gone_from_memory_and_do_not_come_with_frames_that_are_on_their_way() {
    let live = Live::new(10, "s".into());
    push(&live, 1, &["mine 1", "other 1"]);
    push(&live, 2, &["other 2"]);
    let edit = edit("mine");
    let mut early = watch(&live, "", Start::Backlog(10));
    live.erase(3, &edit);
    push(&live, 3, &["mine 3", "other 3"]);
    push(&live, 4, &["mine 4"]);
    let left: Vec<String> = ["other 1", "other 2", "other 3", "mine 4"].map(String::from).into();
    assert_eq!(take(&mut early).await, (left.clone(), 0));
    let mut late = watch(&live, "", Start::Backlog(10));
    assert_eq!(take(&mut late).await, (left, 0));
    assert_eq!(live.sources(), ["test"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_erased_while_a_frame_is_on_its_way_does_not_come_with_it() {
    let live = Live::new(10, "s".into());
    let on_the_way: Edit = Arc::new({
        let live = live.clone();
        move |_: &[u8]| -> Option<Vec<u8>> {
            live.erase(1, &edit("mine"));
            None
        }
    });
    live.erase(1, &on_the_way);
    push(&live, 1, &["mine", "other"]);
    assert_eq!(take(&mut watch(&live, "", Start::Backlog(10))).await, (vec!["other".into()], 0));
}
