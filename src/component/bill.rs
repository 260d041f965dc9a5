//! The bill of materials of an image: what the locks of its components name, directly or through other
//! components.
//!
//! It depends only on locks and trees, so the same input gives the same bill.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use serde_json::Value;

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::inputs::lock_file;
use super::{node, python};
use crate::core::foreign::Folder;
use crate::decide::lock::go::GoLock;
use crate::decide::manifest::{Component, Image, PathTemplate, Placeholder};
use crate::inspect::diff;
use crate::inspect::sbom::{Bill, Graph, Key, cyclonedx};
use crate::install::python::{about, metadata};
use crate::transform::oci::Name;

const PHASE: &str = "image";

/// No METADATA is larger, in bytes.
const LARGEST: u64 = 4 << 20;

/// A lock that a component in an image is made of.
pub struct OfLock {
    /// Its file.
    pub file: Utf8PathBuf,
    /// Whose it is.
    pub kind: Kind,
}

/// Whose a lock is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // they speak for themselves
pub enum Kind {
    Python,
    Npm,
    Go,
}

/// The bill of an image, as CycloneDX has it; none where nothing in it comes from a lock, or none is wanted.
///
/// # Errors
/// When a lock cannot be read or planned.
pub fn of_image(
    context: &Context<'_>,
    image: &Image,
    name: &Name,
) -> Result<Option<Vec<u8>>, ComponentError> {
    let mut bills: Vec<Value> = Vec::new();
    let licenses = licenses(context, image);
    for own in made_of(context, image) {
        bills.extend(of_python(&own, &licenses)?);
        bills.extend(of_node(&own)?);
        bills.extend(of_go(&own)?);
    }
    if bills.is_empty() {
        return Ok(None);
    }
    let bill = cyclonedx::merged(name.repository(), &name.tag, &bills);
    let text = serde_json::to_string_pretty(&bill);
    let text = text.map_err(|error| context.failed("image", PHASE)(Cause::Said(error.to_string())));
    Ok(Some(format!("{}\n", text?).into_bytes()))
}

/// The locks that a bill is made of.
///
/// # Errors
/// When one cannot be obtained.
pub fn locks(context: &Context<'_>) -> Result<Vec<OfLock>, ComponentError> {
    let Some(image) = &context.component.image else {
        return Ok(Vec::new());
    };
    let mut all = Vec::new();
    for own in made_of(context, image) {
        for (template, kind) in templates(own.component) {
            if is_readable(template) {
                let file = lock_file(&own, template)?;
                let files = match kind {
                    Kind::Go => {
                        GoLock::load(&file)
                            .map_err(own.failed(template.as_written(), PHASE))?
                            .files
                    }
                    Kind::Python | Kind::Npm => vec![file],
                };
                all.extend(files.into_iter().map(|file| OfLock { file, kind }));
            }
        }
    }
    Ok(all)
}

/// The locks of a component.
fn templates(component: &Component) -> impl Iterator<Item = (&PathTemplate, Kind)> {
    let python = component.python.iter().map(|one| (&one.lock, Kind::Python));
    let node = component.node.iter().map(|one| (&one.lock, Kind::Npm));
    let go = component.go.iter().map(|one| (&one.lock, Kind::Go));
    python.chain(node).chain(go)
}

/// A lock in another component's tree may be gone with that; nothing is said of it.
fn is_readable(template: &PathTemplate) -> bool {
    let mut holes = template.placeholders();
    holes.all(|hole| matches!(hole, Placeholder::Source(_)))
}

/// The components that an image is made of, each as its own context.
fn made_of<'c>(context: &Context<'c>, image: &Image) -> Vec<Context<'c>> {
    let manifest = &context.settings.document.manifest;
    let names = manifest.taken_by(image).into_iter();
    let known = names.filter_map(|name| manifest.component.get_key_value(name));
    let own = known.map(|(name, component)| Context {
        settings: context.settings,
        sources: context.sources,
        pythons: context.pythons,
        containment: context.containment,
        tools: context.tools,
        name,
        component,
        made: context.made.clone(),
    });
    own.collect()
}

fn of_python(
    context: &Context<'_>,
    licenses: &BTreeMap<Key, String>,
) -> Result<Option<Value>, ComponentError> {
    let own = context.component.python.as_ref();
    let Some(own) = own.filter(|one| is_readable(&one.lock)) else {
        return Ok(None);
    };
    let planned = python::planned(context, own)?;
    let facts = diff::python::of_plan(&planned.lock, &planned.plan, "");
    let graph = Graph::python(&planned.lock, Some(&context.python()?.target.markers));
    let bill = Bill::new(&facts, &graph, licenses, None);
    Ok(Some(cyclonedx::render(&bill)))
}

fn of_node(context: &Context<'_>) -> Result<Option<Value>, ComponentError> {
    let own = context.component.node.as_ref();
    let Some(own) = own.filter(|one| is_readable(&one.lock)) else {
        return Ok(None);
    };
    let said = own.lock.as_written();
    let chosen = node::chosen(context, own)?;
    let facts = diff::npm::of_target(&chosen.lock, &chosen.target, &chosen.wanted.omit, "");
    let mut facts = facts.map_err(context.failed(said, PHASE))?;
    facts.packages.retain(|name, _| !own.exclude.contains(name));
    let graph = Graph::npm(&chosen.lock);
    let bill = Bill::new(&facts, &graph, &BTreeMap::new(), None);
    Ok(Some(cyclonedx::render(&bill)))
}

fn of_go(context: &Context<'_>) -> Result<Option<Value>, ComponentError> {
    let own = context.component.go.as_ref();
    let Some(own) = own.filter(|one| is_readable(&one.lock)) else {
        return Ok(None);
    };
    let file = lock_file(context, &own.lock)?;
    let lock = GoLock::load(&file).map_err(context.failed(own.lock.as_written(), PHASE))?;
    Ok(Some(cyclonedx::of_modules(&lock)))
}

/// The licences that the environments in an image state, by package and version.
fn licenses(context: &Context<'_>, image: &Image) -> BTreeMap<Key, String> {
    let named = image.tree.values().filter_map(|tree| tree.component());
    let trees: BTreeSet<&Utf8Path> = named
        .filter_map(|name| Some(&*context.made.get(name)?.path))
        .collect();
    let mut all = BTreeMap::new();
    for tree in trees {
        // What cannot be read states nothing.
        let _ = of_tree(tree, &mut all);
    }
    all
}

fn of_tree(tree: &Utf8Path, all: &mut BTreeMap<Key, String>) -> std::io::Result<()> {
    let lib = Folder::open(tree)?.folder("lib")?;
    for version in names(&lib, |name| name.starts_with("python"))? {
        let site = lib.folder(&format!("{version}/site-packages"))?;
        for info in names(&site, |name| name.ends_with(".dist-info"))? {
            let text = site.read(&format!("{info}/METADATA"), LARGEST);
            let text = text.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let Some(text) = text else { continue };
            let said = |field| metadata::field(&text, field);
            if let (Some(name), Some(version)) = (said("Name"), said("Version"))
                && let Ok(name) = name.parse::<PackageName>()
                && let Some(license) = about::license(&text)
            {
                all.insert((name.to_string(), version.to_owned()), license);
            }
        }
    }
    Ok(())
}

fn names(folder: &Folder, is_wanted: impl Fn(&str) -> bool) -> std::io::Result<Vec<String>> {
    let entries = folder.entries()?.into_iter();
    let names = entries.filter_map(|entry| entry.name.into_string().ok());
    let mut names: Vec<String> = names.filter(|name| is_wanted(name)).collect();
    names.sort();
    Ok(names)
}
