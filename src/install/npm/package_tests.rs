#![allow(clippy::unwrap_used)]

use ::tar::{Builder, EntryType, Header};
use camino::Utf8Path;

use super::*;
use crate::files::contents;
use crate::files::tree::{LinkMode, Record, Tree, TreeOptions};

const OF_A: &[u8] = br#"{"name": "a", "version": "v1.0.0"}"#;

fn archive(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, mode, body) in members {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(body.len() as u64);
        header.set_mode(*mode);
        if name.ends_with('/') {
            header.set_entry_type(EntryType::Directory);
        }
        if name.ends_with("link") {
            header.set_entry_type(EntryType::Symlink);
            header.set_link_name_literal(b"/etc/passwd").unwrap();
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    let mut builder = Builder::new(bytes);
    builder.finish().unwrap();
    builder.into_inner().unwrap()
}

fn expected() -> Expected<'static> {
    Expected {
        archive: "a-1.0.0.tgz",
        name: "a",
        version: Some("1.0.0"),
    }
}

fn read(bytes: &[u8]) -> Result<Package<'_>, PackageError> {
    let package = Package::read(bytes, Form::Tarball, &Limits::default(), "a-1.0.0.tgz")?;
    expected().check(&package, ABOUT)?;
    Ok(package)
}

#[test]
fn a_package_is_placed_as_npm_places_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let bytes = archive(&[
        ("any/package.json", 0, OF_A),
        ("any/cli.js", 0o644, b"#!/usr/bin/env node\r\nx\r\n"),
        ("any/exec", 0o4744, b"1"),
        ("any/twice", 0o755, b"first"),
        ("any/twice", 0o644, b"last"),
        ("any/.gitignore", 0o644, b"g"),
        ("any/d/.npmignore", 0o644, b"n"),
        ("any/d/.gitignore", 0o644, b"g"),
        ("any/empty/", 0o755, b""),
        ("any/link", 0o777, b""),
        ("single", 0o644, b"dropped"),
    ]);
    let package = read(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dest = Utf8Path::from_path(folder.path()).unwrap().join("out");
    let options = TreeOptions {
        record: Record::Nowhere,
        ..TreeOptions::default()
    };
    let tree = Tree::stage(&dest, options).unwrap();
    let owner = tree.owner("a", 0);
    let at = TreePath::new("node_modules/a").unwrap();
    let placement = arrange(&package, &at, &["cli.js"]).unwrap();
    contents::place(&tree, owner, &package, &placement, LinkMode::Copy).unwrap();
    tree.finish().commit().unwrap();
    let at = dest.join("node_modules/a");
    let mode = |name: &str| {
        let meta = std::fs::symlink_metadata(at.join(name)).unwrap();
        meta.permissions().mode() & 0o7777
    };
    let text = |name: &str| std::fs::read_to_string(at.join(name)).unwrap();
    assert_eq!(mode("package.json"), 0o644);
    assert_eq!(
        (mode("cli.js"), text("cli.js")),
        (0o755, "#!/usr/bin/env node\nx\r\n".into())
    );
    assert_eq!(mode("exec"), 0o744);
    assert_eq!((mode("twice"), text("twice")), (0o755, "last".into()));
    assert_eq!(
        (text(".npmignore"), text("d/.npmignore")),
        ("g".into(), "n".into())
    );
    for absent in [".gitignore", "d/.gitignore", "link", "single", "empty"] {
        assert!(!at.join(absent).exists(), "{absent}");
    }
}

#[test]
fn what_npm_lets_pass_is_refused() {
    for (members, why) in [
        (&[("p/../../x", 0, &b""[..])][..], "leads outside"),
        (&[("p//etc/passwd", 0, b"")], "is refused"),
        (&[("p/a\\b", 0, b"")], "backslash"),
        (&[("p/a\x07", 0, b"")], "control"),
        (
            &[("p/f", 0, b""), ("p/f/g", 0, b"")],
            "it is a file, and others are in it",
        ),
        (&[("p/x", 0, b"")], "a package without a name"),
        (
            &[("p/package.json", 0, br#"{"name": "b", "version": "1.0.0"}"#)],
            "a-1.0.0.tgz is b 1.0.0, and the lock says a 1.0.0",
        ),
        (
            &[("p/package.json", 0, br#"{"name": "a", "version": "1.0.1"}"#)],
            "a-1.0.0.tgz is a 1.0.1, and the lock says a 1.0.0",
        ),
    ] {
        let bytes = archive(members);
        let said = read(&bytes).err().map(|error| error.to_string());
        assert!(
            said.as_ref().is_some_and(|said| said.contains(why)),
            "{said:?}"
        );
    }
}
