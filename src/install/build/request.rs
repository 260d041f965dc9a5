//! What the builds of an environment are asked for.

use pep508_rs::PackageName;

use super::BuildOptions;
use super::error::BuildError;
use super::plain::Plain;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::plan::{Install, PlannedPackage, PythonPlan};
use crate::decide::target::probe::Interpreter;
use crate::obtain::fetch;
use crate::obtain::store::Store;

/// What is to be built, and with what.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The environment; its packages that have no wheel are built.
    pub plan: &'a PythonPlan,
    /// The project's settings.
    pub settings: &'a ProjectSettings,
    /// Packages that the command line wants built though there is a wheel of them; so they are
    /// where they are build requirements.
    pub no_binary: &'a [PackageName],
    /// The target's interpreter, where there is one here.
    pub interpreter: Option<&'a Interpreter>,
    /// Where wheels are kept.
    pub store: &'a Store,
    /// How sources and build requirements are obtained.
    pub fetch: &'a fetch::FetchOptions,
    /// How builds are made.
    pub options: &'a BuildOptions,
}

impl Request<'_> {
    /// The wheel of a folder that leaves nothing to a build, where the user has nothing to say of how it
    /// is built.
    pub(super) fn plain(&self, package: &PlannedPackage) -> Result<Option<Plain>, BuildError> {
        let Install::Directory { path, editable } = &package.install else {
            return Ok(None);
        };
        let BuildOptions {
            hook, environment, ..
        } = self.options;
        let settings = self.settings.build.clone().under(&self.options.settings);
        let is_told = hook.is_some()
            || environment.contains_key(&package.name)
            || settings.says_of(&package.name);
        match is_told {
            true => Ok(None),
            false => Plain::of(package, path, &self.options.root, *editable),
        }
    }
}
