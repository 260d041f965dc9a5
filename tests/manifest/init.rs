//! `lockwright init` of projects as people have them: what is drafted can be made as it stands.

use std::fs;

use lockwright::core::digest::{Algorithm, Digest};
use serde_json::json;

use super::*;

fn lockwright_in(temp: &Temp, args: &[&str]) -> Ran {
    let node = common::node();
    let path = std::env::var("PATH").unwrap();
    lockwright(temp)
        .args(args)
        .current_dir(temp.join("app"))
        .env("PATH", format!("{}:{path}", node.parent().unwrap()))
        .run()
}

/// An npm package of two files, as a tarball in the project.
fn vite(temp: &Temp) -> String {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, text) in [
        ("package.json", r#"{"name": "vite", "version": "7.0.0"}"#),
        (
            "bin/vite.js",
            "const fs = require('fs');\nif (process.argv[2] !== 'build') process.exit(1);\n\
             fs.mkdirSync('static');\nfs.writeFileSync('static/index.html', fs.readFileSync('index.html'));\n",
        ),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("package/{name}"), text.as_bytes())
            .unwrap();
    }
    let bytes = common::sources::gzip(&tar.into_inner().unwrap());
    temp.write("app/web/vite.tgz", &bytes);
    Digest::of(Algorithm::Sha512, &bytes).sri()
}

#[test]
fn a_plain_application_and_a_vite_lock_are_drafted_and_made() {
    let temp = Temp::new();
    let uv = "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"shop\"\nversion = \"1\"\n\
              source = { virtual = \".\" }\n";
    temp.write("app/uv.lock", uv);
    temp.write(
        "app/pyproject.toml",
        "[project]\nname = \"shop\"\nversion = \"1\"\nrequires-python = \">=3.9\"\n",
    );
    temp.write("app/main.py", "import goods\nprint(goods.__name__)\n");
    temp.write("app/goods/__init__.py", "");
    temp.write("app/tests/__init__.py", "");
    temp.write("app/test_main.py", "");
    let integrity = vite(&temp);
    let root = json!({ "name": "web", "version": "1.0.0", "scripts": { "build": "tsc -b && vite build" },
        "devDependencies": { "vite": "file:vite.tgz" } });
    let entry = json!({ "version": "7.0.0", "resolved": "file:vite.tgz", "integrity": integrity, "dev": true });
    let lock = json!({ "name": "web", "lockfileVersion": 3, "packages": { "": root, "node_modules/vite": entry } });
    temp.write("app/web/package.json", root.to_string());
    temp.write("app/web/package-lock.json", lock.to_string());
    temp.write(
        "app/web/vite.config.ts",
        "export default { build: { outDir: 'static' } }\n",
    );
    temp.write("app/web/index.html", "<p>there</p>\n");
    lockwright_in(&temp, &["init"]).ok();
    let file = temp.join("app/lockwright.toml");
    let drafted = fs::read_to_string(&file).unwrap();
    for line in [
        "  { from = \"{source:app}/main.py\", to = \"{site}/main.py\" },",
        "  { from = \"{source:app}/goods\", to = \"{site}/goods\" },",
        "wrap.\"shop\" = { exec = [\"{prefix}/bin/python\", \"-m\", \"main\"] }",
        "[component.web-ui]",
    ] {
        assert!(drafted.contains(line), "{line}: {drafted}");
    }
    assert!(!drafted.contains("test"), "{drafted}");
    let version = run(
        common::python(),
        ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
    );
    let python = format!("python = \"{}\"", version.trim());
    fs::write(&file, drafted.replace("python = \"3.9\"", &python)).unwrap();
    let python = common::python();
    let out = temp.join("out");
    let build = [
        "build",
        "python",
        "web-ui",
        "--out",
        out.as_str(),
        "--python",
        python.as_str(),
    ];
    lockwright_in(&temp, &build).ok();
    assert_eq!(run(out.join("python/bin/shop"), [""; 0]), "goods\n");
    let page = fs::read_to_string(out.join("web-ui/index.html")).unwrap();
    assert_eq!(page, "<p>there</p>\n");
}

#[test]
fn other_tools_locks_are_told_what_they_are() {
    let temp = Temp::new();
    for (lock, said) in [
        ("poetry.lock", "is Poetry's"),
        ("requirements.txt", "is a list of requirements"),
        ("yarn.lock", "npm install --package-lock-only"),
        ("pnpm-lock.yaml", "is pnpm's"),
    ] {
        temp.write(&format!("{lock}/{lock}"), "");
        for command in ["init", "sync", "complete"] {
            let mut of = lockwright(&temp);
            let ran = of.args([command, lock]).run().exit(1).stderr;
            assert!(ran.contains(said), "{command} {lock}: {ran}");
        }
    }
}
