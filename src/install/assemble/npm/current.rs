//! Whether a `node_modules` is what a plan would make of it, told as npm tells it: its own record
//! says the same, nothing beside a package is newer than the record, and every package, link and
//! program is in its place, and the project's own programs can be started. What somebody has edited
//! inside of a package is not looked for.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;

use super::links::{relative, unstartable};
use super::trees::{HIDDEN, MODULES};
use crate::decide::lock::npm::NpmLock;
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::install::npm::hidden;

/// As much as npm forgives: a file system's own clock may tick a little later.
const JITTER: Duration = Duration::from_millis(10);

/// Whether there is nothing to do below `root`, the project's folder or where all is collected.
pub fn is_current(lock: &NpmLock, plan: &NpmPlan, root: &Utf8Path) -> bool {
    let record = root.join(MODULES).join(HIDDEN);
    let written = fs::metadata(&record).and_then(|meta| meta.modified());
    let (Ok(text), Ok(written)) = (fs::read_to_string(&record), written) else {
        return false;
    };
    let is_older = |path: &str| {
        let meta = fs::symlink_metadata(root.join(path));
        let modified = meta.and_then(|meta| meta.modified());
        modified.is_ok_and(|time: SystemTime| time <= written + JITTER)
    };
    text == hidden::lockfile(lock, plan)
        && holders(plan).iter().all(|folder| is_older(folder))
        && plan.packages.iter().all(|package| {
            let place = package.location.as_str();
            match &package.source {
                NpmSource::Link(target) => {
                    let link = fs::read_link(root.join(place));
                    link.is_ok_and(|link| {
                        link.as_os_str() == relative(place, target.as_str()).as_str()
                    })
                }
                // A workspace's node_modules that nothing is in has to go.
                NpmSource::Folder => {
                    let modules = format!("{place}/{MODULES}");
                    let mut packages = plan.packages.iter();
                    packages.any(|other| other.location.as_str().starts_with(&modules))
                        || fs::symlink_metadata(root.join(modules)).is_err()
                }
                _ => is_older(place) && is_older(&format!("{place}/package.json")),
            }
        })
        && plan.bins.iter().all(|bin| {
            let (link, file) = (bin.link.as_str(), bin.file.as_str());
            match fs::read_link(root.join(link)) {
                Ok(target) => target.as_os_str() == relative(link, file).as_str(),
                // One whose file is not there is not linked.
                Err(_) => fs::metadata(root.join(file)).is_err(),
            }
        })
        && (root != lock.folder() || unstartable(lock, plan).is_ok_and(|all| all.is_empty()))
        && has_no_other_programs(plan, root)
}

/// Whether every link to a program is one of the plan's: `bin-links` takes all of them away.
fn has_no_other_programs(plan: &NpmPlan, root: &Utf8Path) -> bool {
    let known: BTreeSet<&str> = plan.bins.iter().map(|bin| bin.link.as_str()).collect();
    let holders = holders(plan);
    let own = std::iter::once(MODULES);
    own.chain(holders.into_iter().filter(|holder| *holder != MODULES))
        .map(|holder| format!("{holder}/.bin"))
        .all(|folder| {
            let entries = root.join(&folder).read_dir_utf8();
            let mut entries = entries.into_iter().flatten().flatten();
            entries.all(|entry| known.contains(&*format!("{folder}/{}", entry.file_name())))
        })
}

/// The folders that packages and programs are in: to add or remove one changes their time.
fn holders(plan: &NpmPlan) -> BTreeSet<&str> {
    let places = plan
        .packages
        .iter()
        .filter(|package| !matches!(package.source, NpmSource::Folder))
        .map(|package| package.location.as_str());
    let programs = plan.bins.iter().map(|bin| bin.link.as_str());
    let mut all = BTreeSet::new();
    for place in places.chain(programs) {
        if let Some((folder, _)) = place.rsplit_once('/') {
            // The folder of a scope is in one of packages.
            if let Some((modules, scope)) = folder.rsplit_once('/')
                && scope.starts_with('@')
            {
                all.insert(modules);
            }
            if !folder.ends_with("/.bin") {
                all.insert(folder);
            }
        }
    }
    all
}
