//! The first `sync` of a project as people have it: what needs no build, and what gets a build lock.

use std::fs;

use super::*;

/// `(back end's module, requires, where the package is, more of the pyproject.toml)`
const PLAIN: [(&str, &str, &str, &str); 7] = [
    ("uv_build", "uv_build>=0.13", "src/", ""),
    (
        "uv_build",
        "uv_build",
        "",
        "[tool.uv.build-backend]\nmodule-root = ''\n",
    ),
    ("hatchling.build", "hatchling", "src/", ""),
    (
        "hatchling.build",
        "hatchling>=1.5",
        "lib/",
        "[tool.hatch.build.targets.wheel]\npackages = ['lib/my_app']\n",
    ),
    ("flit_core.buildapi", "flit_core>=3.2", "", ""),
    (
        "poetry.core.masonry.api",
        "poetry-core>=2",
        "lib/",
        "[tool.poetry]\npackages = [{ include = 'my_app', from = 'lib' }]\n",
    ),
    ("setuptools.build_meta", "setuptools>=61", "src/", ""),
];

/// What a project says of itself, as far as back ends agree on what it means.
const STATED: &str = "[project]\nname = 'my-app'\nversion = '1.0.0-rc1'\ndescription = 'Some words'\n\
    readme = 'README.md'\nrequires-python = '>=3.11'\nlicense = 'MIT'\nlicense-files = ['LICENSE*']\n\
    authors = [{ name = 'One Person', email = 'one@example.org' }]\nkeywords = ['b', 'a c']\n\
    classifiers = ['Topic :: Utilities', 'Programming Language :: Python']\n\
    dependencies = [\"packaging>=20,<100; python_version >= '3.8'\"]\n\
    [project.optional-dependencies]\n\"Fancy_Extra\" = [\"wheel; python_version < '4'\"]\nother = []\n\
    [project.scripts]\nmy-app = 'my_app:main'\n[project.gui-scripts]\ngui = 'my_app:main'\n\
    [project.urls]\nHomepage = 'https://x.example/'\n\"Bug Tracker\" = 'https://x.example/b'\n\
    [project.entry-points.'a.group']\nz = 'my_app'\na = 'my_app:main'\n";

/// Says in which files two environments differ, but for what says who installed: METADATA and
/// entry points by what they mean, where the third word is not `bytes`.
const COMPARE: &str = r"
import configparser, email, os, re, sys
from packaging.requirements import Requirement
from packaging.version import Version
def files(top):
    site = [os.path.join(top, 'lib', name, 'site-packages') for name in os.listdir(top + '/lib')][0]
    all = {}
    for base in (site, top + '/bin'):
        for folder, _, names in os.walk(base):
            for name in names:
                path = os.path.join(folder, name)
                text = open(path, 'rb').read().replace(top.encode(), b'TOP')
                if re.search('my_app|my-app|gui', path):
                    all[os.path.relpath(path, base)] = text
    return {path: meaning(path, text) for path, text in all.items()
            if not re.search('/(INSTALLER|RECORD|uv_.*json|__pycache__)', path)}
# What some versions of a back end say besides.
NEWER = ('Metadata-Version', 'Dynamic', 'Import-Name')
def requirement(text):
    need = Requirement(text)
    marker = sorted(re.sub('[()]', '', str(need.marker).replace('_full', '')).split(' and '))
    return need.name.lower(), str(need.specifier), marker
def meaning(path, text):
    text = text.decode()
    if path.endswith('/WHEEL'):
        return [line for line in text.split('\n') if line and not line.startswith('Generator')]
    if path.endswith('entry_points.txt') and sys.argv[3] != 'bytes':
        parser = configparser.ConfigParser(delimiters='=')
        parser.read_string(text)
        return {name: dict(parser[name]) for name in parser}
    if path.endswith('/METADATA') and sys.argv[3] != 'bytes':
        fields = email.message_from_string(text)
        all = [(key, value) for key, value in fields.items() if key not in NEWER]
        all = [(key, requirement(value) if key == 'Requires-Dist' else
                str(Version(value)) if key == 'Version' else
                sorted(value.split(',')) if key == 'Keywords' else value) for key, value in all]
        return sorted(map(str, all)), fields.get_payload().strip()
    return text
one, other = files(sys.argv[1]), files(sys.argv[2])
assert len(one) > 7, one
for path in sorted(one.keys() | other.keys()):
    if one.get(path) != other.get(path):
        print(path, one.get(path), other.get(path), sep='\n', end='\n\n')
";

fn project(temp: &Temp, backend: &str, requires: &str, place: &str, more: &str) {
    let system =
        format!("[build-system]\nrequires = ['{requires}']\nbuild-backend = '{backend}'\n");
    temp.write("app/pyproject.toml", format!("{STATED}{system}{more}"));
    temp.write("app/README.md", "# My app\n\nwörds\n");
    temp.write("app/LICENSE", "MIT\n");
    temp.write(
        &format!("app/{place}my_app/__init__.py"),
        "def main():\n    print('there')\n",
    );
}

/// `lockwright sync` with a `PATH` on which there is no uv; all comes from the folder of back ends.
fn first(temp: &Temp, args: &[&str]) -> Ran {
    lockwright_in_forky(temp)
        .args([
            "sync",
            "app",
            "--offline",
            "--python",
            "/usr/bin/python3.14",
        ])
        .args(args)
        .env("PATH", "/usr/bin:/bin")
        .run()
}

#[test]
fn a_plain_project_needs_nothing_and_is_as_its_back_end_has_it() {
    for (backend, requires, place, more) in PLAIN {
        let temp = Temp::new();
        project(&temp, backend, requires, place, more);
        let uv = |args: &[&str]| {
            Command::new(common::uv())
                .args(args)
                .args(["--offline", "--quiet", "--default-index"])
                .arg(common::backends().join("simple"))
                .arg("--cache-dir")
                .arg(temp.join("uv-cache"))
                .env("UV_PYTHON", common::python())
                .current_dir(temp.join("app"))
                .run()
                .ok();
        };
        uv(&["sync", "--extra", "fancy-extra"]);
        let ran = common::lockwright(&temp)
            .args(["sync", "app", "--offline", "--out", "own", "--extra"])
            .args(["fancy-extra", "--python", common::python().as_str()])
            .env("PATH", "/nowhere")
            .run()
            .ok();
        assert!(!ran.stderr.contains("Building"), "{backend}: {ran}");
        let how = if backend == "uv_build" { "bytes" } else { "" };
        let same = |own: &str| {
            let differences = Command::new(common::python())
                .args(["-c", COMPARE])
                .args([temp.join("app/.venv"), temp.join(own)])
                .arg(how)
                .run()
                .ok();
            assert_eq!(differences.stdout, "", "{backend} {place} {own}");
        };
        same("own");
        // Not in place either; what lies among its modules comes along.
        if backend != "setuptools.build_meta" {
            temp.write(&format!("app/{place}my_app/data.txt"), "data");
        }
        temp.write("app/.gitignore", "/build/\n*.egg-info\n__pycache__/\n");
        uv(&[
            "sync",
            "--extra",
            "fancy-extra",
            "--no-editable",
            "--reinstall",
        ]);
        let copied = |place: &str| {
            common::lockwright(&temp)
                .args(["sync", "app", "--offline", "--no-editable", "--extra"])
                .args(["fancy-extra", "--python", common::python().as_str()])
                .args(["--out", place])
                .env("PATH", "/nowhere")
                .run()
        };
        let ran = copied("copied").ok();
        assert!(!ran.stderr.contains("Building"), "{backend}: {ran}");
        same("copied");
        // What only version control can tell is for a build.
        let is_asked = backend.starts_with("hatch") || backend.starts_with("poetry");
        temp.write("app/.gitignore", "data.*\n");
        if is_asked {
            let said = copied("asked").exit(1).stderr;
            assert!(said.contains("build-lock"), "{backend}: {said}");
        }
        let script = Command::new(temp.join("own/bin/my-app")).run().ok();
        assert_eq!(script.stdout, "there\n");

        // Its modules are its own business, what it says of itself is not.
        let again = || {
            common::lockwright(&temp)
                .args(["sync", "app", "--offline", "--out", "own", "--extra"])
                .args(["fancy-extra", "--python", common::python().as_str()])
                .env("PATH", "/nowhere")
                .run()
                .ok()
                .stderr
        };
        temp.write(&format!("app/{place}my_app/__init__.py"), "main = 1\n");
        assert!(again().contains("is up to date"));
        temp.write("app/README.md", "# Another\n");
        assert!(again().contains("Placed"));
    }
}

#[test]
fn what_is_out_of_the_ordinary_is_built_and_without_uv_the_error_says_how() {
    for (backend, requires, place, more) in [
        ("hatchling.build", "hatchling', 'hatch-vcs", "src/", ""),
        (
            "hatchling.build",
            "hatchling",
            "src/",
            "[tool.hatch.build.hooks.custom]\n",
        ),
        ("setuptools.build_meta", "setuptools", "", ""),
        (
            "poetry.core.masonry.api",
            "poetry-core",
            "src/",
            "[tool.poetry.build]\nscript = 'x.py'\n",
        ),
        (
            "uv_build",
            "uv_build",
            "src/",
            "[tool.uv.build-backend]\ndata = { scripts = 'bin' }\n",
        ),
    ] {
        let temp = Temp::new();
        project(&temp, backend, requires, place, more);
        common::sources::uv_lock(&temp, &temp.join("app"));
        let ran = first(&temp, &[]).exit(1);
        let app = temp.join("app");
        assert!(
            ran.stderr.contains(&format!(
                "\n  lockwright build-lock {app} --out {app}/build\n  uv lock --project {app}/build\n"
            )),
            "{backend}: {ran}"
        );
        assert!(!app.join("build").exists());
    }
}

#[test]
fn with_uv_at_hand_the_first_sync_makes_the_build_lock_and_the_next_finds_it() {
    for (backend, requires, more) in [
        ("setuptools.build_meta", "setuptools", ""),
        (
            "hatchling.build",
            "hatchling",
            "[tool.hatch.build.targets.wheel.force-include]\nLICENSE = 'my_app/LICENSE'\n",
        ),
    ] {
        let temp = Temp::new();
        let index = common::backends().join("simple");
        let more = format!("{more}[[tool.uv.index]]\nurl = '{index}'\ndefault = true\n");
        project(&temp, backend, requires, "", &more);
        common::sources::uv_lock(&temp, &temp.join("app"));
        let sync = |program: &str| {
            lockwright_in_forky(&temp)
                .args(["sync", "app", "--offline", "--clear"])
                .args(["--python", "/usr/bin/python3.14"])
                .env("UV", program)
                .env("UV_CACHE_DIR", temp.join("uv-cache"))
                .run()
                .ok()
                .stderr
        };
        let said = sync(common::uv().as_str());
        let build = temp.join("app/build");
        for words in [
            format!("Wrote {build}/pyproject.toml"),
            format!("Commit what is in {build}"),
            "Built my-app 1.0.0rc1".to_owned(),
        ] {
            assert!(said.contains(&words), "{words}: {said}");
        }
        let code = "import my_app; my_app.main()";
        assert_eq!(python(&temp.join("app/.venv"), code), "there\n");
        let lock = fs::read(build.join("uv.lock")).unwrap();
        let said = sync("/nowhere");
        assert!(said.contains("Built my-app 1.0.0rc1"), "{said}");
        assert_eq!(fs::read(build.join("uv.lock")).unwrap(), lock);

        // An image as well.
        fs::remove_dir_all(&build).unwrap();
        let said = lockwright_in_forky(&temp)
            .args(["image", "app", "--offline", "--allow-missing", "*"])
            .args([
                "--python",
                "/usr/bin/python3.14",
                "--cmd",
                "my-app",
                "--out",
                "img",
            ])
            .env("UV", common::uv())
            .env("UV_CACHE_DIR", temp.join("uv-cache"))
            .run()
            .ok()
            .stderr;
        assert!(
            said.contains(&format!("Commit what is in {build}")),
            "{said}"
        );
        assert_eq!(fs::read(build.join("uv.lock")).unwrap(), lock);
    }
}
