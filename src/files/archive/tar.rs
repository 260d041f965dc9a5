//! Tar archives: npm's tarballs and Python's source distributions.
//!
//! A tar is a list of headers, each followed by a body, and readers have always disagreed on where
//! the next header is: which of two sizes counts, which extension belongs to which member, what a
//! folder's body is. What one reader takes for a body, another takes for members, and so things
//! are smuggled past whoever looked (GHSA-j5gw-2vrg-8fgx). Here every such doubt is a refusal, so
//! what is read is what any other reader sees.
//!
//! Read are the formats in use: v7, ustar, pax (POSIX.1-2024, `pax`, "pax Interchange Format") and
//! GNU's long names. Nothing is decided about where members go: [`TarMember::path`] is the name as it
//! stands in the archive, and [`TarMember::place`] makes of it a path that can be placed, or says why
//! not. Bodies are slices of the unpacked archive, never copied.

use std::borrow::Cow;

use ::tar::{EntryType, Header};

use super::Limits;
use crate::core::foreign;
use crate::core::tree_path::{PathError, TreePath};

const BLOCK: usize = 512;

/// Names and extensions longer than this are not believed, in bytes.
const LONGEST_EXTENSION: u64 = 1 << 20;

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarMember<'a> {
    /// Its name as it stands in the archive: unchecked, but for being UTF-8 and not empty.
    pub path: Cow<'a, str>,
    /// What it is.
    pub kind: Kind<'a>,
    /// Its mode as it stands in the archive.
    pub mode: u32,
    /// Its body; empty unless it is a file.
    pub bytes: &'a [u8],
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, and where it leads.
    Symlink(Cow<'a, str>),
    /// Another name for a member before it.
    Hardlink(Cow<'a, str>),
    /// A device, or a named pipe.
    Device,
}

impl TarMember<'_> {
    /// Where the member goes once the first `strip` parts of its name are left out; `None` when
    /// nothing is left of it.
    ///
    /// # Errors
    /// When that leads outside, or cannot be placed everywhere.
    pub fn place(&self, strip: usize) -> Result<Option<TreePath>, PathError> {
        let path = self.path.trim_end_matches('/');
        let mut rest = Some(path);
        for _ in 0..strip {
            rest = rest
                .and_then(|rest| rest.split_once('/'))
                .map(|(_, rest)| rest);
        }
        // `./` says nothing, and some packers write it anywhere in a name.
        let plain = |rest: &str| {
            let parts = rest.split('/').filter(|part| *part != ".");
            parts.collect::<Vec<_>>().join("/")
        };
        rest.map(plain)
            .filter(|rest| !rest.is_empty())
            .map(TreePath::new)
            .transpose()
    }
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "{archive} is refused: {reason}; it is damaged or malicious: get it from somewhere else, or leave it out"
)]
pub struct TarError {
    pub(super) archive: String,
    pub(super) reason: Reason,
}

impl TarError {
    /// For what a reader of members finds wrong with one of them.
    pub fn member(archive: &str, member: &str, why: impl Into<String>) -> Self {
        Self {
            archive: archive.to_owned(),
            reason: Reason::Member(shown(member.as_bytes()), why.into()),
        }
    }
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Reason {
    #[error("it cannot be unpacked ({0})")]
    Gzip(String),
    #[error(
        "it would unpack to {0} bytes from {1}, more than --max-unpacked and --max-ratio allow"
    )]
    Bomb(u64, u64),
    #[error("it has more than {0} members")]
    TooMany(usize),
    #[error("its member at byte {0} has an invalid header (wrong checksum)")]
    Checksum(usize),
    #[error("its member at byte {0} has no name")]
    Nameless(usize),
    #[error("the name of its member at byte {0} is not UTF-8: {1}")]
    Name(usize, String),
    #[error("the size of member {0}, at byte {1}, is not a number")]
    Size(String, usize),
    #[error("member {0}, at byte {1}, is longer than what is left of the archive")]
    Truncated(String, usize),
    #[error("member {0} has two sizes, {1} in its header and {2} in its extension")]
    TwoSizes(String, u64, u64),
    #[error("member {0} is not a file but has contents")]
    Body(String),
    #[error("member {0} leads nowhere: it is a link without a target")]
    Target(String),
    #[error("member {0} has holes (a GNU sparse file)")]
    Sparse(String),
    #[error("member {0} is of type {1:?}, which is not known")]
    Type(String, char),
    #[error("its extension at byte {0} is not understood: {1}")]
    Extension(usize, &'static str),
    #[error("something follows its end, at byte {0}")]
    Trailing(usize),
    #[error("member {0}: {1}")]
    Member(String, String),
}

/// The members of an archive, in its order.
#[derive(Debug)]
pub struct Tar<'a> {
    bytes: &'a [u8],
    name: String,
    at: usize,
    left: usize,
    limits: Limits,
    note: Option<&'a [u8]>,
}

/// The keyword of what we say of an archive ourselves.
pub const NOTE: &str = "LOCKWRIGHT.about";

/// What extensions say of the member that follows them.
#[derive(Default)]
struct Extension<'a> {
    path: Option<Cow<'a, [u8]>>,
    target: Option<Cow<'a, [u8]>>,
    size: Option<u64>,
    sparse: bool,
    note: Option<&'a [u8]>,
}

impl<'a> Tar<'a> {
    /// Reads an unpacked archive. `name` is what it is called in messages.
    pub fn new(bytes: &'a [u8], name: &str, limits: &Limits) -> Self {
        Self {
            bytes,
            name: name.to_owned(),
            at: 0,
            left: limits.members,
            limits: *limits,
            note: None,
        }
    }

    /// What is said of the archive under [`NOTE`], once its first member was asked for.
    pub fn note(&self) -> Option<&'a [u8]> {
        self.note
    }

    /// The next member.
    fn member(&mut self) -> Result<Option<TarMember<'a>>, Reason> {
        let mut extension = Extension::default();
        let mut extended = None;
        loop {
            let at = self.at;
            let Some((header, block)) = self.header()? else {
                return match extended {
                    Some(at) => Err(Reason::Extension(at, "no member follows it")),
                    None => Ok(None),
                };
            };
            match header.entry_type() {
                EntryType::XHeader => {
                    extended = Some(at);
                    let body = self.extension_body(header, at)?;
                    pax(body, at, &mut extension)?;
                }
                EntryType::XGlobalHeader => {
                    let body = self.extension_body(header, at)?;
                    let mut global = Extension::default();
                    pax(body, at, &mut global)?;
                    if global.path.is_some() || global.target.is_some() || global.size.is_some() {
                        return Err(Reason::Extension(at, "it gives all members the same name"));
                    }
                    self.note = self.note.or(global.note);
                }
                EntryType::GNULongName => {
                    extended = Some(at);
                    let body = self.extension_body(header, at)?;
                    extension.path = Some(Cow::Borrowed(until_nul(body)));
                }
                EntryType::GNULongLink => {
                    extended = Some(at);
                    let body = self.extension_body(header, at)?;
                    extension.target = Some(Cow::Borrowed(until_nul(body)));
                }
                _ => return self.finish(header, block, at, extension).map(Some),
            }
        }
    }

    /// The header at the place that is reached; `None` at the end.
    fn header(&mut self) -> Result<Option<(&'a Header, &'a [u8])>, Reason> {
        let at = self.at;
        let rest = self.bytes.get(at..).unwrap_or_default();
        let Some(block) = rest.get(..BLOCK) else {
            // An archive may lack its end, but not break off in a block.
            return if rest.iter().all(|byte| *byte == 0) {
                Ok(None)
            } else {
                Err(Reason::Trailing(at))
            };
        };
        if block.iter().all(|byte| *byte == 0) {
            // The end is two empty blocks, padded with more of them at will.
            return match rest.iter().position(|byte| *byte != 0) {
                Some(skip) => Err(Reason::Trailing(at + skip)),
                None => Ok(None),
            };
        }
        let header = Header::from_byte_slice(block);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let own: u32 = header
            .as_old()
            .cksum
            .iter()
            .map(|byte| u32::from(*byte))
            .sum();
        if header.cksum().ok() != Some(sum - own + 8 * u32::from(b' ')) {
            return Err(Reason::Checksum(at));
        }
        self.at += BLOCK;
        Ok(Some((header, block)))
    }

    /// Takes a body of `size` bytes, and what pads it to whole blocks.
    fn body(&mut self, size: u64, name: &str, at: usize) -> Result<&'a [u8], Reason> {
        let truncated = || Reason::Truncated(shown(name.as_bytes()), at);
        let size = usize::try_from(size).map_err(|_| truncated())?;
        let end = self.at.checked_add(size).ok_or_else(truncated)?;
        let body = self.bytes.get(self.at..end).ok_or_else(truncated)?;
        // The last body's padding may be missing.
        self.at = end.next_multiple_of(BLOCK).min(self.bytes.len());
        Ok(body)
    }

    fn extension_body(&mut self, header: &Header, at: usize) -> Result<&'a [u8], Reason> {
        let size = header
            .entry_size()
            .map_err(|_| Reason::Extension(at, "its size is not a number"))?;
        if size > LONGEST_EXTENSION {
            return Err(Reason::Extension(at, "it is longer than allowed"));
        }
        self.body(size, "of an extension", at)
    }

    fn finish(
        &mut self,
        header: &'a Header,
        block: &'a [u8],
        at: usize,
        extension: Extension<'a>,
    ) -> Result<TarMember<'a>, Reason> {
        let path = text(extension.path.unwrap_or_else(|| header.path_bytes()), at)?;
        if path.is_empty() {
            return Err(Reason::Nameless(at));
        }
        let name = || shown(path.as_bytes());
        let size = header.entry_size().map_err(|_| Reason::Size(name(), at))?;
        let size = match extension.size {
            // A header has no room for 8 GiB, and says nothing then.
            Some(extended) if size == 0 || size == extended => extended,
            Some(extended) => return Err(Reason::TwoSizes(name(), size, extended)),
            None => size,
        };
        let target = |header: &'a Header| -> Result<Cow<'a, str>, Reason> {
            let bytes = match extension.target.clone() {
                Some(target) => target,
                None => header.link_name_bytes().unwrap_or_default(),
            };
            let target = text(bytes, at)?;
            if target.is_empty() {
                return Err(Reason::Target(name()));
            }
            Ok(target)
        };
        if extension.sparse {
            return Err(Reason::Sparse(name()));
        }
        let kind = match header.entry_type() {
            // The oldest archives know folders by their names alone.
            EntryType::Regular if path.ends_with('/') => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(target(header)?),
            EntryType::Link => Kind::Hardlink(target(header)?),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Device,
            EntryType::GNUSparse => return Err(Reason::Sparse(name())),
            _ => {
                let letter = block.get(156).copied().unwrap_or_default();
                return Err(Reason::Type(name(), char::from(letter)));
            }
        };
        let bytes = match kind {
            Kind::File if size > self.limits.member => {
                return Err(Reason::Bomb(size, self.bytes.len() as u64));
            }
            Kind::File => self.body(size, &path, at)?,
            // Some writers state the size that the folder had on their disk; none gives it a body.
            Kind::Folder => &[],
            _ if size != 0 => return Err(Reason::Body(name())),
            _ => &[],
        };
        Ok(TarMember {
            path,
            kind,
            // A mode that is no number is none, as everywhere.
            mode: header.mode().unwrap_or(0),
            bytes,
        })
    }
}

impl<'a> Iterator for Tar<'a> {
    type Item = Result<TarMember<'a>, TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.member()
            }
            None => match self.header() {
                Ok(Some(_)) => Err(Reason::TooMany(self.limits.members)),
                Ok(None) => Ok(None),
                Err(reason) => Err(reason),
            },
        };
        if found.is_err() {
            // Nothing that follows can be trusted.
            self.at = self.bytes.len();
        }
        found
            .map_err(|reason| TarError {
                archive: self.name.clone(),
                reason,
            })
            .transpose()
    }
}

/// Reads the records of a pax extended header: `<length> <keyword>=<value>\n`.
fn pax<'a>(body: &'a [u8], at: usize, into: &mut Extension<'a>) -> Result<(), Reason> {
    let bad = Reason::Extension;
    let mut rest = body;
    while !rest.is_empty() {
        let space = memchr::memchr(b' ', rest).ok_or(bad(at, "a record has no length"))?;
        let length: usize = rest
            .get(..space)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or(bad(at, "a record's length is not a number"))?;
        let record = rest
            .get(space + 1..length)
            .and_then(|record| record.strip_suffix(b"\n"))
            .ok_or(bad(at, "a record is not as long as it says"))?;
        rest = rest.get(length..).unwrap_or_default();
        let equals = memchr::memchr(b'=', record).ok_or(bad(at, "a record has no value"))?;
        let (key, value) = record.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        if value.contains(&0) {
            return Err(bad(
                at,
                "a value has a NUL in it, where some readers end it",
            ));
        }
        match key {
            b"path" => into.path = Some(Cow::Borrowed(value)),
            b"linkpath" => into.target = Some(Cow::Borrowed(value)),
            b"size" => {
                let size = std::str::from_utf8(value)
                    .ok()
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .ok_or(bad(at, "a size is not a number"))?;
                into.size = Some(size);
            }
            key if key.starts_with(b"GNU.sparse.") => into.sparse = true,
            key if key == NOTE.as_bytes() => into.note = Some(value),
            // Times, owners, comments.
            _ => {}
        }
    }
    Ok(())
}

fn text(bytes: Cow<'_, [u8]>, at: usize) -> Result<Cow<'_, str>, Reason> {
    let bad = |bytes: &[u8]| Reason::Name(at, shown(bytes));
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
            .map(Cow::Borrowed)
            .map_err(|_| bad(bytes)),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|error| bad(error.as_bytes())),
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn shown(name: &[u8]) -> String {
    foreign::brief(&String::from_utf8_lossy(name))
        .escape_debug()
        .to_string()
}

#[cfg(test)]
#[path = "tar_tests.rs"]
mod tests;
