//! Arguments that say which packages of a Python lock are wanted and for which Python. Their names
//! and meanings are uv's.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use clap::builder::FalseyValueParser;
use pep508_rs::{ExtraName, PackageName};

use crate::core::progress::warn;
use crate::decide::lock::pyproject::{ProjectSettings, Pyproject};
use crate::decide::lock::uv::{GroupName, PackageSource, UvLock};
use crate::decide::plan::{Dev, Selection};
use crate::decide::target::find::Search;
use crate::decide::target::probe::Interpreter;
use crate::decide::target::{Platform, PythonTarget};
use crate::obtain::store::Store;

use super::{Failure, completions, unknown};

/// Which packages.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which packages")]
pub struct SelectionArgs {
    /// Include an optional dependency set (repeatable)
    #[arg(long, value_name = "EXTRA", value_delimiter = ',',
          conflicts_with_all = ["all_extras", "only_group"], add = completions::extras())]
    extra: Vec<ExtraName>,
    /// Include all optional dependency sets
    #[arg(long, conflicts_with = "only_group")]
    all_extras: bool,
    /// Leave an extra out of --all-extras (repeatable)
    #[arg(long, value_name = "EXTRA", add = completions::extras())]
    no_extra: Vec<ExtraName>,
    /// Include the development group `dev` (the default)
    #[arg(long, overrides_with = "no_dev")]
    dev: bool,
    /// Leave the development group `dev` out [env: UV_NO_DEV=]
    #[arg(long, overrides_with = "dev")]
    no_dev: bool,
    /// Only the development group `dev`, without the project
    #[arg(long, conflicts_with_all = ["group", "all_groups", "no_dev"])]
    only_dev: bool,
    /// Include a dependency group (repeatable)
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["only_group", "only_dev"], add = completions::groups())]
    group: Vec<GroupName>,
    /// Leave a dependency group out, even if something includes it (repeatable)
    #[arg(long, value_name = "GROUP", value_delimiter = ' ', env = "UV_NO_GROUP", add = completions::groups())]
    no_group: Vec<GroupName>,
    /// Only a dependency group, without the project (repeatable)
    #[arg(long, value_name = "GROUP", conflicts_with_all = ["group", "dev", "all_groups"], add = completions::groups())]
    only_group: Vec<GroupName>,
    /// Include all dependency groups
    #[arg(long, conflicts_with_all = ["only_group", "only_dev"])]
    all_groups: bool,
    /// Leave out what tool.uv.default-groups includes
    #[arg(long, env = "UV_NO_DEFAULT_GROUPS", value_parser = FalseyValueParser::new())]
    no_default_groups: bool,
    /// Install this member of the workspace instead of the project (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "all_packages", add = completions::members())]
    package: Vec<PackageName>,
    /// All members of the workspace
    #[arg(long)]
    all_packages: bool,
    /// Install the project's dependencies, not the project
    #[arg(long, alias = "no-emit-project", env = "UV_NO_INSTALL_PROJECT", value_parser = FalseyValueParser::new())]
    no_install_project: bool,
    /// Install no member of the workspace, the project included
    #[arg(long, alias = "no-emit-workspace", env = "UV_NO_INSTALL_WORKSPACE", value_parser = FalseyValueParser::new())]
    no_install_workspace: bool,
    /// Install no local package: no project, workspace member or path dependency
    #[arg(long, alias = "no-emit-local", env = "UV_NO_INSTALL_LOCAL", value_parser = FalseyValueParser::new())]
    no_install_local: bool,
    /// Do not install this package; do install its dependencies (repeatable)
    #[arg(long, alias = "no-emit-package", value_name = "NAME", add = completions::packages())]
    no_install_package: Vec<PackageName>,
    /// Install only the project, without its dependencies
    #[arg(long, conflicts_with = "no_install_project")]
    only_install_project: bool,
    /// Install only the members of the workspace
    #[arg(long, conflicts_with = "no_install_workspace")]
    only_install_workspace: bool,
    /// Install only local packages
    #[arg(long, conflicts_with = "no_install_local")]
    only_install_local: bool,
    /// Install only this package (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "no_install_package", add = completions::packages())]
    only_install_package: Vec<PackageName>,
    /// Install editable dependencies as ordinary packages
    #[arg(long, env = "UV_NO_EDITABLE", value_parser = FalseyValueParser::new(),
          overrides_with = "editable")]
    no_editable: bool,
    #[arg(long, hide = true, overrides_with = "no_editable")]
    editable: bool,
    /// Install this editable dependency as an ordinary package (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ' ', add = completions::packages())]
    no_editable_package: Vec<PackageName>,
    /// Use no wheels: build everything
    #[arg(long, env = "UV_NO_BINARY", value_parser = FalseyValueParser::new(),
          overrides_with = "binary")]
    no_binary: bool,
    #[arg(long, hide = true, overrides_with = "no_binary")]
    binary: bool,
    /// Use no wheel of this package: build it (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ' ',
        env = "UV_NO_BINARY_PACKAGE",
        add = completions::packages()
    )]
    no_binary_package: Vec<PackageName>,
    /// Build nothing: use only wheels
    #[arg(long, env = "UV_NO_BUILD", value_parser = FalseyValueParser::new(),
          overrides_with = "build")]
    no_build: bool,
    #[arg(long, hide = true, overrides_with = "no_build")]
    build: bool,
    /// Do not build this package (repeatable)
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ' ',
        env = "UV_NO_BUILD_PACKAGE",
        add = completions::packages()
    )]
    no_build_package: Vec<PackageName>,
    /// Refuse a lock that no longer fits pyproject.toml, instead of warning
    #[arg(long, env = "UV_LOCKED", value_parser = FalseyValueParser::new())]
    locked: bool,
    /// Do not check whether the lock still fits pyproject.toml
    #[arg(long, env = "UV_FROZEN", value_parser = FalseyValueParser::new(),
          conflicts_with = "locked")]
    frozen: bool,
}

/// Where the project is, in uv's words.
#[derive(Debug, Clone, Default, Args)]
pub struct ElsewhereArgs {
    /// The project's folder, as it is said to uv
    #[arg(long, value_name = "DIR", env = "UV_PROJECT", hide = true)]
    project: Option<Utf8PathBuf>,
    /// A script that has a lock, as it is said to uv
    #[arg(long, value_name = "SCRIPT", hide = true)]
    script: Option<Utf8PathBuf>,
}

impl ElsewhereArgs {
    /// What is meant, where the command's own argument says `path`.
    pub fn path<'a>(&'a self, path: &'a Utf8Path) -> &'a Utf8Path {
        let said = self.script.as_deref().or(self.project.as_deref());
        match path.as_str() {
            "." => said.unwrap_or(path),
            _ => path,
        }
    }
}

/// A project as the command line means it.
#[derive(Debug)]
pub struct Project {
    /// Its lock.
    pub lock: UvLock,
    /// Its settings.
    pub settings: ProjectSettings,
    /// What is wanted of it.
    pub selection: Selection,
}

impl SelectionArgs {
    /// Reads a project: its lock, and what its files and the command line say of it.
    ///
    /// A member of a workspace has no lock of its own; the one above it is meant, and the member is
    /// selected, as uv does. A lock that does not fit its project is warned of, or refused with
    /// `--locked`.
    ///
    /// # Errors
    /// When there is no lock, or a file cannot be read.
    pub fn open(&self, path: &Utf8Path) -> Result<Project, Failure> {
        let (file, member) = locate(path)?;
        let lock = UvLock::load(&file)?;
        let pyproject = Pyproject::beside(&file)?;
        if self.locked && lock.pylock.is_some() {
            return Err(format!(
                "{file} does not say what it was made for, so nothing can say whether it still \
                 fits: leave --locked out"
            )
            .into());
        }
        if let Some(pyproject) = pyproject.as_ref().filter(|_| !self.frozen) {
            self.check(&lock, &lock.differences(pyproject))?;
        }
        let mut settings = pyproject.unwrap_or_default().settings;
        let mut selection = self.selection();
        for (flag, named) in [
            ("--no-install-package", &selection.no_install_packages),
            ("--only-install-package", &selection.only_install_packages),
            ("--no-editable-package", &selection.no_editable_packages),
        ] {
            unknown::warn_of(flag, named, &lock);
        }
        let member = member.and_then(|folder| Some((member_at(&lock, &folder)?, folder)));
        if let Some((name, folder)) = member {
            if selection.packages.is_empty() && !selection.all_packages {
                selection.packages.push(name);
            }
            let own = ProjectSettings::beside(&folder.join("uv.lock"))?;
            settings.default_groups = own.default_groups;
        }
        Ok(Project {
            lock,
            settings,
            selection,
        })
    }

    fn check(&self, lock: &UvLock, differences: &[String]) -> Result<(), Failure> {
        if differences.is_empty() {
            return Ok(());
        }
        let listed: String = (differences.iter())
            .map(|difference| format!("\n  {difference}"))
            .collect();
        let message = format!(
            "{} does not fit the pyproject.toml beside it; regenerate it with `uv lock`:{listed}",
            lock.file
        );
        if self.locked {
            return Err(message.into());
        }
        warn(&message);
        Ok(())
    }

    /// What they mean.
    pub fn selection(&self) -> Selection {
        // Both are there only where one is the environment's, which the command line outdoes.
        let said = |yes: bool, no: bool| no.then_some(false).or(yes.then_some(true));
        let no_dev = || std::env::var("UV_NO_DEV").is_ok_and(|value| is_true(&value));
        Selection {
            extras: self.extra.clone(),
            all_extras: self.all_extras,
            no_extras: self.no_extra.clone(),
            dev: if self.only_dev {
                Some(Dev::Only)
            } else if self.dev {
                Some(Dev::Include)
            } else if self.no_dev || no_dev() {
                Some(Dev::Exclude)
            } else {
                None
            },
            groups: self.group.clone(),
            all_groups: self.all_groups,
            no_groups: self.no_group.clone(),
            only_groups: self.only_group.clone(),
            no_default_groups: self.no_default_groups,
            packages: self.package.clone(),
            all_packages: self.all_packages,
            no_install_project: self.no_install_project,
            no_install_workspace: self.no_install_workspace,
            no_install_local: self.no_install_local,
            no_install_packages: self.no_install_package.clone(),
            only_install_project: self.only_install_project,
            only_install_workspace: self.only_install_workspace,
            only_install_local: self.only_install_local,
            only_install_packages: self.only_install_package.clone(),
            no_editable: self.no_editable && !self.editable,
            no_editable_packages: self.no_editable_package.clone(),
            no_binary: said(self.no_binary, self.binary),
            no_binary_packages: self.no_binary_package.clone(),
            no_build: said(self.no_build, self.build),
            no_build_packages: self.no_build_package.clone(),
        }
    }
}

/// The lock that is meant.
///
/// # Errors
/// When there is none.
pub fn lock_of(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    Ok(locate(path)?.0)
}

/// The lock that is meant, and the project's folder where that is below the lock's.
fn locate(path: &Utf8Path) -> Result<(Utf8PathBuf, Option<Utf8PathBuf>), Failure> {
    let start = super::absolute(path)?;
    let here = super::find_lock(path);
    // A project may have a pylock.toml of its own below its workspace's lock, which counts.
    let is_project = start.join("pyproject.toml").is_file();
    if let Ok(file) = &here
        && (!is_project || file.file_name() == Some("uv.lock"))
    {
        return Ok((file.clone(), None));
    }
    let mut project = None;
    for folder in start.ancestors().filter(|_| start.is_dir()) {
        if project.is_none() && folder.join("pyproject.toml").is_file() {
            project = Some(folder.to_owned());
        }
        let lock = folder.join("uv.lock");
        // A lock far above that no project lies between is hardly the one that is meant.
        if project.is_some() && lock.is_file() {
            return Ok((lock, project.filter(|project| project != folder)));
        }
    }
    here.map(|file| (file, None))
}

/// The member of the workspace whose folder it is.
fn member_at(lock: &UvLock, folder: &Utf8Path) -> Option<PackageName> {
    let relative = folder.strip_prefix(lock.folder()).ok()?;
    let is_there = |source: &PackageSource| match source {
        PackageSource::Editable(path)
        | PackageSource::Virtual(path)
        | PackageSource::Directory(path) => path == relative,
        _ => false,
    };
    let found = lock
        .packages
        .iter()
        .find(|package| is_there(&package.source));
    found.map(|package| package.name.clone())
}

/// As clap reads a flag's environment variable.
pub fn is_true(value: &str) -> bool {
    !matches!(
        value.to_lowercase().as_str(),
        "" | "0" | "n" | "no" | "f" | "false" | "off"
    )
}

/// For which Python.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For which Python")]
pub struct TargetArgs {
    /// The interpreter: a path, a command or a version. By default that of .python-version or
    /// .venv, or the first on the PATH that fits the lock
    #[arg(short, long, value_name = "PYTHON", env = "UV_PYTHON")]
    python: Option<String>,
    /// Install for this Python version, without an interpreter: 3.14 (its first release that the
    /// lock allows), 3.14.2, 3.14t
    #[arg(long, value_name = "VERSION")]
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
    /// Whether the command line names a target. A variable alone does not: it is set for other
    /// tools too.
    pub fn is_given(&self) -> bool {
        let variable = std::env::var("UV_PYTHON").ok();
        self.python_version.is_some()
            || self.python_platform.is_some()
            || (self.python.is_some() && self.python != variable)
    }

    /// The version of `--python-version`.
    pub fn version(&self) -> Option<&str> {
        self.python_version.as_deref()
    }

    /// The interpreter that was named.
    pub fn python(&self) -> Option<&str> {
        self.python.as_deref()
    }

    /// The interpreter that was named, or else the first that there is, whatever the project.
    ///
    /// # Errors
    /// When there is none.
    pub fn interpreter(&self, store: &Store) -> Result<Interpreter, Failure> {
        if self.python_version.is_some() || self.python_platform.is_some() {
            return Err(
                "an interpreter is needed here: name it with --python, and leave \
                        --python-version and --python-platform out"
                    .into(),
            );
        }
        let search = Search {
            request: self.python.as_deref(),
            project: None,
            requires_python: None,
            cache: Some(&store.root().join("interpreters")),
        };
        Ok(search.find()?)
    }

    /// Finds the target: by name alone, or by asking an interpreter.
    ///
    /// # Errors
    /// When there is no interpreter that fits, or a version is none.
    pub fn choose(&self, lock: &UvLock, cache: Option<&Utf8Path>) -> Result<Chosen, Failure> {
        self.choose_on(None, lock, cache)
    }

    /// [`Self::choose`], on another platform than the one that was named.
    ///
    /// # Errors
    /// As there.
    pub fn choose_on(
        &self,
        platform: Option<Platform>,
        lock: &UvLock,
        cache: Option<&Utf8Path>,
    ) -> Result<Chosen, Failure> {
        let wanted = platform.or(self.python_platform);
        if let Some(version) = &self.python_version {
            let platform = match wanted {
                Some(platform) => platform,
                None => std::env::consts::ARCH
                    .parse::<String>()
                    .map(|arch| format!("{arch}-unknown-linux-gnu"))?
                    .parse()?,
            };
            let wanted = lock.requires_python.as_ref();
            return Ok(Chosen {
                target: PythonTarget::named_for(version, platform, wanted)?,
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
        let target = match wanted {
            Some(platform) => interpreter.target.on(platform)?,
            None => interpreter.target.clone(),
        };
        Ok(Chosen {
            target,
            interpreter: Some(interpreter),
        })
    }
}
