//! The first `sync` of a small project of every back end that people use, with nothing there but uv and
//! compilers.

use std::fs;

use super::*;

/// `(back end, requires, the rest of its pyproject.toml, its files, extra arguments, what prints `there`)`
type Small = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

const MODULE: &str = "def main():\n    print('there')\n";
const NAME: &str = "name = 'my-app'\nversion = '1.0'\n";
const SCRIPT: &str = "[project.scripts]\nmy-app = 'my_app:main'\n";
const C: &str = "#include <Python.h>\n#include <stdio.h>\n\
    static PyObject *run(PyObject *s, PyObject *a) { puts(\"there\"); fflush(stdout); Py_RETURN_NONE; }\n\
    static PyMethodDef all[] = {{\"main\", run, METH_NOARGS, 0}, {0}};\n\
    static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, \"my_app\", 0, -1, all};\n\
    PyMODINIT_FUNC PyInit_my_app(void) { return PyModule_Create(&def); }\n";

const SMALL: [Small; 9] = [
    (
        "hatchling.build",
        "hatchling",
        SCRIPT,
        &[("my_app/__init__.py", MODULE)],
        &[],
    ),
    (
        "setuptools.build_meta",
        "setuptools",
        SCRIPT,
        &[("my_app.py", MODULE)],
        &[],
    ),
    (
        "flit_core.buildapi",
        "flit_core",
        "description = 'x'\n[project.scripts]\nmy-app = 'my_app:main'\n",
        &[("my_app.py", MODULE)],
        &[],
    ),
    (
        "poetry.core.masonry.api",
        "poetry-core",
        SCRIPT,
        &[("src/my_app/__init__.py", MODULE)],
        &[],
    ),
    (
        "pdm.backend",
        "pdm-backend",
        SCRIPT,
        &[("src/my_app/__init__.py", MODULE)],
        &[],
    ),
    (
        "uv_build",
        "uv_build",
        SCRIPT,
        &[("src/my_app/__init__.py", MODULE)],
        &[],
    ),
    (
        "maturin",
        "maturin",
        "[tool.maturin]\nbindings = 'bin'\n",
        &[
            (
                "Cargo.toml",
                "[package]\nname = 'my-app'\nversion = '1.0.0'\nedition = '2021'\n",
            ),
            ("src/main.rs", "fn main() {\n    println!(\"there\");\n}\n"),
        ],
        &[],
    ),
    (
        "scikit_build_core.build",
        "scikit-build-core",
        SCRIPT,
        &[
            ("my_app.c", C),
            (
                "CMakeLists.txt",
                "cmake_minimum_required(VERSION 3.20)\nproject(my_app LANGUAGES C)\n\
                 find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)\n\
                 python_add_library(my_app MODULE my_app.c WITH_SOABI)\ninstall(TARGETS my_app DESTINATION .)\n",
            ),
        ],
        &[],
    ),
    // In place it is compiled again whenever it is imported, which nothing of the build is there for.
    (
        "mesonpy",
        "meson-python",
        SCRIPT,
        &[
            ("my_app.c", C),
            (
                "meson.build",
                "project('my-app', 'c', version: '1.0')\n\
                 py = import('python').find_installation(pure: false)\n\
                 py.extension_module('my_app', 'my_app.c', install: true)\n",
            ),
        ],
        &["--no-editable"],
    ),
];

/// Where the Rust that compiles this has its programs.
fn rust() -> Utf8PathBuf {
    let folder = common::run("rustc", ["--print", "sysroot"]);
    Utf8Path::new(folder.trim()).join("bin")
}

#[test]
fn a_small_project_of_every_back_end_syncs_at_the_first_try() {
    std::thread::scope(|scope| {
        let all = SMALL.map(|small| scope.spawn(move || first(small)));
        for one in all {
            one.join().unwrap();
        }
    });
}

fn first((backend, requires, more, files, args): Small) {
    let temp = Temp::new();
    let indexes = [common::backends(), common::compilers()].map(|folder| folder.join("simple"));
    let [default, other] = &indexes;
    let text = format!(
        "[project]\n{NAME}requires-python = '>=3.11'\n{more}\n[build-system]\nrequires = ['{requires}']\n\
         build-backend = '{backend}'\n[[tool.uv.index]]\nurl = '{other}'\n\
         [[tool.uv.index]]\nurl = '{default}'\ndefault = true\n"
    );
    temp.write("app/pyproject.toml", text);
    for (name, text) in files {
        temp.write(&format!("app/{name}"), text);
    }
    common::sources::uv_lock(&temp, &temp.join("app"));
    let sync = |uv: &str| {
        lockwright_in_forky(&temp)
            .args([
                "sync",
                "app",
                "--offline",
                "--python",
                "/usr/bin/python3.14",
            ])
            .args(args)
            .env("UV", uv)
            .env("UV_CACHE_DIR", temp.join("uv-cache"))
            .env("PATH", format!("/usr/bin:/bin:{}", rust()))
            .run()
    };
    let ran = sync(common::uv().as_str());
    assert_eq!(ran.code, 0, "{backend}: {ran}");
    let there = || {
        let script = temp.join("app/.venv/bin/my-app");
        Command::new(in_forky()).arg(script).run().ok().stdout
    };
    assert_eq!(there(), "there\n", "{backend}");
    // The next needs no uv, be it that what the build left in the folder has it built once more.
    let again = sync("/nowhere");
    assert_eq!(again.code, 0, "{backend}: {again}");
    assert_eq!(there(), "there\n", "{backend}");
}

/// Another compiler makes another wheel, and none is no reason to ask for one that is not on the PATH.
#[test]
fn which_rust_it_was_counts() {
    let temp = Temp::new();
    let (_, requires, more, files, _) = SMALL[6];
    let text = format!(
        "[project]\n{NAME}requires-python = '>=3.11'\n{more}\n[build-system]\nrequires = ['{requires}']\n\
         build-backend = 'maturin'\n"
    );
    temp.write("app/pyproject.toml", text);
    for (name, text) in files {
        temp.write(&format!("app/{name}"), text);
    }
    common::sources::uv_lock(&temp, &temp.join("app"));
    let index = common::compilers().join("simple");
    temp.write(
        "builds/pyproject.toml",
        format!(
            "[project]\nname = 'builds'\nversion = '0'\nrequires-python = '>=3.11'\n\
             [dependency-groups]\nmy-app = ['maturin']\n[tool.uv]\npackage = false\n[[tool.uv.index]]\nurl = '{index}'\n"
        ),
    );
    common::sources::uv_lock(&temp, &temp.join("builds"));
    let real = rust();
    let fake = temp.join("fake/bin");
    fs::create_dir_all(&fake).unwrap();
    // The same compiler, which says that it is another.
    for name in ["rustc", "cargo"] {
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in '--print sysroot') echo {}; exit ;; '--version --verbose') echo another; exit ;; esac\n\
             exec {real}/{name} \"$@\"\n",
            temp.join("fake")
        );
        let file = temp.write(&format!("fake/bin/{name}"), text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(file, mode).unwrap();
    }
    let sync = |rust: &Utf8Path, how: &[&str]| {
        let ran = lockwright_in_forky(&temp)
            .args(["sync", "app", "--offline", "--no-editable"])
            .args([
                "--python",
                "/usr/bin/python3.14",
                "--build-lock",
                "builds/uv.lock",
            ])
            .args(how)
            .env("PATH", format!("{rust}:/usr/bin:/bin"))
            .run();
        ran.stderr.contains("is up to date")
    };
    // Crates come from no network, and the error says what to do.
    let plain = fs::read_to_string(temp.join("app/Cargo.toml")).unwrap();
    temp.write(
        "app/Cargo.toml",
        format!("{plain}[dependencies]\nitoa = '1'\n"),
    );
    let failed = lockwright_in_forky(&temp)
        .args(["sync", "app", "--offline", "--no-editable"])
        .args([
            "--python",
            "/usr/bin/python3.14",
            "--build-lock",
            "builds/uv.lock",
        ])
        .env("PATH", format!("{real}:/usr/bin:/bin"))
        .run()
        .exit(1);
    assert!(failed.stderr.contains("cargo vendor"), "{failed}");
    temp.write("app/Cargo.toml", plain);
    assert!(!sync(&real, &[]));
    assert!(sync(&real, &["--dry-run"]));
    assert!(!sync(&fake, &["--dry-run"]));
}
