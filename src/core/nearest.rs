//! What may have been meant by a name that nothing has.

use std::fmt::Display;

/// How many names are listed where none of them is like the wrong one.
const LISTED: usize = 12;

/// Longer names are like nothing: to compare them would take for ever.
const LONGEST: usize = 255;

/// The candidate that is most like `wrong`, if any is like it at all.
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().max(wrong.len()) <= LONGEST)
        .map(|candidate| (strsim::jaro_winkler(wrong, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The end of a sentence about a wrong name: `; did you mean …?`, or else which names there are.
pub fn instead(wrong: impl Display, known: impl IntoIterator<Item = impl Display>) -> String {
    let known: Vec<String> = known.into_iter().map(|name| name.to_string()).collect();
    let (wrong, names) = (wrong.to_string(), known.iter().map(String::as_str));
    if let Some(name) = nearest(&wrong, names.clone()) {
        return format!("; did you mean `{name}`?");
    }
    let shown: Vec<String> = names.take(LISTED).map(|name| format!("`{name}`")).collect();
    let shown = shown.join(", ");
    match known.len() {
        0 => "; there is none".to_owned(),
        1 => format!("; there is {shown}"),
        count if count > LISTED => format!("; there are {shown} and {} more", count - LISTED),
        _ => format!("; there are {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_or_what_there_is() {
        assert_eq!(instead("lood", ["loud", "quiet"]), "; did you mean `loud`?");
        assert_eq!(
            instead("x", ["loud", "quiet"]),
            "; there are `loud`, `quiet`"
        );
        assert_eq!(instead("x", ["loud"]), "; there is `loud`");
        assert_eq!(instead("x", [""; 0]), "; there is none");
        let many: Vec<u32> = (100..120).collect();
        assert!(instead("x", many).ends_with("`111` and 8 more"));
    }
}
