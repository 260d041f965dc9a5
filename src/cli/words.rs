//! Words of `uv sync` and `npm ci` that people type here and that have no counterpart: what to do
//! instead. What has one is an argument like any other, or another name of one.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use strsim::osa_distance;

/// The commands that are asked in the words of uv and npm.
const COMMANDS: [&str; 5] = ["sync", "plan", "fetch", "build-lock", "image"];

const RESOLVES: &str = "nothing is resolved here: give it to `uv lock`, which writes the lock";
const INDEX: &str = "the lock says where each artifact is: --mirror FROM=TO asks another place for \
                     it, --find-links DIR looks in a folder first";
const PYTHON: &str = "no Python is downloaded here: name one that is there with --python, or leave \
                      the choice to the PATH";
const SETTINGS: &str = "uv's own settings are not read: what counts is in [tool.uv] of the \
                        project's pyproject.toml or its uv.toml, and in arguments";
const SCRIPTS: &str = "scripts run only where --allow-scripts names their package";
const STORE: &str = "artifacts are kept in a store by their digests, which --store DIR or \
                     LOCKWRIGHT_STORE names, and --no-cache does without";
const SPEAKS: &str = "-q says less, -v more, and --json prints a report";

/// What to do, by what was typed.
const ANSWERS: [(&[&str], &str); 23] = [
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
    (
        &["--with", "--with-dev", "--include-dev"],
        "the group `dev` is included unless --no-dev says otherwise; --group NAME includes another",
    ),
    (
        &["--without", "--only"],
        "--no-group NAME leaves a group out, --only-group NAME takes it alone, and so do --no-dev and --only-dev",
    ),
    (
        &["--no-root"],
        "--no-install-project leaves the project out",
    ),
];

/// Commands of uv, npm and pip, and what does here what they do there.
const OTHER_COMMANDS: [(&[&str], &str); 8] = [
    (
        &["install", "i", "ci", "pip", "venv"],
        "`lockwright sync` assembles what a lock names",
    ),
    (
        &[
            "lock",
            "add",
            "remove",
            "rm",
            "uninstall",
            "update",
            "upgrade",
            "resolve",
            "compile",
        ],
        "locks are only read here; `uv lock`, `uv add` and `npm install` write them, and then `lockwright sync` \
         assembles what they name",
    ),
    (
        &["run", "exec", "x", "shell", "start"],
        "programs are started from the environment itself: .venv/bin/NAME, `uv run --no-sync NAME`, `npx NAME`",
    ),
    (
        &["cache", "prune", "clean"],
        "`lockwright store gc` makes room in the store, `lockwright store list` says what is in it",
    ),
    (
        &["tree", "list", "ls", "why", "explain", "outdated"],
        "`lockwright plan` says what would be placed, and why",
    ),
    (
        &["sbom", "bom", "freeze", "requirements"],
        "`lockwright export` says what a lock names in other tools' words: sbom, requirements, pylock, nix",
    ),
    (
        &["check", "doctor", "validate"],
        "`lockwright sync --check` looks whether there is something to do, `lockwright verify` at every file of a tree",
    ),
    (
        &["review", "compare", "changes"],
        "`lockwright diff OLD NEW` says what a lock bump changed",
    ),
];

/// What to do in the place of an argument that no command takes.
fn answer(typed: &str) -> Option<&'static str> {
    let found = ANSWERS.iter().find(|(words, _)| words.contains(&typed));
    found.map(|(_, answer)| *answer)
}

/// Says what is wrong with the command line, and ends.
pub fn refuse(mut error: clap::Error) -> ExitCode {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => String::new(),
    };
    let said = match error.kind() {
        ErrorKind::UnknownArgument => {
            let is_ours = std::env::args().any(|word| COMMANDS.contains(&word.as_str()));
            let ours = context(ContextKind::SuggestedArg);
            of_argument(&context(ContextKind::InvalidArg), &ours).filter(|_| is_ours)
        }
        ErrorKind::InvalidSubcommand => of_command(&context(ContextKind::InvalidSubcommand)),
        _ => None,
    };
    if let Some(said) = said {
        anstream::eprintln!("{}", super::sentences(&Said(said)));
        return ExitCode::from(2);
    }
    // clap's tip, to pass an unknown option as a value, is no help: no value of ours begins so.
    error.remove(ContextKind::Suggested);
    error.exit()
}

/// What is said of an option of uv's or npm's, or of one that is nearly that and not as near to `ours`, what clap suggests.
fn of_argument(typed: &str, ours: &str) -> Option<String> {
    if let Some(answer) = answer(typed) {
        return Some(format!("{typed}: {answer}"));
    }
    let words = ANSWERS.iter().flat_map(|(words, _)| words.iter().copied());
    let near = words.map(|word| (osa_distance(typed, word), word)).min()?;
    let (distance, meant) = near;
    // Of short words other short ones are near.
    let is_meant = distance <= typed.len() / 5 && distance < osa_distance(typed, ours);
    is_meant.then(|| Some(format!("{typed}: did you mean {meant}? {}", answer(meant)?)))?
}

fn of_command(typed: &str) -> Option<String> {
    // `lockwright store clean` has clap's own answer.
    std::env::args().nth(1).filter(|first| first == typed)?;
    let found = OTHER_COMMANDS
        .iter()
        .find(|(words, _)| words.contains(&typed));
    found.map(|(_, answer)| format!("there is no `lockwright {typed}`: {answer}"))
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(String);
