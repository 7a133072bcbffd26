//! Which hosts get a lifeline, and in which order, so that arrows are short.

use crate::plan::Plan;

/// More do not fit into 80 columns with room for a word between them.
const MOST: usize = 7;

/// All orders of so many hosts are few enough to try (720).
const MOST_TRIED: usize = 6;

/// Names of the hosts that are drawn, from left to right, and of those that are not. `takes_part` says in which
/// something happened.
pub(super) fn columns(plan: &Plan, takes_part: impl Fn(&str) -> bool) -> (Vec<String>, Vec<String>) {
    if plan.hosts.is_empty() {
        return (vec![plan.command.host.clone()], Vec::new());
    }
    let names: Vec<&str> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
    let is_small = names.len() <= 4;
    let matters = |name: &&str| is_small || *name == plan.command.host || takes_part(name);
    let mut drawn: Vec<&str> = names.iter().copied().filter(matters).collect();
    // The command's host is always drawn.
    while drawn.len() > MOST {
        let last = drawn.iter().rposition(|name| *name != plan.command.host).unwrap_or(0);
        drawn.remove(last);
    }
    let absent = names.iter().filter(|name| !drawn.contains(name)).map(|name| (*name).to_owned()).collect();
    (shortest(plan, drawn).into_iter().map(str::to_owned).collect(), absent)
}

/// The order in which links are shortest; of several, the one nearest to the scenario's.
fn shortest<'a>(plan: &Plan, names: Vec<&'a str>) -> Vec<&'a str> {
    if names.len() > MOST_TRIED {
        return names;
    }
    let length = |order: &[&str]| -> usize {
        let place = |name: &str| order.iter().position(|other| *other == name);
        let span = |ends: &[crate::plan::LinkEnd; 2]| Some(place(&ends[0].host)?.abs_diff(place(&ends[1].host)?));
        plan.links.iter().filter_map(|link| span(&link.ends)).sum()
    };
    let mut best = names.clone();
    try_all(&mut Vec::new(), &names, &mut |order| {
        if length(order) < length(&best) {
            best = order.to_vec();
        }
    });
    best
}

/// All orders that begin with `begun`, in the order of `names`.
fn try_all<'a>(begun: &mut Vec<&'a str>, names: &[&'a str], look: &mut impl FnMut(&[&'a str])) {
    if begun.len() == names.len() {
        return look(begun);
    }
    for name in names {
        if !begun.contains(name) {
            begun.push(name);
            try_all(begun, names, look);
            begun.pop();
        }
    }
}
