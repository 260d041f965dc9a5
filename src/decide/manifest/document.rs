//! A manifest together with its text: so that what turns out wrong while components are made is
//! shown at its place, as what is wrong with the file itself is.

use camino::{Utf8Path, Utf8PathBuf};

use super::include::{self, Included};
use super::{Manifest, ManifestError};
use crate::core::foreign;
use crate::core::place::Place;

/// A manifest that was read from a file.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file, absolute.
    pub file: Utf8PathBuf,
    /// What it says.
    pub manifest: Manifest,
    text: String,
    folder: Option<Utf8PathBuf>,
    included: Vec<Included>,
}

impl Document {
    /// Reads a manifest with what it includes, and checks its references.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn open(file: &Utf8Path) -> Result<Self, ManifestError> {
        let read = |source| ManifestError::Read {
            file: file.to_owned(),
            source,
        };
        let file = camino::absolute_utf8(file).map_err(read)?;
        let text = foreign::text(&file).map_err(read)?;
        let mut manifest = Manifest::parse(&text, &file)?;
        let included = include::all(&mut manifest, &file, &text)?;
        let document = Self {
            manifest,
            file,
            text,
            folder: None,
            included,
        };
        let place = |component: &str, said: &str| document.place(component, said);
        document.manifest.check(place)?;
        Ok(document)
    }

    /// The same, with paths in it relative to another folder than its own.
    #[must_use]
    pub fn within(self, folder: Utf8PathBuf) -> Self {
        Self {
            folder: Some(folder),
            ..self
        }
    }

    /// The folder that paths in it are relative to.
    pub fn folder(&self) -> &Utf8Path {
        let own = self.file.parent().unwrap_or(Utf8Path::new("/"));
        self.folder.as_deref().unwrap_or(own)
    }

    /// The file as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where a component says something: `said` is its text, as it is written there.
    pub fn place(&self, component: &str, said: &str) -> Place {
        let mut included = self.included.iter();
        match included.find(|one| one.components.contains(component)) {
            // A path is written there without the way there.
            Some(one) => {
                let ends = said.match_indices('/');
                let ends = ends.filter_map(|(at, slash)| said.get(at + slash.len()..));
                let mut all = std::iter::once(said).chain(ends);
                let there = all.find(|end| one.text.contains(&format!("\"{end}\"")));
                place(&one.file, &one.text, component, there.unwrap_or(said))
            }
            None => place(&self.file, &self.text, component, said),
        }
    }
}

/// Where `said` stands in what belongs to a component; its header where it is not found, the
/// manifest's beginning without that.
pub(super) fn place(file: &Utf8Path, text: &str, component: &str, said: &str) -> Place {
    let mut header = None;
    let mut is_inside = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(table) = table_of(line) {
            is_inside = is_of(table, component);
            if is_inside && header.is_none() {
                header = Some(offset);
            }
        }
        if is_inside && let Some(at) = line.find(said).filter(|_| !said.is_empty()) {
            return Place::at(file, text, offset + at);
        }
        offset += line.len();
    }
    Place::at(file, text, header.unwrap_or(0))
}

/// The name in `[name]` or `[[name]]`.
fn table_of(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix('[')?;
    let name = line.strip_prefix('[').unwrap_or(line);
    name.split(']').next()
}

/// Whether a table is the component's own or inside it.
fn is_of(table: &str, component: &str) -> bool {
    let plain = table.replace([' ', '"', '\''], "");
    let rest = plain
        .strip_prefix("component.")
        .and_then(|rest| rest.strip_prefix(component));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"x\"\n\n[component.a]\nbase = \"{component:b}\"\n\n\
                        [component.ab]\nwrap = {}\n\n[[component.a.patch]]\nfile = \"f\"\n";

    fn at(component: &str, said: &str) -> (usize, usize) {
        let place = place("lockwright.toml".into(), TEXT, component, said);
        (place.line, place.column)
    }

    #[test]
    fn what_a_component_says_is_found_in_its_own_tables() {
        assert_eq!(at("a", "{component:b}"), (4, 9));
        assert_eq!(at("a", "\"f\""), (10, 8));
        assert_eq!(
            at("ab", "\"f\""),
            (6, 1),
            "its header, where it does not say it"
        );
        assert_eq!(at("c", "x"), (1, 1));
    }
}
