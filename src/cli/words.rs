//! Words of `uv sync` and `npm ci` that people type here and that have no counterpart: what to do
//! instead. What has one is an argument like any other, or another name of one.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The commands that are asked in the words of uv and npm.
const COMMANDS: [&str; 4] = ["sync", "plan", "fetch", "build-lock"];

const RESOLVES: &str = "nothing is resolved here: say it to `uv lock`, which writes the lock";
const INDEX: &str = "the lock says where each artifact is: --mirror FROM=TO asks another place for \
                     it, --find-links DIR looks in a folder first";
const PYTHON: &str = "no Python is downloaded here: name one that is there with --python, or leave \
                      the choice to the PATH";
const SETTINGS: &str = "uv's own settings are not read: what counts stands in [tool.uv] of the \
                        project's pyproject.toml or its uv.toml, and in arguments";
const SCRIPTS: &str = "scripts run only where --allow-scripts names their package";
const STORE: &str = "artifacts are kept in a store by their digests, which --store DIR or \
                     LOCKWRIGHT_STORE names, and --no-cache does without";
const SPEAKS: &str = "-q says less, -v more, and --json prints a report";

/// What to do, by what was typed.
const ANSWERS: [(&[&str], &str); 20] = [
    (
        &["--inexact", "--exact"],
        "the environment is replaced as a whole, so what the lock does not name is never there: \
         leave it out",
    ),
    (
        &["--active"],
        "say which environment it is: --out \"$VIRTUAL_ENV\"",
    ),
    (
        &[
            "--upgrade",
            "-U",
            "--upgrade-package",
            "-P",
            "--upgrade-group",
            "--resolution",
            "--prerelease",
            "--prerelease-package",
            "--pre",
            "--fork-strategy",
            "--exclude-newer",
            "--exclude-newer-package",
            "--no-sources",
            "--no-sources-package",
        ],
        RESOLVES,
    ),
    (
        &[
            "--index",
            "--default-index",
            "--index-url",
            "-i",
            "--extra-index-url",
            "--no-index",
            "--index-strategy",
        ],
        INDEX,
    ),
    (
        &["--keyring-provider"],
        "logins are those of the URL, of ~/.netrc, and of UV_INDEX_<NAME>_USERNAME and _PASSWORD",
    ),
    (
        &[
            "--managed-python",
            "--no-managed-python",
            "--no-python-downloads",
        ],
        PYTHON,
    ),
    (&["--config-file", "--no-config"], SETTINGS),
    (
        &[
            "--allow-insecure-host",
            "--trusted-host",
            "--no-strict-ssl",
            "--strict-ssl",
        ],
        "certificates are always checked: SSL_CERT_FILE names further authorities",
    ),
    (
        &["--system-certs", "--native-tls"],
        "the system's authorities are always trusted: leave it out",
    ),
    (
        &["--require-build-hashes", "--no-require-build-hashes"],
        "build requirements come from a lock, with the digests that it has: leave it out",
    ),
    (&["--output-format"], "--json prints a report for programs"),
    (
        &[
            "--cache-dir",
            "--cache",
            "--prefer-offline",
            "--prefer-online",
        ],
        STORE,
    ),
    (
        &["--prefix"],
        "name the project's folder itself, as in `lockwright sync DIR`, or with --directory DIR",
    ),
    (
        &["--workspaces"],
        "all workspaces are placed unless --workspace NAME chooses some: leave it out",
    ),
    (
        &["--strict-allow-scripts", "--dangerously-allow-all-scripts"],
        SCRIPTS,
    ),
    (
        &["--force", "--legacy-bundling", "--global-style"],
        "the tree is the one that the lock has: leave it out",
    ),
    (
        &["--install-strategy", "--install-links"],
        "the tree is hoisted as the lock has it, and folders are linked; npm does the other kinds",
    ),
    (
        &["--userconfig", "--globalconfig"],
        "npm_config_userconfig and npm_config_globalconfig name other files of settings",
    ),
    (&["--loglevel", "--silent", "-s", "--color-always"], SPEAKS),
    (
        &["--no-save", "--no-package-lock", "--save"],
        "locks are only read here: leave it out",
    ),
];

/// What to do in the place of an argument that no command takes.
fn answer(typed: &str) -> Option<&'static str> {
    let found = ANSWERS.iter().find(|(words, _)| words.contains(&typed));
    found.map(|(_, answer)| *answer)
}

/// Says what is wrong with the command line, and ends.
pub fn refuse(error: &clap::Error) -> ExitCode {
    let typed = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(typed)) => typed.as_str(),
        _ => "",
    };
    let is_ours = std::env::args().any(|word| COMMANDS.contains(&word.as_str()));
    match answer(typed) {
        Some(answer) if is_ours && error.kind() == ErrorKind::UnknownArgument => {
            anstream::eprintln!("{}", super::sentences(&Said(format!("{typed}: {answer}"))));
            ExitCode::from(2)
        }
        _ => error.exit(),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);
