//! The Django apps of a tree: their labels, their migrations, and how those depend on one another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::migration::{Migration, MigrationError, Relations, relations};
use super::migration_graph::{Graph, Squashed};
use super::python_source::PythonSource;
use crate::core::foreign;
use crate::core::nearest::nearest;
use crate::core::walk::{Node, WalkError, walk};

/// The migrations of a tree's apps.
#[derive(Debug, Default)]
pub struct Apps {
    /// Every migration's file, by app label and name.
    files: BTreeMap<String, BTreeMap<String, PathBuf>>,
    roots: Vec<PathBuf>,
}

impl Apps {
    /// Finds the apps below some folders: each folder with a package called
    /// `migrations` is one. Its
    /// label is what its `apps.py` says (`label`, else the end of `name`), else the folder's name.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn below(roots: &[PathBuf]) -> Result<Self, WalkError> {
        let mut apps = Self {
            roots: roots.to_vec(),
            ..Self::default()
        };
        for root in roots {
            walk(root)?.each(&mut |path, node| {
                let Node::Folder(entries) = node else { return };
                let is_package = node.get("__init__.py").is_some();
                if !is_package || path.file_name().is_none_or(|name| name != "migrations") {
                    return;
                }
                let app = root.join(path.parent().unwrap_or(Path::new("")));
                let migrations: BTreeMap<String, PathBuf> = entries
                    .iter()
                    .filter(|(_, node)| matches!(node, Node::File(_)))
                    .filter_map(|(name, _)| {
                        let name = name.to_str()?.strip_suffix(".py")?;
                        // As Django's loader has it.
                        let skipped = name.starts_with(['_', '~']) || name.contains('.');
                        let file = root.join(path).join(format!("{name}.py"));
                        (!skipped).then(|| (name.to_owned(), file))
                    })
                    .collect();
                for label in labels(&app) {
                    apps.files
                        .entry(label)
                        .or_default()
                        .extend(migrations.clone());
                }
            });
        }
        Ok(apps)
    }

    /// The folder from which a migration's app is imported: the first above it that is no package.
    pub fn root_of(migration: &Path) -> PathBuf {
        let folder = |path: &Path| path.parent().map(Path::to_owned);
        let mut root = folder(migration).unwrap_or_default();
        while root.join("__init__.py").is_file() || root.ends_with("migrations") {
            match folder(&root) {
                Some(above) => root = above,
                None => break,
            }
        }
        root
    }

    /// Checks that `file`, a migration of one of these apps, may depend on `target`: that it is
    /// there, and does not itself need `file`'s.
    ///
    /// # Errors
    /// When it is not there, or does.
    pub fn check(&self, file: &Path, target: &Migration) -> Result<(), MigrationError> {
        let Some(app) = self.files.get(&target.app) else {
            return Err(MigrationError::NoApp {
                app: target.app.clone(),
                roots: self.shown_roots(),
                near: near(&target.app, self.files.keys()),
            });
        };
        let own = self.named(file);
        if own.is_empty() {
            return Err(MigrationError::NotLoaded(self.shown_roots()));
        }
        let all = self.relations()?;
        let is_replaced = || all.values().any(|it| it.replaces.contains(target));
        if !app.contains_key(&target.name) && !is_replaced() {
            return Err(MigrationError::NoTarget {
                target: target.clone(),
                near: near(&target.name, app.keys()),
            });
        }
        for squashed in [Squashed::Used, Squashed::Unused] {
            let graph = Graph::of(&all, squashed);
            if let Some(circle) = own.iter().find_map(|own| graph.circle(own, target)) {
                return Err(MigrationError::Circle(circle));
            }
        }
        Ok(())
    }

    /// How the migrations of all apps are related.
    fn relations(&self) -> Result<BTreeMap<Migration, Relations>, MigrationError> {
        let read = |(app, (name, file)): (&String, (&String, &PathBuf))| {
            let bytes = foreign::bytes(file).map_err(|error| MigrationError::Read {
                path: file.clone(),
                reason: error.to_string(),
            })?;
            let migration = Migration {
                app: app.clone(),
                name: name.clone(),
            };
            // Other files in a `migrations` folder are no concern of ours.
            let found = relations(&String::from_utf8_lossy(&bytes)).unwrap_or_default();
            Ok((migration, found))
        };
        let apps: Vec<_> = self.files.iter().collect();
        apps.into_par_iter()
            .flat_map_iter(|(app, files)| files.iter().map(move |file| (app, file)))
            .map(read)
            .collect()
    }

    /// Under which names a migration's file is known.
    fn named(&self, file: &Path) -> Vec<Migration> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let wanted = real(file);
        let mut names = Vec::new();
        for (app, migrations) in &self.files {
            for (name, path) in migrations {
                if path.file_name() == file.file_name() && real(path) == wanted {
                    names.push(Migration {
                        app: app.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
        names
    }

    fn shown_roots(&self) -> String {
        let roots: Vec<_> = self
            .roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        roots.join(", ")
    }
}

/// The labels an app may go by.
fn labels(app: &Path) -> Vec<String> {
    let text = foreign::text(app.join("apps.py")).unwrap_or_default();
    let mut labels = Vec::new();
    if let Ok(source) = PythonSource::parse(&text) {
        for class in source.classes() {
            let read = |name| {
                let value = source.attribute(class.body, name).into_iter().next();
                value.and_then(|value| source.string(value))
            };
            let last = |name: String| name.rsplit('.').next().map(str::to_owned);
            labels.extend(read("label").or_else(|| last(read("name")?)));
        }
    }
    if labels.is_empty() {
        let name = app
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        labels.extend(name);
    }
    labels.sort();
    labels.dedup();
    labels
}

fn near<'a>(wanted: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    nearest(wanted, known.map(String::as_str)).map(str::to_owned)
}
