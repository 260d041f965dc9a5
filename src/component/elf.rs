//! ELF patching of the whole tree: every NEEDED entry met, or a refusal that names it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use camino::Utf8Path;

use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::decide::manifest::PathTemplate;
use crate::transform::elf::{AddRpath, AutopatchOptions, Glob, autopatch};

const PHASE: &str = "elf";

/// Patches the tree at `root`, if the component asks for it; returns which files it changed.
///
/// # Errors
/// When a library is missing, or a file cannot be patched.
pub fn make(
    context: &Context<'_>,
    root: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<BTreeSet<PathBuf>, ComponentError> {
    let Some(elf) = &context.component.elf else {
        return Ok(BTreeSet::new());
    };
    let folder = |template: &PathTemplate| context.runtime_path(template, prefix);
    let mut options = AutopatchOptions {
        ignore_missing: elf
            .ignore_missing
            .iter()
            .map(|glob| Glob::new(glob))
            .collect(),
        ..AutopatchOptions::default()
    };
    for template in &elf.search {
        let path = folder(template)?;
        if !Utf8Path::new(&path).is_dir() {
            let what = format!("there is no folder {path} to look for libraries in");
            return Err(context.refuse(template.as_written(), what));
        }
        options.search.push(path.into());
    }
    options.interpreter = elf.interpreter.as_ref().map(folder).transpose()?;
    for (files, folders) in &elf.add_rpath {
        for entry in folders {
            options.add_rpath.push(AddRpath {
                files: (files != "*").then(|| Glob::new(files)),
                entry: folder(entry)?,
            });
        }
    }
    let report = autopatch(&[root.to_owned()], &options)
        .map_err(|error| context.failed("elf", PHASE)(Cause::Said(Context::plain(&error, root))))?;
    for note in &report.notes {
        eprintln!("note: {}: {note}", context.name);
    }
    Ok(report
        .changed()
        .filter_map(|path| Some(path.strip_prefix(root).ok()?.as_std_path().to_owned()))
        .collect())
}
