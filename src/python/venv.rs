//! What makes a folder a virtual environment (PEP 405): pyvenv.cfg, links to the interpreter,
//! scripts that activate it, and the marks that keep it out of version control and backups.

use camino::{Utf8Path, Utf8PathBuf};

use super::layout::Layout;
use crate::target::{Implementation, PythonTarget};
use crate::tree::{Owner, Tree, TreeError, TreePath};

/// An environment's own properties.
#[derive(Debug, Clone)]
pub struct Venv {
    /// The interpreter below the environment, as it is found where the environment will live.
    pub interpreter: Utf8PathBuf,
    /// Its version, three numbers.
    pub version: String,
    /// What shells show; the folder's name where nothing is given.
    pub prompt: Option<String>,
    /// Whether the interpreter's own site-packages are seen.
    pub system_site_packages: bool,
}

/// The name of the lock beside `CACHEDIR.TAG`'s signature (<https://bford.info/cachedir/>).
const CACHEDIR: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Writes them.
///
/// # Errors
/// When the tree does not take them.
pub fn write(
    tree: &Tree,
    owner: Owner,
    layout: &Layout,
    target: &PythonTarget,
    venv: &Venv,
) -> Result<(), TreeError> {
    let path = |text: String| {
        TreePath::new(text).map_err(|source| TreeError::Path {
            owner: "the environment".into(),
            source,
        })
    };
    let bin = |name: &str| path(format!("{}/{name}", layout.scripts));
    let top = |name: &str| path(name.to_owned());
    tree.file(
        owner,
        &top("pyvenv.cfg")?,
        false,
        config(layout, target, venv).as_bytes(),
    )?;
    tree.file(owner, &top(".gitignore")?, false, b"*")?;
    tree.file(owner, &top("CACHEDIR.TAG")?, false, CACHEDIR)?;
    tree.folder(owner, &path(layout.site.clone())?)?;
    if layout.site.starts_with("lib/") && target.platform.sys_platform() == "linux" {
        tree.symlink(owner, &top("lib64")?, "lib")?;
    }
    tree.link_anywhere(owner, &bin("python")?, venv.interpreter.as_str())?;
    for name in interpreter_names(target) {
        tree.symlink(owner, &bin(&name)?, "python")?;
    }
    for (name, template) in ACTIVATE {
        let text = fill(template, layout, venv);
        tree.file(owner, &bin(name)?, false, text.as_bytes())?;
    }
    Ok(())
}

/// Names under which the interpreter is called, besides `python`.
fn interpreter_names(target: &PythonTarget) -> Vec<String> {
    let (major, minor) = target.version;
    let mut names = vec![format!("python{major}"), format!("python{major}.{minor}")];
    match target.implementation {
        Implementation::CPython {
            free_threaded: true,
        } => names.push(format!("python{major}.{minor}t")),
        Implementation::CPython { .. } => {}
        Implementation::PyPy { .. } => {
            names.extend([
                "pypy".into(),
                format!("pypy{major}"),
                format!("pypy{major}.{minor}"),
            ]);
        }
        Implementation::GraalPy { .. } => names.push("graalpy".into()),
    }
    names
}

fn config(layout: &Layout, target: &PythonTarget, venv: &Venv) -> String {
    let home = venv
        .interpreter
        .parent()
        .unwrap_or(Utf8Path::new("/usr/bin"));
    let implementation = target.markers.platform_python_implementation();
    let mut text = format!(
        "home = {home}\nimplementation = {implementation}\nlockwright = {}\nversion_info = {}\n\
         include-system-site-packages = {}\n",
        env!("CARGO_PKG_VERSION"),
        venv.version,
        venv.system_site_packages,
    );
    if layout.relocatable {
        text.push_str("relocatable = true\n");
    }
    if let Some(prompt) = &venv.prompt {
        // One line, whatever was given.
        text.push_str(&format!("prompt = {}\n", prompt.replace(['\n', '\r'], " ")));
    }
    text
}

const ACTIVATE: [(&str, &str); 6] = [
    ("activate", include_str!("activate/activate")),
    ("activate.csh", include_str!("activate/activate.csh")),
    ("activate.fish", include_str!("activate/activate.fish")),
    ("activate.nu", include_str!("activate/activate.nu")),
    ("activate.ps1", include_str!("activate/activate.ps1")),
    (
        "activate_this.py",
        include_str!("activate/activate_this.py"),
    ),
];

/// Puts the environment's path and prompt into a script, quoted as its language wants it. A
/// relocatable environment's scripts find the path themselves.
fn fill(template: &str, layout: &Layout, venv: &Venv) -> String {
    let prefix = layout.prefix.as_str();
    let prompt = venv.prompt.as_deref().unwrap_or_default();
    let sh = |text: &str| format!("'{}'", text.replace('\'', "'\"'\"'"));
    let csh = |text: &str| format!("'{}'", text.replace('\'', "'\\''").replace('!', "\\!"));
    let fish = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let power = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let escaped = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let (sh_prefix, csh_prefix, fish_prefix, nu_prefix, power_prefix) = if layout.relocatable {
        (
            // bash and zsh know where a sourced script lies; a plain POSIX shell does not.
            String::from(
                "\"$(cd -- \"$(dirname -- \"$(realpath -- \"${BASH_SOURCE:-${ZSH_VERSION:+${(%):-%x}}}\")\")/..\" && pwd)\"",
            )
            .replace("${ZSH_VERSION:+${(%):-%x}}", "$0"),
            String::from("`sh -c 'cd \"$(dirname \"$0\")/..\" && pwd' \"$_\"`"),
            String::from("(path resolve (status dirname)/..)"),
            String::from("(path self | path dirname | path dirname)"),
            String::from("(Split-Path $PSScriptRoot -Parent)"),
        )
    } else {
        (
            sh(prefix),
            csh(prefix),
            fish(prefix),
            escaped(prefix),
            power(prefix),
        )
    };
    template
        .replace("@SH_PREFIX@", &sh_prefix)
        .replace("@SH_PROMPT@", &sh(prompt))
        .replace("@CSH_PREFIX@", &csh_prefix)
        .replace("@CSH_PROMPT@", &csh(prompt))
        .replace("@FISH_PREFIX@", &fish_prefix)
        .replace("@FISH_PROMPT@", &fish(prompt))
        .replace("@NU_PREFIX@", &nu_prefix)
        .replace("@NU_PROMPT@", &escaped(prompt))
        .replace("@PS_PREFIX@", &power_prefix)
        .replace("@PS_PROMPT@", &power(prompt))
        .replace("@PY_PROMPT@", &escaped(prompt))
        .replace("@PY_SITE@", &escaped(&layout.site))
}
