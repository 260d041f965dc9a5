//! What a component needs, and in which order components are made.

use std::collections::BTreeSet;

use super::model::{Component, Manifest, Patch};
use super::template::{Parsed, Placeholder, is_name};

/// The sources and components that one component refers to, anywhere in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Names of sources.
    pub sources: BTreeSet<String>,
    /// Names of components.
    pub components: BTreeSet<String>,
}

/// A reference that leads nowhere or round in a circle.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GraphError {
    /// `{source:x}` or `{component:x}` with no such thing.
    #[error(
        "component `{component}` refers to {placeholder}, but there is no {what} of that name{hint}"
    )]
    Undefined {
        /// Where the reference stands.
        component: String,
        /// The reference.
        placeholder: String,
        /// `source` or `component`.
        what: &'static str,
        /// What was meant, as `; did you mean …?`, or nothing.
        hint: String,
    },
    /// Components that need each other.
    #[error("components need each other in a circle: {}; take one reference out", .0.join(" → "))]
    Cycle(Vec<String>),
    /// A source or component whose name could not be written in a placeholder.
    #[error(
        "`{0}` cannot be the name of a source or component: use letters, digits, `.`, `_` and `-`"
    )]
    Name(String),
    /// A component was asked for that there is not.
    #[error("there is no component `{name}`{hint}")]
    NoComponent {
        /// What was asked for.
        name: String,
        /// What was meant, or what there is.
        hint: String,
    },
}

impl GraphError {
    /// Which component says what is wrong, and the text by which it is found there.
    pub(super) fn said(&self) -> (&str, String) {
        match self {
            Self::Undefined {
                component,
                placeholder,
                ..
            } => (component, placeholder.clone()),
            Self::Cycle(circle) => {
                let first = circle.first().map_or("", String::as_str);
                let next = circle.get(1).cloned().unwrap_or_default();
                (first, Placeholder::Component(next).to_string())
            }
            Self::Name(name) => (name, name.clone()),
            Self::NoComponent { name, .. } => (name, String::new()),
        }
    }
}

impl Component {
    /// Every template in it that may hold a placeholder.
    pub fn templates(&self) -> Vec<&Parsed> {
        let mut all: Vec<&Parsed> = Vec::new();
        all.extend(self.base.iter().map(|t| &**t));
        all.extend(self.python.iter().map(|python| &*python.lock));
        all.extend(self.node.iter().map(|node| &*node.lock));
        all.extend(self.image.iter().flat_map(|image| image.templates()));
        for copy in &self.copy {
            all.extend([&*copy.from, &*copy.to]);
        }
        all.extend(self.link.values().map(|t| &**t));
        for patch in &self.patch {
            match patch {
                Patch::Substitute(patch) => {
                    all.extend([&*patch.file, &*patch.replace, &*patch.with]);
                }
                Patch::Migration(patch) => all.push(&patch.migration),
                Patch::Diff(patch) => {
                    all.push(&patch.diff);
                    all.extend(patch.root.iter().map(|t| &**t));
                }
            }
        }
        for run in &self.run {
            all.extend(run.command.iter().chain(&run.inputs).map(|t| &**t));
            all.extend(run.env.values().chain(&run.cwd).map(|t| &**t));
        }
        for wrap in self.wrap.values() {
            all.extend(wrap.exec.iter().chain(&wrap.path).map(|t| &**t));
            all.extend(
                wrap.env
                    .values()
                    .chain(&wrap.cwd)
                    .chain(&wrap.shell)
                    .map(|t| &**t),
            );
        }
        if let Some(elf) = &self.elf {
            all.extend(elf.search.iter().chain(&elf.interpreter).map(|t| &**t));
            all.extend(elf.add_rpath.values().flatten().map(|t| &**t));
        }
        all.extend(self.smoke.commands.iter().flatten().map(|t| &**t));
        all.extend(self.smoke.env.values().map(|t| &**t));
        all
    }

    /// What it refers to.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for placeholder in self.templates().into_iter().flat_map(Parsed::placeholders) {
            match placeholder {
                Placeholder::Source(name) => needs.sources.insert(name.clone()),
                Placeholder::Component(name) => needs.components.insert(name.clone()),
                _ => continue,
            };
        }
        needs
    }
}

impl Manifest {
    /// All components, each after those it needs; in the file's order otherwise.
    ///
    /// # Errors
    /// When a reference leads nowhere, or round in a circle.
    pub fn order(&self) -> Result<Vec<&str>, GraphError> {
        self.order_of(self.component.keys().map(String::as_str))
    }

    /// The given components and all that they need, each after those it needs.
    ///
    /// # Errors
    /// As [`Self::order`], and when there is no component of a given name.
    pub fn order_of<'a>(
        &'a self,
        wanted: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<&'a str>, GraphError> {
        for name in self.sources.keys().chain(self.component.keys()) {
            if !is_name(name) {
                return Err(GraphError::Name(name.clone()));
            }
        }
        let mut done = Vec::new();
        for name in wanted {
            if !self.component.contains_key(name) {
                return Err(GraphError::NoComponent {
                    name: name.to_owned(),
                    hint: hint(name, self.component.keys()),
                });
            }
            self.visit(name, &mut Vec::new(), &mut done)?;
        }
        Ok(done)
    }

    fn visit<'a>(
        &'a self,
        name: &'a str,
        path: &mut Vec<&'a str>,
        done: &mut Vec<&'a str>,
    ) -> Result<(), GraphError> {
        if done.contains(&name) {
            return Ok(());
        }
        if let Some(at) = path.iter().position(|seen| *seen == name) {
            let circle = path
                .iter()
                .skip(at)
                .chain([&name])
                .map(|n| (*n).to_owned())
                .collect();
            return Err(GraphError::Cycle(circle));
        }
        let Some(component) = self.component.get(name) else {
            return Ok(());
        };
        path.push(name);
        let needs = component.needs();
        for source in &needs.sources {
            if !self.sources.contains_key(source) {
                return Err(GraphError::Undefined {
                    component: name.to_owned(),
                    placeholder: Placeholder::Source(source.clone()).to_string(),
                    what: "source",
                    hint: hint(source, self.sources.keys()),
                });
            }
        }
        for needed in &needs.components {
            let Some((needed, _)) = self.component.get_key_value(needed) else {
                return Err(GraphError::Undefined {
                    component: name.to_owned(),
                    placeholder: Placeholder::Component(needed.clone()).to_string(),
                    what: "component",
                    hint: hint(needed, self.component.keys()),
                });
            };
            self.visit(needed, path, done)?;
        }
        path.pop();
        done.push(name);
        Ok(())
    }
}

fn hint<'a>(wrong: &str, names: impl Iterator<Item = &'a String> + Clone) -> String {
    if let Some(name) = super::nearest(wrong, names.clone().map(String::as_str)) {
        return format!("; did you mean `{name}`?");
    }
    let all: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if all.is_empty() {
        String::from(": none is defined")
    } else {
        format!(": there are {}", all.join(", "))
    }
}
