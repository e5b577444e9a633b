//! Held records: stored in the journal, and given back to filters when a new instance needs them.
//!
//! Format of a held record in the journal: two bytes with the length of the filter's name, the name, the record. After
//! a start and after a failed append, each filter gets the records that the journal holds for it. Records of a filter
//! that no longer runs pass through the whole chain and are released.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use weir_engine::{Chain, HeldRecord, Holding, Worker};
use weir_journal::{Hold, Journal, Ledger};
use weir_query::Query;
use weir_record::time::now_ns;
use weir_record::{Batch, Record};

use crate::erase;
use crate::limits;
use crate::pipeline::{self, PipelineState};
use crate::positions::is_position;
use crate::repeats::is_key;

/// Converts held and released records to a journal ledger.
pub fn ledger(holding: Holding) -> Ledger {
    let hold = |(token, held): (u64, HeldRecord)| Hold { token, payload: encode(&held) };
    Ledger { holds: holding.held.into_iter().map(hold).collect(), releases: holding.released }
}

fn encode(held: &HeldRecord) -> Bytes {
    let name = held.filter.as_bytes();
    // The configuration limits names to far fewer bytes.
    let length = name.len() as u16;
    [&length.to_le_bytes(), name, &held.record].concat().into()
}

/// Decodes the filter's name and the record; `None` if the payload is invalid.
fn decode(payload: &Bytes) -> Option<(&str, Bytes)> {
    let length = usize::from(u16::from_le_bytes(*payload.first_chunk()?));
    let name = std::str::from_utf8(payload.get(2..2 + length)?).ok()?;
    Some((name, payload.slice(2 + length..)))
}

/// A held record of a filter that isn't in the chain.
struct Orphan {
    token: u64,
    filter: String,
    record: Bytes,
}

/// Gives each filter of the chain the records that the journal holds for it; returns the others. No batch may be in the
/// chain or on its way to the journal.
fn restore_held(journal: &Journal, chain: &Chain) -> Vec<Orphan> {
    let mut by_filter: HashMap<String, Vec<(u64, Bytes)>> = HashMap::new();
    let is_record = |hold: &Hold| !is_key(&hold.payload) && !is_position(&hold.payload);
    for Hold { token, payload } in journal.held().into_iter().filter(is_record) {
        match decode(&payload) {
            Some((filter, record)) => by_filter.entry(filter.to_owned()).or_default().push((token, record)),
            None => tracing::error!("held record {token} in the journal can't be decoded; it stays in the journal"),
        }
    }
    for filter in chain.0.iter().filter(|filter| filter.holds_records()) {
        filter.restore_held(by_filter.remove(filter.name()).unwrap_or_default());
    }
    let orphans = by_filter.into_iter().flat_map(|(filter, records)| {
        records.into_iter().map(move |(token, record)| Orphan { token, filter: filter.clone(), record })
    });
    orphans.collect()
}

/// Whether a held record is selected.
pub fn is_selected(query: &Query, payload: &Bytes) -> bool {
    decode(payload).is_some_and(|(_, record)| query.matches(Record::new(&record)))
}

/// Closes the segment being written, and makes filters let go of the held records that a query selects: each gets the
/// others again. Nothing passes the chain meanwhile. Returns the newest frame in closed segments,
/// and the time: whatever is acknowledged later is in later frames, or in later entries of the quarantine.
pub fn let_go(shared: &PipelineState, query: &Query) -> Result<(u64, i64), String> {
    shared.chain.exclusive(|chain| {
        shared.journal.settle();
        let up_to = shared.journal.close_segment().map_err(|error| error.to_string())?;
        if erase::release_held(&shared.journal, query)? > 0 {
            // The journal counts them as held until the release is visible.
            shared.journal.settle();
            restore_held(&shared.journal, chain);
        }
        Ok((up_to, now_ns()))
    })
}

/// Restores held records at startup, before anything else passes through the chain.
pub fn restore_at_start(shared: &Arc<PipelineState>) {
    let orphans = shared.chain.exclusive(|chain| restore_held(&shared.journal, chain));
    for orphans in orphans.chunks(limits::BATCH_RECORDS) {
        release_orphans(shared, orphans);
    }
}

/// Restores held records after a failed append, when the state of filters may differ from the journal.
pub fn restore_after_failure(shared: &PipelineState) {
    shared.chain.exclusive(|chain| {
        if !shared.needs_restore() {
            return;
        }
        if chain.0.iter().any(|filter| filter.holds_records()) {
            shared.journal.settle();
            restore_held(&shared.journal, chain);
        }
        shared.mark_restored();
    });
}

/// Releases held records of filters that no longer run.
fn release_orphans(shared: &Arc<PipelineState>, orphans: &[Orphan]) {
    let mut batch = Batch::new();
    orphans.iter().for_each(|orphan| batch.push(&orphan.record));
    let filters: BTreeSet<&str> = orphans.iter().map(|orphan| orphan.filter.as_str()).collect();
    let names = filters.into_iter().collect::<Vec<_>>().join("`, `");
    let count = orphans.len();
    let room = match shared.journal.reserve(batch.byte_len() as u64) {
        Ok(room) => room,
        Err(error) => {
            tracing::warn!(
                "{count} records held by filter `{names}` stay in the journal until the next start: {error}"
            );
            return;
        }
    };
    tracing::info!("released {count} records held by filter `{names}`, which no longer runs");
    let mut worker = Worker::new(shared.engine.clone());
    let emitted = {
        let chain = shared.chain.enter();
        let _in_order = shared.in_order(&chain);
        let mut outcome = worker.run(&chain, batch);
        outcome.holding.released.extend(orphans.iter().map(|orphan| orphan.token));
        pipeline::store_emitted(shared, outcome, room)
    };
    emitted.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_records_round_trip_and_invalid_payloads_do_not() {
        let held = HeldRecord { filter: "join".into(), record: Bytes::from_static(b"record") };
        let payload = encode(&held);
        assert_eq!(decode(&payload), Some(("join", Bytes::from_static(b"record"))));
        for length in 0..6 {
            assert_eq!(decode(&payload.slice(..length)), None, "{length} bytes");
        }
    }
}
