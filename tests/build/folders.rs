//! Folders of this machine: the workspace's members, in place and as ordinary packages, by every back
//! end that people use; and commits.

use std::fs;

use super::*;

/// `(name, requires, back end, more of its pyproject.toml)`
const BACKENDS: [(&str, &str, &str, &str); 6] = [
    ("one-hatch", "hatchling", "hatchling.build", ""),
    ("one-flit", "flit_core>=3.2", "flit_core.buildapi", ""),
    (
        "one-poetry",
        "poetry-core>=2",
        "poetry.core.masonry.api",
        "",
    ),
    (
        "one-uv",
        "uv_build>=0.9",
        "uv_build",
        "[tool.uv.build-backend]\nmodule-root = ''\n",
    ),
    ("one-setup", "setuptools>=64", "setuptools.build_meta", ""),
    ("one-legacy", "", "", ""),
];

/// A workspace of one member for each back end, locked by uv.
fn workspace(temp: &Temp) -> Utf8PathBuf {
    let mut members = String::new();
    let mut sources = String::new();
    for (name, requires, backend, more) in BACKENDS {
        let module = name.replace('-', "_");
        let description = format!(
            "[project]\nname = '{name}'\nversion = '1.2'\ndescription = 'one'\nrequires-python = '>=3.9'\n\
             [project.scripts]\n{name} = '{module}:main'\n"
        );
        let system = format!(
            "[build-system]\nrequires = ['{requires}']\nbuild-backend = '{backend}'\n{more}"
        );
        let text = match backend {
            "" => description,
            _ => format!("{description}{system}"),
        };
        temp.write(&format!("app/{name}/pyproject.toml"), text);
        temp.write(
            &format!("app/{name}/{module}/__init__.py"),
            format!("def main():\n    print('{name}')\n"),
        );
        temp.write(&format!("app/{name}/{module}/data.txt"), "data");
        members.push_str(&format!("'{name}', "));
        sources.push_str(&format!("{name} = {{ workspace = true }}\n"));
    }
    temp.write(
        "app/pyproject.toml",
        format!(
            "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.9'\ndependencies = [{members}]\n\
             [tool.uv.workspace]\nmembers = [{members}]\n[tool.uv.sources]\n{sources}"
        ),
    );
    common::sources::uv_lock(temp, &temp.join("app"));
    let groups: String = BACKENDS
        .iter()
        .map(|(name, requires, ..)| {
            let requires = match *requires {
                "" => "setuptools>=40.8.0",
                requires => requires,
            };
            let editables = if *requires == *"hatchling" {
                ", 'editables~=0.3'"
            } else {
                ""
            };
            format!("{name} = ['{requires}'{editables}]\n")
        })
        .collect();
    build_lock(temp, &groups, "")
}

const RUN_ALL: &str = "import importlib, importlib.metadata as m, json\n\
    for name in ('one-hatch', 'one-flit', 'one-poetry', 'one-uv', 'one-setup', 'one-legacy'):\n\
    \x20   module = importlib.import_module(name.replace('-', '_'))\n\
    \x20   url = json.loads(m.distribution(name).read_text('direct_url.json'))\n\
    \x20   print(module.__file__, m.version(name), url['dir_info'], end=' '); module.main()\n";

#[test]
fn members_are_used_in_place_by_every_back_end() {
    let temp = Temp::new();
    let lock = workspace(&temp);
    let builds = ["--build-lock", lock.as_str()];
    sync(&temp, &builds).ok();
    let ran = python(&temp.join("app/.venv"), RUN_ALL).replace(temp.path().as_str(), "[TEMP]");
    insta::assert_snapshot!("editable", ran);
    for (name, ..) in BACKENDS {
        let script = temp.join("app/.venv/bin").join(name);
        let ran = Command::new(in_forky()).arg(script).run().ok();
        assert_eq!(ran.stdout, format!("{name}\n"));
    }
    assert!(is_empty(&temp.join("tmp")));

    // What is used in place may change without being built again.
    temp.write(
        "app/one-hatch/one_hatch/__init__.py",
        "def main():\n    print('changed')\n",
    );
    let ran = sync(&temp, &builds).ok();
    assert!(ran.stderr.contains("is up to date"), "{ran}");
    assert!(python(&temp.join("app/.venv"), RUN_ALL).contains("changed"));
    // What its wheel says may not.
    let project = temp.join("app/one-hatch/pyproject.toml");
    let text = fs::read_to_string(&project)
        .unwrap()
        .replace("'one'", "'another'");
    fs::write(&project, text).unwrap();
    let ran = sync(&temp, &builds).ok();
    assert!(ran.stderr.contains("Placed"), "{ran}");
    assert!(!ran.stderr.contains("Building"), "{ran}");
}

#[test]
fn without_editable_they_are_ordinary_packages() {
    let temp = Temp::new();
    let lock = workspace(&temp);
    let builds = ["--build-lock", lock.as_str(), "--no-editable"];
    sync(&temp, &builds).ok();
    let ran = python(&temp.join("app/.venv"), RUN_ALL).replace(temp.path().as_str(), "[TEMP]");
    insta::assert_snapshot!("not_editable", ran);
    // The folders themselves are as they were.
    for (name, ..) in BACKENDS {
        let there: Vec<String> = temp
            .join("app")
            .join(name)
            .read_dir_utf8()
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        assert_eq!(there.len(), 2, "{there:?}");
    }
    let ran = sync(&temp, &builds).ok();
    assert!(ran.stderr.contains("is up to date"), "{ran}");
    // What is plain needs no build, and is written again.
    temp.write("app/one-flit/one_flit/data.txt", "other data");
    let ran = sync(&temp, &builds).ok();
    assert!(!ran.stderr.contains("Building"), "{ran}");
    let read = "import pathlib, one_flit; print(pathlib.Path(one_flit.__file__).with_name('data.txt').read_text())";
    assert_eq!(python(&temp.join("app/.venv"), read), "other data\n");
    temp.write(
        "app/one-setup/one_setup/__init__.py",
        "def main():\n    print('other')\n",
    );
    let ran = sync(&temp, &builds).ok();
    assert!(ran.stderr.contains("Building one-setup 1.2"), "{ran}");
    assert_eq!(ran.stderr.matches("Building").count(), 1, "{ran}");
}

#[test]
fn modules_compiled_in_place_are_there_after_the_folder_was_cleaned() {
    let temp = Temp::new();
    for (name, text) in NATIVE {
        temp.write(&format!("app/native/{name}"), text);
    }
    temp.write(
        "app/pyproject.toml",
        "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.9'\ndependencies = ['native']\n\
         [tool.uv.sources]\nnative = { path = 'native', editable = true }\n",
    );
    common::sources::uv_lock(&temp, &temp.join("app"));
    let lock = build_lock(&temp, "native = ['setuptools']", "");
    let builds = [
        "--build-lock",
        lock.as_str(),
        "--build-env",
        "native:CFLAGS=-DANSWER=44",
    ];
    let answer = || {
        python(
            &temp.join("app/.venv"),
            "import native; print(native.answer())",
        )
    };
    sync(&temp, &builds).ok();
    assert_eq!(answer(), "44\n");
    sync(&temp, &builds).ok();
    for entry in temp.join("app/native").read_dir_utf8().unwrap().flatten() {
        if entry.file_name().ends_with(".so") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let _ = fs::remove_dir_all(temp.join("app/native/build"));
    let _ = fs::remove_dir_all(temp.join("app/native/native.egg-info"));
    sync(&temp, &builds).ok();
    assert_eq!(answer(), "44\n");
}

/// A repository with a commit of these files; the commit.
fn repository(
    folder: &Utf8Path,
    files: &[(&str, &str)],
    more: impl Fn(&dyn Fn(&[&str]) -> String),
) -> String {
    fs::create_dir_all(folder).unwrap();
    let git = |args: &[&str]| {
        let ran = Command::new("git")
            .args([
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@x.example",
                "-c",
                "protocol.file.allow=always",
            ])
            .args(args)
            .current_dir(folder)
            .run();
        ran.ok().stdout.trim().to_owned()
    };
    git(&["init", "--quiet"]);
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    more(&git);
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "x"]);
    git(&["rev-parse", "HEAD"])
}

#[test]
fn a_commit_is_built_from_a_clone_with_its_submodules_and_subdirectory() {
    let temp = Temp::new();
    let inner = temp.join("mirror/inner");
    repository(&inner, &[("inner.py", "VALUE = 'inner'\n")], |_| {});
    let outer = temp.join("mirror/outer");
    let setup = "from setuptools import setup\nsetup(name='pure', version='1.0', packages=['pure', 'pure.sub'])\n";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    let files = [
        ("python/setup.py", setup),
        ("python/pure/__init__.py", "VALUE = 1\n"),
        ("python/pure/model.bin", pointer),
    ];
    let commit = repository(&outer, &files, |git| {
        git(&["submodule", "add", "--quiet", "../inner", "python/pure/sub"]);
    });
    let url = "https://forge.example/outer";
    temp.write(
        "app/uv.lock",
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"pure\" }}]\n\n[[package]]\nname = \"pure\"\n\
             version = \"1.0\"\nsource = {{ git = \"{url}?subdirectory=python&rev=main#{commit}\" }}\n"
        ),
    );
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let mirror = format!("https://forge.example/={}/", temp.join("mirror"));
    let builds = ["--build-lock", lock.as_str(), "--mirror", &mirror];
    let ran = sync(&temp, &builds).ok();
    let warned = "pure 1.0 has files that are only pointers to what Git LFS keeps, and are built as such: python/pure/model.bin";
    assert!(ran.stderr.contains(warned), "{ran}");
    let seen = python(
        &temp.join("app/.venv"),
        "import pure.sub.inner as i; print(i.VALUE)",
    );
    assert_eq!(seen, "inner\n");

    // The tree is in the store: neither the clone nor a build is needed again.
    fs::remove_dir_all(temp.join("mirror")).unwrap();
    let again = [&builds[..], &["--offline", "--out", "other"]].concat();
    let ran = sync(&temp, &again).ok();
    assert!(ran.stderr.contains("1 from the store"), "{ran}");

    let lock_text = fs::read_to_string(temp.join("app/uv.lock")).unwrap();
    temp.write(
        "app/uv.lock",
        lock_text.replace("subdirectory=python", "subdirectory=rust"),
    );
    let ran = sync(&temp, &[&builds[..], &["--offline"]].concat()).exit(1);
    assert!(
        ran.stderr
            .contains("its subdirectory rust is not a folder of"),
        "{ran}"
    );
}
