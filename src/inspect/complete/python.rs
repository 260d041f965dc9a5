//! What a `uv.lock` lacks: `hash` and `size`, of files whose index did not say them when it was made.

use serde::Deserialize;
use toml::Spanned;

use super::{Fields, Gap, Gaps, Left, Spot};
use crate::decide::lock::uv::{FileLocation, Package, PackageSource, SourceFile, UvLock};
use crate::inspect::audit::simple::Project;

const HASH: &str = "hash";
const SIZE: &str = "size";

#[derive(Deserialize)]
struct RawLock {
    #[serde(default, rename = "package", alias = "distribution")]
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    sdist: Option<RawFile>,
    #[serde(default)]
    wheels: Vec<RawFile>,
}

/// A file, and where in the text its values are.
#[derive(Deserialize)]
struct RawFile {
    url: Option<Spanned<String>>,
    hash: Option<Spanned<String>>,
}

/// What a lock lacks of the files of indexes.
pub fn gaps(text: &str, lock: &UvLock) -> Gaps {
    let mut gaps = Gaps::default();
    let Ok(raw) = toml::from_str::<RawLock>(text) else {
        return gaps;
    };
    for (package, raw) in lock.packages.iter().zip(&raw.packages) {
        let wheels = package.wheels.iter().map(|wheel| &wheel.file);
        let files = package.sdist.iter().chain(wheels);
        let places = raw.sdist.iter().chain(&raw.wheels);
        for (file, raw) in files.zip(places) {
            look(&mut gaps, text, package, file, raw);
        }
    }
    gaps
}

fn look(gaps: &mut Gaps, text: &str, package: &Package, file: &SourceFile, raw: &RawFile) {
    let lacks = [(HASH, file.digest.is_none()), (SIZE, file.size.is_none())];
    if lacks.iter().all(|(_, is_lost)| !is_lost) {
        return;
    }
    let index = match (&package.source, &file.location, &raw.url) {
        (PackageSource::Registry(index), FileLocation::Url(_), Some(url))
            if index.contains("://") =>
        {
            Ok((index, url))
        }
        _ if file.digest.is_some() => return,
        (PackageSource::Registry(index), ..) => Err(format!("it lies in the folder {index}")),
        (source, ..) => Err(format!("it comes from {source}, which is not an index")),
    };
    let (index, url) = match index {
        Ok(found) => found,
        Err(why) => {
            let artifact = file.file_name.clone();
            return gaps.left.push(Left { artifact, why });
        }
    };
    let behind_url = url.span().end;
    let behind_hash = raw.hash.as_ref().map_or(behind_url, |hash| hash.span().end);
    // uv writes a file on one line; whoever has each key on a line of its own, goes on so.
    let line = text.get(..url.span().start).unwrap_or_default();
    let line = line.rsplit('\n').next().unwrap_or_default();
    let between = match line.trim_start().starts_with("url") {
        true => "\n",
        false => ", ",
    };
    let lost = lacks.into_iter().filter(|(_, is_lost)| *is_lost);
    gaps.all.push(Gap {
        label: file.file_name.clone(),
        name: package.name.to_string(),
        index: index.trim_end_matches('/').to_owned(),
        which: file.file_name.clone(),
        known: file.digest.clone(),
        spots: lost
            .map(|(field, _)| Spot {
                field,
                at: if field == HASH {
                    behind_url
                } else {
                    behind_hash
                },
                before: format!("{between}{field} = "),
            })
            .collect(),
    });
}

/// What an index says of a file.
pub(super) fn fields(project: &Project, gap: &Gap) -> Result<Option<Fields>, String> {
    let lost = || format!("{} does not list it", gap.index);
    let listed = project.files.get(&gap.which).ok_or_else(lost)?;
    let known = gap.known.as_ref();
    let of_known = known.and_then(|known| listed.digest(known.algorithm()));
    if of_known.is_some_and(|listed| Some(listed) != known) {
        return Ok(None);
    }
    let mut fields = Fields::new();
    let strongest = listed.digests.iter().max_by_key(|one| one.algorithm());
    if let Some(digest) = strongest.filter(|one| !one.algorithm().is_weak()) {
        fields.insert(HASH, format!("\"{digest}\""));
    }
    if let Some(size) = listed.size {
        fields.insert(SIZE, size.to_string());
    }
    Ok(Some(fields))
}
