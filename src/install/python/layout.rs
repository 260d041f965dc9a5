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

/// Whether Python runs a wheel's file whenever it starts, asked for or not: a `.pth`, or a customisation, be it a module,
/// a compiled one or a package (<https://docs.python.org/3/library/site.html>).
pub fn is_run_at_start(path: &str) -> bool {
    let below_site = match path.split_once(".data/") {
        None => path,
        Some((_, rest)) => match rest.split_once('/') {
            Some(("purelib" | "platlib", rest)) => rest,
            // The top of an environment, from which a path leads into site-packages too.
            Some(("data", rest)) => rest
                .split_once("/site-packages/")
                .map_or("", |(_, rest)| rest),
            _ => "",
        },
    };
    let is_custom = |name: &str| {
        let module = name.split('.').next();
        matches!(module, Some("sitecustomize" | "usercustomize"))
    };
    match below_site.split_once('/') {
        None => below_site.ends_with(".pth") || is_custom(below_site),
        Some((package, rest)) => is_custom(package) && rest.starts_with("__init__."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_at_start_is_known_wherever_it_comes_from() {
        for path in [
            "x.pth",
            "sitecustomize.py",
            "usercustomize.cpython-314-x86_64-linux-gnu.so",
            "sitecustomize/__init__.py",
            "x-1.0.data/purelib/x.pth",
            "x-1.0.data/platlib/sitecustomize.pyc",
            "x-1.0.data/data/lib/python3.14/site-packages/x.pth",
            "x-1.0.data/data/lib64/python3.14/site-packages/usercustomize/__init__.so",
        ] {
            assert!(is_run_at_start(path), "{path}");
        }
        for path in [
            "x/y.pth",
            "x/sitecustomize.py",
            "sitecustomize/other.py",
            "x-1.0.data/data/x.pth",
            "x-1.0.data/scripts/x.pth",
            "x-1.0.data",
            "x.py",
        ] {
            assert!(!is_run_at_start(path), "{path}");
        }
    }
}
