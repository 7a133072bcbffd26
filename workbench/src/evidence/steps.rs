//! Calls as two moments each, over all threads in the order they happened.

use super::model::Evidence;

/// The entry or the return of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// When, since zero.
    pub t_ns: i64,
    /// Index into `Evidence::calls`.
    pub call: usize,
    /// Its return, else its entry.
    pub is_return: bool,
}

impl Evidence {
    /// Entries and returns of all calls in the order they happened. Within one stamp, and in virtual time many share
    /// one, calls stand in the order of their entries; a thread's calls do not overlap.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.calls.len() * 2);
        for (index, call) in self.calls.iter().enumerate() {
            steps.push(Step { t_ns: call.entry_ns, call: index, is_return: false });
            steps.extend(call.exit_ns.map(|t_ns| Step { t_ns, call: index, is_return: true }));
        }
        steps.sort_unstable();
        steps
    }
}
