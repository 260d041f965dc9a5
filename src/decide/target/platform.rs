//! Platforms: operating system, C library and processor, and the platform tags they take.
//!
//! Tags and their order follow PEP 425, PEP 600 (`manylinux_x_y`), PEP 656 (`musllinux_x_y`) and
//! uv's `uv-platform-tags`, since the artifact chosen must be the one that uv chooses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system with its C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Os {
    /// Linux with glibc of this version or newer.
    Manylinux(u16, u16),
    /// Linux with musl of this version or newer.
    Musllinux(u16, u16),
    /// macOS of this version or newer.
    Macos(u16, u16),
    /// Windows.
    Windows,
}

/// A processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their names say it
pub enum Arch {
    X86_64,
    Aarch64,
    X86,
    Armv7l,
    Armv6l,
    Ppc64,
    Ppc64le,
    S390x,
    Riscv64,
    Loongarch64,
}

/// An operating system on a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The system.
    pub os: Os,
    /// The processor.
    pub arch: Arch,
}

/// A platform's name that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a known platform: use one of linux, macos, windows, a triple such as \
     aarch64-unknown-linux-gnu, x86_64-unknown-linux-musl or aarch64-apple-darwin, a short form \
     such as x86_64-linux-gnu, or a floor such as x86_64-manylinux_2_28 or aarch64-musllinux_1_2"
)]
pub struct PlatformError(String);

/// What uv assumes for `*-unknown-linux-gnu`.
const GLIBC: (u16, u16) = (2, 28);
/// The first glibc with RISC-V wheels, as uv assumes.
const GLIBC_RISCV: (u16, u16) = (2, 39);
/// What uv assumes for `*-unknown-linux-musl`.
const MUSL: (u16, u16) = (1, 2);
/// What uv assumes for `*-apple-darwin`.
const MACOS: (u16, u16) = (13, 0);

impl Arch {
    /// As `platform.machine()` has it on Linux, and as it stands in platform tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::X86 => "i686",
            Self::Armv7l => "armv7l",
            Self::Armv6l => "armv6l",
            Self::Ppc64 => "ppc64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
            Self::Riscv64 => "riscv64",
            Self::Loongarch64 => "loongarch64",
        }
    }

    /// By any of the names that systems and wheels give it.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "x86_64" | "amd64" | "AMD64" => Self::X86_64,
            "aarch64" | "arm64" | "ARM64" => Self::Aarch64,
            "x86" | "i386" | "i586" | "i686" => Self::X86,
            "armv7" | "armv7l" | "armv8l" => Self::Armv7l,
            "armv6" | "armv6l" => Self::Armv6l,
            "ppc64" | "powerpc64" => Self::Ppc64,
            "ppc64le" | "powerpc64le" => Self::Ppc64le,
            "s390x" => Self::S390x,
            "riscv64" | "riscv64gc" => Self::Riscv64,
            "loongarch64" => Self::Loongarch64,
            _ => return None,
        })
    }

    /// The oldest glibc minor version for which there are wheels at all.
    fn oldest_manylinux(self) -> Option<u16> {
        Some(match self {
            Self::X86_64 | Self::X86 => 5,
            Self::Aarch64 | Self::Armv7l | Self::Ppc64 | Self::Ppc64le | Self::S390x => 17,
            Self::Riscv64 => 31,
            Self::Loongarch64 => 36,
            Self::Armv6l => return None,
        })
    }
}

impl Platform {
    /// A Linux with glibc; the version is the oldest that it must be.
    pub fn manylinux(arch: Arch, major: u16, minor: u16) -> Self {
        Self {
            os: Os::Manylinux(major, minor),
            arch,
        }
    }

    /// What `sysconfig.get_platform()` and the C library's version amount to.
    ///
    /// # Errors
    /// When there is no such processor in wheels' names.
    pub fn from_parts(os: Os, machine: &str) -> Result<Self, PlatformError> {
        let arch = Arch::from_name(machine).ok_or_else(|| PlatformError(machine.to_owned()))?;
        Ok(Self { os, arch })
    }

    /// The platform tags it takes, best first; `any` is not among them.
    pub fn tags(&self) -> Vec<String> {
        let arch = self.arch.name();
        match self.os {
            Os::Manylinux(major, newest) => {
                let mut tags = Vec::new();
                if let Some(oldest) = self.arch.oldest_manylinux() {
                    for minor in (oldest..=newest).rev() {
                        tags.push(format!("manylinux_{major}_{minor}_{arch}"));
                        // The names from before PEP 600, with lower priority.
                        match minor {
                            17 => tags.push(format!("manylinux2014_{arch}")),
                            12 => tags.push(format!("manylinux2010_{arch}")),
                            5 => tags.push(format!("manylinux1_{arch}")),
                            _ => {}
                        }
                    }
                }
                tags.push(format!("linux_{arch}"));
                tags
            }
            Os::Musllinux(major, newest) => (0..=newest)
                .rev()
                .map(|minor| format!("musllinux_{major}_{minor}_{arch}"))
                .chain(std::iter::once(format!("linux_{arch}")))
                .collect(),
            Os::Macos(major, minor) => self.macos_tags(major, minor),
            Os::Windows => vec![String::from(match self.arch {
                Arch::Aarch64 => "win_arm64",
                Arch::X86 => "win32",
                _ => "win_amd64",
            })],
        }
    }

    fn macos_tags(&self, major: u16, minor: u16) -> Vec<String> {
        let formats: &[&str] = match self.arch {
            Arch::Aarch64 => &["arm64", "universal2"],
            _ => &[
                "x86_64",
                "intel",
                "fat64",
                "fat32",
                "universal2",
                "universal",
            ],
        };
        let mut tags = Vec::new();
        let mut all = |major: u16, minor: u16, formats: &[&str]| {
            tags.extend(
                formats
                    .iter()
                    .map(|format| format!("macosx_{major}_{minor}_{format}")),
            );
        };
        if major == 10 {
            (4..=minor).rev().for_each(|minor| all(10, minor, formats));
            return tags;
        }
        (11..=major).rev().for_each(|major| all(major, 0, formats));
        // A universal2 binary may carry the version its x86-64 half supports.
        let old: &[&str] = if self.arch == Arch::Aarch64 {
            &["universal2"]
        } else {
            formats
        };
        (4..=16).rev().for_each(|minor| all(10, minor, old));
        tags
    }

    /// `os.name`.
    pub fn os_name(&self) -> &'static str {
        if self.os == Os::Windows {
            "nt"
        } else {
            "posix"
        }
    }

    /// `sys.platform`.
    pub fn sys_platform(&self) -> &'static str {
        match self.os {
            Os::Manylinux(..) | Os::Musllinux(..) => "linux",
            Os::Macos(..) => "darwin",
            Os::Windows => "win32",
        }
    }

    /// `platform.system()`.
    pub fn platform_system(&self) -> &'static str {
        match self.os {
            Os::Manylinux(..) | Os::Musllinux(..) => "Linux",
            Os::Macos(..) => "Darwin",
            Os::Windows => "Windows",
        }
    }

    /// `platform.machine()`.
    pub fn platform_machine(&self) -> &'static str {
        match (self.os, self.arch) {
            (Os::Macos(..), Arch::Aarch64) => "arm64",
            (Os::Windows, Arch::X86_64) => "AMD64",
            (Os::Windows, Arch::Aarch64) => "ARM64",
            (Os::Windows, Arch::X86) => "x86",
            _ => self.arch.name(),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// Reads uv's names for `--python-platform`, Rust triples, `x86_64-linux-gnu`, and any
    /// `ARCH-manylinux_X_Y`, `ARCH-musllinux_X_Y` or `ARCH-macos_X_Y`.
    fn from_str(name: &str) -> Result<Self, PlatformError> {
        let unknown = || PlatformError(name.to_owned());
        match name {
            "linux" => return Ok(Self::manylinux(Arch::X86_64, GLIBC.0, GLIBC.1)),
            "macos" => {
                return Ok(Self {
                    os: macos(),
                    arch: Arch::Aarch64,
                });
            }
            "windows" => {
                return Ok(Self {
                    os: Os::Windows,
                    arch: Arch::X86_64,
                });
            }
            _ => {}
        }
        let (arch, rest) = name.split_once('-').ok_or_else(unknown)?;
        let arch = Arch::from_name(arch).ok_or_else(unknown)?;
        let glibc = if arch == Arch::Riscv64 {
            GLIBC_RISCV
        } else {
            GLIBC
        };
        let os = match rest {
            "unknown-linux-gnu"
            | "unknown-linux"
            | "linux-gnu"
            | "linux-gnueabihf"
            | "unknown-linux-gnueabihf"
            | "linux" => Os::Manylinux(glibc.0, glibc.1),
            "unknown-linux-musl" | "linux-musl" | "unknown-linux-musleabihf" => {
                Os::Musllinux(MUSL.0, MUSL.1)
            }
            "apple-darwin" | "darwin" | "macos" => macos(),
            "pc-windows-msvc" | "windows" | "windows-msvc" => Os::Windows,
            "manylinux2014" => Os::Manylinux(2, 17),
            "manylinux2010" => Os::Manylinux(2, 12),
            "manylinux1" => Os::Manylinux(2, 5),
            _ => {
                let (kind, version) = rest.split_once('_').ok_or_else(unknown)?;
                let (major, minor) = version.split_once('_').ok_or_else(unknown)?;
                let (major, minor) = (
                    major.parse().map_err(|_| unknown())?,
                    minor.parse().map_err(|_| unknown())?,
                );
                match kind {
                    "manylinux" => Os::Manylinux(major, minor),
                    "musllinux" => Os::Musllinux(major, minor),
                    "macos" | "macosx" => Os::Macos(major, minor),
                    _ => return Err(unknown()),
                }
            }
        };
        // A version out of any range would make millions of tags.
        match os {
            Os::Manylinux(_, minor) | Os::Musllinux(_, minor) if minor > 200 => Err(unknown()),
            Os::Macos(major, _) if !(10..=200).contains(&major) => Err(unknown()),
            os => Ok(Self { os, arch }),
        }
    }
}

fn macos() -> Os {
    Os::Macos(MACOS.0, MACOS.1)
}

/// `x86_64-manylinux_2_28`, a form that is read back.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arch = self.arch.name();
        match self.os {
            Os::Manylinux(major, minor) => write!(f, "{arch}-manylinux_{major}_{minor}"),
            Os::Musllinux(major, minor) => write!(f, "{arch}-musllinux_{major}_{minor}"),
            Os::Macos(major, minor) => write!(f, "{arch}-macos_{major}_{minor}"),
            Os::Windows => write!(f, "{arch}-windows"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn platform(name: &str) -> Platform {
        name.parse().unwrap()
    }

    #[test]
    fn every_spelling_of_a_platform_is_the_same_platform() {
        for name in [
            "linux",
            "x86_64-unknown-linux-gnu",
            "x86_64-linux-gnu",
            "x86_64-manylinux_2_28",
        ] {
            assert_eq!(platform(name), Platform::manylinux(Arch::X86_64, 2, 28));
        }
        assert_eq!(platform("macos"), platform("aarch64-apple-darwin"));
        assert_eq!(
            platform("x86_64-manylinux2014"),
            platform("x86_64-manylinux_2_17")
        );
        for name in [
            "aarch64-musllinux_1_2",
            "x86_64-macos_14_0",
            "riscv64-linux-gnu",
            "i686-pc-windows-msvc",
        ] {
            let read = platform(name);
            assert_eq!(platform(&read.to_string()), read);
        }
        for name in [
            "",
            "linux-x86",
            "z80-linux-gnu",
            "x86_64-manylinux_2_99999",
            "x86_64-macos_0_1",
            "x86_64-bsd",
        ] {
            assert!(name.parse::<Platform>().is_err(), "{name}");
        }
    }

    #[test]
    fn newer_glibc_comes_first_and_old_names_after_their_version() {
        let tags = platform("x86_64-manylinux_2_18").tags();
        assert_eq!(
            tags[..4],
            [
                "manylinux_2_18_x86_64",
                "manylinux_2_17_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_16_x86_64"
            ]
        );
        assert_eq!(tags.last().unwrap(), "linux_x86_64");
        assert!(
            !platform("aarch64-linux-gnu")
                .tags()
                .contains(&"manylinux_2_12_aarch64".into())
        );
    }

    #[test]
    fn newer_musl_comes_first_and_the_plain_name_last() {
        assert_eq!(
            platform("aarch64-linux-musl").tags(),
            [
                "musllinux_1_2_aarch64",
                "musllinux_1_1_aarch64",
                "musllinux_1_0_aarch64",
                "linux_aarch64"
            ]
        );
    }

    #[test]
    fn apple_silicon_takes_universal2_of_old_versions() {
        let tags = platform("aarch64-apple-darwin").tags();
        assert_eq!(tags[..2], ["macosx_13_0_arm64", "macosx_13_0_universal2"]);
        assert!(tags.contains(&"macosx_10_13_universal2".into()));
        assert!(!tags.iter().any(|tag| tag.ends_with("x86_64")));
    }
}
