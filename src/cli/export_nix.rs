//! `lockwright export nix`: a lock or a manifest as derivations, one per artifact.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::build::{self, Named};
use super::build_args::BuildArgs;
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use super::vendored::vendored_hash;
use super::{Failure, Outcome, outputs};
use crate::component::export::{draw, npm};
use crate::component::nix_graph::{Drawing, File, Folder, List, Listed, Step};
use crate::component::{RequestedComponent, Settings};
use crate::core::foreign;
use crate::core::progress::count;
use crate::decide::manifest::Document;
use crate::decide::target::platform::Arch;
use crate::decide::target::{Os, Platform};
use crate::files::tree::{Precious, Record};
use crate::install::build::order::{Ordering, orders};
use crate::obtain::fetch::FetchOptions;
use crate::obtain::source::Revision;
use crate::obtain::store::Store;

/// The interpreter of the graph, in Nix.
const INTERPRETER: &str = include_str!("../../nix/graph.nix");
/// What it needs besides.
const COMMON: &str = include_str!("../../nix/common.nix");

/// Write a lock or a lockwright.toml as Nix derivations: one for each artifact, wheel that is built,
/// environment and component
///
/// DIR gets the graph as JSON and the Nix files that read it: `nix-build DIR`. Evaluating it needs no
/// nixpkgs and builds nothing; the export itself fetches no artifacts.
#[derive(Debug, Args)]
pub struct NixArgs {
    /// A project's folder, its lock, or a lockwright.toml
    #[arg(default_value = ".")]
    path: Utf8PathBuf,
    /// The folder for it; paths of the project are kept relative to it
    #[arg(long, short, value_name = "DIR")]
    out: Utf8PathBuf,
    /// A Nix system to export for, with its platform if that is not the usual one, as in
    /// x86_64-linux=x86_64-manylinux_2_34 (repeatable) [default: the target's]
    #[arg(long, value_name = "SYSTEM[=PLATFORM]", conflicts_with_all = ["python_platform", "os", "cpu", "libc"])]
    system: Vec<System>,
    /// Whether each artifact is a fixed output of its own, or all of a lock together are one, which is
    /// quicker to build the first time
    #[arg(long, value_enum, value_name = "HOW", default_value = "artifact")]
    granularity: Granularity,
    /// The components of a lockwright.toml, with what they need (repeatable) [default: all]
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
    /// Use this folder instead of a lockwright.toml's source (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    source: Vec<Named>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    build: BuildArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Granularity {
    /// One for each: a bump fetches one
    Artifact,
    /// One for everything that the lock names
    Lock,
}

/// A system of Nix's, and the platform that is meant by it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct System {
    name: String,
    platform: Platform,
}

impl std::str::FromStr for System {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, said) = match text.split_once('=') {
            Some((name, platform)) => (name, Some(platform)),
            None => (text, None),
        };
        let (arch, os) = name.rsplit_once('-').unwrap_or_default();
        let usual = match os {
            "linux" => format!("{arch}-unknown-linux-gnu"),
            "darwin" => format!("{arch}-apple-darwin"),
            _ => {
                return Err(format!(
                    "`{name}` is not a Nix system that environments can be made for: these are called \
                     x86_64-linux, aarch64-linux, aarch64-darwin and the like"
                ));
            }
        };
        let platform: Platform = (said.unwrap_or(&usual).parse())
            .map_err(|error: crate::decide::target::PlatformError| error.to_string())?;
        match system_of(platform) {
            Some(own) if own == name => Ok(Self {
                name: own,
                platform,
            }),
            _ => Err(format!(
                "{} is not a platform of {name}",
                said.unwrap_or(&usual)
            )),
        }
    }
}

/// What Nix calls a platform's system.
fn system_of(platform: Platform) -> Option<String> {
    let os = match platform.os {
        Os::Manylinux(..) | Os::Musllinux(..) => "linux",
        Os::Macos(..) => "darwin",
        Os::Windows => return None,
    };
    let arch = match platform.arch {
        Arch::Ppc64le => "powerpc64le",
        Arch::Ppc64 => "powerpc64",
        other => other.name(),
    };
    Some(format!("{arch}-{os}"))
}

/// This machine's system.
fn own_system() -> String {
    let arch = match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        other => other,
    };
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    format!("{arch}-{os}")
}

/// Runs the command.
pub fn run(args: &NixArgs) -> Outcome {
    let systems = systems(&args.system)?;
    let store = args.network.store()?;
    let out = super::absolute(&args.out)?;
    is_free(&out)?;
    let mut precious = Precious::default();
    let path = &args.path;
    let document = super::is_manifest(path)
        .then(|| Document::open(path))
        .transpose()?;
    let lock = match &document {
        Some(document) => document.file.clone(),
        None => match super::find_npm_lock(path)? {
            Some(lock) => lock,
            None => super::python_args::lock_of(path)?,
        },
    };
    let base = lock.parent().unwrap_or(Utf8Path::new("/"));
    let network = match &document {
        Some(document) => build::network(&args.network, document)?,
        None => args.network.options(&[]),
    };
    let bring = |revision: &Revision| vendored_hash(&store, &network, of_commit(revision));
    let mut drawing = Drawing::new(base, network.allow_weak, Box::new(bring));
    match &document {
        Some(document) => {
            outputs::of_manifest(&mut precious, document);
            manifest(args, document, &systems, &store, &network, &mut drawing)?;
        }
        None if lock.extension() == Some("json") => {
            outputs::of_npm(&mut precious, &args.node.open(&lock)?.lock);
            node(args, &lock, &systems, &mut drawing)?;
        }
        None => {
            args.node.refuse(path)?;
            python(args, &systems, &store, &mut drawing, &mut precious)?;
        }
    }
    let list = drawing.list();
    let vendored = match args.granularity {
        Granularity::Artifact => None,
        Granularity::Lock => Some(vendored_hash(&store, &network, list)?),
    };
    let mut graph = drawing.done(&out);
    graph.vendored = vendored;
    precious.check(&out)?;
    std::fs::create_dir_all(&out).map_err(|error| format!("cannot make {out}: {error}"))?;
    let text = format!("{}\n", serde_json::to_string_pretty(&graph)?);
    let files = [
        ("graph.json", text.as_str()),
        ("default.nix", INTERPRETER),
        ("common.nix", COMMON),
    ];
    for (name, text) in files {
        outputs::write_report(&out.join(name), &[], |to| to.write_all(text.as_bytes()))?;
    }
    eprintln!(
        "{} for {} in {out}: nix-build {out} --argstr lockwright … --argstr python …",
        count(graph.count(), "artifact"),
        graph.systems().collect::<Vec<_>>().join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

/// A project may have a default.nix of its own, which nothing is written over: each file is known as an export's.
fn is_free(out: &Utf8Path) -> Result<(), Failure> {
    let known = [
        ("graph.json", "\"lockwright\":"),
        ("default.nix", "graph.json was written by lockwright"),
        ("common.nix", "graph.nix and default.nix have in common"),
    ];
    for (name, ours) in known {
        let file = out.join(name);
        let is_ours = match foreign::read(&file, foreign::TEXT) {
            Ok(text) => memchr::memmem::find(&text, ours.as_bytes()).is_some(),
            Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
        if !is_ours {
            return Err(format!(
                "{file} is there, and was not written by `export nix`: name another folder with --out, or move \
                 it away"
            )
            .into());
        }
    }
    Ok(())
}

/// The systems that were asked for, one platform each.
fn systems(said: &[System]) -> Result<Vec<Option<System>>, Failure> {
    let mut known: BTreeMap<&str, Platform> = BTreeMap::new();
    for System { name, platform } in said {
        if let Some(other) = known
            .insert(name, *platform)
            .filter(|other| other != platform)
        {
            return Err(format!(
                "--system names {name} as {other} and as {platform}: a system of Nix's stands for one \
                 platform in an export; write the other one to another folder"
            )
            .into());
        }
    }
    let mut all: Vec<Option<System>> = Vec::new();
    for system in said.iter().cloned().map(Some) {
        if !all.contains(&system) {
            all.push(system);
        }
    }
    if all.is_empty() {
        all.push(None);
    }
    Ok(all)
}

fn of_commit(revision: &Revision) -> List {
    List {
        artifacts: Vec::new(),
        commits: vec![Listed {
            url: revision.url.clone(),
            commit: revision.rev.clone(),
            submodules: revision.submodules,
        }],
    }
}

/// The environment of a uv.lock.
fn python(
    args: &NixArgs,
    systems: &[Option<System>],
    store: &Store,
    drawing: &mut Drawing<'_>,
    precious: &mut Precious,
) -> Result<(), Failure> {
    let mut project = args.selection.open(&args.path)?;
    // What is in a Nix store leads to no folder of anybody's.
    project.selection.no_editable = true;
    outputs::of_uv(precious, &project.lock);
    let options = args.build.options(&project.lock.file)?;
    let cache = store.root().join("interpreters");
    for system in systems {
        let platform = system.as_ref().map(|system| system.platform);
        let chosen = args
            .target
            .choose_on(platform, &project.lock, Some(&cache))?;
        let target = &chosen.target;
        let plan = crate::decide::plan::PythonPlan::new(
            &project.lock,
            target,
            &project.selection,
            &project.settings,
        )?;
        let name = system_of(target.platform).ok_or_else(|| {
            format!(
                "{target} is for Windows, where there is no Nix: name another --python-platform"
            )
        })?;
        let ordered = orders(&Ordering {
            plan: &plan,
            target,
            settings: &project.settings,
            no_binary: &project.selection.no_binary_packages,
            options: &options,
        })?;
        let mut step = Step {
            name: "environment".into(),
            command: vec!["sync".into()],
            python: true,
            ..Step::default()
        };
        drawing.environment(&name, &mut step, &plan.packages, &ordered, &BTreeSet::new())?;
        let mut plan = plan;
        for package in &mut plan.packages {
            package.displace(project.lock.folder());
            package.bare();
        }
        step.file = Some(File {
            flag: Some("--plan"),
            name: "plan.json",
            text: serde_json::to_string(&plan)?,
        });
        drawing.output(&name, "environment", step);
    }
    Ok(())
}

/// The `node_modules` of a package-lock.json.
fn node(
    args: &NixArgs,
    lock: &Utf8Path,
    systems: &[Option<System>],
    drawing: &mut Drawing<'_>,
) -> Result<(), Failure> {
    for system in systems {
        let asked = match system {
            Some(system) => args.node.on(system.platform),
            None => args.node.clone(),
        };
        let project = asked.open(lock)?;
        let name = system
            .as_ref()
            .map_or_else(own_system, |system| system.name.clone());
        let mut command = vec!["sync".to_owned()];
        command.extend(asked.flags(&project.npmrc));
        let file = lock.file_name().unwrap_or_default();
        let mut only: BTreeSet<Utf8PathBuf> = [file, "package.json", ".npmrc"]
            .map(Utf8PathBuf::from)
            .into();
        let folders = project.lock.entries.keys();
        let folders = folders.filter(|place| !place.contains("node_modules/"));
        only.extend(folders.map(|place| Utf8Path::new(place).join("package.json")));
        let mut step = Step {
            name: "node_modules".into(),
            command,
            folder: Some(Folder {
                path: project.lock.folder().to_owned(),
                only: Some(only),
                package: false,
            }),
            ..Step::default()
        };
        let packages = project.plan.packages.iter();
        npm(
            drawing,
            &mut step,
            packages.map(|one| (&*one.name, &one.source)),
        )?;
        drawing.output(&name, "nodeModules", step);
    }
    Ok(())
}

/// The components of a lockwright.toml.
fn manifest(
    args: &NixArgs,
    document: &Document,
    systems: &[Option<System>],
    store: &Store,
    network: &FetchOptions,
    drawing: &mut Drawing<'_>,
) -> Result<(), Failure> {
    let mirrors = &document.manifest.mirrors;
    drawing.mirrors(mirrors.iter().map(|(from, to)| (from.clone(), to.clone())));
    let said = document.manifest.target.platform.as_deref();
    let said = said.map(str::parse::<Platform>).transpose()?;
    for system in systems {
        let mut document = document.clone();
        let platform = match (system, said) {
            (Some(system), Some(said)) if system.platform != said => {
                // The usual one of that system gives way to what the manifest says of it.
                match system_of(said).as_ref() == Some(&system.name) {
                    true => Some(said),
                    false => Some(system.platform),
                }
            }
            (Some(system), _) => Some(system.platform),
            (None, said) => said,
        };
        let name = match platform {
            None => own_system(),
            Some(platform) => system_of(platform)
                .ok_or("[target] names a platform of Windows, where there is no Nix")?,
        };
        if let (Some(system), Some(_)) = (system, platform) {
            let said = platform.map_or_else(|| system.platform.to_string(), |one| one.to_string());
            document.manifest.target.platform = Some(said);
        }
        let names = match args.component.is_empty() {
            true => document.manifest.component.keys().cloned().collect(),
            false => args.component.clone(),
        };
        let settings = Settings {
            document: &document,
            store,
            fetch: network,
            python: args.target.python(),
            sources: build::folders(&args.source)?,
            given: BTreeMap::new(),
            build: args.build.own()?,
            wanted: (names.into_iter())
                .map(|name| RequestedComponent {
                    name,
                    out: store.root().to_owned(),
                    prefix: store.root().to_owned(),
                })
                .collect(),
            clear: false,
            record: Record::Beside,
            precious: Precious::default(),
        };
        draw(&settings, &name, drawing)?;
    }
    Ok(())
}
