//! `lockwright hash`: the NAR hash of a tree, before Nix has seen it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Outcome, outputs, print};
use crate::core::digest::Digest;
use crate::transform::nix::base32;
use crate::transform::nix::nar::{Archive, NarError};

/// Print the NAR hash of a tree, file or link: Nix's outputHash (recursive, SHA-256)
#[derive(Debug, Args)]
pub struct HashArgs {
    /// What to hash. A link itself is hashed, not its target
    path: PathBuf,
    /// Print the hash in Nix's base-32 rather than as sha256-<base64>
    #[arg(long)]
    base32: bool,
    /// Print JSON: both spellings, and the archive's size
    #[arg(long, conflicts_with = "base32")]
    json: bool,
    /// Write the archive as well; `-` is standard output, the hash then goes to standard error
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &HashArgs) -> Outcome {
    let archive = Archive::of(&args.path)?;
    let to_stdout = args.dump.as_deref() == Some(Path::new("-"));
    let digest = match args.dump.as_deref() {
        None => archive.hash()?,
        Some(_) if to_stdout => match archive.write(io::stdout().lock()) {
            // The reader has what it wanted.
            Err(NarError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Ok(ExitCode::FAILURE);
            }
            other => other?,
        },
        Some(out) => dump(args, &archive, out)?,
    };
    let text = spell(args, &archive, &digest)?;
    if to_stdout {
        eprint!("{text}");
    } else {
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn spell(args: &HashArgs, archive: &Archive, digest: &Digest) -> serde_json::Result<String> {
    Ok(if args.json {
        let report = serde_json::json!({
            "path": args.path.to_string_lossy(),
            "hash": digest.sri(),
            "base32": base32::encode(digest.bytes()),
            "nar-size": archive.size(),
        });
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else if args.base32 {
        format!("{}\n", base32::encode(digest.bytes()))
    } else {
        format!("{}\n", digest.sri())
    })
}

/// Writes the archive to a file.
fn dump(args: &HashArgs, archive: &Archive, out: &Path) -> Result<Digest, super::Failure> {
    let out = outputs::utf8(out)?;
    let read = outputs::utf8(&args.path)?;
    outputs::write_report(&out, &[read.as_str()], |to| archive.write(to))
}
