//! A Python environment: the wheels of a plan, into a tree.
//!
//! Fetching, building and placing go on at the same time: a wheel is placed as soon as it has
//! arrived or was built, and a build begins as soon as what it needs is here.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::kept::Artifact;
use crate::core::locks;
use crate::core::progress::Progress;
use crate::decide::plan::{Install, PlannedPackage, PythonPlan};
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;
use crate::files::contents::{Contents, PlaceError, Zipped};
use crate::files::tree::{Collision, LinkMode, Owner, Tree, TreeError};
use crate::install::build::{BuildError, Builder, Made, Wheel};
use crate::install::python::{FORM, Layout, WheelError, WheelSource, place_wheel};
use crate::obtain::fetch::{self, DownloadRequest, FetchError};
use crate::obtain::store::{Blob, Store};

/// Everything that assembling needs to know.
pub struct Request<'a> {
    /// What is placed.
    pub plan: &'a PythonPlan,
    /// Where.
    pub layout: &'a Layout,
    /// Where artifacts are kept.
    pub store: &'a Store,
    /// How they are obtained.
    pub fetch: &'a fetch::FetchOptions,
    /// Limits on archives.
    pub limits: Limits,
    /// How files come from the store.
    pub link: LinkMode,
    /// Whether different bytes for one path are an error.
    pub strict: bool,
    /// Builds what the lock has no wheel of; without it, such packages are an error.
    pub builder: Option<&'a Builder<'a>>,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// Where the artifacts came from.
    pub fetched: fetch::Summary,
    /// How many wheels were built.
    pub built: usize,
    /// How many wheels had been built before, and were in the store.
    pub built_before: usize,
    /// Paths that several packages brought differently.
    pub collisions: Vec<Collision>,
    /// Until the last artifact was there, those built among them.
    pub fetching: Duration,
    /// From then until the last file was written.
    pub placing: Duration,
}

/// Why an environment could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// An artifact could not be obtained.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A wheel could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A wheel could not be placed.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Packages that have no wheel, and were not built.
    #[error(
        "{} of the packages must be built from source, which was not done:{}",
        .0.len(), .0.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    Sources(Vec<String>),
}

/// Fetches, builds and places the plan's wheels. `tree` has no file yet that a package could bring.
///
/// # Errors
/// The first, in the plan's order, of what went wrong.
pub fn assemble<'a>(tree: &'a Tree, request: &'a Request<'a>) -> Result<Assembled, AssembleError> {
    let packages = &request.plan.packages;
    let mut owners: Vec<(Owner, &PlannedPackage)> = Vec::new();
    let (mut wheels, mut sources) = (Vec::new(), Vec::new());
    for (rank, package) in packages.iter().enumerate() {
        owners.push((tree.owner(&package.label(), rank as u64), package));
        match &package.install {
            Install::Wheel { artifact } => wheels.push((rank, package, artifact)),
            _ if request.builder.is_some_and(|builder| builder.builds(rank)) => {}
            _ => sources.push(format!("{} ({})", package.label(), package.reason)),
        }
    }
    if !sources.is_empty() {
        return Err(AssembleError::Sources(sources));
    }
    // What builds wait for comes first: they take the longest.
    let mut wants = request.builder.map(Builder::downloads).unwrap_or_default();
    let inputs = wants.len();
    wants.extend(wheels.iter().map(|(_, package, artifact)| DownloadRequest {
        package: package.name.to_string(),
        artifact,
    }));
    let placing = Progress::items("Placing", packages.len() as u64);
    let fetching = Progress::bytes("Fetching", 0);
    let results: Mutex<Vec<(usize, Result<(), WheelError>)>> = Mutex::default();
    let built: Mutex<Vec<Wheel>> = Mutex::default();
    let start = Instant::now();
    let mut fetched_after = Duration::ZERO;
    let (fetched, building) = rayon::in_place_scope(|scope| {
        let place = |rank: usize, file_name: String, blob: Blob| {
            let Some(&(owner, package)) = owners.get(rank) else {
                return;
            };
            let (results, placing) = (&results, &placing);
            scope.spawn(move |_| {
                placing.working_on(package.name.to_string());
                let source = WheelSource {
                    file_name: &file_name,
                    name: &package.name,
                    version: package.version.as_ref(),
                    direct_url: package.direct_url.as_ref().map(ToString::to_string),
                };
                let placed = place(tree, request, owner, &blob, &source);
                placing.advance(1);
                locks::held(results).push((rank, placed));
            });
        };
        let on_ready = |index: usize, blob: Blob| {
            if let Some((rank, _, artifact)) = index
                .checked_sub(inputs)
                .and_then(|index| wheels.get(index))
            {
                place(*rank, artifact.file_name.clone(), blob);
            } else if let (Some(builder), Some(want)) = (request.builder, wants.get(index)) {
                builder.arrived(want.artifact, blob);
            }
        };
        let on_built = |rank: usize, wheel: Wheel| {
            place(rank, wheel.file_name.clone(), wheel.blob.clone());
            locks::held(&built).push(wheel);
        };
        let fetch = || {
            let fetched = fetch::fetch(request.store, &wants, request.fetch, &fetching, &on_ready);
            if let Some(builder) = request.builder {
                builder.all_arrived(fetched.is_ok());
            }
            fetched
        };
        let outcome = match request.builder.filter(|builder| !builder.is_empty()) {
            None => (fetch(), Ok(())),
            Some(builder) => std::thread::scope(|threads| {
                let building = Progress::items("Building", builder.len() as u64);
                let builds = threads.spawn(move || {
                    let outcome = builder.run(&building, &on_built);
                    building.done();
                    outcome
                });
                let fetched = fetch();
                let built = builds.join();
                (
                    fetched,
                    built.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                )
            }),
        };
        fetched_after = start.elapsed();
        outcome
    });
    placing.done();
    fetching.done();
    let fetched = fetched?;
    building?;
    let mut results = locks::unlocked(results);
    results.sort_by_key(|(rank, _)| *rank);
    for (_, result) in results {
        result?;
    }
    let collisions = tree.settle(request.strict)?;
    let built = locks::held(&built);
    let made = |how: Made| built.iter().filter(|wheel| wheel.made == how).count();
    Ok(Assembled {
        fetched,
        built: made(Made::Now),
        built_before: made(Made::Before),
        collisions,
        fetching: fetched_after,
        placing: start.elapsed().saturating_sub(fetched_after),
    })
}

/// Places a wheel from what the store keeps of it, or else from its archive.
fn place(
    tree: &Tree,
    request: &Request<'_>,
    owner: Owner,
    blob: &Blob,
    source: &WheelSource<'_>,
) -> Result<(), WheelError> {
    let artifact = Artifact {
        store: request.store,
        blob,
        form: FORM,
        link: request.link,
        limits: &request.limits,
    };
    let place = |contents: &dyn Contents| {
        let placed = place_wheel(tree, request.layout, owner, contents, source, request.link);
        placed.map(|digests| ((), digests))
    };
    artifact.place(&place, |known, place| {
        let packed = blob.map()?;
        let zip = Zip::new(&packed, source.file_name, &request.limits);
        let zip = zip.map_err(PlaceError::from)?;
        place(&Zipped::new(&zip, known))
    })
}
