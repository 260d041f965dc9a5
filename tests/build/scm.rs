//! Commits whose back ends ask git: for the files that are theirs, and for the version. uv is the oracle.

use super::*;

/// A repository with a package and its data: a tag, and a commit after it. Returns its URL and the commit.
fn repository(temp: &Temp, name: &str, files: &[(&str, &str)]) -> (String, String) {
    let folder = temp.join(name);
    let git = |args: &[&str]| {
        let ran = Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
            .args(["-c", "commit.gpgSign=false"])
            .args(args)
            .current_dir(&folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .run();
        ran.ok().stdout.trim().to_owned()
    };
    let write = |path: &str, text: &str| temp.write(&format!("{name}/{path}"), text);
    for (path, text) in files {
        write(path, text);
    }
    write("pkg/__init__.py", "");
    write("pkg/deep/data.txt", "data");
    write("pkg/schema.json", "{}");
    write("pkg/crlf.txt", "a\nb\n");
    write("pkg/kept.out", "tracked, though ignored");
    write(".gitignore", "*.out\n*.pyc\n");
    write(".gitattributes", "crlf.txt text eol=crlf\n");
    git(&["init", "--quiet"]);
    git(&["add", "-A"]);
    git(&["add", "--force", "pkg/kept.out"]);
    git(&["commit", "--quiet", "-m", "first"]);
    git(&["tag", "-a", "-m", "t", "v1.2.0"]);
    write("pkg/late.json", "{}");
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "sécond"]);
    (format!("file://{folder}"), git(&["rev-parse", "HEAD"]))
}

/// What is installed of the package: its files, and its version.
fn installed(environment: &Utf8Path) -> Vec<String> {
    let lib = environment.join("lib");
    let python = lib.read_dir_utf8().unwrap().next().unwrap().unwrap();
    let site = python.path().join("site-packages");
    let mut all = Vec::new();
    let mut folders = vec![site.clone()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(&site).unwrap().to_owned();
            let is_ours = path.starts_with("pkg") || path.as_str().starts_with("pkg-");
            if entry.file_type().unwrap().is_dir() && is_ours {
                folders.push(entry.path().to_owned());
            } else if path.starts_with("pkg") && path.extension() != Some("pyc") {
                all.push(format!(
                    "{path} {:?}",
                    fs::read_to_string(entry.path()).unwrap()
                ));
            } else if path.as_str().ends_with(".dist-info/METADATA") && is_ours {
                let text = fs::read_to_string(entry.path()).unwrap();
                all.extend(
                    text.lines()
                        .find(|line| line.starts_with("Version: "))
                        .map(str::to_owned),
                );
            }
        }
    }
    all.sort();
    all
}

/// A project that depends on the commit, locked and synced by uv; lockwright's beside it.
fn both(name: &str, group: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let temp = Temp::new();
    let (url, commit) = repository(&temp, name, files);
    temp.write(
        "app/pyproject.toml",
        format!(
            "[project]\nname = \"app\"\nversion = \"0\"\nrequires-python = \">=3.11\"\ndependencies = [\"pkg\"]\n\n\
             [tool.uv]\npackage = false\n\n[tool.uv.sources]\npkg = {{ git = \"{url}\", rev = \"{commit}\" }}\n"
        ),
    );
    let uv = |args: &[&str]| {
        let ran = Command::new(common::uv())
            .args(args)
            .arg("--default-index")
            .arg(common::backends().join("simple"))
            .args(["--quiet", "--python", common::python().as_str()])
            .arg("--cache-dir")
            .arg(temp.join("uv-cache"))
            .env("UV_PROJECT_ENVIRONMENT", temp.join("by-uv"))
            .current_dir(temp.join("app"))
            .run();
        ran.ok();
    };
    uv(&["lock"]);
    uv(&["sync", "--frozen"]);
    let lock = build_lock(&temp, &format!("pkg = [{group}]"), "");
    sync(
        &temp,
        &[
            "--build-lock",
            lock.as_str(),
            "--sandbox=require",
            "--out",
            "ours",
        ],
    )
    .ok();
    (
        installed(&temp.join("ours")),
        installed(&temp.join("by-uv")),
    )
}

/// Ours are uv's, and there is a version that git alone could have told. `more` is pyproject.toml besides the name.
fn same(name: &str, group: &str, pyproject: &str, more: &[(&str, &str)]) -> Vec<String> {
    let files = [&[("pyproject.toml", pyproject)], more].concat();
    let (ours, theirs) = both(name, group, &files);
    let version = |line: &String| line.starts_with("Version: 1.2");
    assert!(theirs.iter().any(version), "{name}: {theirs:#?}");
    // setuptools-scm writes down which commit it was, unless it is given the version.
    let known = |lines: &[String]| {
        let lines = lines.iter();
        let lines = lines.filter(|line| !line.starts_with("pkg/_version.py"));
        lines.cloned().collect::<Vec<_>>()
    };
    assert_eq!(known(&ours), known(&theirs), "{name}");
    ours
}

fn setuptools(requires: &str, more: &str) -> String {
    format!(
        "[build-system]\nrequires = ['setuptools', {requires}]\nbuild-backend = 'setuptools.build_meta'\n\
         [project]\nname = 'pkg'\ndynamic = ['version']\n[tool.setuptools]\npackages = ['pkg']\n{more}\n"
    )
}

fn hatchling(requires: &str, source: &str) -> String {
    format!(
        "[build-system]\nrequires = ['hatchling', {requires}]\nbuild-backend = 'hatchling.build'\n\
         [project]\nname = 'pkg'\ndynamic = ['version']\n[tool.hatch.version]\nsource = '{source}'\n"
    )
}

fn has_data(lines: &[String]) -> bool {
    let mut lines = lines.iter();
    lines.any(|line| line.starts_with("pkg/deep/data.txt"))
}

#[test]
fn setuptools_scm_has_the_files_and_the_version_of_the_commit() {
    let more = "[tool.setuptools_scm]\nversion_file = 'pkg/_version.py'";
    let pyproject = setuptools("'setuptools-scm>=8'", more);
    let group = "'setuptools', 'setuptools-scm'";
    assert!(has_data(&same("setuptools-scm", group, &pyproject, &[])));
}

#[test]
fn pbr_has_the_files_and_the_version_of_the_commit() {
    let pyproject =
        "[build-system]\nrequires = ['setuptools', 'pbr']\nbuild-backend = 'pbr.build'\n";
    let more = [
        (
            "setup.cfg",
            "[metadata]\nname = pkg\n[files]\npackages = pkg\n",
        ),
        (
            "setup.py",
            "import setuptools\nsetuptools.setup(pbr=True)\n",
        ),
    ];
    assert!(has_data(&same(
        "pbr",
        "'setuptools', 'pbr'",
        pyproject,
        &more
    )));
}

#[test]
fn versioningit_has_the_version_of_the_commit() {
    let pyproject = setuptools("'versioningit'", "[tool.versioningit.vcs]\nmethod = 'git'");
    same(
        "versioningit",
        "'setuptools', 'versioningit'",
        &pyproject,
        &[],
    );
}

#[test]
fn hatch_vcs_has_the_version_of_the_commit() {
    let pyproject = hatchling("'hatch-vcs'", "vcs");
    same("hatch-vcs", "'hatchling', 'hatch-vcs'", &pyproject, &[]);
}

#[test]
fn uv_dynamic_versioning_has_the_version_of_the_commit() {
    let pyproject = hatchling("'uv-dynamic-versioning'", "uv-dynamic-versioning");
    let group = "'hatchling', 'uv-dynamic-versioning'";
    same("uv-dynamic-versioning", group, &pyproject, &[]);
}

#[test]
fn poetry_dynamic_versioning_has_the_version_of_the_commit() {
    let pyproject = "[build-system]\nrequires = ['poetry-core', 'poetry-dynamic-versioning']\n\
        build-backend = 'poetry_dynamic_versioning.backend'\n[project]\nname = 'pkg'\ndynamic = ['version']\n\
        [tool.poetry]\nversion = '0'\n[tool.poetry-dynamic-versioning]\nenable = true\n";
    let group = "'poetry-core', 'poetry-dynamic-versioning'";
    same("poetry-dynamic-versioning", group, pyproject, &[]);
}

#[test]
fn what_git_is_asked_for_in_vain_is_an_error() {
    let temp = Temp::new();
    let files = [
        (
            "pyproject.toml",
            "[build-system]\nrequires = ['setuptools']\n",
        ),
        (
            "setup.py",
            "import subprocess\nfrom setuptools import setup\nsubprocess.run(['git', '--version'])\n\
             try: subprocess.run(['git', 'ls-files'])\nexcept OSError: pass\n\
             setup(name='pkg', version='1.0', packages=['pkg'])\n",
        ),
    ];
    let (url, commit) = repository(&temp, "outer", &files);
    temp.write(
        "app/uv.lock",
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"pkg\" }}]\n\n[[package]]\nname = \"pkg\"\n\
             version = \"1.0\"\nsource = {{ git = \"{url}#{commit}\" }}\n"
        ),
    );
    let lock = build_lock(&temp, "pkg = ['setuptools']", "");
    // A machine that has no git, but had one when the commit was fetched.
    let build = |hidden: &str, variable: &str| {
        fs::create_dir_all(temp.join("tmp")).unwrap();
        let mut command = Command::new(common::on_path("bwrap"));
        command.args(["--dev-bind", "/", "/"]);
        for git in hidden.split_whitespace() {
            command.args(["--ro-bind", "/dev/null", git]);
        }
        let program = common::lockwright(&temp);
        command
            .arg(program.get_program())
            .args([
                "sync",
                temp.join("app").as_str(),
                "--python",
                common::python().as_str(),
            ])
            .args([
                "--build-lock",
                lock.as_str(),
                "--out",
                temp.join("out").as_str(),
            ])
            .args([
                "--store",
                temp.join("store").as_str(),
                "--build-env",
                variable,
            ])
            .env("TMPDIR", temp.join("tmp"))
            .run()
    };
    build("", "pkg:TIME=first").ok();
    fs::remove_dir_all(temp.join("out")).unwrap();
    let there = ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"];
    let hidden = there.into_iter().filter(|git| Utf8Path::new(git).exists());
    let hidden = hidden.collect::<Vec<_>>().join(" ");
    let refused = build(&hidden, "pkg:TIME=second").exit(1);
    assert!(
        refused.stderr.contains("its back end asks git") && refused.stderr.contains("install git"),
        "{refused}"
    );
    assert!(!temp.join("out").exists());
}

/// A workspace in a repository: its root and three members, whose versions are version control's, or
/// in a file beside them all. Editable or not, they are what uv makes of them, and a new tag shows.
#[test]
fn members_have_the_version_of_their_workspace_s_commit() {
    let temp = Temp::new();
    let member = |folder: &str, name: &str, requires: &str, backend: &str, more: &str| {
        temp.write(
            &format!("app/{folder}pyproject.toml"),
            format!(
                "[project]\nname = '{name}'\ndynamic = ['version']\nrequires-python = '>=3.11'\n\
                 [build-system]\nrequires = [{requires}]\nbuild-backend = '{backend}'\n{more}"
            ),
        );
        temp.write(&format!("app/{folder}src/{name}/__init__.py"), "");
    };
    let (hatch, setuptools) = ("hatchling.build", "setuptools.build_meta");
    let index = common::backends().join("simple");
    member(
        "",
        "app",
        "'hatchling', 'hatch-vcs'",
        hatch,
        &format!(
            "[tool.hatch.version]\nsource = 'vcs'\n[dependency-groups]\ndev = ['x', 'y', 'z']\n\
             [tool.uv.workspace]\nmembers = ['packages/*']\n[tool.uv.sources]\nx = {{ workspace = true }}\n\
             y = {{ workspace = true }}\nz = {{ workspace = true }}\n\
             [[tool.uv.index]]\nurl = '{index}'\ndefault = true\n"
        ),
    );
    let scm = "[tool.setuptools_scm]\nroot = '../..'\nversion_file = 'src/x/_version.py'\n";
    member(
        "packages/x/",
        "x",
        "'setuptools', 'setuptools-scm'",
        setuptools,
        scm,
    );
    let source = "[tool.hatch.version]\nsource = 'uv-dynamic-versioning'\n";
    member(
        "packages/y/",
        "y",
        "'hatchling', 'uv-dynamic-versioning'",
        hatch,
        source,
    );
    let path = "[tool.hatch.version]\npath = '../../VERSION.txt'\n";
    member("packages/z/", "z", "'hatchling'", hatch, path);
    temp.write("app/VERSION.txt", "__version__ = '3.4'\n");
    let ignored = "_version.py\n.venv\n*.egg-info\nuv.lock\n__pycache__\n";
    temp.write("app/.gitignore", ignored);
    let git = |args: &[&str]| {
        Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@t.example"])
            .args(["-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"])
            .args(args)
            .current_dir(temp.join("app"))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .run()
            .ok();
    };
    git(&["init", "--quiet"]);
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "first"]);
    git(&["tag", "v1.2.0"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "second"]);
    let uv = |args: &[&str]| {
        Command::new(common::uv())
            .args(args)
            .args(["--offline", "--quiet", "--cache-dir"])
            .arg(temp.join("uv-cache"))
            .env("UV_PYTHON", common::python())
            .env("UV_PROJECT_ENVIRONMENT", temp.join("by-uv"))
            .current_dir(temp.join("app"))
            .run()
            .ok();
    };
    uv(&["lock"]);
    let lock = build_lock(
        &temp,
        "app = ['hatchling', 'hatch-vcs', 'editables']\nx = ['setuptools', 'setuptools-scm']\n\
         y = ['hatchling', 'uv-dynamic-versioning', 'editables']\nz = ['hatchling', 'editables']\n",
        "",
    );
    let ours = |more: &[&str]| {
        common::lockwright(&temp)
            .args(["sync", "app", "--offline", "--out", "ours"])
            .args(["--sandbox=require", "--build-lock", lock.as_str()])
            .args(["--python", common::python().as_str()])
            .args(more)
            .run()
            .ok()
    };
    let versions = |environment: &str| {
        let site = temp.join(environment).join("lib/python3.11/site-packages");
        let names = site.read_dir_utf8().unwrap().map(|entry| entry.unwrap());
        let names = names.map(|entry| entry.file_name().to_owned());
        let mut names: Vec<String> = names.filter(|name| name.ends_with(".dist-info")).collect();
        names.sort();
        names
    };
    uv(&["sync"]);
    ours(&[]);
    assert_eq!(versions("ours"), versions("by-uv"));
    assert!(
        versions("ours")
            .iter()
            .any(|name| name.starts_with("x-1.2.1.dev1+g"))
    );
    assert_eq!(versions("ours").len(), 4);
    ours(&["--no-editable"]);
    assert_eq!(versions("ours"), versions("by-uv"));

    // What is just being edited is not a version's; a new tag is, and so is the file beside.
    temp.write("app/packages/y/src/y/__init__.py", "changed = 1\n");
    temp.write("app/untracked.txt", "");
    git(&["tag", "-a", "-m", "t", "v1.3.0"]);
    temp.write("app/VERSION.txt", "__version__ = '3.5'\n");
    ours(&["--no-editable"]);
    let expected = ["app-1.3.0", "x-1.3.0", "y-1.3.0", "z-3.5"];
    assert_eq!(
        versions("ours"),
        expected.map(|name| format!("{name}.dist-info"))
    );
    let again = ours(&["--no-editable"]);
    assert!(again.stderr.contains("is up to date"), "{again}");
}

#[test]
fn cache_keys_decide_when_a_folder_is_built_again() {
    let temp = Temp::new();
    temp.write(
        "app/pyproject.toml",
        "[project]\nname = 'app'\nversion = '1'\nrequires-python = '>=3.11'\n\
         [build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n\
         [tool.uv]\ncache-keys = [{ file = 'src/**/*.txt' }, { file = '../beside.txt' }, { env = 'FOO' }]\n",
    );
    temp.write(
        "app/setup.py",
        "from setuptools import setup\nsetup(py_modules=['app'])\n",
    );
    temp.write("app/app.py", "");
    temp.write("app/src/a.txt", "");
    temp.write("beside.txt", "");
    common::sources::uv_lock(&temp, &temp.join("app"));
    let lock = build_lock(&temp, "app = ['setuptools']", "");
    let built = |value: &str| {
        let ran = common::lockwright(&temp)
            .args(["sync", "app", "--offline", "--no-editable"])
            .args([
                "--build-lock",
                lock.as_str(),
                "--python",
                common::python().as_str(),
            ])
            .env("FOO", value)
            .run()
            .ok();
        ran.stderr.contains("Built app")
    };
    assert!(built("1"));
    assert!(!built("1"));
    assert!(built("2"));
    temp.write("beside.txt", "other");
    assert!(built("2"));
    assert!(!built("2"));
}
