//! `lockwright build-lock`: the project whose lock builds use.

use std::fs;

use super::*;
use common::Server;
use lockwright::core::digest::{Algorithm, Digest};

fn build_lock_of(temp: &Temp, args: &[&str]) -> Ran {
    fs::create_dir_all(temp.join("tmp")).unwrap();
    lockwright_in_forky(temp)
        .args([
            "build-lock",
            "app",
            "--out",
            "made",
            "--python",
            "/usr/bin/python3.14",
        ])
        .args(args)
        .env("TMPDIR", temp.join("tmp"))
        .env("UV", common::uv())
        .env("UV_OFFLINE", "1")
        .env("UV_DEFAULT_INDEX", common::backends().join("simple"))
        .env("UV_CACHE_DIR", temp.join("uv-cache"))
        .run()
}

fn sources(temp: &Temp) {
    let system = |requires: &str| format!("[build-system]\nrequires = [{requires}]\n");
    let setup = |name: &str, more: &str| {
        format!(
            "from setuptools import setup\nsetup(name='{name}', version='1.0', py_modules=[]{more})\n"
        )
    };
    let put = |name: &'static str, requires: &str, more: &str| {
        let (system, setup) = (system(requires), setup(name, more));
        sdist(
            temp,
            name,
            "1.0",
            &[("pyproject.toml", &system), ("setup.py", &setup)],
        );
    };
    put("one", "'setuptools==80.3.1'", "");
    // What only its back end says.
    put(
        "two",
        "'setuptools == 80.9.0', 'wheel; python_version > \"3\"'",
        ", setup_requires=['flit-core>=3']",
    );
    sdist(temp, "three", "1.0", &[("setup.py", &setup("three", ""))]);
    lock_of_sdists(
        temp,
        "app",
        &[("one", "1.0"), ("three", "1.0"), ("two", "1.0")],
    );
}

#[test]
fn the_project_is_written_from_the_sources_and_locked() {
    let temp = Temp::new();
    sources(&temp);
    let ran = build_lock_of(&temp, &[]).ok();
    assert!(
        ran.stderr
            .contains("what 3 sources are built with, locked by uv"),
        "{ran}"
    );
    insta::assert_snapshot!(
        "project",
        fs::read_to_string(temp.join("made/pyproject.toml")).unwrap()
    );
    let lock = fs::read(temp.join("made/uv.lock")).unwrap();
    sync(&temp, &["--build-lock", "made/uv.lock"]).ok();
    assert!(is_empty(&temp.join("tmp")));

    // The same again.
    let project = fs::read(temp.join("made/pyproject.toml")).unwrap();
    build_lock_of(&temp, &[]).ok();
    assert_eq!(fs::read(temp.join("made/pyproject.toml")).unwrap(), project);
    assert_eq!(fs::read(temp.join("made/uv.lock")).unwrap(), lock);

    // Named beside the lock, it is found.
    temp.write(
        "app/lockwright.toml",
        "[build]\nlock = \"../made/uv.lock\"\n[build.one]\nenv = { ONE = \"1\" }\n",
    );
    sync(&temp, &["--out", "other"]).ok();
}

#[test]
fn without_uv_it_is_written_in_two_steps() {
    let temp = Temp::new();
    sources(&temp);
    let ran = build_lock_of(&temp, &["--no-lock"]).ok();
    insta::assert_snapshot!("first_step", ran.redacted(&temp));
    common::sources::uv_lock(&temp, &temp.join("made"));
    let ran = build_lock_of(&temp, &["--no-lock"]).ok();
    assert!(
        ran.stderr.ends_with("Next: uv lock --project made\n"),
        "{ran}"
    );
    let text = fs::read_to_string(temp.join("made/pyproject.toml")).unwrap();
    assert!(text.contains("flit-core>=3"), "{text}");
}

#[test]
fn a_project_written_by_hand_is_left_alone() {
    let temp = Temp::new();
    sources(&temp);
    temp.write("made/pyproject.toml", "[project]\n");
    let ran = build_lock_of(&temp, &[]).exit(1);
    assert!(
        ran.stderr
            .contains("was not written by lockwright build-lock"),
        "{ran}"
    );
}

/// What has a build requirement, and where that comes from.
fn member(name: &str, requires: &str, more: &str) -> String {
    format!(
        "[build-system]\nrequires = ['setuptools'{requires}]\nbuild-backend = 'setuptools.build_meta'\n\
         [project]\nname = '{name}'\nversion = '1.0'\nrequires-python = '>=3.11'\n\
         [tool.setuptools]\npy-modules = []\n{more}"
    )
}

/// An index that has the back ends, and foreign packages of these names.
fn strangers(names: &[&str]) -> Server {
    let server = Server::new();
    let backends = common::backends();
    for page in backends.join("simple").read_dir_utf8().unwrap().flatten() {
        let text = fs::read(page.path().join("index.html")).unwrap();
        server.put(&format!("/simple/{}/", page.file_name()), text);
    }
    for file in backends.read_dir_utf8().unwrap().flatten() {
        if file.path().extension() == Some("whl") {
            server.put(
                &format!("/{}", file.file_name()),
                fs::read(file.path()).unwrap(),
            );
        }
    }
    for name in names {
        let file = format!("{name}-99.0-py3-none-any.whl");
        let page = format!("<a href=\"/{file}\">{file}</a>");
        server.put(&format!("/simple/{name}/"), page);
        server.put(&format!("/{file}"), "what a stranger put there");
    }
    server
}

/// A workspace, locked by uv, and its build lock, both with that index.
fn build_lock_beside(temp: &Temp, server: &Server, args: &[&str]) -> Ran {
    let index = server.url("/simple");
    if !temp.join("app/uv.lock").exists() {
        Command::new(common::uv())
            .args(["lock", "--quiet", "--default-index", &index, "--cache-dir"])
            .arg(temp.join("uv-cache"))
            .current_dir(temp.join("app"))
            .run()
            .ok();
    }
    fs::create_dir_all(temp.join("tmp")).unwrap();
    lockwright_in_forky(temp)
        .args(["build-lock", "app", "--out", "made", "--all-packages"])
        .args(["--python", "/usr/bin/python3.14"])
        .args(args)
        .env("TMPDIR", temp.join("tmp"))
        .env("UV", common::uv())
        .env("UV_DEFAULT_INDEX", index)
        .env("UV_CACHE_DIR", temp.join("uv-cache"))
        .env("UV_NO_SOURCES", "1")
        .run()
}

#[test]
fn what_the_workspace_has_is_not_asked_of_strangers() {
    let temp = Temp::new();
    let server = strangers(&["plug", "aside", "packed", "hosted"]);
    temp.write(
        "app/pyproject.toml",
        "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.11'\n\
         dependencies = ['one', 'two']\n\
         [tool.uv.workspace]\nmembers = ['packages/*']\n\
         [tool.uv.sources]\none = { workspace = true }\ntwo = { workspace = true }\n\
         plug = { workspace = true }\n\
         packed = { path = 'dist/packed-1.0.tar.gz' }\n",
    );
    // By its own table, by the workspace's, and by what it needs in turn.
    let of_one = "[tool.uv.sources]\naside = { path = '../../aside', editable = true }\n\
                  hosted = { index = 'own' }\n[[tool.uv.index]]\nname = 'own'\nurl = '../../files'\n";
    let requires = ", 'plug', 'aside', 'packed', 'hosted'";
    temp.write(
        "app/packages/one/pyproject.toml",
        member("one", requires, of_one),
    );
    temp.write(
        "app/packages/two/pyproject.toml",
        member("two", ", 'plug'", ""),
    );
    temp.write("app/packages/plug/pyproject.toml", member("plug", "", ""));
    temp.write("app/aside/pyproject.toml", member("aside", "", ""));
    let packed = sdist(
        &temp,
        "packed",
        "1.0",
        &[("pyproject.toml", &member("packed", "", ""))],
    );
    fs::create_dir(temp.join("app/dist")).unwrap();
    fs::rename(packed, temp.join("app/dist/packed-1.0.tar.gz")).unwrap();
    let hosted = sdist(
        &temp,
        "hosted",
        "1.0",
        &[("pyproject.toml", &member("hosted", "", ""))],
    );
    let bytes = fs::read(hosted).unwrap();
    let digest = Digest::of(Algorithm::Sha256, &bytes).hex();
    temp.write("app/files/hosted/hosted-1.0.tar.gz", bytes);
    temp.write(
        "app/files/hosted/index.html",
        format!("<a href='hosted-1.0.tar.gz#sha256={digest}'>hosted-1.0.tar.gz</a>"),
    );

    build_lock_beside(&temp, &server, &[]).ok();
    let asked = server.requests();
    let foreign = asked.iter().filter(|request| {
        ["plug", "aside", "packed", "hosted"]
            .iter()
            .any(|name| request.path.contains(name))
    });
    let foreign: Vec<_> = foreign.map(|request| request.path.clone()).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    insta::assert_snapshot!(
        "sources",
        fs::read_to_string(temp.join("made/pyproject.toml")).unwrap()
    );
    let lock = fs::read_to_string(temp.join("made/uv.lock")).unwrap();
    for source in [
        "{ directory = \"../app/packages/plug\" }",
        "{ directory = \"../app/aside\" }",
        "{ path = \"../app/dist/packed-1.0.tar.gz\" }",
        "{ registry = \"../app/files\" }",
    ] {
        assert!(lock.contains(source), "{source}: {lock}");
    }
    // A build lock that has a stranger's is not built with, however it came about.
    let bytes = "what a stranger put there";
    server.put("/plug-1.0-py3-none-any.whl", bytes);
    let index = format!("source = {{ registry = \"{}\" }}\n", server.url("/simple"));
    let wheel = format!(
        "{index}wheels = [\n    {{ url = \"{}\", hash = \"sha256:{}\" }},\n]\n",
        server.url("/plug-1.0-py3-none-any.whl"),
        Digest::of(Algorithm::Sha256, bytes.as_bytes()).hex()
    );
    let all = lock.replace(
        "source = { directory = \"../app/packages/plug\" }\n",
        &wheel,
    );
    temp.write("strange/uv.lock", all);
    fs::copy(
        temp.join("made/pyproject.toml"),
        temp.join("strange/pyproject.toml"),
    )
    .unwrap();
    let ran = sync(
        &temp,
        &["--build-lock", "strange/uv.lock", "--package", "two"],
    )
    .exit(1);
    let said = "plug 1.0, which it takes from { path = \"../plug\" }, and the build lock takes from an index";
    assert!(ran.stderr.contains(said), "{ran}");

    // It is what they are built with.
    let ran = sync(&temp, &["--build-lock", "made/uv.lock", "--package", "two"]).ok();
    assert!(ran.stderr.contains("Built plug 1.0"), "{ran}");
}

#[test]
fn a_source_that_cannot_be_said_elsewhere_is_an_error() {
    let server = strangers(&["plug"]);
    let refused = |one: &str, plug: &str| {
        let temp = Temp::new();
        temp.write(
            "app/pyproject.toml",
            "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.11'\n\
             dependencies = ['one']\n[tool.uv.workspace]\nmembers = ['packages/*']\n\
             [tool.uv.sources]\none = { workspace = true }\n",
        );
        temp.write(
            "app/packages/one/pyproject.toml",
            member("one", ", 'plug'", one),
        );
        temp.write(plug, member("plug", "", ""));
        let ran = build_lock_beside(&temp, &server, &[]).exit(1);
        assert!(!temp.join("made").exists(), "{ran}");
        ran.redacted(&temp)
    };
    // uv refuses the first, too, when it builds the member.
    let said = [
        refused("", "app/packages/plug/pyproject.toml"),
        refused(
            "[tool.uv.sources]\nplug = { workspace = true }\n",
            "plug/pyproject.toml",
        ),
        refused(
            "[tool.uv.sources]\nplug = { index = 'own' }\n",
            "plug/pyproject.toml",
        ),
    ];
    insta::assert_snapshot!("unsaid", said.join("\n"));

    // What an archive has within itself, no lock can name.
    let temp = Temp::new();
    let inner = member("plug", "", "");
    let outer = member(
        "one",
        ", 'plug'",
        "[tool.uv.sources]\nplug = { path = 'plug' }\n",
    );
    let files = [
        ("pyproject.toml", outer.as_str()),
        ("plug/pyproject.toml", &inner),
    ];
    sdist(&temp, "one", "1.0", &files);
    lock_of_sdists(&temp, "app", &[("one", "1.0")]);
    let ran = build_lock_beside(&temp, &server, &[]).exit(1);
    let said = "its source is plug in the archive that it comes from, which no lock can name";
    assert!(ran.stderr.contains(said), "{ran}");
}

#[test]
fn a_commit_s_own_packages_are_had_from_the_commit() {
    let temp = Temp::new();
    let server = strangers(&["plug"]);
    temp.write(
        "repository/pyproject.toml",
        "[tool.uv.workspace]\nmembers = ['*']\n[tool.uv.sources]\nplug = { workspace = true }\n",
    );
    temp.write(
        "repository/one/pyproject.toml",
        member("one", ", 'plug'", ""),
    );
    temp.write("repository/plug/pyproject.toml", member("plug", "", ""));
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(temp.join("repository")).args([
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y.example",
        ]);
        git.args(args).run().ok().stdout
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "all"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let url = format!("file://{}", temp.join("repository"));
    temp.write(
        "app/pyproject.toml",
        format!(
            "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.11'\ndependencies = ['one']\n\
             [tool.uv.sources]\none = {{ git = '{url}', subdirectory = 'one' }}\n"
        ),
    );
    build_lock_beside(&temp, &server, &[]).ok();
    let asked = server.requests();
    assert!(!asked.iter().any(|request| request.path.contains("plug")));
    let lock = fs::read_to_string(temp.join("made/uv.lock")).unwrap();
    let commit = commit.trim();
    let source = format!("{url}?subdirectory=plug&rev={commit}#{commit}");
    assert!(lock.contains(&source), "{source}: {lock}");
    sync(&temp, &["--build-lock", "made/uv.lock"]).ok();
}

#[test]
fn a_project_among_the_members_of_a_workspace_is_refused() {
    let temp = Temp::new();
    sources(&temp);
    temp.write(
        "pyproject.toml",
        "[project]\nname = 'whole'\nversion = '0'\n[tool.uv.workspace]\nmembers = ['m*']\n",
    );
    let ran = build_lock_of(&temp, &[]).exit(1);
    assert!(
        ran.stderr.contains("would be a member of the workspace in"),
        "{ran}"
    );
}
