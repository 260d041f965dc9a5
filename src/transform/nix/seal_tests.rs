use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;
use crate::core::walk::walk;
use crate::transform::nix::nar::hash_path;
use crate::transform::nix::restore::restore;

const SITE: &str = "lib/python3.14/site-packages";
const BASH: &str = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2";

/// An environment as installers make it: an entry point, a script and a program of the wheel's own.
fn environment(root: &Path) {
    let site = root.join(SITE);
    fs::create_dir_all(site.join("foo-1.dist-info")).unwrap();
    fs::create_dir_all(site.join("__pycache__")).unwrap();
    fs::create_dir_all(root.join("bin")).unwrap();
    let shown = root.display();
    for (path, text) in [
        (
            "pyvenv.cfg",
            "home = /usr/bin\nversion_info = 3.14.1\n".to_owned(),
        ),
        (
            "bin/foo",
            format!("#!{shown}/bin/python\nfrom foo import main\n"),
        ),
        ("bin/tool.py", format!("#!{shown}/bin/python -u\ntool\n")),
        ("bin/init", "\x7fELF…".to_owned()),
        ("bin/activate", "x".to_owned()),
        (".lockwright/state.json", "{}".to_owned()),
    ] {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    for (path, text) in [
        ("foo.py", format!("SHELL = '{BASH}/bin/bash'\n")),
        ("__pycache__/foo.cpython-314.pyc", "compiled".to_owned()),
        ("foo-1.dist-info/entry_points.txt", "[console_scripts]\nfoo = foo:main\n".to_owned()),
        (
            "foo-1.dist-info/RECORD",
            "foo.py,sha256=old,1\n__pycache__/foo.cpython-314.pyc,,\n../../../bin/foo,sha256=x,1\n\
             ../../../bin/tool.py,sha256=x,1\n../../../bin/init,sha256=x,1\nfoo-1.dist-info/RECORD,,\n"
                .to_owned(),
        ),
    ] {
        fs::write(site.join(path), text).unwrap();
    }
    symlink("/usr/bin/python3.14", root.join("bin/python")).unwrap();
}

fn every() -> Search {
    Search::every("/nix/store", &[])
}

fn names(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    walk(root).unwrap().each(&mut |path, node| {
        if !matches!(node, Node::Folder(_)) {
            names.push(path.display().to_string());
        }
    });
    names
}

#[test]
fn the_fixed_output_form_depends_on_no_place_and_restoring_undoes_it() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let how = Seal {
        writable: false,
        mtime: 1,
    };
    for root in [one.path(), other.path()] {
        environment(root);
        fixed_output(root, &walk(root).unwrap(), &every()).unwrap();
        seal(root, &walk(root).unwrap(), &how).unwrap();
    }
    let root = one.path();
    let sealed = hash_path(root).unwrap();
    assert_eq!(sealed, hash_path(other.path()).unwrap());
    insta::assert_snapshot!(names(root).join("\n"), @r"
    lib/python3.14/site-packages/foo-1.dist-info/RECORD
    lib/python3.14/site-packages/foo-1.dist-info/entry_points.txt
    lib/python3.14/site-packages/foo.py
    pyvenv.cfg
    share/lockwright/scripts/init
    share/lockwright/scripts/tool.py
    ");
    let meta = fs::metadata(root.join(SITE).join("foo.py")).unwrap();
    assert_eq!((meta.mode() & 0o777, meta.mtime()), (0o444, 1));
    assert_eq!(
        fs::metadata(root.join("lib")).unwrap().mode() & 0o777,
        0o555
    );
    assert_eq!(
        fs::read_to_string(root.join("pyvenv.cfg")).unwrap(),
        "home = @python@/bin\nversion_info = 3.14.1\n"
    );
    let record = fs::read_to_string(root.join(SITE).join("foo-1.dist-info/RECORD")).unwrap();
    let paths: Vec<_> = record
        .lines()
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(
        paths,
        [
            "foo.py",
            "foo-1.dist-info/RECORD",
            "../../../share/lockwright/scripts/tool.py",
            "../../../share/lockwright/scripts/init",
        ]
    );
    assert!(!record.contains("sha256=old"));
    // Once is as good as twice.
    fixed_output(root, &walk(root).unwrap(), &every()).unwrap();
    seal(root, &walk(root).unwrap(), &how).unwrap();
    assert_eq!(hash_path(root).unwrap(), sealed);

    let made = restore(
        root,
        &walk(root).unwrap(),
        "/opt/py/bin/python3.14".into(),
        "/srv/env".into(),
    )
    .unwrap();
    assert_eq!(made.scripts, ["foo", "init", "tool.py"]);
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    assert!(read("bin/foo").starts_with("#!/srv/env/bin/python\n"));
    assert_eq!(read("bin/tool.py"), "#!/srv/env/bin/python -u\ntool\n");
    assert_eq!(read("bin/init"), "\x7fELF…");
    assert_eq!(
        read("pyvenv.cfg"),
        "home = /opt/py/bin\nversion_info = 3.14.1\n"
    );
    assert_eq!(
        fs::read_link(root.join("bin/python")).unwrap(),
        Path::new("/opt/py/bin/python3.14")
    );
    assert!(!root.join("share").exists());
    for line in read(&format!("{SITE}/foo-1.dist-info/RECORD")).lines() {
        let path = line.split(',').next().unwrap();
        assert!(root.join(SITE).join(path).is_file(), "{line}");
    }
    let again = restore(
        root,
        &walk(root).unwrap(),
        "/opt/py/bin/python3.14".into(),
        "/srv/env".into(),
    )
    .unwrap_err();
    assert!(again.to_string().contains("is not sealed"));
}

#[test]
fn a_reference_that_cannot_be_stripped_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    environment(dir.path());
    symlink(format!("{BASH}/bin/bash"), dir.path().join(SITE).join("sh")).unwrap();
    let error = fixed_output(dir.path(), &walk(dir.path()).unwrap(), &every())
        .unwrap_err()
        .to_string();
    assert!(
        error
            .contains("site-packages/sh still refers to 0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2")
    );
}

#[test]
fn another_s_file_is_not_touched_by_sealing() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, tree) = (dir.path().join("cache"), dir.path().join("tree"));
    fs::create_dir(&tree).unwrap();
    fs::write(&cache, "x").unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&cache, tree.join("x")).unwrap();
    let how = Seal {
        writable: true,
        mtime: 7,
    };
    seal(&tree, &walk(&tree).unwrap(), &how).unwrap();
    assert_eq!(fs::metadata(&cache).unwrap().mode() & 0o777, 0o600);
    let sealed = fs::metadata(tree.join("x")).unwrap();
    assert_eq!((sealed.mode() & 0o777, sealed.mtime()), (0o644, 7));
}
