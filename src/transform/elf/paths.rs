//! Paths as text: what ld.so does with `$ORIGIN`, and the way from one folder to another.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// The path without `.` and `..`, as far as the text alone tells.
pub(super) fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut out = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The folder that an entry of a search path means for a file in `origin`. `None` for entries that
/// depend on something else: relative ones, and those with `$LIB` or `$PLATFORM` (see ld.so(8)).
pub(super) fn expand(entry: &str, origin: &Utf8Path) -> Option<Utf8PathBuf> {
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
    let mut entry = String::from("$ORIGIN");
    for step in steps(from, to) {
        entry.push('/');
        entry.push_str(&step);
    }
    entry
}

/// How many folders lie between two.
pub(super) fn distance(from: &Utf8Path, to: &Utf8Path) -> usize {
    steps(from, to).len()
}

fn steps(from: &Utf8Path, to: &Utf8Path) -> Vec<String> {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(common).map(|_| "..".to_owned());
    up.chain(to.iter().skip(common).map(|step| step.as_str().to_owned()))
        .collect()
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
