//! What a dependency's build is given beside its source: edits of the source, and what it may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8Path;

use super::containment::source_inside;
use super::context::Context;
use super::edits::Edit;
use super::error::ComponentError;
use super::inputs::real;
use crate::core::digest::{Algorithm, Digest};
use crate::core::paths::normal;
use crate::decide::manifest::{PackageBuild, Parsed, PathTemplate, Placeholder};
use crate::install::build::Change;
use crate::install::build::sandbox::{INSIDE, Shown};
use crate::transform::patch::write;

/// What a build is given.
#[derive(Default)]
pub struct Given {
    /// Its variables.
    pub environment: BTreeMap<String, String>,
    /// What changes its source, and what it may read.
    pub change: Option<Change>,
}

/// What the manifest says of a package's build: all of these together, the first counting most.
///
/// # Errors
/// When an edit or an input is none.
pub fn of(context: &Context<'_>, said: &[&PackageBuild]) -> Result<Given, ComponentError> {
    let mut given = Given::default();
    let (mut edits, mut shown, mut id) = (Vec::new(), Vec::new(), String::new());
    // What holds for all is done first.
    for build in said.iter().rev() {
        for (name, value) in &build.env {
            given
                .environment
                .insert(name.clone(), fill(context, value)?);
        }
        for patch in &build.patch {
            let text = |template: &Parsed| fill(context, template);
            edits.push(Edit::resolve(context, patch, None, &text)?);
        }
        for input in &build.inputs {
            let one = input_of(context, input)?;
            // A component counts by its hash, all else by what is in it.
            let digest = match input.component() {
                Some(name) => context.made(name, input.as_written())?.hash.clone(),
                None => {
                    let digest = context.sources.digest(&real(&one.from)?);
                    digest.map_err(context.failed(input.as_written(), "build"))?
                }
            };
            id.push_str(&format!("{} {digest}\n", one.to));
            shown.push(one);
        }
    }
    if edits.is_empty() && shown.is_empty() {
        return Ok(given);
    }
    id.push_str(&serde_json::to_string(&edits).unwrap_or_default());
    let edit = move |folder: &Utf8Path| -> Result<(), String> {
        for edit in &edits {
            let changes = edit.changes(folder).map_err(|why| why.what)?;
            write(folder.as_std_path(), &changes)
                .map_err(|error| Context::plain(&error, folder))?;
        }
        Ok(())
    };
    shown.sort_by(|one, other| one.to.cmp(&other.to));
    shown.dedup_by(|one, other| one.to == other.to);
    given.change = Some(Change {
        id: Digest::of(Algorithm::Sha256, id.as_bytes()).to_string(),
        edit: Arc::new(edit),
        shown,
    });
    Ok(given)
}

/// A text, as a build has it.
fn fill(context: &Context<'_>, template: &Parsed) -> Result<String, ComponentError> {
    let said = template.as_written();
    let is_contained = context.containment.is_contained()?;
    template.fill(|hole| match hole {
        Placeholder::Component(name) => {
            let made = context.made(name, said)?;
            let place = if is_contained {
                &made.prefix
            } else {
                &made.path
            };
            Ok(place.to_string())
        }
        Placeholder::Source(name) => {
            let folder = context.sources.folder(name)?;
            let inside = source_inside(name);
            Ok(if is_contained {
                inside
            } else {
                folder.into_string()
            })
        }
        other => Err(context.refuse(
            said,
            format!("{other} means nothing where a package is built: its wheel goes anywhere"),
        )),
    })
}

/// What an input is, and where a build finds it: as commands do.
fn input_of(context: &Context<'_>, template: &PathTemplate) -> Result<Shown, ComponentError> {
    let (said, from) = (template.as_written(), context.reading(template, None)?);
    if !from.exists() {
        return Err(context.refuse(said, format!("there is no {from} that a build could read")));
    }
    let is_beside = template.placeholders().next().is_none() && !said.starts_with('/');
    let to = match is_beside {
        true => format!("{INSIDE}/input{}", normal(&Utf8Path::new("/").join(said))).into(),
        false => fill(context, template)?.into(),
    };
    Ok(Shown {
        from,
        to,
        writable: false,
    })
}
