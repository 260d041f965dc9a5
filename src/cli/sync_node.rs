//! `lockwright sync` of a package-lock.json: what `npm ci --ignore-scripts` writes.

use std::process::ExitCode;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::dry_run::DryRun;
use super::limit_args::LimitArgs;
use super::network_args::NetworkArgs;
use super::node_args::{NodeArgs, NodeProject};
use super::{Global, Outcome, outputs, print};
use crate::core::progress::{bytes, count, warn};
use crate::files::tree::Precious;
use crate::install::assemble::npm::current::{is_current, look, made_from, sweep};
use crate::install::assemble::npm::scripts::{OWN, names_own};
use crate::install::assemble::npm::{
    Assembled, Destination, LeftOut, NpmAssembleError, Request, assemble,
};
use crate::install::build::Anew;

/// What of `sync`'s arguments matters here.
pub struct NodeSync<'a> {
    pub lock: &'a Utf8Path,
    pub out: Option<&'a Utf8Path>,
    pub clear: bool,
    pub look: Option<DryRun>,
    pub anew: Anew,
    pub json: bool,
    pub node: &'a NodeArgs,
    pub limits: &'a LimitArgs,
    pub network: &'a NetworkArgs,
}

/// What `--json` reports.
#[derive(Serialize)]
struct Report<'a> {
    changed: bool,
    folders: &'a [Utf8PathBuf],
    target: &'a str,
    packages: usize,
    programs: usize,
    files: u64,
    bytes: u64,
    from_store: usize,
    from_disk: usize,
    from_shared: usize,
    from_network: usize,
    bytes_fetched: u64,
    scripts_run: &'a [String],
    scripts_not_run: Vec<String>,
    /// Optional packages that were left out because their scripts failed, and how.
    left_out: &'a [LeftOut],
    /// Git dependencies that were placed as they are, without what their `prepare` would make.
    not_prepared: &'a [String],
    /// Packages whose bytes nothing, or a digest that can be forged, vouches for.
    weak: Vec<String>,
    warnings: &'a [String],
}

/// Runs the command.
pub fn run(args: &NodeSync<'_>, global: &Global) -> Outcome {
    let start = Instant::now();
    let store = args.network.store()?;
    let out = args.out.map(super::absolute).transpose()?;
    // What scripts have made cannot be told from what they should make.
    let may_be_current = args.anew == Anew::Nothing && args.node.allow_scripts.is_empty();
    let folder = args.lock.parent().unwrap_or(Utf8Path::new("/"));
    let looked = may_be_current.then(|| look(&store, folder, out.as_deref()));
    let mut project = args.node.open(args.lock)?;
    if project.npmrc.is_set("dry-run") {
        return Err("dry-run=true is set, in .npmrc or npm_config_dry_run: `lockwright plan` says what would be \
                    placed; remove the setting to have it placed"
            .into());
    }
    let planned = start.elapsed();
    for warning in &project.plan.warnings {
        tracing::info!("{warning}");
    }
    args.network.beside(args.lock)?;
    let options = project.options(args.network.options(&[]))?;
    if out.is_some() && names_own(&project.plan, &args.node.allow_scripts) {
        return Err(
            "--allow-scripts names the project or a workspace, whose scripts run in their own \
                    folder, and --out collects everything elsewhere: leave one of the two out"
                .into(),
        );
    }
    let root = out.as_deref().unwrap_or(project.lock.folder()).to_owned();
    let hidden_lockfile = !args.node.no_hidden_lockfile;
    let key = made_from(&project.lock, &project.plan, hidden_lockfile);
    let place = (&*root, out.is_some());
    if let Some(looked) = looked
        && is_current(&store, looked, &key, &project.lock, &project.plan, place)
    {
        if args.look.is_none() {
            sweep(&project.plan, place);
        }
        return finish(args, global, &project, &Assembled::default(), &[], || {
            format!(
                "{root}/node_modules is up to date: {}",
                count(project.plan.packages.len(), "package")
            )
        });
    }
    if let Some(look) = args.look {
        let packages = count(project.plan.packages.len(), "package");
        return look.say(&format!("place {packages} in {root}/node_modules"));
    }
    let mut precious = Precious::default();
    outputs::of_npm(&mut precious, &project.lock);
    outputs::of_store(&mut precious, &store, &options);
    let mut left_out = Vec::new();
    let done = loop {
        let done = assemble(&Request {
            plan: &project.plan,
            lock: &project.lock,
            store: &store,
            fetch: &options,
            limits: args.limits.limits(),
            to: out
                .as_deref()
                .map_or(Destination::InPlace, Destination::Folder),
            clear: args.clear,
            precious: &precious,
            hidden_lockfile,
            anew: &args.anew,
            link: args.node.link(&store, &root),
            scripts: &args.node.allow_scripts,
            node: None,
            npmrc: &project.npmrc,
        });
        match done {
            // Optional packages may fail, and are left out then, each with its whole set.
            Err(NpmAssembleError::Optional(failed)) => {
                project.leave_out(failed.iter().map(|failed| failed.location.clone()))?;
                left_out.extend(failed);
            }
            done => break done?,
        }
    };
    if args.node.allow_scripts.is_empty() {
        for (folder, listing) in done.folders.iter().zip(&done.listings) {
            store.stamp(folder, &key, Some(listing));
        }
    }
    for (folder, replaced) in done.replaced.iter().filter(|_| args.clear && !global.quiet) {
        outputs::say_replaced(folder, replaced);
    }
    let plan = &project.plan;
    finish(args, global, &project, &done, &left_out, || {
        let place = done.folders.last().map_or("", |folder| folder.as_str());
        format!(
            "Placed {} in {place}: {}, {}\n{:.2} s: plan {:.2} s",
            count(plan.packages.len(), "package"),
            count(done.files as usize, "file"),
            bytes(done.bytes),
            start.elapsed().as_secs_f64(),
            planned.as_secs_f64(),
        )
    })
}

fn finish(
    args: &NodeSync<'_>,
    global: &Global,
    project: &NodeProject,
    done: &Assembled,
    left_out: &[LeftOut],
    said: impl FnOnce() -> String,
) -> Outcome {
    let plan = &project.plan;
    let with_scripts = plan
        .packages
        .iter()
        .filter(|package| package.has_install_script)
        .map(|package| package.location.to_string());
    let own = (!plan.own_scripts.is_empty()).then(|| OWN.to_owned());
    let scripts: Vec<String> = own
        .into_iter()
        .chain(with_scripts)
        .filter(|place| !done.scripts_run.contains(place))
        .collect();
    let report = Report {
        changed: !done.folders.is_empty(),
        folders: &done.folders,
        target: &plan.target,
        packages: plan.packages.len(),
        programs: plan.bins.len(),
        files: done.files,
        bytes: done.bytes,
        from_store: done.fetched.from_store,
        from_disk: done.fetched.from_disk,
        from_shared: done.fetched.from_shared,
        from_network: done.fetched.from_network,
        bytes_fetched: done.fetched.bytes,
        scripts_run: &done.scripts_run,
        scripts_not_run: scripts,
        left_out,
        not_prepared: &done.unprepared,
        weak: project.weak(),
        warnings: &plan.warnings,
    };
    if !report.weak.is_empty() {
        warn(&format!(
            "only weak digests (sha1, md5), or none, protect {}",
            report.weak.join(", ")
        ));
    }
    for LeftOut { location, why } in left_out {
        warn(&format!("{location} is optional and is left out: {why}"));
    }
    if !report.not_prepared.is_empty() {
        warn(&format!(
            "the `prepare` scripts of these git dependencies were not run: {}; --allow-scripts NAME runs them",
            report.not_prepared.join(", ")
        ));
    }
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else if !global.quiet {
        eprintln!("{}", said());
        if !report.scripts_not_run.is_empty() {
            let places = report
                .scripts_not_run
                .iter()
                .map(|place| match place.as_str() {
                    OWN => "the project itself (`.`)",
                    place => place,
                });
            eprintln!(
                "Scripts that npm would run were not run; --allow-scripts NAME runs those of: {}",
                places.collect::<Vec<_>>().join(", ")
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
