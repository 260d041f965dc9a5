//! The order in which npm sorts: `localeCompare` in English, which is the root collation of CLDR
//! (<https://www.unicode.org/Public/UCA/latest/allkeys.txt>) for all that names and paths are made
//! of. Punctuation comes before digits before letters; case counts only between words that are
//! equal otherwise, lower case first. What is not ASCII comes after all that is, by its number.

use std::cmp::Ordering;

/// ASCII in the order of its primary weights, without letters.
const BEFORE_LETTERS: &str = "\t\n\u{b}\u{c}\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789";

/// Compares two texts as npm does.
pub fn compare(one: &str, other: &str) -> Ordering {
    let primary = |text: &str| text.chars().filter_map(weight).collect::<Vec<_>>();
    primary(one)
        .cmp(&primary(other))
        // Lower case before upper case: the reverse of their numbers.
        .then_with(|| other.cmp(one))
}

/// Where a character stands; nothing for those that do not count.
fn weight(char: char) -> Option<u32> {
    if let Some(at) = BEFORE_LETTERS.chars().position(|known| known == char) {
        return Some(at as u32);
    }
    match char {
        'a'..='z' | 'A'..='Z' => Some(100 + char.to_ascii_lowercase() as u32),
        char if char.is_control() => None,
        char => Some(1000 + char as u32),
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
