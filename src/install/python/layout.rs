//! Where things go in an environment.

use camino::{Utf8Path, Utf8PathBuf};

use crate::decide::target::PythonTarget;

/// The folders of an environment, relative to its top, and where that top will be.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Where the environment will live: what scripts refer to.
    pub prefix: Utf8PathBuf,
    /// Site-packages, for pure and native packages alike.
    pub site: String,
    /// Scripts.
    pub scripts: String,
    /// C headers, each package's in a folder of its own.
    pub headers: String,
    /// Whether scripts find their interpreter relative to themselves.
    pub relocatable: bool,
}

impl Layout {
    /// The layout of a virtual environment for a target, at `prefix`.
    pub fn new(target: &PythonTarget, prefix: &Utf8Path, relocatable: bool) -> Self {
        let (major, minor) = target.version;
        Self {
            prefix: prefix.to_owned(),
            site: target.site_packages(),
            scripts: String::from("bin"),
            headers: format!("include/site/python{major}.{minor}"),
            relocatable,
        }
    }

    /// The interpreter that scripts are run by.
    pub fn python(&self) -> Utf8PathBuf {
        self.prefix.join(&self.scripts).join("python")
    }

    /// How site-packages leads to the environment's top: `../../..`.
    pub fn site_to_top(&self) -> String {
        self.site
            .split('/')
            .map(|_| "..")
            .collect::<Vec<_>>()
            .join("/")
    }
}
