//! Which Python a target is: CPython, PyPy or GraalPy, and the tags that each has.

use serde::{Deserialize, Serialize};

/// Which Python it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// The usual one.
    CPython {
        /// Built without the global interpreter lock (PEP 703).
        free_threaded: bool,
    },
    /// PyPy, with its own version.
    PyPy {
        /// Major and minor version of PyPy itself.
        version: (u8, u8),
    },
    /// GraalPy, with its own version.
    GraalPy {
        /// Major and minor version of GraalPy itself.
        version: (u8, u8),
    },
}

impl Implementation {
    /// The Python tag: `cp314`, `pp311`, `graalpy311`.
    pub(super) fn language_tag(self, (major, minor): (u8, u8)) -> String {
        match self {
            Self::CPython { .. } => format!("cp{major}{minor}"),
            Self::PyPy { .. } => format!("pp{major}{minor}"),
            Self::GraalPy { .. } => format!("graalpy{major}{minor}"),
        }
    }

    /// The ABI tag: `cp314`, `cp314t`, `pypy311_pp73`, `graalpy242_311_native`.
    pub(super) fn abi_tag(self, (major, minor): (u8, u8)) -> String {
        match self {
            Self::CPython { free_threaded } => {
                let suffix = match (minor, free_threaded) {
                    (..=7, _) if major == 3 => "m",
                    (_, true) => "t",
                    _ => "",
                };
                format!("cp{major}{minor}{suffix}")
            }
            Self::PyPy { version } => format!("pypy{major}{minor}_pp{}{}", version.0, version.1),
            Self::GraalPy { version } => {
                format!("graalpy{}{}_{major}{minor}_native", version.0, version.1)
            }
        }
    }

    /// The names that markers have for it: `implementation_name`, `platform_python_implementation`.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::CPython { .. } => ("cpython", "CPython"),
            Self::PyPy { .. } => ("pypy", "PyPy"),
            Self::GraalPy { .. } => ("graalpy", "GraalVM"),
        }
    }
}
