//! What phases read, and what that counts as: parts of sources, locks, texts of the manifest.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::containment::source_inside;
use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::core::digest::{Algorithm, Digest};
use crate::core::io_error::cannot;
use crate::decide::manifest::{Parsed, Placeholder};

/// A part of a source that commands see, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Part {
    /// Where commands see it.
    pub(super) to: Utf8PathBuf,
    /// Where it is.
    pub(super) from: Utf8PathBuf,
}

/// The parts of sources that texts name, of which none is in another. A path goes on behind
/// its placeholder as far as there is something of that name: for a pattern it ends at the folder.
/// A link may lead anywhere in its source, so what is named through one is all that is beside it.
pub(super) fn parts<'t>(
    context: &Context<'_>,
    texts: impl Iterator<Item = &'t Parsed>,
) -> Result<Vec<Part>, ComponentError> {
    let mut all: Vec<Part> = Vec::new();
    for (hole, rest) in texts.flat_map(Parsed::followed) {
        let Placeholder::Source(name) = hole else {
            continue;
        };
        let mut part = Part {
            to: source_inside(name).into(),
            from: context.sources.folder(name)?,
        };
        let end = |c: char| c.is_whitespace() || "\"'`:;,&|()<>=".contains(c);
        let path = rest.split(end).next().unwrap_or_default();
        let path = path.strip_prefix('/').unwrap_or_default();
        for step in path.split('/').filter(|step| !matches!(*step, "" | ".")) {
            let next = part.from.join(step);
            let is_there = next.symlink_metadata().is_ok_and(|meta| !meta.is_symlink());
            if step == ".." || !is_there {
                break;
            }
            part = Part {
                to: part.to.join(step),
                from: next,
            };
        }
        all.push(part);
    }
    all.sort();
    // A folder stands before what is in it.
    all.dedup_by(|one, before| one.to.starts_with(&before.to));
    Ok(all)
}

/// What a phase says, and the digests of what it reads.
pub(super) fn with_digests(
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

/// The digest of what a phase reads, where it is there. Components count by their own hash.
fn digest(context: &Context<'_>, template: &Parsed) -> Result<Option<String>, ComponentError> {
    let is_of_components = template
        .placeholders()
        .any(|hole| !matches!(hole, Placeholder::Source(_)));
    if is_of_components {
        return Ok(None);
    }
    let path = context.reading(template, None)?;
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let hash = context.sources.digest(&path);
    let hash = hash.map_err(context.failed(template.as_written(), "inputs"));
    hash.map(Some)
}

/// What the manifest says, as an ingredient.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The digest of a text.
pub(super) fn digest_of(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).to_string()
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

/// What a program is. What its name stands for today may be another file tomorrow.
pub(super) fn program_digest(context: &Context<'_>, program: &Utf8Path) -> Result<String, Cause> {
    context.sources.digest(&real(program)?)
}

/// A path without links.
pub(super) fn real(path: &Utf8Path) -> Result<Utf8PathBuf, Cause> {
    Ok(path.canonicalize_utf8().map_err(cannot("find", path))?)
}
