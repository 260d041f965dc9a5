//! What makes a folder a virtual environment (PEP 405): pyvenv.cfg, links to the interpreter,
//! scripts that activate it, and the marks that keep it out of version control and backups.

use camino::{Utf8Path, Utf8PathBuf};

use super::layout::Layout;
use crate::decide::target::{Implementation, PythonTarget};
use crate::files::tree::{Owner, Tree, TreeError, TreePath};

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
    let path = |text: String| TreePath::new(text).map_err(TreeError::from);
    let bin = |name: &str| path(format!("{}/{name}", layout.scripts));
    let top = |name: &str| path(name.to_owned());
    tree.file(
        owner,
        &top("pyvenv.cfg")?,
        0o644,
        config(layout, target, venv).as_bytes(),
    )?;
    tree.file(owner, &top(".gitignore")?, 0o644, b"*")?;
    tree.file(owner, &top("CACHEDIR.TAG")?, 0o644, CACHEDIR)?;
    tree.folder(owner, &path(layout.site.clone())?)?;
    if layout.site.starts_with("lib/") && target.platform.sys_platform() == "linux" {
        tree.symlink(owner, &top("lib64")?, "lib")?;
    }
    if let Some(launchers) = &layout.windows {
        for (name, is_gui) in [("python.exe", false), ("pythonw.exe", true)] {
            tree.file(owner, &bin(name)?, 0o755, launchers.python(is_gui))?;
        }
    } else {
        tree.link_anywhere(owner, &bin("python")?, venv.interpreter.as_str())?;
        for name in interpreter_names(target) {
            tree.symlink(owner, &bin(&name)?, "python")?;
        }
    }
    for (name, text) in activation(layout, venv) {
        tree.file(owner, &bin(name)?, 0o644, text.as_bytes())?;
    }
    Ok(())
}

/// The scripts that activate an environment: name and text.
pub fn activation(layout: &Layout, venv: &Venv) -> Vec<(&'static str, String)> {
    let scripts: &[(&str, &str)] = match layout.windows {
        Some(_) => &ACTIVATE_ON_WINDOWS,
        None => &ACTIVATE,
    };
    let filled = scripts
        .iter()
        .map(|(name, template)| (*name, fill(template, layout, venv)));
    // cmd.exe loses its place in batch files with plain line ends.
    let ended = filled.map(|(name, text)| match name.ends_with(".bat") {
        true => (name, text.replace('\n', "\r\n")),
        false => (name, text),
    });
    ended.collect()
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
    let home = match layout.windows {
        // Its path, with whichever separators.
        Some(_) => (venv.interpreter.as_str().rsplit_once(['\\', '/'])).map(|(home, _)| home),
        None => venv.interpreter.parent().map(Utf8Path::as_str),
    };
    let home = home.unwrap_or("/usr/bin");
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

const ACTIVATE: [(&str, &str); 7] = [
    ("activate", include_str!("activate/activate")),
    ("activate.csh", include_str!("activate/activate.csh")),
    ("activate.fish", include_str!("activate/activate.fish")),
    ("activate.nu", include_str!("activate/activate.nu")),
    ("activate.ps1", include_str!("activate/activate.ps1")),
    ("activate.xsh", include_str!("activate/activate.xsh")),
    (
        "activate_this.py",
        include_str!("activate/activate_this.py"),
    ),
];

/// Windows' own shells, and what runs there too: Git's bash, and Python itself.
const ACTIVATE_ON_WINDOWS: [(&str, &str); 5] = [
    ("activate", include_str!("activate/activate")),
    ("activate.bat", include_str!("activate/activate.bat")),
    ("activate.ps1", include_str!("activate/activate.ps1")),
    (
        "activate_this.py",
        include_str!("activate/activate_this.py"),
    ),
    ("deactivate.bat", include_str!("activate/deactivate.bat")),
];

/// A language of the scripts: its mark in them, how it quotes a string, and how a script of it
/// tells where it lies, for environments that can be moved.
struct Shell {
    mark: &'static str,
    quote: fn(&str) -> String,
    own_prefix: &'static str,
}

const SHELLS: [Shell; 6] = [
    Shell {
        mark: "SH",
        quote: |text| format!("'{}'", text.replace('\'', "'\"'\"'")),
        // bash says where a sourced script lies, zsh puts it into $0; plainer shells do neither.
        own_prefix: "\"$(cd -- \"$(dirname -- \"${BASH_SOURCE:-$0}\")/..\" && pwd -P)\"",
    },
    Shell {
        mark: "CSH",
        quote: |text| format!("'{}'", text.replace('\'', "'\\''").replace('!', "\\!")),
        // The sourced script is the last word of the line that is being run.
        own_prefix: "\"`cd $_:h/.. && pwd -P`\"",
    },
    Shell {
        mark: "FISH",
        quote: |text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        own_prefix: "(path resolve (status dirname)/..)",
    },
    Shell {
        mark: "NU",
        quote: escaped,
        own_prefix: "(path self | path dirname | path dirname)",
    },
    Shell {
        mark: "PS",
        quote: |text| format!("'{}'", text.replace('\'', "''")),
        own_prefix: "(Split-Path $PSScriptRoot -Parent)",
    },
    Shell {
        mark: "XSH",
        quote: escaped,
        own_prefix: "str(Path(__file__).resolve().parent.parent)",
    },
];

fn escaped(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A text between double quotes in a batch file, without what would mean something there.
fn in_batch(text: &str) -> String {
    text.replace(['"', '%', '\n', '\r'], "")
}

/// Puts the environment's path and prompt into a script, quoted as its language wants it.
fn fill(template: &str, layout: &Layout, venv: &Venv) -> String {
    let prompt = venv.prompt.as_deref().unwrap_or_default();
    let mut text = template
        .replace("@SCRIPTS@", &layout.scripts)
        .replace("@BAT_PROMPT@", &in_batch(prompt))
        .replace("@PY_PROMPT@", &escaped(prompt))
        .replace("@PY_SITE@", &escaped(&layout.site));
    for Shell {
        mark,
        quote,
        own_prefix,
    } in SHELLS
    {
        let prefix = match layout.relocatable {
            true => String::from(own_prefix),
            false => quote(layout.prefix.as_str()),
        };
        text = text
            .replace(&format!("@{mark}_PREFIX@"), &prefix)
            .replace(&format!("@{mark}_PROMPT@"), &quote(prompt));
    }
    text
}
