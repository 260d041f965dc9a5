//! Where recipes are worked out: what all builds of one environment have in common.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use camino::Utf8Path;
use pep508_rs::PackageName;

use super::error::BuildError;
use super::folder;
use super::hook::Hook;
use super::recipe::{Need, Origin, Recipe, RecipeSource};
use super::request::Request;
use super::requirements::Requirements;
use super::sandbox::{self, Level, Mode};
use super::surroundings::Surroundings;
use super::toolchain::Toolchain;
use crate::decide::plan::{Install, PlannedPackage};
use crate::decide::target::probe::Interpreter;

/// What all recipes have in common.
pub(super) struct RecipeResolver<'a> {
    pub(super) interpreter: &'a Interpreter,
    pub(super) requirements: Requirements<'a>,
    pub(super) hook: Hook,
    /// What is said of builds that are less than wholly contained, where they should be.
    pub(super) warning: Option<String>,
    pub(super) level: Level,
}

impl<'a> RecipeResolver<'a> {
    /// Reads the build lock, and tries whether builds can be contained. `first` is a package that is
    /// built.
    pub(super) fn new(request: &Request<'a>, first: &PlannedPackage) -> Result<Self, BuildError> {
        let options = request.options;
        let interpreter = request
            .interpreter
            .ok_or_else(|| BuildError::NoInterpreter(first.label()))?;
        let no_binary = request.no_binary.iter();
        let no_binary = no_binary.chain(&request.settings.no_binary_package);
        let requirements = Requirements::new(
            options,
            &interpreter.target,
            request.plan,
            request.settings.build.clone().under(&options.settings),
            no_binary.cloned().collect(),
        )?
        .with(options.answers.as_ref());
        let hook = match &options.hook {
            Some(command) => Hook::Command(command.clone()),
            None => Hook::Pep517,
        };
        // A command contains itself, or does not.
        let mode = match &hook {
            Hook::Command(_) => Mode::Off,
            Hook::Pep517 => options.sandbox,
        };
        let chosen = sandbox::choose(mode, &options.this, "builds");
        let (level, warning) = chosen.map_err(BuildError::Sandbox)?;
        Ok(Self {
            interpreter,
            requirements,
            hook,
            warning,
            level,
        })
    }

    /// What a package's wheel is made of. `above` are those that need it.
    pub(super) fn recipe(
        &self,
        request: &Request<'_>,
        package: &PlannedPackage,
        above: &[&PackageName],
        known: &mut HashMap<String, Arc<Recipe>>,
    ) -> Result<Arc<Recipe>, BuildError> {
        if above.contains(&&package.name) {
            let circle = above.iter().map(ToString::to_string);
            let circle: Vec<String> = circle.chain([package.name.to_string()]).collect();
            return Err(BuildError::Circle(circle.join(" needs ")));
        }
        let id = format!("{}\n{:?}", package.label(), package.install);
        if let Some(recipe) = known.get(&id) {
            return Ok(Arc::clone(recipe));
        }
        let (scope, mut wanted) = self.requirements.of(package)?;
        wanted.sort_by(|one, other| one.name.cmp(&other.name));
        let above: Vec<&PackageName> = above.iter().copied().chain([&package.name]).collect();
        let mut needs = Vec::new();
        for need in wanted {
            let origin = match &need.install {
                Install::Wheel { artifact } => Origin::Wheel(artifact.clone()),
                _ => Origin::Recipe(self.recipe(request, &need, &above, known)?),
            };
            needs.push(Need {
                package: need,
                origin,
            });
        }
        let settings = self.requirements.settings();
        let own = [
            settings.extra_build_variables.get(&package.name),
            request.options.environment.get(&package.name),
        ];
        let environment: BTreeMap<String, String> = own
            .into_iter()
            .flatten()
            .flatten()
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        let needed = needs.iter().map(|need| need.package.name.as_ref());
        let mut recipe = Recipe {
            tools: Toolchain::needed(needed),
            source: source_of(package, &request.options.root)?,
            package: package.clone(),
            needs,
            scope,
            extra: self.requirements.extra(&package.name),
            constraints: settings.build_constraint_dependencies.clone(),
            environment: environment.into_iter().collect(),
            change: request.options.changes.get(&package.name).cloned(),
            config_settings: settings.config_settings(&package.name),
            key: None,
            made: OnceLock::new(),
        };
        recipe.key = recipe.key(self.interpreter, &self.hook.id(), self.level.is_whole());
        // Two locks may have one sdist from two places: it is built once.
        let same = recipe.key.as_ref().map(ToString::to_string);
        let same = same.unwrap_or_else(|| id.clone());
        let recipe = Arc::clone(known.entry(same).or_insert_with(|| Arc::new(recipe)));
        known.insert(id, Arc::clone(&recipe));
        Ok(recipe)
    }
}

/// Where a package's files come from.
fn source_of(package: &PlannedPackage, root: &Utf8Path) -> Result<RecipeSource, BuildError> {
    Ok(match &package.install {
        Install::Wheel { artifact } => RecipeSource::Archive {
            artifact: artifact.clone(),
            subdirectory: None,
        },
        Install::Sdist {
            artifact,
            subdirectory,
            ..
        } => RecipeSource::Archive {
            artifact: artifact.clone(),
            subdirectory: subdirectory.clone(),
        },
        Install::Git { source } => {
            if let Some(path) = &source.path {
                let reason = format!(
                    "the lock has {path} in its repository in its place, and lockwright builds \
                     repositories alone; point its source at the repository, or at the archive"
                );
                let package = package.label();
                return Err(BuildError::Project { package, reason });
            }
            RecipeSource::Git(source.clone())
        }
        Install::Directory { path, editable } => {
            let failed = |error| BuildError::Project {
                package: package.label(),
                reason: format!("its folder {path} cannot be read: {error}"),
            };
            RecipeSource::Folder {
                digest: folder::digest(path, *editable).map_err(failed)?,
                path: path.clone(),
                is_editable: *editable,
                around: Surroundings::of(path, root).map_err(failed)?,
            }
        }
    })
}
