//! The name of a wheel, taken apart.
//!
//! `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}(-{variant})?.whl`, each of the
//! three tags a `.`-separated set (binary distribution format,
//! <https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention>;
//! the variant label is PEP 825's, <https://peps.python.org/pep-0825/>). A build tag begins with a
//! digit and no Python tag does, which tells a six-part name with a build tag from one with a label.

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
    /// The label of a wheel variant. Variants are an experiment in uv and never chosen by default;
    /// nor are they here.
    pub variant: Option<String>,
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
        let is_build = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
        let (distribution, version, build, [python, abi, platform], variant) = match parts[..] {
            [d, v, python, abi, platform] => (d, v, None, [python, abi, platform], None),
            [d, v, build, python, abi, platform] if is_build(build) => {
                (d, v, Some(build), [python, abi, platform], None)
            }
            [d, v, python, abi, platform, label] if is_label(label) => {
                (d, v, None, [python, abi, platform], Some(label))
            }
            [d, v, build, python, abi, platform, label] if is_label(label) => {
                (d, v, Some(build), [python, abi, platform], Some(label))
            }
            _ => {
                return Err(refuse(String::from(
                    "it does not have the form name-version(-build)-python-abi-platform.whl",
                )));
            }
        };
        let set = |tags: &str, what: &str| {
            let tags: Vec<String> = tags.split('.').map(str::to_owned).collect();
            if tags.iter().all(|tag| is_tag(tag)) {
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
            variant: variant.map(str::to_owned),
        })
    }
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_label(label: &str) -> bool {
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
    (1..=16).contains(&label.len()) && label.bytes().all(fine)
}

impl FromStr for BuildTag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        let number = number
            .parse()
            .map_err(|_| format!("its build tag `{text}` does not begin with a number"))?;
        if !rest.split('.').all(|part| part.is_empty() || is_tag(part)) {
            return Err(format!("its build tag `{text}` is malformed"));
        }
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
    /// `python-abi-platform`, and the variant's label after them, each as it stands in the name.
    pub fn tags(&self) -> String {
        let (python, abi) = (self.python.join("."), self.abi.join("."));
        let platform = self.platform.join(".");
        match &self.variant {
            None => format!("{python}-{abi}-{platform}"),
            Some(label) => format!("{python}-{abi}-{platform}-{label}"),
        }
    }
}

/// The canonical name: the package normalised, the version and the tags as they are.
impl fmt::Display for WheelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = self.distribution.as_dist_info_name();
        write!(f, "{package}-{}", self.version)?;
        if let Some(build) = &self.build {
            write!(f, "-{build}")?;
        }
        write!(f, "-{}.whl", self.tags())
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
    fn a_variant_s_label_is_no_build_tag() {
        let name: WheelName = "foo-1.0-py3-none-any-x8664_v3.whl".parse().unwrap();
        assert_eq!(name.variant.as_deref(), Some("x8664_v3"));
        assert_eq!(name.build, None);
        let name: WheelName = "foo-1.0-1-py3-none-any-null.whl".parse().unwrap();
        assert_eq!(name.variant.as_deref(), Some("null"));
        assert_eq!(name.build.unwrap().to_string(), "1");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_is_read_back(
            package in "[a-z][a-z0-9]{0,8}(_[a-z0-9]{1,4})?",
            version in "[0-9]{1,2}(\\.[0-9]{1,2}){0,3}(rc[0-9])?(\\+[a-z0-9]{1,5})?",
            build in proptest::option::of("[0-9]{1,3}[a-z_]{0,3}"),
            tags in "(py3|cp314|py2\\.py3)-(none|abi3|cp314t)-(any|linux_x86_64|win32\\.win_amd64)",
            label in proptest::option::of("[a-z0-9_]{1,16}"),
        ) {
            let build = build.map(|build| format!("-{build}")).unwrap_or_default();
            let label = label.map(|label| format!("-{label}")).unwrap_or_default();
            let name: WheelName = format!("{package}-{version}{build}-{tags}{label}.whl").parse().unwrap();
            proptest::prop_assert_eq!(&name, &name.to_string().parse().unwrap());
            proptest::prop_assert_eq!(name.tags(), format!("{tags}{label}"));
        }

        #[test]
        fn no_text_makes_the_reader_fall(text in ".*") {
            let _ = text.parse::<WheelName>();
            let _ = format!("{text}.whl").parse::<WheelName>();
        }
    }

    #[test]
    fn what_is_no_wheel_is_refused() {
        for name in [
            "foo-1.0-1-py3-none-any-UPPER.whl",
            "foo-1.0-1-py3-none-any-x-y.whl",
            "foo.whl",
            "foo-1.0.tar.gz",
            "foo-1.0-py3-none.whl",
            "foo-x-py3-none-any.whl",
            "foo-1.0-b1-py3-none-any-x-y.whl",
            "foo-1.0--py3-none-any.whl",
            "foo-1.0-py3-none-../../any.whl",
            "../foo-1.0-py3-none-any.whl",
            "-1.0-py3-none-any.whl",
        ] {
            assert!(name.parse::<WheelName>().is_err(), "{name}");
        }
    }
}
