//! Arguments that say which packages of a `uv.lock` are wanted and for which Python. Their names
//! and meanings are uv's.

use camino::Utf8Path;
use clap::Args;
use pep508_rs::{ExtraName, PackageName};

use crate::lock::uv::{GroupName, UvLock};
use crate::plan::Selection;
use crate::target::find::Search;
use crate::target::probe::Interpreter;
use crate::target::{Platform, PythonTarget};

use super::Failure;

/// Which packages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which packages")]
pub struct SelectionArgs {
    /// Include an optional dependency set (repeatable)
    #[arg(long, value_name = "EXTRA", conflicts_with = "all_extras")]
    extra: Vec<ExtraName>,
    /// Include all optional dependency sets
    #[arg(long)]
    all_extras: bool,
    /// Leave an extra out of --all-extras (repeatable)
    #[arg(long, value_name = "EXTRA")]
    no_extra: Vec<ExtraName>,
    /// Include the development group `dev`, as is the default
    #[arg(long, overrides_with = "no_dev")]
    dev: bool,
    /// Leave the development group `dev` out
    #[arg(long, overrides_with = "dev")]
    no_dev: bool,
    /// Only the development group `dev`, without the project
    #[arg(long, conflicts_with_all = ["group", "all_groups", "no_dev"])]
    only_dev: bool,
    /// Include a dependency group (repeatable)
    #[arg(long, value_name = "GROUP")]
    group: Vec<GroupName>,
    /// Leave a dependency group out, whatever includes it (repeatable)
    #[arg(long, value_name = "GROUP")]
    no_group: Vec<GroupName>,
    /// Only a dependency group, without the project (repeatable)
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["group", "dev", "all_groups"])]
    only_group: Vec<GroupName>,
    /// Include all dependency groups
    #[arg(long)]
    all_groups: bool,
    /// Leave out what tool.uv.default-groups includes
    #[arg(long)]
    no_default_groups: bool,
    /// A member of the workspace in the project's place (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "all_packages")]
    package: Vec<PackageName>,
    /// All members of the workspace
    #[arg(long)]
    all_packages: bool,
    /// Install the project's dependencies, not the project
    #[arg(long)]
    no_install_project: bool,
    /// Install no member of the workspace, the project included
    #[arg(long)]
    no_install_workspace: bool,
    /// Install no package of this machine: project, workspace and path dependencies
    #[arg(long)]
    no_install_local: bool,
    /// Do not install this package; its dependencies are (repeatable)
    #[arg(long, value_name = "NAME")]
    no_install_package: Vec<PackageName>,
    /// Install editable dependencies as ordinary packages
    #[arg(long)]
    no_editable: bool,
    /// Install this editable dependency as an ordinary package (repeatable)
    #[arg(long, value_name = "NAME")]
    no_editable_package: Vec<PackageName>,
    /// Use no wheels: build everything
    #[arg(long)]
    no_binary: bool,
    /// Use no wheel of this package: build it (repeatable)
    #[arg(long, value_name = "NAME")]
    no_binary_package: Vec<PackageName>,
    /// Build nothing: wheels alone
    #[arg(long)]
    no_build: bool,
    /// Do not build this package (repeatable)
    #[arg(long, value_name = "NAME")]
    no_build_package: Vec<PackageName>,
}

impl SelectionArgs {
    /// What they mean.
    pub fn selection(&self) -> Selection {
        let dev = || "dev".parse::<GroupName>().ok();
        let with_dev = |groups: &[GroupName], is_wanted: bool| {
            groups
                .iter()
                .cloned()
                .chain(is_wanted.then(dev).flatten())
                .collect()
        };
        Selection {
            extras: self.extra.clone(),
            all_extras: self.all_extras,
            no_extras: self.no_extra.clone(),
            groups: with_dev(&self.group, self.dev),
            all_groups: self.all_groups,
            no_groups: with_dev(&self.no_group, self.no_dev),
            only_groups: with_dev(&self.only_group, self.only_dev),
            no_default_groups: self.no_default_groups,
            packages: self.package.clone(),
            all_packages: self.all_packages,
            no_install_project: self.no_install_project,
            no_install_workspace: self.no_install_workspace,
            no_install_local: self.no_install_local,
            no_install_packages: self.no_install_package.clone(),
            no_editable: self.no_editable,
            no_editable_packages: self.no_editable_package.clone(),
            no_binary: self.no_binary,
            no_binary_packages: self.no_binary_package.clone(),
            no_build: self.no_build,
            no_build_packages: self.no_build_package.clone(),
        }
    }
}

/// For which Python.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For which Python")]
pub struct TargetArgs {
    /// The interpreter: a path, a command or a version. By default .python-version, then .venv,
    /// then the first on the PATH that fits the lock
    #[arg(short, long, value_name = "PYTHON", env = "UV_PYTHON")]
    python: Option<String>,
    /// Install for this Python, with no interpreter of it here: 3.14, 3.14.2, 3.14t
    #[arg(long, value_name = "VERSION", conflicts_with = "python")]
    python_version: Option<String>,
    /// Install for this platform: linux, macos, windows, a triple such as
    /// aarch64-unknown-linux-musl, or a floor such as x86_64-manylinux_2_28
    #[arg(long, value_name = "PLATFORM")]
    python_platform: Option<Platform>,
}

/// The target, and the interpreter where there is one that can run here.
#[derive(Debug)]
pub struct Chosen {
    /// What is installed for.
    pub target: PythonTarget,
    /// The interpreter, unless the target is named by its version alone.
    pub interpreter: Option<Interpreter>,
}

impl TargetArgs {
    /// Finds the target: by name alone, or by asking an interpreter.
    ///
    /// # Errors
    /// When there is no interpreter that fits, or a version is none.
    pub fn choose(&self, lock: &UvLock, cache: Option<&Utf8Path>) -> Result<Chosen, Failure> {
        if let Some(version) = &self.python_version {
            let platform = match self.python_platform {
                Some(platform) => platform,
                None => std::env::consts::ARCH
                    .parse::<String>()
                    .map(|arch| format!("{arch}-unknown-linux-gnu"))?
                    .parse()?,
            };
            return Ok(Chosen {
                target: PythonTarget::named(version, platform)?,
                interpreter: None,
            });
        }
        let search = Search {
            request: self.python.as_deref(),
            project: Some(lock.folder()),
            requires_python: lock.requires_python.as_ref(),
            cache,
        };
        let interpreter = search.find()?;
        let target = match self.python_platform {
            Some(platform) => interpreter.target.on(platform)?,
            None => interpreter.target.clone(),
        };
        Ok(Chosen {
            target,
            interpreter: Some(interpreter),
        })
    }
}
