//! The Django apps of a tree: their labels, their migrations, and how those depend on one another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::migration::{Migration, MigrationError, Relations, relations};
use super::python_source::Source;
use crate::walk::{Node, WalkError, walk};

/// The migrations of a tree's apps.
#[derive(Debug, Default)]
pub struct Apps {
    /// Every migration's file, by app label and name.
    files: BTreeMap<String, BTreeMap<String, PathBuf>>,
    roots: Vec<PathBuf>,
}

impl Apps {
    /// Finds the apps below some folders: each folder that has a `migrations` folder is one. Its
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
                if path.file_name().is_none_or(|name| name != "migrations") {
                    return;
                }
                let app = root.join(path.parent().unwrap_or(Path::new("")));
                let migrations: BTreeMap<String, PathBuf> = entries
                    .iter()
                    .filter(|(_, node)| matches!(node, Node::File(_)))
                    .filter_map(|(name, _)| {
                        let name = name.to_str()?.strip_suffix(".py")?;
                        // As Django's loader has it.
                        let skipped = name.starts_with(['_', '~']);
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
                near: nearest(&target.app, self.files.keys()),
            });
        };
        let mut read = Reader::default();
        if !app.contains_key(&target.name) && !self.is_squashed(target, &mut read)? {
            return Err(MigrationError::NoTarget {
                target: target.clone(),
                near: nearest(&target.name, app.keys()),
            });
        }
        let own = self.named(file);
        match self.way(target, &own, &mut read)? {
            Some(mut circle) => {
                circle.insert(0, circle.last().cloned().unwrap_or_else(|| target.clone()));
                Err(MigrationError::Circle(circle))
            }
            None => Ok(()),
        }
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

    /// Whether a squashed migration stands for one whose file has been removed.
    fn is_squashed(&self, target: &Migration, read: &mut Reader) -> Result<bool, MigrationError> {
        for file in self
            .files
            .get(&target.app)
            .into_iter()
            .flat_map(BTreeMap::values)
        {
            if read.relations(file)?.replaces.contains(target) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How `from` comes to need one of `ends`: the migrations on the way, both included.
    fn way(
        &self,
        from: &Migration,
        ends: &[Migration],
        read: &mut Reader,
    ) -> Result<Option<Vec<Migration>>, MigrationError> {
        let before = self.run_before(read)?;
        let mut seen = BTreeSet::from([from.clone()]);
        let mut ways = vec![vec![from.clone()]];
        while let Some(way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            if ends.contains(last) {
                return Ok(Some(way));
            }
            let mut needs = before.get(last).cloned().unwrap_or_default();
            if let Some(file) = self
                .files
                .get(&last.app)
                .and_then(|app| app.get(&last.name))
            {
                needs.extend(read.relations(file)?.dependencies);
            }
            for need in needs.iter().flat_map(|need| self.resolved(need)) {
                if seen.insert(need.clone()) {
                    ways.push(way.iter().cloned().chain([need]).collect());
                }
            }
        }
        Ok(None)
    }

    /// `__first__` and `__latest__` name whatever comes first or last in an app.
    fn resolved(&self, migration: &Migration) -> Vec<Migration> {
        let names = self.files.get(&migration.app);
        let name = match migration.name.as_str() {
            "__first__" => names.and_then(|names| names.keys().next()),
            "__latest__" => names.and_then(|names| names.keys().next_back()),
            _ => return vec![migration.clone()],
        };
        let name = name.cloned().into_iter();
        name.map(|name| Migration {
            app: migration.app.clone(),
            name,
        })
        .collect()
    }

    /// Who asks to run before whom: dependencies that are written at their other end.
    fn run_before(
        &self,
        read: &mut Reader,
    ) -> Result<HashMap<Migration, Vec<Migration>>, MigrationError> {
        let mut before: HashMap<Migration, Vec<Migration>> = HashMap::new();
        for (app, migrations) in &self.files {
            for (name, file) in migrations {
                if memmem::find(&bytes(file)?, b"run_before").is_none() {
                    continue;
                }
                for later in read.relations(file)?.run_before {
                    before.entry(later).or_default().push(Migration {
                        app: app.clone(),
                        name: name.clone(),
                    });
                }
            }
        }
        Ok(before)
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

/// Migrations that have been read already.
#[derive(Default)]
struct Reader {
    known: HashMap<PathBuf, Relations>,
}

impl Reader {
    fn relations(&mut self, file: &Path) -> Result<Relations, MigrationError> {
        if let Some(known) = self.known.get(file) {
            return Ok(known.clone());
        }
        let text = String::from_utf8_lossy(&bytes(file)?).into_owned();
        // Other files in a `migrations` folder are no concern of ours.
        let found = relations(&text).unwrap_or_default();
        self.known.insert(file.to_owned(), found.clone());
        Ok(found)
    }
}

fn bytes(file: &Path) -> Result<Vec<u8>, MigrationError> {
    fs::read(file).map_err(|error| MigrationError::Read {
        path: file.to_owned(),
        reason: error.to_string(),
    })
}

/// The labels an app may go by.
fn labels(app: &Path) -> Vec<String> {
    let text = fs::read_to_string(app.join("apps.py")).unwrap_or_default();
    let mut labels = Vec::new();
    if let Ok(source) = Source::parse(&text) {
        for (_, body) in source.classes() {
            let read = |name| {
                let value = source.attribute(body, name).into_iter().next();
                value.and_then(|value| source.string(value))
            };
            let last = |name: &'static str| read(name).and_then(|name| name.rsplit('.').next());
            labels.extend(read("label").or_else(|| last("name")).map(str::to_owned));
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

fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    known
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name.clone())
}
