//! Bytecode, made before it is needed: one pyc beside each source, by the target's interpreter.
//!
//! Several interpreters run at once and are handed files as they finish. The pycs are hash-based
//! and unchecked (PEP 552) and made canonical ([`super::marshal`]), so their bytes depend on the
//! sources and the interpreter alone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

use super::marshal;
use crate::core::foreign;
use crate::core::io_error::IoError;
use crate::core::progress::Progress;

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
    #[error(transparent)]
    Io(#[from] IoError),
}

/// What is compiled, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Compiler<'a> {
    /// The interpreter.
    pub python: &'a Utf8Path,
    /// Its version.
    pub version: (u8, u8),
    /// The folder that sources are in.
    pub site: &'a Utf8Path,
}

impl Compiler<'_> {
    /// Compiles sources, which are named as they lie in the folder. Returns how many were compiled;
    /// files that are no valid Python, templates mostly, are passed over, as uv does.
    ///
    /// The name in the bytecode is the source's in that folder. Importing replaces it by the path
    /// at which the source then is (`_fix_co_filename` in CPython's `importlib`), and so tracebacks
    /// and debuggers see that one.
    ///
    /// # Errors
    /// When the interpreter fails, or a pyc cannot be written.
    pub fn compile(&self, sources: &[&str], progress: &Progress) -> Result<usize, BytecodeError> {
        let (next, compiled) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..cores.min(sources.len()))
                .map(|_| scope.spawn(|| self.worker(sources, &next, &compiled, progress)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| match worker.join() {
                    Ok(result) => result,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
        })?;
        Ok(compiled.into_inner())
    }

    fn worker(
        &self,
        sources: &[&str],
        next: &AtomicUsize,
        compiled: &AtomicUsize,
        progress: &Progress,
    ) -> Result<(), BytecodeError> {
        let fail = |reason: String| BytecodeError::Interpreter {
            python: self.python.to_owned(),
            reason,
        };
        let io = |error: std::io::Error| fail(error.to_string());
        let mut child = Command::new(self.python)
            .args(["-s", "-S", "-B", "-c", SCRIPT])
            // Isolated by hand: -I would ignore the seed as well, and sets in bytecode have an
            // order. The script's own imports are not to come from where it happens to be run.
            .env_clear()
            .env("PYTHONHASHSEED", "0")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io)?;
        let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(fail(String::from("it has no pipes")));
        };
        let mut answers = BufReader::new(from).lines();
        while let Some(inner) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            writeln!(to, "{}\t{inner}", self.site.join(inner)).map_err(io)?;
            let Some(Ok(said)) = answers.next() else {
                return Err(fail(format!("it ended at {inner}")));
            };
            match said.split_once('\t') {
                Some(("made", pyc)) => {
                    self.finish(Utf8Path::new(pyc)).map_err(io)?;
                    compiled.fetch_add(1, Ordering::Relaxed);
                }
                _ => tracing::info!("{inner} is not compiled: {said}"),
            }
            progress.advance(1);
        }
        drop(to);
        child.wait().map_err(io)?;
        Ok(())
    }

    /// Makes a pyc's bytes and modes depend on nothing but its source.
    fn finish(&self, pyc: &Utf8Path) -> std::io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let bytes = foreign::read(pyc, foreign::TEXT)?;
        // The header (PEP 552) is 16 bytes long: magic number, flags, the source's hash.
        let canonical = bytes.split_at_checked(16).and_then(|(header, code)| {
            Some([header, &marshal::canonical(code, self.version)?].concat())
        });
        match canonical {
            Some(canonical) => std::fs::write(pyc, canonical)?,
            None => tracing::debug!("{pyc} is left as the interpreter wrote it"),
        }
        std::fs::set_permissions(pyc, std::fs::Permissions::from_mode(0o644))?;
        pyc.parent().map_or(Ok(()), |folder| {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
        })
    }
}
