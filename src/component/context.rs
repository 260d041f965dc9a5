//! What a component's placeholders stand for. One text is read in three ways: as a path inside the
//! tree, as a path that can be read now, and as what stands there once the tree lives at its prefix.
//! (What commands see, [`super::commands`] says.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

use super::containment::Containment;
use super::error::{Cause, ComponentError};
use super::sources::Sources;
use super::tools::Tools;
use super::{Made, Settings};
use crate::core::locks;
use crate::core::place::Place;
use crate::core::progress;
use crate::decide::manifest::{Component, Needs, Parsed, Placeholder, Tool};
use crate::decide::target::find::Search;
use crate::decide::target::probe::Interpreter;
use crate::decide::target::{Os, Platform, PythonTarget};
use crate::files::tree::TreePath;

/// The Python that components are made for, found when the first asks for it.
pub struct Pythons<'a> {
    settings: &'a Settings<'a>,
    found: OnceLock<Result<Chosen, String>>,
    warned: Mutex<BTreeSet<String>>,
}

/// A target, and an interpreter of it that runs here, if there is one.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// What is installed for.
    pub target: PythonTarget,
    /// What can run it here.
    pub interpreter: Option<Interpreter>,
}

impl Chosen {
    /// The interpreter's path, as it is found where the trees will live.
    pub fn path(&self) -> Utf8PathBuf {
        let (major, minor) = self.target.version;
        match &self.interpreter {
            Some(found) => found.about.base_executable.clone(),
            None => format!("/usr/bin/python{major}.{minor}").into(),
        }
    }
}

impl<'a> Pythons<'a> {
    /// None is looked for yet.
    pub fn new(settings: &'a Settings<'a>) -> Self {
        Self {
            settings,
            found: OnceLock::new(),
            warned: Mutex::default(),
        }
    }

    /// Warns, once per run, however often a component is looked at.
    pub fn warn(&self, what: &str) {
        if locks::held(&self.warned).insert(what.to_owned()) {
            progress::warn(what);
        }
    }

    /// The target and its interpreter.
    ///
    /// # Errors
    /// With a sentence, when there is none that fits.
    pub fn get(&self) -> Result<&Chosen, Cause> {
        let found = self.found.get_or_init(|| choose(self.settings));
        found.as_ref().map_err(|why| Cause::Said(why.clone()))
    }
}

fn choose(settings: &Settings<'_>) -> Result<Chosen, String> {
    let wanted = &settings.document.manifest.target;
    let platform = wanted.platform.as_deref().map(str::parse::<Platform>);
    let platform = platform.transpose().map_err(|error| error.to_string())?;
    let cache = settings.store.root().join("interpreters");
    let search = Search {
        request: settings.python.or(wanted.python.as_deref()),
        project: None,
        requires_python: None,
        cache: Some(&cache),
    };
    let found = match (search.find(), settings.python, &wanted.python, platform) {
        (Ok(found), ..) => found,
        // It can be assembled for all the same, as long as nothing must run.
        (Err(_), None, Some(version), Some(platform)) => {
            let target = PythonTarget::named(version, platform).map_err(|e| e.to_string())?;
            return Ok(Chosen {
                target,
                interpreter: None,
            });
        }
        (Err(error), ..) => return Err(error.to_string()),
    };
    let (major, minor) = found.target.version;
    if let Some(version) = &wanted.python {
        let own = format!("{}.", found.about.version);
        if !own.starts_with(&format!("{}.", version.trim_end_matches('t'))) {
            return Err(format!(
                "{} is Python {major}.{minor}, and [target] of {} says {version}: give another \
                 with --python",
                found.path, settings.document.file
            ));
        }
    }
    let Some(platform) = platform else {
        return Ok(Chosen {
            target: found.target.clone(),
            interpreter: Some(found),
        });
    };
    let target = found.target.on(platform).map_err(|e| e.to_string())?;
    let own = found.target.platform;
    let runs_here = own.arch == platform.arch && family(own.os) == family(platform.os);
    Ok(Chosen {
        target,
        interpreter: runs_here.then_some(found),
    })
}

fn family(os: Os) -> &'static str {
    match os {
        Os::Manylinux(..) => "glibc",
        Os::Musllinux(..) => "musl",
        Os::Macos(..) => "macos",
        Os::Windows => "windows",
    }
}

/// A component, and what its text may refer to.
pub struct Context<'a> {
    /// The run.
    pub settings: &'a Settings<'a>,
    /// The run's sources.
    pub sources: &'a Sources<'a>,
    /// The run's Python.
    pub pythons: &'a Pythons<'a>,
    /// Whether commands are contained.
    pub containment: &'a Containment<'a>,
    /// The machine's programs.
    pub tools: &'a Tools,
    /// Its name.
    pub name: &'a str,
    /// It.
    pub component: &'a Component,
    /// The components that it needs, all there.
    pub made: BTreeMap<String, Made>,
}

impl Context<'_> {
    /// Where the component says something.
    pub fn place(&self, said: &str) -> Place {
        self.settings.document.place(self.name, said)
    }

    /// The refusal of something that the component says.
    pub fn refuse(&self, said: &str, what: impl Into<String>) -> ComponentError {
        ComponentError::Manifest {
            place: Box::new(self.place(said)),
            what: what.into(),
        }
    }

    /// Another room's refusal, in a phase.
    pub fn failed<C: Into<Cause>>(
        &self,
        said: &str,
        phase: &'static str,
    ) -> impl FnOnce(C) -> ComponentError {
        let place = Box::new(self.place(said));
        let component = self.name.to_owned();
        move |cause| ComponentError::Phase {
            place,
            component,
            phase,
            source: Box::new(cause.into()),
        }
    }

    /// What another room says of a tree that is being made at `root`, in the manifest's words: its
    /// paths are the tree's, and options are keys.
    pub fn plain(error: &dyn std::error::Error, root: &Utf8Path) -> String {
        let mut text = error.to_string();
        for (theirs, ours) in [
            (format!("{root}/").as_str(), ""),
            (root.as_str(), "the tree"),
            ("--root", "`root`"),
            ("-p says", "`strip` says"),
            (", -p how", ", `strip` how"),
            ("--search", "`search` of [elf]"),
            ("--ignore-missing", "`ignore-missing`"),
        ] {
            text = text.replace(theirs, ours);
        }
        text
    }

    /// The component's Python.
    ///
    /// # Errors
    /// When there is none that fits.
    pub fn python(&self) -> Result<&Chosen, ComponentError> {
        let found = self.pythons.get();
        found.map_err(self.failed("python", "python"))
    }

    /// Site-packages, relative to the tree.
    ///
    /// # Errors
    /// As [`Self::python`].
    pub fn site(&self) -> Result<String, ComponentError> {
        Ok(self.python()?.target.site_packages())
    }

    /// A path inside the tree; `None` is the tree itself.
    ///
    /// # Errors
    /// When it is not inside, or malformed.
    pub fn in_tree(&self, template: &Parsed) -> Result<Option<TreePath>, ComponentError> {
        let said = template.as_written();
        let filled = template.fill(|hole| match hole {
            Placeholder::Out | Placeholder::Prefix => Ok(String::from(".")),
            Placeholder::Site => self.site(),
            other => Err(self.refuse(
                said,
                format!("{other} is not inside the tree: here a path of the tree is meant"),
            )),
        })?;
        let parts: Vec<&str> = filled
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        if filled.starts_with('/') {
            return Err(self.refuse(said, "it is absolute: here a path of the tree is meant"));
        }
        match parts.is_empty() {
            true => Ok(None),
            false => TreePath::new(parts.join("/"))
                .map(Some)
                .map_err(self.failed(said, "paths")),
        }
    }

    /// A path inside the tree that is not the tree itself.
    ///
    /// # Errors
    /// As [`Self::in_tree`].
    pub fn file_in_tree(&self, template: &Parsed) -> Result<TreePath, ComponentError> {
        let said = template.as_written();
        self.in_tree(template)?
            .ok_or_else(|| self.refuse(said, "it is the tree itself: name a file in it"))
    }

    /// A path that can be read now. A relative one is the manifest's folder's.
    ///
    /// # Errors
    /// When a source cannot be obtained.
    pub fn reading(
        &self,
        template: &Parsed,
        root: Option<&Utf8Path>,
    ) -> Result<Utf8PathBuf, ComponentError> {
        let said = template.as_written();
        let own = |rest: Option<String>| match (root, rest) {
            (Some(root), None) => Ok(root.to_string()),
            (Some(root), Some(rest)) => Ok(root.join(rest).into_string()),
            (None, _) => Err(self.refuse(said, "the tree itself cannot be read here")),
        };
        let filled = template.fill(|hole| match hole {
            Placeholder::Source(name) => Ok(self.sources.folder(name)?.into_string()),
            Placeholder::Component(name) => Ok(self.made(name, said)?.path.to_string()),
            Placeholder::Out | Placeholder::Prefix => own(None),
            Placeholder::Site => own(Some(self.site()?)),
            Placeholder::Python => Ok(self.python()?.path().into_string()),
        })?;
        let path = self.settings.document.folder().join(filled);
        // A stranger's source may not lead out of itself by `..`.
        if template.as_written().split('/').any(|part| part == "..")
            && template.placeholders().next().is_some()
        {
            return Err(self.refuse(said, "`..` leads out of what the placeholder stands for"));
        }
        if !self.sources.keeps(&path, &path) {
            return Err(self.refuse(
                said,
                "a link of the source leads out of it, which is refused",
            ));
        }
        Ok(path)
    }

    /// A text for the finished tree: what stands there once it lives at its prefix.
    ///
    /// # Errors
    /// When it refers to a source, which nothing finished may.
    pub fn runtime_path(
        &self,
        template: &Parsed,
        prefix: &Utf8Path,
    ) -> Result<String, ComponentError> {
        let said = template.as_written();
        template.fill(|hole| match hole {
            Placeholder::Source(_) => Err(self.refuse(
                said,
                format!(
                    "{hole} would be in the finished tree, and is not there any more when it is \
                     used: copy what is needed of it"
                ),
            )),
            Placeholder::Component(name) => Ok(self.made(name, said)?.prefix.to_string()),
            Placeholder::Out | Placeholder::Prefix => Ok(prefix.to_string()),
            Placeholder::Site => Ok(prefix.join(self.site()?).into_string()),
            Placeholder::Python => Ok(self.python()?.path().into_string()),
        })
    }

    /// The sources and components that it refers to.
    pub fn needs(&self) -> Needs {
        self.settings.document.manifest.needs(self.component)
    }

    /// The tools that its commands see.
    pub fn named_tools(&self) -> Vec<(&str, &Tool)> {
        self.settings.document.manifest.tools_of(self.component)
    }

    /// A component that this one needs.
    ///
    /// # Errors
    /// When it has not been made, which the order of components rules out.
    pub fn made(&self, name: &str, said: &str) -> Result<&Made, ComponentError> {
        let made = self.made.get(name);
        made.ok_or_else(|| self.refuse(said, format!("component `{name}` has not been made")))
    }
}
