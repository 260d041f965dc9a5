//! Compatibility tags: which wheels a target takes, and which of them it likes best.
//!
//! Every wheel's name carries sets of Python, ABI and platform tags; a target has an ordered list
//! of triples (PEP 425). The list is long – thousands of triples – but regular: a few Python–ABI
//! pairs, each with every platform tag in the same order, then the pairs that go with `any`. So a
//! rank is (pair, platform), and nothing of the list need be written out.
//!
//! The order of the pairs is uv's (`uv-platform-tags`, `Tags::from_env`):
//! `cp314-cp314`, `cp314-abi3`, `cp314-none`, `cp313-abi3` … `cp32-abi3`, `py314-none`, `py3-none`,
//! `py313-none` … `py30-none`; then the same `none`s with `any`. Without the GIL `abi3t` (PEP 803)
//! stands in the places of `abi3`.

use std::collections::HashMap;

use super::implementation::Implementation;
use super::platform::Platform;
use crate::decide::lock::wheel_name::WheelName;

/// How much a target likes a tag; less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(usize, usize);

/// The tags of one target.
#[derive(Debug, Clone)]
pub struct Tags {
    native: HashMap<(String, String), usize>,
    any: HashMap<String, usize>,
    platforms: HashMap<String, usize>,
    /// The best of each part, for messages.
    summary: String,
}

impl Tags {
    /// The tags of an interpreter on a platform.
    pub fn new(implementation: Implementation, version: (u8, u8), platform: &Platform) -> Self {
        let (major, minor) = version;
        let mut native: Vec<(String, String)> = Vec::new();
        let language = implementation.language_tag(version);
        native.push((language.clone(), implementation.abi_tag(version)));
        if let Implementation::CPython { free_threaded } = implementation {
            let stable = if free_threaded { "abi3t" } else { "abi3" };
            for older in (2..=minor).rev() {
                native.push((format!("cp{major}{older}"), stable.into()));
                if older == minor {
                    native.push((language.clone(), "none".into()));
                }
            }
        }
        let mut plain = Vec::new();
        for older in (0..=minor).rev() {
            plain.push(format!("py{major}{older}"));
            if older == minor {
                plain.push(format!("py{major}"));
            }
        }
        native.extend(plain.iter().map(|python| (python.clone(), "none".into())));
        let mut any = plain;
        if matches!(implementation, Implementation::CPython { .. }) {
            any.insert(0, language);
        }
        let platform_tags = platform.tags();
        let summary = format!(
            "{}-{}-{} and what is compatible with it",
            native.first().map_or("", |pair| &pair.0),
            native.first().map_or("", |pair| &pair.1),
            platform_tags.first().map_or("any", String::as_str)
        );
        // Of a tag that occurs twice, the first counts.
        let pairs = native.len();
        let mut ranked = HashMap::new();
        for (rank, pair) in native.into_iter().enumerate() {
            ranked.entry(pair).or_insert(rank);
        }
        Self {
            native: ranked,
            any: any
                .into_iter()
                .enumerate()
                .map(|(rank, tag)| (tag, pairs + rank))
                .collect(),
            platforms: platform_tags
                .into_iter()
                .enumerate()
                .map(|(rank, tag)| (tag, rank))
                .collect(),
            summary,
        }
    }

    /// The best rank that any combination of a wheel's tags has; `None`: it cannot be used.
    pub fn rank(&self, wheel: &WheelName) -> Option<Rank> {
        if wheel.variant.is_some() {
            return None;
        }
        let platform = wheel
            .platform
            .iter()
            .filter_map(|tag| self.platforms.get(tag))
            .min();
        let is_any = wheel.platform.iter().any(|tag| tag == "any");
        let mut best: Option<Rank> = None;
        for python in &wheel.python {
            for abi in &wheel.abi {
                let native = platform.and_then(|platform| {
                    let pair = self.native.get(&(python.clone(), abi.clone()))?;
                    Some(Rank(*pair, *platform))
                });
                let any = (is_any && abi == "none")
                    .then(|| self.any.get(python).map(|pair| Rank(*pair, 0)))
                    .flatten();
                best = [best, native, any].into_iter().flatten().min();
            }
        }
        best
    }

    /// The best tag, for messages.
    pub fn summary(&self) -> &str {
        &self.summary
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rank(tags: &Tags, name: &str) -> Option<Rank> {
        tags.rank(&format!("a-1-{name}.whl").parse().unwrap())
    }

    fn tags(free_threaded: bool, platform: &str) -> Tags {
        Tags::new(
            Implementation::CPython { free_threaded },
            (3, 14),
            &platform.parse().unwrap(),
        )
    }

    /// Each is taken, and each is liked better than the next.
    fn assert_order(tags: &Tags, names: &[&str]) {
        let ranks: Vec<Rank> = names
            .iter()
            .map(|name| rank(tags, name).unwrap_or_else(|| panic!("{name} is not taken")))
            .collect();
        for (pair, names) in ranks.windows(2).zip(names.windows(2)) {
            assert!(pair[0] < pair[1], "{} before {}", names[0], names[1]);
        }
    }

    #[test]
    fn the_order_is_uv_s() {
        assert_order(
            &tags(false, "x86_64-manylinux_2_34"),
            &[
                "cp314-cp314-manylinux_2_34_x86_64",
                "cp314-cp314-manylinux_2_28_x86_64",
                "cp314-cp314-manylinux_2_17_x86_64",
                "cp314-cp314-manylinux2014_x86_64",
                "cp314-cp314-linux_x86_64",
                "cp314-abi3-manylinux_2_34_x86_64",
                "cp314-none-manylinux_2_17_x86_64",
                "cp311-abi3-manylinux_2_34_x86_64",
                "cp38-abi3-manylinux_2_28_x86_64",
                "py314-none-linux_x86_64",
                "py3-none-manylinux1_x86_64",
                "py313-none-manylinux1_x86_64",
                "cp314-none-any",
                "py314-none-any",
                "py3-none-any",
                "py30-none-any",
            ],
        );
    }

    #[test]
    fn what_does_not_fit_is_not_taken() {
        let tags = tags(false, "x86_64-manylinux_2_28");
        for name in [
            "cp314-cp314t-manylinux_2_28_x86_64",
            "cp313-cp313-manylinux_2_28_x86_64",
            "cp314-cp314-manylinux_2_34_x86_64",
            "cp314-cp314-manylinux_2_28_aarch64",
            "cp314-cp314-musllinux_1_2_x86_64",
            "cp314-cp314-win_amd64",
            "cp315-abi3-manylinux_2_28_x86_64",
            "py2-none-any",
            "cp313-none-any",
            "cp314-cp314-any",
        ] {
            assert_eq!(rank(&tags, name), None, "{name}");
        }
    }

    #[test]
    fn without_the_gil_the_stable_abi_is_another() {
        let tags = tags(true, "x86_64-manylinux_2_28");
        assert_order(
            &tags,
            &[
                "cp314-cp314t-manylinux_2_28_x86_64",
                "cp314-abi3t-manylinux_2_28_x86_64",
                "cp313-abi3t-manylinux_2_28_x86_64",
                "cp314-none-any",
                "py3-none-any",
            ],
        );
        assert_eq!(rank(&tags, "cp314-abi3-manylinux_2_28_x86_64"), None);
        assert_eq!(rank(&tags, "cp314-cp314-manylinux_2_28_x86_64"), None);
    }

    #[test]
    fn a_set_of_tags_counts_by_its_best() {
        let tags = tags(false, "x86_64-manylinux_2_28");
        assert_eq!(rank(&tags, "py2.py3-none-any"), rank(&tags, "py3-none-any"),);
        assert_eq!(
            rank(
                &tags,
                "cp314-cp314-manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64"
            ),
            rank(&tags, "cp314-cp314-manylinux_2_28_x86_64"),
        );
    }
}
