//! What a stranger may have written, opened so that it can do no harm.
//!
//! A build, a script or a repository leaves what it likes: a link to a file of yours in the place of
//! its own, a named pipe that nobody ever writes to, a device without an end. So every step down
//! from a folder of ours is taken by itself and follows no link; what is opened is a regular file,
//! keeps nobody waiting, and is read up to a size.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use memmap2::Mmap;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A file that says something: a package.json, a RECORD, a lock. Larger ones are not believed.
pub const TEXT: u64 = 64 << 20;

/// A file that is read whole, whatever it holds: a script, a module.
pub const WHOLE: u64 = 4 << 30;

/// How deep folders are removed at once: each step down is an open file, and one on the stack.
const DEEPEST: u32 = 100;

/// What a folder is called for a while that lay deeper than that.
const MOVED: &str = ".lockwright-deep-";

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A folder that is open. What is in it is named by a path from there: relative, without `..`.
#[derive(Debug)]
pub struct Folder(OwnedFd);

/// Something in a folder.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is; a link is a link.
    pub kind: FileType,
    /// All bits of its mode, set-user-ID and its like among them.
    pub mode: u32,
    /// Length in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// When its bytes last changed, in seconds since 1970.
    pub modified: i64,
    /// When it was last changed, be it only in its mode: seconds and nanoseconds. Nobody can set it.
    pub changed: (i64, i64),
}

impl Folder {
    /// Opens a folder of ours. The path may lead through links; only to name one is an error.
    ///
    /// # Errors
    /// When there is no such folder, or it is a link.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::at(CWD, path.as_ref())
    }

    fn at(folder: BorrowedFd<'_>, name: &Path) -> io::Result<Self> {
        let open = rustix::fs::openat(folder, name, FOLDER, Mode::empty());
        open.map(Self)
            .map_err(|error| said(error, &shown(&name.to_string_lossy())))
    }

    /// A folder below this one; the empty path is this one.
    ///
    /// # Errors
    /// When any part of the path is not a folder that is really there.
    pub fn folder(&self, path: &str) -> io::Result<Self> {
        below(self.0.as_fd(), path)
    }

    /// A regular file below this folder.
    ///
    /// # Errors
    /// When there is none: a link, a pipe or a device is none.
    pub fn file(&self, path: &str) -> io::Result<File> {
        let (folder, name) = parts(path)?;
        let folder = self.folder(folder)?;
        open_as(folder.0.as_fd(), Path::new(name), FILE, &shown(name))
    }

    /// The bytes of a regular file below this folder.
    ///
    /// # Errors
    /// As [`Self::file`]; and when it has more than `limit` bytes.
    pub fn read(&self, path: &str, limit: u64) -> io::Result<Vec<u8>> {
        read_file(self.file(path)?, limit, &shown(path))
    }

    /// Whether a regular file is there.
    pub fn has(&self, path: &str) -> bool {
        self.file(path).is_ok()
    }

    /// What is in this folder, in no order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in Dir::read_from(&self.0)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if matches!(&*name, b"." | b"..") {
                continue;
            }
            entries.push(self.entry(OsString::from_vec(name))?);
        }
        Ok(entries)
    }

    /// What has a name in this folder.
    ///
    /// # Errors
    /// When nothing has, or it cannot be looked at.
    pub fn entry(&self, name: OsString) -> io::Result<Entry> {
        let stat = rustix::fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Entry {
            name,
            kind: FileType::from_raw_mode(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            links: stat.st_nlink,
            modified: stat.st_mtime,
            changed: (
                stat.st_ctime,
                i64::try_from(stat.st_ctime_nsec).unwrap_or_default(),
            ),
        })
    }

    /// Removes what is in this folder, folders that may not be read among it, as far as that can be
    /// done. Links are removed, not followed.
    pub fn empty(&self) {
        // What lies too deep is moved up here, and has its turn: each comes so many steps nearer.
        let (tried, moved) = (AtomicU32::new(0), AtomicBool::new(true));
        while moved.swap(false, Ordering::Relaxed) {
            self.empty_to(DEEPEST, &|folder, name| {
                let called = format!("{MOVED}{}", tried.fetch_add(1, Ordering::Relaxed));
                // Whoever is not root may not move a folder that it may not write to.
                let _ = rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty());
                if rustix::fs::renameat(folder, name, &self.0, called).is_ok() {
                    moved.store(true, Ordering::Relaxed);
                }
            });
        }
    }

    fn empty_to(&self, depth: u32, move_up: &(dyn Fn(&OwnedFd, &[u8]) + Sync)) {
        // What fails here is seen by whoever removes the folder itself.
        let names: Vec<Vec<u8>> = match Dir::read_from(&self.0) {
            Ok(dir) => dir
                .flatten()
                .map(|entry| entry.file_name().to_bytes().to_vec())
                .filter(|name| !matches!(&**name, b"." | b".."))
                .collect(),
            Err(_) => return,
        };
        // Unlinking takes as long as writing did.
        names.into_par_iter().for_each(|name| {
            let name = &*name;
            match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
                // What a folder is told by differs between systems.
                Err(Errno::ISDIR | Errno::PERM) if depth > 0 => {}
                Err(Errno::ISDIR | Errno::PERM) => {
                    let empty = rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR);
                    return empty.unwrap_or_else(|_| move_up(&self.0, name));
                }
                _ => return,
            }
            let open = || rustix::fs::openat(&self.0, name, FOLDER, Mode::empty());
            let open = open().or_else(|_| {
                rustix::fs::chmodat(&self.0, name, Mode::RWXU, AtFlags::empty())?;
                open()
            });
            if let Ok(folder) = open {
                let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
                Self(folder).empty_to(depth - 1, move_up);
            }
            let _ = rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR);
        });
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Folder {
    fn from(folder: OwnedFd) -> Self {
        Self(folder)
    }
}

/// A folder below an open one, each step of the way a folder that is really there.
///
/// # Errors
/// As [`Folder::folder`].
pub fn below(top: BorrowedFd<'_>, path: &str) -> io::Result<Folder> {
    let mut steps = path.split('/').filter(|step| !step.is_empty());
    let here = Folder::at(top, Path::new("."))?;
    steps.try_fold(here, |folder, step| match step {
        ".." => Err(io::Error::other(format!("{} leads upwards", shown(path)))),
        step => Folder::at(folder.0.as_fd(), Path::new(step)),
    })
}

/// Opens a regular file that a stranger may have put there, in a folder of ours.
///
/// # Errors
/// When there is none: a link, a pipe or a device is none.
pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
    open_as(CWD, path.as_ref(), FILE, IT)
}

/// Opens a regular file, links to it wherever it is: for bytes that are compared and go nowhere else.
///
/// # Errors
/// When there is none: a pipe or a device is none.
pub fn open_through_links(path: impl AsRef<Path>) -> io::Result<File> {
    open_as(CWD, path.as_ref(), FILE.difference(OFlags::NOFOLLOW), IT)
}

/// The bytes of a regular file that a stranger may have put there, in a folder of ours.
///
/// # Errors
/// As [`open`]; and when it has more than `limit` bytes.
pub fn read(path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
    read_file(open(path)?, limit, IT)
}

/// A file in memory as it lies on the disk, for those too large to be read. Whoever wrote it is not at
/// work any more.
///
/// # Errors
/// When it cannot be mapped, or has more than `limit` bytes.
pub fn map(file: &File, limit: u64) -> io::Result<Mmap> {
    if file.metadata()?.len() > limit {
        return Err(too_long(limit, IT));
    }
    // Sound as far as mappings can be: nobody is left to write to it.
    #[allow(unsafe_code)]
    unsafe {
        Mmap::map(file)
    }
}

/// Opens a regular file of a stranger's folder, which links may lead to as long as they stay in
/// that folder.
///
/// # Errors
/// When the path leads out of the folder, or to no regular file.
pub fn open_inside(folder: impl AsRef<Path>, path: impl AsRef<Path>) -> io::Result<File> {
    let top = folder.as_ref().canonicalize()?;
    let real = top.join(path.as_ref()).canonicalize()?;
    let outside = || {
        io::Error::other(format!(
            "{} leads out of its folder",
            path.as_ref().display()
        ))
    };
    let inside = real.strip_prefix(&top).map_err(|_| outside())?;
    Folder::open(&top)?.file(inside.to_str().ok_or(io::ErrorKind::InvalidFilename)?)
}

/// The bytes of such a file.
///
/// # Errors
/// As [`open_inside`]; and when it has more than `limit` bytes.
pub fn read_inside(
    folder: impl AsRef<Path>,
    path: impl AsRef<Path>,
    limit: u64,
) -> io::Result<Vec<u8>> {
    read_file(open_inside(folder, path)?, limit, IT)
}

/// The text of a project's own file (a lock, a pyproject.toml, an .npmrc), which links may lead to wherever they
/// like: a checkout's link leads to a device as easily as to a file, and nobody waits for a pipe.
///
/// # Errors
/// When it is no regular file, has more than [`TEXT`] bytes, or is not UTF-8.
pub fn text(path: impl AsRef<Path>) -> io::Result<String> {
    utf8(bytes(path)?)
}

/// The bytes of such a file.
///
/// # Errors
/// When it is no regular file, or has more than [`TEXT`] bytes.
pub fn bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    read_file(open_through_links(path)?, TEXT, IT)
}

/// The bytes of a file that a person named, which may be a pipe of their shell (`<(…)`).
///
/// # Errors
/// As [`bytes()`].
pub fn named(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    let is_open = path.starts_with("/dev/fd") || path == Path::new("/dev/stdin");
    match is_open && !path.is_file() {
        true => read_file(File::open(path)?, TEXT, IT),
        false => bytes(path),
    }
}

/// Bytes as text.
///
/// # Errors
/// When they are not UTF-8.
pub fn utf8(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// What is called so where whoever asked names the path.
const IT: &str = "it";

fn open_as(folder: BorrowedFd<'_>, name: &Path, flags: OFlags, called: &str) -> io::Result<File> {
    let open = rustix::fs::openat(folder, name, flags, Mode::empty());
    let file = File::from(open.map_err(|error| said(error, called))?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(no_file(called)),
    }
}

fn read_file(file: File, limit: u64, called: &str) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_long(limit, called));
    }
    Ok(bytes)
}

/// A path's folder, and its last part.
fn parts(path: &str) -> io::Result<(&str, &str)> {
    match path.rsplit_once('/').unwrap_or(("", path)) {
        (_, "" | "." | "..") => Err(io::Error::other(format!("{} names no file", shown(path)))),
        parts => Ok(parts),
    }
}

/// What the system says of a link, in words.
fn no_file(called: &str) -> io::Error {
    io::Error::other(format!("{called} is not a file"))
}

fn too_long(limit: u64, called: &str) -> io::Error {
    io::Error::other(format!("{called} has more than {limit} bytes"))
}

fn said(error: Errno, called: &str) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other(format!("{called} is a link")),
        Errno::NOTDIR => io::Error::new(
            io::ErrorKind::NotADirectory,
            match called {
                IT => "it is not in a folder".to_owned(),
                called => format!("{called} is not a folder"),
            },
        ),
        // A socket, or a device that has no driver.
        Errno::NXIO | Errno::NODEV => no_file(called),
        other => other.into(),
    }
}

/// Characters that turn the direction of what follows, or are not seen at all, so that two names look the same
/// (Unicode's `Bidi_Control`, and `Default_Ignorable_Code_Point` but for variation selectors).
pub const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e00ff}'
    )
}

/// A stranger's text as it may be printed: without line ends and other control characters, and without
/// those that turn the direction of what follows or are not seen.
pub fn shown(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_unseen(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

/// How much of a name is shown, in characters.
const BRIEF: usize = 200;

/// The beginning of a stranger's name, which may be as long as it likes.
pub fn brief(name: &str) -> String {
    match name.char_indices().nth(BRIEF) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

/// What [`shown`] makes of a text of several lines, which stay.
pub fn shown_lines(text: &str) -> String {
    let lines = text.split('\n');
    let lines: Vec<String> = lines
        .map(|line| shown(&line.trim_end_matches('\r').replace('\t', "    ")))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_moves_the_cursor_turns_text_or_is_not_seen_is_escaped() {
        let text =
            "a\u{1b}[2J\r\n\t\u{7f}\u{9b}b\u{202e}c\u{2066}d\u{200b}e\u{ad}f\u{feff}g\u{e0041}h";
        let plain = shown(text);
        assert!(
            plain.is_ascii() && !plain.chars().any(char::is_control),
            "{plain}"
        );
        assert_eq!(shown("größe 数 e\u{301} 😀"), "größe 数 e\u{301} 😀");
        assert_eq!(shown_lines("a\r\n\tb\u{8}\n"), "a\n    b\\u{8}\n");
    }

    #[test]
    fn only_regular_files_are_read_and_no_link_is_followed() {
        let held = tempfile::tempdir().unwrap();
        let top = held.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(held.path().join("secret"), "secret").unwrap();
        fs::write(top.join("a/b/file"), "12345").unwrap();
        symlink("../secret", top.join("link")).unwrap();
        symlink("a", top.join("folder-link")).unwrap();
        symlink("/dev/zero", top.join("zero")).unwrap();
        let fifo = FileType::Fifo;
        rustix::fs::mknodat(CWD, top.join("pipe"), fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();

        let folder = Folder::open(&top).unwrap();
        assert_eq!(folder.read("a/b/file", 5).unwrap(), b"12345");
        for (path, why) in [
            ("link", "link is a link"),
            ("zero", "zero is a link"),
            ("folder-link/b/file", "folder-link is not a folder"),
            ("pipe", "pipe is not a file"),
            ("socket", "socket is not a file"),
            ("a", "a is not a file"),
            ("../secret", ".. leads upwards"),
            ("a/../../secret", "a/../.. leads upwards"),
            ("a/b/file/", "a/b/file/ names no file"),
            ("..", ".. names no file"),
        ] {
            let error = folder.read(path, 100).unwrap_err().to_string();
            assert!(
                error.starts_with(why) || error.contains(why),
                "{path}: {error}"
            );
            assert!(!folder.has(path));
        }
        let error = folder.read("a/b/file", 4).unwrap_err().to_string();
        assert_eq!(error, "a/b/file has more than 4 bytes");
        assert!(open(top.join("pipe")).is_err() && open("/dev/zero").is_err());
        assert!(Folder::open(top.join("folder-link")).is_err());
    }

    #[test]
    fn a_projects_text_may_be_led_to_but_not_to_a_device_or_a_pipe() {
        let held = tempfile::tempdir().unwrap();
        let path = |name: &str| held.path().join(name);
        fs::write(path("file"), "text").unwrap();
        symlink("file", path("link")).unwrap();
        assert_eq!(text(path("link")).unwrap(), "text");
        symlink("/dev/zero", path("zero")).unwrap();
        rustix::fs::mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::write(path("bytes"), b"\xff").unwrap();
        File::create(path("large"))
            .unwrap()
            .set_len(TEXT + 1)
            .unwrap();
        for name in ["zero", "pipe", "bytes", "large", "absent", "."] {
            assert!(text(path(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn links_that_stay_in_a_folder_are_its_own_affair() {
        let held = tempfile::tempdir().unwrap();
        let top = held.path().join("top");
        fs::create_dir_all(top.join("a")).unwrap();
        fs::write(held.path().join("secret"), "secret").unwrap();
        fs::write(top.join("a/file"), "1").unwrap();
        symlink("a/file", top.join("in")).unwrap();
        symlink("../secret", top.join("out")).unwrap();
        assert_eq!(read_inside(&top, "in", 9).unwrap(), b"1");
        assert!(read_inside(&top, "out", 9).is_err());
        assert!(read_inside(&top, "../secret", 9).is_err());
        assert!(read_inside(&top, "/dev/zero", 9).is_err());
    }

    #[test]
    fn emptying_removes_links_and_what_may_not_be_read_but_nothing_outside() {
        let held = tempfile::tempdir().unwrap();
        let (top, kept) = (held.path().join("top"), held.path().join("kept"));
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        fs::write(top.join("a/b/file"), "").unwrap();
        symlink("../kept", top.join("link")).unwrap();
        fs::set_permissions(top.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        // Deeper than any path reaches, or files can be open.
        let mut deepest = OwnedFd::from(File::open(&top).unwrap());
        for _ in 0..3000 {
            rustix::fs::mkdirat(&deepest, "deep", Mode::RWXU).unwrap();
            deepest = rustix::fs::openat(&deepest, "deep", FOLDER, Mode::empty()).unwrap();
        }
        drop(deepest);
        Folder::open(&top).unwrap().empty();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
        assert!(kept.join("file").exists());
    }
}
