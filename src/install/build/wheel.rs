//! A wheel that a hook made, written anew so that its bytes follow from its contents alone.
//!
//! Back ends differ in what they let into an archive: the order of the file system, the umask, the
//! clock, the zlib at hand. None of that is the wheel's contents. Members are sorted here, with the
//! `.dist-info` folder last, as the specification recommends
//! (<https://packaging.python.org/en/latest/specifications/binary-distribution-format/>).

use std::io::Cursor;

use super::error::BuildError;
use crate::decide::lock::wheel_name::WheelName;
use crate::decide::plan::PlannedPackage;
use crate::files::archive::Limits;
use crate::files::archive::zip::{Zip, ZipMember};
use crate::files::archive::zip_write::{self, CompressionMethod, WriteError};

/// Checks that a wheel is what was to be built, and returns it in its canonical form.
///
/// # Errors
/// When it is another package's, or no wheel.
pub(super) fn canonical(
    package: &PlannedPackage,
    file_name: &str,
    bytes: &[u8],
) -> Result<Vec<u8>, BuildError> {
    let refuse = |reason: String| BuildError::Project {
        package: package.label(),
        reason,
    };
    let name: WheelName = file_name
        .parse()
        .map_err(|error| refuse(format!("the build made {error}")))?;
    if name.distribution != package.name {
        return Err(refuse(format!(
            "the build made {file_name}, which is another package"
        )));
    }
    if let Some(version) = &package.version
        && name.version != *version
    {
        return Err(refuse(format!(
            "the build made {file_name}, and the lock says {version}: lock it again with `uv lock`, \
             or give the version in its build environment"
        )));
    }
    let disk = |source| BuildError::Disk {
        package: package.label(),
        source,
    };
    let zip = Zip::new(bytes, file_name, &Limits::default())?;
    let mut members: Vec<&ZipMember> = zip.members().iter().collect();
    members.sort_by_key(|member| order(member.path.as_str()));
    let mut out = Cursor::new(Vec::new());
    zip_write::write(&zip, members, CompressionMethod::Deflated, &mut out).map_err(|error| {
        match error {
            WriteError::Read(error) => error.into(),
            WriteError::Write(error) => disk(error),
        }
    })?;
    Ok(out.into_inner())
}

/// `.dist-info` after all else, and in it RECORD after all else.
fn order(path: &str) -> (bool, bool, &str) {
    let top = path.split('/').next().unwrap_or_default();
    let is_info = top.ends_with(".dist-info");
    (is_info, is_info && path.ends_with("/RECORD"), path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;
    use zip::{DateTime, ZipWriter};

    use super::*;

    fn package() -> PlannedPackage {
        PlannedPackage {
            name: "thing".parse().unwrap(),
            version: Some("1.0".parse().unwrap()),
            install: crate::decide::plan::Install::Directory {
                path: "/nowhere".into(),
                editable: false,
            },
            required_by: Vec::new(),
            reason: String::new(),
            direct_url: None,
        }
    }

    fn wheel(names: &[&str], stored: bool, year: u16) -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.whl");
        let mut out = ZipWriter::new(std::fs::File::create(&path).unwrap());
        let method = if stored {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        for name in names {
            let options = SimpleFileOptions::default()
                .compression_method(method)
                .last_modified_time(DateTime::from_date_and_time(year, 2, 3, 4, 5, 6).unwrap())
                .unix_permissions(if stored { 0o600 } else { 0o664 });
            out.start_file(*name, options).unwrap();
            out.write_all(name.as_bytes()).unwrap();
        }
        out.finish().unwrap();
        let bytes = std::fs::read(path).unwrap();
        (folder, bytes)
    }

    #[test]
    fn order_clock_modes_and_compression_do_not_show() {
        let info = ["thing-1.0.dist-info/RECORD", "thing-1.0.dist-info/METADATA"];
        let (_a, one) = wheel(&[info[0], "thing/b.py", info[1], "thing/a.py"], true, 1999);
        let (_b, other) = wheel(&["thing/a.py", "thing/b.py", info[1], info[0]], false, 2026);
        let name = "thing-1.0-py3-none-any.whl";
        let bytes = canonical(&package(), name, &one).unwrap();
        assert_eq!(bytes, canonical(&package(), name, &other).unwrap());
        let zip = Zip::new(&bytes, name, &Limits::default()).unwrap();
        let paths: Vec<&str> = zip.members().iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["thing/a.py", "thing/b.py", info[1], info[0]]);
    }

    #[test]
    fn another_wheel_than_was_planned_is_refused() {
        let (_folder, bytes) = wheel(&["thing/a.py"], false, 2026);
        for (name, why) in [
            ("other-1.0-py3-none-any.whl", "which is another package"),
            ("thing-1.1-py3-none-any.whl", "and the lock says 1.0"),
            ("thing.whl", "not the name of a wheel"),
        ] {
            let said = canonical(&package(), name, &bytes).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
