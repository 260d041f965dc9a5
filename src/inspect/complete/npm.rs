//! What a `package-lock.json` lacks: `resolved` and `integrity`, which npm loses at times
//! (<https://github.com/npm/cli/issues/4460>).

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::Url;

use super::{Fields, Gap, Gaps, Left, Spot};
use crate::core::digest::{Algorithm, Digest};
use crate::decide::lock::npm::{Entry, NpmLock, is_in_modules, is_outside, modules, name_of};
use crate::decide::lock::npmrc::Npmrc;
use crate::inspect::audit::packument::Packument;
use crate::inspect::diff::npm::registry_of;
use crate::obtain::fetch::mirrors::Mirrors;

const RESOLVED: &str = "resolved";
const INTEGRITY: &str = "integrity";

/// An object's members, each a part of the lock's text.
type Members<'a> = IndexMap<String, &'a RawValue>;

#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow)]
    packages: Members<'a>,
    /// The form of version 1, which locks of version 2 have besides.
    #[serde(borrow)]
    dependencies: Option<&'a RawValue>,
}

/// What a lock lacks of what comes from registries. A registry that the settings do not name is left
/// empty.
pub fn gaps(text: &str, lock: &NpmLock, npmrc: &Npmrc) -> Gaps {
    let mut gaps = Gaps::default();
    let Ok(top) = serde_json::from_str::<Top<'_>>(text) else {
        return gaps;
    };
    let may_lack_place = npmrc.is_set("omit-lockfile-registry-resolved");
    for (place, entry) in &lock.entries {
        let is_had = is_in_modules(place) && !is_outside(place);
        if !is_had || entry.link.is_some() || entry.in_bundle {
            continue;
        }
        let lacks_place = entry.resolved.is_none() && !may_lack_place;
        let lacks = [
            (RESOLVED, lacks_place),
            (INTEGRITY, entry.integrity.is_none()),
        ];
        let lacks: Vec<&'static str> = lacks
            .into_iter()
            .filter_map(|(field, is_lost)| is_lost.then_some(field))
            .collect();
        let is_from_registry = (entry.resolved.as_deref())
            .is_none_or(|url| url.starts_with("https:") || url.starts_with("http:"));
        if lacks.is_empty() || !is_from_registry {
            continue;
        }
        match gap(place, entry, npmrc) {
            Err(why) => gaps.left.push(Left {
                artifact: place.clone(),
                why,
            }),
            Ok(gap) => {
                let own = top.packages.get(place).copied();
                let older = (top.dependencies).and_then(|all| older(lock, all, place));
                let spots = own.into_iter().chain(older);
                let spots = spots.flat_map(|entry| spots_of(text, entry, &lacks));
                gaps.all.push(Gap {
                    spots: spots.collect(),
                    ..gap
                });
            }
        }
    }
    gaps
}

fn gap(place: &str, entry: &Entry, npmrc: &Npmrc) -> Result<Gap, String> {
    let asked = name_of(place).unwrap_or(place);
    let name = entry.about.name.as_deref().unwrap_or(asked);
    let version = entry.about.version.clone();
    let version =
        version.ok_or("the lock does not say its version: have npm regenerate the lock")?;
    let index = match entry.resolved.as_deref().map(Url::parse) {
        Some(Ok(url)) => {
            let url = npmrc.replaced(url);
            registry_of(url.as_str(), name)
                .map_err(|_| format!("it comes from {url}, and no registry says what is there"))?
        }
        Some(Err(error)) => return Err(format!("its address is not a URL: {error}")),
        None => npmrc.registry(name).unwrap_or_default().to_owned(),
    };
    Ok(Gap {
        label: place.to_owned(),
        name: name.to_owned(),
        index: index.trim_end_matches('/').to_owned(),
        which: version,
        known: entry.integrity.clone(),
        spots: Vec::new(),
    })
}

/// Where in an entry's text the fields go: behind `version`, as npm sorts them, and as that is spaced.
fn spots_of(text: &str, entry: &RawValue, lacks: &[&'static str]) -> Vec<Spot> {
    let Ok(members) = serde_json::from_str::<Members<'_>>(entry.get()) else {
        return Vec::new();
    };
    let Some(version) = members.get("version") else {
        return Vec::new();
    };
    let start = offset(text, version);
    let before = text.get(..start).unwrap_or_default();
    let key = before.trim_end().trim_end_matches(':').trim_end();
    let colon = before.get(key.len()..).unwrap_or(": ");
    let key = key.strip_suffix("\"version\"").unwrap_or(key);
    let space = key.get(key.trim_end().len()..).unwrap_or_default();
    let end = start + version.get().len();
    let missing = lacks.iter().filter(|field| !members.contains_key(**field));
    missing
        .map(|&field| Spot {
            field,
            at: match members.get(RESOLVED).filter(|_| field == INTEGRITY) {
                Some(resolved) => offset(text, resolved) + resolved.get().len(),
                None => end,
            },
            before: format!(",{space}\"{field}\"{colon}"),
        })
        .collect()
}

/// Where in a text a part of it begins.
fn offset(text: &str, part: &RawValue) -> usize {
    (part.get().as_ptr().addr()).saturating_sub(text.as_ptr().addr())
}

/// The same package in the form of version 1: `a` in the `dependencies` of `b` for
/// `node_modules/b/node_modules/a`.
fn older<'a>(lock: &NpmLock, all: &'a RawValue, place: &str) -> Option<&'a RawValue> {
    let mut at = all;
    let mut entry = None;
    let first = modules(place).next()?;
    let workspace = place.get(..first)?.trim_end_matches('/');
    let of_workspace = (lock.entries.iter())
        .find(|(_, entry)| entry.link.as_deref() == Some(workspace) && !workspace.is_empty());
    let names = modules(place).map(|from| {
        let rest = place.get(from..).unwrap_or_default();
        let rest = rest.trim_start_matches("node_modules/");
        rest.split("/node_modules/").next().unwrap_or(rest)
    });
    let workspace = match (workspace, of_workspace) {
        ("", _) => None,
        (_, Some((place, _))) => Some(name_of(place)?),
        (_, None) => return None,
    };
    for name in workspace.into_iter().chain(names) {
        if let Some(above) = entry {
            let members: Members<'a> = serde_json::from_str(RawValue::get(above)).ok()?;
            at = members.get("dependencies").copied()?;
        }
        let members: Members<'a> = serde_json::from_str(at.get()).ok()?;
        entry = Some(members.get(name).copied()?);
    }
    entry
}

/// What a registry says of a version.
pub(super) fn fields(
    packument: &Packument,
    gap: &Gap,
    mirrors: &Mirrors,
) -> Result<Option<Fields>, String> {
    let lost = || format!("{} does not have version {}", gap.index, gap.which);
    let dist = &packument.versions.get(&gap.which).ok_or_else(lost)?.dist;
    let sha1 = (dist.shasum.as_deref())
        .and_then(|hex| format!("{}:{hex}", Algorithm::Sha1).parse::<Digest>().ok());
    let stated = dist.integrity.as_deref().map(Digest::strongest).transpose();
    let stated = stated.map_err(|error| format!("{}: {error}", gap.index))?;
    let same = |known: &Digest| {
        let mut all = stated.iter().chain(&sha1);
        all.find(|one| one.algorithm() == known.algorithm())
            .is_none_or(|one| one == known)
    };
    if gap.known.as_ref().is_some_and(|known| !same(known)) {
        return Ok(None);
    }
    let mut fields = Fields::new();
    // Where a package is older than `integrity`, npm takes SHA-1.
    let integrity = match (&dist.integrity, sha1) {
        (Some(integrity), _) => Some(integrity.clone()),
        (None, Some(sha1)) => Some(sha1.sri()),
        (None, None) => None,
    };
    if let Some(integrity) = integrity {
        fields.insert(INTEGRITY, quoted(&integrity));
    }
    let tarball = dist.tarball.as_deref().and_then(|url| Url::parse(url).ok());
    if let Some(tarball) = tarball.filter(|url| matches!(url.scheme(), "https" | "http")) {
        // A mirror may name itself; a lock names what is mirrored.
        let usual = tarball_of(&gap.index, &gap.name, &gap.which);
        let is_usual = |usual: &Url| {
            mirrors
                .apply(usual)
                .is_ok_and(|mirrored| mirrored == tarball)
        };
        let url = usual.filter(is_usual).unwrap_or(tarball);
        fields.insert(RESOLVED, quoted(url.as_str()));
    }
    Ok(Some(fields))
}

/// Where registries have tarballs.
fn tarball_of(index: &str, name: &str, version: &str) -> Option<Url> {
    let last = name.rsplit('/').next().unwrap_or(name);
    Url::parse(&format!("{index}/{name}/-/{last}-{version}.tgz")).ok()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
