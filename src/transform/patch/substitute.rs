//! One text for another, as nixpkgs' `substituteInPlace --replace-fail` does it.
//!
//! What is to be replaced must be there, and not only inside what it is to be replaced by: it would
//! be written twice. Whether a change was made before cannot be known from the text: that what should
//! stand there does is told, and nothing is concluded from it.

use memchr::memmem;

use crate::core::foreign;

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
    #[error("`{replace}` is not there{}{}", but_near(.nearest.as_ref()), but_new(.new.as_ref()))]
    Absent {
        /// What was looked for.
        replace: String,
        /// The line that is most like it: its number and text.
        nearest: Option<(usize, String)>,
        /// What would be written, where that is there.
        new: Option<There>,
    },
    /// It occurs, but only as a part of what would be written.
    #[error(
        "`{replace}` is there only as a part of `{}`, which is to replace it, at {}: {MADE_OR_NOT} give \
         more of the text around the place",
        .new.text, at_lines(&.new.lines)
    )]
    Inside {
        /// What was looked for.
        replace: String,
        /// What would be written.
        new: There,
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

/// A text, and at which lines it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    /// The text.
    pub text: String,
    /// A line for each time.
    pub lines: Vec<usize>,
}

/// What follows from the new text's being there is for the reader to say.
const MADE_OR_NOT: &str = "if the change was made before, leave this substitution out; if not,";

fn but_new(new: Option<&There>) -> String {
    let Some(There { text, lines }) = new else {
        return String::new();
    };
    let times = match lines.len() {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    format!(
        ". `{text}` is, {times}, at {}: {MADE_OR_NOT} give the text that stands in the file",
        at_lines(lines)
    )
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
    // White space is everywhere, and tells nothing.
    let is_telling = !with.trim_ascii().is_empty();
    let new: Vec<usize> = match is_telling {
        true => memmem::find_iter(text, with).collect(),
        false => Vec::new(),
    };
    let there = || There {
        text: shown(with),
        lines: lines_of(text, &new),
    };
    if found.is_empty() {
        return Err(SubstituteError::Absent {
            replace: shown(replace),
            nearest: nearest_line(text, replace),
            new: (!new.is_empty()).then(there),
        });
    }
    if !new.is_empty() && found.iter().all(|&at| is_inside(text, at, replace, with)) {
        return Err(SubstituteError::Inside {
            replace: shown(replace),
            new: there(),
        });
    }
    if let Some(wanted) = count
        && wanted != found.len()
    {
        return Err(SubstituteError::Count {
            replace: shown(replace),
            found: found.len(),
            wanted,
            lines: lines_of(text, &found),
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

/// The lines of what was found at these offsets, which are in order.
fn lines_of(text: &[u8], found: &[usize]) -> Vec<usize> {
    let (mut line, mut from) = (1, 0);
    let line_at = |&at: &usize| {
        line += memchr::memchr_iter(b'\n', text.get(from..at).unwrap_or_default()).count();
        from = at;
        line
    };
    found.iter().map(line_at).collect()
}

fn shown(text: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = foreign::shown(&String::from_utf8_lossy(text));
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
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
                run("a\nB\nc\n", "zzz", "B", None),
                run("a\nB\nB\nc\n", "zzz", "B", None),
                run("a b\n", "zzz", " ", None),
                run("/out/lib\n\n/out/lib\n", "/lib", "/out/lib", None),
                run(SETTINGS, "parent", "x", Some(3)),
                run(SETTINGS, "", "x", None),
            ]
            .map(Result::unwrap_err)
            .join("\n"),
            @r"
        `BASE_DIR = Path(__file__).absolute().parent.parent.parent` is not there; the nearest is line 3: `BASE_DIR = Path(__file__).absolute().parent.parent`
        `zzzzzz` is not there, nor anything like it
        `DEBUG = True` is not there; the nearest is line 4: `DEBUG = False`. `DEBUG = False` is, once, at line 4: if the change was made before, leave this substitution out; if not, give the text that stands in the file
        `zzz` is not there, nor anything like it. `B` is, once, at line 2: if the change was made before, leave this substitution out; if not, give the text that stands in the file
        `zzz` is not there, nor anything like it. `B` is, 2 times, at lines 2, 3: if the change was made before, leave this substitution out; if not, give the text that stands in the file
        `zzz` is not there, nor anything like it
        `/lib` is there only as a part of `/out/lib`, which is to replace it, at lines 1, 3: if the change was made before, leave this substitution out; if not, give more of the text around the place
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
                .contains("only as a part of")
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
