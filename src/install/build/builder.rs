//! Builds beside each other and beside the downloads.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use super::build_dir::BuildDir;
use super::environment::Wheelhouse;
use super::error::BuildError;
use super::folder;
use super::inputs::{Cores, Inputs};
use super::plain::Plain;
use super::recipe::{Need, Origin, Recipe, RecipeSource};
use super::request::Request;
use super::resolver::RecipeResolver;
use super::sandbox::{Ended, Said};
use super::source::Ready;
use super::{Made, Wheel};
use crate::core::artifact::Artifact;
use crate::core::locks;
use crate::core::progress::Progress;
use crate::decide::plan::{Install, PlannedPackage};
use crate::obtain::fetch::DownloadRequest;
use crate::obtain::source::{self, Revision, Shape};
use crate::obtain::store::{Blob, Origin as Provenance};

/// The builds of one environment. Nothing is fetched or built before [`Self::run`].
pub struct Builder<'a> {
    pub(super) request: Request<'a>,
    /// Wheels that need no build, by their index in the plan.
    plain: BTreeMap<usize, Plain>,
    /// `None` where nothing is to be built.
    pub(super) resolver: Option<RecipeResolver<'a>>,
    /// By their index in the plan.
    pub(super) recipes: BTreeMap<usize, Arc<Recipe>>,
    pub(super) inputs: Inputs,
    pub(super) stop: AtomicBool,
    errors: Mutex<Vec<(String, BuildError)>>,
    cores: Cores,
    has_warned: AtomicBool,
}

impl<'a> Builder<'a> {
    /// Works out what every wheel that is to be built is made of.
    ///
    /// # Errors
    /// When there is no interpreter, the build lock cannot be read or leads round in a circle, a
    /// folder cannot be read, or containment is required and impossible.
    pub fn new(request: Request<'a>) -> Result<Self, BuildError> {
        let mut builder = Self {
            request,
            plain: BTreeMap::new(),
            resolver: None,
            recipes: BTreeMap::new(),
            inputs: Inputs::default(),
            stop: AtomicBool::new(false),
            errors: Mutex::default(),
            cores: Cores::new(thread::available_parallelism().map_or(1, usize::from)),
            has_warned: AtomicBool::new(false),
        };
        let mut sources = Vec::new();
        for (index, package) in request.plan.packages.iter().enumerate() {
            match request.plain(package)? {
                _ if is_wheel(package) => {}
                Some(plain) => {
                    builder.plain.insert(index, plain);
                }
                None => sources.push((index, package)),
            }
        }
        if let Some((_, first)) = sources.first() {
            let resolver = RecipeResolver::new(&request, first)?;
            let mut known = HashMap::new();
            for (index, package) in sources {
                let recipe = resolver.recipe(&request, package, &[], &mut known)?;
                builder.recipes.insert(index, recipe);
            }
            builder.resolver = Some(resolver);
        }
        Ok(builder)
    }

    /// Whether a package of the plan, by its index, is built.
    pub fn builds(&self, index: usize) -> bool {
        self.recipes.contains_key(&index) || self.plain.contains_key(&index)
    }

    /// How many wheels are to be obtained, built or stored.
    pub fn len(&self) -> usize {
        self.recipes.len() + self.plain.len()
    }

    /// Whether there is nothing to build.
    pub fn is_empty(&self) -> bool {
        self.recipes.is_empty() && self.plain.is_empty()
    }

    /// What all the wheels are made of, by package: when it is the same, so are they. None where a
    /// lock gives no digest.
    pub fn keys(&self) -> BTreeMap<String, Option<String>> {
        let built = self.recipes.values().map(|recipe| {
            let key = recipe.key.as_ref().map(ToString::to_string);
            (recipe.package.label(), key)
        });
        let plain = self.plain.values().map(|plain| {
            let key = Some(plain.digest().to_string());
            (plain.file_name.clone(), key)
        });
        built.chain(plain).collect()
    }

    /// What has to be fetched for those that are not in the store: hand it to [`fetch`](crate::obtain::fetch::fetch) with
    /// all else, and each that is there to [`Self::arrived`].
    pub fn downloads(&self) -> Vec<DownloadRequest<'_>> {
        let mut wants = Vec::new();
        for recipe in self.recipes.values() {
            self.downloads_of(recipe, &mut wants);
        }
        wants
    }

    fn downloads_of<'b>(&self, recipe: &'b Recipe, wants: &mut Vec<DownloadRequest<'b>>) {
        if self.stored(recipe).is_some() {
            return;
        }
        let mut add = |package: &PlannedPackage, artifact: &'b Artifact| {
            if !wants.iter().any(|want| want.artifact == artifact) {
                wants.push(DownloadRequest {
                    package: package.name.to_string(),
                    artifact,
                });
            }
        };
        if let RecipeSource::Archive { artifact, .. } = &recipe.source {
            add(&recipe.package, artifact);
        }
        for need in &recipe.needs {
            if let Origin::Wheel(artifact) = &need.origin {
                add(&need.package, artifact);
            }
        }
        for need in &recipe.needs {
            if let Origin::Recipe(recipe) = &need.origin {
                self.downloads_of(recipe, wants);
            }
        }
    }

    /// Something of [`Self::downloads`] is there.
    pub fn arrived(&self, artifact: &Artifact, blob: Blob) {
        self.inputs.arrived(artifact, blob);
    }

    /// Nothing more will arrive. When it went wrong, builds under way are ended.
    pub fn all_arrived(&self, went_well: bool) {
        if !went_well {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.inputs.close();
    }

    /// Builds everything that is not in the store, each as soon as what it needs has arrived, as
    /// many at once as there are cores; `on_built` hears of each wheel, by its index in the plan,
    /// from any thread.
    ///
    /// # Errors
    /// The first build, by name, of those that failed. Builds under way are then ended.
    pub fn run(
        &self,
        progress: &Progress,
        on_built: &(dyn Fn(usize, Wheel) + Sync),
    ) -> Result<(), BuildError> {
        for (&index, plain) in &self.plain {
            progress.advance(1);
            on_built(index, plain.store(self.request.store)?);
        }
        thread::scope(|scope| {
            for (&index, recipe) in &self.recipes {
                let made = move || {
                    if let Some(wheel) = self.make(recipe, progress) {
                        progress.advance(1);
                        on_built(index, wheel);
                    }
                };
                if self.stored(recipe).is_some() {
                    made();
                } else {
                    scope.spawn(made);
                }
            }
        });
        let mut errors = std::mem::take(&mut *locks::held(&self.errors));
        errors.sort_by(|(one, _), (other, _)| one.cmp(other));
        match errors.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// The wheel of a recipe, made by one thread while others wait. `None`: it failed, or was not
    /// wanted any more.
    fn make(&self, recipe: &Recipe, progress: &Progress) -> Option<Wheel> {
        let make = || {
            let made = self.resolver.as_ref().map_or(Ok(None), |resolver| {
                self.stored_or_built(resolver, recipe, progress)
            });
            made.unwrap_or_else(|error| {
                self.stop.store(true, Ordering::Relaxed);
                locks::held(&self.errors).push((recipe.package.label(), error));
                None
            })
        };
        recipe.made.get_or_init(make).clone()
    }

    pub(super) fn stored(&self, recipe: &Recipe) -> Option<Wheel> {
        if self.is_anew(recipe) {
            return None;
        }
        let key = recipe.key.as_ref()?;
        let (file_name, blob) = self.request.fetch.built(self.request.store, key)?;
        Some(Wheel {
            file_name,
            blob,
            made: Made::Before,
        })
    }

    fn is_anew(&self, recipe: &Recipe) -> bool {
        let anew = &self.request.options.anew;
        anew.includes(recipe.package.name.as_ref())
    }

    fn stored_or_built(
        &self,
        resolver: &RecipeResolver<'_>,
        recipe: &Recipe,
        progress: &Progress,
    ) -> Result<Option<Wheel>, BuildError> {
        if let Some(wheel) = self.stored(recipe) {
            return Ok(Some(wheel));
        }
        let mut needs = Vec::new();
        for Need { package, origin } in &recipe.needs {
            let (file_name, blob) = match origin {
                Origin::Recipe(recipe) => match self.make(recipe, progress) {
                    Some(wheel) => (wheel.file_name, wheel.blob),
                    None => return Ok(None),
                },
                Origin::Wheel(artifact) => match self.inputs.wait(artifact) {
                    Some(blob) => (artifact.file_name.clone(), blob),
                    None => return Ok(None),
                },
            };
            needs.push(Wheelhouse {
                package,
                file_name,
                blob,
            });
        }
        let Some(source) = self.source(recipe, progress)? else {
            return Ok(None);
        };
        let _core = self.cores.take();
        if self.stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.build(resolver, recipe, &source, &needs, progress)
    }

    /// The source, once it is here.
    pub(super) fn source(
        &self,
        recipe: &Recipe,
        progress: &Progress,
    ) -> Result<Option<Ready>, BuildError> {
        Ok(Some(match &recipe.source {
            RecipeSource::Archive {
                artifact,
                subdirectory,
            } => {
                let Some(blob) = self.inputs.wait(artifact) else {
                    return Ok(None);
                };
                Ready::Archive {
                    blob,
                    name: artifact.file_name.clone(),
                    shape: Shape::Sdist,
                    subdirectory: subdirectory.clone(),
                    wants_lfs: false,
                }
            }
            RecipeSource::Git(git) => {
                progress.working_on(format!("{} from git", recipe.package.name));
                let wanted = Revision {
                    url: git.url.to_string(),
                    rev: git.commit.clone(),
                    submodules: true,
                };
                let tree = source::git::fetch(self.request.store, &wanted, self.request.fetch)?;
                Ready::Archive {
                    blob: tree.archive,
                    name: format!("{} {}", git.url, tree.commit),
                    shape: Shape::Packed,
                    subdirectory: git.subdirectory.clone(),
                    wants_lfs: git.lfs,
                }
            }
            RecipeSource::Folder {
                path,
                is_editable,
                around,
                ..
            } => Ready::Folder {
                path: path.clone(),
                is_editable: *is_editable,
                around: around.clone(),
            },
        }))
    }

    fn build(
        &self,
        resolver: &RecipeResolver<'_>,
        recipe: &Recipe,
        source: &Ready,
        needs: &[Wheelhouse<'_>],
        progress: &Progress,
    ) -> Result<Option<Wheel>, BuildError> {
        let options = self.request.options;
        let label = recipe.package.label();
        let say = |line: &str| {
            if !options.quiet {
                progress.say(line);
            }
        };
        self.warn(resolver, progress);
        say(&format!("Building {label} …"));
        progress.working_on(recipe.package.name.to_string());
        let start = Instant::now();
        let mut build_dir = BuildDir::open(resolver, options, recipe, source)?;
        build_dir.check(build_dir.requires(), needs)?;
        let outcome = build_dir.run(needs, false, &self.stop)?;
        if outcome.ended == Ended::Stopped {
            return Ok(None);
        }
        // Checked even when the build failed: what is missing is most often why.
        build_dir.check_git()?;
        build_dir.check(&outcome.requires, needs)?;
        let Some(made) = outcome.wheel else {
            if options.keep_failed {
                let kept = build_dir.keep();
                say(&format!("The folder of the build is kept: {kept}"));
            }
            return Err(self.failure(&mut build_dir, &label, outcome.ended, &outcome.said));
        };
        let wheel = build_dir.canonical(&made)?;
        let made_by = format!("built from {label}");
        let store = self.request.store;
        let (file_name, blob) = match recipe.key.as_ref().filter(|_| is_as_it_was(recipe)) {
            Some(key) => {
                if self.is_anew(recipe) {
                    store.forget_built(key);
                }
                let fetch = self.request.fetch;
                fetch.keep_built(store, key, &made, &wheel, &made_by)?
            }
            None => {
                let origin = Provenance {
                    file_name: made.clone(),
                    source: made_by,
                };
                (made, store.take_as_is(&wheel, &origin)?)
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        say(&format!("Built {label} in {seconds:.1} s"));
        Ok(Some(Wheel {
            file_name,
            blob,
            made: Made::Now,
        }))
    }

    pub(super) fn warn(&self, resolver: &RecipeResolver<'_>, progress: &Progress) {
        if let Some(warning) = &resolver.warning
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            progress.say(&format!("warning: {warning}"));
        }
    }

    /// Why a build failed. Its log is kept beside the store, in the place of the one before.
    fn failure(
        &self,
        build_dir: &mut BuildDir<'_>,
        label: &str,
        ended: Ended,
        said: &Said,
    ) -> BuildError {
        let log = said.bytes();
        let logs = self.request.store.root().join("logs");
        let kept = logs.join(format!("{}.log", label.replace(' ', "-")));
        let outcome = fs::create_dir_all(&logs).and_then(|()| fs::write(&kept, &log));
        let kept = match outcome {
            Ok(()) => kept,
            Err(_) => {
                let kept = build_dir.keep().join("log");
                let _ = fs::write(&kept, &log);
                kept
            }
        };
        let limit = (ended == Ended::TooLate).then_some(self.request.options.limit);
        BuildError::failed(label, said, &kept, limit)
    }
}
/// An editable build may write to its folder: compiled modules, say. Its wheel is found again by
/// what was there before, so only one that left everything as it was is kept under that.
fn is_as_it_was(recipe: &Recipe) -> bool {
    match &recipe.source {
        RecipeSource::Folder {
            path,
            is_editable: true,
            digest,
            ..
        } => folder::digest(path, true).is_ok_and(|now| now == *digest),
        _ => true,
    }
}

fn is_wheel(package: &PlannedPackage) -> bool {
    matches!(package.install, Install::Wheel { .. })
}
