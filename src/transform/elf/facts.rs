//! What a person, or the resolver, wants to know of one ELF file.

use std::cell::Cell;

use goblin::elf::dynamic::{
    DF_1_NODEFLIB, DF_1_PIE, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME,
};
use goblin::elf::header::{ET_DYN, ET_EXEC, ET_REL};
use serde::Serialize;

use super::ElfError;
use super::codec::{c_string, slice};
use super::machine::{Abi, Libc};
use super::read::Elf;
use super::tables::MAGIC;
use super::versions;

/// What kind of file it is, as far as patching is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Started by the kernel through an interpreter.
    Executable,
    /// Loaded by an executable.
    Library,
    /// An executable that needs no interpreter, position-independent or not.
    Static,
    /// Debug information that was split off another file.
    Debug,
    /// A relocatable object: nothing loads it.
    Object,
    /// A core dump, or a type this program does not know.
    Other,
}

impl Kind {
    /// Whether ld.so looks up libraries for files of this kind.
    pub fn is_dynamic(self) -> bool {
        matches!(self, Self::Executable | Self::Library)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Executable => "executable",
            Self::Library => "library",
            Self::Static => "static executable",
            Self::Debug => "separate debug file",
            Self::Object => "object",
            Self::Other => "other",
        })
    }
}

/// The versions a file needs of one library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionNeed {
    /// The library's name, one of NEEDED.
    pub library: String,
    /// For instance `GLIBC_2.34`.
    pub versions: Vec<String>,
}

/// The facts of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ElfFacts {
    /// Class, byte order, machine and OS ABI.
    pub abi: Abi,
    /// What it is.
    pub kind: Kind,
    /// PT_INTERP.
    pub interpreter: Option<String>,
    /// DT_SONAME.
    pub soname: Option<String>,
    /// DT_NEEDED, in their order.
    pub needed: Vec<String>,
    /// DT_RPATH, which ld.so ignores where there is a RUNPATH.
    pub rpath: Option<String>,
    /// DT_RUNPATH.
    pub runpath: Option<String>,
    /// What it needs of which library; versions it can do without are left out.
    pub version_needs: Vec<VersionNeed>,
    /// What it defines, the name of the file itself left out.
    pub version_definitions: Vec<String>,
    /// DF_1_NODEFLIB: ld.so does not look into its default folders.
    pub no_default_folders: bool,
}

/// How many times a file's length all its names may have: linkers let names share their last letters, and an attacker a
/// string of megabytes a thousand times.
const NAMES: usize = 4;

impl ElfFacts {
    /// Reads what is known of the file whose bytes these are.
    ///
    /// # Errors
    /// Whatever a header claims that is not so, with its offset.
    pub fn read(bytes: &[u8]) -> Result<Self, ElfError> {
        Elf::parse(bytes).and_then(|elf| Self::of(&elf))
    }

    /// Whether the bytes claim to be an ELF file.
    pub fn applies_to(bytes: &[u8]) -> bool {
        bytes.starts_with(&MAGIC)
    }

    pub(super) fn of(elf: &Elf) -> Result<Self, ElfError> {
        let mut facts = Self {
            abi: elf.abi,
            kind: kind(elf),
            interpreter: None,
            soname: None,
            needed: Vec::new(),
            rpath: None,
            runpath: None,
            version_needs: Vec::new(),
            version_definitions: Vec::new(),
            no_default_folders: false,
        };
        if let Some(range) = &elf.interpreter {
            let path = slice(
                elf.bytes,
                range.start,
                range.end - range.start,
                "the interpreter",
            )?;
            facts.interpreter = Some(text(c_string(path, 0, "the interpreter")?, range.start)?);
        }
        let Some(dynamic) = &elf.dynamic else {
            return Ok(facts);
        };
        let left = Cell::new(elf.bytes.len().saturating_mul(NAMES).max(1 << 16));
        let string = |offset| {
            let at = dynamic.strings.offset + offset;
            let name = elf.string(offset)?;
            let rest = left.get().checked_sub(name.len());
            left.set(rest.ok_or_else(|| {
                ElfError::lie(
                    "the string table",
                    at,
                    "names that share their letters, and are too many to be read",
                )
            })?);
            text(name, at)
        };
        for (tag, value) in &dynamic.entries {
            match *tag {
                DT_NEEDED => facts.needed.push(string(*value)?),
                DT_SONAME => facts.soname = Some(string(*value)?),
                DT_RPATH => facts.rpath = Some(string(*value)?),
                DT_RUNPATH => facts.runpath = Some(string(*value)?),
                DT_FLAGS_1 => facts.no_default_folders = value & DF_1_NODEFLIB != 0,
                _ => {}
            }
        }
        for need in versions::needs(elf)? {
            let versions = need.versions.into_iter().filter(|(_, weak)| !weak);
            facts.version_needs.push(VersionNeed {
                library: string(need.file)?,
                versions: versions
                    .map(|(name, _)| string(name))
                    .collect::<Result<_, _>>()?,
            });
        }
        // The first definition names the file itself.
        for names in versions::definitions(elf)?.into_iter().skip(1) {
            if let Some(name) = names.first() {
                facts.version_definitions.push(string(*name)?);
            }
        }
        Ok(facts)
    }

    /// The search path that ld.so goes by: RUNPATH, or else RPATH. Entries as they are written.
    pub fn search_path(&self) -> impl Iterator<Item = &str> {
        let path = self.runpath.as_deref().or(self.rpath.as_deref());
        path.into_iter()
            .flat_map(|path| path.split(':'))
            .filter(|entry| !entry.is_empty())
    }

    /// The C library that it was linked with, as its needs and its interpreter tell.
    pub fn libc(&self) -> Option<Libc> {
        let interpreter = self.interpreter.as_deref();
        let interpreter = interpreter.and_then(|path| path.rsplit('/').next());
        let mut names = self.needed.iter().map(String::as_str).chain(interpreter);
        names.find_map(Libc::of)
    }

    /// The lowest glibc that has every version this file needs, as `2.34`; `None` if it needs none.
    pub fn glibc_floor(&self) -> Option<String> {
        let versions = self.version_needs.iter().flat_map(|need| &need.versions);
        versions
            .filter_map(|version| version.strip_prefix("GLIBC_"))
            .filter_map(|version| {
                let numbers: Option<Vec<u32>> =
                    version.split('.').map(|part| part.parse().ok()).collect();
                Some((numbers?, version))
            })
            .max()
            .map(|(_, version)| version.to_owned())
    }
}

fn kind(elf: &Elf) -> Kind {
    if elf.debug_only {
        return Kind::Debug;
    }
    let pie = elf
        .dynamic
        .as_ref()
        .and_then(|dynamic| dynamic.value(DT_FLAGS_1))
        .is_some_and(|flags| flags & DF_1_PIE != 0);
    match elf.header.e_type {
        ET_REL => Kind::Object,
        ET_EXEC | ET_DYN if elf.interpreter.is_some() => Kind::Executable,
        ET_EXEC => Kind::Static,
        ET_DYN if pie || elf.dynamic.is_none() => Kind::Static,
        ET_DYN => Kind::Library,
        _ => Kind::Other,
    }
}

fn text(bytes: &[u8], offset: u64) -> Result<String, ElfError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| ElfError::lie("a string", offset, "bytes that are not UTF-8"))
}
