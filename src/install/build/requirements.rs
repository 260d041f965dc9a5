//! Build requirements: taken from the build lock, never resolved.
//!
//! A package's requirements are the dependency group of its name in the build lock; where there is
//! none, what the lock's project itself depends on. A package that uv is told to build without
//! isolation has what the environment has.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use pep508_rs::{ExtraName, PackageName, VersionOrUrl};
use serde::{Deserialize, Serialize};

use super::BuildOptions;
use super::error::BuildError;
use crate::decide::lock::build_settings::BuildSettings;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::requirement::requirement;
use crate::decide::lock::uv::UvLock;
use crate::decide::plan::{PlanError, PlannedPackage, PythonPlan, SelectError, Selection};
use crate::decide::target::PythonTarget;

/// Where the build requirements of a package come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// Its group in the build lock.
    Group(Utf8PathBuf, ExtraName),
    /// All that the project of the build lock depends on, since there is no such group.
    Project(Utf8PathBuf, ExtraName),
    /// The environment itself (no build isolation).
    Environment,
    /// There is no build lock.
    Nothing,
}

/// What a build lock says of one package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    /// Where it comes from, for errors.
    pub(super) scope: Scope,
    /// Its build requirements, with all that they need in turn.
    pub packages: Vec<PlannedPackage>,
    /// What uv's settings require besides.
    pub extra: Vec<String>,
}

/// The build lock, and what uv's settings add to it.
pub(super) struct Requirements<'a> {
    lock: Option<(UvLock, ProjectSettings)>,
    /// The folder of the environment's lock.
    root: Utf8PathBuf,
    target: &'a PythonTarget,
    plan: &'a PythonPlan,
    selection: Selection,
    settings: BuildSettings,
    /// What a lock was asked before, elsewhere: then none is asked here.
    answers: Option<&'a BTreeMap<PackageName, Answer>>,
}

impl<'a> Requirements<'a> {
    /// Reads the build lock. `no_binary` are packages that are built here as well.
    pub(super) fn new(
        options: &BuildOptions,
        target: &'a PythonTarget,
        plan: &'a PythonPlan,
        settings: BuildSettings,
        no_binary: Vec<PackageName>,
    ) -> Result<Self, BuildError> {
        let lock = match &options.lock {
            Some(file) => Some((UvLock::load(file)?, ProjectSettings::beside(file)?)),
            None => None,
        };
        Ok(Self {
            lock,
            root: options.root.components().collect(),
            target,
            plan,
            selection: Selection {
                no_default_groups: true,
                no_binary_packages: no_binary,
                ..Selection::default()
            },
            settings,
            answers: None,
        })
    }

    /// The same, with the answers of an earlier round.
    #[must_use]
    pub(super) fn with(mut self, answers: Option<&'a BTreeMap<PackageName, Answer>>) -> Self {
        self.answers = answers;
        self
    }

    /// uv's settings.
    pub(super) fn settings(&self) -> &BuildSettings {
        &self.settings
    }

    /// The build requirements of a package, with all that they need in turn.
    pub(super) fn of(
        &self,
        package: &PlannedPackage,
    ) -> Result<(Scope, Vec<PlannedPackage>), BuildError> {
        if let Some(answers) = self.answers {
            let answer = answers.get(&package.name);
            let answer = answer.ok_or_else(|| BuildError::Project {
                package: package.label(),
                reason: "what it is built with is not among what was ordered".into(),
            })?;
            return Ok((answer.scope.clone(), answer.packages.clone()));
        }
        if !self.settings.is_isolated(&package.name) {
            let others = self.plan.packages.iter();
            let others = others.filter(|other| self.settings.is_isolated(&other.name));
            return Ok((Scope::Environment, others.cloned().collect()));
        }
        let Some((lock, settings)) = &self.lock else {
            return Ok((Scope::Nothing, Vec::new()));
        };
        let group: ExtraName =
            package
                .name
                .to_string()
                .parse()
                .map_err(|_| BuildError::Project {
                    package: package.label(),
                    reason: "its name cannot be that of a dependency group".into(),
                })?;
        let plan = |selection: &Selection| {
            PythonPlan::new(lock, self.target, selection, settings).map(|plan| plan.packages)
        };
        let failed = |source| BuildError::Group {
            package: package.label(),
            lock: lock.file.clone(),
            source: Box::new(source),
        };
        let own = Selection {
            only_groups: vec![group.clone()],
            ..self.selection.clone()
        };
        match plan(&own) {
            Ok(packages) => Ok((Scope::Group(lock.file.clone(), group), packages)),
            Err(PlanError::Select(SelectError::NoGroup { .. })) => {
                let all = Selection {
                    no_install_project: true,
                    no_install_workspace: true,
                    ..self.selection.clone()
                };
                let packages = plan(&all).map_err(failed)?;
                Ok((Scope::Project(lock.file.clone(), group), packages))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What uv's `extra-build-dependencies` add to what a source says of itself.
    pub(super) fn extra(&self, package: &PackageName) -> Vec<String> {
        if let Some(answers) = self.answers {
            let answer = answers.get(package);
            return answer.map_or_else(Vec::new, |answer| answer.extra.clone());
        }
        let extra = self.settings.extra_build_dependencies.get(package);
        let text = |(requirement, is_matched): (&str, bool)| {
            let name = self::requirement(requirement);
            let planned = name.and_then(|wanted| {
                let mut all = self.plan.packages.iter();
                all.find(|planned| planned.name == wanted.name)
            });
            match planned.and_then(|planned| planned.version.as_ref()) {
                Some(version) if is_matched => format!("{requirement}=={version}"),
                _ => requirement.to_owned(),
            }
        };
        let extra = extra.into_iter().flatten();
        extra.map(|extra| text(extra.parts())).collect()
    }

    /// Holds what a back end requires against what is there.
    ///
    /// # Errors
    /// With all that is missing or does not fit, and what to do about it.
    pub(super) fn check(
        &self,
        package: &PlannedPackage,
        scope: &Scope,
        requires: &[String],
        there: &[&PlannedPackage],
    ) -> Result<(), BuildError> {
        let markers = &self.target.markers;
        let mut wrong = Vec::new();
        for text in requires {
            match unanswered(text, markers, there, true) {
                Some(problem) if !wrong.contains(&problem) => wrong.push(problem),
                _ => {}
            }
        }
        for text in &self.settings.build_constraint_dependencies {
            let problem = unanswered(text, markers, there, false);
            wrong.extend(problem.map(|problem| format!("{problem} (a build constraint)")));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let (package, wrong) = (package.label(), wrong.join(", "));
        if *scope == Scope::Nothing {
            // As short as it is where the command was given.
            let here = std::env::current_dir().ok();
            let is_here = here.is_some_and(|here| here == self.root);
            return Err(BuildError::NoBuildLock {
                package,
                wrong,
                from: match is_here {
                    true => String::new(),
                    false => format!(" {}", self.root),
                },
                out: match is_here {
                    true => "build".into(),
                    false => self.root.join("build"),
                },
            });
        }
        Err(BuildError::Requirement {
            package,
            wrong,
            remedy: scope.remedy(),
        })
    }
}

impl Scope {
    /// The same without where this machine has it.
    pub(super) fn shown(self) -> Self {
        let last = |file: Utf8PathBuf| file.file_name().unwrap_or_default().into();
        match self {
            Self::Group(file, group) => Self::Group(last(file), group),
            Self::Project(file, group) => Self::Project(last(file), group),
            other => other,
        }
    }

    /// What to do where something is missing.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Group(lock, group) => format!(
                "add that to the dependency group `{group}` of the pyproject.toml beside {lock} and \
                 run `uv lock` there, or rewrite that project with `lockwright build-lock`"
            ),
            Self::Project(lock, group) => format!(
                "add it to a dependency group `{group}`, or to the dependencies, in the \
                 pyproject.toml beside {lock} and run `uv lock` there; `lockwright build-lock` \
                 writes such a project"
            ),
            Self::Environment => "it is built without isolation, so add that to what the project \
                                  depends on and run `uv lock`"
                .into(),
            Self::Nothing => "name a lock that has it with --build-lock FILE".into(),
        }
    }
}

/// How a requirement that holds here is not answered; nothing where it is. What is missing counts
/// only where it `must_be`.
fn unanswered(
    text: &str,
    markers: &pep508_rs::MarkerEnvironment,
    there: &[&PlannedPackage],
    must_be: bool,
) -> Option<String> {
    let Some(requirement) = requirement(text) else {
        return Some(format!("`{text}`, which is not a requirement"));
    };
    if !requirement.marker.evaluate(markers, &[]) {
        return None;
    }
    let found = there
        .iter()
        .find(|package| package.name == requirement.name);
    let Some(found) = found else {
        return must_be.then(|| format!("`{text}`, which is not there"));
    };
    match (&requirement.what, &found.version) {
        (Some(VersionOrUrl::VersionSpecifier(wanted)), Some(version))
            if !wanted.contains(version) =>
        {
            Some(format!("`{text}`, and {version} is there"))
        }
        _ => None,
    }
}
