//! Git sources against git itself: repositories made here, fetched as `file:` mirrors.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::obtain::fetch::FetchOptions;
use lockwright::obtain::fetch::mirrors::Mirrors;
use lockwright::obtain::source::{self, GitError, GitTree, Revision};
use lockwright::obtain::store::Store;
use lockwright::transform::nix::nar;

const URL: &str = "https://forge.example/team/project";

fn git(folder: &Utf8Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
        .args([
            "-c",
            "protocol.file.allow=always",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("these tests need git on the PATH");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

struct Room {
    _temporary: tempfile::TempDir,
    root: Utf8PathBuf,
    store: Store,
}

impl Room {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(temporary.path().to_owned()).unwrap();
        let store = Store::open(&root.join("store")).unwrap();
        Self {
            _temporary: temporary,
            root,
            store,
        }
    }

    /// A repository with all that a checkout must keep, change or leave alone.
    fn repository(&self, name: &str) -> (Utf8PathBuf, String) {
        let folder = self.root.join(name);
        std::fs::create_dir_all(folder.join("deep/er")).unwrap();
        let write = |path: &str, text: &str| std::fs::write(folder.join(path), text).unwrap();
        write("plain.txt", "one\ntwo\n");
        write("crlf.txt", "one\r\ntwo\r\n");
        write("windows.bat", "one\ntwo\n");
        write("left-out", "an archive would lack it\n");
        write("subst", "$Format:%H$\n");
        write("ident", "$Id$\n");
        write("deep/er/file", name);
        write("run.sh", "#!/bin/sh\n");
        write(
            "asset.bin",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        );
        write(
            ".gitattributes",
            "*.bat text eol=crlf\nleft-out export-ignore\nsubst export-subst\nident ident\n\
             asset.bin filter=lfs diff=lfs\n",
        );
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.join("run.sh"), mode).unwrap();
        std::os::unix::fs::symlink("/nowhere/at all", folder.join("link")).unwrap();
        git(&folder, &["init", "--quiet"]);
        git(&folder, &["add", "."]);
        git(&folder, &["commit", "--quiet", "-m", "first"]);
        let commit = git(&folder, &["rev-parse", "HEAD"]);
        (folder, commit)
    }

    fn fetch(&self, mirror: &Utf8Path, rev: &str) -> Result<GitTree, GitError> {
        let options = FetchOptions {
            offline: true,
            mirrors: Mirrors::new([format!("{URL}={mirror}").parse().unwrap()]),
            ..FetchOptions::default()
        };
        let wanted = Revision {
            url: URL.into(),
            rev: rev.into(),
            submodules: true,
        };
        source::git::fetch(&self.store, &wanted, &options)
    }

    /// What git itself makes of it, `.git` left out.
    fn cloned(&self, repository: &Utf8Path, commit: &str) -> Utf8PathBuf {
        let into = self.root.join("cloned");
        let arguments = [
            "clone",
            "--quiet",
            "--recurse-submodules",
            repository.as_str(),
        ];
        git(&self.root, &[&arguments[..], &[into.as_str()]].concat());
        git(&into, &["checkout", "--quiet", commit]);
        git(
            &into,
            &["submodule", "update", "--quiet", "--init", "--recursive"],
        );
        remove_git(into.as_std_path());
        into
    }

    fn unpack(&self, tree: &GitTree, name: &str) -> Utf8PathBuf {
        let into = self.root.join(name);
        std::fs::create_dir(&into).unwrap();
        let packed = std::fs::File::open(&tree.archive.path).unwrap();
        tar::Archive::new(flate2::read::GzDecoder::new(packed))
            .unpack(&into)
            .unwrap();
        into
    }
}

fn remove_git(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap() == ".git" {
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        } else if path.is_dir() && !path.is_symlink() {
            remove_git(&path);
        }
    }
}

#[test]
fn a_commit_is_what_git_checks_out_and_comes_from_the_store_the_second_time() {
    let room = Room::new();
    let (repository, commit) = room.repository("project");
    let tree = room.fetch(&repository, &commit).unwrap();
    assert_eq!(tree.commit, commit);
    let unpacked = room.unpack(&tree, "unpacked");
    let cloned = room.cloned(&repository, &commit);
    assert_eq!(
        nar::hash_path(&unpacked).unwrap(),
        nar::hash_path(&cloned).unwrap()
    );
    // What must and must not be done to files on the way.
    let read = |name: &str| std::fs::read_to_string(unpacked.join(name)).unwrap();
    assert_eq!(read("crlf.txt"), "one\r\ntwo\r\n");
    assert_eq!(read("windows.bat"), "one\r\ntwo\r\n");
    assert_eq!(read("subst"), "$Format:%H$\n");
    assert!(read("ident").starts_with("$Id: "));
    assert!(unpacked.join("left-out").is_file());
    assert!(!unpacked.join(".git").exists());

    // Neither the repository nor git is needed again.
    std::fs::remove_dir_all(&repository).unwrap();
    assert_eq!(room.fetch(&repository, &commit).unwrap(), tree);
}

#[test]
fn the_archive_of_a_commit_has_the_same_bytes_from_wherever_it_comes() {
    let room = Room::new();
    let (repository, commit) = room.repository("project");
    let bare = room.root.join("bare.git");
    git(
        &room.root,
        &[
            "clone",
            "--quiet",
            "--bare",
            repository.as_str(),
            bare.as_str(),
        ],
    );
    let bundle = room.root.join("kept.bundle");
    git(
        &repository,
        &["bundle", "create", "--quiet", bundle.as_str(), "--all"],
    );
    // Found without its suffix too, as a folder of mirrors has them.
    let mirrors = [
        repository,
        bare.clone(),
        room.root.join("bare"),
        bundle,
        room.root.join("kept"),
    ];
    let digests: Vec<String> = mirrors
        .iter()
        .map(|mirror| {
            let fresh = Room::new();
            let tree = fresh.fetch(mirror, &commit).unwrap();
            tree.archive.digest.hex()
        })
        .collect();
    assert!(
        digests.iter().all(|digest| *digest == digests[0]),
        "{digests:?}"
    );
}

#[test]
fn tags_and_branches_are_looked_up_and_old_commits_found() {
    let room = Room::new();
    let (repository, first) = room.repository("project");
    git(&repository, &["tag", "-a", "-m", "t", "version/1.0"]);
    std::fs::write(repository.join("plain.txt"), "three\n").unwrap();
    git(&repository, &["commit", "--quiet", "-am", "second"]);
    let second = git(&repository, &["rev-parse", "HEAD"]);
    for (rev, commit) in [("version/1.0", &first), ("main", &second), (&first, &first)] {
        assert_eq!(
            room.fetch(&repository, rev).unwrap().commit,
            *commit,
            "{rev}"
        );
    }
    // A bundle gives out no commit by its name, and this one's tip is another.
    let bundle = room.root.join("kept.bundle");
    git(
        &repository,
        &["bundle", "create", "--quiet", bundle.as_str(), "main"],
    );
    let fresh = Room::new();
    assert_eq!(fresh.fetch(&bundle, &first).unwrap().commit, first);
}

#[test]
fn submodules_come_along() {
    let room = Room::new();
    let (inner, _) = room.repository("inner");
    let (outer, _) = room.repository("outer");
    git(
        &outer,
        &["submodule", "--quiet", "add", "../inner", "vendor/inner"],
    );
    git(&outer, &["commit", "--quiet", "-m", "submodule"]);
    let commit = git(&outer, &["rev-parse", "HEAD"]);
    let options = FetchOptions {
        offline: true,
        mirrors: Mirrors::new([format!("https://forge.example/={}", room.root)
            .parse()
            .unwrap()]),
        ..FetchOptions::default()
    };
    // `../inner` is relative to the URL, not to the mirror: `git clone` of the path agrees.
    let wanted = Revision {
        url: "https://forge.example/outer".into(),
        rev: commit.clone(),
        submodules: true,
    };
    let tree = source::git::fetch(&room.store, &wanted, &options).unwrap();
    let unpacked = room.unpack(&tree, "unpacked");
    let inside = unpacked.join("vendor/inner/deep/er/file");
    assert_eq!(std::fs::read_to_string(inside).unwrap(), "inner");
    assert_eq!(
        nar::hash_path(&unpacked).unwrap(),
        nar::hash_path(room.cloned(&outer, &commit)).unwrap()
    );

    // Without them their folder is there, and empty.
    let wanted = Revision {
        submodules: false,
        ..wanted
    };
    let tree = source::git::fetch(&room.store, &wanted, &options).unwrap();
    let unpacked = room.unpack(&tree, "without");
    let inside = unpacked.join("vendor/inner");
    assert_eq!(inside.read_dir().unwrap().count(), 0);

    // A clone of the superproject alone is not enough, and the error says whose it is.
    std::fs::remove_dir_all(&inner).unwrap();
    let fresh = Room::new();
    let wanted = Revision {
        submodules: true,
        ..wanted
    };
    let error = source::git::fetch(&fresh.store, &wanted, &options).unwrap_err();
    assert!(
        error.to_string().contains("https://forge.example/inner"),
        "{error}"
    );
}

#[test]
fn a_submodule_that_names_a_path_of_this_machine_is_refused() {
    let room = Room::new();
    let (secret, _) = room.repository("secret");
    let (outer, _) = room.repository("outer");
    git(
        &outer,
        &["submodule", "--quiet", "add", secret.as_str(), "stolen"],
    );
    git(&outer, &["commit", "--quiet", "-m", "submodule"]);
    let commit = git(&outer, &["rev-parse", "HEAD"]);
    let error = room.fetch(&outer, &commit).unwrap_err().to_string();
    assert!(error.contains("submodule stolen"), "{error}");
}

/// A commit of a tree that git itself would not have made: `(mode, name, object)`.
fn crafted(repository: &Utf8Path, entries: &[(&str, &str, &str)]) -> String {
    let mut tree = Vec::new();
    for (mode, name, object) in entries {
        tree.extend(format!("{mode} {name}\0").bytes());
        let byte = |at| u8::from_str_radix(&object[at..at + 2], 16).unwrap();
        tree.extend((0..object.len()).step_by(2).map(byte));
    }
    let file = repository.join(".git/crafted");
    std::fs::write(&file, tree).unwrap();
    let write = ["hash-object", "-t", "tree", "-w", "--literally"];
    let tree = git(repository, &[&write[..], &[file.as_str()]].concat());
    let commit = git(repository, &["commit-tree", "-m", "crafted", &tree]);
    git(repository, &["branch", "--force", "crafted", &commit]);
    commit
}

#[test]
fn a_tree_that_would_lead_a_submodule_elsewhere_is_refused_and_nothing_is_written() {
    let room = Room::new();
    let (inner, inner_commit) = room.repository("inner");
    let (outer, _) = room.repository("outer");
    let victim = room.root.join("victim");
    std::fs::create_dir_all(victim.join("deep")).unwrap();
    std::fs::write(victim.join("plain.txt"), "mine\n").unwrap();
    let blob = |text: &str| {
        let file = outer.join(".git/blob");
        std::fs::write(&file, text).unwrap();
        git(
            &outer,
            &["hash-object", "-w", "--no-filters", file.as_str()],
        )
    };
    let modules = |path: &str| {
        blob(&format!(
            "[submodule \"a\"]\n path = {path}\n url = {inner}\n"
        ))
    };
    let link = blob(victim.as_str());
    let text = blob("text");
    let commit_of = inner_commit.as_str();
    let plain = git(&outer, &["rev-parse", "HEAD^{tree}"]);
    let (in_a, in_link, upwards) = (modules("a"), modules("a/deep"), modules("../victim"));
    let below = {
        let entry = format!("160000 commit {commit_of}\tdeep\n");
        std::fs::write(outer.join(".git/entry"), entry).unwrap();
        let entry = std::fs::File::open(outer.join(".git/entry")).unwrap();
        let mut mktree = Command::new("git");
        let made = mktree.args(["mktree", "--missing"]).current_dir(&outer);
        let made = made.stdin(entry).output().unwrap().stdout;
        String::from_utf8(made).unwrap().trim().to_owned()
    };
    for (what, entries) in [
        (
            "link and submodule",
            vec![
                ("100644", ".gitmodules", &*in_a),
                ("160000", "a", commit_of),
                ("120000", "a", &link),
            ],
        ),
        (
            "submodule and link",
            vec![
                ("100644", ".gitmodules", &*in_a),
                ("120000", "a", &link),
                ("160000", "a", commit_of),
            ],
        ),
        (
            "link and folder",
            vec![
                ("100644", ".gitmodules", &*in_link),
                ("120000", "a", &link),
                ("40000", "a", &below),
            ],
        ),
        (
            "upwards",
            vec![
                ("100644", ".gitmodules", &*upwards),
                ("160000", "../victim", commit_of),
            ],
        ),
        ("folder above", vec![("40000", "..", &*plain)]),
        ("git's own", vec![("40000", ".git", &*plain)]),
        (
            "twice",
            vec![("100644", "x", &*text), ("100755", "x", &*text)],
        ),
    ] {
        let commit = crafted(&outer, &entries);
        let fresh = Room::new();
        let error = fresh.fetch(&outer, &commit).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{commit} of {URL} ")),
            "{what}: {error}"
        );
        let left: Vec<_> = std::fs::read_dir(&victim).unwrap().collect();
        assert_eq!(left.len(), 2, "{what}: {left:?}");
        assert_eq!(
            std::fs::read_to_string(victim.join("plain.txt")).unwrap(),
            "mine\n"
        );
        assert_eq!(victim.join("deep").read_dir().unwrap().count(), 0);
    }
}

#[test]
fn what_old_tools_wrote_wrongly_is_no_danger() {
    let room = Room::new();
    let (repository, _) = room.repository("project");
    let plain = git(&repository, &["rev-parse", "HEAD^{tree}"]);
    let commit = crafted(&repository, &[("040000", "folder", &plain)]);
    let tree = room.fetch(&repository, &commit).unwrap();
    let unpacked = room.unpack(&tree, "unpacked");
    assert!(unpacked.join("folder/plain.txt").is_file());
}

/// What git says of the repository that a build sees.
fn seen(room: &Room, tree: &GitTree, name: &str) -> (Utf8PathBuf, impl Fn(&[&str]) -> String) {
    let folder = room.root.join(name);
    let limits = lockwright::files::archive::Limits::default();
    let shape = source::Shape::Packed;
    let unpacked = source::unpack(&tree.archive, name, shape, &folder, &limits).unwrap();
    let about = unpacked.commit.expect("the archive says of its commit");
    about.write(&folder, Some("1.2.3+local.1")).unwrap();
    let at = folder.clone();
    (folder, move |arguments: &[&str]| git(&at, arguments))
}

#[test]
fn a_build_sees_a_repository_of_the_commit_that_git_finds_nothing_wrong_with() {
    let room = Room::new();
    // Whose files are changed on their way out of the repository, and one that a build must not see.
    let (converted, _) = room.repository("inner");
    let plain = room.root.join("plain");
    std::fs::create_dir_all(plain.join("a.b/c")).unwrap();
    for (path, text) in [
        ("a", "1"),
        ("a.b/c/d", "2"),
        ("a.b.txt", "3"),
        ("a0", "1"),
        ("ignored", "x"),
    ] {
        std::fs::write(plain.join(path), text).unwrap();
    }
    std::fs::write(plain.join(".gitignore"), "ignored\n").unwrap();
    std::os::unix::fs::symlink("a.b/c", plain.join("link")).unwrap();
    git(&plain, &["init", "--quiet"]);
    git(&plain, &["add", "-A"]);
    git(
        &plain,
        &[
            "submodule",
            "--quiet",
            "add",
            converted.as_str(),
            "sub/module",
        ],
    );
    git(&plain, &["commit", "--quiet", "-m", "first"]);
    git(
        &plain,
        &[
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "sécond\n\nwith more\n\nto say",
        ],
    );
    let commit = git(&plain, &["rev-parse", "HEAD"]);
    let options = FetchOptions {
        offline: true,
        ..FetchOptions::default()
    };
    let wanted = Revision {
        url: format!("file://{plain}"),
        rev: commit.clone(),
        submodules: true,
    };
    let tree = source::git::fetch(&room.store, &wanted, &options).unwrap();
    let (folder, ask) = seen(&room, &tree, "seen");
    assert_eq!(ask(&["rev-parse", "HEAD"]), commit);
    assert_eq!(
        ask(&["log", "--format=%H %B"]),
        git(&plain, &["log", "-1", "--format=%H %B"])
    );
    assert_eq!(
        ask(&["ls-files", "--stage"]),
        git(&plain, &["ls-files", "--stage"])
    );
    assert_eq!(ask(&["describe"]), "v1.2.3+local.1");
    assert_eq!(
        ask(&["describe", "--long", "--tags", "--dirty"])
            .split("-0-g")
            .next(),
        Some("v1.2.3+local.1")
    );
    assert_eq!(ask(&["status", "--porcelain"]), "");
    ask(&["fsck", "--strict", "--full"]);
    let archive = ask(&["archive", "--format=tar", "--output=../archive.tar", "HEAD"]);
    assert_eq!(archive, "");
    std::fs::write(folder.join("a"), "changed").unwrap();
    std::fs::write(folder.join("new"), "").unwrap();
    assert_eq!(ask(&["status", "--porcelain"]), "M a\n?? new");

    let commit = git(&converted, &["rev-parse", "HEAD"]);
    let wanted = Revision {
        url: format!("file://{converted}"),
        rev: commit.clone(),
        submodules: true,
    };
    let tree = source::git::fetch(&room.store, &wanted, &options).unwrap();
    let (_, ask) = seen(&room, &tree, "seen-converted");
    assert_eq!(ask(&["status", "--porcelain"]), "");
    assert_eq!(ask(&["ls-files"]), git(&converted, &["ls-files"]));
    assert_eq!(
        ask(&["log", "--format=%an %ad %s"]),
        git(&converted, &["log", "--format=%an %ad %s"])
    );
    ask(&["fsck", "--strict", "--full"]);
}

#[test]
fn settings_of_the_user_do_not_change_a_checkout() {
    let room = Room::new();
    let (repository, commit) = room.repository("project");
    let expected = room.fetch(&repository, &commit).unwrap().archive.digest;
    // A process of its own, since the environment is its.
    let script = room.root.join("config");
    std::fs::write(
        &script,
        "[core]\n autocrlf = true\n eol = crlf\n symlinks = false\n\
         [filter \"lfs\"]\n smudge = echo smudged\n required = true\n",
    )
    .unwrap();
    let store = room.root.join("other-store");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "fetch_for_another_test",
            "--ignored",
            "--nocapture",
        ])
        .env("GIT_CONFIG_GLOBAL", &script)
        .env("GIT_DIR", "/nowhere")
        .env("TEST_FETCH", format!("{store}\n{repository}\n{commit}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&expected.hex()), "{said}");
}

#[test]
#[ignore = "run by another test, in a process of its own"]
fn fetch_for_another_test() {
    let about = std::env::var("TEST_FETCH").unwrap();
    let mut lines = about.lines();
    let mut line = || lines.next().unwrap();
    let room = Room {
        store: Store::open(Utf8Path::new(line())).unwrap(),
        ..Room::new()
    };
    let tree = room.fetch(Utf8Path::new(line()), line()).unwrap();
    println!("{}", tree.archive.digest.hex());
}

#[test]
fn what_cannot_be_had_is_said_with_a_remedy() {
    let room = Room::new();
    let (repository, _) = room.repository("project");
    let absent = "0123456789012345678901234567890123456789";
    let said = |error: GitError| error.to_string().replace(room.root.as_str(), "[ROOM]");
    let error = said(room.fetch(&repository, absent).unwrap_err());
    assert!(
        error.starts_with(&format!(
            "{absent} of {URL} cannot be fetched from [ROOM]/project: "
        )),
        "{error}"
    );
    let error = said(room.fetch(&repository, "no-such-tag").unwrap_err());
    assert!(error.contains("no-such-tag"), "{error}");
    let offline = FetchOptions {
        offline: true,
        ..FetchOptions::default()
    };
    let wanted = Revision {
        url: URL.into(),
        rev: absent.into(),
        submodules: true,
    };
    let error = said(source::git::fetch(&room.store, &wanted, &offline).unwrap_err());
    assert_eq!(
        error,
        format!(
            "{absent} of {URL} is not in the store, and this run is offline: run once with the \
             network, or name a clone or bundle of it on this machine, as in --mirror \
             {URL}=/path/to/clone"
        )
    );
}
