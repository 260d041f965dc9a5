//! `lockwright sync`: fetch what a lock names, and assemble it.

use std::time::Instant;

use camino::Utf8PathBuf;
use pep508_rs::PackageName;

use super::build_lock::Lacking;
use super::python_args::{Project, lock_of};
use super::sync_args::SyncArgs;
use super::sync_node::{self, NodeSync};
use super::sync_place::{Work, place, venv_of};
use super::{Failure, Global, Outcome, outputs, unknown};

use crate::core::paths;
use crate::decide::lock::is_pylock;
use crate::decide::plan::PythonPlan;
use crate::files::tree::Precious;
use crate::install::build::{self, Anew, Builder};
use crate::install::python::Layout;

/// Runs the command.
pub fn run(args: &SyncArgs, global: &Global) -> Outcome {
    let path = args.path();
    if !global.quiet {
        super::say_of_both(path)?;
    }
    if let Some(lock) = super::find_npm_lock(path)? {
        let args = NodeSync {
            lock: &lock,
            out: args.out.as_deref(),
            clear: args.clear,
            look: args.look(),
            anew: anew(args, str::to_owned),
            json: args.json,
            node: &args.node,
            limits: &args.limits,
            network: &args.network,
        };
        return sync_node::run(&args, global);
    }
    args.node.refuse(path)?;
    let lacking = Lacking {
        path,
        selection: &args.selection,
        target: &args.target,
        network: &args.network,
        build: &args.build,
    };
    lacking.made_on_demand(global, || python(args, global))
}

/// Where the environment goes.
fn place_of(args: &SyncArgs) -> Result<Utf8PathBuf, Failure> {
    if let Some(out) = &args.out {
        return Ok(super::absolute(out)?);
    }
    let lock = lock_of(args.path())?;
    let name = lock.file_name().unwrap_or_default();
    if name != "uv.lock" && !is_pylock(name) {
        return Ok(lock.with_extension("").with_extension("venv"));
    }
    let variable = std::env::var("UV_PROJECT_ENVIRONMENT").unwrap_or_default();
    Ok(match variable.as_str() {
        "" => lock.with_file_name(".venv"),
        said => paths::normal(&lock.with_file_name(said)),
    })
}

/// Makes the environment of a `uv.lock`.
fn python(args: &SyncArgs, global: &Global) -> Outcome {
    let start = Instant::now();
    let store = args.network.store()?;
    args.build.take(&store)?;
    let dest = place_of(args)?;
    let anew = anew(args, |name| match name.parse::<PackageName>() {
        Ok(name) => name.to_string(),
        Err(_) => name.to_owned(),
    });
    let may_be_current = anew == Anew::Nothing;
    let looked = may_be_current.then(|| store.look(&dest)).flatten();
    let Project {
        lock,
        settings,
        selection,
    } = args.selection.open(args.path())?;
    if let Anew::Packages(named) = &anew {
        let named: Vec<PackageName> = named.iter().filter_map(|name| name.parse().ok()).collect();
        unknown::warn_of("--reinstall-package", &named, &lock);
    }
    let chosen = args
        .target
        .choose(&lock, Some(&store.root().join("interpreters")))?;
    let plan = PythonPlan::new(&lock, &chosen.target, &selection, &settings)?;
    let planned = start.elapsed();

    let layout = Layout::new(&chosen.target, &dest, args.relocatable);
    let venv = venv_of(args, &chosen)?;
    let mut building = args.build.options(&lock.file)?;
    building.quiet = global.quiet;
    building.anew = anew;
    args.network.beside(&lock.file)?;
    let network = args.network.options(&settings.indexes);
    let interpreter = chosen.interpreter.as_ref();
    let builder = Builder::new(build::Request {
        plan: &plan,
        settings: &settings,
        no_binary: &selection.no_binary_packages,
        interpreter: interpreter.filter(|found| found.target.platform == chosen.target.platform),
        store: &store,
        fetch: &network,
        options: &building,
    })?;
    let mut precious = Precious::default();
    outputs::of_uv(&mut precious, &lock);
    outputs::of_store(&mut precious, &store, &network);
    if let Some(file) = &building.lock {
        precious.add("the build lock", file);
    }
    place(Work {
        args,
        global,
        start,
        store: &store,
        looked,
        may_be_current,
        anew: &building.anew,
        dest: &dest,
        plan: &plan,
        placed: &plan,
        planned,
        layout: &layout,
        chosen: &chosen,
        venv: &venv,
        builder: Some(&builder),
        keys: builder.keys(),
        network: &network,
        precious,
    })
}

/// What is made anew whatever is there: with --clear, --reinstall or --reinstall-package.
fn anew(args: &SyncArgs, name: impl Fn(&str) -> String) -> Anew {
    match args.reinstall_package.is_empty() {
        _ if args.reinstall || args.clear => Anew::Everything,
        true => Anew::Nothing,
        false => Anew::Packages(args.reinstall_package.iter().map(|one| name(one)).collect()),
    }
}
