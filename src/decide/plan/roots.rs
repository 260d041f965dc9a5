//! Where the walk begins: the project, the members of its workspace, and their dependency groups.

use std::collections::BTreeSet;

use pep508_rs::{ExtraName, PackageName};

use super::selection::{Dev, SelectError, Selection};
use crate::core::nearest::instead;
use crate::decide::lock::pyproject::DefaultGroups;
use crate::decide::lock::uv::{GroupName, Package, UvLock};

/// The packages that the walk begins with, as indices into the lock's.
pub(super) enum Roots {
    /// The project, or the one member in its place.
    Project([usize; 1]),
    /// The members that were named.
    Members(Vec<usize>),
    /// The whole workspace, and its root where that is a project.
    Workspace {
        members: Vec<usize>,
        project: Option<usize>,
    },
}

impl Roots {
    pub(super) fn of(lock: &UvLock, selection: &Selection) -> Result<Self, SelectError> {
        let root = lock.root();
        let named = |name: &PackageName| {
            let mut found = lock.named(name).map(|(index, _)| index);
            match (found.next(), found.next()) {
                (Some(index), None) => Some(index),
                _ => None,
            }
        };
        match (&*selection.packages, root) {
            ([], Some(root)) if !selection.all_packages => return Ok(Self::Project([root])),
            ([], _) => {}
            (names, _) => {
                let members = names
                    .iter()
                    .map(|name| {
                        named(name)
                            .filter(|&index| lock.is_member(index))
                            .ok_or_else(|| SelectError::NoMember {
                                name: name.clone(),
                                hint: instead(name, members(lock)),
                            })
                    })
                    .collect::<Result<Vec<usize>, _>>()?;
                return Ok(match members[..] {
                    [one] => Self::Project([one]),
                    _ => Self::Members(members),
                });
            }
        }
        // `--all-packages`, or a workspace whose root is no project.
        let manifest = &lock.manifest;
        if manifest.members.is_empty() {
            if root.is_none()
                && manifest.requirements.is_empty()
                && manifest.dependency_groups.is_empty()
            {
                return Err(SelectError::NoRoot(lock.file.clone()));
            }
            return Ok(Self::Workspace {
                members: root.into_iter().collect(),
                project: root,
            });
        }
        let members = manifest
            .members
            .iter()
            .map(|name| {
                named(name).ok_or_else(|| SelectError::NoPackageOfMember {
                    lock: lock.file.clone(),
                    name: name.clone(),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::Workspace {
            members,
            project: root,
        })
    }

    pub(super) fn packages(&self) -> &[usize] {
        match self {
            Self::Project(one) => one,
            Self::Members(members) | Self::Workspace { members, .. } => members,
        }
    }

    /// What `--no-install-project` leaves out.
    pub(super) fn project(&self) -> Option<usize> {
        match self {
            Self::Project([one]) => Some(*one),
            Self::Members(_) => None,
            Self::Workspace { project, .. } => *project,
        }
    }
}

fn members(lock: &UvLock) -> impl Iterator<Item = &PackageName> {
    (0..lock.packages.len())
        .filter(|&index| lock.is_member(index))
        .filter_map(|index| Some(&lock.packages.get(index)?.name))
}

/// Which dependency groups are chosen.
pub(super) struct Groups<'a> {
    lock: &'a UvLock,
    selection: &'a Selection,
    defaults: &'a DefaultGroups,
    /// The one project, where it is one.
    project: Option<usize>,
    /// The workspace's root, where its groups count although only a member of it is installed.
    pub(super) root: Option<usize>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        lock: &'a UvLock,
        roots: &Roots,
        selection: &'a Selection,
        defaults: &'a DefaultGroups,
    ) -> Self {
        let project = match roots {
            Roots::Project([one]) => Some(*one),
            _ => None,
        };
        let mut groups = Self {
            lock,
            selection,
            defaults,
            project,
            root: None,
        };
        groups.root = lock.root().filter(|&root| {
            project.is_some_and(|project| project != root)
                && lock
                    .packages
                    .get(root)
                    .is_some_and(|package| declared(package).any(|g| groups.of(Some(root), g)))
        });
        groups
    }

    /// Whether the project's own dependencies are wanted at all: no `--only-…` was said.
    pub(super) fn production(&self) -> bool {
        self.selection.only_groups.is_empty() && self.selection.dev != Some(Dev::Only)
    }

    /// Whether a group of this name is chosen.
    pub(super) fn contains(&self, group: &GroupName) -> bool {
        let is_default = match self.defaults {
            DefaultGroups::All => true,
            DefaultGroups::These(defaults) => defaults.contains(group),
        };
        let defaults_count = self.production() && !self.selection.no_default_groups;
        !self.is_excluded(group) && (self.is_named(group) || defaults_count && is_default)
    }

    fn is_named(&self, group: &GroupName) -> bool {
        let selection = self.selection;
        let is_dev = group.as_ref() == "dev";
        selection.all_groups
            || selection.groups.contains(group)
            || selection.only_groups.contains(group)
            || is_dev && matches!(selection.dev, Some(Dev::Include | Dev::Only))
    }

    fn is_excluded(&self, group: &GroupName) -> bool {
        let is_dev = group.as_ref() == "dev";
        self.selection.no_groups.contains(group)
            || is_dev && self.selection.dev == Some(Dev::Exclude)
    }

    /// Whether a group of a package is chosen; `None` is a workspace's root that is no package.
    ///
    /// Where one project is installed, the groups of its workspace's root count only when they are
    /// asked for by name, and the project has none of that name itself.
    pub(super) fn of(&self, package: Option<usize>, group: &GroupName) -> bool {
        let Some(project) = self.project.filter(|&project| package != Some(project)) else {
            return self.contains(group);
        };
        let own = self.lock.packages.get(project);
        self.is_named(group)
            && !self.is_excluded(group)
            && !own.is_some_and(|package| declared(package).any(|own| own == group))
    }
}

/// The groups that a package has, whether they hold something or not.
fn declared(package: &Package) -> impl Iterator<Item = &GroupName> {
    package
        .groups
        .keys()
        .chain(package.metadata.requires_dev.keys())
}

/// The extras of a root that are chosen.
pub(super) fn chosen_extras<'a>(
    package: &'a Package,
    selection: &'a Selection,
) -> impl Iterator<Item = &'a ExtraName> {
    package
        .extras
        .keys()
        .filter(|extra| is_chosen_extra(extra, selection))
}

pub(super) fn is_chosen_extra(extra: &ExtraName, selection: &Selection) -> bool {
    !selection.no_extras.contains(extra)
        && (selection.all_extras || selection.extras.contains(extra))
}

/// Every extra and group that is asked for by name must be defined somewhere.
pub(super) fn check_names(
    lock: &UvLock,
    roots: &Roots,
    selection: &Selection,
) -> Result<(), SelectError> {
    let packages = || {
        roots
            .packages()
            .iter()
            .filter_map(|&root| lock.packages.get(root))
    };
    let project = || match packages().map(|p| p.name.to_string()).collect::<Vec<_>>() {
        names if names.is_empty() => lock.file.to_string(),
        names => names.join(", "),
    };
    let extras: BTreeSet<&ExtraName> = packages()
        .flat_map(|package| {
            let provided = &package.metadata.provides_extras;
            package.extras.keys().chain(provided)
        })
        .collect();
    // Before revision 1, locks did not say which extras there are.
    let named = selection.extras.iter().chain(&selection.no_extras);
    for name in named.filter(|_| lock.revision >= 1) {
        if !extras.contains(name) {
            return Err(SelectError::NoExtra {
                name: name.clone(),
                project: project(),
                hint: instead(name, &extras),
            });
        }
    }
    let root = lock.root().and_then(|root| lock.packages.get(root));
    let root = root.filter(|_| matches!(roots, Roots::Project(_)));
    let defined: BTreeSet<&GroupName> = packages()
        .chain(root)
        .flat_map(declared)
        .chain(lock.manifest.dependency_groups.keys())
        .collect();
    let named = (selection.groups.iter())
        .chain(&selection.only_groups)
        .chain(&selection.no_groups);
    for name in named {
        if !defined.contains(name) {
            return Err(SelectError::NoGroup {
                name: name.clone(),
                project: project(),
                hint: instead(name, &defined),
            });
        }
    }
    Ok(())
}
