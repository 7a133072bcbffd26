//! Which line of the snapshot is which line of the run: by place and words, never by time alone.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::claims::ClaimLine;
use super::tolerance::SCHEDULING_NS;

/// One row of an alignment, with indices into the two lists of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// The same event in both.
    Both {
        /// Index in the snapshot.
        expected: usize,
        /// Index in the run.
        observed: usize,
        /// It stands at another place among events of other hosts, close enough in time to be chance.
        has_moved: bool,
    },
    /// Only in the snapshot.
    Missing(usize),
    /// Only in the run.
    Extra(usize),
}

/// The longest common subsequence, then the events that only changed places with others at the same moment.
pub(super) fn align(expected: &[ClaimLine], observed: &[ClaimLine]) -> Vec<Pairing> {
    let keys = |lines: &'_ [ClaimLine]| -> Vec<(String, String)> {
        lines.iter().map(|line| (line.at.clone(), line.text.clone())).collect()
    };
    let ops = capture_diff_slices(Algorithm::Myers, &keys(expected), &keys(observed));
    let mut rows: Vec<Pairing> = ops.iter().flat_map(pairings).collect();
    let mut next = 0;
    while next < rows.len() {
        match moved_to(&rows, next, expected, observed) {
            Some(other) => merge(&mut rows, next, other),
            None => next += 1,
        }
    }
    rows
}

fn pairings(op: &DiffOp) -> Vec<Pairing> {
    match *op {
        DiffOp::Equal { old_index, new_index, len } => (0..len)
            .map(|i| Pairing::Both { expected: old_index + i, observed: new_index + i, has_moved: false })
            .collect(),
        DiffOp::Delete { old_index, old_len, .. } => (old_index..old_index + old_len).map(Pairing::Missing).collect(),
        DiffOp::Insert { new_index, new_len, .. } => (new_index..new_index + new_len).map(Pairing::Extra).collect(),
        DiffOp::Replace { old_index, old_len, new_index, new_len } => (old_index..old_index + old_len)
            .map(Pairing::Missing)
            .chain((new_index..new_index + new_len).map(Pairing::Extra))
            .collect(),
    }
}

/// The row behind `first` that is the same event on the other side, if all between happened elsewhere at that moment.
///
/// Two hosts act at the same time, and which comes first is a matter of the scheduler, not a claim. The order of what
/// happens in one place is.
fn moved_to(rows: &[Pairing], first: usize, expected: &[ClaimLine], observed: &[ClaimLine]) -> Option<usize> {
    let sides = |row: Pairing| match (rows[first], row) {
        (Pairing::Missing(e), Pairing::Extra(o)) | (Pairing::Extra(o), Pairing::Missing(e)) => Some((e, o)),
        _ => None,
    };
    let is_same = |&(e, o): &(usize, usize)| expected[e].key() == observed[o].key();
    let (second, (e, o)) = (first + 1..rows.len()).find_map(|i| Some((i, sides(rows[i]).filter(is_same)?)))?;
    let is_beside = |a: &ClaimLine, b: &ClaimLine| a.at != b.at && a.t_ns.abs_diff(b.t_ns) <= SCHEDULING_NS;
    let may_pass = |row: &Pairing| match *row {
        Pairing::Both { expected: i, observed: j, .. } => {
            is_beside(&expected[i], &expected[e]) && is_beside(&observed[j], &observed[o])
        }
        Pairing::Missing(i) => is_beside(&expected[i], &expected[e]),
        Pairing::Extra(j) => is_beside(&observed[j], &observed[o]),
    };
    rows[first + 1..second].iter().all(may_pass).then_some(second)
}

/// Makes one row of two, at the place where the run has it.
fn merge(rows: &mut Vec<Pairing>, first: usize, second: usize) {
    let (kept, dropped, expected, observed) = match (rows[first], rows[second]) {
        (Pairing::Extra(observed), Pairing::Missing(expected)) => (first, second, expected, observed),
        (Pairing::Missing(expected), Pairing::Extra(observed)) => (second, first, expected, observed),
        _ => return,
    };
    rows[kept] = Pairing::Both { expected, observed, has_moved: true };
    rows.remove(dropped);
}
