//! Locks, manifests and settings.

use camino::Utf8Path;
use lockwright::decide::lock::npm::NpmLock;
use lockwright::decide::lock::npmrc::Npmrc;
use lockwright::decide::lock::pyproject::Pyproject;
use lockwright::decide::lock::uv::UvLock;
use lockwright::decide::manifest::Manifest;
use lockwright::decide::plan::npm::{NpmPlan, NpmSelection};
use lockwright::decide::target::node::NodeTarget;

use super::Row;

const UV: &str = "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
    source = { virtual = \".\" }\ndependencies = [{ name = \"x\" }]\n\n[[package]]\nname = \"x\"\nversion = \"1.0\"\n\
    source = { registry = \"https://pypi.example/simple\" }\n\
    wheels = [{ url = \"https://files.example/x-1.0-py3-none-any.whl\", hash = \"sha256:HEX\", size = 5 }]\n";

fn hex() -> String {
    "0".repeat(64)
}

fn uv(text: &str) -> Result<String, String> {
    let text = text.replace("HEX", &hex());
    let lock = UvLock::parse(&text, Utf8Path::new("uv.lock"));
    lock.map(|_| "read".to_owned())
        .map_err(|error| error.to_string())
}

const PYLOCK: &str = "lock-version = \"1.0\"\ncreated-by = \"x\"\n\n[[packages]]\nname = \"x\"\nversion = \"1.0\"\n\
    wheels = [{ url = \"https://files.example/x-1.0-py3-none-any.whl\", hashes = { sha256 = \"HEX\" } }]\n";

fn pylock(text: &str) -> Result<String, String> {
    let text = text.replace("HEX", &hex());
    let lock = UvLock::parse(&text, Utf8Path::new("pylock.toml"));
    lock.map(|_| "read".to_owned())
        .map_err(|error| error.to_string())
}

const NPM: &str = r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {
"": {"name": "app", "version": "1.0.0", "dependencies": {"x": "1.0.0"}},
"node_modules/x": {"version": "1.0.0", "resolved": "https://registry.example/x-1.0.0.tgz", "integrity": "sha512-HASH=="}}}"#;

pub const ABOUT: &str = r#"{"name": "app", "version": "1.0.0", "dependencies": {"x": "1.0.0"}}"#;

fn npm(text: &str) -> Result<String, String> {
    let text = text.replace("HASH", &"A".repeat(86));
    let held = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(held.path()).unwrap();
    std::fs::write(folder.join("package.json"), ABOUT).unwrap();
    let file = folder.join("package-lock.json");
    let plain = |text: String| text.replace(folder.as_str(), "");
    let lock = NpmLock::parse(&file, &text).map_err(|error| plain(error.to_string()))?;
    let plan = NpmPlan::new(
        &lock,
        &NodeTarget::host(),
        &NpmSelection::default(),
        &Npmrc::default(),
    );
    plan.map(|plan| format!("planned, with {} programs", plan.bins.len()))
        .map_err(|error| plain(error.to_string()))
}

fn manifest(text: &str) -> Result<String, String> {
    let read = Manifest::parse(text, Utf8Path::new("lockwright.toml"));
    read.map(|_| "read".to_owned())
        .map_err(|error| error.to_string())
}

fn pyproject(text: &str) -> Result<String, String> {
    let read = Pyproject::parse(text, Utf8Path::new("pyproject.toml"));
    let read = read.map_err(|error| error.to_string())?;
    let lock = UvLock::parse(&UV.replace("HEX", &hex()), Utf8Path::new("uv.lock")).unwrap();
    lock.differences(&read);
    Ok("read".to_owned())
}

pub fn rows() -> Vec<Row> {
    uv(UV).unwrap();
    npm(NPM).unwrap();
    let mut rows = Vec::new();
    let mut row = |format: &'static str, case: &str, known, said, files: &[(&str, &str)]| {
        // As whoever reads the lock is given it.
        let whole = |text: &str| text.replace("HEX", &hex()).replace("HASH", &"A".repeat(86));
        let files = files.iter();
        rows.push(Row {
            format,
            case: case.to_owned(),
            known,
            said,
            files: files
                .map(|(name, text)| ((*name).to_owned(), whole(text).into_bytes()))
                .collect(),
        });
    };
    let project = "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.9\"\ndependencies = [\"x\"]\n";
    for (case, known, from, to) in [
        ("no version", "", "version = 1\n", ""),
        (
            "a version of the future",
            "",
            "version = 1\n",
            "version = 2\n",
        ),
        ("a digest that is too short", "", "sha256:HEX", "sha256:00"),
        (
            "a digest that is no hexadecimal",
            "",
            "sha256:HEX",
            "sha256:zz",
        ),
        (
            "a digest of a kind that nobody knows",
            "",
            "sha256:HEX",
            "crc32:00000000",
        ),
        ("a size below zero", "", "size = 5", "size = -5"),
        (
            "a wheel's name that is a path",
            "CVE-2026-1703",
            "x-1.0-py3-none-any.whl",
            "..%2f..%2fplanted.whl",
        ),
        (
            "another package's wheel",
            "",
            "x-1.0-py3-none-any.whl",
            "y-1.0-py3-none-any.whl",
        ),
        (
            "another version's wheel",
            "",
            "x-1.0-py3-none-any.whl",
            "x-2.0-py3-none-any.whl",
        ),
        (
            "a URL that is none",
            "",
            "https://files.example/",
            "https://[/",
        ),
        (
            "an escape sequence in a URL",
            "",
            "https://files.example/",
            "https://files.example/\\u001b[2J",
        ),
        (
            "a name that is none",
            "",
            "name = \"x\"\nversion",
            "name = \"../x\"\nversion",
        ),
        (
            "a version that is none",
            "",
            "version = \"1.0\"",
            "version = \"one\"",
        ),
        (
            "a dependency that is not there",
            "",
            "{ name = \"x\" }",
            "{ name = \"y\" }",
        ),
        (
            "a marker without an end",
            "",
            "{ name = \"x\" }",
            "{ name = \"x\", marker = \"python_version < \" }",
        ),
        (
            "a marker of a thousand brackets",
            "",
            "{ name = \"x\" }",
            "{ name = \"x\", marker = \"MANY\" }",
        ),
        (
            "two packages of one name and version",
            "",
            "[[package]]\nname = \"x\"",
            "[[package]]\nname = \"x\"\nversion = \"1.0\"\nsource = { registry = \"https://pypi.example/simple\" }\n\n[[package]]\nname = \"x\"",
        ),
        (
            "a source of two kinds",
            "",
            "source = { virtual = \".\" }",
            "source = { virtual = \".\", git = \"https://git.example/x\" }",
        ),
        (
            "a source of no kind",
            "",
            "source = { virtual = \".\" }",
            "source = { }",
        ),
        (
            "a commit that is an option",
            "CVE-2023-5752, CVE-2018-17456",
            "source = { registry = \"https://pypi.example/simple\" }",
            "source = { git = \"https://git.example/x#--upload-pack=touch planted\" }",
        ),
        (
            "a repository without a commit",
            "",
            "source = { registry = \"https://pypi.example/simple\" }",
            "source = { git = \"https://git.example/x\" }",
        ),
        (
            "text in the place of a table",
            "",
            "wheels = [",
            "wheels = [ \"x\", ",
        ),
        (
            "a key that appears twice",
            "",
            "version = \"1.0\"\n",
            "version = \"1.0\"\nversion = \"1.0\"\n",
        ),
        ("a table without an end", "", "[[package]]", "[[package"),
    ] {
        let text = UV.replacen(from, to, 1).replace("MANY", &"(".repeat(1000));
        assert_ne!(text, UV, "{case}");
        let files = [("uv.lock", &*text), ("pyproject.toml", project)];
        row("uv.lock", case, known, uv(&text), &files);
    }
    pylock(PYLOCK).unwrap();
    let wheels = "wheels = [{ url = \"https://files.example/x-1.0-py3-none-any.whl\", hashes = { sha256 = \"HEX\" } }]";
    for (case, known, from, to) in [
        ("a version of the future", "", "\"1.0\"", "\"2.0\""),
        ("a digest that is too short", "", "HEX", "00"),
        (
            "a digest of a kind that nobody knows",
            "",
            "sha256",
            "crc32",
        ),
        (
            "a wheel's name that is a path",
            "CVE-2026-1703",
            "{ url",
            "{ name = \"../../planted.whl\", url",
        ),
        ("another package's wheel", "", "x-1.0-py3", "y-1.0-py3"),
        ("another version's wheel", "", "x-1.0-py3", "x-2.0-py3"),
        ("no file", "", wheels, ""),
        (
            "a source of two kinds",
            "",
            "wheels =",
            "directory = { path = \".\" }\nwheels =",
        ),
        (
            "a commit that is an option",
            "CVE-2023-5752, CVE-2018-17456",
            wheels,
            "vcs = { type = \"git\", url = \"https://git.example/x\", commit-id = \"--upload-pack=touch planted\" }",
        ),
        (
            "an archive's folder that leads outside",
            "",
            wheels,
            "archive = { url = \"https://files.example/x.zip\", subdirectory = \"../..\", hashes = { sha256 = \"HEX\" } }",
        ),
        (
            "a marker of a thousand brackets",
            "",
            "wheels =",
            "marker = \"MANYos_name == 'x'\"\nwheels =",
        ),
    ] {
        let text = PYLOCK.replacen(from, to, 1);
        let text = text.replace("MANY", &"(".repeat(1000));
        assert_ne!(text, PYLOCK, "{case}");
        row(
            "pylock.toml",
            case,
            known,
            pylock(&text),
            &[("pylock.toml", &text)],
        );
    }
    for (case, known, from, to) in [
        (
            "a version of the future",
            "",
            "\"lockfileVersion\": 3",
            "\"lockfileVersion\": 9",
        ),
        ("no packages", "", "\"packages\"", "\"other\""),
        (
            "a place that leads up",
            "CVE-2026-50016, CVE-2026-82392, GHSA-fr4h-3cph-29xv",
            "node_modules/x",
            "node_modules/../../planted",
        ),
        ("an absolute place", "", "node_modules/x", "/planted"),
        (
            "a place that leads up and is a folder's",
            "CVE-2026-24056",
            "\"node_modules/x\"",
            "\"../planted\"",
        ),
        (
            "a place with backslashes",
            "CVE-2026-23889",
            "node_modules/x",
            "node_modules/..\\\\..\\\\planted",
        ),
        (
            "a place with a line end",
            "",
            "node_modules/x",
            "node_modules/x\\ny",
        ),
        (
            "a place in .bin",
            "GHSA-fr4h-3cph-29xv",
            "node_modules/x",
            "node_modules/.bin",
        ),
        (
            "an integrity that is none",
            "",
            "sha512-HASH==",
            "sha512-AA",
        ),
        (
            "an integrity of a kind that nobody knows",
            "",
            "sha512-",
            "sha9-",
        ),
        (
            "a commit that is an option",
            "CVE-2023-5752, CVE-2026-50014",
            "https://registry.example/x-1.0.0.tgz",
            "git+https://git.example/x#--upload-pack=planted",
        ),
        (
            "a file outside of the project",
            "CVE-2026-24056",
            "https://registry.example/x-1.0.0.tgz",
            "file:../../../etc/passwd",
        ),
        (
            "a link outside of the project",
            "CVE-2026-24056",
            "\"version\": \"1.0.0\", \"resolved\": \"https://registry.example/x-1.0.0.tgz\"",
            "\"link\": true, \"resolved\": \"../../planted\"",
        ),
        (
            "a link to an absolute path",
            "",
            "\"version\": \"1.0.0\", \"resolved\": \"https://registry.example/x-1.0.0.tgz\"",
            "\"link\": true, \"resolved\": \"/etc\"",
        ),
        (
            "a program outside of its package",
            "CVE-2019-16776, CVE-2026-24131",
            "\"resolved\"",
            "\"bin\": {\"x\": \"../../../planted\"}, \"resolved\"",
        ),
        (
            "a program whose name is a path",
            "CVE-2019-16775, CVE-2026-23890",
            "\"resolved\"",
            "\"bin\": {\"../../planted\": \"x.js\"}, \"resolved\"",
        ),
        (
            "a program whose name is the folder above",
            "CVE-2026-55699",
            "\"resolved\"",
            "\"bin\": {\"..\": \"x.js\"}, \"resolved\"",
        ),
        (
            "a program that is the folder above",
            "CVE-2026-24131",
            "\"resolved\"",
            "\"bin\": {\"x\": \"..\"}, \"resolved\"",
        ),
        (
            "no digest",
            "CVE-2025-69263, CVE-2026-48995, CVE-2026-50021",
            ", \"integrity\": \"sha512-HASH==\"",
            "",
        ),
        (
            "a place that is npm's own file",
            "GHSA-fr4h-3cph-29xv",
            "node_modules/x",
            "node_modules/.package-lock.json",
        ),
        (
            "a program that is no text",
            "",
            "\"resolved\"",
            "\"bin\": 5, \"resolved\"",
        ),
        (
            "an entry that is no table",
            "",
            "\"packages\": {",
            "\"packages\": {\"node_modules/y\": 5, ",
        ),
        (
            "a version that is none",
            "",
            "\"node_modules/x\": {\"version\": \"1.0.0\"",
            "\"node_modules/x\": {\"version\": \"one\"",
        ),
        (
            "another version than package.json asks for",
            "",
            "\"node_modules/x\": {\"version\": \"1.0.0\"",
            "\"node_modules/x\": {\"version\": \"2.0.0\"",
        ),
        (
            "what is asked for is not there",
            "",
            "node_modules/x",
            "node_modules/y",
        ),
        ("a comma too many", "", "}}}", "},}}"),
    ] {
        let text = NPM.replacen(from, to, 1);
        assert_ne!(text, NPM, "{case}");
        let files = [("package-lock.json", &*text), ("package.json", ABOUT)];
        row("package-lock.json", case, known, npm(&text), &files);
    }
    let brackets = "[".repeat(100_000);
    let files = [("package-lock.json", &*brackets), ("package.json", ABOUT)];
    row(
        "package-lock.json",
        "a hundred thousand brackets",
        "",
        npm(&brackets),
        &files,
    );
    let base = "name = \"app\"\n[sources.x]\npath = \".\"\n[component.app]\n";
    for (case, text) in [
        ("a component whose name is a path", "name = \"app\"\n[component.\"../app\"]\n".to_owned()),
        ("a source whose name is a path", "name = \"app\"\n[sources.\"../x\"]\npath = \".\"\n[component.app]\n".into()),
        ("a copy that leads up", format!("{base}copy = [{{ from = \"{{source:x}}/a\", to = \"../planted\" }}]\n")),
        ("a copy to an absolute path", format!("{base}copy = [{{ from = \"{{source:x}}/a\", to = \"/planted\" }}]\n")),
        ("a placeholder that nobody knows", format!("{base}copy = [{{ from = \"{{env:HOME}}\", to = \"a\" }}]\n")),
        ("a placeholder without an end", format!("{base}copy = [{{ from = \"{{source:x\", to = \"a\" }}]\n")),
        ("a key that nobody knows", format!("{base}shell = \"rm -rf /\"\n")),
        ("components that need each other", "name = \"app\"\n[component.a]\nbase = \"{component:b}\"\n[component.b]\nbase = \"{component:a}\"\n".into()),
        ("a component that is not there", format!("{base}base = \"{{component:other}}\"\n")),
        ("a hash that is none", "name = \"app\"\n[sources.x]\ngit = \"https://git.example/x\"\nrev = \"1\"\nhash = \"sha256-AA\"\n[component.app]\n".into()),
        ("text where a list belongs", format!("{base}copy = \"a\"\n")),
    ] {
        row("lockwright.toml", case, "", manifest(&text), &[]);
    }
    let each = |what: &dyn Fn(u32) -> String, by| (0..40).map(what).collect::<Vec<_>>().join(by);
    let apart = each(&|number| format!("extra == 'a{number}'"), " and ");
    let pairs = each(
        &|number| format!("extra == 'a{number}' and extra == 'b{number}'"),
        " or ",
    );
    let enormous = format!(
        "[project]\nname = \"x\"\nversion = \"0\"\ndependencies = [\"y; {apart} or {pairs}\"]\n"
    );
    for (case, text) in [
        ("a table without an end", "[project\nname = \"x\"\n"),
        ("text where a table belongs", "project = \"x\"\n"),
        ("a marker with a way for each choice of forty", &*enormous),
    ] {
        row(
            "pyproject.toml",
            case,
            "",
            pyproject(text),
            &[("pyproject.toml", text)],
        );
    }
    rows
}
