//! `lockwright build-lock`: the project whose lock builds use.

use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::build_args::{BuildArgs, FOLDER};
use super::network_args::NetworkArgs;
use super::python_args::{Project, SelectionArgs, TargetArgs, lock_of};
use super::{Failure, Global, Outcome};
use crate::core::foreign;
use crate::core::paths;
use crate::core::progress::{Progress, warn};
use crate::core::temp_file::TempFile;
use crate::decide::plan::PythonPlan;
use crate::install::assemble::python::AssembleError;
use crate::install::build::lock_project::{self, Shape};
use crate::install::build::{self, Asked, BuildError, Builder, Carried};

/// How often the back ends may ask for more before they are taken for undecided.
const ROUNDS: usize = 5;

/// Write a project that locks the build requirements of a lock's sources: one dependency group for
/// each
///
/// The requirements come from the sources' pyproject.toml files and from their back ends. To ask a
/// back end, it must be locked: if uv is on the PATH, it makes that lock in DIR, as often as
/// needed. If not, run `uv lock` in DIR and then this command again.
#[derive(Debug, Args)]
pub struct BuildLockArgs {
    /// A project's folder, or its lock
    #[arg(default_value = ".")]
    pub(super) path: Utf8PathBuf,
    /// The folder of the project to write
    #[arg(long, short, value_name = "DIR")]
    pub(super) out: Utf8PathBuf,
    /// Do not run uv
    #[arg(long)]
    pub(super) no_lock: bool,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

/// A project that may lack a build lock, and how one is made of it.
pub struct Lacking<'a> {
    /// The project's folder, or its lock.
    pub path: &'a Utf8Path,
    /// As the command that needs it has them.
    pub selection: &'a SelectionArgs,
    /// Likewise.
    pub target: &'a TargetArgs,
    /// Likewise.
    pub network: &'a NetworkArgs,
    /// Likewise.
    pub build: &'a BuildArgs,
}

impl Lacking<'_> {
    /// Runs a command. Where all that it lacks is a build lock, and uv is here to make one, that is made in
    /// the folder `build` beside the project's lock, and the command run again.
    ///
    /// # Errors
    /// As the command's, and when the lock cannot be made.
    pub fn made_on_demand(&self, global: &Global, command: impl Fn() -> Outcome) -> Outcome {
        match command() {
            Err(error) if lacks_build_lock(error.as_ref()) && lock_project::has_uv() => {}
            outcome => return outcome,
        }
        let out = lock_of(self.path)?.with_file_name(FOLDER);
        let args = BuildLockArgs {
            path: self.path.to_owned(),
            out: out.clone(),
            no_lock: false,
            selection: self.selection.clone(),
            target: self.target.clone(),
            network: self.network.clone(),
            build: self.build.clone(),
        };
        run(&args, global)?;
        if !global.quiet {
            eprintln!("Commit what is in {out}");
        }
        command()
    }
}

/// Whether nothing says what a source is built with.
fn lacks_build_lock(error: &(dyn std::error::Error + 'static)) -> bool {
    let found = match error.downcast_ref() {
        Some(AssembleError::Build(error)) => Some(error),
        _ => error.downcast_ref(),
    };
    matches!(found, Some(BuildError::NoBuildLock { .. }))
}

/// Runs the command.
pub fn run(args: &BuildLockArgs, global: &Global) -> Outcome {
    let Project {
        lock,
        settings,
        selection,
    } = args.selection.open(&args.path)?;
    let store = args.network.store()?;
    let cache = store.root().join("interpreters");
    let chosen = args.target.choose(&lock, Some(&cache))?;
    let plan = PythonPlan::new(&lock, &chosen.target, &selection, &settings)?;
    let out = super::absolute(&args.out)?;
    let (file, own_lock) = (out.join("pyproject.toml"), out.join("uv.lock"));
    check_ours(&file, &own_lock)?;
    let network = args.network.options(&settings.indexes);
    let interpreter = chosen.interpreter.as_ref();
    let interpreter = interpreter.filter(|found| found.target.platform == chosen.target.platform);
    let mut options = args.build.options(&lock.file)?;
    options.quiet = global.quiet;
    let (root, target) = (paths::real(lock.folder()), paths::real(&out));
    if let Some(workspace) = build::workspace_around(&target)? {
        return Err(format!(
            "{out} would be a member of the workspace in {workspace}: choose another --out, or name \
             it in `exclude` of [tool.uv.workspace] there"
        )
        .into());
    }
    let uv_settings = lock_project::settings_of(&root, &target)?;
    let carried = Carried { root, out: target };
    let mut shape = Shape {
        requires_python: lock.requires_python.as_ref().map(ToString::to_string),
        constraints: settings.build.build_constraint_dependencies.clone(),
        settings: uv_settings,
        all_conflict: false,
    };
    let mut is_locked = false;
    let mut asked = Vec::new();
    for _ in 0..ROUNDS {
        options.lock = own_lock.is_file().then(|| own_lock.clone());
        let builder = Builder::new(build::Request {
            plan: &plan,
            settings: &settings,
            no_binary: &selection.no_binary_packages,
            interpreter,
            store: &store,
            fetch: &network,
            options: &options,
        })?;
        asked = builder.ask(&carried, &Progress::bytes("Fetching", 0))?;
        let text = lock_project::text(&asked, &shape)?;
        let is_same = foreign::text(&file).is_ok_and(|before| before == text);
        if is_same && (is_locked || args.no_lock) {
            break;
        }
        write(&file, &text)?;
        let Some(interpreter) = interpreter.filter(|_| !args.no_lock && !asked.is_empty()) else {
            break;
        };
        let python = &interpreter.about.base_executable;
        match lock_project::lock_with_uv(&out, python, network.offline) {
            Ok(Some(())) => is_locked = true,
            Ok(None) => {
                is_locked = false;
                break;
            }
            Err(_) if !shape.all_conflict => {
                shape.all_conflict = true;
                is_locked = false;
            }
            Err(said) => {
                return Err(format!(
                    "uv cannot lock {file}; edit it where it must be, and run `uv lock` there:\n{said}"
                )
                .into());
            }
        }
    }
    if !global.quiet {
        report(args, &file, &asked, is_locked);
    }
    Ok(ExitCode::SUCCESS)
}

/// A project that somebody wrote by hand is left alone, and so is a lock without a project.
fn check_ours(file: &Utf8Path, lock: &Utf8Path) -> Result<(), Failure> {
    let is_there = |file: &Utf8Path| file.symlink_metadata().is_ok();
    let is_ours = || file.parent().is_some_and(lock_project::is_ours);
    let foreign = [file, lock].into_iter().find(|file| is_there(file));
    match foreign {
        Some(there) if !is_ours() => Err(format!(
            "{there} is there and was not written by lockwright build-lock: choose another --out"
        )
        .into()),
        _ => Ok(()),
    }
}

fn write(file: &Utf8Path, text: &str) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    let failed = |error: std::io::Error| format!("cannot write {file}: {error}");
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut staged = TempFile::new_in(folder, None).map_err(failed)?;
    std::io::Write::write_all(&mut staged, text.as_bytes()).map_err(failed)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    staged.as_file().set_permissions(readable).map_err(failed)?;
    staged.persist(file).map_err(failed)?;
    Ok(())
}

fn report(args: &BuildLockArgs, file: &Utf8Path, asked: &[Asked], is_locked: bool) {
    let locked = if is_locked { ", locked by uv" } else { "" };
    eprintln!(
        "Wrote {file}: what {} built with{locked}",
        match asked.len() {
            1 => "1 source is".to_owned(),
            several => format!("{several} sources are"),
        }
    );
    let unasked: Vec<&Asked> = asked.iter().filter(|one| one.unasked.is_some()).collect();
    for one in &unasked {
        let why = one.unasked.as_deref().unwrap_or_default();
        warn(&format!(
            "the back end of {} could not be asked: {why}",
            one.package
        ));
    }
    if is_locked || asked.is_empty() {
        return;
    }
    let then = match unasked.is_empty() {
        true => String::new(),
        false => ", and this command again, so that the back ends can be asked".into(),
    };
    eprintln!("Next: uv lock --project {}{then}", args.out);
}
