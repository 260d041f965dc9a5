//! Wheels of folders that need no build.
//!
//! An editable wheel of a pure Python project holds a line that leads to its folder, and what its
//! pyproject.toml says; an ordinary one has its modules instead ([`contents`]). Where all of that stands there, in words that the back ends agree on, and the
//! back end lays such wheels out by its defaults, the wheel is written here, as the back end would
//! have written it: the same files, with the same lines and the same metadata. WHEEL alone says who
//! made it. Whatever is out of the ordinary is built.

mod contents;
mod layout;
mod stated;

use std::collections::BTreeMap;
use std::io::Cursor;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use toml::Table;

use super::error::BuildError;
use super::{Made, Wheel, wheel};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::decide::lock::requirement::{Needed, requirement};
use crate::decide::plan::PlannedPackage;
use crate::files::archive::zip_write::{self, CompressionMethod};
use crate::install::python::installer;
use crate::install::python::record::Entry;
use crate::obtain::store::{Origin, Store};
use stated::Stated;

/// A back end whose defaults are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    /// <https://flit.pypa.io/en/stable/pyproject_toml.html#module-section>
    Flit,
    /// <https://hatch.pypa.io/latest/plugins/builder/wheel/#default-file-selection>
    Hatchling,
    /// <https://python-poetry.org/docs/pyproject/#packages>
    Poetry,
    /// <https://setuptools.pypa.io/en/latest/userguide/package_discovery.html#src-layout>
    Setuptools,
    /// <https://docs.astral.sh/uv/concepts/build-backend/#modules>
    Uv,
}

/// A wheel that was written here.
pub(super) struct Plain {
    /// What it is called.
    pub(super) file_name: String,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// A pyproject.toml.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    build_system: BuildSystem,
    project: Stated,
    #[serde(default)]
    tool: Table,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct BuildSystem {
    requires: Vec<String>,
    build_backend: String,
}

/// The folder of a project, and the one whose files it may read: its workspace's.
#[derive(Clone, Copy)]
struct Folder<'a> {
    own: &'a Utf8Path,
    top: &'a Utf8Path,
}

impl Folder<'_> {
    /// A file of the project's, wherever it is in its workspace.
    fn read(self, path: &Utf8Path) -> Option<String> {
        let bytes = foreign::read_inside(self.top, self.own.join(path), foreign::TEXT).ok()?;
        String::from_utf8(bytes).ok()
    }
}

impl Plain {
    /// The wheel of a folder that is used in place, or (`is_editable` is false) an ordinary one of it; `None`
    /// where only a build can tell. `top` is the folder of the lock.
    ///
    /// # Errors
    /// When the lock says another version than the folder.
    pub(super) fn of(
        package: &PlannedPackage,
        own: &Utf8Path,
        top: &Utf8Path,
        is_editable: bool,
    ) -> Result<Option<Self>, BuildError> {
        // One outside of the workspace reads its own files alone.
        let top = if own.starts_with(top) { top } else { own };
        let Some((file_name, files)) = files(Folder { own, top }, is_editable) else {
            return Ok(None);
        };
        let files = (files.iter()).map(|(path, bytes)| Ok((path.as_str(), bytes.as_slice())));
        let mut packed = Cursor::new(Vec::new());
        zip_write::pack(files, CompressionMethod::Deflated, &mut packed).map_err(|source| {
            BuildError::Disk {
                package: package.label(),
                source,
            }
        })?;
        let bytes = wheel::canonical(package, &file_name, &packed.into_inner())?;
        Ok(Some(Self { file_name, bytes }))
    }

    /// Puts it into the store.
    pub(super) fn store(&self, store: &Store) -> Result<Wheel, BuildError> {
        let origin = Origin {
            file_name: self.file_name.clone(),
            source: "written from a pyproject.toml".into(),
        };
        let mut writer = store.writer(Algorithm::Sha256)?;
        writer.write(&self.bytes)?;
        Ok(Wheel {
            file_name: self.file_name.clone(),
            blob: writer.commit(&self.digest(), &origin)?,
            made: Made::Written,
        })
    }

    /// What tells it from others.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(Algorithm::Sha256, &self.bytes)
    }
}

/// The wheel's name, and its files.
fn files(folder: Folder<'_>, is_editable: bool) -> Option<(String, BTreeMap<String, Vec<u8>>)> {
    let text = folder.read("pyproject.toml".into())?;
    let project: Pyproject = toml::from_str(&text).ok()?;
    let Pyproject {
        build_system,
        project: stated,
        tool,
    } = &project;
    let backend = Backend::named(&build_system.build_backend)?;
    let needs = build_system.requires.iter();
    let needs: Option<Vec<Needed>> = needs.map(|text| requirement(text)).collect();
    if !backend.is_all_of(&needs?) {
        return None;
    }
    let facts = stated.facts(backend)?;
    let laid = backend.layout(folder.own, &facts, tool)?;
    let base = format!("{}-{}", facts.module(), facts.version);
    let info = format!("{base}.dist-info");
    let licenses = stated.licenses(backend, folder.own)?;
    let wheel = format!(
        "Wheel-Version: 1.0\nGenerator: lockwright {}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut files = match is_editable {
        true => BTreeMap::from([(laid.pth, laid.line.into_bytes())]),
        false => contents::pick(backend, folder.own, &laid.modules?)?,
    };
    files.insert(format!("{info}/WHEEL"), wheel.into_bytes());
    let metadata = stated.metadata(&facts, backend, &licenses, folder)?;
    files.insert(format!("{info}/METADATA"), metadata.into_bytes());
    let entries = stated.entry_points()?;
    if !entries.is_empty() {
        files.insert(format!("{info}/entry_points.txt"), entries.into_bytes());
    }
    if let Some(modules) = laid.top_level {
        files.insert(format!("{info}/top_level.txt"), modules.into_bytes());
    }
    // uv's back end names them in an editable wheel, and leaves them out.
    for path in licenses
        .iter()
        .filter(|_| backend != Backend::Uv || !is_editable)
    {
        let text = folder.read(path)?;
        files.insert(format!("{info}/licenses/{path}"), text.into_bytes());
    }
    let lines = files.iter();
    let lines = lines.map(|(path, bytes)| Entry::of(path.clone(), bytes));
    let record = installer::record(&info, lines.collect());
    files.insert(format!("{info}/RECORD"), record.into_bytes());
    Some((format!("{base}-py3-none-any.whl"), files))
}

/// A path below a folder, without links in it.
fn real(folder: &Utf8Path, below: &str) -> Option<Utf8PathBuf> {
    folder.join(below).canonicalize_utf8().ok()
}
