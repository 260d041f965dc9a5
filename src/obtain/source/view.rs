//! What a build sees of version control: a repository of one commit, made of the commit's files.
//!
//! Back ends ask git which files are a package's own, and which version it is. A clone would answer with
//! whatever it happens to have: its branches, its tags, how deep it is, how it was packed. So a repository is
//! written here, whose every byte follows from the commit and the version that the lock has:
//!
//! - `HEAD` is the commit, by its own name where the files are those that it names; history ends there,
//!   as in a clone of depth 1;
//! - the index lists its files, and nothing that a build makes later;
//! - where the version is known, the tag `v<version>` is at the commit;
//! - attributes that change files on their way in or out have been applied, and are set aside.
//!
//! The formats are git's own: `gitformat-pack(5)`, `gitformat-index(5)`.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use data_encoding::{BASE64, HEXLOWER};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use crate::core::digest::crc32;
use crate::core::foreign;
use crate::core::walk::{Node, WalkError, walk};

/// What a commit is besides its files, as an archive of them keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The commit's own text, in Base64: its encoding may be any.
    commit: String,
    /// Its submodules: their places, and their commits.
    links: BTreeMap<String, String>,
}

/// Why a repository cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A file cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file cannot be read or written.
    #[error("cannot write what a build sees of version control: {0}")]
    Io(#[from] io::Error),
    /// What an archive says of its commit is no commit.
    #[error(
        "what the archive says of its commit cannot be read: remove it from the store, and have it fetched anew"
    )]
    About,
}

/// An object's name.
pub(super) type Id = [u8; 20];

impl About {
    /// What is kept of a commit; nothing, where it is too long, or not named by SHA-1.
    pub(super) fn new(commit: &str, text: &[u8], links: &[(String, String)]) -> Option<Self> {
        (commit.len() == 40 && text.len() + links.len() * 200 <= 512 << 10).then(|| Self {
            commit: BASE64.encode(text),
            links: links.iter().cloned().collect(),
        })
    }

    /// Writes the repository of an unpacked commit, whose files lie in `folder`.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write(&self, folder: &Utf8Path, version: Option<&str>) -> Result<(), ViewError> {
        let text = BASE64.decode(self.commit.as_bytes());
        let text = text.map_err(|_| ViewError::About)?;
        let git = folder.join(".git");
        fs::create_dir(&git)?;
        for name in ["objects", "objects/pack", "refs", "info"] {
            fs::create_dir(git.join(name))?;
        }
        let Node::Folder(entries) = walk(folder.as_std_path())? else {
            return Err(ViewError::About);
        };
        let mut writer = Writer {
            top: folder.as_std_path(),
            links: &self.links,
            pack: Pack::new(&git)?,
            index: BTreeMap::new(),
        };
        let tree = writer.tree(Path::new(""), &entries)?;
        let (commit, when) = of_tree(&text, tree).ok_or(ViewError::About)?;
        let commit = writer.pack.add(Kind::Commit, &commit)?;
        let commit_hex = HEXLOWER.encode(&commit);
        let mut references = String::from("# pack-refs with: peeled fully-peeled sorted \n");
        if let Some(version) = version {
            let tag = format!(
                "object {commit_hex}\ntype commit\ntag v{version}\ntagger lockwright <> {when}\n\nv{version}\n"
            );
            let tag = writer.pack.add(Kind::Tag, tag.as_bytes())?;
            let tag = HEXLOWER.encode(&tag);
            references.push_str(&format!("{tag} refs/tags/v{version}\n^{commit_hex}\n"));
        }
        writer.pack.finish(&git)?;
        fs::write(git.join("index"), index(&writer.index, false))?;
        for (name, text) in [
            ("HEAD", format!("{commit_hex}\n")),
            ("shallow", format!("{commit_hex}\n")),
            ("packed-refs", references),
            ("info/attributes", "* -text -eol -ident -filter -working-tree-encoding\n".into()),
            (
                "config",
                "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tautocrlf = false\n".into(),
            ),
        ] {
            fs::write(git.join(name), text)?;
        }
        Ok(())
    }
}

/// A commit's text with this tree as its own, and when it was made: `<seconds> <zone>`.
fn of_tree(text: &[u8], tree: Id) -> Option<(Vec<u8>, String)> {
    let end = memchr::memmem::find(text, b"\n\n").unwrap_or(text.len());
    let head = std::str::from_utf8(text.strip_prefix(b"tree ")?.get(..40)?).ok()?;
    if !head.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let lines = text.get(..end)?.split(|byte| *byte == b'\n');
    let mut committers = lines.filter_map(|line| line.strip_prefix(b"committer "));
    let committer = String::from_utf8_lossy(committers.next()?).into_owned();
    let (_, when) = committer.rsplit_once("> ")?;
    let new = [b"tree ", HEXLOWER.encode(&tree).as_bytes(), text.get(45..)?].concat();
    Some((new, when.to_owned()))
}

struct Writer<'a> {
    top: &'a Path,
    links: &'a BTreeMap<String, String>,
    pack: Pack,
    /// Files, links and submodules by their paths: mode and object.
    index: BTreeMap<Vec<u8>, (u32, Id)>,
}

impl Writer<'_> {
    /// A folder as a tree object.
    fn tree(&mut self, path: &Path, entries: &[(OsString, Node)]) -> Result<Id, ViewError> {
        let mut lines: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, node) in entries {
            let inside = path.join(name);
            if inside == Path::new(".git") {
                continue;
            }
            let link = inside.to_str().and_then(|path| self.links.get(path));
            let (mode, id) = match (node, link) {
                (Node::Folder(_), Some(commit)) => (0o160_000, id_of(commit)?),
                (Node::Folder(entries), None) => {
                    if !holds_a_file(entries) {
                        continue;
                    }
                    (0o040_000, self.tree(&inside, entries)?)
                }
                (Node::Link(target), _) => {
                    (0o120_000, self.pack.add(Kind::Blob, target.as_bytes())?)
                }
                (Node::File(file), _) => {
                    let bytes = foreign::read(self.top.join(&inside), foreign::WHOLE)?;
                    let mode = if file.is_executable() {
                        0o100_755
                    } else {
                        0o100_644
                    };
                    (mode, self.pack.add(Kind::Blob, &bytes)?)
                }
            };
            let mut line = format!("{mode:o} ").into_bytes();
            line.extend_from_slice(name.as_bytes());
            line.push(0);
            line.extend_from_slice(&id);
            // A folder is sorted as if a slash ended its name.
            let mut key = name.as_bytes().to_vec();
            if mode == 0o040_000 {
                key.push(b'/');
            } else {
                self.index
                    .insert(inside.as_os_str().as_bytes().to_vec(), (mode, id));
            }
            lines.push((key, line));
        }
        lines.sort();
        let lines: Vec<u8> = lines.into_iter().flat_map(|(_, line)| line).collect();
        Ok(self.pack.add(Kind::Tree, &lines)?)
    }
}

/// Git keeps no folder without a file.
fn holds_a_file(entries: &[(OsString, Node)]) -> bool {
    entries.iter().any(|(_, node)| match node {
        Node::Folder(entries) => holds_a_file(entries),
        _ => true,
    })
}

fn id_of(hex: &str) -> Result<Id, ViewError> {
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok();
    let id = bytes.and_then(|bytes| Id::try_from(bytes).ok());
    id.ok_or(ViewError::About)
}

/// The kinds of objects, as a pack numbers them.
#[derive(Clone, Copy)]
enum Kind {
    Commit = 1,
    Tree = 2,
    Blob = 3,
    Tag = 4,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// A pack in the making: its objects, one after the other, in a file that gets its head in the end.
struct Pack {
    place: PathBuf,
    file: BufWriter<File>,
    at: u64,
    /// Where each object is, and the CRC-32 of what is there.
    objects: HashMap<Id, (u64, u32)>,
}

impl Pack {
    fn new(git: &Utf8Path) -> io::Result<Self> {
        let place = git.join("objects/pack/objects").into_std_path_buf();
        let file = BufWriter::new(File::create_new(&place)?);
        Ok(Self {
            place,
            file,
            at: 12,
            objects: HashMap::new(),
        })
    }

    fn add(&mut self, kind: Kind, bytes: &[u8]) -> io::Result<Id> {
        let mut hash = Sha1::new_with_prefix(format!("{} {}\0", kind.name(), bytes.len()));
        hash.update(bytes);
        let id: Id = hash.finalize().into();
        if self.objects.contains_key(&id) {
            return Ok(id);
        }
        let mut size = bytes.len() >> 4;
        let mut packed = vec![(kind as u8) << 4 | (bytes.len() & 15) as u8];
        while size > 0 {
            if let Some(last) = packed.last_mut() {
                *last |= 0x80;
            }
            packed.push((size & 0x7f) as u8);
            size >>= 7;
        }
        let mut zlib = ZlibEncoder::new(packed, Compression::fast());
        zlib.write_all(bytes)?;
        let packed = zlib.finish()?;
        self.file.write_all(&packed)?;
        self.objects.insert(id, (self.at, crc32(&packed)));
        self.at += packed.len() as u64;
        Ok(id)
    }

    /// Writes the pack with its head and its sum, and the list of where everything is.
    fn finish(mut self, git: &Utf8Path) -> io::Result<()> {
        self.file.flush()?;
        let too_large = || io::Error::other("it has more than 2 GiB");
        let count = u32::try_from(self.objects.len()).map_err(|_| too_large())?;
        let mut head = b"PACK\0\0\0\x02".to_vec();
        head.extend(count.to_be_bytes());
        let pack = git.join("objects/pack/pack-view.pack");
        let mut whole = Summed::new(BufWriter::new(File::create_new(&pack)?));
        whole.write_all(&head)?;
        io::copy(&mut foreign::open(&self.place)?, &mut whole)?;
        let sum = whole.finish()?;
        fs::remove_file(&self.place)?;

        let mut objects: Vec<(Id, (u64, u32))> = self.objects.into_iter().collect();
        objects.sort_unstable();
        let list = File::create_new(git.join("objects/pack/pack-view.idx"))?;
        let mut list = Summed::new(BufWriter::new(list));
        list.write_all(b"\xfftOc\0\0\0\x02")?;
        for first in 0..=255 {
            let upto = objects.partition_point(|(id, _)| id.first() <= Some(&first));
            list.write_all(&(upto as u32).to_be_bytes())?;
        }
        for (id, _) in &objects {
            list.write_all(id)?;
        }
        for (_, (_, crc)) in &objects {
            list.write_all(&crc.to_be_bytes())?;
        }
        for (_, (at, _)) in &objects {
            let at = i32::try_from(*at).map_err(|_| too_large())?;
            list.write_all(&at.to_be_bytes())?;
        }
        list.write_all(&sum)?;
        list.finish().map(drop)
    }
}

/// A file that ends with the SHA-1 of all before.
struct Summed<W> {
    file: W,
    hash: Sha1,
}

impl<W: Write> Summed<W> {
    fn new(file: W) -> Self {
        Self {
            file,
            hash: Sha1::new(),
        }
    }

    fn finish(mut self) -> io::Result<Id> {
        let sum: Id = self.hash.finalize().into();
        self.file.write_all(&sum)?;
        self.file.flush()?;
        Ok(sum)
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The index, with nothing in it of when and where the files were written: git looks at them itself, or
/// is told that they are unchanged.
pub(super) fn index(entries: &BTreeMap<Vec<u8>, (u32, Id)>, are_unchanged: bool) -> Vec<u8> {
    let mut all = b"DIRC\0\0\0\x02".to_vec();
    all.extend((entries.len() as u32).to_be_bytes());
    for (path, (mode, id)) in entries {
        let start = all.len();
        all.extend([0; 24]);
        all.extend(mode.to_be_bytes());
        all.extend([0; 12]);
        all.extend(id);
        let flag = if are_unchanged { 0x8000 } else { 0 };
        all.extend((path.len().min(0xfff) as u16 | flag).to_be_bytes());
        all.extend(path);
        // At least one NUL, up to a multiple of eight.
        let length = (all.len() - start + 8) / 8 * 8;
        all.resize(start + length, 0);
    }
    let sum: Id = Sha1::digest(&all).into();
    all.extend(sum);
    all
}
