//! Edits, with all that the manifest says of them filled in: of a component's tree, or of a source
//! before it is built.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::context::Context;
use super::error::ComponentError;
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::decide::manifest::{Parsed, Patch};
use crate::files::tree::TreePath;
use crate::transform::patch::FileChange;
use crate::transform::patch::apps::Apps;
use crate::transform::patch::migration::{self, Added, add_dependency};
use crate::transform::patch::substitute::substitute;
use crate::transform::patch::unified;

const PHASE: &str = "patch";

/// An edit of a folder.
#[derive(Debug, Clone, Serialize)]
pub struct Edit {
    /// The manifest's text that asks for it.
    #[serde(skip)]
    pub said: String,
    kind: Kind,
}

#[derive(Debug, Clone, Serialize)]
enum Kind {
    Substitute {
        file: String,
        replace: String,
        with: String,
        count: Option<usize>,
        /// The line that a person looks for in the manifest when it is not found.
        #[serde(skip)]
        first: String,
    },
    Migration {
        file: String,
        on: (String, String),
    },
    Diff {
        #[serde(skip)]
        file: Utf8PathBuf,
        text: String,
        below: Option<String>,
        strip: usize,
        fuzz: usize,
    },
}

/// Why an edit cannot be made: the manifest's text that asks for it, and what is wrong.
#[derive(Debug)]
pub struct Refusal {
    /// The text.
    pub said: String,
    /// What is wrong.
    pub what: String,
}

impl Edit {
    /// Fills in what the manifest says. `text` fills what stands in a file when it is used, `root` is
    /// the folder if it is there.
    ///
    /// # Errors
    /// When a path is none of the folder, or a diff cannot be read.
    pub fn resolve(
        context: &Context<'_>,
        patch: &Patch,
        root: Option<&Utf8Path>,
        text: &dyn Fn(&Parsed) -> Result<String, ComponentError>,
    ) -> Result<Self, ComponentError> {
        let (said, kind) = match patch {
            Patch::Substitute(patch) => {
                let lines = patch.replace.as_written();
                let kind = Kind::Substitute {
                    file: context.file_in_tree(&patch.file)?.to_string(),
                    replace: text(&patch.replace)?,
                    with: text(&patch.with)?,
                    count: patch.count,
                    first: lines.lines().next().unwrap_or_default().to_owned(),
                };
                (patch.file.as_written(), kind)
            }
            Patch::Migration(patch) => {
                let kind = Kind::Migration {
                    file: context.file_in_tree(&patch.migration)?.to_string(),
                    on: patch.depends_on.clone(),
                };
                (patch.migration.as_written(), kind)
            }
            Patch::Diff(patch) => {
                let said = patch.diff.as_written();
                let file = context.reading(&patch.diff, root)?;
                let bytes = foreign::bytes(&file);
                let bytes = bytes
                    .map_err(|error| context.failed(said, PHASE)(cannot("read", &file)(error)))?;
                let below = patch.root.as_ref().map(|below| context.in_tree(below));
                let kind = Kind::Diff {
                    file,
                    // What is no text is no diff either.
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                    below: below.transpose()?.flatten().map(|below| below.to_string()),
                    strip: patch.strip.unwrap_or(1),
                    fuzz: patch.fuzz,
                };
                (said, kind)
            }
        };
        Ok(Self {
            said: said.to_owned(),
            kind,
        })
    }

    /// The files of a folder as they shall be.
    ///
    /// # Errors
    /// When the edit cannot be made.
    pub fn changes(&self, root: &Utf8Path) -> Result<Vec<FileChange>, Refusal> {
        match &self.kind {
            Kind::Substitute {
                file,
                replace,
                with,
                count,
                first,
            } => {
                let bytes = self.read(root, file)?;
                let done = substitute(&bytes, replace.as_bytes(), with.as_bytes(), *count);
                let done = done.map_err(|error| Refusal {
                    said: first.clone(),
                    what: format!("{file}: {error}"),
                })?;
                Ok(vec![self.change(file, done.bytes)?])
            }
            Kind::Migration { file, on } => {
                let text = self.depend(root, file, on)?;
                Ok(vec![self.change(file, text.into_bytes())?])
            }
            Kind::Diff {
                file,
                text,
                below,
                strip,
                fuzz,
            } => {
                let refuse = |what: String| self.refuse(format!("{file}: {what}"));
                let plain = |error| refuse(Context::plain(&error, root));
                let in_folder = |path: &TreePath| match below {
                    Some(below) => TreePath::new(format!("{below}/{path}")),
                    None => Ok(path.clone()),
                };
                let patches = unified::parse(text.as_bytes(), *strip).map_err(plain)?;
                let read = |path: &TreePath| {
                    let path = in_folder(path).map_err(std::io::Error::other)?;
                    match open(root, path.as_str()) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                        other => other.map(Some),
                    }
                };
                let changes = unified::apply(&patches, *fuzz, read).map_err(plain)?;
                let mut all = Vec::new();
                for change in changes {
                    for note in &change.notes {
                        eprintln!("note: {file}: {}: {note}", change.path);
                    }
                    let place = |path| in_folder(path).map_err(|error| refuse(error.to_string()));
                    all.push(FileChange {
                        path: place(&change.path)?,
                        from: change.from.as_ref().map(place).transpose()?,
                        bytes: change.bytes,
                        executable: change.executable,
                    });
                }
                Ok(all)
            }
        }
    }

    fn refuse(&self, what: String) -> Refusal {
        Refusal {
            said: self.said.clone(),
            what,
        }
    }

    fn change(&self, file: &str, bytes: Vec<u8>) -> Result<FileChange, Refusal> {
        Ok(FileChange {
            path: TreePath::new(file).map_err(|error| self.refuse(error.to_string()))?,
            bytes: Some(bytes),
            executable: None,
            from: None,
        })
    }

    /// A file that is named.
    fn read(&self, root: &Utf8Path, path: &str) -> Result<Vec<u8>, Refusal> {
        let file = root.join(path);
        let refuse = |what: String| self.refuse(what);
        match file.symlink_metadata() {
            Ok(meta) if meta.is_file() => {}
            Ok(meta) if meta.is_symlink() => {
                return Err(refuse(format!("{path} is a link: name the file itself")));
            }
            Ok(_) => return Err(refuse(format!("{path} is not a file"))),
            Err(_) => {
                return Err(refuse(format!(
                    "there is no {path} in the tree to be patched"
                )));
            }
        }
        open(root, path).map_err(|error| refuse(format!("cannot read {path}: {error}")))
    }

    fn depend(
        &self,
        root: &Utf8Path,
        path: &str,
        on: &(String, String),
    ) -> Result<String, Refusal> {
        let refuse = |why: String| self.refuse(format!("{path}: {why}"));
        let on = migration::Migration {
            app: on.0.clone(),
            name: on.1.clone(),
        };
        let text = String::from_utf8(self.read(root, path)?);
        let text = text.map_err(|_| refuse("it is not UTF-8".into()))?;
        match add_dependency(&text, &on).map_err(|error| refuse(error.to_string()))? {
            Added::There(line) => Err(refuse(format!(
                "line {line} has {on} already: it has been fixed there; leave this patch out"
            ))),
            Added::Text(text) => {
                let file = root.join(path).into_std_path_buf();
                let plain = |error: &dyn std::error::Error| refuse(Context::plain(error, root));
                let apps = Apps::below(&[Apps::root_of(&file)]).map_err(|error| plain(&error))?;
                apps.check(&file, &on).map_err(|error| plain(&error))?;
                Ok(text)
            }
        }
    }
}

/// A file of a folder, to which links lead only if they stay in it.
fn open(root: &Utf8Path, path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    foreign::open_inside(root, path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
