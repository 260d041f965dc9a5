//! The submodules of a commit, as its tree and its `.gitmodules` tell them.

use super::git_error::GitError;
use super::git_program::Repository;

/// `.gitmodules`.
pub(super) struct Modules(Vec<(String, String, String)>);

impl Modules {
    pub(super) fn read(repository: &Repository<'_>, commit: &str) -> Result<Self, GitError> {
        let blob = format!("--blob={commit}:.gitmodules");
        let list = ["config", &blob, "--null", "--list"];
        let listing = match repository.ask(list) {
            Ok(listing) => listing,
            // There is none.
            Err(GitError::Failed { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let entries = listing.split(|byte| *byte == 0).filter_map(|entry| {
            let (key, value) = std::str::from_utf8(entry).ok()?.split_once('\n')?;
            let (name, setting) = key.strip_prefix("submodule.")?.rsplit_once('.')?;
            Some((name.to_owned(), setting.to_owned(), value.to_owned()))
        });
        Ok(Self(entries.collect()))
    }

    fn setting(&self, path: &str, wanted: &str) -> Option<&str> {
        let (name, ..) = self
            .0
            .iter()
            .find(|(_, setting, value)| setting == "path" && value == path)?;
        self.0
            .iter()
            .rev()
            .find(|(other, setting, _)| other == name && setting == wanted)
            .map(|(_, _, value)| value.as_str())
    }

    pub(super) fn url(&self, path: &str) -> Option<&str> {
        self.setting(path, "url")
    }

    /// `update = none`, as `git submodule update` takes it.
    pub(super) fn is_left_out(&self, path: &str) -> bool {
        self.setting(path, "update") == Some("none")
    }
}

/// The submodules of a commit: where, and at which commit.
pub(super) fn links(listing: &[u8]) -> Vec<(String, String)> {
    listing
        .split(|byte| *byte == 0)
        .filter_map(|line| {
            let line = std::str::from_utf8(line).ok()?;
            let (about, path) = line.split_once('\t')?;
            let mut words = about.split(' ');
            let is_link = words.next() == Some("160000");
            let commit = words.nth(1)?;
            is_link.then(|| (path.to_owned(), commit.to_owned()))
        })
        .collect()
}
