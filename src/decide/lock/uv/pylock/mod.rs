//! `pylock.toml` (PEP 751, <https://packaging.python.org/en/latest/specifications/pylock-toml/>), read
//! into the model that a `uv.lock` is read into.
//!
//! What is only said for people is passed over: `attestation-identities` and `tool`.

mod raw;

use std::collections::{BTreeMap, HashMap};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use pep440_rs::VersionSpecifiers;
use pep508_rs::PackageName;
use serde::Deserialize as _;
use toml::Spanned;
use toml::de::DeTable;
use url::Url;

use super::read::{Reader, is_commit, is_inner_path, last_segment, plain};
use super::{
    Dependency, FileLocation, GitSource, Manifest, Metadata, Package, PackageSource, Pylock,
    ResolverOptions, SourceFile, UvLock, WheelFile,
};
use crate::core::digest::{Digest, DigestError};
use crate::core::place::Place;
use crate::decide::lock::marker::Marker;
use crate::decide::lock::{LockError, is_file_name};
use raw::{Directory, File, Vcs};

const AGAIN: &str = "regenerate it with the tool that wrote it";

/// A package as it is read, for messages.
struct Entry<'a> {
    name: &'a PackageName,
    offset: usize,
}

impl Reader<'_> {
    /// Reads the file's table.
    pub(super) fn pylock(&self, table: Spanned<DeTable<'_>>) -> Result<UvLock, LockError> {
        let raw = raw::Lock::deserialize(toml::Deserializer::from(table)).map_err(|error| {
            LockError::Syntax {
                place: Place::of_span(self.file, self.text, error.span()),
                message: error.message().trim_end().to_owned(),
            }
        })?;
        self.version(raw.lock_version.get_ref())?;
        let mut all = Vec::with_capacity(raw.packages.len());
        for package in raw.packages {
            all.push(self.package_of(package)?);
        }
        // The order of a file is nobody's: what is placed over what must follow from names.
        all.sort_by(|(one, ..), (other, ..)| {
            (&one.name, &one.version).cmp(&(&other.name, &other.version))
        });
        let mut requires_python = BTreeMap::new();
        let mut by_name: HashMap<PackageName, Vec<usize>> = HashMap::new();
        let (mut packages, mut needed) = (Vec::with_capacity(all.len()), Vec::new());
        for (index, (package, python, dependencies)) in all.into_iter().enumerate() {
            requires_python.extend(python.map(|python| (index, python)));
            by_name.entry(package.name.clone()).or_default().push(index);
            needed.push(dependencies);
            packages.push(package);
        }
        for (index, needed) in needed.into_iter().enumerate() {
            let edges = needed
                .iter()
                .filter_map(|one| edge(one, &packages, &by_name));
            let edges = edges.collect();
            if let Some(package) = packages.get_mut(index) {
                package.dependencies = edges;
            }
        }
        Ok(UvLock {
            file: self.file.to_owned(),
            revision: 0,
            requires_python: raw.requires_python,
            resolution_markers: Vec::new(),
            supported_markers: raw.environments,
            required_markers: Vec::new(),
            conflicts: Vec::new(),
            options: ResolverOptions::default(),
            manifest: Manifest::default(),
            packages,
            pylock: Some(Pylock {
                version: raw.lock_version.into_inner(),
                created_by: raw.created_by,
                extras: raw.extras,
                groups: raw.dependency_groups,
                default_groups: raw.default_groups,
                requires_python,
            }),
            by_name,
        })
    }

    /// A newer minor version may say more, which is warned of; another major one means something else.
    fn version(&self, version: &str) -> Result<(), LockError> {
        match version.split_once('.') {
            Some(("1", "0")) => Ok(()),
            Some(("1", _)) => {
                tracing::warn!(
                    "{} has lock-version {version}, and 1.0 is known here: what is new in it does \
                     not count",
                    self.file
                );
                Ok(())
            }
            _ => Err(LockError::Version {
                file: self.file.to_owned(),
                found: version.to_owned(),
                known: "1.0",
            }),
        }
    }

    fn package_of(
        &self,
        raw: raw::Package,
    ) -> Result<(Package, Option<VersionSpecifiers>, Vec<raw::Dependency>), LockError> {
        let offset = raw.name.span().start;
        let name = raw.name.into_inner();
        if name.as_ref().is_empty() {
            return Err(self.refuse(offset, String::from("a package without a name")));
        }
        let entry = Entry {
            name: &name,
            offset,
        };
        let is_listed = raw.sdist.is_some() || !raw.wheels.is_empty();
        let mut sdist = raw.sdist.map(|file| self.file(file, &entry)).transpose()?;
        let mut wheels = Vec::with_capacity(raw.wheels.len());
        for wheel in raw.wheels {
            let file = self.file(wheel, &entry)?;
            wheels.push(self.wheel(file, &entry)?);
        }
        let source = match (raw.vcs, raw.directory, raw.archive, is_listed) {
            (Some(vcs), None, None, false) => self.git(vcs, &entry)?,
            (None, Some(directory), None, false) => self.directory(&directory, &entry)?,
            (None, None, Some(archive), false) => {
                let source = self.archive(&archive, &entry)?;
                let file = self.file(archive, &entry)?;
                if Utf8Path::new(&file.file_name).extension() == Some("whl") {
                    wheels.push(self.wheel(file, &entry)?);
                } else {
                    sdist = Some(file);
                }
                source
            }
            (None, None, None, true) => PackageSource::Registry(raw.index.unwrap_or_default()),
            (None, None, None, false) => {
                return Err(self.fault(
                    &entry,
                    "nothing says where it comes from: it has none of `vcs`, `directory`, \
                     `archive`, `sdist` and `wheels`",
                ));
            }
            _ => {
                return Err(self.fault(
                    &entry,
                    "it comes from several places at once: only `sdist` and `wheels` go together, \
                     and neither with `vcs`, `directory` or `archive`",
                ));
            }
        };
        for wheel in &wheels {
            self.check_wheel(wheel, (&name, raw.version.as_ref()), offset, AGAIN)?;
        }
        let package = Package {
            name,
            version: raw.version,
            source,
            resolution_markers: raw.marker.into_iter().collect(),
            dependencies: Vec::new(),
            extras: BTreeMap::new(),
            groups: BTreeMap::new(),
            sdist,
            wheels,
            metadata: Metadata::default(),
            offset,
        };
        Ok((package, raw.requires_python, raw.dependencies))
    }

    fn fault(&self, entry: &Entry<'_>, what: &str) -> LockError {
        self.refuse(
            entry.offset,
            format!("package {}: {what}; {AGAIN}", entry.name),
        )
    }

    fn url(&self, text: &str, entry: &Entry<'_>) -> Result<Url, LockError> {
        Url::parse(text)
            .map_err(|error| self.fault(entry, &format!("`{text}` is not a URL: {error}")))
    }

    /// A folder inside of a source.
    fn inner(
        &self,
        folder: Option<String>,
        entry: &Entry<'_>,
    ) -> Result<Option<String>, LockError> {
        match folder {
            Some(folder) if !is_inner_path(&folder) => {
                Err(self.fault(entry, &format!("`{folder}` leads out of its source")))
            }
            folder => Ok(folder),
        }
    }

    /// A path of this machine as a URL.
    fn url_of(&self, path: &str, entry: &Entry<'_>) -> Result<Url, LockError> {
        let folder = self.file.parent().unwrap_or(Utf8Path::new(""));
        let path = camino::absolute_utf8(folder.join(path));
        let url = path.ok().and_then(|path| Url::from_file_path(path).ok());
        url.ok_or_else(|| self.fault(entry, "its `path` is not a path on this machine"))
    }

    fn git(&self, vcs: Vcs, entry: &Entry<'_>) -> Result<PackageSource, LockError> {
        let kind = &vcs.r#type;
        if kind != "git" {
            let what = format!("it comes from a repository of {kind}, and only git is known here");
            return Err(self.fault(entry, &what));
        }
        if !is_commit(&vcs.commit_id) {
            let what = format!("`{}` is not a full git commit", vcs.commit_id);
            return Err(self.fault(entry, &what));
        }
        let url = match (&vcs.url, &vcs.path) {
            (Some(url), _) => self.url(url.strip_prefix("git+").unwrap_or(url), entry)?,
            (None, Some(path)) => self.url_of(path, entry)?,
            (None, None) => {
                return Err(self.fault(entry, "its `vcs` has neither `url` nor `path`"));
            }
        };
        Ok(PackageSource::Git(GitSource {
            url,
            commit: vcs.commit_id,
            reference: vcs.requested_revision.map(|rev| ("rev".to_owned(), rev)),
            subdirectory: self.inner(vcs.subdirectory, entry)?,
            path: None,
            lfs: false,
        }))
    }

    fn directory(
        &self,
        directory: &Directory,
        entry: &Entry<'_>,
    ) -> Result<PackageSource, LockError> {
        let mut path = plain_path(&directory.path);
        if let Some(inner) = self.inner(directory.subdirectory.clone(), entry)? {
            path.push(plain_path(&inner));
        }
        Ok(match directory.editable {
            true => PackageSource::Editable(path),
            false => PackageSource::Directory(path),
        })
    }

    fn archive(&self, archive: &File, entry: &Entry<'_>) -> Result<PackageSource, LockError> {
        let subdirectory = self.inner(archive.subdirectory.clone(), entry)?;
        Ok(match (&archive.url, &archive.path) {
            (Some(url), _) => PackageSource::Url {
                url: self.url(url, entry)?,
                subdirectory,
            },
            (None, Some(path)) if subdirectory.is_some() => PackageSource::Url {
                url: self.url_of(path, entry)?,
                subdirectory,
            },
            (None, path) => PackageSource::Path(plain_path(path.as_deref().unwrap_or_default())),
        })
    }

    fn wheel(&self, file: SourceFile, entry: &Entry<'_>) -> Result<WheelFile, LockError> {
        let name = file.file_name.parse();
        let name = name.map_err(|error| self.fault(entry, &format!("{error}")))?;
        Ok(WheelFile { file, name })
    }

    fn file(&self, file: File, entry: &Entry<'_>) -> Result<SourceFile, LockError> {
        let (location, last) = match (&file.url, &file.path) {
            (Some(text), _) => {
                let url = self.url(text, entry)?;
                let last = last_segment(&url);
                // What is on this machine needs no network.
                let path = match url.scheme() {
                    "file" => url.to_file_path().ok(),
                    _ => None,
                };
                let path = path.and_then(|path| Utf8PathBuf::from_path_buf(path).ok());
                (
                    path.map_or(FileLocation::Url(url), FileLocation::Path),
                    last,
                )
            }
            (None, Some(path)) => {
                let path = plain_path(path);
                let last = path.file_name().unwrap_or_default().to_owned();
                (FileLocation::Path(path), last)
            }
            (None, None) => {
                return Err(self.fault(entry, "it has a file with neither `url` nor `path`"));
            }
        };
        let file_name = file.name.unwrap_or(last);
        if !is_file_name(&file_name) {
            let what = format!("`{}` cannot be a file's name", file_name.escape_debug());
            return Err(self.fault(entry, &what));
        }
        let mut digests = Vec::new();
        let mut unknown = Vec::new();
        for (algorithm, value) in &file.hashes {
            match format!("{algorithm}:{value}").parse::<Digest>() {
                Ok(digest) => digests.push(digest),
                Err(DigestError::Algorithm(_)) => unknown.push(algorithm.as_str()),
                Err(error) => return Err(self.fault(entry, &format!("{file_name}: {error}"))),
            }
        }
        if digests.is_empty() && !unknown.is_empty() {
            let what = format!(
                "{file_name} has no digest that can be checked here (sha256, sha384 or sha512), \
                 only {}",
                unknown.join(", ")
            );
            return Err(self.fault(entry, &what));
        }
        Ok(SourceFile {
            file_name,
            location,
            digest: digests.into_iter().max_by_key(Digest::algorithm),
            size: file.size,
            upload_time: file.upload_time.as_ref().map(plain),
        })
    }
}

/// A path without `.`, as locks of uv's have it.
fn plain_path(path: &str) -> Utf8PathBuf {
    let parts = Utf8Path::new(path).components();
    parts
        .filter(|part| *part != Utf8Component::CurDir)
        .collect()
}

/// A dependency, which is said for people alone (nothing follows from it for what is installed), as far
/// as it leads to one package.
fn edge(
    needed: &raw::Dependency,
    packages: &[Package],
    by_name: &HashMap<PackageName, Vec<usize>>,
) -> Option<Dependency> {
    let fits = |index: &&usize| {
        let version = packages.get(**index).and_then(|one| one.version.as_ref());
        needed.version.is_none() || version == needed.version.as_ref()
    };
    let mut found = by_name.get(&needed.name)?.iter().filter(fits);
    let (first, None) = (found.next()?, found.next()) else {
        return None;
    };
    Some(Dependency {
        package: *first,
        extras: Vec::new(),
        marker: Marker::default(),
    })
}
