//! Run steps: what only a foreign tool can do, in the tree.

use std::time::Duration;

use camino::Utf8Path;

use super::commands::{Ask, Stage};
use super::context::Context;
use super::error::ComponentError;
use super::{go, places};
use crate::core::paths::normal;
use crate::decide::manifest::{Parsed, Placeholder, Run, is_name};
use crate::install::build::sandbox::{INSIDE, Shown};

/// How long a command may take where it does not say.
const LIMIT: u64 = 3600;

/// Runs the component's commands, one after the other.
///
/// # Errors
/// With what the first that fails said.
pub fn make(
    context: &Context<'_>,
    root: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<(), ComponentError> {
    if context.component.run.is_empty() {
        return Ok(());
    }
    let stage = Stage::new(context, root, prefix, places::shows_its_own(context)?)?;
    let stage = stage.with_tools()?;
    stage.forget();
    for run in &context.component.run {
        stage.run(&ask(context, &stage, run)?)?;
    }
    Ok(())
}

fn ask<'a>(
    context: &Context<'_>,
    stage: &Stage<'_>,
    run: &'a Run,
) -> Result<Ask<'a>, ComponentError> {
    let fill = |template: &Parsed| stage.fill(template);
    let words: Vec<String> = run
        .command
        .iter()
        .map(|word| fill(word))
        .collect::<Result<_, _>>()?;
    let said = run.command.first().map_or("run", |word| word.as_written());
    if words.is_empty() {
        return Err(context.refuse(
            "command",
            "a run step says nothing to run: `command` is empty",
        ));
    }
    if let Some(name) = run.cache.values().find(|name| !is_name(name)) {
        let what = format!("`{name}` cannot be a cache: use letters, digits, `.`, `_` and `-`");
        return Err(context.refuse(name, what));
    }
    let current = match &run.cwd {
        Some(cwd) => match context.in_tree(cwd)? {
            Some(path) => stage.mount.join(path.as_str()),
            None => stage.mount.clone(),
        },
        None => stage.mount.clone(),
    };
    let mut environment = go::environment(context, &stage.mount);
    for (name, value) in &run.env {
        environment.insert(name.clone(), fill(value)?);
    }
    let is_own = |template: &&crate::decide::manifest::PathTemplate| {
        template
            .placeholders()
            .all(|hole| matches!(hole, Placeholder::Python))
    };
    let (mut readable, mut shown) = (Vec::new(), Vec::new());
    for template in run.inputs.iter().filter(is_own) {
        let (from, said) = (context.reading(template, None)?, template.as_written());
        let is_beside = template.placeholders().next().is_none() && !said.starts_with('/');
        match is_beside {
            true => shown.push(Shown {
                to: normal(&Utf8Path::new("/").join(said)),
                from,
                writable: false,
            }),
            false => readable.push(from),
        }
    }
    for one in &mut shown {
        one.to = format!("{INSIDE}/input{}", one.to).into();
    }
    Ok(Ask {
        what: format!("`{}`", words.join(" ")),
        said,
        words,
        environment,
        current,
        readable,
        shown,
        writes: true,
        limit: Duration::from_secs(run.timeout.unwrap_or(LIMIT)),
        cores: run.cores,
        caches: run.cache.clone().into_iter().collect(),
    })
}
