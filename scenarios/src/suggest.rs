//! What was probably meant: the nearest of the words that would have been right.

/// The candidate that is most like `word`, when one is like enough to be worth proposing. Case does not matter.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let candidate_lower = candidate.to_lowercase();
        // One slip in a short word weighs too much by likeness alone.
        let slip = wanted.len() > 2 && strsim::osa_distance(&wanted, &candidate_lower) == 1;
        let likeness = strsim::jaro_winkler(&wanted, &candidate_lower).max(if slip { 0.9 } else { 0.0 });
        if likeness >= 0.78 && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// A help text for a wrong word: what was probably meant, and what there is.
pub fn help<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let all: Vec<&str> = candidates.into_iter().collect();
    let list = || all.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
    match closest(word, all.iter().copied()) {
        Some(near) if all.len() == 1 => Some(format!("did you mean `{near}`?")),
        Some(near) if all.len() > 8 => Some(format!("did you mean `{near}`?")),
        Some(near) => Some(format!("did you mean `{near}`? There are {}", list())),
        None if all.is_empty() => None,
        None => Some(format!("there are {}", list())),
    }
}

/// ` (did you mean …?)`, or nothing: for messages that have no help of their own.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_a_stranger_is_not() {
        assert_eq!(closest("tumblign", ["tumbling", "hop"]), Some("tumbling"));
        assert_eq!(closest("Bandwith", ["delay", "bandwidth"]), Some("bandwidth"));
        assert_eq!(closest("smu", ["sqrt", "sum"]), Some("sum"));
        assert_eq!(closest("xyz", ["tumbling", "hop"]), None);
    }

    #[test]
    fn help_names_the_nearest_word_and_all_others() {
        assert_eq!(
            help("dely", ["delay", "drop"]).as_deref(),
            Some("did you mean `delay`? There are `delay`, `drop`")
        );
        assert_eq!(
            help("zzz", ["delay", "drop"]).as_deref(),
            Some("there are `delay`, `drop`")
        );
    }
}
