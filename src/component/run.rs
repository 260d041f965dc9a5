//! Run steps: what only a foreign tool can do, in the tree.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::commands::{Ask, Stage};
use super::context::Context;
use super::error::ComponentError;
use crate::decide::manifest::{Parsed, Placeholder, Run};

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
    let stage = Stage::new(context, root, prefix)?;
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
    let current = match &run.cwd {
        Some(cwd) => match context.in_tree(cwd)? {
            Some(path) => stage.seat.join(path.as_str()),
            None => stage.seat.clone(),
        },
        None => stage.seat.clone(),
    };
    let environment = run
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), fill(value)?)))
        .collect::<Result<_, ComponentError>>()?;
    let is_own = |template: &&crate::decide::manifest::PathTemplate| {
        template
            .placeholders()
            .all(|hole| matches!(hole, Placeholder::Python))
    };
    let readable: Vec<Utf8PathBuf> = run
        .inputs
        .iter()
        .filter(is_own)
        .map(|template| context.reading(template, None))
        .collect::<Result<_, _>>()?;
    Ok(Ask {
        what: format!("`{}`", words.join(" ")),
        said,
        words,
        environment,
        current,
        readable,
        writes: true,
        limit: Duration::from_secs(run.timeout.unwrap_or(LIMIT)),
    })
}
