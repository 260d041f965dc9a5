//! Building: a source becomes a wheel, in a process of its own.
//!
//! The default hook is a PEP 517 front end: `pyproject_hooks` drives the back end in the target's
//! interpreter. Its wheel (MIT, <https://github.com/pypa/pyproject-hooks>) is part of this program,
//! so that every build is driven by the same bytes and none needs it locked. A build runs in an
//! environment that lockwright assembles from the *build lock*: a `uv.lock` with one dependency
//! group a package, whose versions are checked against what the back end requires. It is contained
//! ([`sandbox`]) and knows neither clock nor machine.
//!
//! What is built goes into the store under the digest of all that shaped it: source, build
//! requirements, interpreter, environment and hook.

mod error;
mod project;
pub mod sandbox;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use serde::Deserialize;

pub use error::BuildError;
use project::Project;
use sandbox::{Job, Mode};

use crate::archive::Limits;
use crate::artifact::Artifact;
use crate::digest::{Algorithm, Digest};
use crate::fetch::{self, Want};
use crate::lock::pyproject::ProjectSettings;
use crate::lock::uv::UvLock;
use crate::plan::{Install, PlannedPackage, PythonPlan, Selection};
use crate::python::venv::{self, Venv};
use crate::python::{Layout, WheelSource, place_wheel};
use crate::source::{self, Revision, Shape};
use crate::store::{Blob, Store};
use crate::target::probe::Interpreter;
use crate::tree::{Options as TreeOptions, Record, Replace, Tree};
use crate::ui::Progress;

const HOOKS: &[u8] = include_bytes!("pyproject_hooks-1.3.3-py3-none-any.whl");
const DRIVER: &str = include_str!("hook.py");

/// The time that builds believe it is: 1 January 1980, the first that a zip archive can hold.
const EPOCH: &str = "315532800";

/// How sources are built.
#[derive(Debug, Clone)]
pub struct Options {
    /// The lock with the build requirements.
    pub lock: Option<Utf8PathBuf>,
    /// Environment variables, by package.
    pub environment: BTreeMap<PackageName, BTreeMap<String, String>>,
    /// Whether builds are contained.
    pub sandbox: Mode,
    /// How long one may take.
    pub limit: Duration,
    /// This program, which runs itself to contain a build.
    pub this: Utf8PathBuf,
}

/// A wheel that was built, in the store.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// What it is called.
    pub file_name: String,
    /// Its bytes.
    pub blob: Blob,
    /// Whether it was built just now.
    pub is_new: bool,
}

/// All that builds have in common.
pub struct Builder<'a> {
    store: &'a Store,
    fetch: &'a fetch::Options,
    interpreter: &'a Interpreter,
    options: &'a Options,
    /// Packages that are built though there is a wheel of them.
    selection: Selection,
    lock: Option<(UvLock, ProjectSettings)>,
    is_contained: bool,
    done: Mutex<BTreeMap<String, Wheel>>,
}

/// What the driver answers.
#[derive(Debug, Deserialize)]
struct Answer {
    requires: Vec<String>,
    wheel: Option<String>,
}

impl<'a> Builder<'a> {
    /// Reads the build lock, and tries whether builds can be contained. `no_binary` are packages
    /// that are built though there is a wheel of them, here as in the environment itself.
    ///
    /// # Errors
    /// When the lock cannot be read, or containment is required and impossible.
    pub fn new(
        store: &'a Store,
        fetch: &'a fetch::Options,
        interpreter: &'a Interpreter,
        options: &'a Options,
        no_binary: Vec<PackageName>,
    ) -> Result<Self, BuildError> {
        let lock = match &options.lock {
            Some(file) => Some((UvLock::load(file)?, ProjectSettings::beside(file)?)),
            None => None,
        };
        let is_contained = match options.sandbox {
            Mode::Off => false,
            mode => match sandbox::is_possible(&options.this) {
                Ok(()) => true,
                Err(why) if mode == Mode::Require => return Err(BuildError::Sandbox(why)),
                Err(why) => {
                    eprintln!("warning: builds are not contained here: {why}");
                    false
                }
            },
        };
        Ok(Self {
            store,
            fetch,
            interpreter,
            options,
            selection: Selection {
                no_default_groups: true,
                no_binary_packages: no_binary,
                ..Selection::default()
            },
            lock,
            is_contained,
            done: Mutex::default(),
        })
    }

    /// The wheel of a planned package that has none, built unless it is in the store.
    ///
    /// # Errors
    /// When its source or its build requirements cannot be had, or the build fails.
    pub fn wheel(
        &self,
        package: &PlannedPackage,
        progress: &Progress,
    ) -> Result<Wheel, BuildError> {
        self.wheel_below(package, &[], progress)
    }

    fn wheel_below(
        &self,
        package: &PlannedPackage,
        above: &[&PackageName],
        progress: &Progress,
    ) -> Result<Wheel, BuildError> {
        if above.contains(&&package.name) {
            let circle = above.iter().map(ToString::to_string);
            let circle: Vec<String> = circle.chain([package.name.to_string()]).collect();
            return Err(BuildError::Circle(circle.join(" needs ")));
        }
        let needs = self.requirements(package, above, progress)?;
        let id = format!("{}\n{:?}", package.label(), package.install);
        let known = |done: &Mutex<BTreeMap<String, Wheel>>| {
            let done = done
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            done.get(&id).cloned()
        };
        if let Some(wheel) = known(&self.done) {
            return Ok(wheel);
        }
        let source = self.source(package, progress)?;
        let key = source.id(package).map(|id| self.key(package, &id, &needs));
        let built = key.as_ref().and_then(|key| self.store.built(key));
        let wheel = match built {
            Some((file_name, blob)) => Wheel {
                file_name,
                blob,
                is_new: false,
            },
            None => {
                progress.say(&format!("Building {} …", package.label()));
                self.build(package, &source, &needs, key.as_ref())?
            }
        };
        let mut done = self
            .done
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        done.insert(id, wheel.clone());
        Ok(wheel)
    }

    /// The wheels of a package's group in the build lock, all in the store.
    fn requirements(
        &self,
        package: &PlannedPackage,
        above: &[&PackageName],
        progress: &Progress,
    ) -> Result<Vec<(PlannedPackage, String, Blob)>, BuildError> {
        let Some((lock, settings)) = &self.lock else {
            return Err(BuildError::NoLock {
                package: package.label(),
            });
        };
        let group = package
            .name
            .to_string()
            .parse()
            .map_err(|_| BuildError::NoLock {
                package: package.label(),
            })?;
        let selection = Selection {
            only_groups: vec![group],
            ..self.selection.clone()
        };
        let plan = PythonPlan::new(lock, &self.interpreter.target, &selection, settings).map_err(
            |source| BuildError::Group {
                package: package.label(),
                lock: lock.file.clone(),
                source: Box::new(source),
            },
        )?;
        let wheels: Vec<(&PlannedPackage, &Artifact)> = plan
            .packages
            .iter()
            .filter_map(|package| match &package.install {
                Install::Wheel { artifact } => Some((package, artifact)),
                _ => None,
            })
            .collect();
        let blobs = self.bring(&wheels)?;
        let mut needs: Vec<_> = wheels
            .iter()
            .zip(blobs)
            .map(|((package, artifact), blob)| {
                ((*package).clone(), artifact.file_name.clone(), blob)
            })
            .collect();
        let above: Vec<&PackageName> = above.iter().copied().chain([&package.name]).collect();
        for need in &plan.packages {
            if !matches!(need.install, Install::Wheel { .. }) {
                let wheel = self.wheel_below(need, &above, progress)?;
                needs.push((need.clone(), wheel.file_name, wheel.blob));
            }
        }
        needs.sort_by(|(one, ..), (other, ..)| one.name.cmp(&other.name));
        Ok(needs)
    }

    fn bring(&self, wanted: &[(&PlannedPackage, &Artifact)]) -> Result<Vec<Blob>, BuildError> {
        let wants: Vec<Want<'_>> = wanted
            .iter()
            .map(|(package, artifact)| Want {
                package: package.name.to_string(),
                artifact,
            })
            .collect();
        let found: Mutex<BTreeMap<usize, Blob>> = Mutex::default();
        fetch::fetch(
            self.store,
            &wants,
            self.fetch,
            &Progress::hidden(),
            &|index, blob| {
                let mut found = found
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                found.insert(index, blob);
            },
        )?;
        let found = found
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(found.into_values().collect())
    }

    fn source(&self, package: &PlannedPackage, progress: &Progress) -> Result<Source, BuildError> {
        Ok(match &package.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
                let blob = self.bring(&[(package, artifact)])?.into_iter().next();
                let blob = blob.ok_or_else(|| BuildError::NoLock {
                    package: package.label(),
                })?;
                let subdirectory = match &package.install {
                    Install::Sdist { subdirectory, .. } => subdirectory.clone(),
                    _ => None,
                };
                Source::Archive {
                    blob,
                    name: artifact.file_name.clone(),
                    shape: Shape::Sdist,
                    subdirectory,
                }
            }
            Install::Git { source } => {
                progress.working_on(format!("{} from git", package.name));
                let wanted = Revision {
                    url: source.url.to_string(),
                    rev: source.commit.clone(),
                    submodules: true,
                };
                let tree = source::git::fetch(self.store, &wanted, self.fetch)?;
                Source::Archive {
                    blob: tree.archive,
                    name: format!("{} {}", source.url, tree.commit),
                    shape: Shape::Packed,
                    subdirectory: source.subdirectory.clone(),
                }
            }
            Install::Directory { path, editable } => Source::Folder {
                path: path.clone(),
                is_editable: *editable,
            },
        })
    }

    /// What a wheel is stored under.
    fn key(
        &self,
        package: &PlannedPackage,
        source: &str,
        needs: &[(PlannedPackage, String, Blob)],
    ) -> Digest {
        let about = &self.interpreter.about;
        let needs: Vec<String> = needs
            .iter()
            .map(|(_, name, blob)| format!("{name} {}", blob.digest))
            .collect();
        let all = serde_json::json!({
            "form": 1,
            "package": package.name,
            "source": source,
            "needs": needs,
            "interpreter": [
                &about.implementation, &about.version, &about.cache_tag, &about.base_prefix,
                &self.interpreter.target.to_string(),
            ],
            "environment": self.options.environment.get(&package.name),
            "hook": Digest::of(Algorithm::Sha256, &[HOOKS, DRIVER.as_bytes()].concat()),
            "contained": self.is_contained,
        });
        Digest::of(Algorithm::Sha256, all.to_string().as_bytes())
    }

    fn build(
        &self,
        package: &PlannedPackage,
        source: &Source,
        needs: &[(PlannedPackage, String, Blob)],
        key: Option<&Digest>,
    ) -> Result<Wheel, BuildError> {
        let disk = |source| BuildError::Disk {
            package: package.label(),
            source,
        };
        let prefix = format!("lockwright-build-{}-", package.name);
        let mut temporary = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir()
            .map_err(disk)?;
        let folder = Utf8PathBuf::from(temporary.path().to_string_lossy().into_owned());
        for name in ["root", "tmp", "home", "out"] {
            fs::create_dir(folder.join(name)).map_err(disk)?;
        }
        let hooks = "pyproject_hooks.whl";
        fs::write(folder.join(hooks), HOOKS).map_err(disk)?;
        fs::write(folder.join("hook.py"), DRIVER).map_err(disk)?;
        let seen = match self.is_contained {
            true => Utf8PathBuf::from(sandbox::INSIDE),
            false => folder.clone(),
        };
        self.environment(&folder.join("env"), &seen.join("env"), needs)?;

        let (real, place) = source.put(&folder, &seen)?;
        let project = Project::read(&real).map_err(|reason| BuildError::Project {
            package: package.label(),
            reason,
        })?;
        let kind = match source {
            Source::Folder {
                is_editable: true, ..
            } => "editable",
            _ => "wheel",
        };
        self.check(package, &project.requires, needs)?;

        let request = serde_json::json!({
            "hooks": seen.join(hooks),
            "source": place,
            "backend": project.backend,
            "backend_path": project.backend_path,
            "config_settings": null,
            "kind": kind,
            "only_ask": false,
            "out": seen.join("out"),
            "answer": seen.join("answer.json"),
        });
        fs::write(folder.join("request.json"), request.to_string()).map_err(disk)?;
        let log_path = folder.join("log");
        let log = fs::File::create(&log_path).map_err(disk)?;
        let about = &self.interpreter.about;
        let job = Job {
            folder: folder.clone(),
            readable: vec![about.base_prefix.clone(), about.stdlib.clone()]
                .into_iter()
                .filter(|path| !path.starts_with("/usr"))
                .collect(),
            writable: match source {
                Source::Folder {
                    path,
                    is_editable: true,
                } => vec![path.clone()],
                _ => Vec::new(),
            },
            shown: Vec::new(),
            command: vec![
                seen.join("env/bin/python").into(),
                "-I".into(),
                seen.join("hook.py").into(),
            ],
            current: place.clone(),
            environment: self.variables(package, &seen),
        };
        let stdin = fs::File::open(folder.join("request.json")).map_err(disk)?;
        let mut child = job
            .start(self.is_contained, &self.options.this, stdin, &log)
            .map_err(disk)?;
        let status = sandbox::wait(&mut child, self.options.limit).map_err(disk)?;
        let answer: Option<Answer> = fs::read(folder.join("answer.json"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        // Checked even when the build failed: what is missing is most often why.
        if let Some(answer) = &answer {
            self.check(package, &answer.requires, needs)?;
        }
        let succeeded = status.is_some_and(|status| status.success());
        let made = answer.and_then(|answer| answer.wheel).filter(|_| succeeded);
        let Some(made) = made.filter(|name| crate::lock::is_file_name(name)) else {
            temporary.disable_cleanup(true);
            return Err(BuildError::failed(
                &package.label(),
                &log_path,
                status.is_none().then_some(self.options.limit),
            ));
        };
        let wheel = folder.join("out").join(&made);
        let made_by = format!("built from {}", package.label());
        let (file_name, blob) = match key {
            Some(key) => self.store.insert_built(key, &made, &wheel, &made_by)?,
            None => {
                let origin = crate::store::Origin {
                    file_name: made.clone(),
                    source: made_by,
                };
                (made, self.store.take_as_is(&wheel, &origin)?)
            }
        };
        Ok(Wheel {
            file_name,
            blob,
            is_new: true,
        })
    }

    /// The environment variables of a build: these, and no others.
    fn variables(&self, package: &PlannedPackage, seen: &Utf8Path) -> Vec<(String, String)> {
        let mut all: BTreeMap<String, String> = [
            (
                "PATH",
                format!("{seen}/env/bin:/usr/local/bin:/usr/bin:/bin"),
            ),
            ("HOME", format!("{seen}/home")),
            ("TMPDIR", format!("{seen}/tmp")),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("SOURCE_DATE_EPOCH", EPOCH.into()),
            ("PYTHONHASHSEED", "0".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PYTHONNOUSERSITE", "1".into()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Some(own) = self.options.environment.get(&package.name) {
            all.extend(own.clone());
        }
        if !self.is_contained {
            // The folder's name, which is another each time, must not end up in what is built.
            let map = format!("-ffile-prefix-map={seen}={}", sandbox::INSIDE);
            for name in ["CFLAGS", "CXXFLAGS"] {
                let flags = all.entry(name.into()).or_default();
                *flags = String::from(format!("{flags} {map}").trim());
            }
        }
        all.into_iter().collect()
    }

    /// Assembles the build's environment.
    fn environment(
        &self,
        folder: &Utf8Path,
        prefix: &Utf8Path,
        needs: &[(PlannedPackage, String, Blob)],
    ) -> Result<(), BuildError> {
        let target = &self.interpreter.target;
        let options = TreeOptions {
            replace: Replace::Nothing,
            record: Record::Nowhere,
        };
        let tree = Tree::stage(folder, options)?;
        let layout = Layout::new(target, prefix, false);
        let venv = Venv {
            interpreter: self.interpreter.about.base_executable.clone(),
            version: target.markers.python_full_version().to_string(),
            prompt: None,
            system_site_packages: false,
        };
        venv::write(
            &tree,
            tree.owner("the environment", u64::MAX),
            &layout,
            target,
            &venv,
        )?;
        for (rank, (package, file_name, blob)) in needs.iter().enumerate() {
            let source = WheelSource {
                path: &blob.path,
                file_name,
                name: &package.name,
                version: package.version.as_ref(),
                direct_url: None,
            };
            let owner = tree.owner(&package.label(), rank as u64);
            place_wheel(&tree, &layout, owner, &source, &Limits::default())?;
        }
        tree.finish().commit()?;
        Ok(())
    }

    /// Whether all that a back end requires is in its environment.
    fn check(
        &self,
        package: &PlannedPackage,
        requires: &[String],
        needs: &[(PlannedPackage, String, Blob)],
    ) -> Result<(), BuildError> {
        let markers = &self.interpreter.target.markers;
        let lock = self.lock.as_ref().map(|(lock, _)| lock.file.clone());
        project::check(requires, markers, &needs.iter().map(|(need, ..)| need)).map_err(|wrong| {
            BuildError::Requirement {
                package: package.label(),
                group: package.name.to_string(),
                lock: lock.unwrap_or_default(),
                wrong,
            }
        })
    }
}

/// Where a build's files come from.
enum Source {
    Archive {
        blob: Blob,
        name: String,
        shape: Shape,
        subdirectory: Option<String>,
    },
    Folder {
        path: Utf8PathBuf,
        is_editable: bool,
    },
}

impl Source {
    /// What names its bytes; nothing does for a folder, which is built each time.
    fn id(&self, package: &PlannedPackage) -> Option<String> {
        match self {
            Self::Archive {
                blob, subdirectory, ..
            } => Some(format!(
                "{} {} {subdirectory:?}",
                package.label(),
                blob.digest
            )),
            Self::Folder { .. } => None,
        }
    }

    /// Puts it in the build's folder, and says where it is and where the build sees it.
    fn put(
        &self,
        folder: &Utf8Path,
        seen: &Utf8Path,
    ) -> Result<(Utf8PathBuf, Utf8PathBuf), BuildError> {
        match self {
            Self::Folder {
                path,
                is_editable: true,
            } => Ok((path.clone(), path.clone())),
            Self::Folder { path, .. } => {
                project::copy(path, &folder.join("source"))?;
                Ok((folder.join("source"), seen.join("source")))
            }
            Self::Archive {
                blob,
                name,
                shape,
                subdirectory,
            } => {
                let into = folder.join("source");
                source::unpack(&blob.path, name, *shape, &into, &Limits::default())?;
                let below = subdirectory.as_deref().unwrap_or_default();
                let below = below.trim_matches('/');
                if !below.is_empty() {
                    crate::tree::TreePath::new(below).map_err(crate::tree::TreeError::from)?;
                }
                let join = |base: Utf8PathBuf| match below {
                    "" => base,
                    below => base.join(below),
                };
                Ok((join(into), join(seen.join("source"))))
            }
        }
    }
}
