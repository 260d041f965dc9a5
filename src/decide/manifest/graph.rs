//! What a component needs, and in which order components are made.

use std::collections::BTreeSet;

use super::image::Image;
use super::model::{BuildDefaults, Component, Manifest};
use super::phases::Patch;
use super::template::{Parsed, PathTemplate, Placeholder, is_name};
use super::tool::Tool;
use crate::core::nearest::instead;

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
        /// `source`, `component` or `tool`.
        what: &'static str,
        /// What was meant, as `; did you mean …?`, or nothing.
        hint: String,
    },
    /// Components that need each other.
    #[error("components need each other in a circle: {}; take one reference out", .0.join(" → "))]
    Cycle(Vec<String>),
    /// A source, component or tool whose name could not be written in a placeholder.
    #[error(
        "`{0}` cannot be the name of a source, component or tool: use letters, digits, `.`, `_` and `-`"
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
        all.extend(self.base.iter().map(|base| &*base.from));
        all.extend(self.python.iter().map(|python| &*python.lock));
        all.extend(self.node.iter().map(|node| &*node.lock));
        all.extend(self.go.iter().flat_map(super::Go::templates));
        all.extend(self.image.iter().flat_map(super::Image::templates));
        for copy in &self.copy {
            all.extend([&*copy.from, &*copy.to]);
        }
        all.extend(self.link.values().map(|t| &**t));
        all.extend(self.patch.iter().flat_map(Patch::templates));
        all.extend(self.build.templates());
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
        all.extend(
            self.shebangs
                .iter()
                .flat_map(|one| &one.search)
                .map(|t| &**t),
        );
        if let Some(elf) = &self.elf {
            all.extend(elf.search.iter().chain(&elf.interpreter).map(|t| &**t));
            all.extend(elf.add_rpath.values().flatten().map(|t| &**t));
        }
        all.extend(self.smoke.commands.iter().flatten().map(|t| &**t));
        all.extend(self.smoke.env.values().map(|t| &**t));
        all
    }

    /// Whether anything is run while it is made: commands, or install scripts.
    pub fn has_commands(&self) -> bool {
        let scripts = self.node.iter().flat_map(|node| &node.allow_scripts);
        !self.run.is_empty() || scripts.count() > 0
    }

    /// The locks that it is made of.
    pub fn locks(&self) -> impl Iterator<Item = &PathTemplate> {
        let python = self.python.iter().map(|python| &python.lock);
        let node = self.node.iter().map(|node| &node.lock);
        python.chain(node).chain(self.go.iter().map(|go| &go.lock))
    }

    /// The components whose files it takes over.
    pub fn taken(&self) -> impl Iterator<Item = &str> {
        let base = self.base.iter().map(|base| &base.from);
        named(base.chain(self.copy.iter().map(|copy| &copy.from)))
    }

    /// The components that it names itself, not by its tools.
    pub fn named_components(&self) -> BTreeSet<&str> {
        let holes = self.templates().into_iter().flat_map(Parsed::placeholders);
        let named = holes.filter_map(|hole| match hole {
            Placeholder::Component(name) => Some(name.as_str()),
            _ => None,
        });
        named.collect()
    }
}

/// The components that templates name.
fn named<'a>(templates: impl Iterator<Item = &'a PathTemplate>) -> impl Iterator<Item = &'a str> {
    let holes = templates.flat_map(|template| template.placeholders());
    holes.filter_map(|hole| match hole {
        Placeholder::Component(name) => Some(name.as_str()),
        _ => None,
    })
}

impl Patch {
    /// Every template in it that may hold a placeholder.
    pub fn templates(&self) -> Vec<&Parsed> {
        match self {
            Self::Substitute(patch) => vec![&patch.file, &patch.replace, &patch.with],
            Self::Migration(patch) => vec![&patch.migration],
            Self::Diff(patch) => {
                let root = patch.root.iter().map(|t| &**t);
                root.chain([&*patch.diff]).collect()
            }
        }
    }
}

impl BuildDefaults {
    /// Every template in it that may hold a placeholder.
    pub fn templates(&self) -> Vec<&Parsed> {
        let mut all: Vec<&Parsed> = Vec::new();
        for package in self.packages.values() {
            all.extend(package.env.values().map(|t| &**t));
            all.extend(package.patch.iter().flat_map(Patch::templates));
            all.extend(package.inputs.iter().map(|t| &**t));
        }
        all
    }
}

impl Manifest {
    /// How packages are built for a component: by what it says itself, then by what holds for all.
    pub fn builds_of<'a>(&'a self, component: &'a Component) -> Vec<&'a BuildDefaults> {
        match component.python {
            Some(_) => vec![&component.build, &self.build],
            None => Vec::new(),
        }
    }

    /// The tools that a component's commands see, each before those that start it.
    pub fn tools_of<'a>(&'a self, component: &'a Component) -> Vec<(&'a str, &'a Tool)> {
        let mut found: Vec<(&str, &Tool)> = Vec::new();
        let mut next: Vec<&str> = component.tools.iter().rev().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            let Some((name, tool)) = self.tools.get_key_value(name) else {
                continue;
            };
            if found.iter().all(|(known, _)| known != name) {
                found.push((name, tool));
                next.extend(tool.started_by());
            }
        }
        found
    }

    /// The components that an image is made of: those that are in it, and those of which they took over files.
    pub fn taken_by<'a>(&'a self, image: &'a Image) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&str> = named(image.tree.values()).collect();
        while let Some(name) = next.pop() {
            if found.insert(name)
                && let Some(component) = self.component.get(name)
            {
                next.extend(component.taken());
            }
        }
        found
    }

    /// What a component refers to, by itself and by its tools; and an image, by its bill of materials.
    pub fn needs(&self, component: &Component) -> Needs {
        let mut needs = Needs::default();
        let tools = self.tools_of(component).into_iter();
        let texts = tools.flat_map(|(_, tool)| tool.templates());
        let builds = self.builds_of(component).into_iter();
        let texts = texts.chain(builds.flat_map(BuildDefaults::templates));
        let texts = component.templates().into_iter().chain(texts);
        let image = component.image.iter().filter(|image| image.has_bill());
        let taken = image.flat_map(|image| self.taken_by(image));
        let taken = taken.filter_map(|name| self.component.get(name));
        for placeholder in taken
            .flat_map(Component::locks)
            .flat_map(|lock| lock.placeholders())
        {
            if let Placeholder::Source(name) = placeholder {
                needs.sources.insert(name.clone());
            }
        }
        for placeholder in texts.flat_map(Parsed::placeholders) {
            match placeholder {
                Placeholder::Source(name) => needs.sources.insert(name.clone()),
                Placeholder::Component(name) => needs.components.insert(name.clone()),
                _ => continue,
            };
        }
        needs
    }

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
        let named = self.sources.keys().chain(self.component.keys());
        for name in named.chain(self.tools.keys()) {
            if !is_name(name) {
                return Err(GraphError::Name(name.clone()));
            }
        }
        let mut done = Vec::new();
        for name in wanted {
            if !self.component.contains_key(name) {
                return Err(GraphError::NoComponent {
                    name: name.to_owned(),
                    hint: instead(name, self.component.keys()),
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
        if let Some(tool) = component
            .tools
            .iter()
            .find(|tool| !self.tools.contains_key(*tool))
        {
            return Err(GraphError::Undefined {
                component: name.to_owned(),
                placeholder: tool.clone(),
                what: "tool",
                hint: instead(tool, self.tools.keys()),
            });
        }
        let needs = self.needs(component);
        for source in &needs.sources {
            if !self.sources.contains_key(source) {
                return Err(GraphError::Undefined {
                    component: name.to_owned(),
                    placeholder: Placeholder::Source(source.clone()).to_string(),
                    what: "source",
                    hint: instead(source, self.sources.keys()),
                });
            }
        }
        for needed in &needs.components {
            let Some((needed, _)) = self.component.get_key_value(needed) else {
                return Err(GraphError::Undefined {
                    component: name.to_owned(),
                    placeholder: Placeholder::Component(needed.clone()).to_string(),
                    what: "component",
                    hint: instead(needed, self.component.keys()),
                });
            };
            self.visit(needed, path, done)?;
        }
        path.pop();
        done.push(name);
        Ok(())
    }
}
