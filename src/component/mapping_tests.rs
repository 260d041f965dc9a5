use super::*;

/// The mapping of a project with these files, as `from -> to`; `!` leads a refusal.
fn map(pyproject: &str, files: &[&str]) -> String {
    let held = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(held.path()).unwrap();
    std::fs::write(folder.join("pyproject.toml"), pyproject).unwrap();
    for file in files {
        let (path, text) = file.split_once('=').unwrap_or((file, ""));
        std::fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        std::fs::write(folder.join(path), text).unwrap();
    }
    match mapping(folder) {
        Ok(pieces) => {
            let lines = pieces.iter().map(|piece| {
                let exclude = match piece.exclude.is_empty() {
                    true => String::new(),
                    false => format!(" without {}", piece.exclude.join(" ")),
                };
                format!("{} -> {}{exclude}", piece.from, piece.to)
            });
            lines.collect::<Vec<_>>().join(", ")
        }
        Err(why) => format!("! {}", why.replace(folder.as_str(), "[folder]")),
    }
}

fn project(backend: &str, rest: &str) -> String {
    format!("[build-system]\nbuild-backend = '{backend}'\n[project]\nname = 'my-app'\n{rest}")
}

#[test]
fn hatchling_says_or_is_asked_by_name() {
    let hatch = |rest: &str, files: &[&str]| map(&project("hatchling.build", rest), files);
    let wheel = |rest: &str| format!("[tool.hatch.build.targets.wheel]\n{rest}");
    assert_eq!(hatch("", &["my_app/__init__.py"]), "my_app -> my_app");
    assert_eq!(
        hatch("", &["src/my_app/__init__.py"]),
        "src/my_app -> my_app"
    );
    assert_eq!(hatch("", &["my_app.py"]), "my_app.py -> my_app.py");
    assert_eq!(hatch("", &["ns/my_app/__init__.py"]), "ns -> ns");
    // As the flagship has it: dotted names are no folders, and passed over.
    let packages = wheel("packages = ['guardian', 'guardian.conf', 'src/other']");
    let there = ["guardian/__init__.py", "src/other/__init__.py"];
    assert_eq!(
        hatch(&packages, &there),
        "guardian -> guardian, src/other -> other"
    );
    let only = wheel("only-include = ['src/a']\nsources = ['src']\nexclude = ['src/a/tests']");
    assert_eq!(hatch(&only, &["src/a/x.py"]), "src/a -> a without tests");
    let forced = wheel("[tool.hatch.build.targets.wheel.force-include]\n'data' = 'my_app/data'");
    assert_eq!(hatch(&forced, &["data/x"]), "data -> my_app/data");
    assert_eq!(
        hatch("", &["other/__init__.py"]),
        "! it says nothing of its packages, and has none that is called my_app, as the project is"
    );
    let pattern = wheel("include = ['*.py']");
    assert!(hatch(&pattern, &["a.py"]).starts_with("! tool.hatch.build.targets.wheel.include has"));
}

#[test]
fn setuptools_lists_finds_or_discovers() {
    let setuptools =
        |rest: &str, files: &[&str]| map(&project("setuptools.build_meta", rest), files);
    let two = ["app/__init__.py", "more/__init__.py", "app/sub/__init__.py"];
    assert_eq!(
        setuptools("[tool.setuptools]\npackages = ['app', 'app.sub']", &two),
        "app -> app"
    );
    let find =
        "[tool.setuptools.packages.find]\nwhere = ['src']\nexclude = ['tests*', 'app.tests*']";
    let there = ["src/app/__init__.py", "src/tests/__init__.py"];
    assert_eq!(setuptools(find, &there), "src/app -> app without tests*");
    assert_eq!(
        setuptools("[tool.setuptools.packages]\nfind = {}", &two),
        "app -> app, more -> more"
    );
    assert_eq!(
        setuptools("", &["src/a/x.py", "src/b/y.py"]),
        "src/a -> a, src/b -> b"
    );
    assert_eq!(
        setuptools("", &["app/__init__.py", "tests/x.py", "docs/conf.py"]),
        "app -> app"
    );
    assert!(setuptools("", &two).contains("refuse to choose between its folders app, more"));
    assert_eq!(
        setuptools("[tool.setuptools]\npy-modules = ['one']", &["one.py"]),
        "one.py -> one.py"
    );
    let cfg = "setup.cfg=[options]\npackages = find:\npackage_dir =\n    = lib\n";
    assert_eq!(
        setuptools("", &[cfg, "lib/app/__init__.py"]),
        "lib/app -> app"
    );
    let cfg = "setup.cfg=[options]\npy_modules = one, two\n";
    assert_eq!(
        setuptools("", &[cfg, "one.py"]),
        "one.py -> one.py, two.py -> two.py"
    );
}

#[test]
fn the_others_name_a_module() {
    let flit = project("flit_core.buildapi", "[tool.flit.module]\nname = 'ns.mod'");
    assert_eq!(
        map(&flit, &["src/ns/mod/__init__.py"]),
        "src/ns/mod -> ns/mod"
    );
    assert_eq!(
        map(&project("flit_core.buildapi", ""), &["my_app.py"]),
        "my_app.py -> my_app.py"
    );
    assert_eq!(
        map(&project("uv_build", ""), &["src/my_app/__init__.py"]),
        "src/my_app -> my_app"
    );
    let flat = project("uv_build", "[tool.uv.build-backend]\nmodule-root = ''");
    assert_eq!(map(&flat, &["my_app/__init__.py"]), "my_app -> my_app");
    let poetry = project(
        "poetry.core.masonry.api",
        "[tool.poetry]\npackages = [{ include = 'a', from = 'lib' }]",
    );
    assert_eq!(map(&poetry, &[]), "lib/a -> a");
    assert_eq!(
        map(&project("maturin", ""), &[]),
        "! its back end is maturin, whose configuration is not read here: copy its packages with `copy`"
    );
    assert_eq!(
        map(&project("uv_build", ""), &[]),
        "! its module is called my_app, and is not there"
    );
}

#[test]
fn a_setup_cfg_that_cannot_be_read_is_not_taken_for_none() {
    let held = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(held.path()).unwrap();
    std::fs::create_dir_all(folder.join("my_app")).unwrap();
    std::fs::write(folder.join("my_app/__init__.py"), "").unwrap();
    std::fs::write(folder.join("pyproject.toml"), project("setuptools", "")).unwrap();
    std::fs::write(folder.join("setup.cfg"), b"[options]\npackages = \xff\n").unwrap();
    let said = mapping(folder).unwrap_err();
    assert!(said.contains("setup.cfg"), "{said}");
}
