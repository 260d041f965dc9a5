//! Whether commands are contained, and where they then find things.

use std::sync::{Once, OnceLock};

use super::error::ComponentError;
use super::{Settings, tools};
use crate::core::progress::warn;
use crate::install::build::sandbox::{self, INSIDE, Level};

/// Whether commands are contained in this run; tried when the first asks.
pub struct Containment<'a> {
    settings: &'a Settings<'a>,
    chosen: OnceLock<Result<(Level, Option<String>), String>>,
    has_warned: Once,
}

impl<'a> Containment<'a> {
    /// Not tried yet.
    pub fn new(settings: &'a Settings<'a>) -> Self {
        Self {
            settings,
            chosen: OnceLock::new(),
            has_warned: Once::new(),
        }
    }

    fn chosen(&self) -> Result<&(Level, Option<String>), ComponentError> {
        let build = &self.settings.build;
        let choose = || sandbox::choose(build.sandbox, &build.this, "commands");
        let chosen = self.chosen.get_or_init(choose).as_ref();
        chosen.map_err(|why| ComponentError::Sandbox(why.clone()))
    }

    /// Whether they have a root of their own.
    ///
    /// # Errors
    /// When they must have, and cannot.
    pub fn is_contained(&self) -> Result<bool, ComponentError> {
        Ok(self.chosen()?.0.is_whole())
    }

    /// Where commands look for programs, behind the tree's own.
    ///
    /// # Errors
    /// As [`Self::is_contained`].
    pub fn path(&self) -> Result<String, ComponentError> {
        let own = std::env::var("PATH").ok().filter(|path| !path.is_empty());
        Ok(match (self.is_contained()?, own) {
            // Where a system has its programs elsewhere, nothing else leads to them.
            (false, Some(path)) => path,
            _ => tools::PATH.into(),
        })
    }

    /// How far they are, for commands that are run now: said where that is not wholly.
    ///
    /// # Errors
    /// As [`Self::is_contained`].
    pub(super) fn now(&self) -> Result<Level, ComponentError> {
        let (level, warning) = self.chosen()?;
        if let Some(warning) = warning {
            self.has_warned.call_once(|| warn(warning));
        }
        Ok(*level)
    }
}

/// Where contained commands see a source.
pub(super) fn source_inside(name: &str) -> String {
    format!("{INSIDE}/source/{name}")
}
