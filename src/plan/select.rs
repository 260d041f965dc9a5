//! Which packages of a `uv.lock` are wanted: the walk over its graph.
//!
//! Follows `uv-resolver/src/lock/installable.rs`: from the roots, through dependencies, extras and
//! groups whose markers hold in the target's environment. Where the lock has conflicting extras or
//! groups, markers also ask which of them are chosen, so the walk is made twice: once to learn
//! which extras it activates, and once for good.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use pep508_rs::{ExtraName, PackageName};

use crate::lock::pyproject::{DefaultGroups, ProjectSettings};
use crate::lock::uv::{ConflictItem, ConflictKind, Dependency, GroupName, Source, UvLock};
use crate::target::PythonTarget;

/// What is wanted of a lock; the flags have uv's names and meanings.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--extra`.
    pub extras: Vec<ExtraName>,
    /// `--all-extras`.
    pub all_extras: bool,
    /// `--no-extra`.
    pub no_extras: Vec<ExtraName>,
    /// `--group`, and `dev` for `--dev`.
    pub groups: Vec<GroupName>,
    /// `--all-groups`.
    pub all_groups: bool,
    /// `--no-group`, and `dev` for `--no-dev`.
    pub no_groups: Vec<GroupName>,
    /// `--only-group`, and `dev` for `--only-dev`: the project's own dependencies are left out.
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
    /// `--no-editable`.
    pub no_editable: bool,
    /// `--no-editable-package`.
    pub no_editable_packages: Vec<PackageName>,
    /// `--no-binary`.
    pub no_binary: bool,
    /// `--no-binary-package`.
    pub no_binary_packages: Vec<PackageName>,
    /// `--no-build`.
    pub no_build: bool,
    /// `--no-build-package`.
    pub no_build_packages: Vec<PackageName>,
}

/// A package that is wanted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Index into the lock's packages.
    pub package: usize,
    /// The shortest path of requirements that leads to it, the root first, itself last:
    /// `authentik`, `psycopg[pool]`, `psycopg-pool`.
    pub path: Vec<String>,
    /// Whether it is to be put in place, or only walked through.
    pub install: bool,
}

/// Why a selection cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectError {
    /// `--package` or `--no-install-package`-like flag names nothing.
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
    /// Two that the project declares as conflicting.
    #[error("{0} and {1} are declared as conflicting in tool.uv.conflicts; choose one of them")]
    Conflict(String, String),
    /// The lock has no project to install.
    #[error("{0} holds no project and no workspace member; nothing says what to install from it")]
    NoRoot(camino::Utf8PathBuf),
    /// A requirement of the workspace that no package of the lock answers.
    #[error(
        "{lock} requires {name}, but has no single package of that name for this target; make it again with `uv lock`"
    )]
    NoPackage {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The name.
        name: PackageName,
    },
}

/// A node of the walk: a package, or one extra of it.
type Node = (usize, Option<ExtraName>);

/// Walks the graph; the result is in the lock's order, by name.
///
/// # Errors
/// When a flag names what is not there, or two that conflict are chosen.
pub fn select(
    lock: &UvLock,
    target: &PythonTarget,
    selection: &Selection,
    settings: &ProjectSettings,
) -> Result<Vec<Wanted>, SelectError> {
    let roots = roots(lock, selection)?;
    let groups = Groups {
        selection,
        defaults: &settings.default_groups,
    };
    check_names(lock, &roots, selection)?;
    let mut walk = Walk {
        lock,
        target,
        active: BTreeSet::new(),
        parents: BTreeMap::new(),
    };

    // What the command line activates, for markers that ask (only locks with conflicts have them).
    for &root in &roots {
        let Some(package) = lock.packages.get(root) else {
            continue;
        };
        if groups.project() {
            for extra in chosen_extras(package.extras.keys(), selection) {
                walk.activate(&package.name, ConflictKind::Extra(extra.clone()));
            }
            walk.activate(&package.name, ConflictKind::Project);
        }
        for group in package.groups.keys().filter(|group| groups.contains(group)) {
            walk.activate(&package.name, ConflictKind::Group(group.clone()));
        }
    }
    for group in lock
        .manifest
        .dependency_groups
        .keys()
        .filter(|group| groups.contains(group))
    {
        for &root in &roots {
            if let Some(package) = lock.packages.get(root) {
                walk.activate(&package.name, ConflictKind::Group(group.clone()));
            }
        }
    }
    let (start, requested) = walk.start(&roots, selection, &groups)?;
    if !lock.conflicts.is_empty() {
        walk.learn_extras(&start);
        walk.check_conflicts()?;
    }
    // Groups' own markers may ask for extras that were only learned just now.
    let (start, requested) = if lock.conflicts.is_empty() {
        (start, requested)
    } else {
        walk.parents.clear();
        walk.start(&roots, selection, &groups)?
    };
    let reached = walk.reach(start);

    let project = match roots[..] {
        [root] if lock.root() == Some(root) || !selection.packages.is_empty() => Some(root),
        _ => None,
    };
    Ok(reached
        .into_iter()
        .map(|package| Wanted {
            package,
            path: walk.path(package),
            install: (groups.project()
                || !roots.contains(&package)
                || requested.contains(&package))
                && is_installed(lock, package, project, selection),
        })
        .collect())
}

fn roots(lock: &UvLock, selection: &Selection) -> Result<Vec<usize>, SelectError> {
    let members: Vec<usize> = (0..lock.packages.len())
        .filter(|&index| lock.is_member(index))
        .collect();
    if !selection.packages.is_empty() {
        return selection
            .packages
            .iter()
            .map(|name| {
                members
                    .iter()
                    .copied()
                    .find(|&index| lock.packages.get(index).is_some_and(|p| p.name == *name))
                    .ok_or_else(|| SelectError::NoMember {
                        name: name.clone(),
                        hint: there_are(
                            members
                                .iter()
                                .filter_map(|&i| Some(&lock.packages.get(i)?.name)),
                        ),
                    })
            })
            .collect();
    }
    match lock.root() {
        Some(root) if !selection.all_packages => Ok(vec![root]),
        _ if members.is_empty()
            && lock.manifest.requirements.is_empty()
            && lock.manifest.dependency_groups.is_empty() =>
        {
            Err(SelectError::NoRoot(lock.file.clone()))
        }
        _ => Ok(members),
    }
}

/// The groups that are chosen, by uv's rules.
struct Groups<'a> {
    selection: &'a Selection,
    defaults: &'a DefaultGroups,
}

impl Groups<'_> {
    /// Whether the project's own dependencies are wanted at all.
    fn project(&self) -> bool {
        self.selection.only_groups.is_empty()
    }

    fn contains(&self, group: &GroupName) -> bool {
        let selection = self.selection;
        if selection.no_groups.contains(group) {
            return false;
        }
        if !self.project() {
            return selection.only_groups.contains(group) || selection.groups.contains(group);
        }
        selection.all_groups
            || selection.groups.contains(group)
            || (!selection.no_default_groups
                && match self.defaults {
                    DefaultGroups::All => true,
                    DefaultGroups::These(groups) => groups.contains(group),
                })
    }
}

fn chosen_extras<'a>(
    defined: impl Iterator<Item = &'a ExtraName>,
    selection: &Selection,
) -> impl Iterator<Item = &'a ExtraName> {
    defined.filter(|extra| {
        !selection.no_extras.contains(extra)
            && (selection.all_extras || selection.extras.contains(extra))
    })
}

/// Every extra and group that is asked for by name must be defined somewhere.
fn check_names(lock: &UvLock, roots: &[usize], selection: &Selection) -> Result<(), SelectError> {
    let packages = || roots.iter().filter_map(|&root| lock.packages.get(root));
    let project = || match packages().map(|p| p.name.to_string()).collect::<Vec<_>>() {
        names if names.is_empty() => lock.file.to_string(),
        names => names.join(", "),
    };
    let extras: BTreeSet<&ExtraName> = packages()
        .flat_map(|package| {
            package
                .extras
                .keys()
                .chain(&package.metadata.provides_extras)
        })
        .collect();
    for name in selection.extras.iter().chain(&selection.no_extras) {
        if !extras.contains(name) {
            let hint = there_are(extras.iter());
            return Err(SelectError::NoExtra {
                name: name.clone(),
                project: project(),
                hint,
            });
        }
    }
    let defined: BTreeSet<&GroupName> = packages()
        .flat_map(|package| {
            package
                .groups
                .keys()
                .chain(package.metadata.requires_dev.keys())
        })
        .chain(lock.manifest.dependency_groups.keys())
        .collect();
    let named = selection
        .groups
        .iter()
        .chain(&selection.only_groups)
        .chain(&selection.no_groups);
    for name in named {
        // `dev` may be said of a project that has none, as uv lets it.
        if !defined.contains(name) && name.as_ref() != "dev" {
            let hint = there_are(defined.iter());
            return Err(SelectError::NoGroup {
                name: name.clone(),
                project: project(),
                hint,
            });
        }
    }
    Ok(())
}

fn there_are(names: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        String::from("; it defines none")
    } else {
        format!("; there are {}", names.join(", "))
    }
}

fn is_installed(
    lock: &UvLock,
    index: usize,
    project: Option<usize>,
    selection: &Selection,
) -> bool {
    let Some(package) = lock.packages.get(index) else {
        return false;
    };
    !(matches!(package.source, Source::Virtual(_))
        || selection.no_install_packages.contains(&package.name)
        || (selection.no_install_project && project == Some(index))
        || (selection.no_install_workspace && (lock.is_member(index) || project == Some(index)))
        || (selection.no_install_local && package.source.is_local()))
}

struct Walk<'a> {
    lock: &'a UvLock,
    target: &'a PythonTarget,
    /// Every extra and group that is chosen, as markers of the lock name them.
    active: BTreeSet<ConflictItem>,
    /// Who first asked for a package, and with which extras: for the reason that is shown.
    parents: BTreeMap<usize, (Option<usize>, String)>,
}

impl Walk<'_> {
    fn activate(&mut self, package: &PackageName, kind: ConflictKind) {
        self.active.insert(ConflictItem {
            package: package.clone(),
            kind,
        });
    }

    fn marker_extras(&self) -> Vec<ExtraName> {
        if self.lock.conflicts.is_empty() {
            return Vec::new();
        }
        self.active
            .iter()
            .filter_map(ConflictItem::marker_extra)
            .collect()
    }

    /// The nodes the walk begins with, and the packages that roots ask for themselves.
    fn start(
        &mut self,
        roots: &[usize],
        selection: &Selection,
        groups: &Groups,
    ) -> Result<(Vec<Node>, BTreeSet<usize>), SelectError> {
        let extras = self.marker_extras();
        let mut start: Vec<Node> = Vec::new();
        let mut requested = BTreeSet::new();
        let lock = self.lock;
        for &root in roots {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            self.parents.insert(root, (None, package.name.to_string()));
            if groups.project() {
                requested.insert(root);
                start.push((root, None));
                for extra in chosen_extras(package.extras.keys(), selection) {
                    start.push((root, Some(extra.clone())));
                }
            }
        }
        for &root in roots {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            for (name, edges) in package
                .groups
                .iter()
                .filter(|(name, _)| groups.contains(name))
            {
                for edge in edges {
                    if edge.marker.evaluate(&self.target.markers, &extras) {
                        self.enter(edge, Some(root), &format!(" (group {name})"), &mut start);
                        requested.insert(edge.package);
                    }
                }
            }
        }
        let mut own = Vec::new();
        if groups.project() {
            own.extend(lock.manifest.requirements.iter());
        }
        for (name, requirements) in &lock.manifest.dependency_groups {
            if groups.contains(name) {
                own.extend(requirements);
            }
        }
        for requirement in own {
            if !requirement.marker.evaluate(&self.target.markers, &[]) {
                continue;
            }
            let mut fits = lock.named(&requirement.name).filter(|(_, package)| {
                package.resolution_markers.is_empty()
                    || package
                        .resolution_markers
                        .iter()
                        .any(|marker| marker.evaluate(&self.target.markers, &extras))
            });
            let (Some((index, _)), None) = (fits.next(), fits.next()) else {
                return Err(SelectError::NoPackage {
                    lock: lock.file.clone(),
                    name: requirement.name.clone(),
                });
            };
            let edge = Dependency {
                package: index,
                extras: requirement.extras.clone(),
                marker: requirement.marker.clone(),
            };
            self.enter(&edge, None, "", &mut start);
            requested.insert(index);
        }
        Ok((start, requested))
    }

    /// Notes who asked for a package first, and queues it with the extras that are wanted of it.
    fn enter(&mut self, edge: &Dependency, from: Option<usize>, how: &str, queue: &mut Vec<Node>) {
        if let Some(package) = self.lock.packages.get(edge.package) {
            let extras: Vec<String> = edge.extras.iter().map(ToString::to_string).collect();
            let extras = if extras.is_empty() {
                String::new()
            } else {
                format!("[{}]", extras.join(","))
            };
            let shown = format!("{}{extras}{how}", package.name);
            self.parents.entry(edge.package).or_insert((from, shown));
        }
        queue.push((edge.package, None));
        queue.extend(
            edge.extras
                .iter()
                .map(|extra| (edge.package, Some(extra.clone()))),
        );
    }

    fn edges(&self, node: &Node) -> &[Dependency] {
        let Some(package) = self.lock.packages.get(node.0) else {
            return &[];
        };
        match &node.1 {
            None => &package.dependencies,
            Some(extra) => package.extras.get(extra).map_or(&[], Vec::as_slice),
        }
    }

    /// The first walk: which extras are activated by dependencies on them.
    fn learn_extras(&mut self, start: &[Node]) {
        let mut queue: VecDeque<Node> = start.iter().cloned().collect();
        let mut seen: HashSet<Node> = start.iter().cloned().collect();
        while let Some(node) = queue.pop_front() {
            let edges = self.edges(&node).to_vec();
            for edge in edges {
                let Some(package) = self.lock.packages.get(edge.package) else {
                    continue;
                };
                let own = edge.extras.iter().filter_map(|extra| {
                    let kind = ConflictKind::Extra(extra.clone());
                    ConflictItem {
                        package: package.name.clone(),
                        kind,
                    }
                    .marker_extra()
                });
                let extras: Vec<ExtraName> = self.marker_extras().into_iter().chain(own).collect();
                if !edge.marker.evaluate(&self.target.markers, &extras) {
                    continue;
                }
                for extra in &edge.extras {
                    self.activate(&package.name, ConflictKind::Extra(extra.clone()));
                }
                let nodes = std::iter::once((edge.package, None)).chain(
                    edge.extras
                        .iter()
                        .map(|extra| (edge.package, Some(extra.clone()))),
                );
                for node in nodes {
                    if seen.insert(node.clone()) {
                        queue.push_back(node);
                    }
                }
            }
        }
    }

    fn check_conflicts(&self) -> Result<(), SelectError> {
        for set in &self.lock.conflicts {
            let mut chosen = set.iter().filter(|item| self.active.contains(item));
            if let (Some(one), Some(other)) = (chosen.next(), chosen.next()) {
                return Err(SelectError::Conflict(one.to_string(), other.to_string()));
            }
        }
        Ok(())
    }

    /// The second walk: every package that is reached.
    fn reach(&mut self, start: Vec<Node>) -> BTreeSet<usize> {
        let extras = self.marker_extras();
        let mut seen: HashSet<Node> = start.iter().cloned().collect();
        let mut reached: BTreeSet<usize> = start.iter().map(|node| node.0).collect();
        let mut queue: VecDeque<Node> = start.into();
        while let Some(node) = queue.pop_front() {
            let edges = self.edges(&node).to_vec();
            for edge in edges {
                if !edge.marker.evaluate(&self.target.markers, &extras) {
                    continue;
                }
                let mut next = Vec::new();
                self.enter(&edge, Some(node.0), "", &mut next);
                reached.insert(edge.package);
                queue.extend(next.into_iter().filter(|node| seen.insert(node.clone())));
            }
        }
        reached
    }

    fn path(&self, package: usize) -> Vec<String> {
        let mut path = Vec::new();
        let mut at = Some(package);
        while let Some((from, shown)) = at.and_then(|index| self.parents.get(&index)) {
            path.push(shown.clone());
            // Parents were noted on the first visit, so this ends; a bound costs nothing.
            if path.len() > self.lock.packages.len() {
                break;
            }
            at = *from;
        }
        path.reverse();
        path
    }
}
