//! Bytecode depends on its source and the interpreter alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::core::progress::Progress;
use lockwright::install::python::bytecode::Compiler;

/// Compiles sources of these names and texts; the pycs' bytes, by name.
fn compile(sources: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let site = Utf8Path::from_path(folder.path()).unwrap();
    for (name, text) in sources {
        std::fs::write(site.join(name), text).unwrap();
    }
    let python = python();
    let about = std::process::Command::new(&python)
        .args(["-c", "import sys; print(sys.version_info[1])"])
        .output()
        .unwrap();
    let minor = String::from_utf8(about.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let compiler = Compiler {
        python: &python,
        version: (3, minor),
        site,
    };
    let names: Vec<&str> = sources.iter().map(|(name, _)| *name).collect();
    let valid = sources
        .iter()
        .filter(|(_, text)| !text.contains("{{"))
        .count();
    assert_eq!(
        compiler.compile(&names, &Progress::hidden()).unwrap(),
        valid
    );
    let cache = site.join("__pycache__");
    let mut made: Vec<_> = cache
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().to_owned(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    made.sort();
    // They work: imported from there, without being written again.
    let run = std::process::Command::new(&python)
        .args(["-B", "-c", "import a; print(a.f(2))"])
        .current_dir(site)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(run.stdout).unwrap(),
        "[2, 'shared text', (1, 2, 3)]\n"
    );
    made
}

fn python() -> Utf8PathBuf {
    std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| Utf8PathBuf::try_from(folder.join("python3")).unwrap())
        .find(|path| path.exists())
        .expect("these tests need a python3 on the PATH")
}

const A: &str = "def f(x):\n    return [x, 'shared text', (1, 2, 3)]\n\nclass C:\n    name = 'shared text'\n    def g(self): return self.name[1:2]\n";

#[test]
fn what_else_is_compiled_does_not_show() {
    let alone = compile(&[("a.py", A)]);
    let others: Vec<(String, String)> = (0..40)
        .map(|n| {
            (
                format!("b{n}.py"),
                format!("{A}\nname = 'name'\nx = {{'self': f, 'g': C.g, 'b{n}': 'shared text'}}\n"),
            )
        })
        .collect();
    let mut sources: Vec<(&str, &str)> = others
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    sources.extend([("a.py", A), ("template.py", "{{ name }} = 1\n")]);
    let among = compile(&sources);
    let found = among.iter().find(|(name, _)| *name == alone[0].0).unwrap();
    assert!(found.1 == alone[0].1, "a.py's bytecode differs");
}

/// Two environments at different places, of one store: what the second gets was made for the first.
#[test]
fn a_second_environment_has_its_bytecode_from_the_store_and_shows_its_own_paths() {
    use common::Run as _;
    let temp = common::Temp::new();
    temp.copy_of_fixture("default");
    let sync = |out: &str, more: &[&str]| {
        let python = common::python();
        let args = ["sync", "default", "--offline", "--compile-bytecode", "-v"];
        common::lockwright(&temp)
            .args(args)
            .args(["--out", out, "--python", python.as_str()])
            .args(more)
            .run()
            .ok();
        let lib = temp.join(out).join("lib").read_dir_utf8().unwrap().next();
        lib.unwrap().unwrap().path().join("site-packages")
    };
    let pycs = |site: &Utf8Path| -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![site.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in folder.read_dir_utf8().unwrap() {
                let path = entry.unwrap().into_path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension() == Some("pyc") {
                    let bytes = std::fs::read(&path).unwrap();
                    found.push((path.strip_prefix(site).unwrap().to_string(), bytes));
                }
            }
        }
        found.sort();
        found
    };
    let one = sync("one", &[]);
    let made = pycs(&one);
    assert!(!made.is_empty());
    let text = temp.path().as_str().as_bytes();
    for (name, bytes) in &made {
        let is_in = bytes.windows(text.len()).any(|window| window == text);
        assert!(!is_in, "{name} names the folder that it was made in");
    }
    let other = sync("other", &[]);
    assert!(pycs(&other) == made);
    let linked = sync("linked", &["--link-mode", "hardlink"]);
    assert!(pycs(&linked) == made);
    // Who is in the traceback, what inspect and a debugger show.
    let (name, _) = made
        .iter()
        .find(|(name, _)| !name.contains("__init__"))
        .unwrap_or(&made[0]);
    let module = name
        .replace("/__pycache__/", "/")
        .replace("__pycache__/", "");
    let module = module.split(".cpython").next().unwrap().replace('/', ".");
    let module = module.trim_end_matches(".__init__");
    for site in [&one, &other, &linked] {
        let said = std::process::Command::new(site.ancestors().nth(3).unwrap().join("bin/python"))
            .args(["-B", "-c"])
            .arg(format!(
                "import {module} as m, inspect, sys\n\
                 codes = [c for c in vars(m).values() if inspect.isfunction(c) and c.__module__ == m.__name__]\n\
                 names = {{f.__code__.co_filename for f in codes}} | {{m.__spec__.loader.get_code(m.__name__).co_filename}}\n\
                 assert names == {{m.__file__}}, names\n\
                 [inspect.getsource(f) for f in codes]\n\
                 print(m.__cached__, m.__file__)"
            ))
            .output()
            .unwrap();
        assert!(said.status.success(), "{said:?}");
        let said = String::from_utf8(said.stdout).unwrap();
        assert!(said.contains(site.as_str()), "{said}");
    }
}

#[test]
fn bytecode_in_the_store_that_is_rotten_is_made_again() {
    use common::Run as _;
    let temp = common::Temp::new();
    temp.copy_of_fixture("default");
    let sync = || {
        let out = "one";
        let python = common::python();
        let args = ["sync", "default", "--offline", "--compile-bytecode"];
        let ran = common::lockwright(&temp)
            .args(args)
            .args(["--out", out, "--python", python.as_str()])
            .run()
            .ok();
        (ran.stderr, {
            let hash = common::lockwright(&temp)
                .args(["hash", &format!("{out}/lib")])
                .run();
            hash.ok().stdout
        })
    };
    let (_, made) = sync();
    std::fs::remove_dir_all(temp.join("one")).unwrap();
    assert!(common::rot(&temp.join("store")) > 3);
    let (said, again) = sync();
    assert_eq!(again, made, "{said}");
    assert!(said.contains("its kept bytecode is made anew"), "{said}");
}
