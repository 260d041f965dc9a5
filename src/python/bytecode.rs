//! Bytecode, made before it is needed: one pyc beside each source, by the target's interpreter.
//!
//! Several interpreters run at once and are handed files as they finish. The pycs are hash-based
//! and unchecked (PEP 552), so their bytes depend on the sources and the interpreter alone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

use crate::ui::Progress;

const SCRIPT: &str = include_str!("compile.py");

/// Why bytecode could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BytecodeError {
    /// The interpreter cannot be run, or went away.
    #[error("{python} cannot compile bytecode: {reason}")]
    Interpreter {
        /// Which.
        python: Utf8PathBuf,
        /// Why.
        reason: String,
    },
    /// Sources cannot be listed.
    #[error("cannot list {folder}: {source}")]
    List {
        /// Where.
        folder: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Compiles every `.py` file below `site`, which will be known as `known_as` when it is run.
/// Returns how many were compiled; files that are no valid Python, templates mostly, are passed
/// over, as uv does.
///
/// # Errors
/// When the interpreter fails.
pub fn compile(
    python: &Utf8Path,
    site: &Utf8Path,
    known_as: &Utf8Path,
    progress: &Progress,
) -> Result<usize, BytecodeError> {
    let mut files = Vec::new();
    sources(site, &mut files).map_err(|source| BytecodeError::List {
        folder: site.to_owned(),
        source,
    })?;
    files.sort();
    progress.grow(files.len() as u64);
    let (next, compiled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(files.len().max(1));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| worker(python, site, known_as, &files, &next, &compiled, progress))
            })
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;
    progress.done();
    Ok(compiled.into_inner())
}

fn worker(
    python: &Utf8Path,
    site: &Utf8Path,
    known_as: &Utf8Path,
    files: &[Utf8PathBuf],
    next: &AtomicUsize,
    compiled: &AtomicUsize,
    progress: &Progress,
) -> Result<(), BytecodeError> {
    let fail = |reason: String| BytecodeError::Interpreter {
        python: python.to_owned(),
        reason,
    };
    let io = |error: std::io::Error| fail(error.to_string());
    let mut child = Command::new(python)
        .args(["-I", "-S", "-B", "-c", SCRIPT])
        .env("PYTHONHASHSEED", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(io)?;
    let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(fail(String::from("it has no pipes")));
    };
    let mut answers = BufReader::new(from).lines();
    while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let inner = file.strip_prefix(site).unwrap_or(file);
        writeln!(to, "{file}\t{}", known_as.join(inner)).map_err(io)?;
        match answers.next() {
            Some(Ok(said)) if said.is_empty() => _ = compiled.fetch_add(1, Ordering::Relaxed),
            Some(Ok(said)) => tracing::info!("{inner} is not compiled: {said}"),
            _ => return Err(fail(format!("it ended at {inner}"))),
        }
        progress.advance(1);
    }
    drop(to);
    child.wait().map_err(io)?;
    Ok(())
}

fn sources(folder: &Utf8Path, files: &mut Vec<Utf8PathBuf>) -> std::io::Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && entry.file_name() != "__pycache__" {
            sources(entry.path(), files)?;
        } else if kind.is_file() && entry.path().extension() == Some("py") {
            // A tab or newline in a name would be read as two; such a file stays uncompiled.
            if !entry.path().as_str().contains(['\t', '\n']) {
                files.push(entry.into_path());
            }
        }
    }
    Ok(())
}
