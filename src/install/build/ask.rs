//! Asking sources what they are built with, without building them.

use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use camino::Utf8PathBuf;
use pep508_rs::PackageName;

use super::advice;
use super::build_dir::BuildDir;
use super::builder::Builder;
use super::environment::Wheelhouse;
use super::error::BuildError;
use super::recipe::{Origin, Recipe, RecipeSource};
use super::requirements::Scope;
use super::resolver::RecipeResolver;
use super::uv_sources::{Ground, SourceEntry, UvSources};
use crate::core::progress::Progress;
use crate::decide::lock::requirement::requirement;
use crate::decide::plan::PlannedPackage;
use crate::obtain::fetch::{self, DownloadRequest};

/// What one source is built with.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its name.
    pub name: PackageName,
    /// Its name and version.
    pub package: String,
    /// What it says in its pyproject.toml, what uv's settings add, and what its back end asks for.
    pub requires: Vec<String>,
    /// Those of them that are not had from whatever index there is.
    pub sources: BTreeMap<PackageName, Vec<SourceEntry>>,
    /// Why its back end could not be asked, where it could not.
    pub unasked: Option<String>,
}

/// For which project the answers are.
#[derive(Debug)]
pub struct Carried {
    /// The folder of the lock whose sources are asked.
    pub root: Utf8PathBuf,
    /// The folder of the project that is written, its links followed.
    pub out: Utf8PathBuf,
}

impl Builder<'_> {
    /// Asks every source of the plan, and every one that these need to be built.
    ///
    /// The back ends run in environments from the build lock. Where that has not got what a source
    /// says itself, the back end is not asked, and the answer says so.
    ///
    /// # Errors
    /// When a source cannot be obtained or is none.
    pub fn ask(&self, carried: &Carried, progress: &Progress) -> Result<Vec<Asked>, BuildError> {
        let Some(resolver) = &self.resolver else {
            return Ok(Vec::new());
        };
        let mut all = BTreeMap::new();
        for recipe in self.recipes.values() {
            collect(recipe, &mut all);
        }
        let recipes: Vec<&Recipe> = all.into_values().collect();
        let mut wants: Vec<DownloadRequest<'_>> = Vec::new();
        for recipe in &recipes {
            let own = match &recipe.source {
                RecipeSource::Archive { artifact, .. } => Some((&recipe.package, artifact)),
                _ => None,
            };
            let needs = recipe.needs.iter().filter_map(|need| match &need.origin {
                Origin::Wheel(artifact) => Some((&need.package, artifact)),
                Origin::Recipe(_) => None,
            });
            for (package, artifact) in own.into_iter().chain(needs) {
                if !wants.iter().any(|want| want.artifact == artifact) {
                    wants.push(DownloadRequest {
                        package: package.name.to_string(),
                        artifact,
                    });
                }
            }
        }
        let arrived = |index: usize, blob| {
            if let Some(want) = wants.get(index) {
                self.arrived(want.artifact, blob);
            }
        };
        let request = &self.request;
        fetch::fetch(request.store, &wants, request.fetch, progress, &arrived)?;
        self.all_arrived(true);
        let asked = recipes
            .par_iter()
            .map(|recipe| self.ask_one(resolver, recipe, carried, progress))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(asked.into_iter().flatten().collect())
    }

    /// `None` for what is built in the project's own environment.
    fn ask_one(
        &self,
        resolver: &RecipeResolver<'_>,
        recipe: &Recipe,
        carried: &Carried,
        progress: &Progress,
    ) -> Result<Option<Asked>, BuildError> {
        if recipe.scope == Scope::Environment {
            return Ok(None);
        }
        let Some(source) = self.source(recipe, progress)? else {
            return Ok(None);
        };
        self.warn(resolver, progress);
        let build_dir = BuildDir::open(resolver, self.request.options, recipe, &source)?;
        let mut asked = Asked {
            name: recipe.package.name.clone(),
            package: recipe.package.label(),
            requires: build_dir.requires().to_vec(),
            sources: BTreeMap::new(),
            unasked: None,
        };
        asked.find_sources(recipe, &build_dir, carried)?;
        let mut needs = Vec::new();
        for need in &recipe.needs {
            let found = match &need.origin {
                Origin::Wheel(artifact) => {
                    let blob = self.inputs.wait(artifact);
                    blob.map(|blob| (artifact.file_name.clone(), blob))
                }
                // Not built for this: most back ends answer without.
                Origin::Recipe(recipe) => self
                    .stored(recipe)
                    .map(|wheel| (wheel.file_name, wheel.blob)),
            };
            needs.extend(found.map(|(file_name, blob)| Wheelhouse {
                package: &need.package,
                file_name,
                blob,
            }));
        }
        if !recipe
            .needs
            .iter()
            .any(|need| matches!(need.origin, Origin::Recipe(_)))
            && let Err(error) = build_dir.check(&asked.requires, &needs)
        {
            asked.unasked = Some(match error {
                BuildError::Requirement { wrong, .. } | BuildError::NoBuildLock { wrong, .. } => {
                    format!("it is built with {wrong}")
                }
                other => other.to_string(),
            });
            return Ok(Some(asked));
        }
        self.stop.store(false, Ordering::Relaxed);
        // A back end is asked with what its source says alone: what it has asked for before, and finds
        // there now, it might not ask for again.
        let (mut own, more): (Vec<_>, Vec<_>) =
            (needs.into_iter()).partition(|need| is_asked_for_by(need.package, &asked.requires));
        let mut outcome = build_dir.run(&own, true, &self.stop)?;
        let build_dir = match outcome.ended.is_well() || more.is_empty() {
            true => build_dir,
            // Something of that may be among what the source itself needs, by another way.
            false => {
                own.extend(more);
                let build_dir = BuildDir::open(resolver, self.request.options, recipe, &source)?;
                outcome = build_dir.run(&own, true, &self.stop)?;
                build_dir
            }
        };
        if outcome.ended.is_well() {
            for more in outcome.requires {
                if !asked.requires.contains(&more) {
                    asked.requires.push(more);
                }
            }
            asked.find_sources(recipe, &build_dir, carried)?;
        } else {
            let last = outcome.said.last(1).trim().to_owned();
            let last = Some(last).filter(|last| !last.is_empty());
            let why = advice::missing(&asked.package, &outcome.said.text()).or(last);
            asked.unasked = Some(why.unwrap_or_else(|| "it failed".to_owned()));
        }
        Ok(Some(asked))
    }
}

/// Whether a package of the build lock is there for one of these requirements, as the way to it tells: the
/// project, what that requires, and so on.
fn is_asked_for_by(package: &PlannedPackage, requires: &[String]) -> bool {
    let first = package.required_by.get(1).map(String::as_str);
    let first = first.and_then(|by| by.split([' ', '[']).next()?.parse::<PackageName>().ok());
    let Some(first) = first else { return true };
    let wanted = requires.iter().filter_map(|text| requirement(text));
    wanted.into_iter().any(|wanted| wanted.name == first)
}

impl Asked {
    /// Finds out where the requirements come from: by what the source says, and, for what uv's
    /// settings add, by what the workspace says whose settings they are.
    fn find_sources(
        &mut self,
        recipe: &Recipe,
        build_dir: &BuildDir<'_>,
        carried: &Carried,
    ) -> Result<(), BuildError> {
        let refuse = |reason| BuildError::Project {
            package: self.package.clone(),
            reason,
        };
        let own = build_dir.sources()?;
        let root = UvSources::read(&carried.root, Ground::Machine).map_err(refuse)?;
        for text in &self.requires {
            let Some(wanted) = requirement(text) else {
                continue;
            };
            if !build_dir.has_sources(&wanted.name) {
                continue;
            }
            let by = match recipe.extra.contains(text) {
                true => &root,
                false => &own,
            };
            let said = by
                .of(&wanted.name, &carried.out)
                .map_err(|why| refuse(format!("it is built with `{text}`, and {why}")))?;
            if !said.is_empty() {
                self.sources.entry(wanted.name).or_insert(said);
            }
        }
        Ok(())
    }
}

fn collect<'a>(recipe: &'a Recipe, all: &mut BTreeMap<PackageName, &'a Recipe>) {
    if all.insert(recipe.package.name.clone(), recipe).is_none() {
        for need in &recipe.needs {
            if let Origin::Recipe(recipe) = &need.origin {
                collect(recipe, all);
            }
        }
    }
}
