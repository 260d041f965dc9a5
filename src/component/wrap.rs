//! Launchers: small shell scripts in `bin/` that set variables, extend the PATH, change the folder
//! and hand over.

use std::fmt::Write as _;

use camino::Utf8Path;

use super::context::Context;
use super::error::ComponentError;
use crate::decide::manifest::Wrap;
use crate::files::tree::{Staged, TreePath};

const PHASE: &str = "wrap";

/// Writes the component's launchers.
///
/// # Errors
/// When one refers to what will not be there, or cannot be written.
pub fn make(
    context: &Context<'_>,
    staged: &Staged,
    prefix: &Utf8Path,
) -> Result<(), ComponentError> {
    let owner = staged.owner("launchers of the manifest");
    for (name, wrap) in &context.component.wrap {
        let path = TreePath::new(format!("bin/{name}")).map_err(context.failed(name, PHASE))?;
        if wrap.exec.is_empty() {
            return Err(
                context.refuse(name, format!("wrap `{name}` says nothing to start: `exec`"))
            );
        }
        let text = script(wrap, |template| context.runtime_path(template, prefix))?;
        staged
            .put(owner, &path, 0o755, text.as_bytes())
            .map_err(context.failed(name, PHASE))?;
    }
    Ok(())
}

fn script<E>(
    wrap: &Wrap,
    fill: impl Fn(&crate::decide::manifest::Parsed) -> Result<String, E>,
) -> Result<String, E> {
    let shell = match &wrap.shell {
        Some(shell) => fill(shell)?,
        None => String::from("/bin/sh"),
    };
    let mut text = format!("#!{shell}\n");
    let mut put = |line: String| {
        // A string takes all.
        let _ = writeln!(text, "{line}");
    };
    for (name, value) in &wrap.env {
        put(format!("export {name}={}", quoted(&fill(value)?)));
    }
    if !wrap.path.is_empty() {
        let folders: Vec<String> = wrap
            .path
            .iter()
            .map(|path| fill(path))
            .collect::<Result<_, _>>()?;
        put(format!(
            "export PATH={}\"${{PATH:+:$PATH}}\"",
            quoted(&folders.join(":"))
        ));
    }
    if let Some(cwd) = &wrap.cwd {
        put(format!("cd {} || exit", quoted(&fill(cwd)?)));
    }
    let words: Vec<String> = wrap
        .exec
        .iter()
        .map(|word| Ok(quoted(&fill(word)?)))
        .collect::<Result<_, E>>()?;
    put(format!("exec {} \"$@\"", words.join(" ")));
    Ok(text)
}

/// A word of a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=@,%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_launcher_says_what_the_manifest_says() {
        let wrap: Wrap = toml::from_str(
            "exec = ['{out}/lifecycle/ak', \"it's\"]\nenv = { A = '1', B = 'x y' }\n\
             path = ['{out}/bin']\ncwd = '{out}'\n",
        )
        .unwrap();
        let text = script(&wrap, |template| {
            template.fill(|_| Ok::<_, ()>("/p".into()))
        })
        .unwrap();
        insta::assert_snapshot!(text, @r#"
        #!/bin/sh
        export A=1
        export B='x y'
        export PATH=/p/bin"${PATH:+:$PATH}"
        cd /p || exit
        exec /p/lifecycle/ak 'it'\''s' "$@"
        "#);
    }
}
