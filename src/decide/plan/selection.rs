//! What is wanted of a lock: the flags' values, with uv's names and meanings.

use pep508_rs::{ExtraName, PackageName};

use crate::decide::lock::uv::GroupName;

/// What is wanted of a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `--extra`.
    pub extras: Vec<ExtraName>,
    /// `--all-extras`.
    pub all_extras: bool,
    /// `--no-extra`.
    pub no_extras: Vec<ExtraName>,
    /// `--dev`, `--no-dev` or `--only-dev`. Unlike the same said with `--group`, it may be said of
    /// a project that has no group `dev`.
    pub dev: Option<Dev>,
    /// `--group`.
    pub groups: Vec<GroupName>,
    /// `--all-groups`.
    pub all_groups: bool,
    /// `--no-group`.
    pub no_groups: Vec<GroupName>,
    /// `--only-group`: the project's own dependencies are left out.
    pub only_groups: Vec<GroupName>,
    /// `--no-default-groups`.
    pub no_default_groups: bool,
    /// `--package`: these members in the project's place.
    pub packages: Vec<PackageName>,
    /// `--all-packages`: every member of the workspace.
    pub all_packages: bool,
    /// `--no-install-project`.
    pub no_install_project: bool,
    /// `--no-install-workspace`.
    pub no_install_workspace: bool,
    /// `--no-install-local`.
    pub no_install_local: bool,
    /// `--no-install-package`.
    pub no_install_packages: Vec<PackageName>,
    /// `--only-install-project`.
    pub only_install_project: bool,
    /// `--only-install-workspace`.
    pub only_install_workspace: bool,
    /// `--only-install-local`.
    pub only_install_local: bool,
    /// `--only-install-package`.
    pub only_install_packages: Vec<PackageName>,
    /// `--no-editable`.
    pub no_editable: bool,
    /// `--no-editable-package`.
    pub no_editable_packages: Vec<PackageName>,
    /// `--no-binary` or `--binary`; what the project's settings say where absent.
    pub no_binary: Option<bool>,
    /// `--no-binary-package`.
    pub no_binary_packages: Vec<PackageName>,
    /// `--no-build` or `--build`; what the project's settings say where absent.
    pub no_build: Option<bool>,
    /// `--no-build-package`.
    pub no_build_packages: Vec<PackageName>,
}

impl Selection {
    /// Whether a package that the lock has as editable is to be installed so.
    pub fn is_editable(&self, name: &PackageName) -> bool {
        !self.no_editable && !self.no_editable_packages.contains(name)
    }
}

/// What is said of the group `dev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dev {
    /// `--dev`.
    Include,
    /// `--no-dev`.
    Exclude,
    /// `--only-dev`.
    Only,
}

/// Why a selection cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// `--package` names nothing.
    #[error("package `{name}` is not a member of the workspace{hint}")]
    NoMember {
        /// The name.
        name: PackageName,
        /// What there is.
        hint: String,
    },
    /// `--extra` names nothing.
    #[error("extra `{name}` is not defined by {project}{hint}")]
    NoExtra {
        /// The name.
        name: ExtraName,
        /// Who should define it.
        project: String,
        /// What there is.
        hint: String,
    },
    /// `--group` names nothing.
    #[error("group `{name}` is not defined by {project}{hint}")]
    NoGroup {
        /// The name.
        name: GroupName,
        /// Who should define it.
        project: String,
        /// What there is.
        hint: String,
    },
    /// A flag that asks what a `pylock.toml` does not say.
    #[error(
        "{flag} is not for {lock}: a pylock.toml does not say which package belongs to which project; \
         {remedy}"
    )]
    Flag {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The flag.
        flag: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A package of a `pylock.toml` that is for another Python than the whole.
    #[error(
        "{lock} has {name} for Python {wanted}, and the target is {target}; choose another with --python or --python-version"
    )]
    PackagePython {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The package.
        name: PackageName,
        /// What it requires.
        wanted: String,
        /// What there is.
        target: String,
    },
    /// Two that the project declares as conflicting.
    #[error("{0} and {1} are declared as conflicting in tool.uv.conflicts; choose one of them")]
    Conflict(String, String),
    /// The lock has no project to install.
    #[error("{0} holds no project and no workspace member; nothing says what to install from it")]
    NoRoot(camino::Utf8PathBuf),
    /// A member of the workspace that no package of the lock answers.
    #[error(
        "{lock} names {name} as a member of its workspace, but has no single package of that name; \
         regenerate it with `uv lock`"
    )]
    NoPackageOfMember {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The name.
        name: PackageName,
    },
    /// Markers that a stranger could have made to take for ever.
    #[error(
        "{0} describes its conflicting extras at greater length than uv ever does: regenerate it with `uv lock`"
    )]
    Markers(camino::Utf8PathBuf),
    /// The same, where they are asked for all targets at once.
    #[error(
        "{0} has larger markers than uv ever writes: regenerate it with the tool that wrote it"
    )]
    Large(camino::Utf8PathBuf),
    /// A requirement of the workspace that no package of the lock answers.
    #[error(
        "{lock} requires {name}, but has no single package of that name for this target; regenerate it with `uv lock`"
    )]
    NoPackage {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The name.
        name: PackageName,
    },
}
