//! A Python environment: the wheels of a plan, into a tree.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::archive::Limits;
use pep508_rs::PackageName;

use crate::artifact::Artifact;
use crate::build::Wheel;
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
    /// The wheels of packages that the lock has none of.
    pub built: &'a BTreeMap<PackageName, Wheel>,
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
    /// Packages that have no wheel, and were not built.
    #[error(
        "{} of the packages must be built from source, which was not done:{}",
        .0.len(), .0.iter().map(|line| format!("\n  {line}")).collect::<String>()
    )]
    Sources(Vec<String>),
}

/// Fetches and places the plan's wheels. `tree` has no file yet that a package could bring.
///
/// # Errors
/// The first, in the plan's order, of what went wrong.
pub fn assemble<'a>(tree: &'a Tree, request: &'a Request<'a>) -> Result<Assembled, AssembleError> {
    let mut work: Vec<(Owner, usize, &PlannedPackage, &Artifact)> = Vec::new();
    let (mut built, mut sources) = (Vec::new(), Vec::new());
    for (rank, package) in request.plan.packages.iter().enumerate() {
        match &package.install {
            Install::Wheel { artifact } => {
                work.push((
                    tree.owner(&package.label(), rank as u64),
                    rank,
                    package,
                    artifact,
                ));
            }
            _ => match request.built.get(&package.name) {
                Some(wheel) => built.push((
                    tree.owner(&package.label(), rank as u64),
                    rank,
                    package,
                    wheel,
                )),
                None => sources.push(format!("{} ({})", package.label(), package.reason)),
            },
        }
    }
    if !sources.is_empty() {
        return Err(AssembleError::Sources(sources));
    }
    let wants: Vec<Want<'_>> = work
        .iter()
        .map(|(_, _, package, artifact)| Want {
            package: package.name.to_string(),
            artifact,
        })
        .collect();
    let placing = Progress::items("Placing", (wants.len() + built.len()) as u64);
    let fetching = Progress::bytes("Fetching", 0);
    let results: Mutex<Vec<(usize, Result<Installed, WheelError>)>> = Mutex::default();
    let start = Instant::now();
    let mut fetched_after = Duration::ZERO;
    let fetched = rayon::in_place_scope(|scope| {
        let place =
            |owner, rank: usize, package: &'a PlannedPackage, file_name: &'a str, blob: Blob| {
                let (results, placing) = (&results, &placing);
                scope.spawn(move |_| {
                    let source = WheelSource {
                        path: &blob.path,
                        file_name,
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
                        .push((rank, placed));
                });
            };
        for &(owner, rank, package, wheel) in &built {
            place(owner, rank, package, &wheel.file_name, wheel.blob.clone());
        }
        let on_ready = |index: usize, blob: Blob| {
            if let Some(&(owner, rank, package, artifact)) = work.get(index) {
                place(owner, rank, package, &artifact.file_name, blob);
            }
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
    results.sort_by_key(|(rank, _)| *rank);
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
