//! An environment's bytecode: taken from the store if it was made before, or else made and kept there.
//!
//! Bytecode follows from its sources and the interpreter alone ([`Compiler`]), so it is an artifact
//! like any other: one archive for each package, found by what its sources are, where in
//! site-packages they lie, and who compiles them. Nothing of the environment's own path is in it.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::progress::Progress;
use crate::decide::target::probe::Interpreter;
use crate::files::archive::Limits;
use crate::files::archive::zip::{Zip, ZipError};
use crate::files::archive::zip_write::{self, CompressionMethod};
use crate::files::contents::{Contents, Near, PlaceError, Zipped};
use crate::files::tree::{LinkMode, Owner, Tree};
use crate::install::build::Anew;
use crate::install::python::bytecode::{BytecodeError, Compiler};
use crate::obtain::store::{Blob, Extracted, Store, StoreError};

/// What the store calls the form that archives of bytecode are read in.
const FORM: &str = "bytecode";

/// What is compiled, by whom, and where the outcome is kept.
pub struct Request<'a> {
    /// Whose sources are compiled. All of them are in place.
    pub tree: &'a Tree,
    /// Site-packages, in the tree.
    pub site: &'a str,
    /// The interpreter that the bytecode is for.
    pub interpreter: &'a Interpreter,
    /// Where bytecode is kept.
    pub store: &'a Store,
    /// How files come from the store.
    pub link: LinkMode,
    /// Packages that are compiled though their bytecode is there, by name.
    pub anew: &'a Anew,
}

/// The sources of one package.
struct Package {
    name: String,
    key: Digest,
    /// Below site-packages.
    sources: Vec<String>,
}

/// Why a package's bytecode was not had from the store, or not kept there.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("it holds {0}, which is not bytecode of this package")]
    Strange(String),
}

/// Compiles the sources of a tree.
///
/// # Errors
/// When the interpreter fails, or a file cannot be read or written.
pub fn compile(request: &Request<'_>, progress: &Progress) -> Result<(), BytecodeError> {
    let about = &request.interpreter.about;
    let site = request.tree.root().join(request.site);
    let packages = request.packages().map_err(cannot("list", &site))?;
    let total: usize = packages.iter().map(|package| package.sources.len()).sum();
    progress.grow(total as u64);
    let missing: Vec<&Package> = packages
        .par_iter()
        .filter(|package| match request.place(package, &site) {
            Ok(is_there) => {
                progress.advance(if is_there {
                    package.sources.len() as u64
                } else {
                    0
                });
                !is_there
            }
            Err(why) => {
                tracing::warn!("{}: its kept bytecode is made anew: {why}", package.name);
                request.store.forget_built(&package.key);
                true
            }
        })
        .collect();
    let sources = missing.iter().flat_map(|package| &package.sources);
    let sources: Vec<&str> = sources.map(String::as_str).collect();
    let compiler = Compiler {
        python: &about.base_executable,
        version: request.interpreter.target.version,
        site: &site,
    };
    compiler.compile(&sources, progress)?;
    progress.done();
    missing
        .par_iter()
        .enumerate()
        .for_each(|(number, package)| {
            // The environment is whole without it.
            if let Err(why) = request.keep(package, &site, number) {
                tracing::warn!("{}: its bytecode is not kept: {why}", package.name);
            }
        });
    Ok(())
}

impl Request<'_> {
    /// The packages that have sources, each with the key of their bytecode.
    fn packages(&self) -> io::Result<Vec<Package>> {
        let mut by_owner: BTreeMap<Owner, Vec<(String, [u8; 32])>> = BTreeMap::new();
        for (owner, path, sha256) in self.tree.files_below(self.site) {
            let Some(inner) = path.as_str().strip_prefix(self.site) else {
                continue;
            };
            let inner = inner.trim_start_matches('/');
            // A tab or newline in a name would be read as two; such a file stays uncompiled.
            let is_source = inner.ends_with(".py")
                && !inner.contains(['\t', '\n'])
                && !inner.split('/').any(|folder| folder == CACHE);
            if is_source {
                let sha256 = match sha256 {
                    Some(sha256) => sha256,
                    None => {
                        let place = self.tree.root().join(&*path);
                        Sha256::digest(foreign::read(place, foreign::WHOLE)?).into()
                    }
                };
                let sources = by_owner.entry(owner).or_default();
                sources.push((inner.to_owned(), sha256));
            }
        }
        let packages = by_owner.into_iter().map(|(owner, mut sources)| {
            sources.sort();
            Package {
                name: self.tree.name(owner),
                key: self.key(&sources),
                sources: sources.into_iter().map(|(path, _)| path).collect(),
            }
        });
        Ok(packages.collect())
    }

    /// Everything that shapes a package's bytecode.
    fn key(&self, sources: &[(String, [u8; 32])]) -> Digest {
        let about = &self.interpreter.about;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let by = format!(
            "bytecode\n{}\n{} {} {} {} {:?}\n",
            env!("CARGO_PKG_VERSION"),
            about.implementation,
            about.version,
            about.implementation_version,
            about.free_threaded,
            about.cache_tag
        );
        hasher.update(by.as_bytes());
        for (path, sha256) in sources {
            hasher.update(sha256);
            hasher.update(path.as_bytes());
            hasher.update(b"\n");
        }
        hasher.finish()
    }

    /// Where the bytecode of a source is, both below site-packages. `None`: this interpreter has none.
    fn cached(&self, source: &str) -> Option<String> {
        let tag = self.interpreter.about.cache_tag.as_deref()?;
        let (folder, name) = source.rsplit_once('/').unwrap_or(("", source));
        let slash = if folder.is_empty() { "" } else { "/" };
        let stem = name.strip_suffix(".py")?;
        Some(format!("{folder}{slash}{CACHE}/{stem}.{tag}.pyc"))
    }

    /// Puts a package's bytecode beside its sources, if the store has it.
    fn place(&self, package: &Package, site: &Utf8Path) -> Result<bool, KeepError> {
        // A label is a name and a version.
        let label = package.name.split(' ').next();
        if label.is_some_and(|name| self.anew.includes(name)) {
            self.store.forget_built(&package.key);
        }
        let Some((name, blob)) = self.store.built(&package.key) else {
            return Ok(false);
        };
        let cached = package.sources.iter().filter_map(|path| self.cached(path));
        let allowed: HashSet<String> = cached.collect();
        if self.link == LinkMode::Copy {
            let packed = blob.map()?;
            let zip = Zip::new(&packed, &name, &Limits::default())?;
            self.put(&Zipped::new(&zip, None), &allowed, site)?;
        } else {
            let put = |kept: &Extracted| self.put(kept, &allowed, site);
            let index = self.store.index(&blob.digest, FORM);
            let kept = index.and_then(|index| self.store.from_extracted(&index, put));
            match kept {
                Some(done) => done?,
                None => put(&self.extract(&name, &blob)?)?,
            }
        }
        Ok(true)
    }

    fn extract(&self, name: &str, blob: &Blob) -> Result<Extracted, KeepError> {
        let packed = blob.map()?;
        let zip = Zip::new(&packed, name, &Limits::default())?;
        Ok(self
            .store
            .extract(&blob.digest, FORM, &Zipped::new(&zip, None))?)
    }

    /// Writes or links an archive's files into site-packages.
    fn put(
        &self,
        contents: &dyn Contents,
        allowed: &HashSet<String>,
        site: &Utf8Path,
    ) -> Result<(), KeepError> {
        let members = contents.members();
        let strange = members
            .iter()
            .find(|member| !allowed.contains(&member.path));
        if let Some(strange) = strange {
            return Err(KeepError::Strange(strange.path.clone()));
        }
        members
            .par_iter()
            .enumerate()
            .try_for_each(|(number, member)| {
                let place = site.join(&member.path);
                make_cache(&place)?;
                if self.link == LinkMode::Hardlink
                    && let Some((shared, path)) = contents.shared(number, &mut Near::of_many(1))?
                {
                    let flags = rustix::fs::AtFlags::empty();
                    let here = rustix::fs::CWD;
                    let link = || {
                        let linked =
                            rustix::fs::linkat(shared.folder, path, here, place.as_str(), flags);
                        linked.map_err(io::Error::from)
                    };
                    if instead(&place, link).is_ok() {
                        return Ok(());
                    }
                }
                let mut file = instead(&place, || File::create_new(&place))?;
                contents.read(number, &mut |piece| {
                    Ok(io::Write::write_all(&mut file, piece).map_err(cannot("write", &place))?)
                })?;
                Ok(file.set_permissions(Permissions::from_mode(0o644))?)
            })
    }

    /// Keeps what was just made of a package. `number` tells packages apart.
    fn keep(&self, package: &Package, site: &Utf8Path, number: usize) -> Result<(), KeepError> {
        // Beside the tree, and swept away with it.
        let archive = self
            .tree
            .root()
            .with_file_name(format!("bytecode-{number}.zip"));
        let cached = package.sources.iter().filter_map(|path| self.cached(path));
        let made = cached.filter(|path| site.join(path).is_file());
        let files = made.map(|path| {
            let bytes = foreign::read(site.join(&path), foreign::WHOLE)?;
            Ok((path, bytes))
        });
        let out = BufWriter::new(File::create_new(&archive)?);
        zip_write::pack(files, CompressionMethod::Stored, out)?;
        let about = &self.interpreter.about;
        let made_by = format!("bytecode of {} by Python {}", package.name, about.version);
        let kept = self
            .store
            .insert_built(&package.key, "bytecode.zip", &archive, &made_by);
        fs::remove_file(&archive)?;
        kept?;
        Ok(())
    }
}

/// The folder that bytecode lies in, beside its sources.
const CACHE: &str = "__pycache__";

/// Makes the folder that a pyc goes into, whatever the umask.
fn make_cache(pyc: &Utf8Path) -> io::Result<()> {
    let folder = pyc.parent().unwrap_or(pyc);
    match fs::create_dir(folder) {
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a file, in place of one that a package has brought under that name.
fn instead<T>(place: &Utf8Path, make: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(place)?;
            make()
        }
        made => made,
    }
}
