//! The scripts that `--allow-scripts` names, run in the trees that are to be, before anything is
//! renamed into its place.
//!
//! npm runs all `preinstall` scripts, then all `install` scripts, many at a time. Here one package
//! follows the other, each after those that it needs, so that the outcome is the same every time.
//! Packages of `node_modules` come first and see that alone. Then come the linked folders, which are
//! the project's own code and see and may write to all of it; the project's own scripts are last.

use std::fs;

use camino::Utf8PathBuf;

use super::trees::Trees;
use super::{LeftOut, NpmAssembleError, Request};
use crate::core::foreign::Folder;
use crate::core::io_error::cannot;
use crate::core::progress::Progress;
use crate::decide::lock::npm::Manifest;
use crate::decide::lock::npm::scripts::{INSTALL, LINKED_FIRST, LINKED_THEN, PROJECT};
use crate::decide::plan::npm::{NpmSource, PlannedNpm};
use crate::install::build::sandbox::Shown;
use crate::install::build::scripts::{Room, ScriptError, Scripts, inside};

/// What `--allow-scripts` calls the project itself.
pub const OWN: &str = ".";

/// Runs the allowed scripts; the places of those who had some. `link_programs` is called when the
/// linked folders have prepared themselves.
///
/// # Errors
/// With the first that fails, or with all optional packages whose scripts did.
pub(super) fn run(
    request: &Request<'_>,
    trees: &Trees<'_>,
    link_programs: &dyn Fn() -> Result<(), NpmAssembleError>,
) -> Result<Vec<String>, NpmAssembleError> {
    let order = request.plan.needed_first();
    let order = order
        .into_iter()
        .filter(|package| request.scripts.contains(&package.name));
    let (folders, packages): (Vec<&PlannedNpm>, Vec<&PlannedNpm>) = order
        .filter(|package| !matches!(package.source, NpmSource::Link(_)))
        .partition(|package| matches!(package.source, NpmSource::Folder));
    let own = request.scripts.iter().any(|name| name == OWN);
    let running = Progress::items(
        "Running scripts",
        (packages.len() + folders.len()) as u64 + u64::from(own),
    );
    let mut run = Vec::new();
    if !packages.is_empty() {
        run.extend(of_packages(request, trees, &packages, &running)?);
    }
    if !trees.collected && (own || !folders.is_empty()) {
        let project = Own::new(request, trees)?;
        for package in &folders {
            running.working_on(package.name.clone());
            if project.run(package, LINKED_FIRST)? > 0 {
                run.push(package.location.to_string());
            }
        }
        link_programs()?;
        for package in &folders {
            let place = package.location.as_str();
            if project.run(package, LINKED_THEN)? > 0 && !run.iter().any(|known| known == place) {
                run.push(place.to_owned());
            }
            running.advance(1);
        }
        if own && project.run_own()? > 0 {
            run.push(OWN.to_owned());
        }
    }
    running.done();
    Ok(run)
}

/// The trees, where scripts find them.
fn shown(trees: &Trees<'_>) -> Vec<Shown> {
    let staged = trees.staged().into_iter();
    staged
        .map(|(prefix, from)| Shown {
            from,
            to: inside(prefix),
            writable: true,
        })
        .collect()
}

fn of_packages(
    request: &Request<'_>,
    trees: &Trees<'_>,
    packages: &[&PlannedNpm],
    running: &Progress,
) -> Result<Vec<String>, NpmAssembleError> {
    let mut shown = shown(trees);
    let about = request.lock.folder().join("package.json");
    if !trees.collected && about.is_file() {
        shown.push(Shown {
            from: about,
            to: inside("package.json"),
            writable: false,
        });
    }
    shown.sort_by(|one, other| one.to.cmp(&other.to));
    let room = Room::new(
        shown,
        "the project's node_modules",
        &request.plan.target,
        request.node,
    )?;
    let mut run = Vec::new();
    let mut failed = Vec::new();
    for package in packages {
        running.working_on(package.name.clone());
        let location = package.location.as_str();
        let (tree, place) = trees.find(location)?;
        let top = tree.root();
        // npm asks the lock, and looks only for what is built without saying so.
        let has_gyp = || {
            let folder = Folder::open(&top).and_then(|top| top.folder(place.as_str()));
            folder.is_ok_and(|folder| folder.has("binding.gyp"))
        };
        if !package.has_install_script && !has_gyp() {
            running.advance(1);
            continue;
        }
        let count = room.run(&Scripts {
            name: &package.name,
            version: package.version.as_deref().unwrap_or_default(),
            location,
            below: place.as_str(),
            top,
            events: INSTALL,
        });
        match count {
            Ok(0) => {}
            Ok(_) => run.push(location.to_owned()),
            Err(why @ ScriptError::Failed { .. }) if package.is_optional => failed.push(LeftOut {
                location: location.to_owned(),
                why: why.to_string(),
            }),
            Err(why) => return Err(why.into()),
        }
        running.advance(1);
    }
    match failed.is_empty() {
        true => Ok(run),
        false => Err(NpmAssembleError::Optional(failed)),
    }
}

/// The project's own folder, with the trees that are to be in their places.
struct Own<'a> {
    request: &'a Request<'a>,
    room: Room,
    /// Its package.json, as it was before any script ran.
    about: Manifest,
    /// Folders that were made for the trees to be shown in.
    made: Vec<Utf8PathBuf>,
}

impl<'a> Own<'a> {
    fn new(request: &'a Request<'_>, trees: &Trees<'_>) -> Result<Self, NpmAssembleError> {
        let folder = request.lock.folder();
        let mut all = shown(trees);
        all.push(Shown {
            from: folder.to_owned(),
            to: inside(""),
            writable: true,
        });
        all.sort_by(|one, other| one.to.cmp(&other.to));
        let room = Room::new(
            all,
            "the project's folder",
            &request.plan.target,
            request.node,
        )?;
        let mut own = Self {
            request,
            room,
            about: Manifest::beside(folder)?.unwrap_or_default().0,
            made: Vec::new(),
        };
        for prefix in trees.trees.keys() {
            let path = folder.join(prefix.trim_end_matches('/'));
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(NpmAssembleError::Linked(path)),
                Err(_) => match fs::create_dir(&path) {
                    Ok(()) => own.made.push(path),
                    Err(source) => {
                        return Err(cannot("make", &path)(source).into());
                    }
                },
            }
        }
        Ok(own)
    }

    fn run(
        &self,
        package: &PlannedNpm,
        events: &[&'static str],
    ) -> Result<usize, NpmAssembleError> {
        let location = package.location.as_str();
        Ok(self.room.run(&Scripts {
            name: &package.name,
            version: package.version.as_deref().unwrap_or_default(),
            location,
            top: self.request.lock.folder().to_owned(),
            below: location,
            events,
        })?)
    }

    fn run_own(&self) -> Result<usize, NpmAssembleError> {
        let about = &self.about;
        Ok(self.room.run(&Scripts {
            name: about.name.as_deref().unwrap_or_default(),
            version: about.version.as_deref().unwrap_or_default(),
            location: "",
            top: self.request.lock.folder().to_owned(),
            below: "",
            events: PROJECT,
        })?)
    }
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        // Empty, unless somebody has put something there since.
        for path in &self.made {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Whether any of a plan's own folders are named: what cannot be when all is collected elsewhere.
pub fn names_own(plan: &crate::decide::plan::npm::NpmPlan, scripts: &[String]) -> bool {
    let is_folder = |name: &String| {
        let mut packages = plan.packages.iter();
        packages.any(|package| matches!(package.source, NpmSource::Folder) && package.name == *name)
    };
    scripts.iter().any(|name| name == OWN || is_folder(name))
}
