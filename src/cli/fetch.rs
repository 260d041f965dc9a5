//! `lockwright fetch`: only the network phase.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;

use super::build::{self, Named};
use super::build_args::BuildArgs;
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{Project, SelectionArgs, TargetArgs};
use super::vendored::{Needed, Trees, bring, of_list, write_vendor};
use super::{Failure, Global, Outcome, outputs, print};
use crate::component::nix_graph::List;
use crate::component::vendor::needs;
use crate::component::{RequestedComponent, Settings};
use crate::core::artifact::Location;
use crate::core::foreign;
use crate::core::progress;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::manifest::Document;
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::decide::plan::{Install, PythonPlan};
use crate::files::tree::{Precious, Record, Replace, TreeOptions};
use crate::install::assemble::npm::prepare;
use crate::install::assemble::npm::{fetch_commit, revision};
use crate::obtain::fetch::{FetchOptions, Summary};
use crate::obtain::source::git;
use crate::obtain::store::{Blob, Store};

/// Fetch the artifacts of a lock into the store, and place nothing
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Projects' folders, their locks, or a lockwright.toml, for all that its components need and
    /// what building them needs
    #[arg(
        default_value = ".",
        default_value_if("list", clap::builder::ArgPredicate::IsPresent, None)
    )]
    paths: Vec<Utf8PathBuf>,
    /// A list of artifacts and commits to fetch, as `export nix` writes one (repeatable)
    #[arg(long, value_name = "FILE")]
    list: Vec<Utf8PathBuf>,
    /// Use this folder instead of a lockwright.toml's source (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    source: Vec<Named>,
    /// Also write the artifacts to a plain folder, for `--find-links OUT --offline` elsewhere, and
    /// print its NAR hash
    #[arg(long, value_name = "OUT")]
    vendor: Option<Utf8PathBuf>,
    /// Replace an existing folder of artifacts at OUT, whatever tool made it, and say what it was
    #[arg(long, requires = "vendor")]
    clear: bool,
    /// Print a JSON report
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
}

/// What `--json` reports.
#[derive(Serialize)]
struct Report<'a> {
    store: &'a Utf8Path,
    from_store: usize,
    from_disk: usize,
    from_shared: usize,
    from_network: usize,
    bytes_fetched: u64,
    vendor: Option<Vendored<'a>>,
    artifacts: Vec<Fetched<'a>>,
}

#[derive(Serialize)]
struct Vendored<'a> {
    path: &'a Utf8Path,
    hash: String,
}

#[derive(Serialize)]
struct Fetched<'a> {
    package: &'a str,
    version: &'a str,
    file_name: &'a str,
    source: String,
    digest: String,
    size: u64,
    path: &'a Utf8Path,
}

/// Runs the command.
pub fn run(args: &FetchArgs, global: &Global) -> Outcome {
    let start = Instant::now();
    let store = args.network.store()?;
    let mut needed = Vec::new();
    let mut indexes = Vec::new();
    let mut npm = Vec::new();
    let (mut trees, mut mirrors) = (Trees::new(), Vec::new());
    let mut allow_unhashed = BTreeSet::new();
    let mut modules = Modules::default();
    let mut precious = Precious::default();
    for path in &args.paths {
        if super::is_manifest(path) {
            let document = Document::open(path)?;
            mirrors.extend(build::mirrors(&document)?);
            outputs::of_manifest(&mut precious, &document);
            let own = of_manifest(args, &document, &store, &mut modules)?;
            allow_unhashed.extend(own.unhashed);
            needed.extend(own.artifacts);
            trees.extend(own.trees);
            continue;
        }
        if let Some(lock) = super::find_npm_lock(path)? {
            let project = args.node.open(&lock)?;
            outputs::of_npm(&mut precious, &project.lock);
            npm.push(project);
            continue;
        }
        let project = args.selection.open(path)?;
        outputs::of_uv(&mut precious, &project.lock);
        let plan = plan(args, &project, &store)?;
        needed.extend(of_plan(plan));
        indexes.extend(project.settings.indexes);
    }
    let git_options = FetchOptions {
        mirrors: args.network.mirrors(Vec::new()),
        ..args.network.options(&[])
    };
    for file in &args.list {
        let text = foreign::read(file, foreign::TEXT)
            .map_err(|error| format!("cannot read the list {file}: {error}"))?;
        let list: List = serde_json::from_slice(&text)
            .map_err(|error| format!("{file} is not a list of artifacts: {error}"))?;
        precious.add("the list", file);
        let (artifacts, git) = of_list(&store, &git_options, list)?;
        needed.extend(artifacts);
        trees.extend(git);
    }
    let mut options = args.network.options(&indexes);
    options.mirrors = args.network.mirrors(mirrors);
    options.allow_unhashed.extend(allow_unhashed);
    for project in &npm {
        options = project.options(options)?;
        let mut all = OfNpm {
            store: &store,
            options: &options,
            npmrc: &project.npmrc,
            scripts: &args.node.allow_scripts,
            needed: &mut needed,
            trees: &mut trees,
        };
        all.take(&project.plan)?;
    }
    let (mut summary, mut all) = bring(&store, &options, &needed)?;
    summary.add(&modules.summary);
    all.extend(
        modules
            .all
            .iter()
            .map(|(needed, blob)| (needed, blob.clone())),
    );

    let vendored = match &args.vendor {
        None => None,
        Some(out) => {
            let out = super::absolute(out)?;
            outputs::of_store(&mut precious, &store, &options);
            let how = TreeOptions {
                replace: Replace::cleared(args.clear),
                record: outputs::record_beside(&out),
                precious,
            };
            let (hash, replaced) = write_vendor(&out, &all, &trees, how)?;
            if let Some(replaced) = replaced.filter(|_| !global.quiet) {
                outputs::say_replaced(&out, &replaced);
            }
            Some((out, hash))
        }
    };
    if args.json {
        let report = report(&store, summary, vendored.as_ref(), &all);
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else if let Some((_, hash)) = &vendored {
        print(&format!("{hash}\n"))?;
    }
    if !global.quiet && !args.json {
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{} in {seconds:.2} s", said(&summary, all.len()));
        if let Some((out, _)) = &vendored {
            eprintln!("Vendored in {out}: use it with --find-links {out} --offline");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What plans of npm's need: tarballs to be fetched, and commits, which are there then.
struct OfNpm<'a> {
    store: &'a Store,
    options: &'a FetchOptions,
    npmrc: &'a Npmrc,
    /// Whose scripts may run: a git dependency's need what its own lock names.
    scripts: &'a [String],
    needed: &'a mut Vec<Needed>,
    trees: &'a mut Trees,
}

impl OfNpm<'_> {
    fn take(&mut self, plan: &NpmPlan) -> Result<(), Failure> {
        for package in &plan.packages {
            match &package.source {
                NpmSource::Tarball(artifact) => self.needed.push(Needed {
                    package: package.name.clone(),
                    version: package.version.clone().unwrap_or_default(),
                    artifact: artifact.clone(),
                }),
                NpmSource::Git(commit) => {
                    let revision = revision(commit);
                    if self.trees.iter().any(|(known, _)| *known == revision) {
                        continue;
                    }
                    let tree = fetch_commit(self.store, &package.name, commit, self.options)?;
                    if self.scripts.contains(&package.name)
                        && let Some(plan) =
                            prepare::needs(&package.name, commit, &tree.archive, self.npmrc)?
                    {
                        self.take(&plan)?;
                    }
                    self.trees.push((revision, tree));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Go's modules that are in the store, and where they came from.
#[derive(Default)]
struct Modules {
    summary: Summary,
    all: Vec<(Needed, Blob)>,
}

/// What the components of a manifest need: files to be fetched, git trees, which are there, and which of
/// the files need no digest.
struct OfManifest {
    artifacts: Vec<Needed>,
    trees: Trees,
    unhashed: BTreeSet<String>,
}

fn of_manifest(
    args: &FetchArgs,
    document: &Document,
    store: &Store,
    modules: &mut Modules,
) -> Result<OfManifest, Failure> {
    let fetch = build::network(&args.network, document)?;
    let settings = Settings {
        document,
        store,
        fetch: &fetch,
        python: args.target.python(),
        sources: build::folders(&args.source)?,
        given: BTreeMap::new(),
        build: BuildArgs::default().own()?,
        wanted: document
            .manifest
            .component
            .keys()
            .map(|name| RequestedComponent {
                name: name.clone(),
                out: store.root().to_owned(),
                prefix: store.root().to_owned(),
            })
            .collect(),
        clear: false,
        record: Record::Beside,
        precious: Precious::default(),
    };
    let needs = needs(&settings)?;
    let mut trees = Trees::new();
    for revision in needs.revisions {
        if trees.iter().all(|(known, _)| *known != revision) {
            let tree = git::fetch(store, &revision, &fetch)?;
            trees.push((revision, tree));
        }
    }
    for lock in &needs.modules {
        let (summary, obtained) = lock.obtain(store, &fetch)?;
        modules.summary.add(&summary);
        modules.all.extend(obtained.into_iter().map(|one| {
            let needed = Needed {
                package: one.module.path.clone(),
                version: one.module.version.clone(),
                artifact: one.artifact,
            };
            (needed, one.blob)
        }));
    }
    let artifacts = needs.artifacts.into_iter().map(|needed| Needed {
        package: needed.package,
        version: needed.version,
        artifact: needed.artifact,
    });
    Ok(OfManifest {
        artifacts: artifacts.collect(),
        trees,
        unhashed: needs.unhashed,
    })
}

fn plan(args: &FetchArgs, project: &Project, store: &Store) -> Result<PythonPlan, Failure> {
    let cache = store.root().join("interpreters");
    let chosen = args.target.choose(&project.lock, Some(&cache))?;
    Ok(PythonPlan::new(
        &project.lock,
        &chosen.target,
        &project.selection,
        &project.settings,
    )?)
}

/// What of a plan is a file to be fetched. Git sources are trees, and are told instead.
fn of_plan(plan: PythonPlan) -> Vec<Needed> {
    let mut needed = Vec::new();
    for package in plan.packages {
        let version = package.version.as_ref().map(ToString::to_string);
        match package.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => needed.push(Needed {
                package: package.name.to_string(),
                version: version.unwrap_or_default(),
                artifact,
            }),
            Install::Git { source } => tracing::warn!(
                "{} comes from git ({}), and is not fetched here",
                package.name,
                source.url
            ),
            Install::Directory { .. } => {}
        }
    }
    needed
}

fn report<'a>(
    store: &'a Store,
    summary: Summary,
    vendored: Option<&'a (Utf8PathBuf, String)>,
    all: &'a [(&Needed, Blob)],
) -> Report<'a> {
    let fetched = |(needed, blob): &'a (&Needed, Blob)| Fetched {
        package: &needed.package,
        version: &needed.version,
        file_name: &needed.artifact.file_name,
        source: match &needed.artifact.location {
            Location::Path(path) => path.to_string(),
            location @ Location::Url(_) => location.to_string(),
        },
        digest: blob.digest.to_string(),
        size: blob.size,
        path: &blob.path,
    };
    Report {
        store: store.root(),
        from_store: summary.from_store,
        from_disk: summary.from_disk,
        from_shared: summary.from_shared,
        from_network: summary.from_network,
        bytes_fetched: summary.bytes,
        vendor: vendored.map(|(path, hash)| Vendored {
            path,
            hash: hash.clone(),
        }),
        artifacts: all.iter().map(fetched).collect(),
    }
}

/// `170 artifacts: 100 from the store, 70 from the network (45 MiB)`.
fn said(summary: &Summary, count: usize) -> String {
    let mut from = Vec::new();
    for (count, place) in [
        (summary.from_store, "from the store"),
        (summary.from_disk, "from this machine"),
        (summary.from_shared, "from the shared store"),
    ] {
        if count > 0 {
            from.push(format!("{count} {place}"));
        }
    }
    if summary.from_network > 0 {
        let bytes = progress::bytes(summary.bytes);
        from.push(format!(
            "{} from the network ({bytes})",
            summary.from_network
        ));
    }
    match from.is_empty() {
        true => "Nothing to fetch".to_owned(),
        false if count == 1 => format!("Fetched 1 artifact: {}", from.join(", ")),
        false => format!("Fetched {count} artifacts: {}", from.join(", ")),
    }
}
