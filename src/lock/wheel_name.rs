//! The name of a wheel, taken apart.
//!
//! `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl`, each of the last three a
//! `.`-separated set (binary distribution format,
//! <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention>).

use std::fmt;
use std::str::FromStr;

use pep440_rs::Version;
use pep508_rs::PackageName;

/// A wheel's file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WheelName {
    /// The package, normalised.
    pub distribution: PackageName,
    /// Its version.
    pub version: Version,
    /// The build tag: breaks ties between wheels of equal tags, higher wins; none is lowest.
    pub build: Option<BuildTag>,
    /// Python tags, as `cp314`.
    pub python: Vec<String>,
    /// ABI tags, as `abi3`.
    pub abi: Vec<String>,
    /// Platform tags, as `manylinux_2_28_x86_64`.
    pub platform: Vec<String>,
}

/// A build tag: its leading digits compare as a number, the rest as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildTag {
    number: u64,
    rest: String,
}

/// Why a string is not a wheel's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not the name of a wheel: {reason}")]
pub struct WheelNameError {
    name: String,
    reason: String,
}

impl FromStr for WheelName {
    type Err = WheelNameError;

    fn from_str(name: &str) -> Result<Self, WheelNameError> {
        let refuse = |reason: String| WheelNameError {
            name: name.to_owned(),
            reason,
        };
        let stem = name
            .strip_suffix(".whl")
            .ok_or_else(|| refuse(String::from("it does not end in `.whl`")))?;
        let parts: Vec<&str> = stem.split('-').collect();
        let (distribution, version, build, [python, abi, platform]) = match parts[..] {
            [d, v, python, abi, platform] => (d, v, None, [python, abi, platform]),
            [d, v, b, python, abi, platform] => (d, v, Some(b), [python, abi, platform]),
            _ => {
                return Err(refuse(String::from(
                    "it does not have the form name-version(-build)-python-abi-platform.whl",
                )));
            }
        };
        let set = |tags: &str, what: &str| {
            let tags: Vec<String> = tags.split('.').map(str::to_owned).collect();
            let fine = |tag: &String| {
                !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            };
            if tags.iter().all(fine) {
                Ok(tags)
            } else {
                Err(refuse(format!("its {what} tag is malformed")))
            }
        };
        if distribution.is_empty() {
            return Err(refuse(String::from("it names no package")));
        }
        Ok(Self {
            distribution: PackageName::from_str(distribution)
                .map_err(|error| refuse(error.to_string()))?,
            version: Version::from_str(&version.replace('_', "-"))
                .map_err(|error| refuse(error.to_string()))?,
            build: build.map(str::parse).transpose().map_err(refuse)?,
            python: set(python, "Python")?,
            abi: set(abi, "ABI")?,
            platform: set(platform, "platform")?,
        })
    }
}

impl FromStr for BuildTag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let number = number
            .parse()
            .map_err(|_| format!("its build tag `{text}` does not begin with a number"))?;
        Ok(Self {
            number,
            rest: rest.to_owned(),
        })
    }
}

impl fmt::Display for BuildTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.number, self.rest)
    }
}

impl WheelName {
    /// `python-abi-platform`, each as it stands in the name.
    pub fn tags(&self) -> String {
        format!(
            "{}-{}-{}",
            self.python.join("."),
            self.abi.join("."),
            self.platform.join(".")
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_apart() {
        let name: WheelName =
            "Foo_Bar-1.0+local.1-2x-cp314-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
                .parse()
                .unwrap();
        assert_eq!(name.distribution.to_string(), "foo-bar");
        assert_eq!(name.version.to_string(), "1.0+local.1");
        assert_eq!(name.build.as_ref().unwrap().to_string(), "2x");
        assert_eq!(name.platform.len(), 2);
        assert_eq!(
            name.tags(),
            "cp314-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64"
        );
    }

    #[test]
    fn build_tags_compare_as_numbers_first() {
        let tag = |text: &str| text.parse::<BuildTag>().unwrap();
        assert!(tag("2") < tag("10"));
        assert!(tag("10") < tag("10a"));
    }

    #[test]
    fn what_is_no_wheel_is_refused() {
        for name in [
            "foo.whl",
            "foo-1.0.tar.gz",
            "foo-1.0-py3-none.whl",
            "foo-x-py3-none-any.whl",
            "foo-1.0-b1-py3-none-any.whl",
            "foo-1.0-py3-none-../../any.whl",
            "../foo-1.0-py3-none-any.whl",
            "-1.0-py3-none-any.whl",
        ] {
            assert!(name.parse::<WheelName>().is_err(), "{name}");
        }
    }
}
