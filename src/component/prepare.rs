//! Preparing a component: locks are read and planned, and all that will shape it is written down.
//! Nothing is made yet.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::context::Context;
use super::error::ComponentError;
use super::ingredients::Ingredients;
use super::node::PreparedNode;
use super::python::PreparedPython;
use super::workspace::Member;
use super::{below, node, python, workspace};
use crate::core::digest::{Algorithm, Digest};
use crate::decide::manifest::{Component, Parsed, Patch, Placeholder, Seal};

/// Raised when what is made of the same ingredients comes out otherwise.
const FORM: u32 = 1;

/// A component that can be made.
pub struct Prepared {
    /// Its Python environment.
    pub python: Option<PreparedPython>,
    /// Its `node_modules`.
    pub node: Option<PreparedNode>,
    /// Its workspace members.
    pub workspace: Vec<Member>,
    /// All that shapes it.
    pub ingredients: Ingredients,
}

/// Prepares a component. `prefix` is where it will live, unless that follows from its key.
///
/// # Errors
/// When a source or lock cannot be had, or is not what the component needs.
pub fn prepare(
    context: &Context<'_>,
    prefix: Option<&Utf8Path>,
) -> Result<Prepared, ComponentError> {
    let component = context.component;
    let mut all = Ingredients::default();
    let version = env!("CARGO_PKG_VERSION");
    all.add("lockwright", format!("{version}, form {FORM}"));
    if let Some(prefix) = prefix.filter(|_| uses_prefix(component)) {
        all.add("prefix", prefix.as_str());
    }
    let python = python::prepare(context, &mut all)?;
    let node = node::prepare(context, &mut all)?;
    let workspace = workspace::prepare(context, &mut all)?;
    if python.is_some() || component.base.is_some() || uses_python(component) {
        let chosen = context.python()?;
        all.add("target", chosen.target.to_string());
        all.add("interpreter", chosen.path().as_str());
    }
    for name in &component.needs().components {
        let made = context.made(name, &format!("{{component:{name}}}"))?;
        all.add(format!("component {name}"), &made.hash);
    }
    for name in &living_components(component) {
        let made = context.made(name, &format!("{{component:{name}}}"))?;
        all.add(format!("place of component {name}"), made.prefix.as_str());
    }
    for copy in &component.copy {
        let name = format!("copy {}", copy.from.as_written());
        all.add(name, with_digests(context, copy, &[&copy.from])?);
    }
    for (path, target) in &component.link {
        all.add(format!("link {path}"), target.as_written());
    }
    for (index, patch) in component.patch.iter().enumerate() {
        let (what, read): (&str, Vec<&Parsed>) = match patch {
            Patch::Substitute(patch) => (patch.file.as_written(), Vec::new()),
            Patch::Migration(patch) => (patch.migration.as_written(), Vec::new()),
            Patch::Diff(patch) => (patch.diff.as_written(), vec![&patch.diff]),
        };
        let name = format!("patch {} of {what}", index + 1);
        all.add(name, with_digests(context, patch, &read)?);
    }
    for run in &component.run {
        let words: Vec<&str> = run.command.iter().map(|word| word.as_written()).collect();
        let read: Vec<&Parsed> = run
            .command
            .iter()
            .chain(&run.inputs)
            .chain(run.env.values())
            .map(|template| &**template)
            .collect();
        let name = format!("run {}", words.join(" "));
        all.add(name, with_digests(context, run, &read)?);
    }
    if !component.keep.is_empty() {
        all.add("keep", component.keep.join(", "));
    }
    for (name, wrap) in &component.wrap {
        all.add(format!("wrap {name}"), json(wrap));
    }
    if let Some(elf) = &component.elf {
        all.add("elf", json(elf));
    }
    all.add("seal", json(&component.seal));
    all.add("smoke", json(&component.smoke));
    Ok(Prepared {
        python,
        node,
        workspace,
        ingredients: all,
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What a phase says, and the digests of what it reads of sources and beside the manifest.
fn with_digests(
    context: &Context<'_>,
    phase: &impl Serialize,
    read: &[&Parsed],
) -> Result<String, ComponentError> {
    let mut text = json(phase);
    for template in read {
        if let Some(digest) = digest(context, template)? {
            text.push_str(&format!(" {digest}"));
        }
    }
    Ok(text)
}

/// The digest of what a text refers to, where it is something of ours: a part of a source, or a
/// file beside the manifest. Components count by their own hash.
fn digest(context: &Context<'_>, template: &Parsed) -> Result<Option<String>, ComponentError> {
    let said = template.as_written();
    let mut holes = template.placeholders();
    let path = match (holes.next(), holes.next()) {
        (Some(Placeholder::Source(_)), None) if said.starts_with('{') => {
            context.reading(template, None)?
        }
        (None, None) => context.settings.document.folder().join(said),
        _ => return Ok(None),
    };
    let is_beside = below(&path, context.settings.document.folder()).is_some();
    let exists = path.symlink_metadata().is_ok();
    if !exists || (template.placeholders().next().is_none() && !is_beside) {
        return Ok(None);
    }
    let hash = context.sources.digest(&path);
    hash.map(Some).map_err(context.failed(said, "inputs"))
}

/// The digest of a file or folder outside of everything that is known by one.
pub(super) fn digest_of(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
}

/// Whether the place it will live at shows in a component's bytes.
fn uses_prefix(component: &Component) -> bool {
    let is_environment = component.python.is_some() || component.base.is_some();
    let says_so = component.templates().into_iter().any(|template| {
        template.placeholders().any(|hole| {
            matches!(
                hole,
                Placeholder::Out | Placeholder::Prefix | Placeholder::Site
            )
        })
    });
    let sealed = component.seal == Seal::FixedOutput;
    (is_environment && !sealed)
        || (says_so && !(sealed && component.patch.is_empty() && component.wrap.is_empty()))
        || !component.run.is_empty()
}

fn uses_python(component: &Component) -> bool {
    !component.smoke.imports.is_empty()
        || component.templates().into_iter().any(|template| {
            template
                .placeholders()
                .any(|hole| matches!(hole, Placeholder::Python | Placeholder::Site))
        })
}

/// The components whose places show in this one's bytes.
fn living_components(component: &Component) -> BTreeSet<String> {
    let mut living: Vec<&Parsed> = component.link.values().map(|t| &**t).collect();
    for patch in &component.patch {
        if let Patch::Substitute(patch) = patch {
            living.extend([&*patch.replace, &*patch.with]);
        }
    }
    for wrap in component.wrap.values() {
        living.extend(wrap.exec.iter().chain(&wrap.path).map(|t| &**t));
        living.extend(
            wrap.env
                .values()
                .chain(&wrap.cwd)
                .chain(&wrap.shell)
                .map(|t| &**t),
        );
    }
    for run in &component.run {
        living.extend(run.command.iter().chain(run.env.values()).map(|t| &**t));
    }
    if let Some(elf) = &component.elf {
        living.extend(elf.search.iter().chain(&elf.interpreter).map(|t| &**t));
        living.extend(elf.add_rpath.values().flatten().map(|t| &**t));
    }
    let holes = living.into_iter().flat_map(Parsed::placeholders);
    holes
        .filter_map(|hole| match hole {
            Placeholder::Component(name) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

/// Where a lock is, as a phase names it.
pub(super) fn lock_file(
    context: &Context<'_>,
    template: &Parsed,
) -> Result<Utf8PathBuf, ComponentError> {
    let said = template.as_written();
    let file = context.reading(template, None)?;
    if file.is_file() {
        return Ok(file);
    }
    Err(context.refuse(said, format!("there is no lock {file}")))
}
