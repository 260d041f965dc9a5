//! What `[project]` states, as core metadata
//! (<https://packaging.python.org/en/latest/specifications/core-metadata/>): fields in the order in
//! which uv's back end writes them, so that its METADATA is the same to the byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;
use toml::Spanned;

use super::{Backend, Folder};
use crate::decide::lock::marker::EFFORT;
use crate::decide::lock::requirement::requirement;

/// `[project]` (<https://packaging.python.org/en/latest/specifications/pyproject-toml/>). A key that
/// is not among these is no plain project's.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Stated {
    name: String,
    version: String,
    description: Option<String>,
    readme: Option<Readme>,
    requires_python: Option<String>,
    license: Option<License>,
    license_files: Option<Vec<String>>,
    #[serde(default)]
    authors: Vec<Person>,
    #[serde(default)]
    maintainers: Vec<Person>,
    keywords: Option<Vec<String>>,
    #[serde(default)]
    classifiers: Vec<String>,
    #[serde(default)]
    urls: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    #[serde(default)]
    gui_scripts: BTreeMap<String, String>,
    #[serde(default)]
    entry_points: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    dependencies: Vec<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<ExtraName, Vec<String>>,
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Readme {
    Path(Utf8PathBuf),
    Table(ReadmeTable),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ReadmeTable {
    file: Option<Utf8PathBuf>,
    text: Option<String>,
    content_type: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum License {
    Expression(String),
    Text(LicenseText),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LicenseText {
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    name: Option<String>,
    email: Option<String>,
}

/// What all else is called after.
pub(super) struct Facts<'a> {
    /// As it is written.
    pub(super) name: &'a str,
    /// In its normal form.
    normal: PackageName,
    /// In its normal form.
    pub(super) version: Version,
    requires_python: Option<VersionSpecifiers>,
}

impl Facts<'_> {
    /// The name as it begins file names, and as a module is called.
    pub(super) fn module(&self) -> String {
        self.normal.to_string().replace('-', "_")
    }
}

/// Licence files of projects that say nothing of them.
const LICENSES: [&str; 4] = ["LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*"];

/// Text in one line: what is not would be another field.
fn line(text: &str) -> Option<&str> {
    (!text.chars().any(char::is_control)).then_some(text)
}

impl Stated {
    /// The facts; `None` where back ends go ways of their own.
    pub(super) fn facts(&self, backend: Backend) -> Option<Facts<'_>> {
        let normal: PackageName = self.name.parse().ok()?;
        // setuptools keeps capitals in the names of files.
        let is_normal = self.name.replace('_', "-") == normal.to_string();
        if !self.dynamic.is_empty() || (backend == Backend::Setuptools && !is_normal) {
            return None;
        }
        let requires_python: Option<VersionSpecifiers> = match &self.requires_python {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        // Wheels that are for Python 2 besides are called so; flit looks at the words alone.
        let starts = |text: &str| text.starts_with(">=3") || text.starts_with(">3");
        let is_three = match backend {
            Backend::Flit => self.requires_python.as_deref().is_some_and(starts),
            Backend::Hatchling | Backend::Poetry => {
                let two = Version::new([2, 7, 100]);
                (requires_python.as_ref()).is_some_and(|python| !python.contains(&two))
            }
            Backend::Setuptools | Backend::Uv => true,
        };
        is_three.then_some(Facts {
            name: &self.name,
            normal,
            version: self.version.parse().ok()?,
            requires_python,
        })
    }

    /// Its licence files, relative to its folder and sorted.
    pub(super) fn licenses(&self, backend: Backend, folder: &Utf8Path) -> Option<Vec<Utf8PathBuf>> {
        let default = || LICENSES.map(str::to_owned).to_vec();
        let globs = match &self.license_files {
            Some(globs) => globs.clone(),
            None if backend == Backend::Uv => Vec::new(),
            // poetry has a folder of them besides.
            None if backend == Backend::Poetry && folder.join("LICENSES").exists() => return None,
            None => default(),
        };
        let mut found = Vec::new();
        for text in globs {
            let is_plain = !text.contains("..") && !text.contains("**") && !text.starts_with('/');
            if !is_plain {
                return None;
            }
            let pattern = format!("{}/{text}", glob::Pattern::escape(folder.as_str()));
            for path in glob::glob(&pattern).ok()? {
                let path = Utf8PathBuf::from_path_buf(path.ok()?).ok()?;
                let inside = path.strip_prefix(folder).ok()?.to_owned();
                if path.symlink_metadata().ok()?.is_file() && !found.contains(&inside) {
                    found.push(inside);
                }
            }
        }
        found.sort();
        Some(found)
    }

    /// METADATA.
    pub(super) fn metadata(
        &self,
        facts: &Facts<'_>,
        backend: Backend,
        licenses: &[Utf8PathBuf],
        folder: Folder<'_>,
    ) -> Option<String> {
        let expression = match &self.license {
            Some(License::Expression(text)) => Some(line(text)?),
            _ => None,
        };
        let is_newer = self.license_files.is_some() || expression.is_some() || !licenses.is_empty();
        let mut fields: Vec<(&str, String)> = vec![
            (
                "Metadata-Version",
                (if is_newer { "2.4" } else { "2.3" }).into(),
            ),
            ("Name", line(facts.name)?.into()),
            ("Version", facts.version.to_string()),
        ];
        let mut add = |name: &'static str, text: Option<String>| {
            let text = text.filter(|text| !text.is_empty());
            fields.extend(text.map(|text| (name, text)));
        };
        let own = |text: &str| line(text).map(str::to_owned);
        if let Some(summary) = &self.description {
            add("Summary", Some(own(summary)?));
        }
        if let Some(words) = &self.keywords {
            add("Keywords", Some(own(&words.join(","))?));
        }
        let (names, addresses) = people(&self.authors, backend)?;
        add("Author", Some(names));
        add("Author-email", Some(addresses));
        if let Some(License::Text(license)) = &self.license {
            add("License", Some(own(&license.text)?));
        }
        add("License-Expression", expression.map(str::to_owned));
        for path in licenses {
            add("License-File", Some(own(path.as_str())?));
        }
        for classifier in &self.classifiers {
            add("Classifier", Some(own(classifier)?));
        }
        let mut effort = EFFORT;
        for text in &self.dependencies {
            let need = requirement(text)?.normal(None, &mut effort)?;
            add("Requires-Dist", Some(need.to_string()));
        }
        for (extra, needs) in &self.optional_dependencies {
            for text in needs {
                let need = requirement(text)?.normal(Some(extra), &mut effort)?;
                add("Requires-Dist", Some(need.to_string()));
            }
        }
        let (names, addresses) = people(&self.maintainers, backend)?;
        add("Maintainer", Some(names));
        add("Maintainer-email", Some(addresses));
        let python = facts.requires_python.as_ref();
        add("Requires-Python", python.map(ToString::to_string));
        let mut urls: Vec<(&String, &Spanned<String>)> = self.urls.iter().collect();
        urls.sort_by_key(|(_, url)| url.span().start);
        for (label, url) in urls {
            add(
                "Project-URL",
                Some(own(&format!("{label}, {}", url.as_ref()))?),
            );
        }
        for extra in self.optional_dependencies.keys() {
            add("Provides-Extra", Some(extra.to_string()));
        }
        let readme = match &self.readme {
            Some(readme) => Some(readme.read(folder)?),
            None => None,
        };
        add(
            "Description-Content-Type",
            readme.as_ref().map(|(kind, _)| kind.clone()),
        );
        let mut text = String::new();
        for (name, value) in fields {
            let _ = writeln!(text, "{name}: {value}");
        }
        if let Some((_, readme)) = readme {
            let _ = write!(text, "\n{readme}");
        }
        Some(text)
    }

    /// `entry_points.txt`
    /// (<https://packaging.python.org/en/latest/specifications/entry-points/#file-format>).
    pub(super) fn entry_points(&self) -> Option<String> {
        let own = [
            ("console_scripts", &self.scripts),
            ("gui_scripts", &self.gui_scripts),
        ];
        let others = self.entry_points.iter();
        let groups = own
            .into_iter()
            .chain(others.map(|(name, group)| (name.as_str(), group)));
        let mut text = String::new();
        for (name, group) in groups.filter(|(_, group)| !group.is_empty()) {
            let _ = writeln!(text, "[{}]", line(name)?);
            for (name, value) in group {
                if name.starts_with(['[', '#', ';']) || name.contains(['=', ':']) {
                    return None;
                }
                let _ = writeln!(text, "{} = {}", line(name)?, line(value)?);
            }
            text.push('\n');
        }
        Some(text)
    }
}

impl Readme {
    /// Its kind and its text.
    fn read(&self, folder: Folder<'_>) -> Option<(String, String)> {
        match self {
            Self::Path(path) => {
                let kind = match path.extension()? {
                    "md" => "text/markdown",
                    "rst" => "text/x-rst",
                    "txt" => "text/plain",
                    _ => return None,
                };
                Some((kind.into(), folder.read(path)?))
            }
            Self::Table(table) => {
                let kind = line(&table.content_type)?.to_owned();
                match (&table.file, &table.text) {
                    (Some(path), None) => Some((kind, folder.read(path)?)),
                    (None, Some(text)) => Some((kind, text.clone())),
                    _ => None,
                }
            }
        }
    }
}

/// Names of those who have no address (all of them, by uv's back end), and addresses. Of several,
/// poetry names the first alone, apart from the address.
fn people(all: &[Person], backend: Backend) -> Option<(String, String)> {
    if backend == Backend::Poetry && all.len() > 1 {
        return None;
    }
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for Person { name, email } in all {
        match (name, email) {
            (Some(name), Some(email)) => {
                // Others put what has a comma or a dot in quotes, or refuse it.
                let is_plain = |c: char| c.is_alphanumeric() || " -_'".contains(c);
                if backend != Backend::Uv && !name.chars().all(is_plain) {
                    return None;
                }
                if matches!(backend, Backend::Uv | Backend::Poetry) {
                    names.push(name.clone());
                }
                addresses.push(match backend {
                    Backend::Poetry => email.clone(),
                    _ => format!("{name} <{email}>"),
                });
            }
            (Some(name), None) => names.push(name.clone()),
            (None, Some(email)) => addresses.push(email.clone()),
            (None, None) => return None,
        }
    }
    let (names, addresses) = (names.join(", "), addresses.join(", "));
    Some((line(&names)?.to_owned(), line(&addresses)?.to_owned()))
}
