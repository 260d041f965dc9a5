//! The components of a manifest as steps of a [graph](super::nix_graph): each says which parts of the
//! project and of its sources it reads, and carries as much of the manifest as it is made by.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use toml::{Table, Value};

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::ingredients::Ingredients;
use super::inputs::parts;
use super::nix_graph::{Drawing, Failure, File, Folder, GraphError, Step};
use super::places::uses_python;
use super::{Settings, bill, go, node, python, schedule, sources, workspace};
use crate::core::digest::{Algorithm, Digest};
use crate::core::paths::normal;
use crate::decide::manifest::{Document, Go, Origin, Parsed, Patch};
use crate::decide::plan::Install;
use crate::decide::plan::npm::NpmSource;
use crate::install::build::BuildOptions;
use crate::install::build::order::{Order, Ordering, orders};
use crate::obtain::source::{Revision, git};

/// What uv's, npm's and Go's settings stand in, beside a lock.
const BESIDE_UV: [&str; 2] = ["pyproject.toml", "uv.toml"];
const BESIDE_NPM: [&str; 2] = ["package.json", ".npmrc"];
/// What a member of a workspace says of itself.
const OF_MEMBER: [&str; 3] = ["pyproject.toml", "setup.cfg", "setup.py"];

/// Draws every component that was asked for, and what it needs.
///
/// # Errors
/// When a source cannot be obtained, a lock not be planned, or something cannot be said to Nix.
pub fn draw(
    settings: &Settings<'_>,
    system: &str,
    drawing: &mut Drawing<'_>,
) -> Result<(), Failure> {
    let mut failed: Option<Failure> = None;
    schedule::each(settings, &mut |context| {
        if failed.is_none() {
            failed = component(context, system, drawing).err();
        }
        Ok(())
    })?;
    failed.map_or(Ok(()), Err)
}

/// What a component reads of the project's folder and of each source that is a folder, by its name.
struct Reads<'a> {
    context: &'a Context<'a>,
    /// The manifest's folder stands under the empty name.
    parts: BTreeMap<String, BTreeSet<Utf8PathBuf>>,
}

impl Reads<'_> {
    /// A part of a source that is a folder.
    fn source(&mut self, path: &Utf8Path) -> Result<(), ComponentError> {
        for name in &self.context.needs().sources {
            let folder = self.context.sources.folder(name)?;
            if let Ok(rest) = path.strip_prefix(&folder) {
                let parts = self.parts.entry(name.clone()).or_default();
                parts.insert(rest.to_owned());
            }
        }
        Ok(())
    }

    /// A part of the manifest's folder.
    fn own(&mut self, path: &Utf8Path) {
        let folder = self.context.settings.document.folder();
        if let Ok(rest) = path.strip_prefix(folder) {
            let parts = self.parts.entry(String::new()).or_default();
            parts.insert(rest.to_owned());
        }
    }

    /// Something that is read where a lock says, wherever that is.
    fn add(&mut self, path: &Utf8Path) -> Result<(), ComponentError> {
        let path = normal(path);
        self.own(&path);
        self.source(&path)
    }

    /// A lock, and files beside it.
    fn lock(&mut self, file: &Utf8Path, beside: &[&str]) -> Result<(), ComponentError> {
        self.add(file)?;
        let mut names = beside.iter();
        names.try_for_each(|name| self.add(&file.with_file_name(name)))
    }
}

/// Refuses sources that Nix would not take, before any is fetched.
fn pinned(context: &Context<'_>) -> Result<(), ComponentError> {
    for name in context.needs().sources {
        let Some(source) = context.settings.document.manifest.sources.get(&name) else {
            continue;
        };
        let what = match &source.origin {
            _ if source.hash.is_some() => continue,
            Origin::Git { .. } => {
                "it has no `hash`, and Nix takes nothing without one: build once with `lockwright build`, \
                 which says what it is"
            }
            Origin::Artifact(download) if sources::artifact(&name, download).digest.is_none() => {
                "it has neither `digest` nor `hash`, and Nix takes nothing without one: build once with \
                 `lockwright build`, which says what they are"
            }
            _ => continue,
        };
        return Err(context.refuse(&format!("[sources.{name}]"), what));
    }
    Ok(())
}

fn component(
    context: &Context<'_>,
    system: &str,
    drawing: &mut Drawing<'_>,
) -> Result<(), Failure> {
    pinned(context)?;
    let settings = context.settings;
    let document = settings.document;
    let mut step = Step {
        name: context.name.to_owned(),
        command: vec!["build".into(), context.name.to_owned()],
        prefix: true,
        python: uses_python(context)?,
        components: context.needs().components,
        ..Step::default()
    };
    let mut reads = Reads {
        context,
        parts: BTreeMap::new(),
    };
    for part in parts(context, texts(context).into_iter())? {
        reads.source(&part.from)?;
    }
    for text in beside(context).into_iter().filter(|text| is_plain(text)) {
        reads.own(&normal(&document.folder().join(text.as_written())));
    }

    let mut unused = Ingredients::default();
    if let Some(prepared) = python::prepare(context, &mut unused)? {
        step.python = true;
        let said = context.component.python.as_ref();
        let said = said.map_or("", |python| python.lock.as_written());
        let chosen = context.python()?;
        let mut ordered = orders(&Ordering {
            plan: &prepared.plan,
            target: chosen
                .interpreter
                .as_ref()
                .map_or(&chosen.target, |found| &found.target),
            settings: &prepared.settings,
            no_binary: &prepared.selection.no_binary_packages,
            options: &prepared.building,
        })
        .map_err(|error| context.failed(said, "python")(Cause::from(error)))?;
        check_folders(context, &mut ordered)?;
        let changed = changed(context, &prepared.building);
        for package in &prepared.plan.packages {
            if let Install::Directory { path, .. } = &package.install {
                reads.add(path)?;
            }
        }
        if let Some(lock) = prepared
            .building
            .lock
            .as_ref()
            .filter(|_| !ordered.is_empty())
        {
            reads.lock(lock, &BESIDE_UV)?;
        }
        drawing.environment(
            system,
            &mut step,
            &prepared.plan.packages,
            &ordered,
            &changed,
        )?;
    }
    if let Some(lock) = python::lock_of(context)? {
        reads.lock(&lock, &BESIDE_UV)?;
    }
    if let Some(prepared) = node::prepare(context, &mut unused)? {
        let lock = &prepared.lock;
        reads.lock(&lock.file, &BESIDE_NPM)?;
        for place in lock
            .entries
            .keys()
            .filter(|place| !place.contains("node_modules/"))
        {
            reads.add(&lock.folder().join(place).join("package.json"))?;
        }
        npm(
            drawing,
            &mut step,
            prepared
                .plan
                .packages
                .iter()
                .map(|one| (&*one.name, &one.source)),
        )?;
    }
    if let (Some(prepared), Some(go)) = (go::prepare(context, &mut unused)?, &context.component.go)
    {
        let said = go.lock.as_written();
        let mut files = prepared.files().iter();
        files.try_for_each(|file| reads.add(file))?;
        // Their digests are known once they are here.
        let (_, modules) = prepared
            .obtain(settings.store, settings.fetch)
            .map_err(context.failed(said, "go"))?;
        for one in modules {
            drawing.artifact(&mut step, &one.module.to_string(), &one.artifact)?;
        }
    }
    for lock in bill::locks(context)? {
        let beside: &[&str] = match lock.kind {
            bill::Kind::Python => &BESIDE_UV,
            bill::Kind::Npm => &BESIDE_NPM,
            bill::Kind::Go => &[],
        };
        reads.lock(&lock.file, beside)?;
        step.python |= lock.kind == bill::Kind::Python;
    }
    for member in workspace::prepare(context, &mut unused)? {
        for name in OF_MEMBER {
            reads.add(&member.folder.join(name))?;
        }
        for piece in &member.pieces {
            reads.add(&member.folder.join(&piece.from))?;
        }
    }
    inputs(context, &mut reads, drawing, &mut step)?;
    drawing.output(system, context.name, step);
    Ok(())
}

/// The tarballs and commits of a `node_modules`.
///
/// # Errors
/// As [`Drawing::artifact`] and [`Drawing::commit`].
pub fn npm<'p>(
    drawing: &mut Drawing<'_>,
    step: &mut Step,
    packages: impl Iterator<Item = (&'p str, &'p NpmSource)>,
) -> Result<(), Failure> {
    for (name, source) in packages {
        match source {
            NpmSource::Tarball(artifact) => drawing.artifact(step, name, artifact)?,
            NpmSource::Git(commit) => {
                let revision = Revision {
                    url: commit.url.clone(),
                    rev: commit.commit.clone(),
                    submodules: true,
                };
                drawing.commit(step, &revision)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every text that says what it is made of: its own, its tools', and its builds'.
fn texts<'a>(context: &'a Context<'_>) -> Vec<&'a Parsed> {
    let mut all = context.component.templates();
    for (_, tool) in context.named_tools() {
        all.extend(tool.templates());
    }
    let manifest = &context.settings.document.manifest;
    for build in manifest.builds_of(context.component) {
        all.extend(build.templates());
    }
    all
}

/// What a component reads that may be beside the manifest.
fn beside<'a>(context: &'a Context<'_>) -> Vec<&'a Parsed> {
    fn diffs(patches: &[Patch]) -> impl Iterator<Item = &Parsed> {
        patches.iter().filter_map(|patch| match patch {
            Patch::Diff(patch) => Some(&*patch.diff),
            _ => None,
        })
    }
    let component = context.component;
    let mut all: Vec<&Parsed> = Vec::new();
    all.extend(component.python.iter().map(|python| &*python.lock));
    all.extend(component.node.iter().map(|node| &*node.lock));
    all.extend(component.go.iter().flat_map(Go::templates));
    all.extend(component.copy.iter().map(|copy| &*copy.from));
    all.extend(diffs(&component.patch));
    let inputs = component.run.iter().flat_map(|run| &run.inputs);
    all.extend(inputs.map(|input| &**input));
    let manifest = &context.settings.document.manifest;
    for build in manifest.builds_of(component) {
        for package in build.packages.values() {
            all.extend(diffs(&package.patch));
            all.extend(package.inputs.iter().map(|input| &**input));
        }
    }
    all.extend(
        context
            .named_tools()
            .into_iter()
            .flat_map(|(_, tool)| tool.templates()),
    );
    all
}

/// The packages whose builds are given more than a lock says: they are built with the component.
fn changed(context: &Context<'_>, options: &BuildOptions) -> BTreeSet<PackageName> {
    let mut all: BTreeSet<PackageName> = options.changes.keys().cloned().collect();
    let manifest = &context.settings.document.manifest;
    for build in manifest.builds_of(context.component) {
        for (name, package) in &build.packages {
            let mut holes = package.env.values().flat_map(|value| value.placeholders());
            if holes.next().is_some() {
                all.extend(name.parse());
            }
        }
    }
    all
}

/// Whether a text names something beside the manifest.
fn is_plain(text: &Parsed) -> bool {
    let said = text.as_written();
    text.placeholders().next().is_none() && !said.starts_with('/') && !said.is_empty()
}

/// A wheel's folder must be one of this machine.
fn check_folders(context: &Context<'_>, orders: &mut [Order]) -> Result<(), GraphError> {
    let kept = context.settings.store.root().join("sources");
    for order in orders {
        let package = order.package.label();
        order.folders(|folder| match folder.starts_with(&kept) {
            false => Ok(folder.to_owned()),
            true => Err(GraphError::Fetched {
                package: package.clone(),
                folder: folder.to_owned(),
            }),
        })?;
    }
    Ok(())
}

/// The folders that a step is given, what it fetches of its sources, and its manifest.
fn inputs(
    context: &Context<'_>,
    reads: &mut Reads<'_>,
    drawing: &mut Drawing<'_>,
    step: &mut Step,
) -> Result<(), Failure> {
    let settings = context.settings;
    let document = settings.document;
    let mut commits = BTreeMap::new();
    let only = |parts: Option<BTreeSet<Utf8PathBuf>>| {
        let parts = parts.unwrap_or_default();
        let is_all = parts.iter().any(|part| part.as_str().is_empty());
        (!is_all).then_some(parts)
    };
    for name in context.needs().sources {
        let Some(source) = document.manifest.sources.get(&name) else {
            continue;
        };
        let is_given = settings.sources.contains_key(&name);
        match &source.origin {
            Origin::Path { .. } => {
                let folder = Folder {
                    path: context.sources.folder(&name)?,
                    only: only(reads.parts.remove(&name)),
                    package: false,
                };
                step.sources.insert(name, folder);
            }
            _ if is_given => {
                let what = format!(
                    "--source {name} puts a folder of this machine in its place: an export names \
                     what is fetched, so leave that out"
                );
                return Err(context.refuse(&format!("[sources.{name}]"), what).into());
            }
            Origin::Git {
                git: url,
                rev,
                submodules,
            } => {
                let wanted = Revision {
                    url: url.clone(),
                    rev: rev.clone(),
                    submodules: *submodules,
                };
                let tree = git::fetch(settings.store, &wanted, settings.fetch)
                    .map_err(Cause::from)
                    .map_err(ComponentError::from)?;
                commits.insert(name, tree.commit.clone());
                let wanted = Revision {
                    rev: tree.commit,
                    ..wanted
                };
                drawing.commit(step, &wanted)?;
            }
            Origin::Artifact(download) => {
                let mut artifact = sources::artifact(&name, download);
                if artifact.digest.is_none() {
                    let blob = context.sources.download(&name, download);
                    let bytes = blob.map_err(ComponentError::from)?.verified()?;
                    artifact.digest = Some(Digest::of(Algorithm::Sha256, &bytes));
                }
                drawing.artifact(step, &name, &artifact)?;
            }
        }
    }
    step.folder = Some(Folder {
        path: document.folder().to_owned(),
        only: only(reads.parts.remove("")),
        package: false,
    });
    step.file = Some(File {
        flag: Some("--file"),
        name: "lockwright.toml",
        text: toml::to_string(&reduced(document, context.name, &commits)?)?,
    });
    Ok(())
}

/// As much of a manifest as one component is made by: itself, what it needs, and their sources and tools.
fn reduced(
    document: &Document,
    name: &str,
    commits: &BTreeMap<String, String>,
) -> Result<Table, toml::de::Error> {
    let manifest = &document.manifest;
    let needed: BTreeSet<&str> = match manifest.order_of([name]) {
        Ok(needed) => needed.into_iter().collect(),
        // Its order was found before.
        Err(_) => BTreeSet::from([name]),
    };
    let components = needed
        .iter()
        .filter_map(|name| manifest.component.get(*name));
    let (mut sources, mut tools) = (BTreeSet::new(), BTreeSet::new());
    for component in components {
        sources.extend(manifest.needs(component).sources);
        tools.extend(
            manifest
                .tools_of(component)
                .into_iter()
                .map(|(name, _)| name),
        );
    }
    let mut all: Table = document.text().parse()?;
    let mut table = |key: &str, keep: &dyn Fn(&str) -> bool| {
        if let Some(table) = all.get_mut(key).and_then(Value::as_table_mut) {
            table.retain(|name, _| keep(name));
        }
    };
    table("component", &|name| needed.contains(name));
    table("sources", &|name| sources.contains(name));
    table("tools", &|name| tools.contains(name));
    // Who has the artifacts asks nobody.
    table("mirrors", &|_| false);
    if let Some(table) = all.get_mut("sources").and_then(Value::as_table_mut) {
        for (name, commit) in commits {
            // A tag can only be asked of a server.
            if let Some(source) = table.get_mut(name).and_then(Value::as_table_mut) {
                source.insert("rev".into(), Value::String(commit.clone()));
            }
        }
    }
    if let Some(platform) = &manifest.target.platform {
        let target = all
            .entry("target")
            .or_insert_with(|| Value::Table(Table::new()));
        if let Some(target) = target.as_table_mut() {
            target.insert("platform".into(), Value::String(platform.clone()));
        }
    }
    Ok(all)
}
