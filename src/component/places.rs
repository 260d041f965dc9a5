//! Where components live, and where that shows in their bytes.
//!
//! One that was asked for lives where it is put, or where `--prefix` says. One that is only needed
//! lies in the store, and where that is must not show in what is made from it: its place is
//! [`nowhere`], unless another one's finished tree leads there. One that says where it lives, and that
//! another starts from, lives where that one does.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use super::context::Context;
use super::error::ComponentError;
use super::{Settings, links};
use crate::decide::manifest::{
    BuildDefaults, Component, Manifest, Parsed, Patch, Placeholder, Seal,
};
use crate::install::build::sandbox::INSIDE;

/// The place of a component that nobody is to find: where commands see it.
pub fn nowhere(name: &str) -> Utf8PathBuf {
    format!("{INSIDE}/component/{name}").into()
}

/// Where a component will live: the folder of the store's own where that follows from its key. `order` are all
/// that are made, `led_to` those that finished trees lead to.
pub fn of(
    name: &str,
    settings: &Settings<'_>,
    order: &[&str],
    led_to: &BTreeSet<String>,
) -> Utf8PathBuf {
    let manifest = &settings.document.manifest;
    if let Some(wanted) = settings.wanted(name) {
        return wanted.prefix.clone();
    }
    if let Some(place) = manifest.place_in_image(name, order) {
        return place.into();
    }
    if led_to.contains(name) {
        return settings.kept();
    }
    let component = manifest.component.get(name);
    if !component.is_some_and(says_its_own) {
        return nowhere(name);
    }
    let starts_from_it = |other: &&&str| {
        let base = manifest.component.get(**other).map(|other| &other.base);
        let base = base.and_then(Option::as_ref);
        base.and_then(|base| base.from.component()) == Some(name)
    };
    let others = order.iter().filter(starts_from_it);
    let others: BTreeSet<Utf8PathBuf> = others
        .map(|other| of(other, settings, order, led_to))
        .collect();
    match others.first() {
        Some(place) if others.len() == 1 && *place != settings.kept() => place.clone(),
        _ => nowhere(name),
    }
}

/// Where a component that was asked for lives because an image is made in the same run: where that has it, or,
/// where the component says its place, where the image has the one that starts from it. `made` were asked for.
pub fn in_image(manifest: &Manifest, name: &str, made: &[String]) -> Option<String> {
    let starting = |base: &str| {
        let all = manifest.component.iter();
        let named = all.filter(|(_, other)| {
            let from = other.base.as_ref();
            from.and_then(|one| one.from.component()) == Some(base)
        });
        named.map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    let (mut next, mut seen) = (vec![name.to_owned()], BTreeSet::new());
    let mut places = BTreeSet::new();
    while let Some(name) = next.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match manifest.place_in_image(&name, made) {
            Some(place) => {
                places.insert(place.to_owned());
            }
            None if manifest.component.get(&name).is_some_and(says_its_own) || seen.len() > 1 => {
                next.extend(starting(&name));
            }
            None => {}
        }
    }
    places.pop_first().filter(|_| places.is_empty())
}

/// What a component says that will be true, or not, of its place and others' when it is used.
fn runtime_path(component: &Component) -> Vec<&Parsed> {
    // Links to the tree itself are relative.
    let links = component.link.values().filter(|to| !links::inside(to));
    let mut runtime_path: Vec<&Parsed> = links.map(|to| &**to).collect();
    for patch in &component.patch {
        if let Patch::Substitute(patch) = patch {
            runtime_path.extend([&*patch.replace, &*patch.with]);
        }
    }
    for wrap in component.wrap.values() {
        runtime_path.extend(wrap.exec.iter().chain(&wrap.path).map(|t| &**t));
        let others = wrap.env.values().chain(&wrap.cwd).chain(&wrap.shell);
        runtime_path.extend(others.map(|t| &**t));
    }
    let shebangs = component.shebangs.iter();
    runtime_path.extend(shebangs.flat_map(|one| &one.search).map(|t| &**t));
    if let Some(elf) = &component.elf {
        runtime_path.extend(elf.search.iter().chain(&elf.interpreter).map(|t| &**t));
        runtime_path.extend(elf.add_rpath.values().flatten().map(|t| &**t));
    }
    runtime_path
}

/// Whether a finished tree says, by what the manifest says of the component, where it lives.
fn says_its_own(component: &Component) -> bool {
    let own = [Placeholder::Out, Placeholder::Prefix, Placeholder::Site];
    let mut holes = runtime_path(component)
        .into_iter()
        .flat_map(Parsed::placeholders);
    holes.any(|hole| own.contains(hole))
}

/// What commands are told.
fn told(component: &Component) -> impl Iterator<Item = &Parsed> {
    let runs = component.run.iter();
    runs.flat_map(|run| run.command.iter().chain(run.env.values()).map(|t| &**t))
}

fn components<'a>(texts: impl IntoIterator<Item = &'a Parsed>) -> BTreeSet<String> {
    let holes = texts.into_iter().flat_map(Parsed::placeholders);
    let named = holes.filter_map(|hole| match hole {
        Placeholder::Component(name) => Some(name.clone()),
        _ => None,
    });
    named.collect()
}

/// The components whose places show in this one's bytes, or may: in what its commands are told, and in
/// what they see of tools.
pub fn shown_in(context: &Context<'_>) -> BTreeSet<String> {
    let component = context.component;
    let texts = runtime_path(component).into_iter().chain(told(component));
    let tools = context.named_tools().into_iter();
    let tools = tools.filter(|_| component.has_commands());
    let builds = context.settings.document.manifest.builds_of(component);
    let builds = builds.into_iter().flat_map(BuildDefaults::templates);
    let tools = tools.flat_map(|(_, tool)| tool.templates());
    components(texts.chain(builds).chain(tools))
}

/// The components to which the finished tree of a wanted one leads: by what it says, or by what it
/// took over from others that say so. They live where they are.
pub fn led_to<'a>(
    manifest: &Manifest,
    wanted: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let mut next: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
    let (mut seen, mut found) = (BTreeSet::new(), BTreeSet::new());
    while let Some(name) = next.pop() {
        let Some(component) = manifest.component.get(&name) else {
            continue;
        };
        if !seen.insert(name) {
            continue;
        }
        let led_to = components(runtime_path(component));
        next.extend(led_to.iter().cloned());
        next.extend(component.taken().map(str::to_owned));
        found.extend(led_to);
    }
    found
}

/// Whether the place where it will live shows in a component's bytes. Where it does, commands see
/// the tree there.
///
/// # Errors
/// When its base cannot be obtained.
pub fn shows_its_own(context: &Context<'_>) -> Result<bool, ComponentError> {
    let component = context.component;
    let names = |texts: Vec<&Parsed>, holes: &[Placeholder]| {
        let mut all = texts.into_iter().flat_map(Parsed::placeholders);
        all.any(|hole| holes.contains(hole))
    };
    let own = [Placeholder::Out, Placeholder::Prefix, Placeholder::Site];
    let says_so = names(runtime_path(component), &own)
        || names(told(component).collect(), &[Placeholder::Prefix]);
    // In its fixed-output form an environment lives nowhere, but its commands must find it.
    let is_bound = component.seal != Seal::FixedOutput || !component.run.is_empty();
    Ok(says_so || (is_bound && is_environment(context)?))
}

/// Whether it is a Python environment, whose scripts name the place where they are.
pub fn is_environment(context: &Context<'_>) -> Result<bool, ComponentError> {
    let component = context.component;
    let Some(base) = &component.base else {
        return Ok(component.python.is_some());
    };
    let base = context.reading(&base.from, None)?;
    Ok(component.python.is_some() || base.join("pyvenv.cfg").exists())
}

/// Whether there is a Python in what is made, or it is asked for.
pub(super) fn uses_python(context: &Context<'_>) -> Result<bool, ComponentError> {
    let component = context.component;
    let mut holes = component
        .templates()
        .into_iter()
        .flat_map(Parsed::placeholders);
    let says_so = holes.any(|hole| matches!(hole, Placeholder::Python | Placeholder::Site));
    Ok(says_so || !component.smoke.imports.is_empty() || is_environment(context)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_only_commands_are_told_leads_nowhere() {
        let text = "[component.jars]\n[component.tools]\nwrap.x = { exec = ['{component:jars}/x'] }\n\
                    [component.lib]\n[component.made]\nelf = { search = ['{component:lib}/lib'] }\n\
                    run = [{ command = ['x', '{component:tools}'] }]\n\
                    [component.all]\ncopy = [{ from = '{component:made}/dist', to = 'dist' }]\n";
        let manifest = Manifest::parse(text, "lockwright.toml".into()).unwrap();
        let found = led_to(&manifest, ["all"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["lib"]);
        let found = led_to(&manifest, ["tools", "all"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["jars", "lib"]);
    }
}
