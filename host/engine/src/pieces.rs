//! Splits a batch into pieces of bounded size, one for each call of a filter.

use std::ops::Range;

use weir_record::Batch;

use crate::limits::{MAX_CALL_BYTES, MAX_CALL_RECORDS};

/// The ranges of records to call a filter with.
pub(crate) fn pieces(batch: &Batch) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == batch.len() {
            return None;
        }
        let rest = batch.len() - start;
        if start == 0 && rest <= MAX_CALL_RECORDS && batch.byte_len() <= MAX_CALL_BYTES {
            start = batch.len();
            return Some(0..start);
        }
        let mut end = start + 1;
        let mut bytes = batch.get(start).len();
        while end < batch.len() && end - start < MAX_CALL_RECORDS {
            bytes += batch.get(end).len();
            if bytes > MAX_CALL_BYTES {
                break;
            }
            end += 1;
        }
        let piece = start..end;
        start = end;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sizes: &[usize]) -> Batch {
        let mut batch = Batch::new();
        for size in sizes {
            batch.push(&vec![0; *size]);
        }
        batch
    }

    fn all(sizes: &[usize]) -> Vec<Range<usize>> {
        pieces(&batch(sizes)).collect()
    }

    #[test]
    fn only_batches_over_the_limits_are_split() {
        assert!(all(&[]).is_empty());
        assert_eq!(all(&[1; 10]), vec![0..10; 1]);
        assert_eq!(all(&vec![1; MAX_CALL_RECORDS + 1]), [0..MAX_CALL_RECORDS, MAX_CALL_RECORDS..MAX_CALL_RECORDS + 1]);
        assert_eq!(all(&[MAX_CALL_BYTES, 1, 1]), [0..1, 1..3]);
        assert_eq!(all(&[1, MAX_CALL_BYTES + 1, 1]), [0..1, 1..2, 2..3]);
    }
}
