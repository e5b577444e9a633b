//! Filters that hold records, run on a bench.

use crate::holding::process_batch;
use crate::testing::{HoldingBench, Json, Outcome, json};
use crate::{Description, Edit, Emitter, Encode, HoldingFilter, HoldingVerdict, NewRecord, Record};

/// Does what the messages say.
#[derive(Default)]
struct ScriptedFilter {
    ids: Vec<u64>,
    at_end: Vec<(u64, NewRecord)>,
}

fn said(message: &str) -> NewRecord {
    NewRecord::new(Default::default(), "obedient", message)
}

impl HoldingFilter for ScriptedFilter {
    type Options = std::collections::HashMap<String, String>;

    fn describe() -> Description {
        Description { name: "obedient", ..Description::default() }
    }

    fn new(options: Self::Options) -> Result<Self, String> {
        if options.is_empty() { Ok(ScriptedFilter::default()) } else { Err("no options".to_owned()) }
    }

    fn process(&mut self, record: &Record<'_>, id: u64, edit: &mut Edit, out: &mut Emitter) -> HoldingVerdict {
        for word in record.message().split(' ') {
            match word {
                "emit" => out.emit(said("emitted")),
                "edit" => edit.set("edited", true),
                "release" => self.ids.drain(..).for_each(|id| out.release(id)),
                "later" => self.at_end.push((id, said("at the end"))),
                "hold" => {
                    self.ids.push(id);
                    return HoldingVerdict::Hold;
                }
                "other" => {
                    self.ids.push(id);
                    return HoldingVerdict::HoldAnother(said("hold"));
                }
                "keep" => return HoldingVerdict::Keep,
                "fail" => return HoldingVerdict::Fail("told to".to_owned()),
                _ => {}
            }
        }
        HoldingVerdict::Drop
    }

    fn end_batch(&mut self) -> Vec<(u64, NewRecord)> {
        std::mem::take(&mut self.at_end)
    }

    fn tick(&mut self, closing: bool, out: &mut Emitter) {
        if closing {
            out.emit(said("closing"));
            self.ids.drain(..).for_each(|id| out.release(id));
        }
    }

    fn save(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|id| id.to_be_bytes()).collect()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), String> {
        let (ids, rest) = state.as_chunks();
        self.ids = ids.iter().map(|id| u64::from_be_bytes(*id)).collect();
        if rest.is_empty() { Ok(()) } else { Err("the state is cut short".to_owned()) }
    }
}

fn bench() -> HoldingBench<ScriptedFilter> {
    HoldingBench::new(json!({})).unwrap()
}

fn run(bench: &mut HoldingBench<ScriptedFilter>, messages: &[&str]) -> Vec<Outcome> {
    bench.run(messages.iter().map(|message| json!({ "message": message })))
}

fn messages(records: &[Json]) -> Vec<&str> {
    records.iter().map(|record| record["message"].as_str().unwrap()).collect()
}

#[test]
fn verdicts_are_in_order_after_the_emitted_records() {
    let mut bench = bench();
    let outcomes = run(
        &mut bench,
        &["keep", "edit keep", "emit edit keep", "drop", "emit emit drop", "hold", "emit hold", "other", "emit other"],
    );
    assert!(outcomes[0].is_kept());
    assert!(matches!(&outcomes[1], Outcome::Changed { patch, .. } if *patch == json!({ "edited": true })));
    let Outcome::Expanded(two) = &outcomes[2] else { panic!("{:?}", outcomes[2]) };
    assert_eq!((messages(two), &two[1]["edited"]), (vec!["emitted", "emit edit keep"], &json!(true)));
    assert!(outcomes[3].is_dropped());
    assert_eq!(messages(&outcomes[4].clone().into_records()), ["emitted", "emitted"]);
    assert!(outcomes[5].is_held());
    assert!(matches!(&outcomes[6], Outcome::Held(records) if messages(records) == ["emitted"]));
    assert!(
        matches!(&outcomes[7], Outcome::HeldAnother { held, records } if held["message"] == "hold" && records.is_empty())
    );
    assert!(matches!(&outcomes[8], Outcome::HeldAnother { records, .. } if messages(records) == ["emitted"]));
    assert_eq!(messages(&bench.held()), ["hold", "emit hold", "hold", "hold"]);
}

#[test]
fn at_the_end_of_a_batch_a_record_is_held_under_the_id_of_one_that_was_dropped() {
    let mut bench = bench();
    let outcomes = run(&mut bench, &["keep", "later", "emit later", "keep"]);
    assert!(matches!(&outcomes[1], Outcome::HeldAnother { held, .. } if held["message"] == "at the end"));
    assert!(matches!(&outcomes[2], Outcome::HeldAnother { records, .. } if messages(records) == ["emitted"]));
    for not_dropped in ["later keep", "later emit keep", "later hold"] {
        let error = bench.try_run([json!({ "message": not_dropped })]).unwrap_err();
        assert!(error.contains("but no dropped record has that id"), "{error}");
    }
}

#[test]
fn held_records_survive_a_crash_and_a_swap_until_released() {
    let mut bench = bench();
    run(&mut bench, &["hold", "keep", "other", "hold"]);
    assert_eq!(messages(&bench.crash()), [] as [&str; 0]);
    assert_eq!(messages(&bench.held()), ["hold", "hold", "hold"]);
    bench.swap(json!({})).unwrap();
    run(&mut bench, &["release hold"]);
    assert_eq!(messages(&bench.held()), ["release hold"]);
    assert!(bench.swap(json!({ "a": "b" })).is_err());
    assert_eq!(messages(&bench.tick(true)), ["closing"]);
    assert!(bench.held().is_empty() && bench.held_bytes() == 0);
}

#[test]
fn a_restored_record_is_released_unless_it_is_held_again() {
    let mut bench = bench();
    run(&mut bench, &["hold", "release release", "hold"]);
    assert_eq!(bench.held().len(), 1);
    bench.filter().ids.clear();
    // Its message says what to do with the held record.
    run(&mut bench, &["emit hold"]);
    assert_eq!(messages(&bench.crash()), ["emitted"]);
    assert_eq!(bench.held().len(), 2);
}

#[test]
fn a_failure_and_a_batch_without_its_ids_are_errors() {
    assert_eq!(bench().try_run([json!({ "message": "fail" })]), Err("told to".to_owned()));
    let mut batch = Vec::new();
    json!({ "message": "keep" }).encode(&mut batch);
    let run = |ids: &[u64]| process_batch(&mut ScriptedFilter::default(), &batch, ids).err().unwrap_or_default();
    assert!(run(&[]).contains("more records than its 0 ids"));
    assert!(run(&[1, 2]).contains("no MessagePack map at byte"));
    assert_eq!(run(&[1]), "");
}
