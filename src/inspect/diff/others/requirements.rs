//! `requirements.txt` as `uv export`, `pip-compile` and `pip freeze` write it: `NAME==VERSION` with
//! `--hash`es (<https://pip.pypa.io/en/stable/reference/requirements-file-format/>). It names digests,
//! not files, so a digest stands for the file that has it.

use super::{facts, origin, package};
use crate::core::digest::Digest;
use crate::inspect::diff::facts::{Ecosystem, File, FileKind, LockFacts, OriginKind};

pub(super) fn read(text: &str) -> Result<LockFacts, String> {
    let mut all = facts(Ecosystem::Python);
    let mut index = String::new();
    for (number, line) in lines(text) {
        let at = |why: &str| format!("line {number}: {why}");
        if let Some(option) = line.strip_prefix('-') {
            let (name, value) = option.split_once([' ', '=']).unwrap_or((option, ""));
            if matches!(name.trim_start_matches('-'), "i" | "index-url") {
                value.trim().clone_into(&mut index);
            }
            continue;
        }
        let (stated, hashes) = line
            .split_once(" --hash")
            .map_or((line.as_str(), ""), |(a, b)| (a, b));
        let (stated, _marker) = stated.split_once(" ;").unwrap_or((stated, ""));
        let stated = stated.split(';').next().unwrap_or_default().trim();
        let digests = hashes
            .split("--hash")
            .map(|part| part.trim_start_matches('=').trim());
        let digests: Vec<Digest> = digests
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().map_err(|error| at(&format!("{error}"))))
            .collect::<Result<_, _>>()?;
        let (name, version, from) = if let Some((name, url)) = stated.split_once('@') {
            let url = url.trim();
            let kind = match url.starts_with("git+") {
                true => OriginKind::Git,
                false => OriginKind::Url,
            };
            (name, None, origin(kind, url))
        } else if let Some((name, version)) = stated.split_once("==") {
            let version = version.trim_start_matches('=').trim();
            (name, Some(version), origin(OriginKind::Registry, &index))
        } else {
            return Err(at(&format!(
                "`{stated}` is not pinned: a lock has `NAME==VERSION` or `NAME @ URL`"
            )));
        };
        let name = name.split('[').next().unwrap_or_default().trim();
        let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
        let name = parts.collect::<Vec<_>>().join("-").to_lowercase();
        if name.is_empty() {
            return Err(at("there is no name"));
        }
        let mut package = package(Ecosystem::Python, version, from);
        package.files = digests
            .into_iter()
            .map(|digest| File {
                name: digest.to_string(),
                // Nobody knows whether it is a wheel.
                kind: FileKind::Tarball,
                tags: None,
                location: String::new(),
                digest: Some(digest),
                size: None,
                uploaded: None,
            })
            .collect();
        all.insert(name, package);
    }
    Ok(all)
}

/// Lines without comments, those that go on joined, with the number of the first.
fn lines(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let plain = match line.trim_start().starts_with('#') {
            true => "",
            false => line.split(" #").next().unwrap_or_default(),
        };
        let (plain, next) = match plain.strip_suffix('\\') {
            Some(plain) => (plain, true),
            None => (plain, false),
        };
        match all.last_mut().filter(|_| goes_on) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(plain.trim());
            }
            None => all.push((at + 1, plain.trim().to_owned())),
        }
        goes_on = next;
    }
    all.retain(|(_, line)| !line.is_empty());
    all
}
