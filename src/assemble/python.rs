//! A Python environment: the wheels of a plan, into a tree.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::archive::Limits;
use crate::artifact::Artifact;
use crate::fetch::{self, FetchError, Want};
use crate::plan::{Install, PlannedPackage, PythonPlan};
use crate::python::{Installed, Layout, WheelError, WheelSource, place_wheel};
use crate::store::{Blob, Store};
use crate::tree::{Collision, Owner, Tree, TreeError};
use crate::ui::Progress;

/// Everything that assembling needs to know.
pub struct Request<'a> {
    /// What is placed.
    pub plan: &'a PythonPlan,
    /// Where.
    pub layout: &'a Layout,
    /// Where artifacts are kept.
    pub store: &'a Store,
    /// How they are had.
    pub fetch: &'a fetch::Options,
    /// What an archive may amount to.
    pub limits: Limits,
    /// Whether different bytes for one path are an error.
    pub strict: bool,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// Where the artifacts came from.
    pub fetched: fetch::Summary,
    /// The packages, in the plan's order.
    pub installed: Vec<Installed>,
    /// Paths that several packages brought differently.
    pub collisions: Vec<Collision>,
    /// Until the last artifact was there.
    pub fetching: Duration,
    /// From then until the last file was written.
    pub placing: Duration,
}

/// Why an environment could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// An artifact could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A wheel could not be placed.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Packages that have no wheel.
    #[error(
        "{} of the packages must be built from source, which this lockwright does not do yet:{}\n\
         leave them out with --no-install-package NAME",
        .0.len(), .0.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    Sources(Vec<String>),
}

/// Fetches and places the plan's wheels. `tree` has no file yet that a package could bring.
///
/// # Errors
/// The first, in the plan's order, of what went wrong.
pub fn assemble(tree: &Tree, request: &Request<'_>) -> Result<Assembled, AssembleError> {
    let mut work: Vec<(Owner, &PlannedPackage, &Artifact)> = Vec::new();
    let mut sources = Vec::new();
    for (rank, package) in request.plan.packages.iter().enumerate() {
        match &package.install {
            Install::Wheel { artifact } => {
                work.push((tree.owner(&package.label(), rank as u64), package, artifact));
            }
            _ => sources.push(format!("{} ({})", package.label(), package.reason)),
        }
    }
    if !sources.is_empty() {
        return Err(AssembleError::Sources(sources));
    }
    let wants: Vec<Want<'_>> = work
        .iter()
        .map(|(_, package, artifact)| Want {
            package: package.name.to_string(),
            artifact,
        })
        .collect();
    let placing = Progress::items("Placing", wants.len() as u64);
    let fetching = Progress::bytes("Fetching", 0);
    let results: Mutex<Vec<(usize, Result<Installed, WheelError>)>> = Mutex::default();
    let start = Instant::now();
    let mut fetched_after = Duration::ZERO;
    let fetched = rayon::in_place_scope(|scope| {
        let on_ready = |index: usize, blob: Blob| {
            let Some(&(owner, package, artifact)) = work.get(index) else {
                return;
            };
            let (results, placing) = (&results, &placing);
            scope.spawn(move |_| {
                let source = WheelSource {
                    path: &blob.path,
                    file_name: &artifact.file_name,
                    name: &package.name,
                    version: package.version.as_ref(),
                    direct_url: package.direct_url.as_ref().map(ToString::to_string),
                };
                placing.working_on(package.name.to_string());
                let placed = place_wheel(tree, request.layout, owner, &source, &request.limits);
                placing.advance(1);
                results
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .push((index, placed));
            });
        };
        let fetched = fetch::fetch(request.store, &wants, request.fetch, &fetching, &on_ready);
        fetched_after = start.elapsed();
        fetched
    });
    placing.done();
    fetching.done();
    let fetched = fetched?;
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    let installed = results
        .into_iter()
        .map(|(_, result)| result)
        .collect::<Result<Vec<_>, WheelError>>()?;
    let collisions = tree.settle(request.strict)?;
    Ok(Assembled {
        fetched,
        installed,
        collisions,
        fetching: fetched_after,
        placing: start.elapsed().saturating_sub(fetched_after),
    })
}
