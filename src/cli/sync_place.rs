//! A Python environment, put in its place: unless it is up to date, it is assembled and
//! reported.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use super::python_args::Chosen;
use super::sync_args::SyncArgs;
use super::{Failure, Global, Outcome, outputs, print};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::progress::{Progress, bytes, count, warn};
use crate::core::walk::walk;
use crate::decide::plan::PythonPlan;
use crate::decide::target::Os;
use crate::files::tree::{LinkMode, Precious, Provenance, Replace, Tree, TreeOptions, TreePath};
use crate::inspect::diff::report::clean;
use crate::inspect::verify::verify;
use crate::install::assemble::bytecode;
use crate::install::assemble::python::{Assembled, Request, assemble};
use crate::install::build::{Anew, Builder};
use crate::install::python::venv::Venv;
use crate::install::python::{Layout, venv};
use crate::obtain::fetch;
use crate::obtain::store::{Look, Store};

/// The file that says what an environment was made from, beside its provenance record.
const STATE: &str = ".lockwright/state.json";

#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
struct State {
    /// The version that made it.
    lockwright: String,
    /// A digest of all that went into it: an equal one means there is nothing to do.
    made_from: Digest,
    /// `name version` of each package, in order.
    packages: Vec<String>,
}

/// What `--json` reports.
#[derive(Serialize)]
struct Report<'a> {
    environment: &'a Utf8Path,
    target: &'a str,
    changed: bool,
    packages: &'a [String],
    files: u64,
    bytes: u64,
    from_store: usize,
    from_disk: usize,
    from_shared: usize,
    from_network: usize,
    bytes_fetched: u64,
    built: usize,
    built_before: usize,
    collisions: &'a [crate::files::tree::Collision],
}

/// An environment to be made, all of it decided.
pub(super) struct Work<'a> {
    pub(super) args: &'a SyncArgs,
    pub(super) global: &'a Global,
    pub(super) start: Instant,
    pub(super) store: &'a Store,
    /// What was seen of the place.
    pub(super) looked: Option<Look>,
    pub(super) may_be_current: bool,
    pub(super) anew: &'a Anew,
    pub(super) dest: &'a Utf8Path,
    /// What is asked for.
    pub(super) plan: &'a PythonPlan,
    /// The same, where wheels that were built before stand in for what is built.
    pub(super) placed: &'a PythonPlan,
    /// How long planning took.
    pub(super) planned: Duration,
    pub(super) layout: &'a Layout,
    pub(super) chosen: &'a Chosen,
    pub(super) venv: &'a Venv,
    pub(super) builder: Option<&'a Builder<'a>>,
    /// What built wheels are made of.
    pub(super) keys: BTreeMap<String, Option<String>>,
    pub(super) network: &'a fetch::FetchOptions,
    pub(super) precious: Precious,
}

/// Makes the environment, where there is something to be done.
pub(super) fn place(work: Work<'_>) -> Outcome {
    let Work {
        args,
        global,
        start,
        store,
        looked,
        may_be_current,
        anew,
        dest,
        plan,
        placed,
        planned,
        layout,
        chosen,
        venv,
        builder,
        keys,
        network,
        precious,
    } = work;
    let made_from = made_from(args, plan, layout, venv, &keys)?;
    let packages: Vec<String> = plan
        .packages
        .iter()
        .map(crate::decide::plan::PlannedPackage::label)
        .collect();
    let mut report = Report {
        environment: dest,
        target: &plan.target,
        changed: false,
        packages: &packages,
        files: 0,
        bytes: 0,
        from_store: 0,
        from_disk: 0,
        from_shared: 0,
        from_network: 0,
        bytes_fetched: 0,
        built: 0,
        built_before: 0,
        collisions: &[],
    };
    if may_be_current && is_current(dest, (store, looked), &made_from, global) {
        if args.look().is_none() {
            Tree::sweep(dest);
        }
        return finish(args, global, &report, || {
            let packages = count(packages.len(), "package");
            format!("{dest} is up to date: {packages}")
        });
    }

    if let Some(look) = args.look() {
        let packages = count(packages.len(), "package");
        return look.say(&format!("place {packages} in {dest}"));
    }

    let tree = Tree::stage(
        dest,
        TreeOptions {
            replace: Replace::cleared(args.clear),
            precious,
            ..TreeOptions::default()
        },
    )?;
    let replaced = tree.replaced().cloned();
    // No package may have its files in place of the environment's own.
    let own = tree.owner("the environment", u64::MAX);
    venv::write(&tree, own, layout, &chosen.target, venv)?;
    let done = assemble(
        &tree,
        &Request {
            plan: placed,
            layout,
            store,
            fetch: network,
            limits: args.limits.limits(),
            link: args.node.link(store, dest),
            strict: args.strict,
            builder,
        },
    )?;
    for collision in &done.collisions {
        warn(&collision.to_string());
    }
    let compiling = Instant::now();
    if args.compile_bytecode {
        compile(
            chosen,
            &tree,
            layout,
            (store, anew),
            args.node.link(store, dest),
        )?;
    }
    let compiled = compiling.elapsed();
    let state = State {
        lockwright: env!("CARGO_PKG_VERSION").into(),
        made_from: made_from.clone(),
        packages: packages.clone(),
    };
    let text = format!("{}\n", serde_json::to_string_pretty(&state)?);
    tree.file(own, &TreePath::new(STATE)?, 0o644, text.as_bytes())?;
    (report.files, report.bytes) = tree.written();
    let staged = tree.finish();
    // Bytecode is written by the interpreter, not by the tree.
    let listing = (!args.compile_bytecode).then(|| staged.listing());
    let placed = staged.commit()?;
    store.stamp(&placed, &made_from, listing.as_ref());
    if let Some(replaced) = replaced.filter(|_| !global.quiet) {
        outputs::say_replaced(&placed, &replaced);
    }

    let Assembled {
        fetched,
        fetching,
        placing,
        ..
    } = &done;
    report.changed = true;
    report.from_store = fetched.from_store;
    report.from_disk = fetched.from_disk;
    report.from_shared = fetched.from_shared;
    report.from_network = fetched.from_network;
    report.bytes_fetched = fetched.bytes;
    (report.built, report.built_before) = (done.built, done.built_before);
    report.collisions = &done.collisions;
    finish(args, global, &report, || {
        let mut from = Vec::new();
        for (number, place) in [
            (fetched.from_store + done.built_before, "from the store"),
            (fetched.from_disk, "from this machine"),
            (fetched.from_shared, "from the shared store"),
            (fetched.from_network, "from the network"),
        ] {
            if number > 0 {
                from.push(format!("{number} {place}"));
            }
        }
        let from = match (from.join(", "), done.built) {
            (from, 0) if from.is_empty() => String::new(),
            (from, 0) => format!(" ({from})"),
            (from, built) if from.is_empty() => format!(", {built} of them built"),
            (from, built) => format!(", {built} of them built (artifacts: {from})"),
        };
        let downloaded = match fetched.bytes {
            0 => String::new(),
            fetched => format!(", {} fetched", bytes(fetched)),
        };
        let compiled = match args.compile_bytecode {
            true => format!(", compile {:.2} s", compiled.as_secs_f64()),
            false => String::new(),
        };
        format!(
            "Placed {}{from} in {dest}: {}, {}{downloaded}\n\
             {:.2} s: plan {:.2} s, fetch {:.2} s, place {:.2} s{compiled}",
            count(packages.len(), "package"),
            count(report.files as usize, "file"),
            bytes(report.bytes),
            start.elapsed().as_secs_f64(),
            planned.as_secs_f64(),
            fetching.as_secs_f64(),
            placing.as_secs_f64(),
        )
    })
}

fn finish(
    args: &SyncArgs,
    global: &Global,
    report: &Report<'_>,
    summary: impl FnOnce() -> String,
) -> Outcome {
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(report)?))?;
    } else if !global.quiet {
        eprintln!("{}", summary());
    }
    Ok(ExitCode::SUCCESS)
}

/// The environment's own properties, and where its interpreter will be.
pub(super) fn venv_of(args: &SyncArgs, chosen: &Chosen) -> Result<Venv, Failure> {
    let target = &chosen.target;
    if target.platform.os == Os::Windows && args.interpreter.is_none() {
        return Err(
            "say where that Windows will have its Python, as in --interpreter 'C:\\Python314\\python.exe'".into(),
        );
    }
    let (major, minor) = target.version;
    let interpreter = match (&args.interpreter, &chosen.interpreter) {
        (Some(path), _) => path.clone(),
        (None, Some(found)) if found.target.platform == target.platform => {
            found.about.base_executable.clone()
        }
        // Where most systems have it; said in the help of --interpreter.
        (None, _) => format!("/usr/bin/python{major}.{minor}").into(),
    };
    Ok(Venv {
        interpreter,
        version: target.markers.python_full_version().to_string(),
        prompt: args.prompt.clone(),
        system_site_packages: args.system_site_packages,
    })
}

/// A digest of all that decides about the environment's bytes.
fn made_from(
    args: &SyncArgs,
    plan: &PythonPlan,
    layout: &Layout,
    venv: &Venv,
    keys: &BTreeMap<String, Option<String>>,
) -> Result<Digest, serde_json::Error> {
    let mut plan = plan.clone();
    for package in &mut plan.packages {
        package.bare();
    }
    let all = serde_json::json!({
        "lockwright": env!("CARGO_PKG_VERSION"),
        "plan": plan,
        "layout": format!("{layout:?}"),
        "venv": format!("{venv:?}"),
        "bytecode": args.compile_bytecode,
        "builds": keys,
    });
    Ok(Digest::of(Algorithm::Sha256, &serde_json::to_vec(&all)?))
}

fn state(dest: &Utf8Path) -> Option<State> {
    serde_json::from_slice(&foreign::read(dest.join(STATE), foreign::TEXT).ok()?).ok()
}

/// Whether the environment was made from the same, and nothing in it has been touched since. One
/// that has another stamp, a copy say, is checked against its records, file by file.
fn is_current(
    dest: &Utf8Path,
    (store, looked): (&Store, Option<Look>),
    made_from: &Digest,
    global: &Global,
) -> bool {
    if looked.is_some_and(|look| look.finds(made_from)) {
        return true;
    }
    if state(dest).is_none_or(|state| state.made_from != *made_from) {
        return false;
    }
    // Records that cannot be read are made anew with all else.
    let (Ok(tree), Ok(Some(provenance))) = (walk(dest.as_std_path()), Provenance::of_tree(dest))
    else {
        return false;
    };
    let Ok(report) = verify(dest.as_std_path(), &tree, Some(&provenance)) else {
        return false;
    };
    if report.problems.is_empty() {
        store.stamp(dest, made_from, None);
        return true;
    }
    if !global.quiet {
        let files = report.problems.iter().take(3).map(|problem| &*problem.path);
        let files: Vec<&str> = files.collect();
        let more = match report.problems.len() - files.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let files = clean(&files.join(", "));
        eprintln!("{dest} was changed, so it is made again: {files}{more}");
    }
    false
}

/// Compiles the bytecode of an environment that has all its files.
///
/// # Errors
/// When there is no interpreter of the target here.
pub(super) fn compile(
    chosen: &Chosen,
    tree: &Tree,
    layout: &Layout,
    (store, anew): (&Store, &Anew),
    link: LinkMode,
) -> Result<(), Failure> {
    let Some(interpreter) = &chosen.interpreter else {
        return Err(
            "bytecode is made by the target's interpreter, and there is none here: leave \
                    --compile-bytecode out, or give an interpreter with --python"
                .into(),
        );
    };
    let request = bytecode::Request {
        tree,
        site: &layout.site,
        interpreter,
        store,
        link,
        anew,
    };
    bytecode::compile(&request, &Progress::items("Compiling", 0))?;
    Ok(())
}
