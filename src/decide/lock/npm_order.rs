//! The order in which npm sorts: `localeCompare` in English, which is the root collation of CLDR
//! (<https://www.unicode.org/Public/UCA/latest/allkeys.txt>) for all that names and paths are made
//! of. Punctuation comes before digits before letters; case counts only between words that are
//! equal otherwise, lower case first. What is not ASCII comes after all that is, by its number.

use std::cmp::Ordering;

/// ASCII in the order of its primary weights, without letters.
const BEFORE_LETTERS: &str = "\t\n\u{b}\u{c}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789";

/// Compares two texts as npm does.
pub fn compare(one: &str, other: &str) -> Ordering {
    let weights = one.chars().filter_map(weight);
    weights
        .cmp(other.chars().filter_map(weight))
        // Lower case before upper case: the reverse of their numbers.
        .then_with(|| other.cmp(one))
}

/// Where a character stands; nothing for those that do not count.
fn weight(char: char) -> Option<u32> {
    if char.is_ascii_alphabetic() {
        return Some(100 + u32::from(char.to_ascii_lowercase()));
    }
    // All of them are ASCII, so a place in bytes is one in characters.
    match BEFORE_LETTERS.find(char) {
        Some(at) => Some(at as u32),
        None if char.is_control() => None,
        None => Some(1000 + u32::from(char)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_as_node_sorts_them() {
        // `[...].sort(new Intl.Collator('en').compare)` of Node 24.
        let sorted = [
            "_a", "-a", ".bin", "@a/b", "@a/c", "1", "10", "2", "a", "A", "a-b", "a.b", "a/b",
            "a1", "aB", "ab-c", "abc", "B", "b1",
        ];
        let mut words = sorted;
        words.reverse();
        words.sort_by(|one, other| compare(one, other));
        assert_eq!(words, sorted);
    }
}
