//! What a build finds around it: an environment with its requirements, and its variables.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::error::BuildError;
use super::recipe::{Recipe, RecipeSource};
use super::sandbox::INSIDE;
use crate::decide::plan::PlannedPackage;
use crate::decide::target::probe::Interpreter;
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;
use crate::files::contents::{PlaceError, Zipped};
use crate::files::tree::{LinkMode, Record, Replace, Tree, TreeOptions};
use crate::install::python::venv::{self, Venv};
use crate::install::python::{Layout, WheelError, WheelSource, place_wheel};
use crate::obtain::store::Blob;

/// The time that builds believe it is: 1 January 1980, the first that a zip archive can hold.
const EPOCH: &str = "315532800";

/// By what back ends are told a version that they do not have to look for: setuptools-scm and
/// hatch-vcs, pdm-backend, pbr, poetry-dynamic-versioning, uv-dynamic-versioning. What has no such
/// variable (versioningit, versioneer) finds it as a tag.
const VERSION: [&str; 5] = [
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "PDM_BUILD_SCM_VERSION",
    "PBR_VERSION",
    "POETRY_DYNAMIC_VERSIONING_BYPASS",
    "UV_DYNAMIC_VERSIONING_BYPASS",
];

/// By what pbr is told not to write files from a history that ends at its commit.
const NO_HISTORY: [&str; 2] = ["SKIP_GENERATE_AUTHORS", "SKIP_WRITE_GIT_CHANGELOG"];

/// A build requirement that is here.
pub(super) struct Wheelhouse<'a> {
    pub(super) package: &'a PlannedPackage,
    pub(super) file_name: String,
    pub(super) blob: Blob,
}

/// Assembles the environment of a build in `folder`, which will be known as `prefix`.
pub(super) fn assemble(
    interpreter: &Interpreter,
    folder: &Utf8Path,
    prefix: &Utf8Path,
    needs: &[Wheelhouse<'_>],
) -> Result<(), BuildError> {
    let target = &interpreter.target;
    let options = TreeOptions {
        replace: Replace::Nothing,
        record: Record::Nowhere,
        ..TreeOptions::default()
    };
    let tree = Tree::stage(folder, options)?;
    let layout = Layout::new(target, prefix, false);
    let venv = Venv {
        interpreter: interpreter.about.base_executable.clone(),
        version: target.markers.python_full_version().to_string(),
        prompt: None,
        system_site_packages: false,
    };
    let own = tree.owner("the environment", u64::MAX);
    venv::write(&tree, own, &layout, target, &venv)?;
    for (rank, need) in needs.iter().enumerate() {
        let bytes = need.blob.map()?;
        let zip = Zip::new(&bytes, &need.file_name, &Limits::default());
        let zip = zip.map_err(PlaceError::from).map_err(WheelError::from)?;
        let contents = Zipped::new(&zip, None);
        let source = WheelSource {
            file_name: &need.file_name,
            name: &need.package.name,
            version: need.package.version.as_ref(),
            direct_url: None,
        };
        let owner = tree.owner(&need.package.label(), rank as u64);
        place_wheel(&tree, &layout, owner, &contents, &source, LinkMode::Copy)?;
    }
    tree.finish().commit()?;
    Ok(())
}

/// The environment variables of a build: these, and no others. The build's folder is `seen` to it.
pub(super) fn variables(
    recipe: &Recipe,
    seen: &Utf8Path,
    is_contained: bool,
) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = [
        (
            "PATH",
            format!("{seen}/env/bin:/usr/local/bin:/usr/bin:/bin"),
        ),
        ("HOME", format!("{seen}/home")),
        ("TMPDIR", format!("{seen}/tmp")),
        ("VIRTUAL_ENV", format!("{seen}/env")),
        ("LANG", "C.UTF-8".into()),
        ("LC_ALL", "C.UTF-8".into()),
        ("TZ", "UTC".into()),
        ("SOURCE_DATE_EPOCH", EPOCH.into()),
        ("PYTHONHASHSEED", "0".into()),
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
        ("PYTHONNOUSERSITE", "1".into()),
        ("PYTHONUNBUFFERED", "1".into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let (Some(tools), Some(path)) = (recipe.tools, all.get_mut("PATH")) {
        path.push_str(&format!(":{}", tools.programs()));
        // It would try, in vain and for long.
        all.insert("CARGO_NET_OFFLINE".into(), "true".into());
    }
    // Back ends that would work the version out from a history that is not here. The lock knows it.
    if let Some(version) = &recipe.package.version {
        for name in VERSION {
            all.insert(name.into(), version.to_string());
        }
    }
    let has_history = match &recipe.source {
        RecipeSource::Folder { around, .. } => around.checkout.is_some(),
        source => matches!(source, RecipeSource::Git(_)),
    };
    if has_history {
        for name in NO_HISTORY {
            all.insert(name.into(), "1".into());
        }
    }
    all.extend(recipe.environment.iter().cloned());
    if !is_contained {
        // The folder's name, which is another each time, must not end up in what is built.
        let map = format!("-ffile-prefix-map={seen}={INSIDE}");
        for name in ["CFLAGS", "CXXFLAGS"] {
            let flags = all.entry(name.into()).or_default();
            *flags = String::from(format!("{flags} {map}").trim());
        }
    }
    all.into_iter().collect()
}
