//! Preparing a component: locks are read and planned, and all that will shape it is written down.
//! Nothing is made yet.

use camino::Utf8Path;

use super::context::Context;
use super::error::ComponentError;
use super::go::PreparedGo;
use super::image::PreparedImage;
use super::ingredients::Ingredients;
use super::inputs::{json, parts, program_digest, with_digests};
use super::node::PreparedNode;
use super::python::PreparedPython;
use super::workspace::WorkspaceMember;
use super::{go, image, node, places, python, toolbox, tools, workspace};
use crate::decide::manifest::{Parsed, Patch, PathTemplate, Seal};

/// Raised when what is made of the same ingredients comes out otherwise.
const FORM: u32 = 2;

/// A component that can be made.
pub struct Prepared {
    /// Its Python environment.
    pub python: Option<PreparedPython>,
    /// Its `node_modules`.
    pub node: Option<PreparedNode>,
    /// Its Go modules.
    pub go: Option<PreparedGo>,
    /// The image that it is.
    pub image: Option<PreparedImage>,
    /// Its workspace members.
    pub workspace: Vec<WorkspaceMember>,
    /// All that shapes it.
    pub ingredients: Ingredients,
}

/// Prepares a component. `prefix` is where it will live, or, where that follows from its key, the
/// folder that it will be in.
///
/// # Errors
/// When a source or lock cannot be obtained, or is not what the component needs.
pub fn prepare(context: &Context<'_>, prefix: &Utf8Path) -> Result<Prepared, ComponentError> {
    let component = context.component;
    let mut all = Ingredients::default();
    let version = env!("CARGO_PKG_VERSION");
    all.add("lockwright", format!("{version}, form {FORM}"));
    if places::shows_its_own(context)? {
        all.add("prefix", prefix.as_str());
    }
    let python = python::prepare(context, &mut all)?;
    let node = node::prepare(context, &mut all)?;
    let go = go::prepare(context, &mut all)?;
    let workspace = workspace::prepare(context, &mut all)?;
    let image = image::prepare(context, &mut all)?;
    if places::uses_python(context)? {
        let chosen = context.python()?;
        all.add("target", chosen.target.to_string());
        let path = chosen.path();
        let is_run = !component.run.is_empty() && chosen.interpreter.is_some();
        all.add(
            "interpreter",
            match is_run {
                true => format!("{path} {}", program_digest(context, &path)?),
                false => path.into_string(),
            },
        );
    }
    for name in &context.needs().components {
        let made = context.made(name, &format!("{{component:{name}}}"))?;
        all.add(format!("component {name}"), &made.hash);
    }
    for name in &places::shown_in(context) {
        let made = context.made(name, &format!("{{component:{name}}}"))?;
        all.add(format!("place of component {name}"), made.prefix.as_str());
    }
    if let Some(base) = component
        .base
        .as_ref()
        .filter(|base| !base.exclude.is_empty())
    {
        all.add("left out of base", base.exclude.join(", "));
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
    toolbox::prepare(context, &mut all)?;
    add_runs(context, &mut all)?;
    if !component.keep.is_empty() {
        all.add("keep", json(&component.keep));
    }
    for (name, wrap) in &component.wrap {
        all.add(format!("wrap {name}"), json(wrap));
    }
    if let Some(shebangs) = &component.shebangs {
        all.add("shebangs", json(shebangs));
    }
    if let Some(elf) = &component.elf {
        all.add("elf", json(elf));
    }
    let is_elsewhere = |folder: &PathTemplate| folder.as_written().starts_with('/');
    let searched = component.elf.iter().flat_map(|elf| &elf.search);
    let interpreters = component.shebangs.iter().flat_map(|one| &one.search);
    let mut searched = searched.chain(interpreters);
    if component.has_commands() || searched.any(is_elsewhere) {
        let digest = |path: &Utf8Path| context.sources.digest(path).ok();
        all.add("system", context.tools.system(digest));
    }
    all.add(
        "seal",
        match component.seal {
            Seal::FixedOutput => format!("{} {}", json(&component.seal), nix_store()),
            _ => json(&component.seal),
        },
    );
    all.add("smoke", json(&component.smoke));
    Ok(Prepared {
        python,
        node,
        go,
        image,
        workspace,
        ingredients: all,
    })
}

/// What commands say, and what they are run with and may read.
fn add_runs(context: &Context<'_>, all: &mut Ingredients) -> Result<(), ComponentError> {
    let runs = &context.component.run;
    let is_contained = runs.is_empty() || context.containment.is_contained()?;
    if !is_contained {
        all.add("commands", "not contained");
    }
    for run in runs {
        let words: Vec<&str> = run.command.iter().map(|word| word.as_written()).collect();
        let mut text = json(run);
        let told = run
            .command
            .iter()
            .chain(&run.inputs)
            .chain(run.env.values());
        for part in parts(context, told.map(|template| &**template))? {
            let digest = context.sources.digest(&part.from);
            let digest = digest.map_err(context.failed(&words.join(" "), "inputs"))?;
            text.push_str(&format!(" {digest}"));
        }
        for input in &run.inputs {
            if input.placeholders().next().is_some() {
                continue;
            }
            // What a link stands for may be another folder tomorrow, or the same with other files.
            if let Ok(real) = context.reading(input, None)?.canonicalize_utf8() {
                let digest = context.sources.digest(&real);
                let digest = digest.map_err(context.failed(input.as_written(), "inputs"))?;
                text.push_str(&format!(" {digest}"));
            }
        }
        all.add(format!("run {}", words.join(" ")), text);
        let program = run
            .command
            .first()
            .filter(|word| word.placeholders().next().is_none());
        if let Some(name) = program.map(|word| word.as_written())
            && !is_of_the_tree(context, name)?
        {
            let path = context.containment.path()?;
            let found = match tools::program(name, &path) {
                Some(found) => format!("{found} {}", program_digest(context, &found)?),
                None => String::new(),
            };
            all.add(format!("program {name}"), found);
        }
    }
    Ok(())
}

/// Whether a program is found in the tree before it is looked for elsewhere, as far as that can be
/// told before the tree is there.
fn is_of_the_tree(context: &Context<'_>, name: &str) -> Result<bool, ComponentError> {
    let is_path = name.contains('/') && !name.starts_with('/');
    let is_python = name.starts_with("python") && places::is_environment(context)?;
    let base = &context.component.base;
    let base = base
        .as_ref()
        .map(|base| context.reading(&base.from, None))
        .transpose()?;
    Ok(is_path || is_python || base.is_some_and(|base| base.join("bin").join(name).exists()))
}

/// Where Nix keeps what it builds.
pub(super) fn nix_store() -> String {
    // The first is what people set, the second what a build is told.
    let said = std::env::var("NIX_STORE_DIR").or_else(|_| std::env::var("NIX_STORE"));
    said.unwrap_or_else(|_| "/nix/store".into())
}
