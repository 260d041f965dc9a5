//! Which components are made, when: each after those it needs, side by side otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use super::containment::Containment;
use super::context::{Context, Pythons};
use super::error::{Cause, ComponentError};
use super::kept;
use super::outcome::{Hearing, Outcome, Verdict};
use super::prepare::prepare;
use super::record::Record;
use super::sources::{Sources, no_such};
use super::tools::Tools;
use super::{Made, Settings, make as phases, places, shared};
use crate::core::io_error::cannot;
use crate::core::locks;
use crate::files::tree::Tree;
use crate::obtain::store;

/// How closely components are looked at, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Whether everything that was asked for is as it was; nothing is made.
    Quick,
    /// What would be made, and why.
    Explain,
    /// What is not there is made.
    Make,
}

/// What all components of a run share.
struct Shared<'a> {
    settings: &'a Settings<'a>,
    sources: Sources<'a>,
    pythons: Pythons<'a>,
    containment: Containment<'a>,
    tools: Tools,
    order: Vec<&'a str>,
    /// The components in between that are found where they are.
    led_to: BTreeSet<String>,
    looks: Mutex<BTreeMap<String, Looked>>,
}

/// Whether a tree is as it was made.
enum Looked {
    /// It is being looked at, while it is found out what it should be made from.
    Begun(store::Look),
    Known(bool),
}

impl<'a> Shared<'a> {
    fn new(settings: &'a Settings<'a>) -> Result<Self, ComponentError> {
        let manifest = &settings.document.manifest;
        for (name, path) in &settings.given {
            if !manifest.component.contains_key(name) {
                return Err(no_such(
                    settings,
                    "component",
                    name,
                    manifest.component.keys(),
                ));
            }
            if !path.is_dir() {
                let what = format!("--component {name}={path}: there is no such folder");
                return Err(Cause::Said(what).into());
            }
        }
        let wanted: Vec<&str> = settings
            .wanted
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        let all = manifest.order_of(wanted.iter().copied())?;
        // What only a given component needs is not needed.
        let mut needed: BTreeSet<String> = BTreeSet::new();
        let mut next: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        while let Some(name) = next.pop() {
            if needed.insert(name.clone())
                && !settings.given.contains_key(&name)
                && let Some(component) = manifest.component.get(&name)
            {
                next.extend(manifest.needs(component).components);
            }
        }
        Ok(Self {
            settings,
            sources: Sources::new(settings)?,
            pythons: Pythons::new(settings),
            containment: Containment::new(settings),
            tools: Tools::default(),
            led_to: places::led_to(manifest, wanted),
            looks: Mutex::default(),
            order: all
                .into_iter()
                .filter(|name| needed.contains(*name))
                .collect(),
        })
    }

    /// Begins to look at what is asked for: that takes longest where nothing is to do.
    fn look(&self) {
        let mut looks = locks::held(&self.looks);
        for wanted in &self.settings.wanted {
            if let Some(look) = self.settings.store.look(&wanted.out) {
                looks.insert(wanted.name.clone(), Looked::Begun(look));
            }
        }
    }

    /// Whether a component's tree is what its record says.
    fn is_true(&self, name: &str, record: &Record, tree: &Utf8Path) -> bool {
        let looks = || locks::held(&self.looks);
        let begun = looks().remove(name);
        let found = match begun {
            Some(Looked::Known(is_true)) => Some(is_true),
            Some(Looked::Begun(look)) => look.finds(&record.key).then_some(true),
            None => None,
        };
        let is_true = found.unwrap_or_else(|| record.is_true(tree, self.settings.store));
        looks().insert(name.to_owned(), Looked::Known(is_true));
        is_true
    }

    /// Whether all that was asked for is what its record says.
    fn are_true(&self) -> bool {
        let mut wanted = self.settings.wanted.iter();
        wanted.all(|wanted| {
            self.settings.given.contains_key(&wanted.name)
                || Record::of(&wanted.out)
                    .is_some_and(|record| self.is_true(&wanted.name, &record, &wanted.out))
        })
    }

    fn needs(&self, name: &str) -> Vec<String> {
        let manifest = &self.settings.document.manifest;
        let is_given = self.settings.given.contains_key(name);
        let component = manifest.component.get(name).filter(|_| !is_given);
        let needs = component.map(|one| manifest.needs(one).components);
        needs.into_iter().flatten().collect()
    }

    /// A component with what it needs.
    fn context<'c>(
        &'c self,
        name: &'c str,
        made: &BTreeMap<String, Made>,
    ) -> Result<Context<'c>, ComponentError> {
        let component = self.settings.document.manifest.component.get(name);
        let needs = self.needs(name);
        let known = self.settings.document.manifest.component.keys();
        Ok(Context {
            settings: self.settings,
            sources: &self.sources,
            pythons: &self.pythons,
            containment: &self.containment,
            tools: &self.tools,
            name,
            component: component.ok_or_else(|| no_such(self.settings, "component", name, known))?,
            made: made
                .iter()
                .filter(|(name, _)| needs.contains(name))
                .map(|(name, made)| (name.clone(), made.clone()))
                .collect(),
        })
    }

    /// Looks what becomes of a component, and makes it where it is to be.
    fn see_to(
        &self,
        name: &str,
        made: &BTreeMap<String, Made>,
        look: Look,
        say: Hearing<'_>,
    ) -> Result<Outcome, ComponentError> {
        let start = Instant::now();
        let outcome = |verdict, made| Outcome {
            name: name.to_owned(),
            verdict,
            made,
            needs: self.needs(name),
            took: start.elapsed(),
        };
        if let Some(path) = self.settings.given.get(name) {
            let hash = match Record::of(path) {
                Some(record) => record.hash,
                None => self.sources.digest(path)?,
            };
            let made = Made {
                path: path.clone(),
                prefix: path.clone(),
                hash,
            };
            return Ok(outcome(Verdict::Given, Some(made)));
        }
        let context = self.context(name, made)?;
        let wanted = self.settings.wanted(name);
        let kept = self.settings.kept();
        let place = places::of(name, self.settings, &self.order, &self.led_to);
        let prepared = prepare(&context, &place)?;
        let key = prepared.ingredients.key();
        let (out, prefix) = match wanted {
            Some(wanted) => (wanted.out.clone(), wanted.prefix.clone()),
            None => {
                let hex = key.hex();
                let short = hex.get(..16).unwrap_or(&hex);
                let out = kept.join(format!("{name}-{short}"));
                let prefix = match place == kept {
                    true => out.clone(),
                    false => place,
                };
                (out, prefix)
            }
        };
        let there = Record::of(&out);
        let known = there.clone().or_else(|| self.newest(name));
        // What nobody reads in this run, nor later, need not be looked through; and what was asked for is at the end.
        let is_looked_at = look != Look::Quick || wanted.is_none() && self.led_to.contains(name);
        let is_true = |there: &Record| !is_looked_at || self.is_true(name, there, &out);
        let verdict = match (&there, &known) {
            (Some(there), _) if there.key == key && is_true(there) => Verdict::Unchanged,
            (Some(there), _) if there.key == key => Verdict::Touched,
            (_, Some(known)) => Verdict::Changed(prepared.ingredients.changes(&known.ingredients)),
            (_, None) => Verdict::New,
        };
        let here = |record: Record| Made {
            path: out.clone(),
            prefix: prefix.clone(),
            hash: record.hash,
        };
        if look != Look::Explain && verdict == Verdict::Unchanged && wanted.is_none() {
            kept::used(&Record::place(&out));
        }
        if look == Look::Make && verdict == Verdict::Unchanged {
            Tree::sweep(&out);
        }
        if look != Look::Make || verdict == Verdict::Unchanged {
            return Ok(outcome(verdict, there.map(here)));
        }
        // Of two runs that need the same component one makes it, and the other waits.
        let _lock = match wanted {
            Some(_) => None,
            None => lock(&out)?,
        };
        if let Some(record) = Record::of(&out).filter(|one| wanted.is_none() && one.key == key)
            && record.is_true(&out, self.settings.store)
        {
            return Ok(outcome(Verdict::Unchanged, Some(here(record))));
        }
        if let Some(record) = shared::take(&context, &prepared, &out)? {
            say(name, &Verdict::Shared, None);
            return Ok(outcome(Verdict::Shared, Some(here(record))));
        }
        say(name, &verdict, None);
        let record = phases::make(&context, &prepared, &out, &prefix)?;
        say(name, &verdict, Some(start.elapsed()));
        Ok(outcome(verdict, Some(here(record))))
    }

    /// The record of the component's last tree in the store.
    fn newest(&self, name: &str) -> Option<Record> {
        let entries = self.settings.kept().read_dir_utf8().ok()?;
        let prefix = format!("{name}-");
        let trees = entries.flatten().filter_map(|entry| {
            let rest = entry.file_name().strip_prefix(&prefix)?;
            let is_key = rest.len() == 16 && rest.chars().all(|c| c.is_ascii_hexdigit());
            let record = Record::place(entry.path());
            let time = std::fs::metadata(record).ok()?.modified().ok()?;
            is_key.then(|| (time, entry.path().to_owned()))
        });
        let newest: Option<(_, Utf8PathBuf)> = trees.max();
        newest.and_then(|(_, tree)| Record::of(Utf8Path::new(&tree)))
    }
}

/// Takes the lock of a tree in the store; the kernel lifts it when the run ends, however it does.
fn lock(tree: &Utf8Path) -> Result<Option<File>, ComponentError> {
    let path = Utf8PathBuf::from(format!("{tree}.lock"));
    let open = || -> std::io::Result<File> {
        std::fs::create_dir_all(path.parent().unwrap_or(Utf8Path::new("/")))?;
        File::options().create(true).append(true).open(&path)
    };
    let file = open().map_err(cannot("make the lock", &path));
    let file = file.map_err(Cause::from)?;
    match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
        Ok(()) => Ok(Some(file)),
        // Where the file system has no locks, both make it, and the last to be done has its tree there.
        Err(error) => {
            tracing::debug!("{path} cannot be locked: {error}");
            Ok(None)
        }
    }
}

/// Makes the components that were asked for, and those they need. `say` hears of each that is made,
/// when that begins and when it is.
///
/// # Errors
/// The first, in the order of components, of what went wrong; those made before it stay.
pub fn make(settings: &Settings<'_>, say: Hearing<'_>) -> Result<Vec<Outcome>, ComponentError> {
    let shared = Shared::new(settings)?;
    shared.look();
    // Mostly all is as it was. Then what others are made of need not be looked through.
    let mut outcomes = shared.pass(Look::Quick, say)?;
    let is_quick = outcomes.len() == shared.order.len()
        && !outcomes.iter().any(|one| one.verdict.is_made())
        && shared.are_true();
    if !is_quick {
        // While others are made somebody may edit a tree: each is looked at when its turn comes.
        locks::held(&shared.looks).retain(|_, look| matches!(look, Looked::Known(false)));
        outcomes = shared.pass(Look::Make, say)?;
    }
    kept::note(settings, &outcomes, &shared.led_to);
    outcomes.sort_by_key(|outcome| shared.order.iter().position(|name| *name == outcome.name));
    Ok(outcomes)
}

impl Shared<'_> {
    fn runs_commands(&self) -> bool {
        let manifest = &self.settings.document.manifest;
        let mut own = self
            .order
            .iter()
            .filter_map(|name| manifest.component.get(*name));
        own.any(|component| !component.run.is_empty())
    }

    /// Sees to all components, side by side, until one goes wrong; in a quick look, until one is to be made.
    fn pass(&self, look: Look, say: Hearing<'_>) -> Result<Vec<Outcome>, ComponentError> {
        let at_once = thread::available_parallelism().map_or(1, usize::from);
        let mut done: BTreeMap<String, Made> = BTreeMap::new();
        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut failed: Vec<(usize, ComponentError)> = Vec::new();
        let mut waiting: Vec<(usize, &str)> = self.order.iter().copied().enumerate().collect();
        let mut is_over = false;
        thread::scope(|scope| {
            if self.runs_commands() {
                // Whether they can be contained is tried meanwhile; who asks for it hears what is wrong.
                scope.spawn(|| self.containment.is_contained().is_ok());
            }
            let (tell, hear) = mpsc::channel();
            let mut running = 0;
            loop {
                waiting.retain(|&(index, name)| {
                    let needs = self.needs(name);
                    let is_ready = needs.iter().all(|need| done.contains_key(need));
                    if !is_ready || running == at_once || is_over {
                        return true;
                    }
                    running += 1;
                    let (tell, made) = (tell.clone(), done.clone());
                    scope.spawn(move || {
                        // A panic ends the run as an error does; unheard, it would be waited for.
                        let see = || self.see_to(name, &made, look, say);
                        let outcome = panic::catch_unwind(AssertUnwindSafe(see));
                        // Nobody hears when the run has failed already.
                        let _ = tell.send((index, outcome));
                    });
                    false
                });
                if running == 0 {
                    break;
                }
                let Ok((index, outcome)) = hear.recv() else {
                    break;
                };
                running -= 1;
                match outcome.unwrap_or_else(|panic| panic::resume_unwind(panic)) {
                    Err(error) => {
                        is_over = true;
                        failed.push((index, error));
                    }
                    Ok(outcome) => {
                        is_over |= look == Look::Quick && outcome.verdict.is_made();
                        if let Some(made) = &outcome.made {
                            done.insert(outcome.name.clone(), made.clone());
                        }
                        outcomes.push(outcome);
                    }
                }
            }
        });
        failed.sort_by_key(|(index, _)| *index);
        match failed.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(outcomes),
        }
    }
}

/// Hears of each component in its order, with none of those that it needs.
///
/// # Errors
/// The first that `hear` has.
pub(super) fn each(
    settings: &Settings<'_>,
    hear: &mut dyn FnMut(&Context<'_>) -> Result<(), ComponentError>,
) -> Result<(), ComponentError> {
    let shared = Shared::new(settings)?;
    for name in &shared.order {
        if !settings.given.contains_key(*name) {
            hear(&shared.context(name, &BTreeMap::new())?)?;
        }
    }
    Ok(())
}

/// Says what [`make`] would do, in the order of components, and makes nothing.
///
/// # Errors
/// When a source or a lock cannot be obtained.
pub fn explain(settings: &Settings<'_>) -> Result<Vec<Outcome>, ComponentError> {
    let shared = Shared::new(settings)?;
    let mut made: BTreeMap<String, Made> = BTreeMap::new();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for name in &shared.order {
        let needs = shared.needs(name);
        let before: Vec<String> = outcomes
            .iter()
            .filter(|one| one.verdict.is_made() && needs.contains(&one.name))
            .map(|one| one.name.clone())
            .collect();
        let is_known = needs.iter().all(|need| made.contains_key(need));
        let mut outcome = match is_known {
            true => shared.see_to(name, &made, Look::Explain, &|_, _, _| {})?,
            false => Outcome {
                name: (*name).to_owned(),
                verdict: Verdict::New,
                made: None,
                needs: needs.clone(),
                took: Duration::ZERO,
            },
        };
        if !before.is_empty() {
            outcome.verdict = match outcome.verdict {
                Verdict::Unchanged => Verdict::After(before, Vec::new()),
                Verdict::Changed(changes) => Verdict::After(before, changes),
                other => other,
            };
        }
        if let Some(one) = &outcome.made {
            made.insert((*name).to_owned(), one.clone());
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
