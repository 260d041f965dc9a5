//! Scripts on Windows: each is a program of its own, since Windows reads no `#!` line.
//!
//! [`Launchers::program`] is `launcher.c`, compiled by `scripts/windows-launchers`, with the script behind it in a zip
//! archive, from which Python runs it. It finds its Python beside itself, so it can be moved.

use std::io::{Cursor, Error};

use crate::decide::target::Arch;
use crate::files::archive::zip_write::{self, CompressionMethod};

/// The programs for a processor: for consoles, and for windows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Launchers {
    arch: &'static str,
    console: &'static [u8],
    gui: &'static [u8],
}

const X86_64: Launchers = Launchers {
    arch: "x86_64",
    console: include_bytes!("console-x86_64.exe"),
    gui: include_bytes!("windows-x86_64.exe"),
};
const AARCH64: Launchers = Launchers {
    arch: "aarch64",
    console: include_bytes!("console-aarch64.exe"),
    gui: include_bytes!("windows-aarch64.exe"),
};
const X86: Launchers = Launchers {
    arch: "x86",
    console: include_bytes!("console-x86.exe"),
    gui: include_bytes!("windows-x86.exe"),
};

impl Launchers {
    /// Those for a processor that Windows runs on.
    pub const fn of(arch: Arch) -> Option<Self> {
        match arch {
            Arch::X86_64 => Some(X86_64),
            Arch::Aarch64 => Some(AARCH64),
            Arch::X86 => Some(X86),
            _ => None,
        }
    }

    /// The environment's `python.exe` or `pythonw.exe`.
    pub const fn python(&self, is_gui: bool) -> &'static [u8] {
        match is_gui {
            true => self.gui,
            false => self.console,
        }
    }

    /// A script as a program.
    ///
    /// # Errors
    /// Never, in fact: it is written to memory.
    pub fn program(&self, script: &[u8], is_gui: bool) -> Result<Vec<u8>, Error> {
        let mut archive = Cursor::new(Vec::new());
        let files = [Ok(("__main__.py", script))];
        zip_write::pack(files, CompressionMethod::Stored, &mut archive)?;
        Ok([self.python(is_gui), archive.get_ref()].concat())
    }
}

/// Which processor they are for: their bytes are the same for every environment.
impl std::fmt::Debug for Launchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.arch)
    }
}
