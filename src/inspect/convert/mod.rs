//! A Python lock in other forms: `pylock.toml` (PEP 751) and `requirements.txt`. Where a `uv.lock` has a
//! graph, each package has a marker there ([`universal`](crate::decide::plan::universal)).

mod pylock;
mod requirements;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::{MarkerTree, PackageName};

use crate::core::digest::Digest;
use crate::core::paths::{normal, way};
use crate::decide::lock::uv::{GitSource, Package, PackageSource, SourceFile, UvLock};
use crate::decide::plan::Selection;

/// What is to be said in another form.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// The lock, which has an absolute path.
    pub lock: &'a UvLock,
    /// The packages of it that are wanted, by index, and where each is.
    pub packages: &'a BTreeMap<usize, MarkerTree>,
    /// What the command line says.
    pub selection: &'a Selection,
    /// The folder that paths are relative to.
    pub folder: &'a Utf8Path,
}

/// Why a lock cannot be said in another form.
#[derive(Debug, thiserror::Error)]
#[error("{lock}: {package} {why}")]
pub struct ConvertError {
    /// The lock.
    lock: Utf8PathBuf,
    /// The package.
    package: PackageName,
    /// Why, and what to do.
    why: String,
}

impl Chosen<'_> {
    /// A `pylock.toml`.
    ///
    /// # Errors
    /// When a file has no digest, or a package comes from where such a lock cannot say.
    pub fn pylock(&self) -> Result<String, ConvertError> {
        pylock::write(self)
    }

    /// A `requirements.txt` with digests, and the packages in it that have none: folders and commits, which
    /// pip takes without `--require-hashes` alone.
    ///
    /// # Errors
    /// As [`Self::pylock`].
    pub fn requirements(&self) -> Result<(String, Vec<PackageName>), ConvertError> {
        requirements::write(self)
    }

    /// Each package, and where it is wanted.
    fn each(&self) -> impl Iterator<Item = (&Package, &MarkerTree)> {
        let packages = self.packages.iter();
        packages.filter_map(|(&index, marker)| Some((self.lock.packages.get(index)?, marker)))
    }

    fn refuse(&self, package: &Package, why: &str) -> ConvertError {
        ConvertError {
            lock: self.lock.file.clone(),
            package: package.name.clone(),
            why: why.to_owned(),
        }
    }

    /// A path of the lock, as it is from the other's folder.
    fn path(&self, path: &Utf8Path) -> Utf8PathBuf {
        let to = normal(&self.lock.folder().join(path));
        match way(self.folder, &to) {
            way if way.as_str().is_empty() => Utf8PathBuf::from("."),
            way => way,
        }
    }

    fn is_editable(&self, package: &Package) -> bool {
        matches!(package.source, PackageSource::Editable(_))
            && self.selection.is_editable(&package.name)
    }

    fn digest<'f>(
        &self,
        package: &Package,
        file: &'f SourceFile,
    ) -> Result<&'f Digest, ConvertError> {
        file.digest.as_ref().ok_or_else(|| {
            let why = format!(
                "has {} without a digest, which nothing could be compared with: leave the package \
                 out with --no-install-package {}",
                file.file_name, package.name
            );
            self.refuse(package, &why)
        })
    }

    /// What a package's commit comes from, where that can be said.
    fn git<'p>(&self, package: &'p Package) -> Result<Option<&'p GitSource>, ConvertError> {
        match &package.source {
            PackageSource::Git(git) if git.path.is_some() || git.lfs => {
                let why = "is an archive in a repository, or has files in LFS, which only a uv.lock \
                           can say";
                Err(self.refuse(package, why))
            }
            PackageSource::Git(git) => Ok(Some(git)),
            _ => Ok(None),
        }
    }
}

/// A package's files: its source archive and its wheels.
fn files(package: &Package) -> impl Iterator<Item = &SourceFile> {
    let wheels = package.wheels.iter().map(|wheel| &wheel.file);
    package.sdist.iter().chain(wheels)
}
