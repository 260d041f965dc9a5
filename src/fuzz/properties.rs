//! What has to hold of each parser, whatever the bytes are. What does not is told by a panic.

use camino::Utf8Path;
use pep508_rs::{MarkerTree, Requirement, VerbatimUrl};
use serde_json::Value;
use std::io::Cursor;

use crate::decide::lock::go::GoLock;
use crate::decide::lock::marker::Marker;
use crate::decide::lock::npm::{Manifest as NpmManifest, NpmLock, programs};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::lock::pyproject::Pyproject;
use crate::decide::lock::requirement::requirement;
use crate::decide::lock::uv::UvLock;
use crate::decide::lock::wheel_name::WheelName;
use crate::decide::manifest::Manifest;
use crate::files::archive::Limits;
use crate::files::archive::tar::{Tar, TarError};
use crate::files::archive::tarball;
use crate::files::archive::zip::{Zip, ZipError};
use crate::files::archive::zip_write::{self, CompressionMethod};
use crate::files::contents::{Contents as _, Member};
use crate::files::tree::Provenance;
use crate::inspect::audit::packument::Packument;
use crate::inspect::audit::simple;
use crate::inspect::diff::others;
use crate::inspect::diff::version::Number;
use crate::install::go;
use crate::install::npm::glob::Pattern;
use crate::install::npm::package::{Form, Package};
use crate::install::python::{about, marshal, metadata, record};
use crate::obtain::fetch::netrc::Netrc;
use crate::transform::elf::{Edit, ElfFacts, Rpath, patch};
use crate::transform::patch::migration::{Added, Migration, add_dependency, relations};
use crate::transform::patch::unified::{apply, parse};

/// Small enough that no input takes long, large enough for what a mutation makes of a seed.
pub(super) fn limits() -> Limits {
    Limits {
        total: 1 << 20,
        member: 1 << 20,
        ..Limits::default()
    }
}

pub(super) fn text(bytes: &[u8], parse: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        parse(text);
    }
}

pub(super) fn zipped(bytes: &[u8]) {
    let Ok(zip) = Zip::new(bytes, "x.whl", &limits()) else {
        return;
    };
    let mut paths: Vec<&str> = zip
        .members()
        .iter()
        .map(|member| member.path.as_str())
        .collect();
    paths.sort_unstable();
    assert!(
        paths.windows(2).all(|two| two[0] != two[1]),
        "a member appears twice"
    );
    for member in zip.members() {
        if let Ok(read) = zip.read(member) {
            assert_eq!(read.len() as u64, member.size);
            let mut pieces = 0;
            zip.unpack::<ZipError>(member, &mut |piece| {
                pieces += piece.len();
                Ok(())
            })
            .expect("what was read can be unpacked");
            assert_eq!(pieces, read.len());
        }
    }
    another_reader_agrees(bytes, &zip);
    // What the store keeps of it is read again.
    let mut loose = Cursor::new(Vec::new());
    if zip_write::write(&zip, zip.members(), CompressionMethod::Stored, &mut loose).is_ok() {
        let loose = loose.into_inner();
        let again = Zip::new(&loose, "x.whl", &limits()).expect("what was written can be read");
        let facts = |zip: &Zip<'_>| -> Vec<_> {
            let members = zip.members().iter();
            members
                .map(|one| (one.path.clone(), one.is_folder, one.size))
                .collect()
        };
        assert_eq!(facts(&again), facts(&zip));
    }
}

/// What the `zip` crate takes as well has the same members there.
pub(super) fn another_reader_agrees(bytes: &[u8], zip: &Zip<'_>) {
    let Ok(mut theirs) = ::zip::ZipArchive::new(Cursor::new(bytes)) else {
        return;
    };
    assert_eq!(theirs.len(), zip.members().len());
    for (index, ours) in zip.members().iter().enumerate() {
        if let Ok(theirs) = theirs.by_index_raw(index) {
            let name = String::from_utf8_lossy(theirs.name_raw()).into_owned();
            assert_eq!(name.trim_end_matches('/'), ours.path.as_str());
            assert_eq!(
                (theirs.size(), theirs.is_dir()),
                (ours.size, ours.is_folder)
            );
        }
    }
}

pub(super) fn tarred(bytes: &[u8]) {
    let _ = tarball::unpack::<_, TarError>(bytes, "x.tar.gz", &limits(), |bytes| {
        let mut members = 0;
        for member in Tar::new(bytes, "x.tar.gz", &limits()) {
            let member = member?;
            let _ = (member.place(0), member.place(1));
            members += 1;
        }
        assert!(members <= limits().members);
        Ok(())
    });
}

pub(super) fn npm_package(bytes: &[u8]) {
    let _ = tarball::unpack::<_, TarError>(bytes, "x.tgz", &limits(), |bytes| {
        for form in [Form::Tarball, Form::Checkout(""), Form::Checkout("package")] {
            if let Ok(package) = Package::read(bytes, form, &limits(), "x.tgz") {
                for Member { path, mode, .. } in package.members() {
                    assert!(!path.is_empty() && !path.starts_with('/') && mode & 0o7000 == 0);
                    assert!(
                        !path.split('/').any(|part| part == ".."),
                        "{path:?} leads out"
                    );
                }
            }
        }
        Ok(())
    });
}

pub(super) fn uv_lock(bytes: &[u8]) {
    text(bytes, |text| {
        drop(UvLock::parse(text, Utf8Path::new("uv.lock")));
    });
}

pub(super) fn npm_lock(bytes: &[u8]) {
    text(bytes, |text| {
        drop(NpmLock::parse(Utf8Path::new("package-lock.json"), text));
    });
}

pub(super) fn package_json(bytes: &[u8]) {
    if let Ok(Value::Object(raw)) = serde_json::from_slice(bytes) {
        let about = NpmManifest::of(&raw, Some("x"));
        let _ = (about.recorded(&raw, "x"), programs(&raw));
    }
}

pub(super) fn pyproject(bytes: &[u8]) {
    text(bytes, |text| {
        drop(Pyproject::parse(text, Utf8Path::new("pyproject.toml")));
    });
}

pub(super) fn index(bytes: &[u8]) {
    let url = "https://p.example/simple/a/".parse().expect("it is one");
    let _ = simple::Project::read(bytes, &url);
    if let Ok(said) = Packument::read(bytes) {
        said.below(&Number::npm(Some("2.0.0")));
        for version in said.versions.values() {
            let _ = (version.deprecated(), version.runs_script());
        }
    }
}

pub(super) fn other_locks(bytes: &[u8]) {
    text(bytes, |text| {
        for name in others::names() {
            let _ = others::read(text, Utf8Path::new(name));
        }
    });
}

pub(super) fn lockwright_toml(bytes: &[u8]) {
    text(bytes, |text| {
        drop(Manifest::parse(text, Utf8Path::new("lockwright.toml")));
    });
}

pub(super) fn npmrc(bytes: &[u8]) {
    text(bytes, |text| {
        let mut npmrc = Npmrc::default();
        npmrc.add(text, |name| Some(name.to_owned()));
        let _ = (
            npmrc.logins(),
            npmrc.list("omit"),
            npmrc.tarball("@a/b", "1.0.0"),
        );
    });
}

pub(super) fn go_sum(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (sum, go_mod) = text.split_once('\0').unwrap_or((&text, ""));
    let Ok(lock) = GoLock::parse("go.sum".into(), sum, "go.mod".into(), go_mod) else {
        return;
    };
    for module in lock.modules.keys() {
        // It has a place of its own, as far as names go on a disk.
        if let Err(error) = go::folder(module, None) {
            assert!(error.why.contains("longer"), "{error}");
        }
    }
}

pub(super) fn netrc(bytes: &[u8]) {
    text(bytes, |text| {
        let netrc = Netrc::parse(text);
        let _ = (netrc.login("h", None), netrc.login("h", Some("u")));
    });
}

pub(super) fn glob(bytes: &[u8]) {
    text(bytes, |text| {
        let (pattern, path) = text.split_once('\0').unwrap_or((text, "a/b/c.js"));
        // No path of a tree is longer.
        if let Ok(glob) = Pattern::new(pattern)
            && path.len() <= 3072
        {
            let _ = (glob.matches(path, false), glob.matches(path, true));
        }
    });
}

/// A marker, and a requirement, is taken where pep508_rs takes it, whose normal form of a short one is small.
pub(super) fn marker(bytes: &[u8]) {
    text(bytes, |text| {
        let ours = text.parse::<Marker>();
        let needed = requirement(text);
        // PEP 751's own words are not its.
        let asks = ["extras", "dependency_groups"].map(|word| text.contains(word));
        // It would end the program for some of those that are not ASCII.
        if text.len() < 100 && asks == [false, false] && text.is_ascii() {
            let theirs = text.parse::<MarkerTree>().ok();
            assert_eq!(
                ours.is_ok(),
                theirs.is_some(),
                "{text}: {ours:?} {theirs:?}"
            );
            if let (Ok(ours), Some(theirs)) = (ours, theirs) {
                assert_eq!(ours.normal(&mut { u64::MAX }), Some(theirs), "{text}");
            }
            // Where ours takes none, it may end the program.
            let Some(needed) = needed else { return };
            let theirs = text.parse::<Requirement<VerbatimUrl>>().ok();
            assert_eq!(needed.normal(None, &mut { u64::MAX }), theirs, "{text}");
        }
    });
}

pub(super) fn wheel_name(bytes: &[u8]) {
    text(bytes, |text| {
        if let Ok(name) = text.parse::<WheelName>() {
            let _ = name.tags();
        }
    });
}

pub(super) fn wheel_record(bytes: &[u8]) {
    text(bytes, |text| {
        if let Ok(mut entries) = record::parse(text) {
            let written = record::write(entries.clone());
            entries.sort();
            assert_eq!(record::parse(&written), Ok(entries));
        }
    });
}

pub(super) fn entry_points(bytes: &[u8]) {
    text(bytes, |text| drop(metadata::scripts(text)));
}

pub(super) fn wheel_metadata(bytes: &[u8]) {
    text(bytes, |text| {
        let _ = (metadata::field(text, "Name"), about::license(text));
    });
}

pub(super) fn pyc(bytes: &[u8]) {
    for python in [(3, 10), (3, 14)] {
        if let Some(canonical) = marshal::canonical(bytes, python) {
            let again = marshal::canonical(&canonical, python);
            assert_eq!(again.as_ref(), Some(&canonical), "canonical is what stays");
        }
    }
}

pub(super) fn provenance(bytes: &[u8]) {
    let place = Utf8Path::new("provenance.json");
    if let Ok(read) = Provenance::parse(place, bytes) {
        let mut written = Vec::new();
        read.write(&mut written).expect("memory can be written to");
        assert_eq!(
            Provenance::parse(place, &written).expect("it was written here"),
            read
        );
    }
}

pub(super) fn elf(bytes: &[u8]) {
    let read = ElfFacts::read(bytes);
    let edit = Edit {
        rpath: Rpath::Set("$ORIGIN/../a/path/that/will/hardly/be/there".to_owned()),
        ..Edit::default()
    };
    if let Ok(patched) = patch(bytes, &edit)
        && patched.len < 1 << 24
    {
        if let Err(error) = read {
            panic!("what cannot be read was patched: {error}");
        }
        ElfFacts::read(&patched.apply(bytes)).expect("what was patched can be read");
    }
}

pub(super) fn migration(bytes: &[u8]) {
    text(bytes, |text| {
        let on = Migration {
            app: "core".into(),
            name: "0001_initial".into(),
        };
        if let Ok(Added::Text(new)) = add_dependency(text, &on) {
            let found = relations(&new).expect("what was written is a migration");
            assert!(found.dependencies.contains(&on));
            assert!(matches!(add_dependency(&new, &on), Ok(Added::There(_))));
        }
    });
}

/// A patch, and after a NUL the file.
pub(super) fn unified(bytes: &[u8]) {
    let at = bytes
        .iter()
        .rposition(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let (patch, file) = bytes.split_at(at);
    let file = file.get(1..).unwrap_or_default();
    for strip in [0, 1] {
        if let Ok(patches) = parse(patch, strip) {
            for fuzz in [0, 2] {
                let _ = apply(&patches, fuzz, |_| Ok(Some(file.to_vec())));
                let _ = apply(&patches, fuzz, |_| Ok(None));
            }
        }
    }
}
