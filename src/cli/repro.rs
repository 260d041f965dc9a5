//! `lockwright repro`: the same environment twice, under differing conditions.
//!
//! lockwright runs itself twice, once as it is and once with everything turned around that must not
//! matter: another folder, umask, locale, time zone, home, number of threads and order of downloads.

use std::process::{Command, ExitCode, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::{Failure, Outcome, print};
use crate::core::scratch::Scratch;
use crate::inspect::diff::tree::{self, Expect};

/// Assemble twice under different conditions, and say where the results differ
///
/// Arguments after `--` go to `lockwright sync`: --extra, --no-dev, …. The second run has
/// another folder, umask, locale, time zone, number of threads and of downloads. Exit code 0 if
/// nothing differs.
#[derive(Debug, Args)]
pub struct ReproArgs {
    /// A project's folder, or its lock
    #[arg(default_value = ".")]
    path: Utf8PathBuf,
    /// Where both are made [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    work: Option<Utf8PathBuf>,
    /// Keep what was made
    #[arg(long, requires = "work")]
    keep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Arguments for sync
    #[arg(last = true)]
    sync: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ReproArgs) -> Outcome {
    let held = match &args.work {
        Some(work) => {
            std::fs::create_dir_all(work)?;
            None
        }
        None => Some(Scratch::new("repro")?),
    };
    let work = match (&held, &args.work) {
        (Some(held), _) => held.path().to_owned(),
        (None, Some(work)) => super::absolute(work)?,
        (None, None) => return Err("there is nowhere to work".into()),
    };
    // Of one length: what embeds its own path stays as long as it was.
    let places = [work.join("first/env"), work.join("other/env")];
    let [first, other] = &places;
    for place in &places {
        check_ours(place)?;
    }
    assemble(args, first, false)?;
    assemble(args, other, true)?;
    let expect = Expect { own_paths: true };
    let diff = tree::compare(first.as_std_path(), other.as_std_path(), expect)?;
    let text = match args.json {
        true => crate::inspect::diff::report::json::render(&diff)?,
        false => tree::report::text(&diff, false),
    };
    print(&text)?;
    if args.work.is_some() && !args.keep {
        for place in places.iter().filter_map(|place| place.parent()) {
            std::fs::remove_dir_all(place)?;
        }
    }
    Ok(ExitCode::from(u8::from(!diff.is_same())))
}

/// Refuses a place in whose folder something is that an earlier run has not left: it would go.
fn check_ours(place: &Utf8Path) -> Result<(), Failure> {
    let folder = place.parent().unwrap_or(place);
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut foreign = entries.filter(|entry| {
        let name = entry.file_name();
        name != "env" && name != "env.provenance.json"
    });
    match foreign.next() {
        Some(entry) => Err(format!(
            "{} is in the way, and would be lost: choose another --work",
            entry.path()
        )
        .into()),
        None => Ok(()),
    }
}

fn assemble(args: &ReproArgs, out: &Utf8Path, turned: bool) -> Result<(), Failure> {
    let folder = out.parent().unwrap_or(out);
    std::fs::create_dir_all(folder)?;
    let mut sync = Command::new(std::env::current_exe()?);
    sync.args([
        "sync",
        args.path.as_str(),
        "--out",
        out.as_str(),
        "--reinstall",
        "--quiet",
    ])
    .args(&args.sync)
    .stdin(Stdio::null())
    .stdout(Stdio::null());
    let umask = if turned { 0o077 } else { 0o022 };
    if turned {
        sync.env("LC_ALL", "tr_TR.UTF-8")
            .env("LANG", "tr_TR.UTF-8")
            .env("TZ", "Pacific/Kiritimati")
            .env("RAYON_NUM_THREADS", "1")
            .env("UV_CONCURRENT_DOWNLOADS", "1")
            .env("SOURCE_DATE_EPOCH", "1000000000");
    } else {
        sync.env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("RAYON_NUM_THREADS", "4");
    }
    // A child inherits it; nothing else runs here meanwhile.
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    let status = sync.status();
    rustix::process::umask(before);
    if status?.success() {
        Ok(())
    } else {
        let which = if turned { "second" } else { "first" };
        Err(format!("the {which} run of sync failed: see above").into())
    }
}
