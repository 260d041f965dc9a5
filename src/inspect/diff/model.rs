//! The change model: what reports are made of, and what `--format json` writes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::contents::ContentsDiff;
use super::facts::{Ecosystem, FileKind, OriginKind};
use super::publisher::Publisher;
use super::version::Step;

/// The version of the JSON report. It is raised when something in it is taken away or changes its
/// meaning, not when something is added.
pub const VERSION: u32 = 1;

/// What changed between two locks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LockDiff {
    /// The version of this format: 1.
    pub version: u32,
    /// Whose locks.
    pub ecosystem: Ecosystem,
    /// The old lock.
    pub old: Side,
    /// The new lock.
    pub new: Side,
    /// The targets that were compared; none where the whole locks were.
    pub targets: Vec<String>,
    /// Counts.
    pub summary: Summary,
    /// What a reviewer must see, alarms first.
    pub findings: Vec<Finding>,
    /// What the locks say of themselves: `requires-python`, `revision`, …
    pub settings: Vec<Setting>,
    /// What the projects ask for directly.
    pub requirements: Vec<Requirement>,
    /// Every package that changed, by name.
    pub changes: Vec<Change>,
}

/// One of the two locks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Side {
    /// What was given: a path, or a revision and a path.
    pub label: String,
    /// How many packages it has; one in two versions counts twice.
    pub packages: usize,
    /// Bytes to fetch, as far as the lock gives sizes: one file per package.
    pub bytes: u64,
}

/// Counts of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Findings that no honest bump has.
    pub alarms: usize,
    /// Findings that deserve a look.
    pub warnings: usize,
    /// Findings that are good to know.
    pub notes: usize,
    /// Packages that are new.
    pub added: usize,
    /// Packages that are gone.
    pub removed: usize,
    /// Packages in a higher version.
    pub up: usize,
    /// Of these: in another major version.
    pub major: usize,
    /// Of these: in another minor version.
    pub minor: usize,
    /// Of these: in another patch version.
    pub patch: usize,
    /// Of these: another pre-release, post-release or local label.
    pub label: usize,
    /// Packages in a lower version.
    pub down: usize,
    /// Packages whose versions cannot be compared, or have none on one side.
    pub moved: usize,
    /// Packages of the same version with other files, another source or other facts.
    pub altered: usize,
    /// Packages that only stand at another place of `node_modules`.
    pub relocated: usize,
    /// Packages that are as they were.
    pub unchanged: usize,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// What no honest bump does.
    Alarm,
    /// What deserves a look.
    Warning,
    /// What is good to know.
    Note,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The same file has another digest.
    DigestChanged,
    /// A file's digest is gone.
    DigestRemoved,
    /// A file's digest is of a weaker algorithm.
    DigestWeaker,
    /// One version is in the lock with two digests.
    DigestTwofold,
    /// A package comes from another host.
    HostChanged,
    /// A new package comes from a host that the old lock does not know.
    HostNew,
    /// A package is no longer fetched over TLS.
    Unencrypted,
    /// A package comes from another kind of place.
    SourceChanged,
    /// The same tag, branch or version of a repository is another commit.
    CommitMoved,
    /// A tarball's URL names another package.
    UrlMismatch,
    /// A wheel was replaced by source, which is run to be installed.
    WheelToSdist,
    /// Every file of a version was replaced by others.
    FilesReplaced,
    /// A new package's name is nearly that of another.
    Lookalike,
    /// An install hook opens connections or starts programs.
    HookReaches,
    /// A package runs something when it is installed.
    InstallScript,
    /// A package brings compiled code.
    Native,
    /// A package moved to a lower version.
    Downgrade,
    /// A package's licence is another.
    LicenseChanged,
    /// A file of a version was removed or yanked.
    FilesRemoved,
    /// A file was added to a version.
    FilesAdded,
    /// A package is no longer maintained.
    Deprecated,
    /// The lock asks for another Python.
    RequiresPython,
    /// A library needs a newer C library.
    GlibcFloor,
    /// An index does not have it: removed, or never there.
    NotOnIndex,
    /// It has another size on its index.
    SizeChanged,
    /// It was published at another time than the lock says.
    UploadTime,
    /// It is yanked: nobody should newly choose it.
    Yanked,
    /// Its index keeps people from it.
    Quarantined,
    /// Its registry's signature is not there, or not good.
    Signature,
    /// What its index keeps of who published it is not there, or of other bytes.
    Attestation,
    /// The version before was attested, and it is not.
    AttestationGone,
    /// It was published by another than the version before.
    PublisherChanged,
    /// It could not be compared with its index.
    NotHeld,
    /// The lock is not what its project asks for.
    Unfit,
    /// It was published too short a time ago.
    TooYoung,
    /// Nothing says when it was published.
    AgeUnknown,
    /// Its licence is none that the project takes.
    LicenseDenied,
    /// A vulnerability is known of it.
    Vulnerable,
    /// It brings a known vulnerability.
    Introduces,
    /// It ends a known vulnerability.
    Fixes,
    /// A vulnerability was to be borne until a day that is over.
    IgnoreOver,
    /// What is behind a change could not be obtained or read, so nothing is known of it.
    NotLookedInto,
}

/// Something that a reviewer must see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// The packages it is about, as `name version`. None: the lock itself.
    pub packages: Vec<String>,
    /// A sentence.
    pub says: String,
    /// What was there before, where that can be said in a word: a digest, a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
    /// The targets where it applies; none where it is everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
}

/// A setting of the lock that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Setting {
    /// Which.
    pub name: String,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

/// What a project asks for directly, and did not before, or otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Requirement {
    /// Whose.
    pub project: String,
    /// Of what, with extras, group and marker.
    pub name: String,
    /// The versions before.
    pub old: Option<String>,
    /// The versions after.
    pub new: Option<String>,
}

/// What became of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It has a higher version.
    Up,
    /// It has a lower version.
    Down,
    /// It has another version, and nobody can say which is higher.
    Moved,
    /// It has the same version and other files, another source or other facts.
    Altered,
    /// It only stands at other places of `node_modules`.
    Relocated,
}

/// A package that changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// How far its version moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Locked>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Locked>,
    /// The shortest path of requirements that leads to it, the project first; in the old lock for
    /// what was removed.
    pub why: Vec<String>,
    /// Of what was added or removed: the other versions of it in the new lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// Files that are new, gone or other. Of another version, only those of a target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileChange>,
    /// Of another version: tags of wheels that it has no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags_gone: Vec<String>,
    /// Of another version: tags of wheels that it had not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags_new: Vec<String>,
    /// Where one reads on: `source`, `changelog`, `compare`, `index`. Over https, and strangers' words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// What is in the files behind it, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<ContentsDiff>,
    /// The targets where this is so; none where it is everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// How much its worst finding matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Severity>,
}

/// A package as a lock has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Locked {
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where it comes from.
    pub source: PackageOrigin,
    /// Bytes to fetch: of the file for the target, or else the largest wheel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was published, where the lock says it: the last of its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// Who published it, where its index was asked and says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Publisher>,
    /// Its licence, where the lock says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Whether it brings compiled code.
    pub native: bool,
    /// Whether it runs something when it is installed.
    pub install_script: bool,
    /// Its wheels, as a count.
    pub wheels: usize,
    /// Whether it has a source archive.
    pub sdist: bool,
    /// Where it is in `node_modules`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PackageOrigin {
    /// What kind of place.
    pub kind: OriginKind,
    /// The index, repository or path.
    pub place: String,
    /// A git commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A file that is new, gone or other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FileChange {
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<FileFacts>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<FileFacts>,
}

/// A file as a lock has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FileFacts {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// A wheel's tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// Where it comes from.
    pub location: String,
    /// What it must hash to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl Change {
    /// `name old → new`, as far as there is one.
    pub fn versions(&self) -> (Option<&str>, Option<&str>) {
        (
            self.old.as_ref().and_then(|old| old.version.as_deref()),
            self.new.as_ref().and_then(|new| new.version.as_deref()),
        )
    }

    /// By how many bytes it grew, where both sizes are known.
    pub fn growth(&self) -> Option<i64> {
        let size = |side: Option<&Locked>| match side {
            Some(locked) => locked.size.and_then(|size| i64::try_from(size).ok()),
            None => Some(0),
        };
        Some(size(self.new.as_ref())? - size(self.old.as_ref())?)
    }
}

impl ChangeKind {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Up => "up",
            Self::Down => "down",
            Self::Moved => "moved",
            Self::Altered => "altered",
            Self::Relocated => "relocated",
        }
    }
}

impl Severity {
    /// A word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}
