//! A Python to install for: its version, its implementation, its platform.

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder};

use super::implementation::Implementation;
use super::platform::Platform;
use super::tags::Tags;

/// All that decides which packages and files are chosen.
#[derive(Debug, Clone)]
pub struct PythonTarget {
    /// Major, minor.
    pub version: (u8, u8),
    /// Which Python.
    pub implementation: Implementation,
    /// Where it runs.
    pub platform: Platform,
    /// The environment that markers are evaluated in (PEP 508).
    pub markers: MarkerEnvironment,
    /// The wheels it takes.
    pub tags: Tags,
}

/// A Python version that cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a Python version: give it as 3.14, 3.14.2 or, without the GIL, 3.14t")]
pub struct VersionError(String);

impl PythonTarget {
    /// A target that no interpreter here stands for. `version` is `3.14`, `3.14.2` or `3.14t`.
    ///
    /// # Errors
    /// When it is not a version.
    pub fn named(version: &str, platform: Platform) -> Result<Self, VersionError> {
        let error = || VersionError(version.to_owned());
        let (numbers, free_threaded) = match version.strip_suffix('t') {
            Some(numbers) => (numbers, true),
            None => (version, false),
        };
        let parts: Vec<u8> = numbers
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| error())?;
        let (major, minor, patch) = match parts[..] {
            [major, minor] => (major, minor, 0),
            [major, minor, patch] => (major, minor, patch),
            _ => return Err(error()),
        };
        if major != 3 {
            return Err(error());
        }
        let implementation = Implementation::CPython { free_threaded };
        let full = format!("{major}.{minor}.{patch}");
        Self::from_parts(implementation, &full, &full, platform, ("", "")).map_err(|_| error())
    }

    /// The same; a version without its third number stands for the first of its releases that
    /// `requires_python` takes.
    ///
    /// # Errors
    /// When it is not a version.
    pub fn named_for(
        version: &str,
        platform: Platform,
        requires_python: Option<&VersionSpecifiers>,
    ) -> Result<Self, VersionError> {
        let first = Self::named(version, platform)?;
        let Some(wanted) = requires_python.filter(|_| version.matches('.').count() == 1) else {
            return Ok(first);
        };
        let takes =
            |target: &Self| satisfies(wanted, &target.markers.python_full_version().version);
        if takes(&first) {
            return Ok(first);
        }
        let (numbers, end) = match version.strip_suffix('t') {
            Some(numbers) => (numbers, "t"),
            None => (version, ""),
        };
        let others = (1..64).map(|patch| Self::named(&format!("{numbers}.{patch}{end}"), platform));
        let found = others.flatten().find(takes);
        // The plan says why none fits.
        Ok(found.unwrap_or(first))
    }

    /// A target from what an interpreter says of itself. `release` is `platform.release()` and
    /// `platform.version()`, which are unknown for a machine that is not at hand.
    ///
    /// # Errors
    /// When a version is none.
    pub(super) fn from_parts(
        implementation: Implementation,
        full_version: &str,
        implementation_version: &str,
        platform: Platform,
        release: (&str, &str),
    ) -> Result<Self, VersionError> {
        let error = || VersionError(full_version.to_owned());
        let mut numbers = full_version.split('.');
        let mut number = || {
            numbers
                .next()
                .map(|part| {
                    part.chars()
                        .take_while(char::is_ascii_digit)
                        .collect::<String>()
                })
                .and_then(|digits| digits.parse::<u8>().ok())
        };
        let version = (number().ok_or_else(error)?, number().ok_or_else(error)?);
        let (implementation_name, platform_python_implementation) = implementation.names();
        let markers = MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name,
            implementation_version,
            os_name: platform.os_name(),
            platform_machine: platform.platform_machine(),
            platform_python_implementation,
            platform_release: release.0,
            platform_system: platform.platform_system(),
            platform_version: release.1,
            python_full_version: full_version,
            python_version: &format!("{}.{}", version.0, version.1),
            sys_platform: platform.sys_platform(),
        })
        .map_err(|_| error())?;
        let tags = Tags::new(implementation, version, &platform);
        Ok(Self {
            version,
            implementation,
            platform,
            markers,
            tags,
        })
    }

    /// The same Python on another platform.
    ///
    /// # Errors
    /// Never, in fact: the version has been read before.
    pub fn on(&self, platform: Platform) -> Result<Self, VersionError> {
        let full = self.markers.python_full_version().version.to_string();
        let own = self.markers.implementation_version().version.to_string();
        Self::from_parts(self.implementation, &full, &own, platform, ("", ""))
    }

    /// Site-packages, relative to the environment.
    pub fn site_packages(&self) -> String {
        if self.platform.os == super::Os::Windows {
            return String::from("Lib/site-packages");
        }
        let (major, minor) = self.version;
        match self.implementation {
            Implementation::CPython {
                free_threaded: true,
            } => {
                format!("lib/python{major}.{minor}t/site-packages")
            }
            Implementation::PyPy { .. } => format!("lib/pypy{major}.{minor}/site-packages"),
            _ => format!("lib/python{major}.{minor}/site-packages"),
        }
    }
}

/// `CPython 3.14.2 on x86_64-manylinux_2_28`.
impl std::fmt::Display for PythonTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, name) = self.implementation.names();
        let suffix = match self.implementation {
            Implementation::CPython {
                free_threaded: true,
            } => "t",
            _ => "",
        };
        let version = self.markers.python_full_version();
        write!(f, "{name} {version}{suffix} on {}", self.platform)
    }
}

/// Whether a version satisfies `requires-python`; a pre-release counts as its release, as for uv.
pub fn satisfies(wanted: &VersionSpecifiers, version: &Version) -> bool {
    wanted.contains(&version.only_release())
}
