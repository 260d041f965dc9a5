//! Arguments that say which packages of a `package-lock.json` are wanted and for which machine.
//! Their names and meanings are npm's.

use std::collections::BTreeSet;

use camino::Utf8Path;
use clap::{Args, ValueEnum};
use url::Url;

use super::npm_flags::NpmFlags;
use super::python_args::lock_of;
use super::{Failure, completions};
use crate::core::digest::Digest;
use crate::core::nearest::nearest;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::plan::npm::{NpmPlan, NpmPlanError, NpmSelection, Omit};
use crate::decide::target::Platform;
use crate::decide::target::node::NodeTarget;
use crate::decide::target::registry;
use crate::files::tree::LinkMode;
use crate::install::assemble::npm::scripts::OWN;
use crate::obtain::fetch;
use crate::obtain::store::Store;

/// Which packages, where from and for what.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Of a package-lock.json")]
pub struct NodeArgs {
    /// Leave out development, optional or peer dependencies (repeatable) [default: as .npmrc says,
    /// or dev if NODE_ENV is production]
    #[arg(long, value_name = "KIND")]
    omit: Vec<Kind>,
    /// Keep what --omit or NODE_ENV leaves out (repeatable)
    #[arg(long, value_name = "KIND")]
    include: Vec<Kind>,
    /// Only this workspace and what it needs, by its name or folder (repeatable)
    #[arg(long, short, value_name = "NAME", add = completions::workspaces())]
    workspace: Vec<String>,
    /// With --workspace: also what the project itself needs
    #[arg(long, requires = "workspace")]
    include_workspace_root: bool,
    /// Run the scripts of these packages that npm would run, contained and without a network:
    /// install scripts, `prepare` of git dependencies, those of workspaces; `.` is the project
    /// itself (repeatable, or separated by commas) [default: none]
    #[arg(long, value_name = "NAME", value_delimiter = ',', add = completions::scripted())]
    pub allow_scripts: Vec<String>,
    /// Run no scripts (the default)
    #[arg(long, conflicts_with = "allow_scripts")]
    ignore_scripts: bool,
    /// How files get from the store into the tree: copied, or shared with it [default: auto]
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        env = "UV_LINK_MODE",
        hide_env_values = true
    )]
    link_mode: Option<LinkModeArg>,
    /// The target's system: linux, darwin, win32, … [default: this machine's]
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// The target's processor: x64, arm64, … [default: this machine's]
    #[arg(long, value_name = "CPU")]
    cpu: Option<String>,
    /// The target's C library: glibc or musl [default: this machine's, on Linux]
    #[arg(long, value_name = "LIBC")]
    libc: Option<String>,
    /// The target's Node version [default: that of the node on the PATH]
    #[arg(long, value_name = "VERSION")]
    node_version: Option<String>,
    /// The registry for packages whose URL the lock does not have [default: .npmrc's]
    #[arg(long, value_name = "URL")]
    registry: Option<Url>,
    /// Do not write node_modules/.package-lock.json, npm's own record
    #[arg(long)]
    pub no_hidden_lockfile: bool,
    #[command(flatten)]
    flags: NpmFlags,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Dev,
    Optional,
    Peer,
}

impl From<Kind> for Omit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Dev => Self::Dev,
            Kind::Optional => Self::Optional,
            Kind::Peer => Self::Peer,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum LinkModeArg {
    /// `reflink` if the disk can, else `copy`
    #[default]
    Auto,
    /// Written anew, from the artifact
    Copy,
    /// The same file as in the store, which keeps it unpacked for that; an edit of one changes
    /// both, and the next sync notices it. With --allow-scripts everything is copied
    Hardlink,
    /// Shared until one of the two is written to, on disks that can (btrfs, XFS, bcachefs)
    #[value(alias = "clone")]
    Reflink,
}

/// A lock, and what is to be placed of it.
pub struct NodeProject {
    /// The lock.
    pub lock: NpmLock,
    /// The plan.
    pub plan: NpmPlan,
    /// Registries and logins.
    pub npmrc: Npmrc,
    target: NodeTarget,
    wanted: NpmSelection,
}

impl NodeProject {
    /// Plans it anew without these optional packages and what is there only because of them.
    ///
    /// # Errors
    /// When it cannot be planned.
    pub fn leave_out(
        &mut self,
        places: impl IntoIterator<Item = String>,
    ) -> Result<(), NpmPlanError> {
        self.wanted.failed.extend(places);
        self.plan = NpmPlan::new(&self.lock, &self.target, &self.wanted, &self.npmrc)?;
        Ok(())
    }

    /// How its packages are fetched: as the command line and `.npmrc` say.
    ///
    /// # Errors
    /// When a setting cannot be followed.
    pub fn options(
        &self,
        options: fetch::FetchOptions,
    ) -> Result<fetch::FetchOptions, fetch::FetchError> {
        options.with_npmrc(&self.npmrc)
    }

    /// The machine that it is planned for.
    pub fn target(&self) -> &NodeTarget {
        &self.target
    }

    /// What is left out.
    pub fn omit(&self) -> &BTreeSet<Omit> {
        &self.wanted.omit
    }

    /// Packages that the lock has no digest of, or but one that can be forged.
    pub fn weak(&self) -> Vec<String> {
        let tarballs = self.plan.tarballs();
        let weak = tarballs.filter_map(|(_, package, artifact)| {
            match artifact.digest.as_ref().map(Digest::algorithm) {
                None => Some(format!("{} (no digest)", package.location)),
                Some(algorithm) if algorithm.is_weak() => {
                    Some(format!("{} ({algorithm})", package.location))
                }
                Some(_) => None,
            }
        });
        weak.collect()
    }
}

impl NodeArgs {
    /// Whether the command line names a machine, or leaves something out.
    pub fn is_given(&self) -> bool {
        let named = [&self.os, &self.cpu, &self.libc, &self.node_version];
        !self.omit.is_empty() || named.iter().any(|name| name.is_some())
    }

    /// Refuses what is said of a package-lock.json when the lock is another's: it would have no
    /// effect.
    ///
    /// # Errors
    /// With the first such option.
    pub fn refuse(&self, lock: &Utf8Path) -> Result<(), Failure> {
        let options = [
            (!self.omit.is_empty(), "--omit"),
            (!self.include.is_empty(), "--include"),
            (!self.workspace.is_empty(), "--workspace"),
            (!self.allow_scripts.is_empty(), "--allow-scripts"),
            (self.ignore_scripts, "--ignore-scripts"),
            (self.os.is_some(), "--os"),
            (self.cpu.is_some(), "--cpu"),
            (self.libc.is_some(), "--libc"),
            (self.node_version.is_some(), "--node-version"),
            (self.registry.is_some(), "--registry"),
            (self.no_hidden_lockfile, "--no-hidden-lockfile"),
        ];
        let given = options.iter().find(|(given, _)| *given);
        let setting = || (self.flags.settings().first()).map(|(key, _)| format!("--{key}"));
        match given
            .map(|(_, option)| (*option).to_owned())
            .or_else(setting)
        {
            Some(option) => {
                let lock = lock_of(lock)?;
                Err(format!(
                    "{option} is for a package-lock.json, and this is {lock}: leave it out"
                )
                .into())
            }
            None => Ok(()),
        }
    }

    /// Reads a lock and plans it.
    ///
    /// # Errors
    /// When it cannot be read or planned.
    pub fn open(&self, file: &Utf8Path) -> Result<NodeProject, Failure> {
        let lock = NpmLock::load(file)?;
        let npmrc = Npmrc::read(lock.folder())?
            .with(self.flags.settings())
            .with_registry(self.registry.as_ref());
        let npmrc = registry::with_npms_own(npmrc, &lock);
        if npmrc.is_set("ignore-scripts") && !self.allow_scripts.is_empty() {
            return Err(
                "ignore-scripts=true is set, in .npmrc or npm_config_ignore_scripts, and \
                        --allow-scripts names scripts to be run: remove one of the two"
                    .into(),
            );
        }
        let (target, wanted) = (self.target_with(&npmrc), self.wanted(&npmrc));
        let plan = NpmPlan::new(&lock, &target, &wanted, &npmrc)?;
        for name in &self.allow_scripts {
            if name != OWN && !plan.packages.iter().any(|package| package.name == *name) {
                let having = plan
                    .packages
                    .iter()
                    .filter(|package| package.has_install_script);
                let having: BTreeSet<&str> = having.map(|package| package.name.as_str()).collect();
                let hint = match nearest(name, having.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if having.is_empty() => "none has install scripts".to_owned(),
                    None => {
                        let having: Vec<&str> = having.into_iter().collect();
                        format!("those with install scripts are {}", having.join(", "))
                    }
                };
                return Err(format!(
                    "--allow-scripts names {name}, and no placed package has that name; {hint}"
                )
                .into());
            }
        }
        Ok(NodeProject {
            lock,
            plan,
            npmrc,
            target,
            wanted,
        })
    }

    /// The registry that was named.
    pub fn registry(&self) -> Option<&Url> {
        self.registry.as_ref()
    }

    /// The same for another platform.
    #[must_use]
    pub fn on(&self, platform: Platform) -> Self {
        let target = NodeTarget::host().on(platform);
        Self {
            os: Some(target.os),
            cpu: Some(target.cpu),
            libc: target.libc,
            ..self.clone()
        }
    }

    /// The machine as flags, and what of the lock is wanted: for a call that does the same elsewhere.
    pub fn flags(&self, npmrc: &Npmrc) -> Vec<String> {
        let NodeTarget { os, cpu, libc, .. } = self.target_with(npmrc);
        let libc = libc.map(|libc| format!("--libc={libc}"));
        let mut flags = vec![format!("--os={os}"), format!("--cpu={cpu}")];
        flags.extend(libc);
        flags.extend(self.omit_with(npmrc).iter().map(|kind| match kind {
            Omit::Dev => "--omit=dev".to_owned(),
            Omit::Optional => "--omit=optional".to_owned(),
            Omit::Peer => "--omit=peer".to_owned(),
        }));
        let of = |flag: &str, values: &[String]| -> Vec<String> {
            values
                .iter()
                .map(|value| format!("{flag}={value}"))
                .collect()
        };
        flags.extend(of("--workspace", &self.workspace));
        flags.extend(of("--allow-scripts", &self.allow_scripts));
        let node = self.node_version.iter();
        flags.extend(node.map(|node| format!("--node-version={node}")));
        for (given, flag) in [
            (self.include_workspace_root, "--include-workspace-root"),
            (self.no_hidden_lockfile, "--no-hidden-lockfile"),
        ] {
            flags.extend(given.then(|| flag.to_owned()));
        }
        flags
    }

    /// How files come from the store to a place.
    pub fn link(&self, store: &Store, to: &Utf8Path) -> LinkMode {
        match self.link_mode.unwrap_or_default() {
            LinkModeArg::Auto if store.is_packed() => LinkMode::Copy,
            LinkModeArg::Auto => LinkMode::by_disks(store.root(), to),
            LinkModeArg::Copy => LinkMode::Copy,
            LinkModeArg::Hardlink => LinkMode::Hardlink,
            LinkModeArg::Reflink => LinkMode::Reflink,
        }
    }

    /// Which part of it is wanted.
    fn wanted(&self, npmrc: &Npmrc) -> NpmSelection {
        NpmSelection {
            omit: self.omit_with(npmrc),
            workspaces: self.workspace.clone(),
            workspace_root: self.include_workspace_root,
            failed: BTreeSet::new(),
        }
    }

    /// What is left out, by the command line alone.
    pub fn omit(&self) -> BTreeSet<Omit> {
        self.omit_with(&Npmrc::default())
    }

    /// What is left out, by the command line or else npm's settings.
    fn omit_with(&self, npmrc: &Npmrc) -> BTreeSet<Omit> {
        let kinds = |own: &[Kind]| own.iter().copied().map(Omit::from).collect::<Vec<_>>();
        let in_production = std::env::var("NODE_ENV").is_ok_and(|value| value == "production");
        Omit::all(
            &kinds(&self.omit),
            &kinds(&self.include),
            npmrc,
            in_production,
        )
    }

    /// The machine it is for, by the command line alone.
    pub fn target(&self) -> NodeTarget {
        self.target_with(&Npmrc::default())
    }

    /// The machine it is for, by the command line or else npm's settings.
    fn target_with(&self, npmrc: &Npmrc) -> NodeTarget {
        let said = |own: &Option<String>, key: &str| {
            let own = own.clone();
            own.or_else(|| npmrc.value(key).map(str::to_owned))
        };
        let mut target = NodeTarget::host();
        if let Some(os) = said(&self.os, "os") {
            if os != target.os {
                target.libc = None;
            }
            target.os = os;
        }
        if let Some(cpu) = said(&self.cpu, "cpu") {
            target.cpu = cpu;
        }
        if let Some(libc) = said(&self.libc, "libc") {
            target.libc = Some(libc);
        }
        if let Some(node) = &self.node_version {
            target.node = Some(node.trim_start_matches('v').to_owned());
        }
        target
    }
}
