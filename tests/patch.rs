//! `lockwright patch`, whole.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::process::Command;

use common::{Run as _, Temp, lockwright};

/// Two Django apps, one with a label that is not its folder's name.
fn project(temp: &Temp) {
    for (path, text) in [
        ("site/shop/__init__.py", ""),
        ("site/shop/core/__init__.py", ""),
        (
            "site/shop/core/apps.py",
            "class C(AppConfig):\n    name = 'shop.core'\n    label = 'shop_core'\n",
        ),
        ("site/shop/core/migrations/__init__.py", ""),
        (
            "site/shop/core/migrations/0001_initial.py",
            "class Migration(M):\n    dependencies = []\n",
        ),
        (
            "site/shop/core/migrations/0002_roles.py",
            "class Migration(M):\n    dependencies = [('shop_core', '0001_initial'), ('rbac', '0001_initial')]\n",
        ),
        ("site/shop/rbac/__init__.py", ""),
        ("site/shop/rbac/migrations/__init__.py", ""),
        (
            "site/shop/rbac/migrations/0001_initial.py",
            "class Migration(M):\n    initial = True\n    dependencies = []\n",
        ),
        (
            "site/shop/rbac/migrations/0003_base.py",
            "class Migration(M):\n    initial = True\n",
        ),
        (
            "site/shop/rbac/migrations/0002_group.py",
            "class Migration(M):\n    dependencies = [\n        (\"rbac\", \"0001_initial\"),\n    ]\n",
        ),
    ] {
        let path = temp.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn depend(temp: &Temp, migration: &str, app: &str, name: &str) -> common::Ran {
    let file = format!("site/shop/{migration}");
    lockwright(temp)
        .args(["patch", "migration", &file, "--depends-on", app, name])
        .run()
}

#[test]
fn a_migration_gets_its_dependency_once_and_python_reads_it() {
    let temp = Temp::new();
    project(&temp);
    let first = depend(
        &temp,
        "rbac/migrations/0002_group.py",
        "shop_core",
        "0002_roles",
    )
    .ok();
    let again = depend(
        &temp,
        "rbac/migrations/0002_group.py",
        "shop_core",
        "0002_roles",
    )
    .ok();
    insta::assert_snapshot!(format!("{}{}", first.stderr, again.stderr), @r"
    site/shop/rbac/migrations/0002_group.py: depends on shop_core.0002_roles now
    site/shop/rbac/migrations/0002_group.py: line 4 has shop_core.0002_roles already; nothing to do
    ");
    let script = "import ast, sys\n\
        [c] = [n for n in ast.parse(open(sys.argv[1]).read()).body if isinstance(n, ast.ClassDef)]\n\
        print([ast.literal_eval(s.value) for s in c.body if s.targets[0].id == 'dependencies'])";
    let read = Command::new(common::python())
        .args(["-c", script])
        .arg(temp.join("site/shop/rbac/migrations/0002_group.py"))
        .run()
        .ok();
    assert_eq!(
        read.stdout.trim(),
        "[[('rbac', '0001_initial'), ('shop_core', '0002_roles')]]"
    );
}

#[test]
fn what_is_missing_or_would_close_a_circle_is_an_error_and_nothing_is_written() {
    let temp = Temp::new();
    project(&temp);
    let errors = [
        depend(&temp, "rbac/migrations/0009.py", "shop_core", "0002_roles"),
        depend(
            &temp,
            "rbac/migrations/0002_group.py",
            "shop_cor",
            "0002_roles",
        ),
        depend(
            &temp,
            "rbac/migrations/0002_group.py",
            "shop_core",
            "0002_role",
        ),
        depend(
            &temp,
            "rbac/migrations/0001_initial.py",
            "shop_core",
            "0002_roles",
        ),
        depend(
            &temp,
            "rbac/migrations/0001_initial.py",
            "rbac",
            "0001_initial",
        ),
        depend(
            &temp,
            "rbac/migrations/0003_base.py",
            "shop_core",
            "0002_roles",
        ),
    ]
    .map(|ran| ran.exit(1).redacted(&temp))
    .concat();
    insta::assert_snapshot!("migration_errors", errors);
    let text = fs::read_to_string(temp.join("site/shop/rbac/migrations/0001_initial.py")).unwrap();
    assert!(text.ends_with("    dependencies = []\n"));
}

#[test]
fn a_file_that_django_would_not_load_is_no_migration() {
    let temp = Temp::new();
    project(&temp);
    fs::remove_file(temp.join("site/shop/rbac/migrations/__init__.py")).unwrap();
    let refused = depend(
        &temp,
        "rbac/migrations/0002_group.py",
        "shop_core",
        "0002_roles",
    );
    insta::assert_snapshot!(refused.exit(1).redacted(&temp), @"error: site/shop/rbac/migrations/0002_group.py: Django loads no such migration of the apps in [TEMP]/site: it takes the files of a package called `migrations` (a folder with an `__init__.py`) whose names begin with neither `_` nor `~` and hold no dot");
}

#[test]
fn a_patch_is_applied_wholly_or_not_at_all() {
    let temp = Temp::new();
    fs::write(temp.join("a"), "1\n2\n").unwrap();
    fs::write(temp.join("b"), "other\n").unwrap();
    let patch =
        "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n--- a/b\n+++ b/b\n@@ -1 +1 @@\n-x\n+y\n";
    fs::write(temp.join("p.patch"), patch).unwrap();
    let apply = ["patch", "apply", "p.patch"];
    let refused = lockwright(&temp).args(apply).run().exit(1);
    assert!(
        refused
            .stderr
            .contains("there should be `x`, and there is `other`"),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(temp.join("a")).unwrap(), "1\n2\n");
    fs::write(temp.join("b"), "x\n").unwrap();
    lockwright(&temp).args(apply).run().ok();
    assert_eq!(fs::read_to_string(temp.join("a")).unwrap(), "1\n3\n");
    assert_eq!(fs::read_to_string(temp.join("b")).unwrap(), "y\n");
    // Nothing is written through a link that may lead out.
    fs::create_dir(temp.join("out")).unwrap();
    fs::write(temp.join("out/f"), "x\n").unwrap();
    fs::create_dir(temp.join("tree")).unwrap();
    std::os::unix::fs::symlink("../out", temp.join("tree/d")).unwrap();
    fs::write(
        temp.join("q.patch"),
        "--- a/d/f\n+++ b/d/f\n@@ -1 +1 @@\n-x\n+y\n",
    )
    .unwrap();
    let refused = lockwright(&temp)
        .args(["patch", "apply", "q.patch", "--root", "tree"])
        .run()
        .exit(1);
    assert!(refused.stderr.contains("is a link"), "{refused}");
}

#[test]
fn a_substitution_says_what_it_did() {
    let temp = Temp::new();
    fs::write(temp.join("f"), "a a\n").unwrap();
    let run = |args: &[&str]| {
        lockwright(&temp)
            .args(["patch", "substitute", "f"])
            .args(args)
            .run()
    };
    let done = run(&["--replace", "a", "--with", "b", "--count", "2"]).ok();
    assert_eq!(done.stderr, "f: replaced 2 times\n");
    assert_eq!(fs::read_to_string(temp.join("f")).unwrap(), "b b\n");
    run(&["--replace", "a", "--with", "c"]).exit(1);
    assert_eq!(fs::read_to_string(temp.join("f")).unwrap(), "b b\n");
    // `c` is there, but not because it was put there.
    fs::write(temp.join("f"), "b c\n").unwrap();
    let refused = run(&["--replace", "zzz", "--with", "c"]).exit(1);
    assert_eq!(
        refused.stderr,
        "error: f: `zzz` is not there, nor anything like it. `c` is, once, at line 1: if the change was \
         made before, leave this substitution out; if not, give the text that stands in the file\n"
    );
}
