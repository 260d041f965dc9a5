//! `pylock.toml` (PEP 751, <https://packaging.python.org/en/latest/specifications/pylock-toml/>), in the
//! shape in which uv writes it.

use std::fmt::Write as _;

use toml::Value;
use toml::value::Datetime;

use super::{Chosen, ConvertError, files};
use crate::decide::lock::uv::{FileLocation, Package, PackageSource, SourceFile};

pub(super) fn write(chosen: &Chosen<'_>) -> Result<String, ConvertError> {
    let lock = chosen.lock;
    let mut text = String::from("lock-version = \"1.0\"\ncreated-by = \"lockwright\"\n");
    if !lock.supported_markers.is_empty() {
        let all = lock.supported_markers.iter();
        let all: Vec<String> = all.map(|marker| quoted(marker.as_written())).collect();
        let _ = writeln!(text, "environments = [{}]", all.join(", "));
    }
    if let Some(python) = &lock.requires_python {
        let _ = writeln!(text, "requires-python = {}", quoted(&python.to_string()));
    }
    for (package, marker) in chosen.each() {
        let _ = write!(
            text,
            "\n[[packages]]\nname = {}\n",
            quoted(package.name.as_ref())
        );
        // What a folder holds may say another version tomorrow.
        let version = package.version.as_ref().filter(|_| !is_folder(package));
        if let Some(version) = version {
            let _ = writeln!(text, "version = {}", quoted(&version.to_string()));
        }
        if let Some(marker) = marker.try_to_string() {
            let _ = writeln!(text, "marker = {}", quoted(&marker));
        }
        source(&mut text, chosen, package)?;
    }
    Ok(text)
}

fn is_folder(package: &Package) -> bool {
    matches!(
        package.source,
        PackageSource::Directory(_) | PackageSource::Editable(_) | PackageSource::Virtual(_)
    )
}

/// Where a package comes from.
fn source(text: &mut String, chosen: &Chosen<'_>, package: &Package) -> Result<(), ConvertError> {
    if let Some(git) = chosen.git(package)? {
        let mut all = vec![("type", quoted("git")), ("url", quoted(git.url.as_str()))];
        let asked = git.reference.as_ref().map(|(_, value)| value);
        all.extend(asked.map(|value| ("requested-revision", quoted(value))));
        all.push(("commit-id", quoted(&git.commit)));
        let inner = git.subdirectory.as_ref();
        all.extend(inner.map(|inner| ("subdirectory", quoted(inner))));
        let _ = writeln!(text, "vcs = {}", table(&all));
        return Ok(());
    }
    let subdirectory = match &package.source {
        PackageSource::Directory(path)
        | PackageSource::Editable(path)
        | PackageSource::Virtual(path) => {
            let editable = chosen.is_editable(package).to_string();
            let path = quoted(chosen.path(path).as_str());
            let all = table(&[("path", path), ("editable", editable)]);
            let _ = writeln!(text, "directory = {all}");
            return Ok(());
        }
        PackageSource::Registry(index) => {
            if index.contains("://") {
                let _ = writeln!(text, "index = {}", quoted(index));
            }
            if let Some(sdist) = &package.sdist {
                let _ = writeln!(text, "sdist = {}", file(chosen, package, sdist, None)?);
            }
            let wheels = package.wheels.iter();
            let wheels = wheels.map(|wheel| file(chosen, package, &wheel.file, None));
            let wheels = wheels.collect::<Result<Vec<_>, _>>()?;
            match &*wheels {
                [] if package.sdist.is_none() => {
                    return Err(chosen.refuse(package, "has no file in the lock"));
                }
                [] => {}
                [one] => {
                    let _ = writeln!(text, "wheels = [{one}]");
                }
                all => {
                    let _ = writeln!(text, "wheels = [\n    {},\n]", all.join(",\n    "));
                }
            }
            return Ok(());
        }
        PackageSource::Url { subdirectory, .. } => subdirectory.as_deref(),
        PackageSource::Path(_) | PackageSource::Git(_) => None,
    };
    let Some(archive) = files(package).next() else {
        return Err(chosen.refuse(package, "has no file in the lock"));
    };
    let archive = file(chosen, package, archive, subdirectory)?;
    let _ = writeln!(text, "archive = {archive}");
    Ok(())
}

fn file(
    chosen: &Chosen<'_>,
    package: &Package,
    file: &SourceFile,
    subdirectory: Option<&str>,
) -> Result<String, ConvertError> {
    let mut all = Vec::new();
    // An archive has no name of its own.
    let is_listed = matches!(package.source, PackageSource::Registry(_));
    let location = match &file.location {
        FileLocation::Url(url) => ("url", url.to_string()),
        FileLocation::Path(path) => ("path", chosen.path(path).into_string()),
    };
    if is_listed && !location.1.ends_with(&format!("/{}", file.file_name)) {
        all.push(("name", quoted(&file.file_name)));
    }
    all.push((location.0, quoted(&location.1)));
    // A time that is none is left out.
    let time = file.upload_time.as_ref();
    let time = time.and_then(|time| time.parse::<Datetime>().ok());
    all.extend(time.map(|time| ("upload-time", time.to_string())));
    all.extend(file.size.map(|size| ("size", size.to_string())));
    all.extend(subdirectory.map(|inner| ("subdirectory", quoted(inner))));
    let digest = chosen.digest(package, file)?;
    let hash = format!("{{ {} = {} }}", digest.algorithm(), quoted(&digest.hex()));
    all.push(("hashes", hash));
    Ok(table(&all))
}

/// An inline table.
fn table(all: &[(&str, String)]) -> String {
    let all: Vec<String> = all
        .iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", all.join(", "))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}
