//! A wheel to be built elsewhere: all that its recipe follows from, without the locks that it came
//! from. `export nix` writes one for each wheel, and `lockwright wheel` builds it; the recipe, and
//! with it the key, is the one that a run with the locks at hand comes to.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use serde::{Deserialize, Serialize};

use super::BuildOptions;
use super::error::BuildError;
use super::requirements::{Answer, Requirements};
use crate::decide::lock::build_settings::BuildSettings;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::plan::{Install, PlannedPackage, PythonPlan};
use crate::decide::target::PythonTarget;

/// One wheel to be built.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// What is built.
    pub package: PlannedPackage,
    /// What it is built with, and what of that is built in turn.
    pub answers: BTreeMap<PackageName, Answer>,
    /// uv's settings, as far as they say something of these.
    pub settings: BuildSettings,
    /// Environment variables, by package.
    pub environment: BTreeMap<PackageName, BTreeMap<String, String>>,
    /// A command that builds, in the place of the PEP 517 front end.
    pub hook: Option<String>,
}

impl Order {
    /// Reads one that was written as JSON.
    ///
    /// # Errors
    /// When it is none, or names a file as no file is named.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let order: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let needs = order.answers.values().flat_map(|answer| &answer.packages);
        [&order.package]
            .into_iter()
            .chain(needs)
            .try_for_each(PlannedPackage::check)?;
        Ok(order)
    }

    /// What it is built with.
    pub fn needs(&self) -> &[PlannedPackage] {
        let own = self.answers.get(&self.package.name);
        own.map_or(&[], |answer| &answer.packages)
    }

    /// Forgets where on this machine it is ([`PlannedPackage::displace`]); `hear` is told of each folder,
    /// by its new name.
    pub fn displace(&mut self, base: &Utf8Path, hear: &mut dyn FnMut(&Utf8Path, &Utf8Path)) {
        let needs = self.answers.values_mut();
        let needs = needs.flat_map(|answer| &mut answer.packages);
        for package in [&mut self.package].into_iter().chain(needs) {
            let before = match &package.install {
                Install::Directory { path, .. } => Some(path.clone()),
                _ => None,
            };
            package.displace(base);
            package.bare();
            if let (Some(before), Install::Directory { path, .. }) = (before, &package.install) {
                hear(path, &before);
            }
        }
    }

    /// Puts other folders in the place of those that it and what it needs are in.
    ///
    /// # Errors
    /// What `other` says of a folder.
    pub fn folders<E>(
        &mut self,
        mut other: impl FnMut(&Utf8Path) -> Result<Utf8PathBuf, E>,
    ) -> Result<(), E> {
        let needs = self.answers.values_mut();
        let needs = needs.flat_map(|answer| &mut answer.packages);
        for package in [&mut self.package].into_iter().chain(needs) {
            if let Install::Directory { path, .. } = &mut package.install {
                *path = other(path)?;
            }
        }
        Ok(())
    }
}

/// What the wheels of an environment are made of.
pub struct Ordering<'a> {
    /// The environment; its packages that have no wheel are built.
    pub plan: &'a PythonPlan,
    /// What they are built on and for.
    pub target: &'a PythonTarget,
    /// The project's settings.
    pub settings: &'a ProjectSettings,
    /// Packages that the command line wants built though there is a wheel of them.
    pub no_binary: &'a [PackageName],
    /// How builds are made.
    pub options: &'a BuildOptions,
}

/// The orders for an environment's wheels: those of its own packages, and of what they are built with.
/// Each stands behind those that it needs.
///
/// # Errors
/// When the build lock cannot be read, or leads round in a circle.
pub fn orders(ordering: &Ordering<'_>) -> Result<Vec<Order>, BuildError> {
    let Ordering {
        plan,
        target,
        settings,
        no_binary,
        options,
    } = *ordering;
    let no_binary = no_binary.iter().chain(&settings.no_binary_package);
    let requirements = Requirements::new(
        options,
        target,
        plan,
        settings.build.clone().under(&options.settings),
        no_binary.cloned().collect(),
    )?;
    let mut all = Vec::new();
    for package in plan.packages.iter().filter(|package| is_built(package)) {
        order(package, &requirements, options, &mut Vec::new(), &mut all)?;
    }
    Ok(all)
}

/// Whether a package is built from source.
pub fn is_built(package: &PlannedPackage) -> bool {
    !matches!(package.install, Install::Wheel { .. })
}

/// Adds the order of a package, behind those of what it needs, and returns what it is built with.
fn order(
    package: &PlannedPackage,
    requirements: &Requirements<'_>,
    options: &BuildOptions,
    above: &mut Vec<PackageName>,
    all: &mut Vec<Order>,
) -> Result<BTreeMap<PackageName, Answer>, BuildError> {
    if above.contains(&package.name) {
        let circle = above.iter().chain([&package.name]);
        let names: Vec<String> = circle.map(ToString::to_string).collect();
        return Err(BuildError::Circle(names.join(" needs ")));
    }
    let same = |order: &&Order| format!("{:?}", order.package) == format!("{package:?}");
    if let Some(known) = all.iter().find(same) {
        return Ok(known.answers.clone());
    }
    let (scope, packages) = requirements.of(package)?;
    above.push(package.name.clone());
    let mut answers = BTreeMap::new();
    for need in packages.iter().filter(|need| is_built(need)) {
        answers.extend(order(need, requirements, options, above, all)?);
    }
    above.pop();
    answers.insert(
        package.name.clone(),
        Answer {
            scope: scope.shown(),
            packages,
            extra: requirements.extra(&package.name),
        },
    );
    let said = requirements.settings();
    let own = |name: &PackageName| answers.contains_key(name);
    let mut settings = said.clone();
    settings.extra_build_dependencies.clear();
    settings.extra_build_variables.retain(|name, _| own(name));
    settings.config_settings_package.retain(|name, _| own(name));
    let mut environment = options.environment.clone();
    environment.retain(|name, _| own(name));
    all.push(Order {
        package: package.clone(),
        answers: answers.clone(),
        settings,
        environment,
        hook: options.hook.clone(),
    });
    Ok(answers)
}
