//! `lockwright build`: the components of a lockwright.toml.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;

use super::build_args::BuildArgs;
use super::network_args::NetworkArgs;
use super::{Failure, Global, Outcome, completions, outputs, print};
use crate::component::{self, Change, Outcome as Built, RequestedComponent, Settings, Verdict};
use crate::decide::manifest::{Document, FILE_NAME};
use crate::files::tree::{Precious, Record};
use crate::obtain::fetch::FetchOptions;
use crate::obtain::fetch::mirrors::Mirror;

/// Make the components of a lockwright.toml: each from its locks, sources and phases, and only if
/// something changed
///
/// Prints name, NAR hash and place of each.
#[derive(Debug, Args)]
pub struct ComponentArgs {
    /// The components, with what they need [default: all]
    #[arg(value_name = "COMPONENT", add = completions::components())]
    names: Vec<String>,
    /// The manifest
    #[arg(long, value_name = "FILE", default_value = FILE_NAME)]
    file: Utf8PathBuf,
    /// The folder that paths in the manifest are relative to [default: the manifest's]
    #[arg(long, value_name = "DIR")]
    folder: Option<Utf8PathBuf>,
    /// Where the component goes; for several, the folder for their folders [default: `out` beside
    /// the manifest]
    #[arg(long, short, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    /// The path at which it will be used; for several, the folder of their folders [default: where
    /// it goes]
    #[arg(long, value_name = "PATH")]
    prefix: Option<Utf8PathBuf>,
    /// The interpreter: a path, a command or a version [default: the manifest's version]
    #[arg(short, long, value_name = "PYTHON", env = "UV_PYTHON")]
    python: Option<String>,
    /// Use this folder instead of a source (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    source: Vec<Named>,
    /// Use this tree instead of a component that others need (repeatable)
    #[arg(long, value_name = "NAME=PATH")]
    component: Vec<Named>,
    /// Replace an existing environment, whatever tool made it, and say what it was
    #[arg(long)]
    clear: bool,
    /// Say what would be made, in which order, and why; make nothing
    #[arg(long)]
    explain: bool,
    /// Print a JSON report
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    build: BuildArgs,
}

/// `NAME=PATH`.
#[derive(Debug, Clone)]
pub struct Named {
    name: String,
    path: Utf8PathBuf,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok(Self {
                name: name.into(),
                path: path.into(),
            }),
            _ => Err("it is not of the form NAME=PATH, as in app=../app".into()),
        }
    }
}

/// What `--json` reports of a component.
#[derive(Serialize)]
struct Report<'a> {
    component: &'a str,
    verdict: &'static str,
    changes: &'a [Change],
    needs: &'a [String],
    path: Option<&'a Utf8Path>,
    prefix: Option<&'a Utf8Path>,
    hash: Option<&'a str>,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &ComponentArgs, global: &Global) -> Outcome {
    let mut document = Document::open(&args.file)?;
    if let Some(folder) = &args.folder {
        document = document.within(super::absolute(folder)?);
    }
    let store = args.network.store()?;
    let fetch = network(&args.network, &document)?;
    args.build.take(&store)?;
    let mut settings = Settings {
        document: &document,
        store: &store,
        fetch: &fetch,
        python: args.python.as_deref(),
        sources: folders(&args.source)?,
        given: folders(&args.component)?,
        build: crate::install::build::BuildOptions {
            quiet: global.quiet,
            ..args.build.own()?
        },
        wanted: wanted(args, &document)?,
        clear: args.clear,
        record: args
            .out
            .as_deref()
            .map_or(Record::Beside, outputs::record_beside),
        precious: Precious::default(),
    };
    outputs::of_settings(&mut settings);
    if args.explain {
        let outcomes = component::explain(&settings)?;
        return report(args, &outcomes, explained);
    }
    let say = |name: &str, verdict: &Verdict, took: Option<Duration>| match took {
        _ if global.quiet => {}
        None if *verdict == Verdict::Shared => {
            eprintln!("{name}: taken from the shared store, as it was made elsewhere");
        }
        None => eprintln!("{name}: making it {}", why(verdict)),
        Some(took) => eprintln!("{name}: made in {:.1} s", took.as_secs_f64()),
    };
    let outcomes = component::make(&settings, &say)?;
    if !global.quiet && !args.json {
        for outcome in &outcomes {
            if outcome.verdict == Verdict::Unchanged {
                eprintln!("{}: unchanged", outcome.name);
            }
        }
    }
    let is_asked = |outcome: &Built| settings.wanted.iter().any(|one| one.name == outcome.name);
    report(args, &outcomes, |outcomes| {
        let mut text = String::new();
        for outcome in outcomes.iter().filter(|outcome| is_asked(outcome)) {
            if let Some(made) = &outcome.made {
                let _ = writeln!(text, "{} {} {}", outcome.name, made.hash, made.path);
            }
        }
        text
    })
}

/// How things are fetched: the manifest's mirrors, and the command line's over them.
pub fn network(args: &NetworkArgs, document: &Document) -> Result<FetchOptions, Failure> {
    args.of_manifest(&document.file, &document.manifest)?;
    let mut options = args.options(&[]);
    // Of two for one beginning the later wins.
    options.mirrors = args.mirrors(mirrors(document)?);
    Ok(options)
}

/// The manifest's own mirrors.
pub fn mirrors(document: &Document) -> Result<Vec<Mirror>, Failure> {
    let said = document.manifest.mirrors.iter();
    Ok(said
        .map(|(from, to)| Mirror::new(from, to))
        .collect::<Result<_, _>>()?)
}

/// The components that are asked for, with their places.
fn wanted(args: &ComponentArgs, document: &Document) -> Result<Vec<RequestedComponent>, Failure> {
    let names: Vec<String> = match args.names.is_empty() {
        false => args.names.clone(),
        true => document.manifest.component.keys().cloned().collect(),
    };
    // One that is named has DIR to itself.
    let alone = args.names.len() == 1;
    let out = args.out.as_deref().map(super::absolute).transpose()?;
    let prefix = args.prefix.as_deref().map(super::absolute).transpose()?;
    let place = |folder: &Utf8Path, name: &str| match alone {
        true => folder.to_owned(),
        false => folder.join(name),
    };
    let own = document.folder().join("out");
    let manifest = &document.manifest;
    Ok(names
        .iter()
        .cloned()
        .map(|name| {
            let out = match &out {
                Some(out) => place(out, &name),
                None => own.join(&name),
            };
            let prefix = prefix.as_ref().map(|prefix| place(prefix, &name));
            // What an image has lives there when that is made.
            let in_image = component::in_image(manifest, &name, &names);
            let prefix = prefix.or(in_image.map(Utf8PathBuf::from));
            RequestedComponent {
                prefix: prefix.unwrap_or_else(|| out.clone()),
                out,
                name,
            }
        })
        .collect())
}

pub fn folders(named: &[Named]) -> Result<BTreeMap<String, Utf8PathBuf>, Failure> {
    let absolute = |one: &Named| Ok((one.name.clone(), super::absolute(&one.path)?));
    named.iter().map(absolute).collect()
}

fn report(
    args: &ComponentArgs,
    outcomes: &[Built],
    text: impl FnOnce(&[Built]) -> String,
) -> Outcome {
    let text = match args.json {
        false => text(outcomes),
        true => {
            let all: Vec<Report<'_>> = outcomes.iter().map(of).collect();
            format!("{}\n", serde_json::to_string_pretty(&all)?)
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn of(outcome: &Built) -> Report<'_> {
    let (verdict, changes): (_, &[Change]) = match &outcome.verdict {
        Verdict::Unchanged => ("unchanged", &[]),
        Verdict::Given => ("given", &[]),
        Verdict::Shared => ("shared", &[]),
        Verdict::New => ("new", &[]),
        Verdict::Touched => ("touched", &[]),
        Verdict::Changed(changes) => ("changed", changes),
        Verdict::After(_, changes) => ("after", changes),
    };
    let made = outcome.made.as_ref();
    Report {
        component: &outcome.name,
        verdict,
        changes,
        needs: &outcome.needs,
        path: made.map(|made| &*made.path),
        prefix: made.map(|made| &*made.prefix),
        hash: made.map(|made| made.hash.as_str()),
        seconds: outcome.took.as_secs_f64(),
    }
}

/// Why a component is made, as the end of a sentence.
fn why(verdict: &Verdict) -> String {
    const SHOWN: usize = 8;
    let listed = |changes: &[Change]| {
        let mut all: Vec<String> = changes
            .iter()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect();
        if changes.len() > SHOWN {
            all.push(format!("and {} more", changes.len() - SHOWN));
        }
        all.join(", ")
    };
    match verdict {
        Verdict::Unchanged => "unchanged".into(),
        Verdict::Given => "given".into(),
        Verdict::Shared => "as it was made elsewhere".into(),
        Verdict::New => "for the first time".into(),
        Verdict::Touched => "again: someone has changed its tree".into(),
        Verdict::Changed(changes) if changes.is_empty() => "again, elsewhere".into(),
        Verdict::Changed(changes) => format!("again: {}", listed(changes)),
        Verdict::After(first, changes) => {
            let also = match changes.is_empty() {
                true => String::new(),
                false => format!("; besides: {}", listed(changes)),
            };
            format!("again if {} comes out different{also}", first.join(" or "))
        }
    }
}

/// The graph, one component a line, each after those it needs.
fn explained(outcomes: &[Built]) -> String {
    let mut text = String::new();
    for outcome in outcomes {
        let needs = match outcome.needs.is_empty() {
            true => String::new(),
            false => format!(" (needs {})", outcome.needs.join(", ")),
        };
        let made = match outcome.verdict.is_made() {
            true => "made ",
            false => "",
        };
        let _ = writeln!(
            text,
            "{}{needs}: {made}{}",
            outcome.name,
            why(&outcome.verdict)
        );
    }
    text
}
