//! What an image lacks.

use std::collections::BTreeSet;
use std::fmt;

use crate::core::foreign::shown;

/// What a tree needs and no layer has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// What it is.
    pub what: What,
    /// The files that need it, by their paths in the image.
    pub by: BTreeSet<String>,
}

/// What can be missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What the kernel starts an ELF file by.
    Loader(String),
    /// What a script is run by.
    Interpreter(String),
    /// What `env` looks for.
    Program(String),
    /// A library.
    Library(String),
    /// A version of what a library brings: that is older than it must be.
    Version(String),
    /// Where a link leads.
    Target(String),
}

impl What {
    /// Its name or path.
    pub fn name(&self) -> &str {
        match self {
            Self::Loader(name)
            | Self::Interpreter(name)
            | Self::Program(name)
            | Self::Library(name)
            | Self::Version(name)
            | Self::Target(name) => name,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = shown(self.what.name());
        let first = self.by.first().map_or("", String::as_str);
        let first = shown(first);
        match self.what {
            What::Loader(_) => write!(f, "{name}, by which the kernel starts /{first}"),
            What::Interpreter(_) => write!(f, "{name}, by which /{first} is run"),
            What::Program(_) => write!(f, "{name} on the PATH, by which /{first} is run"),
            What::Library(_) => write!(f, "{name}, a library that /{first} needs"),
            What::Version(_) => write!(f, "{name}, which /{first} needs of it"),
            What::Target(_) => write!(f, "{name}, where the link /{first} leads"),
        }?;
        match self.by.len() {
            0 | 1 => Ok(()),
            2 => f.write_str(" and one more does"),
            more => write!(f, " and {} more do", more - 1),
        }
    }
}
