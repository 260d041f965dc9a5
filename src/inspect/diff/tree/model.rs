//! What differs between two trees.

use schemars::JsonSchema;
use serde::Serialize;

/// The version of the JSON report; see [`crate::inspect::diff::model::VERSION`].
pub const VERSION: u32 = 1;

/// The differences of two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TreeDiff {
    /// The version of this format: 1.
    pub version: u32,
    /// The old tree.
    pub old: TreeSide,
    /// The new tree.
    pub new: TreeSide,
    /// Whether both have one NAR hash: Nix would see no difference.
    pub same_nar: bool,
    /// How many entries are the same.
    pub unchanged: usize,
    /// How many differ only in what was said to be expected.
    pub expected: usize,
    /// How many files have modes that differ in bits that a NAR does not keep.
    pub modes: usize,
    /// The packages that files of differ; the empty name is nobody's.
    pub packages: Vec<PackageDiff>,
    /// Every file that differs.
    pub files: Vec<FileDiff>,
}

/// One of the two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TreeSide {
    /// Where it is.
    pub label: String,
    /// Its hash as Nix names it.
    pub nar_hash: String,
    /// How many files, links and folders it has.
    pub entries: usize,
}

/// How many files of a package differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PackageDiff {
    /// The package, as `name version`.
    pub package: String,
    /// Files only in the new tree.
    pub added: usize,
    /// Files only in the old tree.
    pub removed: usize,
    /// Files that are other.
    pub changed: usize,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// It is only in the new tree.
    Added,
    /// It is only in the old tree.
    Removed,
    /// It is another.
    Changed,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FileDiff {
    /// Where.
    pub path: String,
    /// What became of it.
    pub kind: FileKind,
    /// Whose it is, as `name version`.
    pub package: Option<String>,
    /// Why it differs, as far as that can be told.
    pub causes: Vec<Cause>,
}

/// Why a file differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Cause {
    /// The kind of reason.
    pub kind: CauseKind,
    /// In words: which section, member, line or byte.
    pub says: String,
}

/// The kind of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseKind {
    /// File, link or folder.
    Kind,
    /// Whether it may be run.
    Mode,
    /// Where a link leads.
    Link,
    /// The tree's own path, and nothing else.
    OwnPath,
    /// A RECORD's lines, in another order.
    RecordOrder,
    /// A RECORD's lines.
    Record,
    /// The hash that RECORD has of a file that holds the tree's own path.
    RecordOfOwnPath,
    /// The source's time in bytecode.
    PycTime,
    /// The source's hash, the kind or the version of bytecode.
    PycHeader,
    /// The code in bytecode.
    PycCode,
    /// The times of an archive's members.
    ZipTime,
    /// The order of an archive's members.
    ZipOrder,
    /// Members of an archive.
    ZipMember,
    /// How an archive packs or describes the same members.
    ZipForm,
    /// The time in a gzip header.
    GzipTime,
    /// An ELF file's build id.
    BuildId,
    /// A section of an ELF file.
    Section,
    /// Lines of a text.
    Line,
    /// Line ends alone.
    LineEnd,
    /// Bytes.
    Bytes,
}

impl Cause {
    pub(super) fn new(kind: CauseKind, says: impl Into<String>) -> Self {
        Self {
            kind,
            says: says.into(),
        }
    }

    /// Whether it follows from nothing but where the tree is.
    pub fn is_own_path(&self) -> bool {
        matches!(self.kind, CauseKind::OwnPath | CauseKind::RecordOfOwnPath)
    }
}

impl TreeDiff {
    /// Whether nothing differs, but for what was expected.
    pub fn is_same(&self) -> bool {
        self.same_nar || self.files.is_empty()
    }
}
