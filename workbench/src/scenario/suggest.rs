//! The nearest known name to one that is not known.

/// The candidate that a misspelt `name` most likely meant; `None` if none is near.
pub(super) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Distances grow with the product of the lengths: a "name" of a megabyte is no typing error.
    if name.len() > 64 {
        return None;
    }
    let lower = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A remedy for an unknown name: the nearest one, else all there are.
pub(super) fn did_you_mean(name: &str, candidates: &[&str]) -> Option<String> {
    match (nearest(name, candidates.iter().copied()), candidates) {
        (Some(near), _) => Some(format!("did you mean `{near}`?")),
        (None, []) => None,
        (None, candidates) => Some(format!("known here: {}", candidates.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_mended() {
        assert_eq!(nearest("servr", ["client", "server"]), Some("server"));
        assert_eq!(nearest("Server", ["client", "server"]), Some("server"));
        assert_eq!(nearest("dprot", ["sport", "dport"]), Some("dport"));
    }

    #[test]
    fn something_else_altogether_is_not() {
        assert_eq!(nearest("database", ["client", "server"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), ["client"]), None);
    }
}
