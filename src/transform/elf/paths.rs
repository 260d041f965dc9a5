//! Paths as text: what ld.so does with `$ORIGIN`, and the way from one folder to another.

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::paths::{normal, way};

/// The folder that an entry of a search path means for a file in `origin`. `None` for entries that
/// depend on something else: relative ones, and those with `$LIB` or `$PLATFORM` (see ld.so(8)).
pub(crate) fn expand(entry: &str, origin: &Utf8Path) -> Option<Utf8PathBuf> {
    let path = match origin_tail(entry) {
        Some(tail) => format!("{origin}{tail}"),
        None => entry.to_owned(),
    };
    let path = Utf8Path::new(&path);
    (path.is_absolute() && !path.as_str().contains('$')).then(|| normal(path))
}

/// What follows `$ORIGIN` in an entry that begins with it.
pub(super) fn origin_tail(entry: &str) -> Option<&str> {
    let tail = entry
        .strip_prefix("$ORIGIN")
        .or_else(|| entry.strip_prefix("${ORIGIN}"))?;
    (tail.is_empty() || tail.starts_with('/')).then_some(tail)
}

/// The entry that leads from the folder `from` to the folder `to`, wherever both are.
pub(super) fn from_origin(from: &Utf8Path, to: &Utf8Path) -> String {
    let way = way(from, to);
    let entry = std::iter::once("$ORIGIN").chain(way.iter());
    entry.collect::<Utf8PathBuf>().into_string()
}

/// How many folders lie between two.
pub(super) fn distance(from: &Utf8Path, to: &Utf8Path) -> usize {
    way(from, to).components().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_expanded_as_ld_so_does() {
        let origin = Utf8Path::new("/tree/pkg/sub");
        let expanded = |entry| expand(entry, origin).map(Utf8PathBuf::into_string);
        assert_eq!(expanded("$ORIGIN").as_deref(), Some("/tree/pkg/sub"));
        assert_eq!(
            expanded("$ORIGIN/../../pkg.libs").as_deref(),
            Some("/tree/pkg.libs")
        );
        assert_eq!(
            expanded("${ORIGIN}/./x/").as_deref(),
            Some("/tree/pkg/sub/x")
        );
        assert_eq!(expanded("/opt//lib/").as_deref(), Some("/opt/lib"));
        for unknown in [
            "lib",
            "$LIB/x",
            "/usr/$LIB",
            "$ORIGINAL/x",
            "$ORIGIN/$PLATFORM",
        ] {
            assert_eq!(expanded(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_way_from_one_folder_to_another_is_the_shortest() {
        let way = |from: &str, to: &str| from_origin(from.into(), to.into());
        assert_eq!(way("/t/a", "/t/a"), "$ORIGIN");
        assert_eq!(way("/t/a/b", "/t/a.libs"), "$ORIGIN/../../a.libs");
        assert_eq!(way("/t", "/t/a/lib"), "$ORIGIN/a/lib");
        assert_eq!(distance("/t/a/b".into(), "/t/a.libs".into()), 3);
    }
}
