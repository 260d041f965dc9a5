//! Builds beside each other and beside the downloads.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;

use super::environment::{self, Wheelhouse};
use super::error::BuildError;
use super::folder;
use super::hook::{Bench, Hook};
use super::project::Project;
use super::recipe::{Need, Origin, Recipe, Source};
use super::requirements::Requirements;
use super::sandbox::{self, Ended, Mode};
use super::source::Ready;
use super::{Options, Wheel, wheel};
use crate::artifact::Artifact;
use crate::fetch::{self, Want};
use crate::lock::pyproject::ProjectSettings;
use crate::plan::{Install, PlannedPackage, PythonPlan};
use crate::source::{self, Revision, Shape};
use crate::store::{Blob, Origin as Provenance, Store};
use crate::target::probe::Interpreter;
use crate::ui::Progress;

/// What is to be built, and with what.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The environment; its packages that have no wheel are built.
    pub plan: &'a PythonPlan,
    /// The project's settings.
    pub settings: &'a ProjectSettings,
    /// Packages that the command line wants built though there is a wheel of them; so they are
    /// where they are build requirements.
    pub no_binary: &'a [PackageName],
    /// The target's interpreter, where there is one here.
    pub interpreter: Option<&'a Interpreter>,
    /// Where wheels are kept.
    pub store: &'a Store,
    /// How sources and build requirements are had.
    pub fetch: &'a fetch::Options,
    /// How builds are made.
    pub options: &'a Options,
}

/// The builds of one environment. Nothing is fetched or built before [`Self::run`].
pub struct Builder<'a> {
    request: Request<'a>,
    /// `None` where nothing is to be built.
    kitchen: Option<Kitchen<'a>>,
    /// By their index in the plan.
    recipes: BTreeMap<usize, Arc<Recipe>>,
    inputs: Inputs,
    stop: AtomicBool,
    errors: Mutex<Vec<(String, BuildError)>>,
    cores: Cores,
    has_warned: AtomicBool,
}

/// What all recipes have in common.
struct Kitchen<'a> {
    interpreter: &'a Interpreter,
    requirements: Requirements<'a>,
    hook: Hook,
    /// Why builds cannot be contained, where they should be.
    uncontained: Option<String>,
    is_contained: bool,
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
            kitchen: None,
            recipes: BTreeMap::new(),
            inputs: Inputs::default(),
            stop: AtomicBool::new(false),
            errors: Mutex::default(),
            cores: Cores::new(thread::available_parallelism().map_or(1, usize::from)),
            has_warned: AtomicBool::new(false),
        };
        let packages = request.plan.packages.iter().enumerate();
        let mut sources = packages
            .filter(|(_, package)| !is_wheel(package))
            .peekable();
        if let Some((_, first)) = sources.peek() {
            let kitchen = Kitchen::new(&request, first)?;
            let mut known = HashMap::new();
            for (index, package) in sources {
                let recipe = kitchen.recipe(&request, package, &[], &mut known)?;
                builder.recipes.insert(index, recipe);
            }
            builder.kitchen = Some(kitchen);
        }
        Ok(builder)
    }

    /// Whether a package of the plan, by its index, is built.
    pub fn builds(&self, index: usize) -> bool {
        self.recipes.contains_key(&index)
    }

    /// How many wheels are to be had, built or stored.
    pub fn len(&self) -> usize {
        self.recipes.len()
    }

    /// Whether there is nothing to build.
    pub fn is_empty(&self) -> bool {
        self.recipes.is_empty()
    }

    /// What all the wheels are made of, by package: when it is the same, so are they. None where a
    /// lock gives no digest.
    pub fn keys(&self) -> BTreeMap<String, Option<String>> {
        let recipes = self.recipes.values();
        recipes
            .map(|recipe| {
                let key = recipe.key.as_ref().map(ToString::to_string);
                (recipe.package.label(), key)
            })
            .collect()
    }

    /// What has to be fetched for those that are not in the store: hand it to [`fetch::fetch`] with
    /// all else, and each that is there to [`Self::arrived`].
    pub fn wants(&self) -> Vec<Want<'_>> {
        let mut wants = Vec::new();
        for recipe in self.recipes.values() {
            self.wants_of(recipe, &mut wants);
        }
        wants
    }

    fn wants_of<'b>(&self, recipe: &'b Recipe, wants: &mut Vec<Want<'b>>) {
        if self.stored(recipe).is_some() {
            return;
        }
        let mut add = |package: &PlannedPackage, artifact: &'b Artifact| {
            if !wants.iter().any(|want| want.artifact == artifact) {
                wants.push(Want {
                    package: package.name.to_string(),
                    artifact,
                });
            }
        };
        if let Source::Archive { artifact, .. } = &recipe.source {
            add(&recipe.package, artifact);
        }
        for need in &recipe.needs {
            if let Origin::Wheel(artifact) = &need.origin {
                add(&need.package, artifact);
            }
        }
        for need in &recipe.needs {
            if let Origin::Recipe(recipe) = &need.origin {
                self.wants_of(recipe, wants);
            }
        }
    }

    /// Something of [`Self::wants`] is there.
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
        let mut errors = std::mem::take(&mut *lock(&self.errors));
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
            let made = self.kitchen.as_ref().map_or(Ok(None), |kitchen| {
                self.stored_or_built(kitchen, recipe, progress)
            });
            made.unwrap_or_else(|error| {
                self.stop.store(true, Ordering::Relaxed);
                lock(&self.errors).push((recipe.package.label(), error));
                None
            })
        };
        recipe.made.get_or_init(make).clone()
    }

    fn stored(&self, recipe: &Recipe) -> Option<Wheel> {
        let (file_name, blob) = self.request.store.built(recipe.key.as_ref()?)?;
        Some(Wheel {
            file_name,
            blob,
            is_new: false,
        })
    }

    fn stored_or_built(
        &self,
        kitchen: &Kitchen<'_>,
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
        self.build(kitchen, recipe, &source, &needs, progress)
    }

    /// The source, once it is here.
    fn source(&self, recipe: &Recipe, progress: &Progress) -> Result<Option<Ready>, BuildError> {
        Ok(Some(match &recipe.source {
            Source::Archive {
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
            Source::Git(git) => {
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
            Source::Folder {
                path, is_editable, ..
            } => Ready::Folder {
                path: path.clone(),
                is_editable: *is_editable,
            },
        }))
    }

    fn build(
        &self,
        kitchen: &Kitchen<'_>,
        recipe: &Recipe,
        source: &Ready,
        needs: &[Wheelhouse<'_>],
        progress: &Progress,
    ) -> Result<Option<Wheel>, BuildError> {
        let options = self.request.options;
        let package = &recipe.package;
        let label = package.label();
        let disk = |source| BuildError::Disk {
            package: label.clone(),
            source,
        };
        if let Some(why) = &kitchen.uncontained
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            progress.say(&format!("warning: builds are not contained here: {why}"));
        }
        let say = |line: String| {
            if !options.quiet {
                progress.say(&line);
            }
        };
        say(format!("Building {label} …"));
        progress.working_on(package.name.to_string());
        let start = Instant::now();
        let mut temporary = tempfile::Builder::new()
            .prefix(&format!("lockwright-build-{}-", package.name))
            .tempdir()
            .map_err(disk)?;
        let folder = Utf8Path::from_path(temporary.path())
            .ok_or_else(|| disk(std::io::ErrorKind::InvalidFilename.into()))?
            .to_owned();
        for name in ["root", "tmp", "home", "out"] {
            fs::create_dir(folder.join(name)).map_err(disk)?;
        }
        let is_contained = kitchen.is_contained;
        let seen = match is_contained {
            true => Utf8PathBuf::from(sandbox::INSIDE),
            false => folder.clone(),
        };
        let place = source.put(&label, &folder, &seen)?;
        let project = Project::read(&place.real).map_err(|reason| BuildError::Project {
            package: label.clone(),
            reason,
        })?;
        let there: Vec<&PlannedPackage> = needs.iter().map(|need| need.package).collect();
        let check = |requires: &[String]| {
            let requirements = &kitchen.requirements;
            requirements.check(package, &recipe.scope, requires, &there)
        };
        let mut requires = project.requires.clone();
        requires.extend(kitchen.requirements.extra(&package.name));
        check(&requires)?;
        let env = folder.join("env");
        environment::assemble(kitchen.interpreter, &env, &seen.join("env"), needs)?;

        let bench = Bench {
            recipe,
            interpreter: kitchen.interpreter,
            folder: &folder,
            seen: &seen,
            place: &place,
            project: &project,
            needs,
            variables: environment::variables(recipe, &seen, is_contained),
            is_contained,
            limit: options.limit,
            this: &options.this,
            stop: &self.stop,
        };
        let outcome = bench.run(&kitchen.hook, false).map_err(disk)?;
        if outcome.ended == Ended::Stopped {
            return Ok(None);
        }
        // Checked even when the build failed: what is missing is most often why.
        check(&outcome.requires)?;
        let Some(made) = outcome.wheel else {
            let log = fs::read(bench.log()).unwrap_or_default();
            let kept = self.keep_log(package, &log).unwrap_or_else(|_| {
                temporary.disable_cleanup(true);
                bench.log()
            });
            if options.keep_failed {
                temporary.disable_cleanup(true);
                say(format!("The folder of the build is kept: {folder}"));
            }
            let limit = (outcome.ended == Ended::TooLate).then_some(options.limit);
            return Err(BuildError::failed(&label, &log, &kept, limit));
        };
        let wheel = wheel::canonical(package, &made, &folder.join("out").join(&made))?;
        let canonical = folder.join("canonical.whl");
        fs::write(&canonical, &wheel).map_err(disk)?;
        let made_by = format!("built from {label}");
        let (file_name, blob) = match recipe.key.as_ref().filter(|_| is_as_it_was(recipe)) {
            Some(key) => {
                let store = self.request.store;
                store.insert_built(key, &made, &canonical, &made_by)?
            }
            None => {
                let origin = Provenance {
                    file_name: made.clone(),
                    source: made_by,
                };
                (made, self.request.store.take_as_is(&canonical, &origin)?)
            }
        };
        say(format!(
            "Built {label} in {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        Ok(Some(Wheel {
            file_name,
            blob,
            is_new: true,
        }))
    }

    /// Keeps the log of a build that failed beside the store, in the place of the one before.
    fn keep_log(&self, package: &PlannedPackage, log: &[u8]) -> std::io::Result<Utf8PathBuf> {
        let logs = self.request.store.root().join("logs");
        fs::create_dir_all(&logs)?;
        let path = logs.join(format!("{}.log", package.label().replace(' ', "-")));
        fs::write(&path, log)?;
        Ok(path)
    }
}

/// An editable build may write to its folder: compiled modules, say. Its wheel is found again by
/// what was there before, so only one that left everything as it was is kept under that.
fn is_as_it_was(recipe: &Recipe) -> bool {
    match &recipe.source {
        Source::Folder {
            path,
            is_editable: true,
            digest,
        } => folder::digest(path, true).is_ok_and(|now| now == *digest),
        _ => true,
    }
}

fn is_wheel(package: &PlannedPackage) -> bool {
    matches!(package.install, Install::Wheel { .. })
}

impl<'a> Kitchen<'a> {
    fn new(request: &Request<'a>, first: &PlannedPackage) -> Result<Self, BuildError> {
        let options = request.options;
        let interpreter = request
            .interpreter
            .ok_or_else(|| BuildError::NoInterpreter(first.label()))?;
        let no_binary = request.no_binary.iter();
        let no_binary = no_binary.chain(&request.settings.no_binary_package);
        let requirements = Requirements::new(
            options.lock.as_ref(),
            &interpreter.target,
            request.plan,
            request.settings.build.clone().under(&options.settings),
            no_binary.cloned().collect(),
        )?;
        let hook = match &options.hook {
            Some(command) => Hook::Command(command.clone()),
            None => Hook::Pep517,
        };
        // A command contains itself, or does not.
        let possible = match (&hook, options.sandbox) {
            (Hook::Command(_), _) | (_, Mode::Off) => None,
            _ => Some(sandbox::is_possible(&options.this)),
        };
        let uncontained = match (possible.clone(), options.sandbox) {
            (Some(Err(why)), Mode::Require) => return Err(BuildError::Sandbox(why)),
            (Some(Err(why)), _) => Some(why),
            _ => None,
        };
        Ok(Self {
            interpreter,
            requirements,
            hook,
            uncontained,
            is_contained: possible.is_some_and(|possible| possible.is_ok()),
        })
    }

    /// What a package's wheel is made of. `above` are those that need it.
    fn recipe(
        &self,
        request: &Request<'_>,
        package: &PlannedPackage,
        above: &[&PackageName],
        known: &mut HashMap<String, Arc<Recipe>>,
    ) -> Result<Arc<Recipe>, BuildError> {
        if above.contains(&&package.name) {
            let circle = above.iter().map(ToString::to_string);
            let circle: Vec<String> = circle.chain([package.name.to_string()]).collect();
            return Err(BuildError::Circle(circle.join(" needs ")));
        }
        let id = format!("{}\n{:?}", package.label(), package.install);
        if let Some(recipe) = known.get(&id) {
            return Ok(Arc::clone(recipe));
        }
        let (scope, mut wanted) = self.requirements.of(package)?;
        wanted.sort_by(|one, other| one.name.cmp(&other.name));
        let above: Vec<&PackageName> = above.iter().copied().chain([&package.name]).collect();
        let mut needs = Vec::new();
        for need in wanted {
            let origin = match &need.install {
                Install::Wheel { artifact } => Origin::Wheel(artifact.clone()),
                _ => Origin::Recipe(self.recipe(request, &need, &above, known)?),
            };
            needs.push(Need {
                package: need,
                origin,
            });
        }
        let settings = self.requirements.settings();
        let own = [
            settings.extra_build_variables.get(&package.name),
            request.options.environment.get(&package.name),
        ];
        let environment: BTreeMap<String, String> = own
            .into_iter()
            .flatten()
            .flatten()
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        let mut recipe = Recipe {
            source: source_of(package)?,
            package: package.clone(),
            needs,
            scope,
            environment: environment.into_iter().collect(),
            config_settings: settings.config_settings(&package.name),
            key: None,
            made: OnceLock::new(),
        };
        recipe.key = recipe.key(self.interpreter, &self.hook, self.is_contained);
        // Two locks may have one sdist from two places: it is built once.
        let same = recipe.key.as_ref().map(ToString::to_string);
        let same = same.unwrap_or_else(|| id.clone());
        let recipe = Arc::clone(known.entry(same).or_insert_with(|| Arc::new(recipe)));
        known.insert(id, Arc::clone(&recipe));
        Ok(recipe)
    }
}

/// Where a package's files come from.
fn source_of(package: &PlannedPackage) -> Result<Source, BuildError> {
    Ok(match &package.install {
        Install::Wheel { artifact } => Source::Archive {
            artifact: artifact.clone(),
            subdirectory: None,
        },
        Install::Sdist {
            artifact,
            subdirectory,
            ..
        } => Source::Archive {
            artifact: artifact.clone(),
            subdirectory: subdirectory.clone(),
        },
        Install::Git { source } => {
            if let Some(path) = &source.path {
                let reason = format!(
                    "the lock has {path} in its repository in its place, and lockwright builds \
                     repositories alone; point its source at the repository, or at the archive"
                );
                let package = package.label();
                return Err(BuildError::Project { package, reason });
            }
            Source::Git(source.clone())
        }
        Install::Directory { path, editable } => Source::Folder {
            digest: folder::digest(path, *editable).map_err(|error| BuildError::Project {
                package: package.label(),
                reason: format!("its folder {path} cannot be read: {error}"),
            })?,
            path: path.clone(),
            is_editable: *editable,
        },
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has arrived so far, for builds that wait for it.
#[derive(Default)]
struct Inputs {
    state: Mutex<Arrivals>,
    changed: Condvar,
}

#[derive(Default)]
struct Arrivals {
    blobs: HashMap<String, Blob>,
    is_over: bool,
}

impl Inputs {
    /// What tells an artifact from others.
    fn id(artifact: &Artifact) -> String {
        format!("{:?}", (&artifact.location, &artifact.digest))
    }

    fn arrived(&self, artifact: &Artifact, blob: Blob) {
        lock(&self.state).blobs.insert(Self::id(artifact), blob);
        self.changed.notify_all();
    }

    fn close(&self) {
        lock(&self.state).is_over = true;
        self.changed.notify_all();
    }

    /// Waits for an artifact; `None` when it will not come.
    fn wait(&self, artifact: &Artifact) -> Option<Blob> {
        let id = Self::id(artifact);
        let mut state = lock(&self.state);
        loop {
            if let Some(blob) = state.blobs.get(&id) {
                return Some(blob.clone());
            }
            if state.is_over {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// As many builds at once as there are cores.
struct Cores {
    free: Mutex<usize>,
    changed: Condvar,
}

/// One of them, until it is dropped.
struct Core<'a>(&'a Cores);

impl Cores {
    fn new(count: usize) -> Self {
        Self {
            free: Mutex::new(count.max(1)),
            changed: Condvar::new(),
        }
    }

    fn take(&self) -> Core<'_> {
        let mut free = lock(&self.free);
        while *free == 0 {
            free = self
                .changed
                .wait(free)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Core(self)
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.changed.notify_one();
    }
}
