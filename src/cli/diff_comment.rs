//! `lockwright diff BASE --comment`: the comment for a pull request, of every lock that changed.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::diff::{DiffArgs, compare_locks, fails, usage};
use super::diff_input::{Given, Lock, is_lock};
use super::lock_targets::whole;
use super::{Failure, Outcome, outputs};
use crate::core::progress::count;
use crate::inspect::diff::report::markdown::{self, ROOM, code};
use crate::obtain::source::show::{changed, show};

/// What tells the comment from others, so that the next one takes its place.
const MARKER: &str = "<!-- lockwright -->";

/// Less room than this says nothing of a lock, in bytes.
const LEAST: usize = 3000;

/// Prints the comment; the exit code is that of all diffs together.
pub fn run(args: &DiffArgs) -> Outcome {
    let [base] = &args.locks[..] else {
        return Ok(usage("--comment takes one revision, of the base branch"));
    };
    let files = changed(base)?;
    let locks: Vec<&String> = files
        .iter()
        .filter(|file| is_lock(file.rsplit('/').next().unwrap_or_default()))
        .collect();
    let mut text = format!("{MARKER}\n");
    if locks.is_empty() {
        text.push_str("No lock differs from the base.\n");
    }
    let room = (ROOM / locks.len().max(1)).max(LEAST);
    let (mut failed, mut left) = (false, 0);
    for path in locks {
        let part = of_lock(args, base, path, room, &mut failed)?;
        if text.len() + part.len() > ROOM {
            left += 1;
        } else {
            text.push_str(&part);
            text.push('\n');
        }
    }
    if left > 0 {
        let _ = writeln!(
            text,
            "… and {} more that there is no room for.",
            count(left, "lock")
        );
    }
    outputs::report(args.out.as_ref(), &[], &text)?;
    Ok(ExitCode::from(u8::from(failed)))
}

fn of_lock(
    args: &DiffArgs,
    base: &str,
    path: &str,
    room: usize,
    failed: &mut bool,
) -> Result<String, Failure> {
    let open = |argument: &str| -> Result<Box<Lock>, Failure> {
        match Given::open(argument, false)? {
            Given::Lock(lock) => Ok(lock),
            Given::Tree(_) => Err(format!("{argument} is not a lock").into()),
        }
    };
    let old = format!("{base}:./{path}");
    let is_there = std::fs::exists(path)?;
    if !is_there {
        return Ok(format!("{} is gone.\n", code(path)));
    }
    let mut new = open(path)?;
    if show(&old).is_err() {
        let packages = count(whole(&new).each().count(), "package");
        return Ok(format!("{} is new, with {packages}.\n", code(path)));
    }
    let mut old = open(&old)?;
    path.clone_into(&mut new.label);
    old.label = format!("{base}:{path}");
    let diff = compare_locks(args, &old, &new)?;
    *failed |= fails(args, &diff);
    Ok(markdown::render_in(&diff, room))
}
