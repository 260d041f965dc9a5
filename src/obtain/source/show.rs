//! One file of a revision, out of the repository that the current folder is in.

use std::process::Command;

use super::GitError;
use super::git_program::{program, run};

/// The bytes of `REVISION:PATH`, in git's own words; a PATH that begins with `./` is relative to the
/// current folder, any other to the repository's.
///
/// # Errors
/// When there is no such revision, or no such file in it.
pub fn show(object: &str) -> Result<Vec<u8>, GitError> {
    if object.starts_with('-') {
        return Err(GitError::Refused {
            what: "the revision",
            text: object.to_owned(),
            why: "it begins with a dash, as options do",
        });
    }
    let mut git = here();
    git.args(["cat-file", "blob", object]);
    run(git, "cat-file")
}

/// git, in the repository of the current folder: its settings name no program that is run.
fn here() -> Command {
    let mut git = program();
    git.args([
        "-c",
        "core.fsmonitor=false",
        "-c",
        "core.hooksPath=/dev/null",
    ]);
    git
}

/// The files below the current folder that differ from a revision, as paths relative to it.
///
/// # Errors
/// When there is no such revision.
pub fn changed(revision: &str) -> Result<Vec<String>, GitError> {
    if revision.starts_with('-') {
        return Err(GitError::Refused {
            what: "the revision",
            text: revision.to_owned(),
            why: "it begins with a dash, as options do",
        });
    }
    let mut git = here();
    git.args([
        "diff",
        "--name-only",
        "-z",
        "--relative",
        "--no-ext-diff",
        "--no-textconv",
        revision,
        "--",
    ]);
    let listed = run(git, "diff")?;
    let names = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    Ok(names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect())
}
