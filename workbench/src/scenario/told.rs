//! Problems of many instances of one text: each is told once, and with the values it depends on, if it does not occur for all.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Problem;
use super::placeholder::Binding;

/// More different ones are not looked for: nobody reads them.
const ENOUGH: usize = 200;

/// So many values are named.
const NAMED: usize = 6;

/// Problems in the order in which they were found, each with the instances that have it.
#[derive(Default)]
pub(super) struct Told {
    problems: Vec<(Problem, BTreeSet<usize>)>,
    /// Where each stands among them.
    known: BTreeMap<String, usize>,
}

impl Told {
    /// Adds the problems of one instance.
    pub(super) fn add(&mut self, instance: usize, problems: Vec<Problem>) {
        for problem in problems {
            let at = *self.known.entry(format!("{problem:?}")).or_insert(self.problems.len());
            if at == self.problems.len() {
                self.problems.push((problem, BTreeSet::new()));
            }
            self.problems[at].1.insert(instance);
        }
    }

    /// Whether further instances need not be looked at.
    pub(super) fn is_enough(&self) -> bool {
        self.problems.len() >= ENOUGH
    }

    /// Each problem once; `values` are those of every instance.
    pub(super) fn once(self, values: &[Vec<Binding>]) -> Vec<Problem> {
        let all = by_name(values.iter());
        let told = self.problems.into_iter().map(|(problem, instances)| {
            let some = by_name(instances.iter().filter_map(|index| values.get(*index)));
            let depends = some.iter().filter(|(name, some)| all.get(*name).is_some_and(|all| all.len() > some.len()));
            let when: Vec<String> = depends.map(|(name, values)| format!("{name} is {}", listed(values))).collect();
            if when.is_empty() { problem } else { problem.with(&format!(" when {}", when.join(" and "))) }
        });
        told.collect()
    }
}

/// The values of each variable, in their order.
fn by_name<'a>(instances: impl Iterator<Item = &'a Vec<Binding>>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for binding in instances.flatten() {
        let known = values.entry(&binding.name.value).or_default();
        if !known.contains(&binding.text.as_str()) {
            known.push(&binding.text);
        }
    }
    values
}

fn listed(values: &[&str]) -> String {
    match values {
        [one] => (*one).to_owned(),
        [first @ .., last] if values.len() <= NAMED => format!("{} or {last}", first.join(", ")),
        _ => format!("{} or one of {} others", values[..NAMED].join(", "), values.len() - NAMED),
    }
}
