//! Requirements and their markers as a stranger writes them (PEP 508).
//!
//! The grammar knows nothing but ASCII in a marker, and pep508_rs loses count of letters of other kinds between two
//! comparisons: it would end the program. So these are refused before it sees them.

use std::str::FromStr as _;

use pep508_rs::{MarkerTree, Requirement, VerbatimUrl};

/// A requirement; nothing where the text is none.
pub fn requirement(text: &str) -> Option<Requirement<VerbatimUrl>> {
    let marker = text.split_once(';').map_or("", |(_, marker)| marker);
    marker.is_ascii().then(|| text.parse().ok())?
}

/// A marker by itself; nothing where the text is none.
pub fn marker(text: &str) -> Option<MarkerTree> {
    text.is_ascii().then(|| MarkerTree::from_str(text).ok())?
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_other_kinds_end_nothing() {
        let odd = "os_name == 'posix' \u{696}\u{696} os_name == 'nt'";
        assert!(marker(odd).is_none());
        assert!(requirement(&format!("a>=1; {odd}")).is_none());
        assert!(requirement("a @ file:///\u{e4}/a.whl").is_some());
        assert!(marker("os_name == 'posix'").is_some());
        let found = requirement("a[b]>=1 ; os_name == 'posix'").unwrap();
        assert_eq!(found.name.to_string(), "a");
    }
}
