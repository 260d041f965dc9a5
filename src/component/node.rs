//! The inputs of a `node_modules`: planned from a `package-lock.json`, placed in the tree.

use std::collections::BTreeSet;

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::ingredients::Ingredients;
use super::inputs::{digest_of, lock_file};
use super::toolbox;
use crate::core::progress::warn;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::manifest::Node;
use crate::decide::plan::npm::{NpmPlan, NpmSelection, NpmSource, Omit};
use crate::decide::target::Platform;
use crate::decide::target::node::NodeTarget;
use crate::files::archive::Limits;
use crate::files::tree::{LinkMode, Tree, TreePath};
use crate::install::assemble::npm::scripts::names_own;
use crate::install::assemble::npm::{Destination, Request, assemble};
use crate::install::build::Anew;
use crate::install::build::scripts::OwnNode;

const PHASE: &str = "node";

/// A planned `node_modules`.
pub struct PreparedNode {
    pub(super) lock: NpmLock,
    npmrc: Npmrc,
    /// What goes where.
    pub(super) plan: NpmPlan,
    /// What runs its scripts, where any are.
    own_node: Option<OwnNode>,
}

/// A lock, and what of it is chosen for which machine.
pub struct Chosen {
    pub(super) lock: NpmLock,
    pub(super) target: NodeTarget,
    pub(super) wanted: NpmSelection,
    npmrc: Npmrc,
}

/// Reads a lock, and the settings that count.
///
/// # Errors
/// When they cannot be read, or say what cannot be.
pub fn chosen(context: &Context<'_>, node: &Node) -> Result<Chosen, ComponentError> {
    let said = node.lock.as_written();
    let file = lock_file(context, &node.lock)?;
    let lock = NpmLock::load(&file).map_err(context.failed(said, PHASE))?;
    let target = target(context).map_err(context.failed(said, PHASE))?;
    let npmrc = Npmrc::of_project(lock.folder()).map_err(context.failed(said, PHASE))?;
    let user = Npmrc::of_user(None).map_err(context.failed(said, PHASE))?;
    let npmrc = npmrc.guarded_by(&user);
    let nothing = Npmrc::default();
    let omit = Omit::all(
        &kinds(context, node.omit.as_deref().unwrap_or_default())?,
        &kinds(context, &node.include)?,
        // What is said, if only that nothing is left out, is not asked of the settings.
        match node.omit {
            Some(_) => &nothing,
            None => &npmrc,
        },
        false,
    );
    Ok(Chosen {
        lock,
        target,
        wanted: NpmSelection {
            omit,
            ..NpmSelection::default()
        },
        npmrc,
    })
}

/// Plans it, and writes down what shapes it.
///
/// # Errors
/// When the lock cannot be read or planned.
pub fn prepare(
    context: &Context<'_>,
    all: &mut Ingredients,
) -> Result<Option<PreparedNode>, ComponentError> {
    let Some(node) = &context.component.node else {
        return Ok(None);
    };
    let said = node.lock.as_written();
    let Chosen {
        lock,
        target,
        wanted,
        npmrc,
    } = chosen(context, node)?;
    let mut plan =
        NpmPlan::new(&lock, &target, &wanted, &npmrc).map_err(context.failed(said, PHASE))?;
    plan.exclude(&node.exclude).map_err(|name| {
        let what = format!("there is no package `{name}` to be left out, of those that are placed");
        context.refuse(&name, what)
    })?;
    check_scripts(context, node, &plan)?;
    let own_node = match node.allow_scripts.is_empty() {
        true => None,
        false => {
            all.add("scripts", node.allow_scripts.join(", "));
            Some(toolbox::node(context)?)
        }
    };
    all.add("node target", plan.target.clone());
    let mut records = String::new();
    for package in &plan.packages {
        let version = package.version.as_deref().unwrap_or_default();
        let value = match &package.source {
            NpmSource::Tarball(artifact) => {
                let digest = artifact.digest.as_ref().map(ToString::to_string);
                digest.unwrap_or_else(|| artifact.location.to_string())
            }
            other => format!("{other:?}"),
        };
        all.add(package.location.to_string(), format!("{version} {value}"));
        let recorded = serde_json::to_string(&package.recorded).unwrap_or_default();
        records.push_str(&recorded);
    }
    for bin in &plan.bins {
        all.add(format!("program {}", bin.link), bin.file.as_str());
    }
    // As npm's own record in the tree has them.
    all.add("node records", digest_of(&records));
    all.add("collect", node.collect.as_deref().unwrap_or("."));
    Ok(Some(PreparedNode {
        lock,
        npmrc,
        plan,
        own_node,
    }))
}

/// Dependency types by their names.
fn kinds(context: &Context<'_>, names: &[String]) -> Result<Vec<Omit>, ComponentError> {
    let kind = |name: &String| {
        Omit::named(name).ok_or_else(|| {
            let what = format!("`{name}` cannot be left out: there are dev, optional and peer");
            context.refuse(name, what)
        })
    };
    names.iter().map(kind).collect()
}

/// Scripts may be run of packages that are placed, and not of the project's own folders, which are not
/// there.
fn check_scripts(context: &Context<'_>, node: &Node, plan: &NpmPlan) -> Result<(), ComponentError> {
    for name in &node.allow_scripts {
        if names_own(plan, std::slice::from_ref(name)) {
            let what = format!(
                "`{name}` belongs to the project itself: its scripts are for `run`, when its files are there"
            );
            return Err(context.refuse(name, what));
        }
        if !plan.packages.iter().any(|package| package.name == *name) {
            let scripted = plan.packages.iter().filter(|one| one.has_install_script);
            let names: BTreeSet<&str> = scripted.map(|one| one.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            let what = match names.is_empty() {
                true => format!("there is no package `{name}`, nor any with install scripts"),
                false => format!(
                    "there is no package `{name}`; with install scripts there are: {}",
                    names.join(", ")
                ),
            };
            return Err(context.refuse(name, what));
        }
    }
    Ok(())
}

/// The machine it is for: the manifest's, this one where that says nothing.
fn target(context: &Context<'_>) -> Result<NodeTarget, Cause> {
    let wanted = &context.settings.document.manifest.target;
    let mut target = NodeTarget::host();
    if let Some(platform) = &wanted.platform {
        let platform: Platform =
            platform
                .parse()
                .map_err(|error: crate::decide::target::PlatformError| {
                    Cause::Said(error.to_string())
                })?;
        target = target.on(platform);
    }
    if let Some(node) = &wanted.node {
        target.node = Some(node.trim_start_matches('v').to_owned());
    }
    Ok(target)
}

/// Puts it in the tree.
///
/// # Errors
/// When a package cannot be obtained or placed.
pub fn place(
    context: &Context<'_>,
    prepared: &PreparedNode,
    tree: &Tree,
) -> Result<(), ComponentError> {
    let Some(node) = &context.component.node else {
        return Ok(());
    };
    let said = node.lock.as_written();
    let collect = node.collect.as_deref().unwrap_or(".");
    let below = match collect.trim_start_matches("./").trim_end_matches('/') {
        "" | "." => None,
        path => Some(TreePath::new(path).map_err(context.failed(collect, PHASE))?),
    };
    // Who is asking says nothing of what is obtained.
    let user = Npmrc::of_user(None).map_err(context.failed(said, PHASE))?;
    let fetch = context.settings.fetch.clone().with_npmrc(&user);
    let fetch = fetch.map_err(context.failed(said, PHASE))?;
    let done = assemble(&Request {
        plan: &prepared.plan,
        lock: &prepared.lock,
        store: context.settings.store,
        fetch: &fetch,
        limits: Limits::default(),
        to: Destination::Tree(tree, below.as_ref()),
        clear: false,
        precious: &context.settings.precious,
        hidden_lockfile: true,
        link: LinkMode::Copy,
        anew: &Anew::Nothing,
        scripts: &node.allow_scripts,
        node: prepared.own_node.as_ref(),
        npmrc: &prepared.npmrc,
    });
    let done = done.map_err(context.failed(said, PHASE))?;
    for package in &done.unprepared {
        warn(&format!(
            "{}: the `prepare` script of {package} was not run",
            context.name
        ));
    }
    Ok(())
}
