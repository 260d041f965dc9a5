//! Manifests that include others: the sources, tools and components of these are its own, as if they stood in
//! it. What they read beside themselves is still found beside them.
//!
//! Each file is included once, however often it is named; what it says of how sources are built holds for its
//! own components.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;

use super::model::{BuildDefaults, Component, Manifest};
use super::phases::Patch;
use super::source::{Origin, Source};
use super::template::PathTemplate;
use super::tool::{Tool, ToolKind};
use super::{FILE_NAME, ManifestError};
use crate::core::foreign;
use crate::core::place::Place;

/// A manifest that is included.
#[derive(Debug, Clone)]
pub struct Included {
    /// Its file.
    pub file: Utf8PathBuf,
    /// As it is written.
    pub text: String,
    /// The components that stand in it.
    pub components: BTreeSet<String>,
}

/// Reads what a manifest includes, and takes it over.
///
/// # Errors
/// When one is not there or is none, or a name is in two of them.
pub fn all(
    manifest: &mut Manifest,
    file: &Utf8Path,
    text: &str,
) -> Result<Vec<Included>, ManifestError> {
    let mut all = Inclusion {
        seen: BTreeSet::from([real(file)]),
        included: Vec::new(),
    };
    all.look(manifest, file, text)?;
    Ok(all.included)
}

fn real(file: &Utf8Path) -> Utf8PathBuf {
    file.canonicalize_utf8().unwrap_or_else(|_| file.to_owned())
}

struct Inclusion {
    seen: BTreeSet<Utf8PathBuf>,
    included: Vec<Included>,
}

impl Inclusion {
    /// Takes over what a manifest includes.
    fn look(
        &mut self,
        manifest: &mut Manifest,
        file: &Utf8Path,
        text: &str,
    ) -> Result<(), ManifestError> {
        let folder = file.parent().unwrap_or(Utf8Path::new("/"));
        for named in std::mem::take(&mut manifest.include) {
            let refuse = |message: String| ManifestError::Syntax {
                place: Place::at(file, text, text.find(named.as_str()).unwrap_or(0)),
                message,
                hint: String::new(),
            };
            let is_file = named.extension() == Some("toml");
            let path = match is_file {
                true => named.clone(),
                false => named.join(FILE_NAME),
            };
            let other = real(&folder.join(&path));
            if !self.seen.insert(other.clone()) {
                continue;
            }
            let own = foreign::text(&other)
                .map_err(|error| refuse(format!("{other} cannot be included: {error}")))?;
            let mut found = Manifest::parse(&own, &other)?;
            let components = found.component.keys().cloned().collect();
            self.look(&mut found, &other, &own)?;
            found.read_from(path.parent().unwrap_or(Utf8Path::new("")));
            manifest.take(found).map_err(|(what, name)| {
                refuse(format!(
                    "{other} has a {what} `{name}`, and so does a manifest before it: give one of them \
                     another name"
                ))
            })?;
            self.included.push(Included {
                file: other,
                text: own,
                components,
            });
        }
        Ok(())
    }
}

impl Manifest {
    /// Makes what it reads beside itself be found from another folder, from which `folder` leads to its own.
    fn read_from(&mut self, folder: &Utf8Path) {
        let general = std::mem::take(&mut self.build);
        for component in self.component.values_mut() {
            if component.python.is_some() {
                component.build.take(&general);
            }
            component.read_from(folder);
        }
        for source in self.sources.values_mut() {
            if let Origin::Path { path } = &mut source.origin {
                *path = folder.join(&*path);
            }
        }
        for tool in self.tools.values_mut() {
            match &mut tool.kind {
                ToolKind::Exec { .. } => {}
                ToolKind::Path { path } => path.read_from(folder),
                ToolKind::Found { inputs, .. } => {
                    for input in inputs {
                        *input = folder.join(&*input);
                    }
                }
            }
        }
    }

    /// Takes over what another has; what both may say is said here. The name that is in both, and what it is
    /// of.
    fn take(&mut self, other: Self) -> Result<(), (&'static str, String)> {
        fn add<T>(
            to: &mut IndexMap<String, T>,
            from: IndexMap<String, T>,
            what: &'static str,
        ) -> Result<(), (&'static str, String)> {
            for (name, value) in from {
                if to.contains_key(&name) {
                    return Err((what, name));
                }
                to.insert(name, value);
            }
            Ok(())
        }
        add::<Source>(&mut self.sources, other.sources, "source")?;
        add::<Tool>(&mut self.tools, other.tools, "tool")?;
        add::<Component>(&mut self.component, other.component, "component")?;
        for (from, to) in other.mirrors {
            self.mirrors.entry(from).or_insert(to);
        }
        let (own, theirs) = (&mut self.target, other.target);
        own.python = own.python.take().or(theirs.python);
        own.platform = own.platform.take().or(theirs.platform);
        own.node = own.node.take().or(theirs.node);
        Ok(())
    }
}

impl BuildDefaults {
    /// Takes over what it does not say itself.
    fn take(&mut self, general: &Self) {
        self.lock = self.lock.take().or_else(|| general.lock.clone());
        for (name, said) in &general.packages {
            let own = self.packages.entry(name.clone()).or_default();
            for (variable, value) in &said.env {
                let value = || value.clone();
                own.env.entry(variable.clone()).or_insert_with(value);
            }
            own.patch.extend(said.patch.iter().cloned());
            own.inputs.extend(said.inputs.iter().cloned());
        }
    }
}

impl Component {
    /// Makes what it reads beside its manifest be found from another folder, from which `folder` leads to that.
    fn read_from(&mut self, folder: &Utf8Path) {
        fn diffs(patches: &mut [Patch]) -> impl Iterator<Item = &mut PathTemplate> {
            patches.iter_mut().filter_map(|patch| match patch {
                Patch::Diff(patch) => Some(&mut patch.diff),
                _ => None,
            })
        }
        let mut all: Vec<&mut PathTemplate> = Vec::new();
        all.extend(self.python.iter_mut().map(|python| &mut python.lock));
        all.extend(self.node.iter_mut().map(|node| &mut node.lock));
        if let Some(go) = &mut self.go {
            all.push(&mut go.lock);
            all.extend(go.replace.values_mut());
        }
        if let Some(image) = &mut self.image {
            all.extend(&mut image.base);
            all.extend(image.tree.values_mut());
        }
        all.extend(self.copy.iter_mut().map(|copy| &mut copy.from));
        all.extend(diffs(&mut self.patch));
        all.extend(self.run.iter_mut().flat_map(|run| &mut run.inputs));
        for package in self.build.packages.values_mut() {
            all.extend(diffs(&mut package.patch));
            all.extend(&mut package.inputs);
        }
        for template in all {
            template.read_from(folder);
        }
        if let Some(lock) = &mut self.build.lock {
            *lock = folder.join(&*lock);
        }
    }
}
