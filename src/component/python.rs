//! The inputs of a Python environment: planned from a `uv.lock`, built where there is no wheel,
//! placed in the tree.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;

use super::changes;
use super::context::Context;
use super::error::{Cause, ComponentError};
use super::ingredients::Ingredients;
use super::inputs::{digest_of, lock_file};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::decide::lock::build_settings::BuildSettings;
use crate::decide::lock::pyproject::{ProjectSettings, Pyproject};
use crate::decide::lock::uv::UvLock;
use crate::decide::manifest::{self, PackageBuild};
use crate::decide::plan::{Install, PythonPlan, Selection};
use crate::decide::target::Os;
use crate::files::archive::Limits;
use crate::files::tree::{LinkMode, Tree};
use crate::install::assemble::python::{Request, assemble};
use crate::install::build::{self, Builder};
use crate::install::python::Layout;
use crate::install::python::venv::{self, Venv};

const PHASE: &str = "python";

/// A planned environment.
pub struct PreparedPython {
    pub(super) plan: PythonPlan,
    pub(super) settings: ProjectSettings,
    pub(super) selection: Selection,
    pub(super) building: build::BuildOptions,
}

/// A lock, and what of it is chosen.
pub struct Planned {
    pub(super) lock: UvLock,
    pyproject: Option<Pyproject>,
    selection: Selection,
    pub(super) plan: PythonPlan,
}

/// Plans an environment.
///
/// # Errors
/// When the lock cannot be read or planned.
pub fn planned(
    context: &Context<'_>,
    python: &manifest::Python,
) -> Result<Planned, ComponentError> {
    let said = python.lock.as_written();
    let file = lock_file(context, &python.lock)?;
    let lock = UvLock::load(&file).map_err(context.failed(said, PHASE))?;
    let pyproject = Pyproject::beside(&file).map_err(context.failed(said, PHASE))?;
    let nothing = ProjectSettings::default();
    let settings = pyproject.as_ref().map_or(&nothing, |one| &one.settings);
    let mut selection = selection(context, python)?;
    // Which of its folders are members of a workspace a pylock.toml does not say.
    if lock.pylock.is_some() && std::mem::take(&mut selection.no_install_workspace) {
        selection.no_install_local = true;
    }
    let target = &context.python()?.target;
    if target.platform.os == Os::Windows {
        let what = "components are for Linux and macOS: `lockwright sync --python-platform windows` makes an environment for Windows";
        return Err(context.refuse(said, what));
    }
    let plan = PythonPlan::new(&lock, target, &selection, settings)
        .map_err(context.failed(said, PHASE))?;
    Ok(Planned {
        lock,
        pyproject,
        selection,
        plan,
    })
}

/// Plans the environment, and writes down what shapes it.
///
/// # Errors
/// When the lock cannot be read or planned.
pub fn prepare(
    context: &Context<'_>,
    all: &mut Ingredients,
) -> Result<Option<PreparedPython>, ComponentError> {
    let Some(python) = &context.component.python else {
        return Ok(None);
    };
    let said = python.lock.as_written();
    let Planned {
        lock,
        pyproject,
        selection,
        plan,
    } = planned(context, python)?;
    if let Some(pyproject) = &pyproject {
        let file = &lock.file;
        for difference in lock.differences(pyproject) {
            context.pythons.warn(&format!(
                "{file} does not fit the pyproject.toml beside it: {difference}"
            ));
        }
    }
    let settings = pyproject.unwrap_or_default().settings;
    let chosen = context.python()?;
    let mut building = building(context)?;
    building.root = lock.folder().to_owned();
    for package in &plan.packages {
        let value = match &package.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
                let digest = artifact.digest.as_ref().map(ToString::to_string);
                digest.unwrap_or_else(|| artifact.location.to_string())
            }
            Install::Git { source } => {
                format!("{} {:?} sha256", source.commit, source.subdirectory)
            }
            Install::Directory { path, .. } => {
                let digest = context.sources.digest(path);
                digest.map_err(context.failed(said, PHASE))?
            }
        };
        let version = package.version.as_ref().map(ToString::to_string);
        let version = version.unwrap_or_default();
        all.add(package.name.to_string(), format!("{version} {value}"));
        if !matches!(package.install, Install::Wheel { .. })
            && let Some(variables) = building.environment.get(&package.name)
        {
            let variables = serde_json::to_string(variables).unwrap_or_default();
            all.add(format!("build environment of {}", package.name), variables);
        }
        if !matches!(package.install, Install::Wheel { .. })
            && let Some(change) = building.changes.get(&package.name)
        {
            all.add(format!("build of {}, changed", package.name), &change.id);
        }
    }
    let is_built = plan
        .packages
        .iter()
        .any(|package| !matches!(package.install, Install::Wheel { .. }));
    if let Some(lock) = building.lock.as_ref().filter(|_| is_built) {
        let text = foreign::text(lock);
        let text =
            text.map_err(|error| context.failed(said, PHASE)(cannot("read", lock)(error)))?;
        all.add("build lock", digest_of(&text));
        all.add(
            "builds contained",
            context.containment.is_contained()?.to_string(),
        );
    }
    let own = settings.build.clone().under(&building.settings);
    if is_built && (building.hook.is_some() || own != BuildSettings::default()) {
        let text = format!("{:?} {own:?}", building.hook);
        all.add("build settings", digest_of(&text));
    }
    let prepared = PreparedPython {
        plan,
        settings,
        selection,
        building,
    };
    // All of that again, with what it leads to: folders that the build lock names, say.
    if is_built && chosen.interpreter.is_some() {
        let builder = builder(context, &prepared).map_err(context.failed(said, PHASE))?;
        for (label, key) in builder.keys() {
            all.add(format!("build of {label}"), key.unwrap_or_default());
        }
    }
    Ok(Some(prepared))
}

fn selection(
    context: &Context<'_>,
    python: &manifest::Python,
) -> Result<Selection, ComponentError> {
    fn parsed<T: std::str::FromStr>(
        context: &Context<'_>,
        names: &[String],
        what: &str,
    ) -> Result<Vec<T>, ComponentError> {
        let parse = |name: &String| {
            let wrong = || context.refuse(name, format!("`{name}` cannot be the name of {what}"));
            name.parse().map_err(|_| wrong())
        };
        names.iter().map(parse).collect()
    }
    let only_needs = python.install == manifest::Install::Dependencies;
    Ok(Selection {
        extras: parsed(context, &python.extras, "an extra")?,
        groups: parsed(
            context,
            python.groups.as_deref().unwrap_or_default(),
            "a group",
        )?,
        no_default_groups: python.groups.is_some(),
        no_install_project: only_needs,
        no_install_workspace: only_needs,
        no_install_packages: parsed(context, &python.exclude, "a package")?,
        no_binary_packages: parsed(context, &python.no_binary, "a package")?,
        // A finished tree does not lead back to its sources.
        no_editable: true,
        ..Selection::default()
    })
}

/// How sources are built: as the command line says, then the component, then the manifest.
fn building(context: &Context<'_>) -> Result<build::BuildOptions, ComponentError> {
    let mut options = context.settings.build.clone();
    let general = &context.settings.document.manifest.build;
    let said = [&context.component.build, general];
    let folder = context.settings.document.folder();
    if options.lock.is_none() {
        let lock = said.iter().find_map(|build| build.lock.as_ref());
        options.lock = lock.map(|lock| folder.join(lock));
    }
    let mut packages: BTreeMap<PackageName, Vec<&PackageBuild>> = BTreeMap::new();
    for build in said {
        for (name, package) in &build.packages {
            let parsed: PackageName = name.parse().map_err(|_| {
                context.refuse(name, format!("[build.{name}] is not named after a package"))
            })?;
            packages.entry(parsed).or_default().push(package);
        }
    }
    for (name, said) in packages {
        let given = changes::of(context, &said)?;
        let own = options.environment.entry(name.clone()).or_default();
        for (variable, value) in given.environment {
            own.entry(variable).or_insert(value);
        }
        if let Some(change) = given.change {
            options.changes.insert(name, change);
        }
    }
    Ok(options)
}

/// Puts the environment in the tree.
///
/// # Errors
/// When a package cannot be obtained, built or placed.
pub fn place(
    context: &Context<'_>,
    prepared: &PreparedPython,
    tree: &Tree,
    prefix: &Utf8Path,
) -> Result<(), ComponentError> {
    let said = context.component.python.as_ref();
    let said = said.map_or("", |python| python.lock.as_written());
    let layout = layout(context, prefix)?;
    let chosen = context.python()?;
    // No package may have its files in place of the environment's own.
    let own = tree.owner("the environment", u64::MAX);
    let venv = Venv {
        interpreter: chosen.path(),
        version: chosen.target.markers.python_full_version().to_string(),
        prompt: None,
        system_site_packages: false,
    };
    venv::write(tree, own, &layout, &chosen.target, &venv).map_err(context.failed(said, PHASE))?;
    let builder = builder(context, prepared).map_err(context.failed(said, PHASE))?;
    let done = assemble(
        tree,
        &Request {
            plan: &prepared.plan,
            layout: &layout,
            store: context.settings.store,
            fetch: context.settings.fetch,
            limits: Limits::default(),
            link: LinkMode::Copy,
            strict: false,
            builder: Some(&builder),
        },
    );
    done.map_err(context.failed(said, PHASE))?;
    Ok(())
}

/// The layout of the tree's environment.
///
/// # Errors
/// When there is no Python that fits.
pub fn layout(context: &Context<'_>, prefix: &Utf8Path) -> Result<Layout, ComponentError> {
    Ok(Layout::new(&context.python()?.target, prefix, false))
}

/// Builds what the lock has no wheel of.
fn builder<'a>(
    context: &'a Context<'_>,
    prepared: &'a PreparedPython,
) -> Result<Builder<'a>, Cause> {
    let chosen = context.pythons.get()?;
    let builder = Builder::new(build::Request {
        plan: &prepared.plan,
        settings: &prepared.settings,
        no_binary: &prepared.selection.no_binary_packages,
        interpreter: chosen.interpreter.as_ref(),
        store: context.settings.store,
        fetch: context.settings.fetch,
        options: &prepared.building,
    });
    Ok(builder?)
}

/// The lock that a component's environment comes from, its own or its base's.
///
/// # Errors
/// When it cannot be obtained.
pub fn lock_of(context: &Context<'_>) -> Result<Option<Utf8PathBuf>, ComponentError> {
    let mut component = context.component;
    // As long as the manifest's order was found, bases do not go round in a circle.
    loop {
        if let Some(python) = &component.python {
            return lock_file(context, &python.lock).map(Some);
        }
        let base = component
            .base
            .as_ref()
            .and_then(|base| base.from.component());
        let manifest = &context.settings.document.manifest;
        match base.and_then(|base| manifest.component.get(base)) {
            Some(base) => component = base,
            None => return Ok(None),
        }
    }
}
