//! Reading unified diffs: files, hunks and lines, as they are written.

use crate::files::tree::TreePath;

/// What a patch does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// What the file is called before; `None` where it is new.
    pub(super) old: Option<TreePath>,
    /// And after; `None` where it is removed.
    pub(super) new: Option<TreePath>,
    pub(super) kind: Kind,
    /// Its executable bit afterwards, where the patch says.
    pub(super) executable: Option<bool>,
    pub(super) hunks: Vec<Hunk>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Edit,
    Rename,
    Copy,
}

/// A stretch of lines and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    /// In the patch, for messages: its line.
    pub(super) at: usize,
    /// Where the old lines begin, from 0.
    pub(super) start: usize,
    pub(super) lines: Vec<(Side, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    Old,
    New,
}

/// Why a patch was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnifiedError {
    /// Nothing in it is a patch.
    #[error(
        "there is no unified diff in it: it has `--- old` and `+++ new` lines, or git's headers"
    )]
    Nothing,
    /// A line is not what a patch has there.
    #[error("line {line} of the patch: {what}")]
    Form {
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// It names a path that leads out of the tree, or that cannot be one.
    #[error(
        "line {line} of the patch names `{path}`: {what}; -p says how many leading parts are removed"
    )]
    Path {
        /// From 1.
        line: usize,
        /// The path as it is written.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// A file is not there.
    #[error(
        "there is no {0} to patch: --root says where its paths begin, -p how many leading parts are removed"
    )]
    Missing(TreePath),
    /// A file that should be new is there.
    #[error("{0} should be made by the patch and is there already: it may have been applied")]
    There(TreePath),
    /// A file that should be removed has more in it than the patch says.
    #[error("{0} should be removed, and has more in it than the patch says")]
    NotEmpty(TreePath),
    /// A hunk matches nowhere.
    #[error("{path}: hunk {hunk} (line {line} of the patch) does not apply{hint}")]
    Hunk {
        /// The file.
        path: TreePath,
        /// Which, from 1.
        hunk: usize,
        /// Where it stands in the patch.
        line: usize,
        /// What may be the matter.
        hint: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// Which.
        path: TreePath,
        /// Why.
        reason: String,
    },
}

/// Reads a patch. `strip` leading parts are removed its paths.
///
/// # Errors
/// When it is malformed, holds binary changes, or leads out of the tree.
pub fn parse(patch: &[u8], strip: usize) -> Result<Vec<FilePatch>, UnifiedError> {
    let lines: Vec<&[u8]> = patch.split_inclusive(|&byte| byte == b'\n').collect();
    let mut parser = Parser {
        lines,
        at: 0,
        strip,
    };
    let mut files = Vec::new();
    while let Some(file) = parser.file()? {
        files.push(file);
    }
    if files.is_empty() {
        return Err(UnifiedError::Nothing);
    }
    Ok(files)
}

struct Parser<'a> {
    lines: Vec<&'a [u8]>,
    at: usize,
    strip: usize,
}

/// What the lines before a file's hunks say.
#[derive(Default)]
struct Header {
    git: bool,
    old: Named,
    new: Named,
    kind: Option<Kind>,
    executable: Option<bool>,
    is_new: bool,
    is_deleted: bool,
    /// The two paths of `diff --git a/x b/x`, where they are the same.
    both: Option<TreePath>,
}

/// What a patch calls a file.
#[derive(Default)]
enum Named {
    /// It does not say.
    #[default]
    Unsaid,
    /// `/dev/null`: there is none.
    Nothing,
    Path(TreePath),
}

impl Named {
    fn of(path: Option<TreePath>) -> Self {
        path.map_or(Self::Nothing, Self::Path)
    }

    fn or(self, other: Option<TreePath>) -> Option<TreePath> {
        match self {
            Self::Unsaid => other,
            Self::Nothing => None,
            Self::Path(path) => Some(path),
        }
    }
}

impl Parser<'_> {
    /// A line without its end.
    fn line(&self, at: usize) -> Option<&str> {
        let line = self.lines.get(at)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(std::str::from_utf8(line).unwrap_or("\u{fffd}"))
    }

    /// The next file's part; what stands between them is talk.
    fn file(&mut self) -> Result<Option<FilePatch>, UnifiedError> {
        let mut header = Header::default();
        while let Some(line) = self.line(self.at).map(str::to_owned) {
            let at = self.at;
            if let Some(paths) = line.strip_prefix("diff --git ") {
                if header.git {
                    break;
                }
                header.git = true;
                header.both = self.same_path(at, paths)?;
            } else if header.git
                && (line == "GIT binary patch" || line.starts_with("Binary files "))
            {
                return Err(wrong(
                    at,
                    "a binary change, which a unified diff cannot carry",
                ));
            } else if let Some(path) = line.strip_prefix("rename from ").filter(|_| header.git) {
                header.kind = Some(Kind::Rename);
                header.old = Named::Path(self.path_as_is(at, path)?);
            } else if let Some(path) = line.strip_prefix("copy from ").filter(|_| header.git) {
                header.kind = Some(Kind::Copy);
                header.old = Named::Path(self.path_as_is(at, path)?);
            } else if let Some(path) = line
                .strip_prefix("rename to ")
                .or_else(|| line.strip_prefix("copy to "))
                .filter(|_| header.git)
            {
                header.new = Named::Path(self.path_as_is(at, path)?);
            } else if let Some(mode) = line
                .strip_prefix("new mode ")
                .or_else(|| line.strip_prefix("new file mode "))
                .filter(|_| header.git)
            {
                header.is_new |= line.starts_with("new file");
                header.executable = match mode {
                    "100644" => Some(false),
                    "100755" => Some(true),
                    _ => {
                        return Err(wrong(
                            at,
                            "only plain files can be patched, no links or submodules",
                        ));
                    }
                };
            } else if line.starts_with("deleted file mode ") && header.git {
                header.is_deleted = true;
            } else if let Some(old) = line.strip_prefix("--- ")
                && let Some(new) = self.line(at + 1).and_then(|next| next.strip_prefix("+++ "))
            {
                let new = new.to_owned();
                header.old = Named::of(self.path(at, old)?);
                header.new = Named::of(self.path(at + 1, &new)?);
                self.at += 2;
                break;
            } else if line.starts_with("@@ -") {
                return Err(wrong(at, "a hunk before any `--- old` and `+++ new`"));
            }
            self.at += 1;
        }
        let hunks = self.hunks()?;
        self.finish(header, hunks)
    }

    fn finish(&self, header: Header, hunks: Vec<Hunk>) -> Result<Option<FilePatch>, UnifiedError> {
        let Header {
            git,
            old,
            new,
            kind,
            executable,
            is_new,
            is_deleted,
            both,
        } = header;
        if !git && matches!((&old, &new), (Named::Unsaid, Named::Unsaid)) {
            return Ok(None);
        }
        let (mut old, mut new) = (old.or(both.clone()), new.or(both));
        if is_new {
            old = None;
        }
        if is_deleted {
            new = None;
        }
        if old.is_none() && new.is_none() {
            return Err(wrong(
                self.at.saturating_sub(1),
                "the file's name cannot be determined",
            ));
        }
        Ok(Some(FilePatch {
            old,
            new,
            kind: kind.unwrap_or(Kind::Edit),
            executable,
            hunks,
        }))
    }

    /// The path after `--- ` or `+++ `; a time may follow, after a tab.
    fn path(&self, at: usize, text: &str) -> Result<Option<TreePath>, UnifiedError> {
        let text = match text.strip_prefix('"') {
            Some(_) => {
                unquoted(text).ok_or_else(|| wrong(at, "a name in quotes that never end"))?
            }
            None => text
                .split('\t')
                .next()
                .unwrap_or(text)
                .trim_end()
                .to_owned(),
        };
        if text == "/dev/null" {
            return Ok(None);
        }
        let stripped = text
            .split('/')
            .filter(|part| !part.is_empty())
            .skip(self.strip);
        let stripped: Vec<&str> = stripped.filter(|part| *part != ".").collect();
        if text.starts_with('/') && self.strip == 0 {
            return Err(bad_path(at, &text, "it is absolute"));
        }
        checked(at, &text, &stripped.join("/")).map(Some)
    }

    /// A path that git writes without `a/` and `b/`.
    fn path_as_is(&self, at: usize, text: &str) -> Result<TreePath, UnifiedError> {
        let text = if text.starts_with('"') {
            unquoted(text).ok_or_else(|| wrong(at, "a name in quotes that never end"))?
        } else {
            text.to_owned()
        };
        let parts = text.split('/').skip(self.strip.saturating_sub(1));
        let path = parts.collect::<Vec<_>>().join("/");
        checked(at, &text, &path)
    }

    /// `a/x b/x`: the two halves of equal length, as git itself tells them apart.
    fn same_path(&self, at: usize, text: &str) -> Result<Option<TreePath>, UnifiedError> {
        let half = text.len() / 2;
        let (Some(one), Some(other)) = (text.get(..half), text.get(half + 1..)) else {
            return Ok(None);
        };
        let tail = |text: &str| text.split_once('/').map(|(_, tail)| tail.to_owned());
        if tail(one).is_none() || tail(one) != tail(other) {
            return Ok(None);
        }
        self.path(at, other)
    }

    fn hunks(&mut self) -> Result<Vec<Hunk>, UnifiedError> {
        let mut hunks = Vec::new();
        while let Some(line) = self.line(self.at).filter(|line| line.starts_with("@@ -")) {
            let ranges =
                ranges(line).ok_or_else(|| wrong(self.at, "this is no `@@ -1,2 +1,2 @@`"))?;
            hunks.push(self.hunk(ranges)?);
        }
        Ok(hunks)
    }

    fn hunk(&mut self, ranges: Ranges) -> Result<Hunk, UnifiedError> {
        let at = self.at;
        let Ranges {
            start,
            mut old,
            mut new,
        } = ranges;
        let mut lines: Vec<(Side, Vec<u8>)> = Vec::new();
        // Of nothing, the place is the line before.
        let start = if old == 0 {
            start
        } else {
            start.saturating_sub(1)
        };
        self.at += 1;
        while old > 0 || new > 0 {
            let Some(line) = self.lines.get(self.at) else {
                return Err(wrong(self.at, "the patch ends within a hunk"));
            };
            let (side, text) = match line.split_first() {
                Some((b' ', text)) => (Side::Both, text),
                Some((b'-', text)) => (Side::Old, text),
                Some((b'+', text)) => (Side::New, text),
                // Some programs drop the blank of an empty line.
                Some((b'\n', _) | (b'\r', b"\n")) => (Side::Both, *line),
                Some((b'\\', _)) => {
                    self.no_newline(&mut lines);
                    continue;
                }
                _ => {
                    return Err(wrong(
                        self.at,
                        "a hunk's line begins with a blank, `-` or `+`",
                    ));
                }
            };
            let fewer = |count: usize, has: bool| count.checked_sub(usize::from(has));
            let counts = (fewer(old, side != Side::New), fewer(new, side != Side::Old));
            let (Some(less_old), Some(less_new)) = counts else {
                return Err(wrong(
                    self.at,
                    "the hunk has more lines than its header says",
                ));
            };
            (old, new) = (less_old, less_new);
            lines.push((side, text.to_vec()));
            self.at += 1;
        }
        if self
            .lines
            .get(self.at)
            .is_some_and(|line| line.starts_with(b"\\"))
        {
            self.no_newline(&mut lines);
        }
        Ok(Hunk { at, start, lines })
    }

    /// `\ No newline at end of file`: of the line before.
    fn no_newline(&mut self, lines: &mut [(Side, Vec<u8>)]) {
        if let Some((_, line)) = lines.last_mut() {
            line.pop_if(|byte| *byte == b'\n');
        }
        self.at += 1;
    }
}

fn wrong(at: usize, what: &str) -> UnifiedError {
    UnifiedError::Form {
        line: at + 1,
        what: what.to_owned(),
    }
}

fn checked(at: usize, written: &str, path: &str) -> Result<TreePath, UnifiedError> {
    TreePath::new(path).map_err(|error| bad_path(at, written, &error.to_string()))
}

fn bad_path(at: usize, path: &str, what: &str) -> UnifiedError {
    UnifiedError::Path {
        line: at + 1,
        path: path.to_owned(),
        what: what.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Ranges {
    start: usize,
    old: usize,
    new: usize,
}

/// `@@ -start,old +start,new @@`; a count of one may be left out.
fn ranges(line: &str) -> Option<Ranges> {
    let (both, _) = line.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = both.split_once(" +")?;
    let range = |text: &str| -> Option<(usize, usize)> {
        match text.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((start, old), (_, new)) = (range(old)?, range(new)?);
    Some(Ranges { start, old, new })
}

/// A name as git writes one with odd characters: in quotes, escaped as in C.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.strip_prefix('"')?.bytes();
    loop {
        match rest.next()? {
            b'"' => return String::from_utf8(bytes).ok(),
            b'\\' => bytes.push(match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'a' => 7,
                b'b' => 8,
                b'v' => 11,
                b'f' => 12,
                digit @ b'0'..=b'3' => {
                    let octal = [digit, rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&octal).ok()?, 8).ok()?
                }
                other => other,
            }),
            byte => bytes.push(byte),
        }
    }
}
