//! What is behind a change: the files that two artifacts of a package hold, compared.
//!
//! An artifact is read as it lies in the store, by the checked readers of [`crate::files::archive`]; nothing
//! of it is placed or run. [`read()`] says what is in one, [`compare()`] what differs between two, and
//! [`findings`] what of that a reviewer must see.

mod compare;
mod hooks;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::core::progress::count;
pub use compare::{Seen, compare, findings};
pub use read::{ContentsError, read};

/// What is in an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its files: size and SHA-256. The folder that an sdist or an npm tarball has around everything
    /// is left out, and so is the version in the name of a wheel's own folders.
    pub files: BTreeMap<String, (u64, [u8; 32])>,
    /// What can be imported from a wheel, at the top.
    pub modules: BTreeSet<String>,
    /// The programs and plugins that it declares.
    pub entry_points: BTreeSet<String>,
    /// Its ELF files.
    pub libraries: BTreeMap<String, Library>,
    /// What METADATA or package.json says: field → values.
    pub metadata: BTreeMap<String, BTreeSet<String>>,
    /// Where it says that more about it is: `source`, `changelog`.
    pub links: BTreeMap<String, String>,
    /// What runs without being called: on installing it, on building it, or whenever Python starts.
    pub hooks: BTreeMap<String, Hook>,
}

/// An ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// The libraries that it needs.
    pub needed: BTreeSet<String>,
    /// The lowest glibc that has what it needs.
    pub glibc: Option<String>,
    /// The names that others may link to.
    pub exported: BTreeSet<String>,
}

/// Something that runs without being called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What it is: a command, or a digest of a file.
    pub what: String,
    /// Words in it that open connections or start programs.
    pub reaches: BTreeSet<String>,
}

/// What differs between two artifacts of a package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ContentsDiff {
    /// Files only in the new one.
    pub files_added: Vec<String>,
    /// Files only in the old one.
    pub files_removed: Vec<String>,
    /// Files with other bytes.
    pub files_changed: Vec<String>,
    /// By how many bytes it grew, unpacked.
    pub growth: i64,
    /// The lowest glibc that has what all of its libraries need, before.
    pub glibc_old: Option<String>,
    /// The lowest glibc that has what all of its libraries need, after.
    pub glibc_new: Option<String>,
    /// Modules that can newly be imported.
    pub modules_added: Vec<String>,
    /// Modules that cannot any more.
    pub modules_removed: Vec<String>,
    /// Programs and plugins that are new.
    pub entry_points_added: Vec<String>,
    /// Programs and plugins that are gone.
    pub entry_points_removed: Vec<String>,
    /// ELF files that are new, gone or link to other things.
    pub libraries: Vec<LibraryDiff>,
    /// Fields of METADATA or package.json.
    pub metadata: Vec<FieldDiff>,
    /// What newly runs without being called, or otherwise than before.
    pub hooks: Vec<HookDiff>,
}

/// How an ELF file differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LibraryDiff {
    /// Where it is.
    pub path: String,
    /// Whether it is `added`, `removed` or `changed`.
    pub change: String,
    /// Libraries that it newly needs.
    pub needed_added: Vec<String>,
    /// Libraries that it needs no more.
    pub needed_removed: Vec<String>,
    /// The lowest glibc, before.
    pub glibc_old: Option<String>,
    /// The lowest glibc, after.
    pub glibc_new: Option<String>,
    /// Names that it newly exports.
    pub exported_added: Vec<String>,
    /// Names that it exports no more.
    pub exported_removed: Vec<String>,
}

/// How a field differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FieldDiff {
    /// Its name.
    pub field: String,
    /// Values that are gone.
    pub removed: Vec<String>,
    /// Values that are new.
    pub added: Vec<String>,
}

/// How a hook differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct HookDiff {
    /// Which: `postinstall`, `setup.py`, a `.pth` file.
    pub hook: String,
    /// What it was; nothing where it is new.
    pub old: Option<String>,
    /// What it is; nothing where it is gone.
    pub new: Option<String>,
    /// Words in it that newly open connections or start programs.
    pub reaches: Vec<String>,
}

impl ContentsDiff {
    /// What differs, a line each: the most telling first.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for hook in &self.hooks {
            let reaches = match hook.reaches.is_empty() {
                true => String::new(),
                false => format!(", with {}", hook.reaches.join(", ")),
            };
            lines.push(match (&hook.old, &hook.new) {
                (None, Some(new)) => format!("newly runs {}: {new}{reaches}", hook.hook),
                (Some(_), None) => format!("no longer runs {}", hook.hook),
                (_, new) => {
                    format!(
                        "runs {} otherwise: {}{reaches}",
                        hook.hook,
                        new.as_deref().unwrap_or("")
                    )
                }
            });
        }
        let mut list = |says: &str, all: &[String]| {
            if !all.is_empty() {
                lines.push(format!("{says} {}", few(all)));
            }
        };
        list("new modules:", &self.modules_added);
        list("modules gone:", &self.modules_removed);
        list("new entry points:", &self.entry_points_added);
        list("entry points gone:", &self.entry_points_removed);
        if self.glibc_old != self.glibc_new {
            let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
            let (old, new) = (side(&self.glibc_old), side(&self.glibc_new));
            lines.push(format!("needs glibc: {old} → {new}"));
        }
        lines.extend(self.libraries.iter().filter_map(LibraryDiff::line));
        for field in &self.metadata {
            let (removed, added) = (few(&field.removed), few(&field.added));
            lines.push(match (removed.is_empty(), added.is_empty()) {
                (true, _) => format!("{}: + {added}", field.field),
                (_, true) => format!("{}: − {removed}", field.field),
                _ => format!("{}: {removed} → {added}", field.field),
            });
        }
        let (added, removed) = (self.files_added.len(), self.files_removed.len());
        lines.push(format!(
            "files: +{added} −{removed} ~{}",
            self.files_changed.len()
        ));
        lines
    }
}

impl LibraryDiff {
    /// What differs; nothing where that is only how new a glibc it needs, which is told of the package.
    fn line(&self) -> Option<String> {
        let mut parts = Vec::new();
        for (sign, all) in [("+", &self.needed_added), ("−", &self.needed_removed)] {
            if !all.is_empty() {
                parts.push(format!("NEEDED {sign} {}", few(all)));
            }
        }
        for (sign, all) in [("+", &self.exported_added), ("−", &self.exported_removed)] {
            if !all.is_empty() {
                parts.push(format!(
                    "{sign}{}: {}",
                    count(all.len(), "symbol"),
                    symbols(all)
                ));
            }
        }
        match parts.is_empty() {
            true if self.change == "changed" => None,
            true => Some(format!("library {} {}", self.change, self.path)),
            false => {
                let parts = parts.join("; ");
                Some(format!("library {} {}: {parts}", self.change, self.path))
            }
        }
    }
}

/// A list of symbols, C++ names as C++ writes them.
fn symbols(all: &[String]) -> String {
    // A name that is longer says little, and could be made to unfold without end.
    const LONGEST: usize = 300;
    let shown = all.iter().take(SHOWN).map(|name| {
        let plain = (name.len() <= LONGEST)
            .then(|| {
                cpp_demangle::Symbol::new(name.as_bytes())
                    .ok()?
                    .demangle()
                    .ok()
            })
            .flatten();
        let plain = plain.filter(|plain| plain.len() <= LONGEST);
        plain.unwrap_or_else(|| name.chars().take(LONGEST).collect())
    });
    let mut shown: Vec<String> = shown.collect();
    // Constructors have several names, and are written as one.
    shown.dedup();
    listed(&shown, all.len().saturating_sub(SHOWN))
}

/// How many things of a list are shown.
const SHOWN: usize = 6;

/// The first few of a list.
fn few(all: &[String]) -> String {
    let shown = all.get(..SHOWN).unwrap_or(all);
    listed(shown, all.len() - shown.len())
}

fn listed(shown: &[String], more: usize) -> String {
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}
