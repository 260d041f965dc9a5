//! One text for another, as nixpkgs' `substituteInPlace --replace-fail` does it.
//!
//! What is to be replaced must be there, and not only inside what it is to be replaced by: then the
//! change has been made already.

use memchr::memmem;

/// A text with its replacements made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substituted {
    /// The new text.
    pub bytes: Vec<u8>,
    /// How many times it was replaced.
    pub count: usize,
}

/// Why nothing was replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// Nothing was given to look for.
    #[error("there is nothing to replace: give the text that stands in the file")]
    Empty,
    /// It does not occur.
    #[error("`{replace}` is not there{}", but_near(.nearest.as_ref()))]
    Absent {
        /// What was looked for.
        replace: String,
        /// The line that is most like it: its number and text.
        nearest: Option<(usize, String)>,
    },
    /// It does not occur, but what should stand there does.
    #[error(
        "`{with}` is there already, at line {line}: the change has been made; leave this substitution out"
    )]
    Done {
        /// What would be written.
        with: String,
        /// Where it stands.
        line: usize,
    },
    /// It occurs another number of times than was asked for.
    #[error("`{replace}` is there {found} times, not {wanted}: at {}", at_lines(.lines))]
    Count {
        /// What was looked for.
        replace: String,
        /// How often it is there.
        found: usize,
        /// How often it should be.
        wanted: usize,
        /// At which lines.
        lines: Vec<usize>,
    },
}

fn but_near(nearest: Option<&(usize, String)>) -> String {
    match nearest {
        Some((line, text)) => format!("; the nearest is line {line}: `{text}`"),
        None => ", nor anything like it".into(),
    }
}

fn at_lines(lines: &[usize]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = lines.iter().take(SHOWN).map(ToString::to_string).collect();
    if lines.len() > SHOWN {
        shown.push("…".into());
    }
    let word = if lines.len() == 1 { "line" } else { "lines" };
    format!("{word} {}", shown.join(", "))
}

/// Replaces every occurrence of `replace` in `text`; where `count` is given, there must be exactly
/// so many.
///
/// # Errors
/// When it does not occur, or another number of times, or only where `with` stands already.
pub fn substitute(
    text: &[u8],
    replace: &[u8],
    with: &[u8],
    count: Option<usize>,
) -> Result<Substituted, SubstituteError> {
    if replace.is_empty() {
        return Err(SubstituteError::Empty);
    }
    let found: Vec<usize> = memmem::find_iter(text, replace).collect();
    let done = if with.is_empty() {
        None
    } else {
        memmem::find(text, with)
    };
    if let Some(at) = done
        && found.iter().all(|&at| is_inside(text, at, replace, with))
    {
        return Err(SubstituteError::Done {
            with: shown(with),
            line: line_at(text, at),
        });
    }
    if found.is_empty() {
        return Err(SubstituteError::Absent {
            replace: shown(replace),
            nearest: nearest_line(text, replace),
        });
    }
    if let Some(wanted) = count
        && wanted != found.len()
    {
        return Err(SubstituteError::Count {
            replace: shown(replace),
            found: found.len(),
            wanted,
            lines: found.iter().map(|&at| line_at(text, at)).collect(),
        });
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut from = 0;
    for &at in &found {
        bytes.extend_from_slice(text.get(from..at).unwrap_or_default());
        bytes.extend_from_slice(with);
        from = at + replace.len();
    }
    bytes.extend_from_slice(text.get(from..).unwrap_or_default());
    Ok(Substituted {
        bytes,
        count: found.len(),
    })
}

/// Whether what was found at an offset is a part of `with` that stands there.
fn is_inside(text: &[u8], at: usize, replace: &[u8], with: &[u8]) -> bool {
    memmem::find_iter(with, replace).any(|inner| {
        let start = at.checked_sub(inner);
        start
            .and_then(|start| text.get(start..))
            .is_some_and(|rest| rest.starts_with(with))
    })
}

fn line_at(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    memchr::memchr_iter(b'\n', before).count() + 1
}

fn shown(text: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into_owned(),
    }
}

/// The line that is most like the first telling line of what was looked for.
fn nearest_line(text: &[u8], wanted: &[u8]) -> Option<(usize, String)> {
    /// Below this, two lines have little more in common than letters.
    const ALIKE: f64 = 0.4;
    let wanted = String::from_utf8_lossy(wanted);
    let wanted = wanted
        .lines()
        .map(str::trim)
        .max_by_key(|line| line.len())?;
    let text = String::from_utf8_lossy(text);
    let (mut best, mut nearest) = (ALIKE, None);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        // A line of another order of length is not it, and may be a whole minified program.
        if line.len() > 8 * wanted.len() + 80 {
            continue;
        }
        let likeness = strsim::sorensen_dice(line, wanted);
        if likeness > best {
            (best, nearest) = (likeness, Some((number + 1, line)));
        }
    }
    nearest.map(|(number, line)| (number, shown(line.as_bytes())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SETTINGS: &str =
        "import os\n\nBASE_DIR = Path(__file__).absolute().parent.parent\nDEBUG = False\n";

    fn run(text: &str, replace: &str, with: &str, count: Option<usize>) -> Result<String, String> {
        substitute(text.as_bytes(), replace.as_bytes(), with.as_bytes(), count)
            .map(|done| String::from_utf8(done.bytes).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_there_is_replaced_and_what_is_not_is_said() {
        assert_eq!(
            run(SETTINGS, "DEBUG = False", "DEBUG = True", Some(1)).unwrap(),
            SETTINGS.replace("False", "True")
        );
        insta::assert_snapshot!(
            [
                run(SETTINGS, "BASE_DIR = Path(__file__).absolute().parent.parent.parent", "x", None),
                run(SETTINGS, "zzzzzz", "x", None),
                run(SETTINGS, "DEBUG = True", "DEBUG = False", None),
                run(SETTINGS, "parent", "x", Some(3)),
                run(SETTINGS, "", "x", None),
            ]
            .map(Result::unwrap_err)
            .join("\n"),
            @r"
        `BASE_DIR = Path(__file__).absolute().parent.parent.parent` is not there; the nearest is line 3: `BASE_DIR = Path(__file__).absolute().parent.parent`
        `zzzzzz` is not there, nor anything like it
        `DEBUG = False` is there already, at line 4: the change has been made; leave this substitution out
        `parent` is there 2 times, not 3: at lines 3, 3
        there is nothing to replace: give the text that stands in the file
        "
        );
    }

    #[test]
    fn a_text_that_holds_the_old_one_is_not_written_twice() {
        let once = run("a = /blueprints\n", "/blueprints", "/out/blueprints", None).unwrap();
        assert_eq!(once, "a = /out/blueprints\n");
        assert!(
            run(&once, "/blueprints", "/out/blueprints", None)
                .unwrap_err()
                .contains("already")
        );
        assert_eq!(run("x\nx y\n", "x", "x y", None).unwrap(), "x y\nx y y\n");
    }

    proptest::proptest! {
        #[test]
        fn as_the_standard_library_replaces(text in "[ab]{0,30}", from in "[ab]{1,3}", to in "[c]{1,3}") {
            let wanted = text.contains(&from).then(|| text.replace(&from, &to));
            proptest::prop_assert_eq!(run(&text, &from, &to, None).ok(), wanted);
        }

        #[test]
        fn there_and_back(text in "[ab\n]{0,30}", from in "[ab]{1,3}") {
            if let Ok(done) = run(&text, &from, "XY", None) {
                proptest::prop_assert_eq!(run(&done, "XY", &from, None).unwrap(), text);
            }
        }
    }
}
