//! Git repositories, written object by object: git itself would have made none of them.

use std::io::Write as _;

use camino::Utf8Path;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use lockwright::core::digest::{Algorithm, Digest};
use lockwright::obtain::fetch::FetchOptions;
use lockwright::obtain::fetch::mirrors::Mirrors;
use lockwright::obtain::source::{self, Revision};
use lockwright::obtain::store::Store;

use super::Row;

const URL: &str = "https://forge.example/team/repo.git";

/// A bare repository: its files, by their paths.
struct Repository {
    files: Vec<(String, Vec<u8>)>,
}

/// An entry of a tree: its mode, its name, what it leads to.
type Entry = (&'static str, Vec<u8>, String);

fn entry(mode: &'static str, name: impl AsRef<[u8]>, object: &str) -> Entry {
    (mode, name.as_ref().to_vec(), object.to_owned())
}

impl Repository {
    fn new() -> Self {
        let files = [
            ("HEAD", "ref: refs/heads/main\n"),
            (
                "config",
                "[core]\n\trepositoryformatversion = 0\n\tbare = true\n",
            ),
        ];
        Self {
            files: files
                .map(|(name, text)| (name.to_owned(), text.into()))
                .into(),
        }
    }

    fn object(&mut self, kind: &str, bytes: &[u8]) -> String {
        let whole = [format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat();
        let name = Digest::of(Algorithm::Sha1, &whole).hex();
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&whole).unwrap();
        let path = format!("objects/{}/{}", &name[..2], &name[2..]);
        self.files.push((path, packed.finish().unwrap()));
        name
    }

    fn blob(&mut self, text: &str) -> String {
        self.object("blob", text.as_bytes())
    }

    /// A tree of these entries, as they stand.
    fn tree(&mut self, entries: &[Entry]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, object) in entries {
            bytes.extend(mode.bytes().chain([b' ']));
            bytes.extend(name.iter().chain([&0]));
            let digits = (0..object.len()).step_by(2);
            bytes.extend(digits.map(|at| u8::from_str_radix(&object[at..at + 2], 16).unwrap()));
        }
        self.object("tree", &bytes)
    }

    /// A tree of these entries and a project, in git's order.
    fn project(&mut self, mut entries: Vec<Entry>) -> String {
        for (name, text) in super::tars::PROJECT {
            let blob = self.blob(text);
            entries.push(entry("100644", name, &blob));
        }
        entries.sort_by_key(|(mode, name, _)| {
            let end: &[u8] = if *mode == "40000" { b"/" } else { b"" };
            [name, end].concat()
        });
        self.tree(&entries)
    }

    /// A commit, and the branch that leads there.
    fn commit(&mut self, tree: &str, branch: &str) -> String {
        let who = "t <t@t.example> 0 +0000";
        let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
        let commit = self.object("commit", text.as_bytes());
        self.files
            .push((format!("refs/heads/{branch}"), format!("{commit}\n").into()));
        commit
    }
}

/// A sentence without the folder that a tree was in for a while.
fn plain(said: &str) -> String {
    let words = said.split(' ').map(|word| match word.split_once("/tree-") {
        Some((before, rest)) if before.contains("lockwright-git-") => {
            rest.split_once('/').map_or("it", |(_, path)| path)
        }
        _ => word,
    });
    super::trees::without_depth(&words.collect::<Vec<_>>().join(" "))
}

/// What is said of a commit: without the folders of this run, and of git's own words only what every version of it says.
fn judged(repository: &Repository, commit: &str, url: &str) -> Result<String, String> {
    let held = tempfile::tempdir().unwrap();
    let top = Utf8Path::from_path(held.path()).unwrap();
    let place = top.join("repo.git");
    for (name, bytes) in &repository.files {
        let file = place.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let store = Store::open(&top.join("store")).unwrap();
    let options = FetchOptions {
        offline: true,
        mirrors: Mirrors::new([format!("{URL}={place}").parse().unwrap()]),
        ..FetchOptions::default()
    };
    let wanted = Revision {
        url: url.into(),
        rev: commit.into(),
        submodules: true,
    };
    let fetched = source::git::fetch(&store, &wanted, &options);
    let left = top.read_dir_utf8().unwrap().flatten();
    let left: Vec<String> = left
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| !matches!(&**name, "repo.git" | "store"))
        .collect();
    assert_eq!(left, [] as [&str; 0], "something was left");
    match fetched {
        Ok(_) => Ok("its files".into()),
        Err(error) => {
            let said = plain(&error.to_string().replace(commit, "the commit"));
            let said = said.replace(&format!(" from {place}"), "");
            let fsck = said.lines().find_map(|line| {
                let (_, fault) = line.split_once("error: object ")?;
                Some(fault.split_once(": ")?.1.split(':').next()?.to_owned())
            });
            Err(match (fsck, said.split_once("cannot be fetched: ")) {
                (Some(fault), Some((before, _))) => {
                    format!("{before}cannot be fetched: git's own check finds {fault}")
                }
                (None, Some((before, _))) => format!("{before}cannot be fetched: git says why"),
                (_, None) => said,
            })
        }
    }
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |case: &str, known, make: &dyn Fn(&mut Repository) -> Vec<Entry>| {
        let mut repository = Repository::new();
        let entries = make(&mut repository);
        let tree = repository.project(entries);
        let commit = repository.commit(&tree, "main");
        let said = judged(&repository, &commit, URL);
        let files = repository.files.into_iter();
        let files = files.map(|(name, bytes)| (format!("repo.git/{name}"), bytes));
        rows.push(Row {
            format: "git",
            case: case.to_owned(),
            known,
            said,
            files: files
                .chain([("commit".to_owned(), commit.into_bytes())])
                .collect(),
        });
    };
    row("nothing wrong with it", "", &|_| Vec::new());
    for (name, case, known) in [
        ("..", "a folder that is the one above", ""),
        (".", "a folder that is the one it is in", ""),
        (".git", "a folder .git, with a hook", "CVE-2014-9390"),
        (".GIT", "the same in capitals", "CVE-2014-9390"),
        ("git~1", "the same as Windows may call it", "CVE-2019-1353"),
        (
            ".g\u{200c}it",
            "the same with a character that macOS ignores",
            "CVE-2014-9390",
        ),
    ] {
        row(case, known, &|repository| {
            let hook = repository.blob("#!/bin/sh\ntouch /c/planted\n");
            let hooks = repository.tree(&[entry("100755", "post-checkout", &hook)]);
            let folder = repository.tree(&[entry("40000", "hooks", &hooks)]);
            vec![entry("40000", name, &folder)]
        });
    }
    for (name, case, known) in [
        (&b"a/b"[..], "a name with a slash", ""),
        (b"../planted", "a name that leads up", ""),
        (b"/planted", "an absolute name", ""),
        (b"a\\..\\b", "a name with backslashes", "CVE-2019-1354"),
        (b"a\nb", "a name with a line end", ""),
        (b"a\x1b[2Jb", "a name with an escape sequence", ""),
        (b"a\xffb", "a name that is not UTF-8", ""),
    ] {
        row(case, known, &|repository| {
            let blob = repository.blob("x");
            vec![entry("100644", name, &blob)]
        });
    }
    for (mode, case) in [
        ("100666", "a mode that git does not write"),
        ("104755", "a set-user-ID program"),
        ("10644", "a named pipe"),
        ("20644", "a device"),
    ] {
        row(case, "", &|repository| {
            let blob = repository.blob("x");
            vec![entry(mode, "a", &blob)]
        });
    }
    for (target, case, known) in [
        (
            "/etc/passwd",
            "a link to an absolute path",
            "CVE-2026-24056",
        ),
        ("../../planted", "a link that leads up", "CVE-2026-24056"),
        (".git/config", "a link into version control", ""),
    ] {
        row(case, known, &|repository| {
            let blob = repository.blob(target);
            vec![entry("120000", "link", &blob)]
        });
    }
    row("a name twice", "CVE-2026-44471", &|repository| {
        let (link, blob) = (repository.blob("/c"), repository.blob("x"));
        let folder = repository.tree(&[entry("100644", "planted", &blob)]);
        vec![entry("120000", "a", &link), entry("40000", "a", &folder)]
    });
    row(
        "names that differ by case",
        "CVE-2021-21300",
        &|repository| {
            let (link, blob) = (repository.blob(".git"), repository.blob("x"));
            let folder = repository.tree(&[entry("100644", "planted", &blob)]);
            vec![entry("120000", "a", &link), entry("40000", "A", &folder)]
        },
    );
    row("an object that is not there", "", &|_| {
        vec![entry("100644", "a", &"12".repeat(20))]
    });
    row(
        "ten files, ten times ten times ten times…",
        "",
        &|repository| {
            let blob = repository.blob("x");
            let mut inner = entry("100644", "", &blob);
            for _ in 0..12 {
                let entries = (0..10).map(|number| entry(inner.0, format!("{number}"), &inner.2));
                let entries: Vec<Entry> = entries.collect();
                inner = entry("40000", "", &repository.tree(&entries));
            }
            vec![entry("40000", "many", &inner.2)]
        },
    );
    row("a folder of 300 steps", "CVE-2026-44028", &|repository| {
        let blob = repository.blob("x");
        let mut inner = entry("100644", "a", &blob);
        for _ in 0..300 {
            inner = entry("40000", "a", &repository.tree(&[inner]));
        }
        vec![inner]
    });
    row("a .gitattributes that runs a program", "", &|repository| {
        let blob = repository.blob("* filter=planted diff=planted\n");
        let config = repository.blob("[filter \"planted\"]\n\tsmudge = touch /c/planted\n");
        vec![
            entry("100644", ".gitattributes", &blob),
            entry("100644", ".gitconfig", &config),
        ]
    });
    let module = |repository: &mut Repository, name: &str, path: &str, url: &str| {
        let inner = repository.blob("inner");
        let inner = repository.tree(&[entry("100644", "planted-inner", &inner)]);
        let commit = repository.commit(&inner, "inner");
        let text = format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n");
        let modules = repository.blob(&text);
        (entry("100644", ".gitmodules", &modules), commit)
    };
    for (name, path, url, case, known) in [
        (
            "../../planted",
            "a",
            "../repo.git",
            "a submodule whose name leads up",
            "CVE-2018-11235",
        ),
        (
            "a",
            "../planted",
            "../repo.git",
            "a submodule whose place leads up",
            "",
        ),
        (
            "a",
            "-u./planted",
            "../repo.git",
            "a submodule whose place is an option",
            "CVE-2018-17456",
        ),
        (
            "a",
            "a",
            "-u./planted",
            "a submodule whose repository is an option",
            "CVE-2018-17456",
        ),
        (
            "a",
            "a",
            "ext::sh -c touch% /c/planted",
            "a submodule whose repository is a command",
            "CVE-2026-28292",
        ),
        (
            "a",
            "a",
            "/etc",
            "a submodule of this machine",
            "CVE-2022-39253, CVE-2024-32020, CVE-2024-32021",
        ),
        (
            "a",
            "\"a\r\"",
            "../repo.git",
            "a submodule whose place ends in CR",
            "CVE-2025-48384",
        ),
        (
            "a",
            "a",
            "\"https://forge.example%0ahost=evil.example/x\"",
            "a submodule whose host has a line end",
            "CVE-2020-5260, CVE-2024-52006",
        ),
        (
            "a",
            "a",
            "\"https://forge.example\\r/x\"",
            "a submodule whose host has a CR",
            "CVE-2024-52006",
        ),
    ] {
        row(case, known, &|repository| {
            let (modules, commit) = module(repository, name, path, url);
            let place = path.trim_matches('"');
            vec![modules, entry("160000", place, &commit)]
        });
    }
    row(
        "a submodule through a link",
        "CVE-2024-32002",
        &|repository| {
            let (modules, commit) = module(repository, "a", "A/modules/a", "../repo.git");
            let link = repository.blob(".git");
            let inner = repository.tree(&[entry("160000", "a", &commit)]);
            let inner = repository.tree(&[entry("40000", "modules", &inner)]);
            vec![
                modules,
                entry("120000", "a", &link),
                entry("40000", "A", &inner),
            ]
        },
    );
    row(".gitmodules that are a link", "", &|repository| {
        let link = repository.blob("/etc/passwd");
        vec![entry("120000", ".gitmodules", &link)]
    });
    row("a submodule that no .gitmodules names", "", &|repository| {
        let (_, commit) = module(repository, "a", "a", "../repo.git");
        vec![entry("160000", "a", &commit)]
    });
    for (url, case, known) in [
        (
            "ext::sh -c touch% /c/planted",
            "a repository that is a command",
            "CVE-2026-28292",
        ),
        (
            "--upload-pack=touch /c/planted",
            "a repository that is an option",
            "CVE-2018-17456",
        ),
        (
            "ssh://-oProxyCommand=touch%20planted/x",
            "a host that is an option",
            "CVE-2017-1000117",
        ),
        (
            "https://forge.example\n/x",
            "a line end in a URL",
            "CVE-2020-5260",
        ),
        ("fd::17", "a repository that is an open file", ""),
    ] {
        rows.push(Row {
            format: "git URL",
            case: case.to_owned(),
            known,
            said: judged(&Repository::new(), &"12".repeat(20), url),
            files: vec![("url".to_owned(), url.into())],
        });
    }
    rows
}
