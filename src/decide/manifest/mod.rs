//! `lockwright.toml`: what is made, and from what. Pure: text in, checked values out.
//!
//! A manifest names *sources* (trees that come from outside) and *components* (trees that are
//! made). [`Manifest::parse`] reads it and checks every reference in it, so that what is built
//! later cannot fail for a misspelt name; [`Manifest::order`] says which component comes first.

mod document;
mod go;
mod graph;
mod image;
mod include;
mod model;
mod phases;
mod review;
mod source;
mod template;
mod tool;

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::foreign;
use crate::core::place::Place;

pub use document::Document;
pub use go::Go;
pub use graph::{GraphError, Needs};
pub use image::{Compression, Image};
pub use model::{BuildDefaults, Component, Manifest, PackageBuild, Remote, Target};
pub use phases::{
    Base, Copy, Diff, Elf, Install, Keep, Migration, Node, Patch, Python, Run, Seal, Shebangs,
    Smoke, Substitute, Wrap,
};
pub use review::{Age, AgeError, Ignore, Licenses, Review};
pub use source::{Form, Origin, Source, UrlSource};
pub use template::{Parsed, PathTemplate, Placeholder, TextTemplate, is_name};
pub use tool::{Tool, ToolKind};

/// The file's usual name.
pub const FILE_NAME: &str = "lockwright.toml";

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, an unknown key, or a value of another kind.
    #[error("{place}: {message}{hint}\n{}", .place.snippet())]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
        /// What was meant, as `; did you mean …?`, or nothing.
        hint: String,
    },
    /// It cannot be read at all.
    #[error("cannot read the manifest {file}{}", without(source))]
    Read {
        /// The manifest.
        file: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A reference leads nowhere, or round in a circle.
    #[error("{place}: {reference}\n{}", .place.snippet())]
    Graph {
        /// Where.
        place: Box<Place>,
        /// Which.
        reference: GraphError,
    },
}

impl Manifest {
    /// Reads a manifest and checks its references.
    ///
    /// # Errors
    /// With file, line and column, and the key that was meant.
    pub fn load(file: &Utf8Path) -> Result<Self, ManifestError> {
        let text = foreign::text(file).map_err(|source| ManifestError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// [`Self::load`] for text that is already here; `file` is for messages alone.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, file: &Utf8Path) -> Result<Self, ManifestError> {
        let manifest: Self =
            toml::from_str(text).map_err(|error| syntax_error(&error, text, file))?;
        // What it includes may have what it refers to.
        if manifest.include.is_empty() {
            manifest.check(|component, said| document::place(file, text, component, said))?;
        }
        Ok(manifest)
    }

    /// Every reference leads to something, and none round in a circle. `place` tells where a component says
    /// something.
    fn check(&self, place: impl Fn(&str, &str) -> Place) -> Result<(), ManifestError> {
        let checked = self.order().map(drop);
        checked.map_err(|reference| {
            let (component, said) = reference.said();
            ManifestError::Graph {
                place: Box::new(place(component, &said)),
                reference,
            }
        })
    }

    /// The JSON schema of `lockwright.toml`, for editors.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

fn syntax_error(error: &toml::de::Error, text: &str, file: &Utf8Path) -> ManifestError {
    let message = error.message().trim_end().to_owned();
    let hint = meant(&message).map_or_else(String::new, |key| format!("; did you mean `{key}`?"));
    ManifestError::Syntax {
        place: Place::of_span(file, text, error.span()),
        message,
        hint,
    }
}

/// What to do where there is no manifest.
fn without(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            ": make one with `lockwright init`, or name another with --file"
        }
        _ => "",
    }
}

/// The key that was meant, from serde's "unknown field `x`, expected one of `a`, `b`".
fn meant(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    crate::core::nearest::nearest(wrong, quoted)
}

#[cfg(test)]
mod tests;
