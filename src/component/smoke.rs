//! What must work in the finished tree, which is not in its place yet: a failure leaves nothing.

use std::collections::BTreeMap;

use camino::Utf8Path;
use rayon::prelude::*;

use super::commands::{Ask, Stage};
use super::context::Context;
use super::error::ComponentError;
use crate::decide::manifest::Seal;

/// Imports the component's modules, each alone, and runs its commands.
///
/// # Errors
/// With the traceback of the first that fails, in the manifest's order.
pub fn check(
    context: &Context<'_>,
    root: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<(), ComponentError> {
    let smoke = &context.component.smoke;
    if smoke.imports.is_empty() && smoke.commands.is_empty() {
        return Ok(());
    }
    if !smoke.imports.is_empty() && context.python()?.interpreter.is_none() {
        let what = "nothing can be imported here: there is no interpreter of the target; give one \
                    with --python, or leave `imports` out";
        return Err(context.refuse("imports", what));
    }
    let stage = Stage::new(context, root, prefix, true)?;
    let environment: BTreeMap<String, String> = smoke
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), stage.fill(value)?)))
        .collect::<Result<_, ComponentError>>()?;
    let ask = |what: String, said, words| Ask {
        environment: environment.clone(),
        ..Ask::reading(what, said, words, &stage)
    };
    let mut asks = Vec::new();
    for module in &smoke.imports {
        let is_name = |part: &str| {
            let mut letters = part.chars();
            letters
                .next()
                .is_some_and(|c| c.is_alphabetic() || c == '_')
                && letters.all(|c| c.is_alphanumeric() || c == '_')
        };
        if !module.split('.').all(is_name) {
            return Err(context.refuse(module, format!("`{module}` cannot be a module's name")));
        }
        let (python, code) = match context.component.seal {
            // Without bin/, and with a placeholder for its interpreter, it is no environment.
            Seal::FixedOutput => {
                let site = stage.mount.join(context.site()?);
                let code = format!("import site; site.addsitedir({site:?}); import {module}");
                (context.python()?.path(), code)
            }
            _ => (stage.mount.join("bin/python"), format!("import {module}")),
        };
        let words = [python.as_str(), "-I", "-B", "-c", &code].map(str::to_owned);
        asks.push(ask(
            format!("`import {module}`"),
            module.as_str(),
            words.into(),
        ));
    }
    for command in &smoke.commands {
        let words: Vec<String> = command
            .iter()
            .map(|word| stage.fill(word))
            .collect::<Result<_, _>>()?;
        let said = command.first().map_or("commands", |word| word.as_written());
        if words.is_empty() {
            return Err(context.refuse("commands", "a command of `smoke` is empty"));
        }
        asks.push(ask(format!("`{}`", words.join(" ")), said, words));
    }
    let results: Vec<_> = asks
        .par_iter()
        .map(|ask| stage.run(ask).map(drop))
        .collect();
    results.into_iter().collect()
}
