//! One build's own folder: its source, its environment, its output.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::AtomicBool;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use toml::Value;

use super::environment::{self, Wheelhouse};
use super::error::BuildError;
use super::hook::{Hook, HookEnvironment, Outcome};
use super::project::Project;
use super::recipe::{Recipe, RecipeSource};
use super::resolver::RecipeResolver;
use super::sandbox;
use super::source::{Place, Ready};
use super::uv_sources::{Ground, SourceEntry, UvSources};
use super::{BuildOptions, wheel};
use crate::core::foreign;
use crate::core::scratch::Scratch;
use crate::decide::lock::marker::Marker;
use crate::decide::lock::requirement::requirement;
use crate::decide::plan::PlannedPackage;

/// The file by which a build is known to have asked git in vain.
const ASKED: &str = "asked-git";

/// Wheels above this are not believed, in bytes.
const LARGEST: u64 = 8 << 30;

/// The folder, removed when dropped. What the build sees of it is `folder`, below it; what it does
/// not see, so that it cannot be led elsewhere by links, is beside that.
pub(super) struct BuildDir<'a> {
    resolver: &'a RecipeResolver<'a>,
    options: &'a BuildOptions,
    recipe: &'a Recipe,
    held: Scratch,
    top: Utf8PathBuf,
    folder: Utf8PathBuf,
    /// The same, as the build sees it.
    seen: Utf8PathBuf,
    place: Place,
    project: Project,
    requires: Vec<String>,
}

impl<'a> BuildDir<'a> {
    /// Makes it, and puts the source there.
    pub(super) fn open(
        resolver: &'a RecipeResolver<'a>,
        options: &'a BuildOptions,
        recipe: &'a Recipe,
        source: &Ready,
    ) -> Result<Self, BuildError> {
        let label = recipe.package.label();
        let disk = |source| BuildError::Disk {
            package: label.clone(),
            source,
        };
        let held = Scratch::new(&format!("build-{}", recipe.package.name)).map_err(disk)?;
        let top = held.path().to_owned();
        let folder = top.join("build");
        fs::create_dir(&folder).map_err(disk)?;
        for name in ["root", "tmp", "home", "out"] {
            fs::create_dir(folder.join(name)).map_err(disk)?;
        }
        let seen = match resolver.level.is_whole() {
            true => Utf8PathBuf::from(sandbox::INSIDE),
            false => folder.clone(),
        };
        let version = recipe.package.version.as_ref().map(ToString::to_string);
        let place = source.put(&label, version.as_deref(), &folder, &seen)?;
        if let Some(change) = &recipe.change {
            let reason = |reason| BuildError::Project {
                package: label.clone(),
                reason,
            };
            if place.is_editable {
                let why =
                    "its source is edited before it is built, and it is built in its own folder";
                return Err(reason(why.into()));
            }
            (change.edit)(&place.real).map_err(reason)?;
        }
        let within = match place.is_editable {
            true => Utf8Path::new("/"),
            false => &folder,
        };
        let project = Project::read(&place.real, within).map_err(|reason| BuildError::Project {
            package: label.clone(),
            reason,
        })?;
        let mut requires = project.requires.clone();
        requires.extend(recipe.extra.iter().cloned());
        Ok(Self {
            resolver,
            options,
            recipe,
            held,
            top,
            folder,
            seen,
            place,
            project,
            requires,
        })
    }

    /// What the source says it is built with, and what uv's settings add.
    pub(super) fn requires(&self) -> &[String] {
        &self.requires
    }

    /// Whether it counts where the source says that a build requirement comes from.
    pub(super) fn has_sources(&self, name: &PackageName) -> bool {
        self.resolver.requirements.settings().has_sources(name)
    }

    /// Where the source says that its build requirements come from.
    pub(super) fn sources(&self) -> Result<UvSources<'_>, BuildError> {
        let top = self.folder.join("source");
        let said = match &self.recipe.source {
            RecipeSource::Folder { path, .. } => UvSources::read(path, Ground::Machine),
            RecipeSource::Git(git) => UvSources::read(&self.place.real, Ground::Commit(top, git)),
            RecipeSource::Archive { .. } => UvSources::read(&self.place.real, Ground::Archive(top)),
        };
        said.map_err(|reason| BuildError::Project {
            package: self.recipe.package.label(),
            reason,
        })
    }

    /// Holds requirements against what there is.
    pub(super) fn check(
        &self,
        requires: &[String],
        needs: &[Wheelhouse<'_>],
    ) -> Result<(), BuildError> {
        let there: Vec<&PlannedPackage> = needs.iter().map(|need| need.package).collect();
        let Recipe { package, scope, .. } = self.recipe;
        let requirements = &self.resolver.requirements;
        requirements.check(package, scope, requires, &there)?;
        match self.stranger(requires, &there)? {
            None => Ok(()),
            Some((there, entry)) => Err(BuildError::Requirement {
                package: package.label(),
                wrong: format!(
                    "{}, which it takes from {entry}, and the build lock takes from an index",
                    there.label()
                ),
                remedy: scope.remedy(),
            }),
        }
    }

    /// A package that an index gave for a requirement that the source has from elsewhere.
    fn stranger<'p>(
        &self,
        requires: &[String],
        there: &[&'p PlannedPackage],
    ) -> Result<Option<(&'p PlannedPackage, String)>, BuildError> {
        let said = self.sources()?;
        let markers = &self.resolver.interpreter.target.markers;
        let wanted = requires.iter().filter_map(|text| requirement(text));
        let wanted: BTreeSet<PackageName> = wanted
            .map(|wanted| wanted.name)
            .filter(|name| self.has_sources(name))
            .collect();
        let of_index = there.iter().filter(|one| one.direct_url.is_none());
        for &package in of_index.filter(|one| wanted.contains(&one.name)) {
            // What cannot be said of another folder, no lock has either.
            let entries = said.at_home(&package.name).unwrap_or_default();
            let holds = |entry: &&SourceEntry| {
                let marker = entry.entry.get("marker").and_then(Value::as_str);
                let marker = marker.and_then(|text| text.parse::<Marker>().ok());
                marker.is_none_or(|marker| marker.evaluate(markers, &[]))
            };
            let mut entries = entries.iter().filter(holds);
            if let Some(found) = entries.find(|entry| entry.index.is_none()) {
                let entry = Value::Table(found.entry.clone()).to_string();
                return Ok(Some((package, entry)));
            }
        }
        Ok(None)
    }

    /// Assembles the environment and runs the hook; `only_ask` has it ask the back end what it
    /// requires, no more.
    pub(super) fn run(
        &self,
        needs: &[Wheelhouse<'_>],
        only_ask: bool,
        stop: &AtomicBool,
    ) -> Result<Outcome, BuildError> {
        let RecipeResolver {
            interpreter, level, ..
        } = *self.resolver;
        let prefix = self.seen.join("env");
        environment::assemble(interpreter, &self.folder.join("env"), &prefix, needs)?;
        let environment = HookEnvironment {
            recipe: self.recipe,
            interpreter,
            folder: &self.folder,
            seen: &self.seen,
            place: &self.place,
            project: &self.project,
            needs,
            variables: self.variables(level.is_whole())?,
            level,
            limit: self.options.limit,
            this: &self.options.this,
            stop,
        };
        let hook = match only_ask {
            true => &Hook::Pep517,
            false => &self.resolver.hook,
        };
        let outcome = environment.run(hook, only_ask);
        outcome.map_err(|source| self.disk(source))
    }

    /// The build's variables. Where a commit is built, a `git` that only says that it was asked stands in
    /// for one that is not there, or that would have nothing to show.
    fn variables(&self, is_contained: bool) -> Result<Vec<(String, String)>, BuildError> {
        let mut all = environment::variables(self.recipe, &self.seen, is_contained);
        if !self.is_commit() {
            return Ok(all);
        }
        let stand_in = self.folder.join("no-git");
        let asked = self.seen.join(ASKED);
        let text = format!(
            "#!/bin/sh\ncase $1 in --version) ;; *) : > {asked} ;; esac\n\
             echo 'there is no git, or nothing that it could show' >&2\nexit 127\n"
        );
        fs::create_dir_all(&stand_in)
            .and_then(|()| fs::write(stand_in.join("git"), text))
            .and_then(|()| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(stand_in.join("git"), mode)
            })
            .map_err(|source| self.disk(source))?;
        let stand_in = self.seen.join("no-git");
        for (name, value) in &mut all {
            if name == "PATH" {
                *value = match self.place.has_view {
                    true => format!("{value}:{stand_in}"),
                    false => format!("{stand_in}:{value}"),
                };
            }
        }
        Ok(all)
    }

    fn is_commit(&self) -> bool {
        matches!(self.recipe.source, RecipeSource::Git(_))
    }

    /// Says no where the build asked git for something and did not get it: files may be missing in its
    /// wheel, without a word.
    pub(super) fn check_git(&self) -> Result<(), BuildError> {
        let folder = foreign::Folder::open(&self.folder).map_err(|source| self.disk(source))?;
        if !self.is_commit() || !folder.has(ASKED) {
            return Ok(());
        }
        let reason = match self.place.has_view {
            true => {
                "its back end asks git which files belong to it, or which version it is, and there is no \
                 git in /usr/bin, /usr/local/bin or /bin: install git"
            }
            false => {
                "its back end asks git which files belong to it, or which version it is, and its \
                 commit cannot be shown: repositories whose objects are named by SHA-256 are not \
                 understood, nor commits whose text is longer than half a mebibyte"
            }
        };
        Err(BuildError::Project {
            package: self.recipe.package.label(),
            reason: reason.to_owned(),
        })
    }

    /// The wheel that was made, checked and written anew.
    pub(super) fn canonical(&self, made: &str) -> Result<Utf8PathBuf, BuildError> {
        let wheel = foreign::Folder::open(&self.folder)
            .and_then(|folder| folder.folder("out")?.file(made))
            .and_then(|file| foreign::map(&file, LARGEST))
            .map_err(|source| self.disk(source))?;
        let bytes = wheel::canonical(&self.recipe.package, made, &wheel)?;
        let canonical = self.top.join("canonical.whl");
        fs::write(&canonical, bytes).map_err(|source| self.disk(source))?;
        Ok(canonical)
    }

    /// Leaves the folder where it is, and says where.
    pub(super) fn keep(&mut self) -> Utf8PathBuf {
        self.held.keep()
    }

    fn disk(&self, source: std::io::Error) -> BuildError {
        BuildError::Disk {
            package: self.recipe.package.label(),
            source,
        }
    }
}
