//! What a wheel is made of, known before any of it is fetched.

use std::sync::{Arc, OnceLock};

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use super::requirements::Scope;
use super::surroundings::Surroundings;
use super::toolchain::Toolchain;
use super::{Change, Wheel};
use crate::core::artifact::Artifact;
use crate::core::digest::{Algorithm, Digest};
use crate::decide::lock::build_settings::ConfigSettings;
use crate::decide::lock::uv::GitSource;
use crate::decide::plan::PlannedPackage;
use crate::decide::target::probe::Interpreter;

/// All that shapes one wheel.
#[derive(Debug)]
pub(super) struct Recipe {
    /// What is built.
    pub(super) package: PlannedPackage,
    /// Its files.
    pub(super) source: RecipeSource,
    /// Its build requirements, in order of name.
    pub(super) needs: Vec<Need>,
    /// Where they come from.
    pub(super) scope: Scope,
    /// What uv's settings require besides.
    pub(super) extra: Vec<String>,
    /// What they hold its requirements to.
    pub(super) constraints: Vec<String>,
    /// Environment variables that the user sets.
    pub(super) environment: Vec<(String, String)>,
    /// What its build is given beside its source.
    pub(super) change: Option<Change>,
    /// Compilers that it is shown.
    pub(super) tools: Option<&'static Toolchain>,
    /// What the back end is told.
    pub(super) config_settings: ConfigSettings,
    /// What the wheel is stored under; none where an artifact has no digest.
    pub(super) key: Option<Digest>,
    /// The wheel, as soon as one thread has had it or failed.
    pub(super) made: OnceLock<Option<Wheel>>,
}

/// Where a build's files come from.
#[derive(Debug, Clone)]
pub(super) enum RecipeSource {
    /// A source distribution.
    Archive {
        artifact: Artifact,
        subdirectory: Option<String>,
    },
    /// A commit.
    Git(GitSource),
    /// A folder of this machine: copied, or used in place.
    Folder {
        path: Utf8PathBuf,
        is_editable: bool,
        digest: Digest,
        around: Surroundings,
    },
}

/// A build requirement.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) package: PlannedPackage,
    pub(super) origin: Origin,
}

/// How it is obtained.
#[derive(Debug)]
pub(super) enum Origin {
    /// From the lock.
    Wheel(Artifact),
    /// Built first.
    Recipe(Arc<Recipe>),
}

impl Recipe {
    /// `wheel` or `editable`, as the hooks of PEP 517 and PEP 660 are named.
    pub(super) fn kind(&self) -> &'static str {
        match self.source {
            RecipeSource::Folder {
                is_editable: true, ..
            } => "editable",
            _ => "wheel",
        }
    }

    /// Its key, once all else is known.
    pub(super) fn key(
        &self,
        interpreter: &Interpreter,
        hook: &Value,
        is_contained: bool,
    ) -> Option<Digest> {
        let needs: Option<Vec<Value>> = self.needs.iter().map(Need::id).collect();
        let about = &interpreter.about;
        let mut all = json!({
            "form": 3,
            "lockwright": env!("CARGO_PKG_VERSION"),
            "package": self.package.name,
            "version": self.package.version,
            "kind": self.kind(),
            "source": self.source.id()?,
            "needs": needs?,
            "extra": self.extra,
            "constraints": self.constraints,
            "interpreter": [
                &about.implementation, &about.version, &about.cache_tag, &about.base_prefix,
                &interpreter.target.to_string(),
            ],
            "environment": self.environment,
            "config settings": self.config_settings,
            "hook": hook,
            "contained": is_contained,
        });
        let more = [
            ("change", self.change.as_ref().map(|change| &change.id)),
            ("tools", self.tools.map(|tools| &tools.id)),
        ];
        for (name, id) in more {
            if let (Some(id), Some(all)) = (id, all.as_object_mut()) {
                all.insert(name.into(), json!(id));
            }
        }
        Some(Digest::of(Algorithm::Sha256, all.to_string().as_bytes()))
    }
}

impl RecipeSource {
    /// What names its bytes.
    fn id(&self) -> Option<Value> {
        Some(match self {
            Self::Archive {
                artifact,
                subdirectory,
            } => json!([artifact.digest.as_ref()?.to_string(), subdirectory]),
            Self::Git(git) => json!([git.commit, git.subdirectory, git.path]),
            Self::Folder {
                path,
                is_editable,
                digest,
                around,
            } => {
                let mut all = vec![json!(digest.to_string())];
                // An editable wheel leads back to its folder.
                all.extend(is_editable.then(|| json!(path)));
                all.extend(around.id());
                json!(all)
            }
        })
    }
}

impl Need {
    fn id(&self) -> Option<Value> {
        Some(match &self.origin {
            Origin::Wheel(artifact) => {
                json!([artifact.file_name, artifact.digest.as_ref()?.to_string()])
            }
            Origin::Recipe(recipe) => json!([
                self.package.label(),
                recipe.key.as_ref().map(ToString::to_string)?
            ]),
        })
    }
}
