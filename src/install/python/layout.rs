//! Where things go in an environment.

use camino::{Utf8Path, Utf8PathBuf};

use super::windows::Launchers;
use crate::decide::target::{Os, PythonTarget};

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
    /// On Windows, the programs that scripts become.
    pub windows: Option<Launchers>,
}

impl Layout {
    /// The layout of a virtual environment for a target, at `prefix`.
    pub fn new(target: &PythonTarget, prefix: &Utf8Path, relocatable: bool) -> Self {
        let (major, minor) = target.version;
        let is_windows = target.platform.os == Os::Windows;
        Self {
            prefix: prefix.to_owned(),
            site: target.site_packages(),
            scripts: String::from(if is_windows { "Scripts" } else { "bin" }),
            headers: format!("include/site/python{major}.{minor}"),
            relocatable: relocatable || is_windows,
            windows: Launchers::of(target.platform.arch).filter(|_| is_windows),
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
