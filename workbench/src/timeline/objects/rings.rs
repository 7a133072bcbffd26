//! Operations that went through an io_uring: which call handed each over, on what, and what came of it.

use std::collections::BTreeMap;

use super::object::ObjectId;
use crate::evidence::Call;

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingOp {
    /// Index of the `io_uring_enter` that handed it over, and when that was.
    pub submitted: (usize, i64),
    /// What it works on; for a timeout that limits another operation, what that works on.
    pub object: Option<ObjectId>,
    /// The wait that it arms.
    pub timeout_ns: Option<u64>,
}

/// An operation that came to its end: the errno's name, if it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completed {
    /// Which.
    pub op: RingOp,
    /// How.
    pub error: Option<String>,
}

/// Operations under way, by process and mark.
#[derive(Debug, Default)]
pub struct Rings {
    pending: BTreeMap<(u32, u64), RingOp>,
}

impl Rings {
    /// Notes what a call hands over. `object` knows what is behind a descriptor of its process.
    pub fn submit(&mut self, index: usize, call: &Call, mut object: impl FnMut(i32) -> ObjectId) {
        let mut linked = None;
        for submission in call.ring_submissions() {
            let own = submission.fd().filter(|fd| *fd >= 0).map(&mut object);
            let timeout_ns = submission.timeout_ns().flatten();
            let op = RingOp { submitted: (index, call.entry_ns), object: own.or(linked), timeout_ns };
            linked = own.filter(|_| submission.is_linked);
            self.pending.insert((call.pid, submission.user_data), op);
        }
    }

    /// What had come to its end when a call returned.
    pub fn complete(&mut self, call: &Call) -> Vec<Completed> {
        let completed = call.ring_completions().filter_map(|completion| {
            let op = self.pending.remove(&(call.pid, completion.user_data))?;
            Some(Completed { op, error: completion.result.err().map(str::to_owned) })
        });
        completed.collect()
    }
}
